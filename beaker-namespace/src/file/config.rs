use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use beaker_sync::NetworkPolicy;

use crate::{Clock, Error, ErrorKind, StoreUrl, SystemClock};

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// The end of the process, however it ends. A power cut may lose the latest writes; it never
    /// makes a wrong value, because a half-written entry does not pass its check.
    #[default]
    None,
    /// A power cut too: the file and its directory are synced before a write returns. A write then
    /// takes as long as the disk needs, milliseconds where it takes microseconds otherwise.
    Durable,
}

/// Where and how a [`FileNamespace`](crate::FileNamespace) keeps its entries.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_namespace::{Durability, FileConfig};
///
/// let config = FileConfig::new("/var/cache/app")
///     .durability(Durability::Durable)
///     .lock_timeout(Duration::from_secs(2));
/// assert_eq!(config.dir(), std::path::Path::new("/var/cache/app"));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct FileConfig {
    pub(super) dir: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
}

/// What all handles of one namespace in a process must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) durability: Durability,
    pub(super) lock_timeout: Duration,
    pub(super) max_value_bytes: u64,
    pub(super) network: NetworkPolicy,
}

impl FileConfig {
    /// Entries below `dir`, which is made when it is absent; nothing is synced, writers wait 10 s
    /// for each other, values have at most 64 MiB, the clock is the system's.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
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
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// How long a write waits for another writer of the same part of the namespace, before it fails
    /// with [`ErrorKind::Timeout`]. Zero does not wait. Default: 10 seconds, many thousand times
    /// what a write takes: it is reached when another process is stopped in the middle of a write.
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

    /// What to do if the directory is on a network file system, where a lock may be lost without a
    /// word. Default: refuse to open.
    pub fn network(mut self, policy: NetworkPolicy) -> Self {
        self.settings.network = policy;
        self
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads `file:///dir?durable=true&lock_timeout_ms=…&max_value_bytes=…&network=allow`.
    pub(super) fn from_url(url: &StoreUrl) -> Result<Self, Error> {
        if url.path().as_os_str().is_empty() {
            return Err(wrong("a file store needs a directory, as in `file:///var/cache/app`"));
        }
        let mut config = Self::new(url.path());
        let mut options = url.options();
        if options.take_bool("durable")? == Some(true) {
            config = config.durability(Durability::Durable);
        }
        if let Some(timeout) = options.take_millis("lock_timeout_ms")? {
            config = config.lock_timeout(timeout);
        }
        if let Some(bytes) = options.take_u64("max_value_bytes")? {
            config = config.max_value_bytes(bytes);
        }
        match options.take_text("network").as_deref() {
            None | Some("refuse") => {}
            Some("allow") => config = config.network(NetworkPolicy::Allow),
            Some(_) => return Err(wrong("option `network` is neither `refuse` nor `allow`")),
        }
        options.finish()?;
        Ok(config)
    }
}

fn wrong(detail: &str) -> Error {
    Error::new(ErrorKind::Config, "open the file store").with_detail(detail)
}
