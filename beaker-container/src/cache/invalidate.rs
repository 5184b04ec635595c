//! Invalidations that reach many values at once.

use beaker_namespace::{Mark, Timestamp};

use super::Cache;
use crate::life::{Face, ready};
use crate::{Error, ErrorKind};

impl<K, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Takes every value that carries `tag` for removed.
    ///
    /// It is one write, however many values there are, and it holds for all who share the store.
    /// It wins over creations that are running: what began before is not served, whoever stores it
    /// and when. The values themselves go when they expire or are replaced.
    ///
    /// # Errors
    ///
    /// Those of the store; [`Unsupported`](beaker_namespace::ErrorKind::Unsupported) if it keeps no
    /// [`Marks`](beaker_namespace::Capability::Marks).
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_container::{Cache, Created};
    ///
    /// let pages = Cache::<String, String>::open("memory:", "tagged pages")?;
    /// pages.store("home", Created::new("<h1>Hello</h1>".to_owned()).tag("layout"))?;
    /// pages.invalidate_tag("layout")?;
    /// assert_eq!(pages.get("home")?, None);
    /// # Ok::<(), beaker_container::Error>(())
    /// ```
    pub fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        ready(self.life.mark_tag(Face::Blocking, tag, Mark::hard))
    }

    /// Takes every value that carries `tag` for expired: the policy says whether it may still be
    /// served while it is made anew. Else as [`invalidate_tag`](Self::invalidate_tag).
    ///
    /// # Errors
    ///
    /// As [`invalidate_tag`](Self::invalidate_tag).
    pub fn expire_tag(&self, tag: &str) -> Result<(), Error> {
        ready(self.life.mark_tag(Face::Blocking, tag, Mark::soft))
    }

    /// Takes every value of the cache's region for removed, in all its caches and for all who
    /// share the region's store; see [`CacheManager::invalidate_region`](crate::CacheManager::invalidate_region).
    ///
    /// # Errors
    ///
    /// As [`invalidate_tag`](Self::invalidate_tag); [`ErrorKind::Config`](crate::ErrorKind::Config)
    /// for a cache without a region.
    pub fn invalidate_region(&self) -> Result<(), Error> {
        self.mark_region(Mark::hard)
    }

    /// Takes every value of the cache's region for expired; see
    /// [`expire_tag`](Self::expire_tag).
    ///
    /// # Errors
    ///
    /// As [`invalidate_region`](Self::invalidate_region).
    pub fn expire_region(&self) -> Result<(), Error> {
        self.mark_region(Mark::soft)
    }

    fn mark_region(&self, mark: fn(Timestamp) -> Mark) -> Result<(), Error> {
        match &self.life.region {
            Some(region) => ready(region.mark(Face::Blocking, mark)),
            // A cache of a region that is off holds nothing.
            None if !self.enabled => Ok(()),
            None => Err(Error::new(
                ErrorKind::Config,
                "this cache belongs to no region; make it by `CacheManager::get_cache_region`",
            )),
        }
    }
}
