use super::options::{CacheOptions, Config, Reading};
use super::parse::{BeakerDefaults, Options, parse_cache_config_options};
use super::{ConfigError, OptionValue};

impl Config {
    /// Reads the options that begin with `beaker.cache.` or `cache.`; all others are ignored.
    ///
    /// This is the form in which Python's Beaker is configured, with its conversions: see
    /// [`parse_cache_config_options`]. `cache.regions` lists the regions and
    /// `cache.NAME.OPTION` sets an option of one.
    ///
    /// Two things are stricter than there: `expire` and `key_length` cannot be negative, nor true
    /// or false. And a region that does not name another type takes the URL of the top level.
    ///
    /// # Errors
    ///
    /// An option that has the wrong type, with Beaker's message for it. Unknown options are no
    /// error: [`unknown_options`](Self::unknown_options) lists them.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use beaker_container::config::Config;
    ///
    /// let config = Config::from_pairs([
    ///     ("cache.type", "file"),
    ///     ("cache.data_dir", "/var/cache/app"),
    ///     ("cache.regions", "short, long"),
    ///     ("cache.short.expire", "30"),
    ///     ("cache.long.type", "memory"),
    /// ])?;
    /// assert_eq!(config.regions["short"].expire, Some(Duration::from_secs(30)));
    /// assert_eq!(config.regions["long"].cache_type.as_deref(), Some("memory"));
    /// assert!(config.unknown_options().is_empty());
    ///
    /// let error = Config::from_pairs([("cache.expire", "soon")]).unwrap_err();
    /// assert_eq!(error.option(), Some("expire"));
    /// # Ok::<(), beaker_container::config::ConfigError>(())
    /// ```
    pub fn from_pairs<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, ConfigError>
    where
        K: AsRef<str>,
        V: Into<OptionValue>,
    {
        // Without Beaker's defaults, so that a type that is set can be told from one that is not.
        let parsed = parse_cache_config_options(pairs, BeakerDefaults::Omit)?;
        let mut config = Self::new(typed(parsed.options)?);
        for (name, options) in parsed.regions.unwrap_or_default() {
            let options = typed(options).map_err(|error| {
                let option = format!("{name}.{}", error.option().unwrap_or_default());
                error.at(option)
            })?;
            config.regions.insert(name, options.with_url_of(&config.defaults));
        }
        config.unknown = parsed.unknown;
        Ok(config)
    }
}

fn typed(options: Options) -> Result<CacheOptions, ConfigError> {
    let mut typed = CacheOptions::new();
    for (name, value) in options {
        typed.assign(&name, value, Reading::Beaker)?;
    }
    Ok(typed)
}
