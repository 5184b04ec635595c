use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Clock, Error, StoreUrl, SystemClock};
use beaker_sync::NetworkPolicy;

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
    pub(super) lock_timeout: Duration,
    pub(super) max_value_bytes: u64,
    pub(super) cache_bytes: u64,
    pub(super) network: NetworkPolicy,
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
            settings: Settings {
                lock_timeout: Duration::from_secs(10),
                max_value_bytes: 64 * 1024 * 1024,
                cache_bytes: 64 * 1024 * 1024,
                network: NetworkPolicy::Refuse,
            },
        }
    }

    /// How long a write waits for other writes, before it fails with
    /// [`Timeout`](beaker_namespace::ErrorKind::Timeout). Zero does not wait. Default: 10 seconds.
    pub fn lock_timeout(mut self, lock_timeout: Duration) -> Self {
        self.settings.lock_timeout = lock_timeout;
        self
    }

    /// The longest value that is written or read, in bytes. Default: 64 MiB.
    pub fn max_value_bytes(mut self, max_value_bytes: u64) -> Self {
        self.settings.max_value_bytes = max_value_bytes;
        self
    }

    /// How much sled keeps in memory, in bytes. Default: 64 MiB.
    pub fn cache_bytes(mut self, cache_bytes: u64) -> Self {
        self.settings.cache_bytes = cache_bytes;
        self
    }

    /// The clock by which this handle tells dead entries. Default: the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What to do if the directory is on a network file system, where a lock may be lost without a
    /// word. Default: refuse to open.
    pub fn network(mut self, policy: NetworkPolicy) -> Self {
        self.settings.network = policy;
        self
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `sled:///path?lock_timeout_ms=…&max_value_bytes=…&cache_bytes=…&network=…`.
    pub(super) fn from_url(url: &StoreUrl) -> Result<Self, Error> {
        let mut config = Self::new(place::path_of(url, "sled:///var/cache/app.sled")?);
        let mut options = url.options();
        if let Some(bytes) = options.take_u64("cache_bytes")? {
            config = config.cache_bytes(bytes);
        }
        let common = place::Common::take(&mut options)?;
        options.finish()?;
        let settings = &mut config.settings;
        common.apply(
            &mut settings.lock_timeout,
            &mut settings.max_value_bytes,
            &mut settings.network,
        );
        Ok(config)
    }
}
