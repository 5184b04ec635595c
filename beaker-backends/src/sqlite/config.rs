use std::path::PathBuf;
use std::sync::Arc;

use beaker_namespace::{Clock, Durability, Error, ErrorKind, StoreUrl, SystemClock};

use crate::common::{Common, common_settings};
use crate::place;

/// A smaller database cannot hold its own tables and the log beside them.
const MIN_MAX_BYTES: u64 = 512 * 1024;

/// Where and how an [`SqliteNamespace`](super::SqliteNamespace) keeps its entries.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_backends::sqlite::SqliteConfig;
///
/// let config = SqliteConfig::new("/var/cache/app/cache.db")
///     .lock_timeout(Duration::from_secs(2))
///     .max_bytes(256 * 1024 * 1024);
/// assert_eq!(config.path(), std::path::Path::new("/var/cache/app/cache.db"));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SqliteConfig {
    pub(super) path: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
}

/// What all handles of one database in a process must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) durability: Durability,
    pub(super) max_bytes: Option<u64>,
    pub(super) cache_bytes: u64,
    pub(super) kept_reads_bytes: u64,
    pub(super) kept_reads_after: u32,
    pub(super) common: Common,
}

impl SqliteConfig {
    /// The database at `path`, which is made when it is absent: writes survive the process but not
    /// a power cut, writers wait 10 s for each other, values have at most 64 MiB (SQLite itself takes no
    /// record of more than 1,000,000,000 bytes), the database may grow without a limit, a connection
    /// keeps 16 MiB of it in memory, what is read again and again is kept in 8 MiB more, the clock is
    /// the system's.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            clock: Arc::new(SystemClock),
            settings: Settings {
                durability: Durability::None,
                max_bytes: None,
                cache_bytes: 16 * 1024 * 1024,
                kept_reads_bytes: 8 * 1024 * 1024,
                kept_reads_after: 32,
                common: Common::default(),
            },
        }
    }

    /// What an acknowledged write survives. [`Durability::None`], the default, is SQLite's
    /// `synchronous=NORMAL`: a power cut may lose the latest writes, and nothing else.
    /// [`Durability::Durable`] is `FULL`: each write waits for the disk.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// The most bytes that the database may take on disk, with all its namespaces; at least
    /// 512 KiB. Default: no limit.
    ///
    /// A write that would pass it first drops what is dead, then what was written longest ago, in
    /// whatever namespace. An eighth, at most 4 MiB, is kept for the log beside the database; one
    /// write that is larger than that makes the log larger until the next write. While somebody reads for
    /// long (a transaction that was left open in the `sqlite3` tool, a process that was stopped in the middle of a read)
    /// the log cannot be emptied: writes that pass the limit for that are errors of kind
    /// [`Full`](ErrorKind::Full), and removals go on.
    ///
    /// A database that is larger than this already, as after the limit was lowered, does not grow: what is written
    /// takes the place of what is dead or oldest, and the file becomes smaller as far as removals and
    /// [`sweep`](beaker_namespace::Namespace::sweep) leave space in it.
    ///
    /// Each process keeps to its own limit when it writes, so give all the same. What a process
    /// without a limit rewrites counts as written when it was first.
    pub fn max_bytes(mut self, max_bytes: u64) -> Self {
        self.settings.max_bytes = Some(max_bytes);
        self
    }

    /// How much of the database a connection keeps in memory at most, in bytes. Each thread that
    /// reads at the same time as others has one. Default: 16 MiB.
    pub fn cache_bytes(mut self, cache_bytes: u64) -> Self {
        self.settings.cache_bytes = cache_bytes;
        self
    }

    /// How much of what it has read this process keeps in memory at most, in bytes, about, for all
    /// namespaces of the database; zero keeps nothing. What is given up is freed bit by bit, so it may be
    /// twice as much for a while. Default: 8 MiB.
    ///
    /// As long as nobody, in whatever process, has changed the database, such an entry is given out
    /// without a transaction, in a small part of the time. A change by anybody is seen by the next
    /// get. An entry is kept if it has no more than a 64th of these bytes, and if there is room: what is kept
    /// does not make room for others, but goes as a whole with a commit of another process, or when it
    /// is of little use. Nothing is kept where [`network`](Self::network) allows network file systems,
    /// nor on anything but Linux.
    pub fn kept_reads_bytes(mut self, kept_reads_bytes: u64) -> Self {
        self.settings.kept_reads_bytes = kept_reads_bytes;
        self
    }

    /// How many gets there must be without a commit of another process before reads are kept. Default: 32,
    /// and up to 4,096 where that did not pay, so that nothing is lost where much is written. Zero: from
    /// the first get on, whatever happens.
    pub fn kept_reads_after(mut self, gets: u32) -> Self {
        self.settings.kept_reads_after = gets;
        self
    }

    common_settings!();

    /// Reads `sqlite:///path/cache.db?durable=true&lock_timeout_ms=…&max_value_bytes=…&max_bytes=…
    /// &cache_bytes=…&kept_reads_bytes=…&kept_reads_after=…&network=allow`.
    pub(super) fn from_url(url: &StoreUrl) -> Result<Self, Error> {
        let mut config = Self::new(place::path_of(url, "sqlite:///var/cache/app.db")?);
        let mut options = url.options();
        if options.take_bool("durable")? == Some(true) {
            config = config.durability(Durability::Durable);
        }
        if let Some(bytes) = options.take_u64("max_bytes")? {
            config = config.max_bytes(bytes);
        }
        if let Some(bytes) = options.take_u64("cache_bytes")? {
            config = config.cache_bytes(bytes);
        }
        if let Some(bytes) = options.take_u64("kept_reads_bytes")? {
            config = config.kept_reads_bytes(bytes);
        }
        if let Some(gets) = options.take_u64("kept_reads_after")? {
            config = config.kept_reads_after(u32::try_from(gets).unwrap_or(u32::MAX));
        }
        config.settings.common.take(&mut options)?;
        options.finish()?;
        Ok(config)
    }
}

impl Settings {
    /// Fails if there is no way to keep to them.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.max_bytes {
            Some(bytes) if bytes < MIN_MAX_BYTES => {
                Err(wrong(format!("max_bytes is {bytes}; the least is {MIN_MAX_BYTES}")))
            }
            _ => Ok(()),
        }
    }

    /// Fails if `other`, which the same database is open with, says something else.
    pub(super) fn agree(&self, other: &Self) -> Result<(), Error> {
        let what = if self.durability != other.durability {
            "durability"
        } else if self.common.lock_timeout != other.common.lock_timeout {
            "lock_timeout"
        } else if self.common.max_value_bytes != other.common.max_value_bytes {
            "max_value_bytes"
        } else if self.max_bytes != other.max_bytes {
            "max_bytes"
        } else if self.cache_bytes != other.cache_bytes {
            "cache_bytes"
        } else if self.kept_reads_bytes != other.kept_reads_bytes {
            "kept_reads_bytes"
        } else if self.kept_reads_after != other.kept_reads_after {
            "kept_reads_after"
        } else if self.common.network != other.common.network {
            "network policy"
        } else {
            return Ok(());
        };
        Err(wrong(format!(
            "this process has the database open with another {what}; use the same one everywhere"
        )))
    }
}

fn wrong(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, "open the SQLite store").with_detail(detail)
}
