use std::path::PathBuf;
use std::sync::Arc;

use beaker_namespace::{Clock, Error, StoreUrl, SystemClock};

use crate::common::{Common, common_settings};
use crate::place;

/// Where and how a [`SledNamespace`](super::SledNamespace) keeps its entries.
#[derive(Debug, Clone)]
#[must_use]
pub struct SledConfig {
    pub(super) path: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
}

/// What all handles of one directory in a process must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) cache_bytes: u64,
    pub(super) common: Common,
}

impl SledConfig {
    /// Entries in the directory `path`, which is made when it is absent; writers wait 10 s for each
    /// other, values have at most 64 MiB, 64 MiB are kept in memory, the clock is the system's.
    ///
    /// sled writes to the disk about twice a second: the death of the process may lose what was
    /// written in between.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            clock: Arc::new(SystemClock),
            settings: Settings { cache_bytes: 64 * 1024 * 1024, common: Common::default() },
        }
    }

    /// How much sled keeps in memory, in bytes. Default: 64 MiB.
    pub fn cache_bytes(mut self, cache_bytes: u64) -> Self {
        self.settings.cache_bytes = cache_bytes;
        self
    }

    common_settings!();

    /// Reads `sled:///path?lock_timeout_ms=…&max_value_bytes=…&cache_bytes=…&network=…`.
    pub(super) fn from_url(url: &StoreUrl) -> Result<Self, Error> {
        let mut config = Self::new(place::path_of(url, "sled:///var/cache/app.sled")?);
        let mut options = url.options();
        if let Some(bytes) = options.take_u64("cache_bytes")? {
            config = config.cache_bytes(bytes);
        }
        config.settings.common.take(&mut options)?;
        options.finish()?;
        Ok(config)
    }
}
