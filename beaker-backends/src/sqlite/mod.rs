//! A namespace in an SQLite database: the durable store that the processes of a host share.

// What keeps reads in memory, from the outside in; the rules are at the top of `kept`:
//
//   kept       looks whether what was read is current, serves it, and hands in what is read
//   trial      finds out whether keeping reads pays, before any is kept
//   shelf      the entries that were read, and the moment at which they were current
//   index      that moment: the header of the log's index, which each commit changes
//   carry      what this process changes itself is taken off the shelf, and the rest stays
//   leavings   shelves that nobody needs any more, dropped by and by
//
// A set is `single`, one statement, or a `change`. Before both come `writers`, who let one write at a time, and
// `identity`, which knows whether the file is there yet.
//
// Their neighbours: `presence` knows whether another process has the database open, and `glance` reads one
// entry without opening it.

mod carry;
mod change;
mod claims;
mod config;
mod connection;
mod database;
mod errors;
mod file;
mod glance;
mod heal;
mod housekeeping;
mod identity;
mod index;
mod kept;
mod leavings;
mod listing;
mod log;
mod marks;
mod pool;
mod presence;
mod registry;
mod row;
mod schema;
mod shelf;
mod single;
mod space;
mod store;
mod trial;
mod writers;

use std::sync::Arc;

use beaker_namespace::{
    Capabilities, Capability, Claim, Clock, Condition, ConditionalSet, Entry, Error, Fulfilled,
    Inspection, Key, Latency, Lookup, Mark, Namespace, NamespaceId, Page, Scan, Scope, Stats,
    StoreUrl, Swept, Wait,
};

pub use self::config::SqliteConfig;
pub use self::glance::glance;
use self::space::Space;
use crate::place;

/// The scheme of its URLs.
const SCHEME: &str = "sqlite";

/// Keeps its entries in an SQLite database, shared by the processes of this host.
///
/// One database holds as many namespaces as one likes. It is in WAL mode: readers wait for nobody.
/// What cannot be read back (a flipped bit, a record that was moved to another key) is gone and
/// counted, and the rest of the namespace goes on. Dead entries leave by index, some with one in 16
/// writes and all with [`sweep`](Namespace::sweep). [`clear`](Namespace::clear) takes the same time
/// however many entries there are; what it left is deleted bit by bit by later writes. Batches are
/// one transaction, and all or nothing.
///
/// It takes bytes, not live objects. SQLite itself is compiled in, in a version that is checked when
/// the database is opened.
///
/// # Files
///
/// Beside `cache.db` there are `cache.db-wal` and `cache.db-shm`, which belong to the database and
/// must be moved with it, and the directory `cache.db.locks`, which may be removed when nobody uses
/// the database. The log, `cache.db-wal`, has some 12 MiB while the database is used (less with
/// [`max_bytes`](SqliteConfig::max_bytes)), or as much as the largest write, or what was written while somebody
/// read for long, until the next write after that; who closes the
/// database last takes it away. Remove all of them or none: a log that stays is taken for that of the next database. One
/// descriptor of `cache.db-shm` is kept open by this process while others have the database open, also
/// after the namespaces are dropped: to close it would free the locks of other connections. The `sqlite3` tool reads the database at any time:
///
/// ```sh
/// sqlite3 cache.db "SELECT n.name, count(*) FROM entries e JOIN namespaces n ON n.id = e.ns GROUP BY 1"
/// ```
///
/// A database that is damaged as a whole is set aside with its log, under a name that ends with `.damaged-`
/// and a number, never deleted, and the store goes on with a new one. That is done when it is opened, or
/// when damage is met later, by a process that has it open alone, once SQLite has looked through all of it and
/// found a fault. Until then what meets the damage is an error of kind
/// [`Corrupt`](beaker_namespace::ErrorKind::Corrupt) that names the database, and the rest is read and
/// written. A file that does not say that it is a database of ours is an error of kind `Config`, and is left.
///
/// A database that a killed process left is set aside too, by the first one to open it, if a part of its log is
/// changed, or cut off (but not a log that is gone or empty, or that takes longer to read than half of
/// [`lock_timeout`](SqliteConfig::lock_timeout) and 100 milliseconds, nor if several processes open it at the same moment): SQLite would go on without what was committed there and later, and serve what that had
/// replaced, removed, cleared or marked. This is known until the computer is started again. After that, as after
/// a power cut, which may tear the end of a log, the log is good as far as it goes, and damage to it may bring
/// old values back. So may, at any time, a bit that flips in the name of a mark: the mark is lost.
/// The log of a disk that was lost, or set back to a snapshot, while the computer ran is taken for damaged.
///
/// A program must not open the database by a connection of its own in the same process: whoever closes a file frees
/// all locks that his process has on it, and the other connection would go on without. Other processes may.
///
/// If the database's file, or its directory, is removed while it is open, the next write makes it anew, and
/// opens what another process has made. Until then reads find what was there. If the file or its directory is
/// moved, a write within the next 10 milliseconds may still be in the moved file; so too if within that time it
/// gets a second name (a hard link) and loses its own. If its path becomes a symbolic link to it, nothing changes.
///
/// # Full disks
///
/// On a full disk writes fail, removals and [`clear`](Namespace::clear) too as soon as there is no room for them in the
/// log; reads go on, and writes do once somebody makes room. [`max_bytes`](SqliteConfig::max_bytes) keeps it from that.
///
/// # Concurrency
///
/// Threads and processes may use one database at the same time, through as many handles as they
/// like; in one process these share one store, found by the canonical path of the file.
/// Writers take turns, and wait at most for [`lock_timeout`](SqliteConfig::lock_timeout) (and as
/// long again for another program, such as the tool, that has the database locked). A process that
/// is killed at any moment leaves the old entry or the new one, and its locks are free at once. One
/// that is stopped in the middle of a write makes writers time out; readers go on.
///
/// What is read again and again is kept in memory, up to
/// [`kept_reads_bytes`](SqliteConfig::kept_reads_bytes), as long as the index of the database's log says
/// that nobody has committed anything, in whatever process; each get looks. What this process changes
/// itself is taken out, and the rest stays. So a get never finds less than what was written, by anybody, before
/// it began. (One moment cannot be told from another: a process dies while it empties the log, and when the next
/// log begins, a get looks in the instant in which SQLite clears its index. It may find what it had read before.)
///
/// SQLite cannot be used across a fork: in a process that was forked while the database was open,
/// every call is an error of kind [`Config`](beaker_namespace::ErrorKind::Config). Fork first, then
/// open.
///
/// # Examples
///
/// ```
/// use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace};
/// use beaker_namespace::{Entry, Key, Namespace, Payload};
///
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("cache.db");
/// let pages = SqliteNamespace::open("pages", SqliteConfig::new(&path))?;
/// let page = Entry::new(Payload::raw("<html>"), pages.clock().now());
/// pages.set_many(vec![(Key::new("/"), page.clone()), (Key::new("/news"), page)])?;
///
/// // Another handle, in this process or another, finds them.
/// let again = SqliteNamespace::open("pages", SqliteConfig::new(&path))?;
/// assert!(again.get(&Key::new("/news"))?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SqliteNamespace {
    id: NamespaceId,
    space: Arc<Space>,
    clock: Arc<dyn Clock>,
}

impl SqliteNamespace {
    /// Opens the namespace called `name`, making the database if it is absent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](beaker_namespace::ErrorKind::Config) if a newer or another program
    /// wrote the database, if the file is none, if it is on a network file system, if this process has it
    /// open with other settings or inherited it by a fork; `Corrupt` if it is damaged and another
    /// process has it open; `Denied` and `Full` if it cannot be made; `Timeout` if it is to be made and
    /// another process holds the writers' lock.
    pub fn open(name: &str, config: SqliteConfig) -> Result<Self, Error> {
        let SqliteConfig { path, clock, settings } = config;
        let path = place::canonical_file(&path, settings.common.network)?;
        let id = NamespaceId::new(&format!("{SCHEME}:{}", path.display()), name);
        let space = registry::find_or_open(path, settings)?.space(name)?;
        Ok(Self { id, space, clock })
    }

    /// How many gets were answered from memory, of all namespaces of this database in this process;
    /// see [`kept_reads_bytes`](SqliteConfig::kept_reads_bytes).
    pub fn kept_hits(&self) -> u64 {
        self.space.store.database.kept.hits()
    }
}

impl Namespace for SqliteNamespace {
    fn id(&self) -> &NamespaceId {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Host
    }

    fn capabilities(&self) -> Capabilities {
        use Capability::{Batch, Bytes, CompareAndSet, Expiry, Marks, Retains, Scan, Tags};
        Capabilities::new(&[Retains, Bytes, Expiry, Scan, CompareAndSet, Batch, Tags, Marks])
    }

    fn latency(&self) -> Latency {
        Latency::Blocking
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        self.space.get(key, self.clock.coarse())
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        self.space.set(key, entry, self.clock.coarse())
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        self.space.remove(key, self.clock.coarse())
    }

    fn clear(&self) -> Result<(), Error> {
        self.space.clear()
    }

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        self.space.claim(key, wait)
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        self.space.fulfil(key, entry, &claim, self.clock.coarse())
    }

    fn stats(&self) -> Stats {
        self.space.stats()
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        self.space.set_if(key, entry, condition, self.clock.coarse())
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        self.space.scan(scan, self.clock.coarse())
    }

    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        self.space.remove_tag(tag, self.clock.coarse())
    }

    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        self.space.mark(name, mark, &*self.clock)
    }

    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        self.space.marks(names, &*self.clock)
    }

    fn sweep(&self) -> Result<Swept, Error> {
        self.space.sweep(self.clock.now())
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        self.space.inspect(key, self.clock.coarse())
    }

    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        self.space.look_up(key, self.clock.coarse())
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        self.space.get_many(keys, self.clock.coarse())
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        self.space.set_many(entries, self.clock.coarse())
    }

    fn remove_many(&self, keys: &[Key]) -> Result<u64, Error> {
        self.space.remove_many(keys, self.clock.coarse())
    }
}

/// Opens `sqlite:///path/cache.db?durable=true&lock_timeout_ms=…&max_value_bytes=…&max_bytes=…
/// &cache_bytes=…&kept_reads_bytes=…&kept_reads_after=…&network=allow`.
pub(crate) fn open(
    url: &StoreUrl,
    name: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Namespace>, Error> {
    let config = SqliteConfig::from_url(url)?.clock(clock);
    Ok(Arc::new(SqliteNamespace::open(name, config)?))
}
