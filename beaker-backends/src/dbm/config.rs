use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Clock, Durability, Error, StoreUrl, SystemClock};
use beaker_sync::NetworkPolicy;

use crate::place;

/// Where and how a [`DbmNamespace`](super::DbmNamespace) keeps its entries.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_backends::dbm::DbmConfig;
///
/// let config = DbmConfig::new("/var/cache/app.dbm").lock_timeout(Duration::from_secs(2));
/// assert_eq!(config.path(), std::path::Path::new("/var/cache/app.dbm"));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct DbmConfig {
    pub(super) path: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
}

/// What all handles of one file in a process must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) durability: Durability,
    pub(super) lock_timeout: Duration,
    pub(super) max_value_bytes: u64,
    pub(super) network: NetworkPolicy,
}

impl DbmConfig {
    /// Entries in the file `path`, which is made when the first is stored; its journal is not
    /// synced, everybody waits 10 s for the file, values have at most 64 MiB, the clock is the
    /// system's.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            clock: Arc::new(SystemClock),
            settings: Settings {
                durability: Durability::None,
                lock_timeout: Duration::from_secs(10),
                max_value_bytes: 64 * 1024 * 1024,
                network: NetworkPolicy::Refuse,
            },
        }
    }

    /// What an acknowledged write survives. Default: [`Durability::None`].
    ///
    /// The file itself is synced by each write, whatever is said here. With
    /// [`Durability::Durable`] its journal is synced before, so that a power cut in the middle of a
    /// write is mended too; that costs two syncs more.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// How long a read or a write waits for the others, and for programs of other makers that have
    /// the file open, before it fails with [`Timeout`](beaker_namespace::ErrorKind::Timeout). Zero
    /// does not wait. Default: 10 seconds.
    pub fn lock_timeout(mut self, lock_timeout: Duration) -> Self {
        self.settings.lock_timeout = lock_timeout;
        self
    }

    /// The longest value that is written or read, in bytes. Default: 64 MiB.
    pub fn max_value_bytes(mut self, max_value_bytes: u64) -> Self {
        self.settings.max_value_bytes = max_value_bytes;
        self
    }

    /// The clock by which this handle tells dead entries. Default: the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What to do if the file is on a network file system, where a lock may be lost without a word.
    /// Default: refuse to open.
    pub fn network(mut self, policy: NetworkPolicy) -> Self {
        self.settings.network = policy;
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `dbm:///path?durable=…&lock_timeout_ms=…&max_value_bytes=…&network=…`.
    pub(super) fn from_url(url: &StoreUrl) -> Result<Self, Error> {
        let mut config = Self::new(place::path_of(url, "dbm:///var/cache/app.dbm")?);
        let mut options = url.options();
        if let Some(durable) = options.take_bool("durable")? {
            config =
                config.durability(if durable { Durability::Durable } else { Durability::None });
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
