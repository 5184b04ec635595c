use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::rule::OptionRule;
use super::unknown::UnknownOption;
use super::value::trim;
use super::{ConfigError, ConfigErrorKind, OptionValue, as_bool, coerce, expire, policy};
use crate::compat::DEFAULT_KEY_LENGTH;
use crate::policy::Policy;

/// The options of every cache, and those of the regions.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_container::config::{CacheOptions, Config};
///
/// let defaults = CacheOptions::new().cache_type("file").data_dir("/var/cache/app");
/// let config = Config::new(defaults)
///     .region("short", |options| options.expire(Duration::from_secs(30)))
///     .region("pages", |options| options.cache_type("memory").key_length(400));
///
/// let short = &config.regions["short"];
/// assert_eq!(short.cache_type.as_deref(), Some("file"));
/// assert_eq!(short.expire, Some(Duration::from_secs(30)));
/// assert_eq!(config.regions["pages"].expire, None);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Config {
    /// The options of a cache that belongs to no region.
    pub defaults: CacheOptions,
    /// The complete options of each region.
    pub regions: BTreeMap<String, CacheOptions>,
    pub(super) unknown: Vec<UnknownOption>,
}

/// The options of a cache.
///
/// Its `Debug` text shows neither a password in the URL nor the values of extra options.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct CacheOptions {
    /// The store by its name, such as `memory` or `file`. Default: `None`, which is `memory`
    /// unless there is a URL.
    pub cache_type: Option<String>,
    /// The store as a URL, such as `file:///var/cache/app`. It says more than the type and wins
    /// over it. Default: `None`.
    pub url: Option<String>,
    /// Where a store puts its files. Default: `None`.
    pub data_dir: Option<PathBuf>,
    /// Where the store `file` puts its files, instead of in [`data_dir`](Self::data_dir). Default: `None`.
    /// As Beaker's, it is not passed on to regions.
    pub file_dir: Option<PathBuf>,
    /// The same for the store `dbm`.
    pub dbm_dir: Option<PathBuf>,
    /// Where Python's Beaker puts its lock files. It has no effect here, which
    /// [`Config::unused_options`] tells: our stores keep their locks with their entries, so that nobody
    /// who opens these can miss the locks of the others. Default: `None`.
    pub lock_dir: Option<PathBuf>,
    /// How long a value is fresh; zero: it never is; `None`, the default: for ever.
    pub expire: Option<Duration>,
    /// What else is decided about the life of the values. Its time to live is not used:
    /// [`expire`](Self::expire) is.
    pub policy: Policy,
    /// Whether anything is cached. Default: true.
    pub enabled: bool,
    /// The longest key, with its namespace and in characters, that Beaker's key texts keep as it
    /// is. Default: 250; zero digests every key.
    pub key_length: usize,
    /// Whether spans and events show keys and tags as hashes; see
    /// [`Cache::with_redacted_keys`](crate::Cache::with_redacted_keys). Default: false.
    pub redact_keys: bool,
    /// Options this crate does not know, for the store. They are not passed on to regions.
    /// `log_file` is not among them: Beaker accepts it and does nothing with it, and so do we.
    pub extra: BTreeMap<String, OptionValue>,
}

/// Who wrote a value, which decides how it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Beaker's string map: [`coerce`]'s rules to the letter.
    Beaker,
    /// TOML or the environment: an expiry may be a duration, and a text must be one.
    Native,
}

impl Config {
    /// Every cache has `defaults`; there are no regions.
    pub fn new(defaults: CacheOptions) -> Self {
        Self { defaults, regions: BTreeMap::new(), unknown: Vec::new() }
    }

    /// Adds a region, or replaces the one of this name.
    ///
    /// `configure` gets what the region takes from the defaults as they are now (all but the URL,
    /// `file_dir`, `dbm_dir` and the extra options) and returns the region's options. If these leave type and URL as
    /// they were, the region takes the URL of the defaults too.
    #[must_use]
    pub fn region(
        mut self,
        name: impl Into<String>,
        configure: impl FnOnce(CacheOptions) -> CacheOptions,
    ) -> Self {
        let options = configure(self.defaults.inherited()).with_url_of(&self.defaults);
        self.regions.insert(name.into(), options);
        self
    }

    /// Returns the options that were read and that this crate does not know.
    ///
    /// They are misspelt, belong to a region that is not declared, or are meant for a store.
    pub fn unknown_options(&self) -> &[UnknownOption] {
        &self.unknown
    }

    /// Refuses unknown options, except those called one of `accepted`.
    ///
    /// # Errors
    ///
    /// The first unknown option, with what was probably meant.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_container::config::Config;
    ///
    /// let pairs = [("cache.expires", "60"), ("cache.table_name", "beaker")];
    /// let error = Config::from_pairs(pairs)?.refuse_unknown(&["table_name"]).unwrap_err();
    /// assert_eq!(error.to_string(), r#"unknown option "expires"; did you mean "expire"?"#);
    /// # Ok::<(), beaker_container::config::ConfigError>(())
    /// ```
    pub fn refuse_unknown(self, accepted: &[&str]) -> Result<Self, ConfigError> {
        match self.unknown.iter().find(|option| !accepted.contains(&option.name())) {
            Some(option) => {
                Err(ConfigError::new(ConfigErrorKind::UnknownOption, option.to_string()))
            }
            None => Ok(self),
        }
    }
}

impl CacheOptions {
    /// The defaults: memory, for ever, enabled.
    pub fn new() -> Self {
        Self {
            cache_type: None,
            url: None,
            data_dir: None,
            file_dir: None,
            dbm_dir: None,
            lock_dir: None,
            expire: None,
            policy: Policy::new(),
            enabled: true,
            key_length: DEFAULT_KEY_LENGTH,
            redact_keys: false,
            extra: BTreeMap::new(),
        }
    }

    /// Sets [`cache_type`](Self::cache_type).
    #[must_use]
    pub fn cache_type(mut self, cache_type: impl Into<String>) -> Self {
        self.cache_type = Some(cache_type.into());
        self
    }

    /// Sets [`url`](Self::url).
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets [`data_dir`](Self::data_dir).
    #[must_use]
    pub fn data_dir(mut self, data_dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(data_dir.into());
        self
    }

    /// Sets [`file_dir`](Self::file_dir).
    #[must_use]
    pub fn file_dir(mut self, file_dir: impl Into<PathBuf>) -> Self {
        self.file_dir = Some(file_dir.into());
        self
    }

    /// Sets [`dbm_dir`](Self::dbm_dir).
    #[must_use]
    pub fn dbm_dir(mut self, dbm_dir: impl Into<PathBuf>) -> Self {
        self.dbm_dir = Some(dbm_dir.into());
        self
    }

    /// Sets [`lock_dir`](Self::lock_dir).
    #[must_use]
    pub fn lock_dir(mut self, lock_dir: impl Into<PathBuf>) -> Self {
        self.lock_dir = Some(lock_dir.into());
        self
    }

    /// Sets [`expire`](Self::expire); `None` is never.
    #[must_use]
    pub fn expire(mut self, expire: impl Into<Option<Duration>>) -> Self {
        self.expire = expire.into();
        self
    }

    /// Changes [`policy`](Self::policy).
    #[must_use]
    pub fn policy(mut self, change: impl FnOnce(Policy) -> Policy) -> Self {
        self.policy = change(self.policy);
        self
    }

    /// Caches nothing: see [`enabled`](Self::enabled).
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    /// Sets [`key_length`](Self::key_length).
    #[must_use]
    pub fn key_length(mut self, key_length: usize) -> Self {
        self.key_length = key_length;
        self
    }

    /// Shows no keys and no tags: see [`redact_keys`](Self::redact_keys).
    #[must_use]
    pub fn redact_keys(mut self) -> Self {
        self.redact_keys = true;
        self
    }

    /// Adds one of the [`extra`](Self::extra) options.
    #[must_use]
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<OptionValue>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    /// What a region starts with.
    pub(super) fn inherited(&self) -> Self {
        let (file_dir, dbm_dir) = (None, None);
        Self { url: None, file_dir, dbm_dir, extra: BTreeMap::new(), ..self.clone() }
    }

    /// Takes the URL of `defaults` unless there is one, or a type that the URL does not belong to.
    pub(super) fn with_url_of(mut self, defaults: &Self) -> Self {
        if self.url.is_none() && self.cache_type == defaults.cache_type {
            self.url.clone_from(&defaults.url);
        }
        self
    }

    /// Sets the option called `name`; an unknown one goes to the extra options.
    pub(super) fn assign(
        &mut self,
        name: &str,
        value: OptionValue,
        reading: Reading,
    ) -> Result<(), ConfigError> {
        if let Some(assigned) = policy::assign(&mut self.policy, name, &value) {
            return assigned;
        }
        match name {
            "type" => self.cache_type = text(name, value, reading)?,
            "url" => self.url = url(value)?,
            "data_dir" => self.data_dir = text(name, value, reading)?.map(PathBuf::from),
            "file_dir" => self.file_dir = text(name, value, reading)?.map(PathBuf::from),
            "dbm_dir" => self.dbm_dir = text(name, value, reading)?.map(PathBuf::from),
            "lock_dir" => self.lock_dir = text(name, value, reading)?.map(PathBuf::from),
            "expire" => self.expire = expiry(value, reading)?,
            "enabled" => self.enabled = enabled(value)?,
            "key_length" => self.key_length = key_length(value)?,
            "redact_keys" => self.redact_keys = redact_keys(&value)?,
            // Beaker accepts it and does nothing with it.
            "log_file" => {}
            _ => drop(self.extra.insert(name.to_owned(), value)),
        }
        Ok(())
    }
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CacheOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheOptions")
            .field("cache_type", &self.cache_type)
            .field("url", &self.url.as_deref().map(without_secrets))
            .field("data_dir", &self.data_dir)
            .field("file_dir", &self.file_dir)
            .field("dbm_dir", &self.dbm_dir)
            .field("lock_dir", &self.lock_dir)
            .field("expire", &self.expire)
            .field("policy", &self.policy)
            .field("enabled", &self.enabled)
            .field("key_length", &self.key_length)
            .field("redact_keys", &self.redact_keys)
            .field("extra", &self.extra.keys())
            .finish()
    }
}

fn text(name: &str, value: OptionValue, reading: Reading) -> Result<Option<String>, ConfigError> {
    match coerced(name, value, reading)? {
        OptionValue::Text(text) => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// Beaker has no rule for URLs; an empty one it refuses when the store is opened.
fn url(value: OptionValue) -> Result<Option<String>, ConfigError> {
    match value {
        OptionValue::None => Ok(None),
        OptionValue::Text(text) if trim(&text).is_empty() => {
            Err(ConfigError::invalid("url is required")
                .at("url")
                .fix("write one, or remove the option"))
        }
        OptionValue::Text(text) => Ok(Some(text)),
        _ => Err(ConfigError::invalid("url must be a string").at("url").fix("put it in quotes")),
    }
}

fn expiry(value: OptionValue, reading: Reading) -> Result<Option<Duration>, ConfigError> {
    let read = match reading {
        Reading::Beaker => expire::from_seconds(&coerced("expire", value, reading)?),
        Reading::Native => expire::from_seconds_or_text(&value),
    };
    read.ok_or_else(|| match reading {
        Reading::Beaker => rule_error("expire"),
        Reading::Native => rule_error("expire").fix(expire::FIX),
    })
}

/// None is not set.
fn enabled(value: OptionValue) -> Result<bool, ConfigError> {
    match coerced("enabled", value, Reading::Beaker)? {
        OptionValue::Bool(enabled) => Ok(enabled),
        _ => Ok(true),
    }
}

/// None is not set.
fn redact_keys(value: &OptionValue) -> Result<bool, ConfigError> {
    if *value == OptionValue::None {
        return Ok(false);
    }
    as_bool(value).map_err(|_not_a_bool| {
        ConfigError::invalid("redact_keys must be yes or no")
            .at("redact_keys")
            .fix("write \"true\" or \"false\"")
    })
}

/// None is not set; a bool, though Python takes it for a number, is refused.
fn key_length(value: OptionValue) -> Result<usize, ConfigError> {
    match coerced("key_length", value, Reading::Beaker)? {
        OptionValue::None => Ok(DEFAULT_KEY_LENGTH),
        OptionValue::Int(length) => usize::try_from(length).map_err(|_| rule_error("key_length")),
        _ => Err(rule_error("key_length")),
    }
}

/// Applies the rule of the option called `name`.
fn coerced(name: &str, value: OptionValue, reading: Reading) -> Result<OptionValue, ConfigError> {
    let Some(rule) = coerce::rule(name) else {
        return Ok(value);
    };
    match rule.coerce(value.clone())? {
        // Python would make a text of a number or a list; there it cannot be what was meant.
        OptionValue::Text(_)
            if reading == Reading::Native && !matches!(value, OptionValue::Text(_)) =>
        {
            Err(rule.error())
        }
        coerced => Ok(coerced),
    }
}

fn rule_error(name: &str) -> ConfigError {
    coerce::rule(name).map_or_else(|| ConfigError::invalid(name), OptionRule::error)
}

/// The URL with its user part and its query masked.
fn without_secrets(url: &str) -> String {
    let (url, query) = url.split_once('?').map_or((url, ""), |(url, _)| (url, "?***"));
    let shown = match url.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://***@{host}"),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    };
    shown + query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_text_shows_no_secret() {
        let options = CacheOptions::new()
            .url("redis://joe:secret@host/0?password=secret")
            .extra("password", "secret");
        let text = format!("{options:?}");
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("redis://***@host/0?***"), "{text}");
        assert!(text.contains("\"password\""), "{text}");
    }
}
