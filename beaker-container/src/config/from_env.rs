use std::collections::BTreeMap;
use std::ffi::OsStr;

use super::options::{Config, Reading};
use super::unknown::{UnknownOption, is_cache_option};
use super::value::{Separator, Trim, as_list};
use super::{ConfigError, OptionValue};

/// What the names of our variables begin with.
const PREFIX: &str = "BEAKER_CACHE_";

impl Config {
    /// Reads the variables that begin with `BEAKER_CACHE_`; all others are ignored.
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `BEAKER_CACHE_TYPE`, `_URL`, `_DATA_DIR`, `_LOCK_DIR`, `_EXPIRE`, `_ENABLED`, `_KEY_LENGTH` | the options of every cache |
    /// | `BEAKER_CACHE_REGIONS` | the names of the regions, separated by commas |
    /// | `BEAKER_CACHE_SHORT_EXPIRE` | the option `expire` of the region `short` |
    ///
    /// In a variable the name of a region is in upper case, and what is neither letter nor digit
    /// is `_`. `_EXPIRE` is whole seconds, a duration (`90s`, `10m`, `1h30m`) or `never`. The
    /// order of the variables does not matter. An empty variable is an empty text, not an absent
    /// one.
    ///
    /// # Errors
    ///
    /// An option of the wrong type or one of ours that is no Unicode, named by its variable;
    /// regions whose names would share their variables. Unknown options are no error:
    /// [`unknown_options`](Self::unknown_options) lists them, in lower case.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use beaker_container::config::Config;
    ///
    /// let config = Config::from_env([
    ///     ("BEAKER_CACHE_URL", "file:///var/cache/app"),
    ///     ("BEAKER_CACHE_REGIONS", "short,long-term"),
    ///     ("BEAKER_CACHE_SHORT_EXPIRE", "90s"),
    ///     ("BEAKER_CACHE_LONG_TERM_EXPIRE", "never"),
    ///     ("HOME", "/root"),
    /// ])?;
    /// assert_eq!(config.regions["short"].expire, Some(Duration::from_secs(90)));
    ///
    /// // In a program:
    /// let config = Config::from_env(std::env::vars_os())?;
    /// # let _ = config;
    /// # Ok::<(), beaker_container::config::ConfigError>(())
    /// ```
    pub fn from_env<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Result<Self, ConfigError>
    where
        N: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let mut variables = ours(variables)?;
        let regions = Regions::declared(variables.remove("REGIONS").unwrap_or_default())?;
        let mut config = Self::default();
        // The options of every cache come first, because regions start with them.
        for (name, value) in &variables {
            if regions.owner(name).is_none() {
                config.assign_variable(None, name, value)?;
            }
        }
        for region in regions.by_variable.values() {
            config.regions.insert(region.clone(), config.defaults.inherited());
        }
        for (name, value) in &variables {
            if let Some((region, option)) = regions.owner(name) {
                config.assign_variable(Some(region), option, value)?;
            }
        }
        let Self { defaults, regions, .. } = &mut config;
        for region in regions.values_mut() {
            *region = std::mem::take(region).with_url_of(defaults);
        }
        Ok(config)
    }

    /// Sets what the variable called `option`, without its prefixes, is about.
    fn assign_variable(
        &mut self,
        region: Option<&str>,
        option: &str,
        value: &str,
    ) -> Result<(), ConfigError> {
        let name = option.to_lowercase();
        self.unknown.extend(UnknownOption::check(region, &name));
        let options = match region {
            Some(region) => self.regions.entry(region.to_owned()).or_default(),
            None => &mut self.defaults,
        };
        options.assign(&name, value.into(), Reading::Native).map_err(|error| {
            let region = region.map_or_else(String::new, |region| variable_form(region) + "_");
            error.at(format!("{PREFIX}{region}{option}"))
        })
    }
}

/// Our variables, without their prefix.
fn ours<N, V>(
    variables: impl IntoIterator<Item = (N, V)>,
) -> Result<BTreeMap<String, String>, ConfigError>
where
    N: AsRef<OsStr>,
    V: AsRef<OsStr>,
{
    let mut ours = BTreeMap::new();
    for (name, value) in variables {
        let name = name.as_ref().to_string_lossy();
        if let Some(option) = name.strip_prefix(PREFIX) {
            let value = value.as_ref().to_str().ok_or_else(|| {
                ConfigError::invalid("the value is not valid Unicode").at(name.as_ref())
            })?;
            ours.insert(option.to_owned(), value.to_owned());
        }
    }
    Ok(ours)
}

/// The declared regions by the form of their names in variables.
struct Regions {
    by_variable: BTreeMap<String, String>,
}

impl Regions {
    fn declared(list: String) -> Result<Self, ConfigError> {
        let mut by_variable = BTreeMap::new();
        for name in as_list(list.into(), Separator::Text(","), Trim::Items) {
            let OptionValue::Text(name) = name else { continue };
            if name.is_empty() {
                continue;
            }
            match by_variable.insert(variable_form(&name), name.clone()) {
                Some(other) if other != name => {
                    let message = format!("regions {other:?} and {name:?} share their variables");
                    let error = ConfigError::invalid(message).at(format!("{PREFIX}REGIONS"));
                    return Err(error.fix("rename one of them"));
                }
                _ => {}
            }
        }
        Ok(Self { by_variable })
    }

    /// The region that `variable` is about, and the option's name in it.
    ///
    /// An option of every cache is not taken for one of a region `data`; of the regions `a` and
    /// `a_b` the one counts that makes a known option of the rest, else the longer one.
    fn owner<'r, 'v>(&'r self, variable: &'v str) -> Option<(&'r str, &'v str)> {
        let known = |option: &str| is_cache_option(&option.to_lowercase());
        if known(variable) {
            return None;
        }
        let splits = variable.rmatch_indices('_').filter_map(|(at, _)| {
            let region = self.by_variable.get(&variable[..at])?;
            Some((region.as_str(), &variable[at + 1..]))
        });
        let splits: Vec<_> = splits.collect();
        splits.iter().find(|(_, option)| known(option)).or(splits.first()).copied()
    }
}

/// `long-term` is `LONG_TERM`.
fn variable_form(region: &str) -> String {
    region
        .chars()
        .flat_map(char::to_uppercase)
        .map(|letter| if letter.is_alphanumeric() { letter } else { '_' })
        .collect()
}
