//! One namespace's typed face.

mod invalidate;
mod many;
mod place;
mod settings;
#[cfg(feature = "tokio")]
mod tasks;

use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{
    Codec, FromKey, Key, MemoryConfig, MemoryNamespace, Namespace, Scan, ToKey,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::ContainerContext;
use crate::creation::Created;
use crate::fetch::Fetch;
use crate::life::{Life, Region};
use crate::policy::Policy;
use crate::values::Values;
use crate::{CreateError, Error, Why};

pub(crate) use self::place::Home;
pub use self::settings::Enabled;

/// The mark of a namespace that is a region of its own.
const OWN_REGION: &str = "beaker region";

/// Values of type `V` under keys of type `K`, in one namespace of any store.
///
/// Each value is made once: in this process by one flight per key, and among the processes of the
/// host by the namespace's claim. An invalidation wins over a creation that is running.
///
/// Cloning is cheap and gives the same cache. Two caches on one namespace see each other's values;
/// they must agree on `V`.
///
/// A hit in memory clones the value under a short shared lock: cloning a `V` must be cheap, and must
/// not call the cache. Put large values in an [`Arc`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_container::Cache;
///
/// let squares = Cache::<u64, u64>::open("memory:", "squares")?.with_ttl(Duration::from_secs(60));
/// assert_eq!(squares.get_or_create(&12, || 12 * 12)?, 144);
/// assert_eq!(squares.get_or_create(&12, || unreachable!("it is cached"))?, 144);
/// # Ok::<(), beaker_container::Error>(())
/// ```
pub struct Cache<K, V> {
    life: Life<V>,
    policy: Policy,
    enabled: bool,
    home: Option<Home>,
    _keys: PhantomData<fn(&K)>,
}

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self {
            life: self.life.clone(),
            policy: self.policy,
            enabled: self.enabled,
            home: self.home.clone(),
            _keys: PhantomData,
        }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("namespace", self.life.namespace.id())
            .field("ttl", &self.policy.ttl)
            .field("stale", &self.policy.stale)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

impl<K, V> Cache<K, V>
where
    V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    /// Values that any store can keep, on `namespace`.
    pub fn new(namespace: Arc<dyn Namespace>) -> Self {
        Self::from_parts(namespace, Values::encoded(Codec::default()))
    }

    /// Opens the namespace `name` in the store at `url`, such as `memory:` or `file:///dir`.
    ///
    /// Other crates' stores, such as `sqlite:`, are known once they were installed: see
    /// [`Stores::install`](beaker_namespace::Stores::install).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a wrong URL, and those of the store.
    pub fn open(url: &str, name: &str) -> Result<Self, Error> {
        ContainerContext::new().cache(&url.parse()?, name)
    }

    /// Writes with `codec` from now on. Reading follows what the stored bytes say. Default:
    /// [`Codec::default`].
    #[must_use]
    pub fn with_codec(mut self, codec: Codec) -> Self {
        self.life.values = self.life.values.with_codec(codec);
        self
    }
}

impl<K, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Live objects that need no codec, on a namespace that keeps such; another store refuses them.
    pub fn of_objects(namespace: Arc<dyn Namespace>) -> Self {
        Self::from_parts(namespace, Values::objects())
    }

    /// Live objects in this process's memory, at most `max_entries`, shared with nobody.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a limit of zero.
    pub fn in_memory(max_entries: u64) -> Result<Self, Error> {
        let config = MemoryConfig::new().max_entries(max_entries);
        Ok(Self::of_objects(MemoryNamespace::anonymous(config)?))
    }
}

impl<K, T: Send + Sync + 'static> Cache<K, Arc<T>> {
    /// Live objects in `Arc`s, kept as they are on a namespace that keeps live objects.
    ///
    /// [`of_objects`](Self::of_objects) would put each `Arc` in another one, and a hit would follow
    /// both. A cache made here and one made there do not read each other's values.
    pub fn of_shared_objects(namespace: Arc<dyn Namespace>) -> Self {
        Self::from_parts(namespace, Values::shared())
    }
}

impl<K, V> Cache<K, V> {
    fn from_parts(namespace: Arc<dyn Namespace>, values: Values<V>) -> Self {
        Self {
            life: Life::new(namespace, values),
            policy: Policy::new(),
            enabled: true,
            home: None,
            _keys: PhantomData,
        }
    }

    /// Makes the cache a region of its own, kept in its own namespace, in place of the one it is in.
    ///
    /// So [`expire_region`](Self::expire_region) is the soft form of [`clear`](Self::clear): one write takes
    /// all values for expired, and the policy says whether they may still be served while they are made
    /// anew. Everybody who reads the namespace has to do so too, as a reader without it asks for no mark;
    /// each read here does, which is one more look-up in a database.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use beaker_container::{Cache, Source, Stale};
    ///
    /// let pages = Cache::<String, String>::open("memory:", "own region")?
    ///     .with_stale(Stale::OnError { max_age: Duration::from_secs(600) })
    ///     .with_own_region();
    /// pages.insert("home", "<h1>Hello</h1>".to_owned())?;
    /// pages.expire_region()?;
    /// assert_eq!(pages.get("home")?, None);
    /// let got = pages.fetch("home").try_create(|_| Err::<String, _>("the source is down"));
    /// assert_eq!(got.map(|got| got.source).ok(), Some(Source::Fallback));
    /// # Ok::<(), beaker_container::Error>(())
    /// ```
    #[must_use]
    pub fn with_own_region(mut self) -> Self {
        let marks = Arc::clone(&self.life.namespace);
        self.life.region = Some(Region::new(OWN_REGION, marks));
        self
    }

    pub(crate) fn set_region(&mut self, region: Region) {
        self.life.region = Some(region);
    }

    pub(crate) fn at(mut self, home: Home) -> Self {
        self.home = Some(home);
        self
    }
}

impl<K: ToKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// The current value under `key`, or `None`.
    ///
    /// # Errors
    ///
    /// Those of the store. Bytes that were written for another type are `None`; a live object of
    /// another type is [`ErrorKind::WrongType`](crate::ErrorKind::WrongType).
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Result<Option<V>, Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        if !self.enabled {
            return Ok(None);
        }
        self.life.get(&key.to_key(), &self.policy)
    }

    /// The current value under `key`, or what `create` returns, which is stored.
    ///
    /// # Concurrency
    ///
    /// While one caller runs `create`, the others wait for its value, at most for
    /// [`with_wait`](Self::with_wait), in this process and, on a store shared by processes, in
    /// others. With [`Stale::WhileRefreshing`](crate::Stale::WhileRefreshing) they get the expired value at once instead. Values
    /// under other keys are not held up. `create` runs in the calling thread, at most once in this
    /// call, under the claim of its key and no other lock.
    ///
    /// # Errors
    ///
    /// Those of the store, [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) and [`ErrorKind::Reentrant`](crate::ErrorKind::Reentrant).
    ///
    /// A store that fails when it is asked for the claim (a full or read-only disk, say) takes nothing away
    /// that there is to serve: a value that is fresh and was to be made anew early, an expired one that
    /// [`Stale`](crate::Stale) lets be served, the [default value](Self::with_default_value). Without
    /// these its error is returned, and `create` does not run: nothing would keep others from running
    /// theirs at the same time. What was *made* is returned even if it cannot be stored.
    ///
    /// # Panics
    ///
    /// A panic in `create` reaches its own caller only; a waiter creates next.
    #[inline]
    pub fn get_or_create<Q>(&self, key: &Q, create: impl FnOnce() -> V) -> Result<V, Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        self.get_or_try_create(key, || Ok::<V, Infallible>(create()))
            .map_err(CreateError::into_cache_error)
    }

    /// As [`get_or_create`](Self::get_or_create), for a `create` that can fail.
    ///
    /// A failing `create` runs once for all who wait for it: they all get its error, and nothing is
    /// stored. For an error that is not `Clone`, wrap it in an `Arc`.
    ///
    /// # Errors
    ///
    /// The creator's own as [`CreateError::Create`], anything else as [`CreateError::Cache`].
    #[inline]
    pub fn get_or_try_create<Q, E>(
        &self,
        key: &Q,
        create: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, CreateError<E>>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
        E: Clone + Send + Sync + 'static,
    {
        self.get_or_try_create_at(&key.to_key(), create)
    }

    /// As [`get_or_try_create`](Self::get_or_try_create), under a key that was made already: a copy of
    /// it, as [`ToKey`] makes, would wait until it has reached the processor's cache.
    #[inline(always)]
    pub(crate) fn get_or_try_create_at<E>(
        &self,
        key: &Key,
        create: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        if !self.enabled {
            return create().map_err(CreateError::Create);
        }
        self.life.get_or_try_create(key, &self.policy, create)
    }

    /// A call for `key` that can have a policy of its own and says what happened; see [`Fetch`].
    pub fn fetch<Q>(&self, key: &Q) -> Fetch<'_, V>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        Fetch::new(&self.life, self.enabled, key.to_key(), &self.policy)
    }

    /// Stores `value` under `key`, with the cache's time to live.
    ///
    /// It replaces what is there, and wins over a creation that is running.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn insert<Q>(&self, key: &Q, value: V) -> Result<(), Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        self.store(key, Created::new(value))
    }

    /// As [`insert`](Self::insert), with a time to live of its own; `None` is never.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn insert_with_ttl<Q>(
        &self,
        key: &Q,
        value: V,
        ttl: impl Into<Option<Duration>>,
    ) -> Result<(), Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        self.store(key, Created::new(value).ttl(ttl))
    }

    /// As [`insert`](Self::insert), with all that a creator can decide: time to live, tags, cost,
    /// entity tag.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn store<Q>(&self, key: &Q, created: Created<V>) -> Result<(), Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        if !self.enabled || !created.stored {
            return Ok(());
        }
        self.life.set(&key.to_key(), created.as_ref(), &self.policy)
    }

    /// Removes the value under `key`, expired or not, and says whether there was one.
    ///
    /// It wins over a creation that is running: its value is not stored.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn remove<Q>(&self, key: &Q) -> Result<bool, Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        self.life.remove(&key.to_key())
    }

    /// Whether there is a current value under `key`.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn contains<Q>(&self, key: &Q) -> Result<bool, Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        self.get(key).map(|value| value.is_some())
    }

    /// Whether somebody in this process makes the value of `key` at this moment, whose value a caller would
    /// wait for: not if the key was stored, removed or cleared since that began, though its creator still runs.
    /// The store is not asked; how old a value is says [`fetch`](Self::fetch).
    pub fn is_creating<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        self.life.is_creating(&key.to_key())
    }

    /// Why a reader of `key` gets what it gets. It counts nothing and changes nothing.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn why<Q>(&self, key: &Q) -> Result<Why, Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        self.life.why(&key.to_key(), &self.policy)
    }

    /// Removes every value of the namespace, for all who hold it, and wins over creations that are
    /// running. No other namespace is touched.
    ///
    /// However many values there are, it takes the caller one step of the store's: they are dropped, and
    /// their space is freed, behind it. What was expired and might be served stale is gone too; for a soft
    /// form see [`with_own_region`](Self::with_own_region). [`why`](Self::why) tells of it, if the store
    /// keeps [`Marks`](beaker_namespace::Capability::Marks).
    ///
    /// # Errors
    ///
    /// Those of the store.
    #[doc(alias = "invalidate_namespace")]
    pub fn clear(&self) -> Result<(), Error> {
        self.life.clear()
    }

    /// The keys of type `K` that have an entry, current or not, in no stated order.
    ///
    /// # Errors
    ///
    /// Those of the store;
    /// [`Unsupported`](beaker_namespace::ErrorKind::Unsupported) if it cannot list.
    pub fn keys(&self) -> Result<Vec<K>, Error>
    where
        K: FromKey,
    {
        let mut keys = Vec::new();
        let mut scan = Scan::new();
        loop {
            let page = self.life.namespace.scan(&scan)?;
            keys.extend(page.entries.iter().filter_map(|listed| K::from_key(&listed.key)));
            match page.next {
                Some(next) => scan = scan.after(next),
                None => return Ok(keys),
            }
        }
    }

    /// How many keys are in creation.
    #[cfg(feature = "testkit")]
    pub(crate) fn creating(&self) -> usize {
        self.life.creating()
    }

    /// How many callers wait for somebody else's creation of `key`.
    #[cfg(feature = "testkit")]
    pub(crate) fn waiting(&self, key: &Key) -> usize {
        self.life.waiting(key)
    }

    /// The key under which `key` is stored.
    pub fn key_of<Q>(&self, key: &Q) -> Key
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        key.to_key()
    }
}
