//! What `#[cached]` expands to. Not for use by hand: it may change in any version.
//
// 1. A cached function is a `Function`, a constant, and what its calls do is here, so that the macro
//    writes as little code as it can.
// 2. A call never fails by the cache: the function itself runs then, and the error is reported. A
//    creator runs at most once in a call, so the function's arguments are still there if the cache
//    failed: it fails before it creates, never after.

mod calls;
mod keys;
mod many;
mod spawned;
#[cfg(feature = "tokio")]
mod tasks;
mod types;

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::Namespace;
pub use beaker_namespace::{Key, ToKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::calls::{
    cache, invalidate, peek, set, try_call, try_call_created, try_refresh_created,
};
pub use self::keys::{SerdeArgument, by_serde, key_by_serde, unkeyed};
pub use self::many::try_many;
#[cfg(feature = "tokio")]
pub use self::many::try_many_async;
pub use self::spawned::try_spawn;
#[cfg(feature = "tokio")]
pub use self::spawned::try_spawn_async;
#[cfg(feature = "tokio")]
pub use self::tasks::{
    invalidate_async, peek_async, set_async, try_call_async, try_call_created_async,
    try_refresh_created_async,
};
pub use self::types::{
    Absent, AnyResult, IsResult, IsValue, Kind, Late, NeverLate, Returned, SharedError,
    StoredAsItIs, Value, never_fails, some_only, stored_as_it_is,
};
use crate::config::CacheOptions;
use crate::policy::{Policy, Stale};
use crate::regions::{self, Unmade};
use crate::{Cache, CacheManager};
pub use crate::{Created, Error};

/// The values of one cached function.
pub type FunctionCache<V> = Cache<Key, V>;

/// One cached function, with its type parameters replaced.
pub struct Function<V> {
    id: TypeId,
    module: &'static str,
    function: &'static str,
    types: fn() -> Vec<String>,
    name: Option<&'static str>,
    version: Option<u64>,
    region: Option<&'static str>,
    url: Option<&'static str>,
    ttl: Ttl,
    negative_ttl: fn(FunctionCache<V>) -> FunctionCache<V>,
    stale: Option<Stale>,
    wait: Option<Duration>,
    /// Whether it can outlive its call.
    spawned: bool,
    /// Whether its keys are shown as hashes, whatever the region says.
    redacted: bool,
    open: fn(Arc<dyn Namespace>) -> FunctionCache<V>,
}

#[derive(Debug, Clone, Copy)]
enum Ttl {
    OfRegion,
    Own(Option<Duration>),
}

impl<V> fmt::Debug for Function<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("module", &self.module)
            .field("function", &self.function)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl<V: Value> Function<V> {
    /// A function whose values any store can keep.
    ///
    /// `id` is the type that stands for it, and `types` what it is generic over.
    pub const fn new(
        id: TypeId,
        module: &'static str,
        function: &'static str,
        types: fn() -> Vec<String>,
    ) -> Self
    where
        V: Serialize + DeserializeOwned,
    {
        Self { open: Cache::new, ..Self::of_objects(id, module, function, types) }
    }

    /// A function whose values stay in this process's memory, as live objects.
    pub const fn of_objects(
        id: TypeId,
        module: &'static str,
        function: &'static str,
        types: fn() -> Vec<String>,
    ) -> Self {
        Self {
            id,
            module,
            function,
            types,
            name: None,
            version: None,
            region: None,
            url: None,
            ttl: Ttl::OfRegion,
            negative_ttl: |cache| cache,
            stale: None,
            wait: None,
            spawned: false,
            redacted: false,
            open: Cache::of_objects,
        }
    }

    /// Keeps its values under this name, wherever the function stands.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Keeps its values apart from those of other versions.
    #[must_use]
    pub const fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// Takes the options of this region.
    #[must_use]
    pub const fn region(mut self, region: &'static str) -> Self {
        self.region = Some(region);
        self
    }

    /// Keeps its values in the store at this URL, whatever the region says.
    #[must_use]
    pub const fn url(mut self, url: &'static str) -> Self {
        self.url = Some(url);
        self
    }

    /// Its values live this long, whatever the region says.
    #[must_use]
    pub const fn ttl(mut self, ttl: Option<Duration>) -> Self {
        self.ttl = Ttl::Own(ttl);
        self
    }

    /// Sets how long nothing lives, by [`Absent::with_negative_ttl`].
    #[must_use]
    pub const fn negative_ttl(mut self, set: fn(FunctionCache<V>) -> FunctionCache<V>) -> Self {
        self.negative_ttl = set;
        self
    }

    /// Serves values that expired no longer ago than this while one caller makes the new one.
    #[must_use]
    pub const fn stale(mut self, max_age: Duration) -> Self {
        self.stale = Some(Stale::WhileRefreshing { max_age });
        self
    }

    /// A call waits at most this long for the value that another makes.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// It can outlive its call: see [`try_spawn`].
    #[must_use]
    pub const fn spawned(mut self) -> Self {
        self.spawned = true;
        self
    }

    /// Shows its keys and tags as hashes: see [`Cache::with_redacted_keys`].
    #[must_use]
    pub const fn redacted(mut self) -> Self {
        self.redacted = true;
        self
    }

    pub(crate) fn id(&self) -> TypeId {
        self.id
    }

    /// The name of the namespace: where the function stands, or the name it was given; what it is
    /// generic over; its version.
    pub(crate) fn namespace_name(&self) -> String {
        let mut name = match self.name {
            Some(name) => name.to_owned(),
            None => format!("{}::{}", self.module, self.function),
        };
        let mut types = (self.types)();
        types.retain(|it| !it.is_empty());
        if !types.is_empty() {
            name = format!("{name}<{}>", types.join(", "));
        }
        match self.version {
            Some(version) => format!("{name}@{version}"),
            None => name,
        }
    }

    pub(crate) fn open(
        &self,
        manager: &CacheManager,
        name: &str,
    ) -> Result<FunctionCache<V>, Error> {
        let of_region = match self.region {
            Some(region) => manager.region_options(region)?,
            None => &manager.config().defaults,
        };
        let mut cache = manager.open(&self.options(of_region), name, self.open)?;
        if let Some(region) = self.region.filter(|_| of_region.enabled) {
            cache.set_region(manager.region(of_region, region)?);
        }
        let policy = self.policy(*cache.policy());
        cache = cache.with_policy(policy);
        let name = name.to_owned();
        let cache = cache.on_unstored(move |error| regions::report(&name, error));
        Ok((self.negative_ttl)(cache))
    }

    /// The region's policy, changed by the function's own.
    ///
    /// Without the hard time-out if it ends with its call: who waits for it would run it too, and so make
    /// a source that is slow slower.
    fn policy(&self, of_region: Policy) -> Policy {
        let mut policy = of_region;
        if !self.spawned {
            policy = policy.hard_timeout(None);
        }
        if let Some(stale) = self.stale {
            policy = policy.stale(stale);
        }
        match self.wait {
            Some(wait) => policy.wait(wait),
            None => policy,
        }
    }

    /// The region's options, changed by the function's own.
    fn options(&self, of_region: &CacheOptions) -> CacheOptions {
        let mut options = of_region.clone();
        if let Some(url) = self.url {
            // What else the region says of its store is not about this one.
            options = CacheOptions::new().url(url).expire(of_region.expire);
            options.policy = of_region.policy;
            options.enabled = of_region.enabled;
            options.redact_keys = of_region.redact_keys;
        }
        options.redact_keys |= self.redacted;
        match self.ttl {
            Ttl::OfRegion => options,
            Ttl::Own(ttl) => options.expire(ttl),
        }
    }

    /// Tells of a cache that cannot be made, unless that was told.
    fn told<T>(&self, made: Result<T, Unmade>) -> Result<T, Error> {
        made.map_err(|unmade| {
            if unmade.is_new {
                self.report(&unmade.error);
            }
            unmade.error
        })
    }

    #[cold]
    fn report(&self, error: &Error) {
        regions::report(&self.namespace_name(), error);
    }
}

/// What a type is generic over, as it is written: `u8` of `app::Users<u8>`.
pub fn type_arguments(type_name: &'static str) -> &'static str {
    let arguments = type_name.split_once('<').and_then(|(_, rest)| rest.strip_suffix('>'));
    arguments.unwrap_or("")
}
