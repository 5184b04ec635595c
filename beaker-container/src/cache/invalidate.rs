//! Invalidations that reach many values at once.

#[cfg(feature = "tokio")]
use beaker_namespace::ToKey;
use beaker_namespace::{Mark, Timestamp};

use super::Cache;
#[cfg(feature = "tokio")]
use crate::life::{Life, Region};
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
        self.life.mark_tag(tag, Mark::hard)
    }

    /// Takes every value that carries `tag` for expired: the policy says whether it may still be
    /// served while it is made anew. Else as [`invalidate_tag`](Self::invalidate_tag).
    ///
    /// # Errors
    ///
    /// As [`invalidate_tag`](Self::invalidate_tag).
    pub fn expire_tag(&self, tag: &str) -> Result<(), Error> {
        self.life.mark_tag(tag, Mark::soft)
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
            Some(region) => region.mark(mark),
            None => self.without_region(),
        }
    }

    fn without_region(&self) -> Result<(), Error> {
        // A cache of a region that is off holds nothing.
        if !self.enabled {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Config,
            "this cache belongs to no region; make it by `CacheManager::get_cache_region`",
        ))
    }
}

#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
impl<K: ToKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// As [`invalidate_tag`](Self::invalidate_tag).
    ///
    /// # Errors
    ///
    /// As [`invalidate_tag`](Self::invalidate_tag), and
    /// [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the tag may be invalidated or not.
    pub async fn invalidate_tag_async(&self, tag: &str) -> Result<(), Error> {
        self.mark_tag_async(tag, Mark::hard).await
    }

    /// As [`expire_tag`](Self::expire_tag).
    ///
    /// # Errors
    ///
    /// As [`invalidate_tag_async`](Self::invalidate_tag_async).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the tag may be expired or not.
    pub async fn expire_tag_async(&self, tag: &str) -> Result<(), Error> {
        self.mark_tag_async(tag, Mark::soft).await
    }

    /// As [`invalidate_region`](Self::invalidate_region).
    ///
    /// # Errors
    ///
    /// As [`invalidate_region`](Self::invalidate_region), and
    /// [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the region may be invalidated or not.
    pub async fn invalidate_region_async(&self) -> Result<(), Error> {
        self.mark_region_async(Mark::hard).await
    }

    /// As [`expire_region`](Self::expire_region).
    ///
    /// # Errors
    ///
    /// As [`invalidate_region_async`](Self::invalidate_region_async).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the region may be expired or not.
    pub async fn expire_region_async(&self) -> Result<(), Error> {
        self.mark_region_async(Mark::soft).await
    }

    async fn mark_tag_async(&self, tag: &str, mark: fn(Timestamp) -> Mark) -> Result<(), Error> {
        self.on_life(
            tag.to_owned(),
            move |life, tag| life.mark_tag(&tag, mark),
            async |life: &Life<V>, tag: String| life.mark_tag_async(&tag, mark).await,
        )
        .await
    }

    async fn mark_region_async(&self, mark: fn(Timestamp) -> Mark) -> Result<(), Error> {
        let Some(region) = self.life.region.clone() else { return self.without_region() };
        self.on_life(
            region,
            move |_, region| region.mark(mark),
            async |_: &Life<V>, region: Region| region.mark_async(mark).await,
        )
        .await
    }
}
