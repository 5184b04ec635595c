//! A namespace in a sled directory: legacy.
//!
//! # Why not
//!
//! [sled](https://docs.rs/sled/0.34) 0.34 is from 2021 and sleeps; its 1.0 never left alpha, and its
//! own README says that it is beta and that SQLite is what to use where reliability matters. Two of
//! its dependencies are unmaintained (RUSTSEC-2025-0057, RUSTSEC-2024-0384). Its `flush` was seen to
//! issue `sync_file_range` only, which does not survive a power cut, so
//! [`Durability::Durable`](beaker_namespace::Durability) cannot be had. Processes cannot share a
//! directory. In our fault tests (kills, failing system calls, a thousand power cuts, damage) no value came out of
//! it that was not written, but damage to its log brought old ones back: it drops the log from there on, and
//! what was replaced, removed, cleared or marked since is as it was. It lost what was written in the last half second before a kill, more after a power
//! cut or when a system call failed, left the files of long values behind when it was killed, for good, and
//! could not be read while the disk was full.
//!
//! So this is for those who have sled in their programs already. For something new take
//! `sqlite:` (durable, shared by processes), `redb:` (durable, pure Rust, one process) or `file:`
//! (nothing to depend on).

mod config;
mod engine;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use beaker_namespace::{Clock, Error, Namespace, StoreUrl};
use beaker_syncdict::WeakRegistry;

pub use self::config::SledConfig;
use self::engine::SledEngine;
use crate::kv::{KvNamespace, find_or_open, forward_to_kv};
use crate::place;

/// The directories that are open in this process, by canonical path.
static OPEN: LazyLock<WeakRegistry<PathBuf, SledEngine>> =
    LazyLock::new(|| WeakRegistry::weak_with_shards(1));

/// Keeps entries in a sled directory, for one process. Legacy: see the [module](self).
///
/// All namespaces of a directory share it. An entry is read back only if its checksum fits its
/// namespace and key. A directory that sled finds damaged, or panics over, is set aside under a name
/// that ends with `.damaged-` and a number, and the store goes on with a new one; that needs a
/// program built to unwind (`panic = "unwind"`, the default). Beside `store` there is the directory `store.locks`, with
/// the number of the process that opened it last.
///
/// # Concurrency
///
/// Readers and a change that is put in place, which is done in memory, wait for each other; it is all that
/// readers wait for. Writers wait for each other, at most for [`lock_timeout`](SledConfig::lock_timeout).
///
/// # Examples
///
/// ```
/// use beaker_backends::sled::{SledConfig, SledNamespace};
/// use beaker_namespace::{Entry, Key, Namespace, Payload};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("store");
/// let pages = SledNamespace::open("pages", SledConfig::new(&path))?;
/// pages.set(&Key::new("/"), Entry::new(Payload::raw("<html>"), pages.clock().now()))?;
/// assert!(pages.get(&Key::new("/"))?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SledNamespace(KvNamespace);

forward_to_kv!(SledNamespace);

impl SledNamespace {
    /// Opens the namespace `name`, making the directory if it is absent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if another process has the directory, if something else than a sled store is in
    /// it, such as a store of files, if it is on a network file system, or if this process has it open with other settings; [`ErrorKind::Denied`] and
    /// [`ErrorKind::Full`] if it cannot be made.
    ///
    /// [`ErrorKind::Config`]: beaker_namespace::ErrorKind::Config
    /// [`ErrorKind::Denied`]: beaker_namespace::ErrorKind::Denied
    /// [`ErrorKind::Full`]: beaker_namespace::ErrorKind::Full
    pub fn open(name: &str, config: SledConfig) -> Result<Self, Error> {
        let SledConfig { path, clock, settings } = config;
        let path = place::canonical(&path, settings.common.network)?;
        let open = || SledEngine::open(&path, settings).map(Arc::new);
        let engine = find_or_open(&OPEN, &path, open)?;
        engine.agree(settings)?;
        let store = format!("sled:{}", path.display());
        KvNamespace::open(&store, name, engine, settings.common.max_value_bytes, clock).map(Self)
    }
}

/// Opens `sled:///path/dir?lock_timeout_ms=…`; see [`SledConfig`].
pub(crate) fn open(
    url: &StoreUrl,
    name: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Namespace>, Error> {
    let config = SledConfig::from_url(url)?.clock(clock);
    Ok(Arc::new(SledNamespace::open(name, config)?))
}
