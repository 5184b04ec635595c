//! A namespace in a GNU dbm file.

mod compact;
mod config;
mod deadline;
mod engine;
mod error;
mod file;
mod images;
mod journal;
mod plan;
mod room;
mod rows;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use beaker_namespace::{Clock, Error, Namespace, StoreUrl};
use beaker_syncdict::WeakRegistry;

pub use self::config::DbmConfig;
use self::engine::DbmEngine;
use crate::kv::{KvNamespace, find_or_open, forward_to_kv};
use crate::place;

/// The files that are in use in this process, by canonical path.
static OPEN: LazyLock<WeakRegistry<PathBuf, DbmEngine>> =
    LazyLock::new(|| WeakRegistry::weak_with_shards(1));

/// Keeps entries in a GNU dbm file, which programs in other languages open too: Python's `dbm.gnu`,
/// `gdbmtool`, and all that uses libgdbm. Shared by the processes of the host.
///
/// All namespaces of a file share it. Their rows have keys that begin with `beaker:`; rows of other
/// programs in the same file are not touched, and only the pass that looks for dead entries comes over
/// them. An entry is read back only if its
/// checksum fits its namespace and key.
///
/// The file is opened for each piece of work and closed after it, so that other programs can have it
/// in between. They keep out of each other's way by the lock that GNU dbm has of its own.
///
/// # Warning: treat it as rebuildable
///
/// - A dbm file has no defence against being written halfway. This store keeps a journal beside it
///   (`x.dbm-journal`), by which the next one to come ends the write of a killed process; after a
///   power cut that holds with [`Durability::Durable`](beaker_namespace::Durability::Durable) only.
///   A file that is not sound even then is rebuilt from what can be read of it, which may cost
///   entries: they are absent, never wrong. A file that is damaged otherwise is set aside under a
///   name that ends with `.damaged-` and a number, never deleted, and the store goes on with a new
///   one. Surviving a panic of gdbm-native needs a program built to unwind (`panic = "unwind"`, the
///   default).
/// - A row may be damaged so that it is not found any more. That of an entry is no loss, but that of a mark is:
///   what it invalidated is good again.
/// - Other programs do not know the journal: they see the file of a killed writer as it is.
/// - It is slow: each write syncs the file, and each piece of work reads the file's directory anew.
///   Listings, tags and sweeps read all keys.
/// - GNU dbm does not join the pieces that rows leave, so the file grows where values become longer and shorter.
///   When its length passes a power of two, from 1 MiB on, and by each sweep, it is replaced by a copy if more than
///   half of it is free; so it is less than four times as long as what was in it. Who wants it meanwhile waits for
///   the copy. It stays as it is while there is no room for both, and if it has a second name (a hard link) or
///   an owner whom this process cannot give to the copy; `gdbmtool x.dbm reorganize` makes it smaller too.
///
/// Where no other program reads the file, SQLite is the better store.
///
/// # Concurrency
///
/// Readers share the file; a writer has it alone. Both wait at most for
/// [`lock_timeout`](DbmConfig::lock_timeout). Writes of many threads that wait at the same time are
/// kept together, by one sync. The locks are files in `x.dbm.locks`.
///
/// # Examples
///
/// ```
/// use beaker_backends::dbm::{DbmConfig, DbmNamespace};
/// use beaker_namespace::{Entry, Key, Namespace, Payload};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("cache.dbm");
/// let pages = DbmNamespace::open("pages", DbmConfig::new(&path))?;
/// pages.set(&Key::new("/"), Entry::new(Payload::raw("<html>"), pages.clock().now()))?;
/// assert!(pages.get(&Key::new("/"))?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct DbmNamespace(KvNamespace);

forward_to_kv!(DbmNamespace);

impl DbmNamespace {
    /// Opens the namespace `name`. The file is made when the first entry is stored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if there is another file than one of GNU dbm, if it is on a network file
    /// system, or if this process has it open with other settings; [`ErrorKind::Denied`] if it may
    /// not be read; [`ErrorKind::Timeout`] if others keep it; [`ErrorKind::Corrupt`] if it is
    /// damaged: it is then set aside, and opening again begins anew.
    ///
    /// [`ErrorKind::Config`]: beaker_namespace::ErrorKind::Config
    /// [`ErrorKind::Corrupt`]: beaker_namespace::ErrorKind::Corrupt
    /// [`ErrorKind::Denied`]: beaker_namespace::ErrorKind::Denied
    /// [`ErrorKind::Timeout`]: beaker_namespace::ErrorKind::Timeout
    pub fn open(name: &str, config: DbmConfig) -> Result<Self, Error> {
        let DbmConfig { path, clock, settings } = config;
        let path = place::canonical_file(&path, settings.common.network)?;
        let open = || DbmEngine::open(&path, settings).map(Arc::new);
        let engine = find_or_open(&OPEN, &path, open)?;
        engine.agree(settings)?;
        let store = format!("dbm:{}", path.display());
        KvNamespace::open(&store, name, engine, settings.common.max_value_bytes, clock).map(Self)
    }
}

/// Opens `dbm:///path/cache.dbm?durable=true&…`; see [`DbmConfig`].
pub(crate) fn open(
    url: &StoreUrl,
    name: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Namespace>, Error> {
    let config = DbmConfig::from_url(url)?.clock(clock);
    Ok(Arc::new(DbmNamespace::open(name, config)?))
}
