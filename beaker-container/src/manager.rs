//! Caches by name, with options by region.

use std::sync::Arc;

use beaker_namespace::{Key, Mark, Namespace, StoreUrl, Stores, Timestamp, ToKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::{Enabled, Home};
use crate::compat::decorated_key;
use crate::config::{CacheOptions, Config, ConfigError, OptionValue};
use crate::context::{ContainerContext, Dirs};
use crate::life::{REGIONS, Region};
use crate::{Cache, Error, ErrorKind, watch};

/// Makes caches from a [`Config`], and keeps what it opened.
///
/// Regions belong to this manager: two managers may each have a region `short`. The same name and
/// options give a cache on the same namespace, and so does another manager's in the same store.
/// The manager keeps every namespace it opened, so a memory namespace lives as long as it, or until
/// it is told to [`forget`](Self::forget) the name.
/// The default manager has the default options: memory, for ever, no regions.
///
/// # Examples
///
/// ```
/// use beaker_container::CacheManager;
/// use beaker_container::config::Config;
///
/// let config = Config::from_pairs([
///     ("cache.regions", "short, long"),
///     ("cache.short.expire", "60"),
///     ("cache.long.expire", "3600"),
/// ])?;
/// let manager = CacheManager::new(config)?;
/// let users = manager.get_cache_region::<u64, String>("users", "short")?;
/// assert_eq!(users.get_or_create(&1, || "Ada".to_owned())?, "Ada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct CacheManager {
    config: Arc<Config>,
    context: ContainerContext,
}

impl CacheManager {
    /// A manager of caches as `config` says, on the stores of `beaker-namespace` and those that were
    /// [installed](Stores::install).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if an option belongs to a region that is not declared.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::with_stores(config, Stores::new())
    }

    /// The same, on stores of your choice.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_stores(config: Config, stores: Stores) -> Result<Self, Error> {
        // An unknown option may be the store's, which checks it when it is opened. A dotted one
        // is nobody's.
        if let Some(stray) =
            config.unknown_options().iter().find(|option| option.name().contains('.'))
        {
            return Err(Error::new(ErrorKind::Config, stray.to_string()));
        }
        config.unused_options().iter().for_each(watch::unused_option);
        let config = Arc::new(config);
        Ok(Self { config, context: ContainerContext::with_stores(stores) })
    }

    /// A manager of caches in the store at `url`, which never expire.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a wrong URL.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        let _checked: StoreUrl = url.parse()?;
        Self::new(Config::new(CacheOptions::new().url(url)))
    }

    /// What it was configured with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The cache `name`, with the default options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for options that the store refuses; those of the store.
    pub fn get_cache<K, V>(&self, name: &str) -> Result<Cache<K, V>, Error>
    where
        V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        self.cache(&self.config.defaults, name)
    }

    /// The cache `name`, with the default options changed by `change`.
    ///
    /// # Errors
    ///
    /// As [`get_cache`](Self::get_cache).
    pub fn get_cache_with<K, V>(
        &self,
        name: &str,
        change: impl FnOnce(CacheOptions) -> CacheOptions,
    ) -> Result<Cache<K, V>, Error>
    where
        V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        self.cache(&change(self.config.defaults.clone()), name)
    }

    /// The cache `name`, with the options of `region`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a region that is not configured; as [`get_cache`](Self::get_cache).
    pub fn get_cache_region<K, V>(&self, name: &str, region: &str) -> Result<Cache<K, V>, Error>
    where
        V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        let options = self.region_options(region)?;
        let mut cache = self.cache(options, name)?;
        if options.enabled {
            cache.set_region(self.region(options, region)?);
        }
        Ok(cache)
    }

    /// Lets go of the namespaces of the caches called `name`, of all regions and types, and says how many there
    /// were: see [`ContainerContext::forget`]. Caches that are kept go on as they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_container::CacheManager;
    ///
    /// let manager = CacheManager::default();
    /// manager.get_cache::<u64, u64>("tenant 1")?.insert(&1, 1)?;
    /// assert_eq!(manager.forget("tenant 1"), 1);
    /// assert_eq!(manager.get_cache::<u64, u64>("tenant 1")?.get(&1)?, None, "it was in memory");
    /// # Ok::<(), beaker_container::Error>(())
    /// ```
    pub fn forget(&self, name: &str) -> usize {
        self.context.forget(name)
    }

    /// Takes every value of `region` for removed: in all its caches, and for all who share its
    /// store, in this process and in others.
    ///
    /// It is one write, however many caches and values there are, and it wins over creations that
    /// are running. A region is known by its name within its store: two managers with a region of
    /// one name in one store have one region.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a region that is not configured; those of the store;
    /// [`Unsupported`](beaker_namespace::ErrorKind::Unsupported) if it keeps no
    /// [`Marks`](beaker_namespace::Capability::Marks).
    pub fn invalidate_region(&self, region: &str) -> Result<(), Error> {
        self.mark_region(region, Mark::hard)
    }

    /// Takes every value of `region` for expired: the policy of each call says whether it may still
    /// be served while it is made anew. Else as [`invalidate_region`](Self::invalidate_region).
    ///
    /// # Errors
    ///
    /// As [`invalidate_region`](Self::invalidate_region).
    pub fn expire_region(&self, region: &str) -> Result<(), Error> {
        self.mark_region(region, Mark::soft)
    }

    /// As [`invalidate_region`](Self::invalidate_region), in a task: by the store's asynchronous face if it
    /// has one.
    ///
    /// # Errors
    ///
    /// As there, and [`ErrorKind::Runtime`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the region may be invalidated or not.
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    pub async fn invalidate_region_async(&self, region: &str) -> Result<(), Error> {
        self.mark_region_async(region, Mark::hard).await
    }

    /// As [`expire_region`](Self::expire_region), in a task.
    ///
    /// # Errors
    ///
    /// As [`invalidate_region_async`](Self::invalidate_region_async).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the region may be expired or not.
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    pub async fn expire_region_async(&self, region: &str) -> Result<(), Error> {
        self.mark_region_async(region, Mark::soft).await
    }

    #[cfg(feature = "tokio")]
    async fn mark_region_async(
        &self,
        name: &str,
        mark: fn(Timestamp) -> Mark,
    ) -> Result<(), Error> {
        if !self.region_options(name)?.enabled {
            return Ok(());
        }
        // Opening the store may block.
        let (manager, name) = (self.clone(), name.to_owned());
        let open = move || manager.region(manager.region_options(&name)?, &name);
        let region = crate::runtime::blocking(open).await??;
        if region.suits_tasks() {
            return region.mark_async(mark).await;
        }
        crate::runtime::blocking(move || region.mark(mark)).await?
    }

    fn mark_region(&self, name: &str, mark: fn(Timestamp) -> Mark) -> Result<(), Error> {
        let options = self.region_options(name)?;
        if !options.enabled {
            return Ok(());
        }
        self.region(options, name)?.mark(mark)
    }

    pub(crate) fn region(&self, options: &CacheOptions, name: &str) -> Result<Region, Error> {
        let marks = self.context.namespace(&url_of(options)?, REGIONS)?;
        Ok(Region::new(name, marks))
    }

    /// The key of one call of a cached function, as Python's Beaker makes it.
    ///
    /// `parts` are the texts of the decorator's arguments and the call's, in that order. The texts
    /// do not tell `1` from `"1"`: where no Python process shares the cache, use a tuple as key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a region that is not configured.
    pub fn call_key(
        &self,
        region: &str,
        namespace: &str,
        parts: &[impl AsRef<str>],
    ) -> Result<Key, Error> {
        let options = self.region_options(region)?;
        Ok(decorated_key(parts, namespace, options.key_length).to_key())
    }

    /// Removes the value of one call of a cached function; see [`call_key`](Self::call_key).
    ///
    /// It wins over a creation that is running. Removing what is absent succeeds.
    ///
    /// # Errors
    ///
    /// As [`get_cache_region`](Self::get_cache_region).
    pub fn region_invalidate(
        &self,
        region: &str,
        namespace: &str,
        parts: &[impl AsRef<str>],
    ) -> Result<bool, Error> {
        let key = self.call_key(region, namespace, parts)?;
        self.get_cache_region::<Key, Ignored>(namespace, region)?.remove(&key)
    }

    pub(crate) fn region_options(&self, region: &str) -> Result<&CacheOptions, Error> {
        self.config.regions.get(region).ok_or_else(|| {
            let known: Vec<&str> = self.config.regions.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "no regions".to_owned() } else { known.join(", ") };
            let detail = format!("Cache region not configured: {region}; there are {known}");
            Error::new(ErrorKind::Config, detail)
        })
    }

    fn cache<K, V>(&self, options: &CacheOptions, name: &str) -> Result<Cache<K, V>, Error>
    where
        V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        self.open(options, name, Cache::new)
    }

    /// The cache `name` with `options`, as `make` makes it.
    pub(crate) fn open<K, V>(
        &self,
        options: &CacheOptions,
        name: &str,
        make: impl FnOnce(Arc<dyn Namespace>) -> Cache<K, V>,
    ) -> Result<Cache<K, V>, Error> {
        let enabled = if options.enabled { Enabled::Yes } else { Enabled::No };
        let url = if options.enabled { url_of(options)? } else { StoreUrl::new("null") };
        let namespace = self.context.namespace(&url, name)?;
        let home = Home { context: self.context.clone(), url, dirs: Dirs::of(options) };
        let policy = options.policy.ttl(options.expire);
        let cache = make(namespace).at(home).with_policy(policy).with_enabled(enabled);
        Ok(if options.redact_keys { cache.with_redacted_keys() } else { cache })
    }
}

/// A value of no type: enough to remove an entry.
type Ignored = Option<()>;

fn url_of(options: &CacheOptions) -> Result<StoreUrl, Error> {
    let url = match &options.url {
        Some(url) => url.parse()?,
        None => {
            let kind = options.cache_type.as_deref().unwrap_or("memory");
            Dirs::of(options).url_of_type(kind)?
        }
    };
    options.extra.iter().try_fold(url, |url, (name, value)| {
        Ok(match value {
            OptionValue::None => url,
            OptionValue::Bool(value) => url.with_option(name, value),
            OptionValue::Int(value) => url.with_option(name, value),
            OptionValue::Float(value) => url.with_option(name, value),
            OptionValue::Text(value) => url.with_option(name, value),
            _ => return Err(Error::new(ErrorKind::Config, format!("{name} must be one value"))),
        })
    })
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::new(ErrorKind::Config, error.to_string())
    }
}
