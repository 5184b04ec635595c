//! Configuration: read without a panic, in any order alike, and no error tells a value.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use arbitrary::{Arbitrary, Unstructured};
use beaker_container::config::{
    BeakerDefaults, Config, ConfigError, OptionValue, parse_cache_config_options,
};

/// A text that stands in values only, never in names.
const SECRET: &str = "zq7secret";

const PREFIXES: [&str; 4] = ["cache.", "beaker.cache.", "", "CACHE."];

const NAMES: [&str; 12] = [
    "type",
    "url",
    "data_dir",
    "file_dir",
    "dbm_dir",
    "lock_dir",
    "expire",
    "enabled",
    "key_length",
    "log_file",
    "regions",
    "table",
];

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
enum Case<'a> {
    Toml(&'a str),
    Pairs(Vec<(Name, Value)>),
    Env(Vec<(Name, Value)>),
    RawEnv(Vec<(Vec<u8>, Vec<u8>)>),
}

/// The name of an option, mostly one that means something.
#[derive(Debug, Arbitrary)]
struct Name {
    prefix: u8,
    region: Option<String>,
    option: Result<u8, String>,
}

#[derive(Debug, Clone, Arbitrary)]
enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Secret(String),
    List(Vec<String>),
}

/// Reads a configuration of one of the forms.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    match case {
        Case::Toml(text) => toml(text),
        Case::Pairs(pairs) => self::pairs(&pairs),
        Case::Env(variables) => env(&variables),
        Case::RawEnv(variables) => {
            let ours = variables.into_iter().map(|(mut name, value)| {
                name.splice(..0, *b"BEAKER_CACHE_");
                (OsString::from_vec(name), OsString::from_vec(value))
            });
            let _read = Config::from_env(ours);
        }
    }
}

fn toml(text: &str) {
    match Config::from_toml(text) {
        Ok(config) => check(&config),
        Err(error) => {
            let lines = text.split('\n').count();
            assert!(error.line().is_none_or(|line| (1..=lines).contains(&line)), "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
}

fn pairs(pairs: &[(Name, Value)]) {
    let written: Vec<(String, OptionValue)> =
        pairs.iter().map(|(name, value)| (name.dotted(), value.option())).collect();
    let read = Config::from_pairs(written.clone());
    let _raw = parse_cache_config_options(written.clone(), BeakerDefaults::Include);
    conceals(&read, pairs);
    if let Ok(config) = &read {
        check(config);
    }
    let stripped = |name: &str| {
        let option = name.strip_prefix("beaker.cache.").or_else(|| name.strip_prefix("cache."));
        option.map(str::to_owned)
    };
    if are_distinct(written.iter().filter_map(|(name, _)| stripped(name))) {
        assert_same(&read, &Config::from_pairs(written.into_iter().rev()));
    }
}

fn env(variables: &[(Name, Value)]) {
    let written: Vec<(String, String)> =
        variables.iter().map(|(name, value)| (name.variable(), value.text())).collect();
    let read = Config::from_env(written.clone());
    conceals(&read, variables);
    if let Ok(config) = &read {
        check(config);
    }
    if are_distinct(written.iter().map(|(name, _)| name.clone())) {
        assert_same(&read, &Config::from_env(written.into_iter().rev()));
    }
}

/// What holds for every configuration that was read.
fn check(config: &Config) {
    for options in config.regions.values().chain([&config.defaults]) {
        let _shown = format!("{options:?}");
        assert!(options.url.as_deref() != Some(""));
    }
    let unknown = config.unknown_options();
    let refused = config.clone().refuse_unknown(&[]);
    assert_eq!(refused.is_ok(), unknown.is_empty());
    assert!(unknown.iter().all(|option| !option.to_string().is_empty()));
}

/// No error tells a value; names of regions are values of one option, and are told.
fn conceals(read: &Result<Config, ConfigError>, written: &[(Name, Value)]) {
    let in_names = written.iter().any(|(name, _)| name.dotted().contains(SECRET));
    let in_regions = written.iter().any(|(name, value)| {
        name.dotted().to_lowercase().ends_with("regions") && value.text().contains(SECRET)
    });
    if in_names || in_regions {
        return;
    }
    match read {
        Ok(config) => {
            let unknown = config.unknown_options();
            assert!(!format!("{unknown:?}").contains(SECRET));
        }
        Err(error) => assert!(!format!("{error} {error:?}").contains(SECRET), "{error}"),
    }
}

/// The same configuration, or errors both; which of several errors is found first may differ.
fn assert_same(a: &Result<Config, ConfigError>, b: &Result<Config, ConfigError>) {
    match (a, b) {
        // Not-a-number is not equal to itself, but is shown alike.
        (Ok(a), Ok(b)) => assert_eq!(
            (format!("{:?} {:?}", a.defaults, a.regions), a.unknown_options()),
            (format!("{:?} {:?}", b.defaults, b.regions), b.unknown_options()),
        ),
        (a, b) => assert_eq!(a.is_ok(), b.is_ok(), "{a:?} {b:?}"),
    }
}

fn are_distinct(names: impl Iterator<Item = String>) -> bool {
    let mut names: Vec<String> = names.collect();
    let count = names.len();
    names.sort();
    names.dedup();
    names.len() == count
}

impl Name {
    fn dotted(&self) -> String {
        let prefix = PREFIXES[usize::from(self.prefix) % PREFIXES.len()];
        match &self.region {
            Some(region) => format!("{prefix}{region}.{}", self.option()),
            None => format!("{prefix}{}", self.option()),
        }
    }

    fn variable(&self) -> String {
        let region = self.region.iter().map(|region| format!("{}_", region.to_uppercase()));
        let region: String = region.collect();
        format!("BEAKER_CACHE_{region}{}", self.option().to_uppercase())
    }

    fn option(&self) -> &str {
        match &self.option {
            Ok(index) => NAMES[usize::from(*index) % NAMES.len()],
            Err(name) => name,
        }
    }
}

impl Value {
    fn option(&self) -> OptionValue {
        match self {
            Self::None => OptionValue::None,
            Self::Bool(value) => (*value).into(),
            Self::Int(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Secret(text) => format!("{SECRET}{text}").into(),
            Self::List(items) => items.iter().map(String::as_str).collect::<Vec<_>>().into(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Secret(text) => format!("{SECRET}{text}"),
            Self::List(items) => items.join(","),
        }
    }
}
