use std::collections::BTreeMap;

use super::coerce::coerce_cache_params;
use super::unknown::UnknownOption;
use super::{ConfigError, OptionValue, policy};
use crate::compat::DEFAULT_KEY_LENGTH;

/// Options by their names, without prefix.
pub type Options = BTreeMap<String, OptionValue>;

/// Whether [`parse_cache_config_options`] puts in what is not given.
#[doc(alias = "include_defaults")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeakerDefaults {
    /// Type `memory`, enabled, and none for the data directory, the expiry and the log file.
    Include,
    /// Nothing but what is given.
    Omit,
}

/// What [`parse_cache_config_options`] found, checked but not yet typed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ParsedOptions {
    /// The options of every cache.
    pub options: Options,
    /// The complete options of each region; `None` if no regions were declared at all.
    pub regions: Option<BTreeMap<String, Options>>,
    /// Which of these options are unknown; they are in the maps above all the same.
    pub unknown: Vec<UnknownOption>,
}

/// What a region has from the top level unless it sets it itself.
const INHERITED: [&str; 5] = ["data_dir", "lock_dir", "type", "enabled", "expire"];

/// Reads the options that begin with `beaker.cache.` or `cache.`, as Beaker does.
///
/// The prefix, whose case matters, is removed; of two pairs with one name the later counts; all
/// other pairs are ignored. Values are checked by [`coerce_cache_params`]. `regions` lists the
/// names of regions; each has the directories, type, enabled, expiry and key length of the top
/// level, overridden by `NAME.OPTION`. Options of a region that is not declared stay at top level
/// under their dotted name and are reported as unknown.
///
/// Where Beaker's own parser fails this one differs: of the regions `a` and `a.b`, `a.b.expire`
/// belongs to `a.b`; a region listed twice keeps its options; and regions without
/// [`BeakerDefaults`] work, an option that is not set being absent.
///
/// [`Config::from_pairs`](super::Config::from_pairs) makes typed options of the same pairs.
///
/// # Errors
///
/// Those of [`coerce_cache_params`], naming a region's option `NAME.OPTION`.
pub fn parse_cache_config_options<K, V>(
    pairs: impl IntoIterator<Item = (K, V)>,
    defaults: BeakerDefaults,
) -> Result<ParsedOptions, ConfigError>
where
    K: AsRef<str>,
    V: Into<OptionValue>,
{
    let mut options = match defaults {
        BeakerDefaults::Include => beaker_defaults(),
        BeakerDefaults::Omit => Options::new(),
    };
    for (name, value) in pairs {
        if let Some(name) = without_prefix(name.as_ref()) {
            options.insert(name.to_owned(), value.into());
        }
    }
    coerce_cache_params(&mut options)?;
    let regions = match options.remove("regions").filter(OptionValue::is_truthy) {
        Some(OptionValue::List(names)) => Some(split_regions(&mut options, &names)?),
        _ => None,
    };
    let unknown = unknown_options(&options, regions.as_ref());
    Ok(ParsedOptions { options, regions, unknown })
}

fn beaker_defaults() -> Options {
    let mut defaults = Options::new();
    defaults.insert("type".to_owned(), "memory".into());
    defaults.insert("enabled".to_owned(), true.into());
    for name in ["data_dir", "expire", "log_file"] {
        defaults.insert(name.to_owned(), OptionValue::None);
    }
    defaults
}

fn without_prefix(name: &str) -> Option<&str> {
    name.strip_prefix("beaker.cache.").or_else(|| name.strip_prefix("cache."))
}

/// Moves the options of the regions called `names` out of `options`, and completes them.
fn split_regions(
    options: &mut Options,
    names: &[OptionValue],
) -> Result<BTreeMap<String, Options>, ConfigError> {
    let mut regions = BTreeMap::new();
    for name in names {
        match name {
            OptionValue::Text(name) if name.is_empty() => {}
            OptionValue::Text(name) => {
                regions.insert(name.clone(), inherited(options));
            }
            _ => {
                let message = "Regions must be a comma separated list of valid regions";
                return Err(ConfigError::invalid(message).at("regions"));
            }
        }
    }
    for dotted in options.keys().cloned().collect::<Vec<_>>() {
        if let Some((region, option)) = owner(&dotted, &mut regions) {
            let value = options.remove(&dotted).unwrap_or_default();
            region.insert(option.to_owned(), value);
        }
    }
    for (name, region) in &mut regions {
        coerce_cache_params(region).map_err(|error| {
            let option = format!("{name}.{}", error.option().unwrap_or_default());
            error.at(option)
        })?;
    }
    Ok(regions)
}

/// What a region starts with.
fn inherited(options: &Options) -> Options {
    let mut region = Options::new();
    for name in INHERITED.into_iter().chain(policy::NAMES) {
        let value = options.get(name).cloned().unwrap_or_default();
        // Type, enabled and the parts of a policy cannot be none: what is not set is absent.
        let own = matches!(name, "type" | "enabled") || policy::NAMES.contains(&name);
        if value != OptionValue::None || !own {
            region.insert(name.to_owned(), value);
        }
    }
    let key_length = options.get("key_length").cloned();
    // 250 is within every integer type.
    let default = OptionValue::Int(DEFAULT_KEY_LENGTH as i64);
    region.insert("key_length".to_owned(), key_length.unwrap_or(default));
    region
}

/// The region that `dotted` belongs to, the one with the longest name, and the rest of `dotted`.
fn owner<'r, 'n>(
    dotted: &'n str,
    regions: &'r mut BTreeMap<String, Options>,
) -> Option<(&'r mut Options, &'n str)> {
    let dots = dotted.rmatch_indices('.').map(|(at, _)| at);
    let at = dots.into_iter().find(|at| regions.contains_key(&dotted[..*at]))?;
    Some((regions.get_mut(&dotted[..at])?, &dotted[at + 1..]))
}

fn unknown_options(
    options: &Options,
    regions: Option<&BTreeMap<String, Options>>,
) -> Vec<UnknownOption> {
    let top_level = options.keys().filter_map(|name| UnknownOption::check(None, name));
    let of_regions = regions.into_iter().flatten().flat_map(|(region, options)| {
        options.keys().filter_map(move |name| UnknownOption::check(Some(region), name))
    });
    top_level.chain(of_regions).collect()
}
