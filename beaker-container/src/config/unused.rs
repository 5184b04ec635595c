use std::fmt;

use super::{CacheOptions, Config};

/// An option that was given and has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusedOption {
    region: Option<String>,
    name: &'static str,
    reason: &'static str,
}

impl UnusedOption {
    fn of(region: Option<&str>, options: &CacheOptions) -> Option<Self> {
        options.lock_dir.as_ref().map(|_lock_dir| Self {
            region: region.map(str::to_owned),
            name: "lock_dir",
            reason: "the stores keep their locks with their entries",
        })
    }

    /// Returns the region it was given for; `None` at top level.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        self.name
    }
}

impl fmt::Display for UnusedOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "option {:?}", self.name)?;
        if let Some(region) = &self.region {
            write!(f, " of region {region:?}")?;
        }
        write!(f, " has no effect: {}", self.reason)
    }
}

impl Config {
    /// Returns the options that were given and have no effect, with the reason as their text. Those that a
    /// region has from the defaults are listed once.
    ///
    /// A [`CacheManager`](crate::CacheManager) warns of them too, with the feature `tracing`.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_container::config::Config;
    ///
    /// let config = Config::from_pairs([
    ///     ("cache.type", "file"),
    ///     ("cache.data_dir", "/var/cache/app"),
    ///     ("cache.lock_dir", "/run/lock/app"),
    /// ])?;
    /// let unused = config.unused_options();
    /// assert_eq!(
    ///     unused[0].to_string(),
    ///     r#"option "lock_dir" has no effect: the stores keep their locks with their entries"#
    /// );
    /// # Ok::<(), beaker_container::config::ConfigError>(())
    /// ```
    pub fn unused_options(&self) -> Vec<UnusedOption> {
        let own =
            |(_, options): &(&String, &CacheOptions)| options.lock_dir != self.defaults.lock_dir;
        let regions = self.regions.iter().filter(own);
        let of_regions =
            regions.filter_map(|(name, options)| UnusedOption::of(Some(name), options));
        UnusedOption::of(None, &self.defaults).into_iter().chain(of_regions).collect()
    }
}
