//! A namespace in a redb file.

mod backend;
mod config;
mod database;
mod engine;
mod error;
mod look;
mod opening;
mod snapshot;

use std::sync::{Arc, LazyLock};

use beaker_namespace::{Clock, Error, Namespace, StoreUrl};
use beaker_syncdict::WeakRegistry;

pub use self::config::{RedbConfig, RedbDurability};
use self::engine::RedbEngine;
use crate::kv::{KvNamespace, find_or_open, forward_to_kv};
use crate::place;

/// The files that are open in this process, by canonical path.
static OPEN: LazyLock<WeakRegistry<std::path::PathBuf, RedbEngine>> =
    LazyLock::new(|| WeakRegistry::weak_with_shards(1));

/// Keeps entries in a [redb](https://docs.rs/redb) file: pure Rust, durable, for one process.
///
/// All namespaces of a file share it, and so do all handles in the process, whatever path they were
/// opened by. Writes of many threads that wait at the same time are kept by one commit. An entry is
/// read back only if its checksum fits its namespace and key.
///
/// Another process that opens the file gets an error that names the process that has it. With
/// [`shared`](RedbConfig::shared) processes may share it.
///
/// A file that redb finds damaged, or panics over, is set aside under a name that ends with
/// `.damaged-` and a number, never deleted, and the store goes on with a new one. That needs a
/// program built to unwind (`panic = "unwind"`, the default); one built to abort ends instead.
/// After an error of the disk the file is opened anew by the next call.
///
/// # Warning: damage may bring back what was replaced
///
/// When the process that had the file was killed, redb looks at the last commit, and if that is not whole, as
/// after a power cut, goes back to the one before it. Damage to the last commit looks the same: what it
/// replaced, removed, cleared or marked is back then, whole. Not with [`shared`](RedbConfig::shared), where
/// redb commits in two phases: there the first process to open a file whose last one was killed looks through all of
/// it, which takes about as long as to read it, and sets it aside if it finds a fault. Others that open it meanwhile wait
/// for [`lock_timeout`](RedbConfig::lock_timeout) and fail with [`ErrorKind::Timeout`](beaker_namespace::ErrorKind::Timeout);
/// threads of the process that looks wait for the end of it.
///
/// In a file that was closed nothing is looked at until it is read, and then each entry, but not what leads to it: a
/// flipped bit there may lead to a page that is not in use any more, and to an entry that was in it. Of 1,000 trials of
/// eight flipped bits each, one brought back one entry.
///
/// # Full disks
///
/// A full disk stops every write, removals and [`clear`](Namespace::clear) too, since redb writes new
/// pages before it frees old ones; reads go on, and writes do once somebody makes room.
///
/// # Concurrency
///
/// Readers wait for nobody; in a file that is [`shared`](RedbConfig::shared), for the moment in which another process
/// notes its commit. Writers wait for each other. All of them wait at most for
/// [`lock_timeout`](RedbConfig::lock_timeout); in a shared file who commits for other threads too waits as long as the
/// last of them may, which is up to twice that. There a write that times out may come to count all the
/// same, whole, if it was about to be noted.
///
/// # Files
///
/// Beside `cache.redb` there is the directory `cache.redb.locks`, also of a file that is not shared: with the lock of
/// who makes the file or sets it aside, the draft of a file that is being made, and the number of the process that
/// opened it last. It may be removed when nobody uses the store.
///
/// # Examples
///
/// ```
/// use beaker_backends::redb::{RedbConfig, RedbNamespace};
/// use beaker_namespace::{Entry, Key, Namespace, Payload};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("cache.redb");
/// let pages = RedbNamespace::open("pages", RedbConfig::new(&path))?;
/// pages.set(&Key::new("/"), Entry::new(Payload::raw("<html>"), pages.clock().now()))?;
/// assert!(pages.get(&Key::new("/"))?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RedbNamespace(KvNamespace);

forward_to_kv!(RedbNamespace);

impl RedbNamespace {
    /// Opens the namespace `name`, making the file if it is absent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if another process has the file, if a newer version or another program
    /// wrote it, if it is on a network file system, or if this process has it open with other
    /// settings; [`ErrorKind::Denied`] and [`ErrorKind::Full`] if it cannot be made;
    /// [`ErrorKind::Timeout`] if others keep it, or one of them looks through it.
    ///
    /// [`ErrorKind::Config`]: beaker_namespace::ErrorKind::Config
    /// [`ErrorKind::Denied`]: beaker_namespace::ErrorKind::Denied
    /// [`ErrorKind::Full`]: beaker_namespace::ErrorKind::Full
    /// [`ErrorKind::Timeout`]: beaker_namespace::ErrorKind::Timeout
    pub fn open(name: &str, config: RedbConfig) -> Result<Self, Error> {
        let RedbConfig { path, clock, settings } = config;
        let path = place::canonical_file(&path, settings.common.network)?;
        let open = || RedbEngine::open(&path, settings).map(Arc::new);
        let engine = find_or_open(&OPEN, &path, open)?;
        engine.agree(settings)?;
        let store = format!("redb:{}", path.display());
        KvNamespace::open(&store, name, engine, settings.common.max_value_bytes, clock).map(Self)
    }
}

/// Opens `redb:///path/cache.redb?durable=true&shared=true&…`; see [`RedbConfig`].
pub(crate) fn open(
    url: &StoreUrl,
    name: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Namespace>, Error> {
    let config = RedbConfig::from_url(url)?.clock(clock);
    Ok(Arc::new(RedbNamespace::open(name, config)?))
}
