//! The namespace of files.

mod claims;
mod config;
mod directories;
mod format;
mod layout;
mod marks;
mod record;
mod registry;
mod scan;
mod store;
mod sweep;
mod trash;
mod writers;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use beaker_sync::{Filesystem, NetworkPolicy};

pub use self::config::{Durability, FileConfig};
use self::store::Store;
use crate::{
    Capabilities, Capability, Claim, Clock, Condition, ConditionalSet, Entry, Error, ErrorKind,
    Fulfilled, Inspection, Key, Latency, Lookup, Mark, Namespace, NamespaceId, Page, Scan, Scope,
    Stats, StoreUrl, Swept, Wait,
};

/// Keeps each entry in a file of its own, shared by the processes of this host.
///
/// A file is replaced as a whole, by renaming; readers take no lock and see an entry or none. What
/// cannot be read back (cut off, flipped, garbage) is gone and counted, and the rest of the
/// namespace goes on. A directory that somebody removes is made again by the next write. Dead
/// entries leave when they are met: by a read, by one in 64 writes, which looks at up to 64 others
/// (of a process that writes but once, one in 64 looks), and by [`sweep`](Namespace::sweep). There is
/// no bound by size: a disk that must not fill is for a store that has one, as `sqlite:`.
///
/// Lock files: one for each entry that is being created, which goes with its holder, and at most
/// sixteen for the writers of the namespace, which stay until a sweep takes those that nobody holds.
///
/// A directory that a newer version takes over while it is open is left to that: changes, and reads of what this
/// version cannot read, fail with [`ErrorKind::Config`].
///
/// It takes bytes, not live objects. Listing and removing by tag read every file. A mark is a small
/// file of its own; a name without one costs a reader one open that fails.
///
/// # Concurrency
///
/// Threads and processes may use one directory at the same time, through as many handles as they
/// like; in one process these share one store, found by the canonical path of the directory.
/// A process that is killed at any moment leaves the old entry or the new one, and its locks are
/// free at once. A process that is stopped in the middle of a write (a matter of microseconds)
/// makes writers of a sixteenth of the keys wait, at most for
/// [`lock_timeout`](FileConfig::lock_timeout), and whoever claims one of these keys at most for the
/// [`Wait`] of that call; readers never wait.
///
/// # Examples
///
/// ```
/// use beaker_namespace::{Entry, FileConfig, FileNamespace, Key, Namespace, Payload};
///
/// # let dir = tempfile::tempdir()?;
/// let pages = FileNamespace::open("pages", FileConfig::new(dir.path()))?;
/// pages.set(&Key::new("/"), Entry::new(Payload::raw("<html>"), pages.clock().now()))?;
///
/// // Another handle, in this process or another, finds it.
/// let again = FileNamespace::open("pages", FileConfig::new(dir.path()))?;
/// assert!(again.get(&Key::new("/"))?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FileNamespace {
    id: NamespaceId,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

impl FileNamespace {
    /// Opens the namespace called `name`, making its directory if it is absent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a newer or another program wrote the directory, if it is on a network
    /// file system, or if this process has the namespace open with other settings;
    /// [`ErrorKind::Denied`] and [`ErrorKind::Full`] if it cannot be made.
    pub fn open(name: &str, config: FileConfig) -> Result<Self, Error> {
        let FileConfig { dir, clock, settings } = config;
        let dir = canonical(&dir)?;
        check_filesystem(&dir, settings.network)?;
        let store = registry::find_or_open(dir.clone(), name, settings)?;
        let id = NamespaceId::new(&format!("file:{}", dir.display()), name);
        Ok(Self { id, store, clock })
    }
}

impl Namespace for FileNamespace {
    fn id(&self) -> &NamespaceId {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Host
    }

    fn capabilities(&self) -> Capabilities {
        use Capability::{Bytes, CompareAndSet, Expiry, Marks, Retains, Scan, Tags};
        Capabilities::new(&[Retains, Bytes, Expiry, Scan, CompareAndSet, Tags, Marks])
    }

    fn latency(&self) -> Latency {
        Latency::Blocking
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        self.store.get(key, self.clock.coarse())
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        self.store.set(key, entry)?;
        self.store.sweep_a_little(self.clock.coarse());
        Ok(())
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        self.store.remove(key, self.clock.coarse())
    }

    fn clear(&self) -> Result<(), Error> {
        self.store.clear()
    }

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        self.store.claim(key, wait)
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        let fulfilled = self.store.fulfil(key, entry, &claim)?;
        drop(claim);
        self.store.sweep_a_little(self.clock.coarse());
        Ok(fulfilled)
    }

    fn stats(&self) -> Stats {
        self.store.stats()
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        self.store.set_if(key, entry, condition, self.clock.coarse())
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        self.store.scan(scan, self.clock.coarse())
    }

    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        self.store.remove_tag(tag, self.clock.coarse())
    }

    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        self.store.mark(name, mark, &*self.clock)
    }

    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        self.store.marks(names, &*self.clock)
    }

    fn sweep(&self) -> Result<Swept, Error> {
        self.store.sweep(self.clock.now())
    }

    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        self.store.look_up(key, self.clock.coarse())
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        self.store.inspect(key, self.clock.coarse())
    }
}

/// Opens `file:///dir?durable=true&lock_timeout_ms=…&max_value_bytes=…&network=allow`.
pub(crate) fn open(
    url: &StoreUrl,
    name: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Namespace>, Error> {
    let config = FileConfig::from_url(url)?.clock(clock);
    Ok(Arc::new(FileNamespace::open(name, config)?))
}

/// The one path of the directory, which is made if it is absent.
fn canonical(dir: &Path) -> Result<PathBuf, Error> {
    let fail = |error| Error::io("open the file store", dir, error);
    match fs::canonicalize(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail)?;
            fs::canonicalize(dir).map_err(fail)
        }
        found => found.map_err(fail),
    }
}

fn check_filesystem(dir: &Path, policy: NetworkPolicy) -> Result<(), Error> {
    let filesystem =
        Filesystem::of(dir).map_err(|error| Error::lock("open the file store", error))?;
    if filesystem.permitted_by(policy) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "open the file store").with_detail(format!(
        "{} is on `{}`, which may lose locks; use a local directory or allow it (`network=allow`)",
        dir.display(),
        filesystem.name()
    )))
}

#[cfg(test)]
mod tests;
