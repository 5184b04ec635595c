//! Where a cache is kept, and how that is changed.

use beaker_namespace::StoreUrl;

use super::Cache;
use crate::context::{ContainerContext, Dirs};
use crate::{Error, ErrorKind};

/// Where a cache was opened, so that another store can be opened beside it.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) context: ContainerContext,
    /// With the options that its type's own URL would lack.
    pub(crate) url: StoreUrl,
    pub(crate) dirs: Dirs,
}

impl<K, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// The cache of the same name and settings in a store of another type, such as `"file"`.
    ///
    /// The two do not see each other's values. The type that this cache was opened with gives that
    /// store again, with its options. The other store stays open as long as what this
    /// cache was opened with: the [`CacheManager`](crate::CacheManager) or
    /// [`ContainerContext`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an unknown type, for a type in files without a data directory, and for a
    /// cache made from a bare namespace; those of the store.
    pub fn with_type(&self, kind: &str) -> Result<Self, Error> {
        let home = self.home()?;
        if kind == home.url.scheme() {
            return self.with_store(&home.url);
        }
        let url = home.dirs.url_of_type(kind)?;
        self.with_store(&url)
    }

    /// The cache of the same name and settings in the store at `url`.
    ///
    /// # Errors
    ///
    /// As [`with_type`](Self::with_type).
    pub fn with_store(&self, url: &StoreUrl) -> Result<Self, Error> {
        let name = self.life.namespace.id().name();
        let namespace = self.home()?.context.namespace(url, name)?;
        let mut other = self.clone();
        other.life = self.life.on(namespace);
        Ok(other)
    }

    fn home(&self) -> Result<&Home, Error> {
        self.home.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "this cache was made from a bare namespace; open it through `Cache::open`, \
                 a `ContainerContext` or a `CacheManager` to change its store",
            )
        })
    }
}
