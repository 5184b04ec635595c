use std::path::PathBuf;
use std::sync::Arc;

use beaker_namespace::{Clock, Error, StoreUrl, SystemClock};

use crate::common::{Common, common_settings};
use crate::place;

/// What an acknowledged write survives in a redb file; the names are redb's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RedbDurability {
    /// A power cut: the file is synced before a write returns. Writes that wait together share the
    /// sync.
    #[default]
    Immediate,
    /// Nothing but a clean close of the store: writes are kept in memory until then, so the death
    /// of the process loses all of them. This is less than the other stores keep without syncing.
    None,
}

/// Where and how a [`RedbNamespace`](super::RedbNamespace) keeps its entries.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_backends::redb::RedbConfig;
///
/// let config = RedbConfig::new("/var/cache/app.redb").lock_timeout(Duration::from_secs(2));
/// assert_eq!(config.path(), std::path::Path::new("/var/cache/app.redb"));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct RedbConfig {
    pub(super) path: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
}

/// What all handles of one file in a process must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) durability: RedbDurability,
    pub(super) shared: bool,
    pub(super) cache_bytes: usize,
    pub(super) common: Common,
}

impl RedbConfig {
    /// Entries in the file `path`, which is made when it is absent; durable, for one process,
    /// writers wait 10 s for each other, values have at most 64 MiB, 64 MiB of the file are kept in
    /// memory, the clock is the system's.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            clock: Arc::new(SystemClock),
            settings: Settings {
                durability: RedbDurability::Immediate,
                shared: false,
                cache_bytes: 64 * 1024 * 1024,
                common: Common::default(),
            },
        }
    }

    /// What an acknowledged write survives. Default: [`RedbDurability::Immediate`].
    pub fn durability(mut self, durability: RedbDurability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// Lets several processes open the file. Default: no.
    ///
    /// # Experimental
    ///
    /// redb has this since 4.5. Each write then syncs the file twice, whatever
    /// [`durability`](Self::durability) says, and a process stopped in the middle of a write makes
    /// the others' writes time out, and their reads if it was about to note its commit; who commits for other
    /// threads too, in that moment, waits as long as the last of them may: up to twice
    /// `lock_timeout`. All processes must say `shared`, and
    /// none may use redb 4.3 or 4.4 on the file at the same time. SQLite is the tried store for this.
    pub fn shared(mut self, shared: bool) -> Self {
        self.settings.shared = shared;
        self
    }

    /// How much of the file redb keeps in memory, in bytes. Default: 64 MiB.
    pub fn cache_bytes(mut self, cache_bytes: usize) -> Self {
        self.settings.cache_bytes = cache_bytes;
        self
    }

    common_settings!();

    /// Reads `redb:///path?durable=…&shared=…&lock_timeout_ms=…&max_value_bytes=…&cache_bytes=…&network=…`.
    pub(super) fn from_url(url: &StoreUrl) -> Result<Self, Error> {
        let mut config = Self::new(place::path_of(url, "redb:///var/cache/app.redb")?);
        let mut options = url.options();
        if let Some(durable) = options.take_bool("durable")? {
            config = config.durability(if durable {
                RedbDurability::Immediate
            } else {
                RedbDurability::None
            });
        }
        if let Some(shared) = options.take_bool("shared")? {
            config = config.shared(shared);
        }
        if let Some(bytes) = options.take_u64("cache_bytes")? {
            config = config.cache_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        config.settings.common.take(&mut options)?;
        options.finish()?;
        Ok(config)
    }
}
