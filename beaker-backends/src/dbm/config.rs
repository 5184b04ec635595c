use std::path::PathBuf;
use std::sync::Arc;

use beaker_namespace::{Clock, Durability, Error, StoreUrl, SystemClock};

use crate::common::{Common, common_settings};
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
    pub(super) common: Common,
}

impl DbmConfig {
    /// Entries in the file `path`, which is made when the first is stored; its journal is not
    /// synced, everybody waits 10 s for the file, values have at most 64 MiB, the clock is the
    /// system's.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            clock: Arc::new(SystemClock),
            settings: Settings { durability: Durability::None, common: Common::default() },
        }
    }

    /// What an acknowledged write survives. Default: [`Durability::None`].
    ///
    /// The file itself is synced by each write, whatever is said here. With
    /// [`Durability::Durable`] its journal is synced before, so that a power cut in the middle of a
    /// write is mended too; that costs two syncs more. So it does for claims and sweeps, which write to
    /// the same file.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    common_settings!();

    /// Reads `dbm:///path?durable=…&lock_timeout_ms=…&max_value_bytes=…&network=…`.
    pub(super) fn from_url(url: &StoreUrl) -> Result<Self, Error> {
        let mut config = Self::new(place::path_of(url, "dbm:///var/cache/app.dbm")?);
        let mut options = url.options();
        if let Some(durable) = options.take_bool("durable")? {
            config =
                config.durability(if durable { Durability::Durable } else { Durability::None });
        }
        config.settings.common.take(&mut options)?;
        options.finish()?;
        Ok(config)
    }
}
