use std::fmt;

use super::policy;

/// The options of a cache that are known to this crate.
pub(super) const CACHE_OPTIONS: [&str; 10] = [
    "type",
    "url",
    "data_dir",
    "file_dir",
    "dbm_dir",
    "lock_dir",
    "expire",
    "enabled",
    "key_length",
    "redact_keys",
];

/// An option that this crate does not know: misspelt, or meant for a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownOption {
    region: Option<String>,
    name: String,
    hint: Option<String>,
}

impl UnknownOption {
    /// Returns it if `name` is unknown at top level (`region` is `None`) or in `region`.
    pub(super) fn check(region: Option<&str>, name: &str) -> Option<Self> {
        let top_level = region.is_none();
        if is_cache_option(name) || name == "log_file" || (top_level && name == "regions") {
            return None;
        }
        let hint = match name.rsplit_once('.') {
            Some((undeclared, option)) if top_level && is_cache_option(option) => {
                Some(format!("no region {undeclared:?} is declared in \"regions\""))
            }
            _ => closest(name).map(|known| format!("did you mean {known:?}?")),
        };
        Some(Self { region: region.map(str::to_owned), name: name.to_owned(), hint })
    }

    /// Returns the region it was given for; `None` at top level.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what was probably meant.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for UnknownOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown option {:?}", self.name)?;
        if let Some(region) = &self.region {
            write!(f, " of region {region:?}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

pub(super) fn is_cache_option(name: &str) -> bool {
    CACHE_OPTIONS.contains(&name) || policy::NAMES.contains(&name)
}

/// The known option that was probably meant by `name`.
fn closest(name: &str) -> Option<&'static str> {
    closest_option(name, CACHE_OPTIONS.into_iter().chain(policy::NAMES).chain(["regions"]))
}

/// The one of the `known` options that `name` is at most two letters away from, whatever its case
/// and with `-` for `_`: what somebody probably meant who wrote `name`.
///
/// # Examples
///
/// ```
/// use beaker_container::config::closest_option;
///
/// assert_eq!(closest_option("Time-Out", ["timeout", "secret"]), Some("timeout"));
/// assert_eq!(closest_option("colour", ["timeout", "secret"]), None);
/// ```
pub fn closest_option<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let name = name.to_lowercase().replace('-', "_");
    let known = known.into_iter().map(|option| (distance(&name, option), option));
    let (distance, option) = known.min()?;
    // Two letters of a short name are most of it.
    (distance <= 2 && distance * 2 < option.len()).then_some(option)
}

/// Letters to put in, take out or replace (Levenshtein), one row of the table at a time.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, letter) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        for (name, meant) in [
            ("expires", Some("expire")),
            ("key_lenght", Some("key_length")),
            ("Data-Dir", Some("data_dir")),
            ("typ", Some("type")),
            ("uri", Some("url")),
            ("region", Some("regions")),
            ("username", None),
            ("", None),
        ] {
            assert_eq!(closest(name), meant, "{name}");
        }
    }
}
