// How processes work on one database:
//
// 1. An entry is read in one statement, or many in one transaction, from a snapshot; readers take no
//    lock of ours and wait for nobody. What was read is checked against namespace and key.
// 2. What changes anything holds the writers' lock (writers.rs) and is one `BEGIN IMMEDIATE`
//    transaction. The lock is for order and limits; that a transaction is whole and alone, SQLite
//    sees to. Nothing of a caller's runs meanwhile, and values are encoded before.
// 3. A claim is two things: a lock on a file of its own (`CreationLock`), which keeps other creators
//    out and is free when its holder dies; and a row in `claims` with a token of its own, which is
//    written once the lock is held and replaces what an earlier holder left.
// 4. What sets or removes a key deletes the key's row in `claims` in the same transaction. `clear`
//    gives the namespace a new number, so that no row of the old one is found again.
// 5. `fulfil` stores only if its row, with its token, is there, and deletes it in the same
//    transaction. So of a change and a fulfilment that meet, either the change comes first and the
//    fulfilment finds no row, or the change comes later and replaces what was stored.
// 6. `remove_tag` bars the tag for each claim that is running in the namespace, since nobody knows
//    yet what tags its value will have; `fulfil` looks whether its own are among them.
// 7. A row whose lock is free is left over: the next claim on the key, or a sweep that has taken the
//    lock, removes it. Until then it costs writers a look, and does nothing else.
// 8. What is found dead or damaged is removed only by a transaction that has looked again.
// 9. The database is the file that the path leads to. A change looks whether that is still the one which
//    is open, once it has the writers' lock; if it was removed or replaced, the one that is there is
//    opened, or made. Reads do not look: they find that out with the next change.
// 10. A database that is damaged as a whole is set aside by whoever has it open alone; see heal.rs.
// 11. An entry that was read may be given out again without a transaction, as long as the index of the log
//    says that nobody has committed anything since: see kept.rs and index.rs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use beaker_namespace::{Error, ErrorKind};
use beaker_syncdict::WeakRegistry;
use parking_lot::Mutex;
use rusqlite::Connection;

use super::carry::Carry;
use super::change::{Change, Order};
use super::config::Settings;
use super::connection;
use super::heal::{self, Verdict};
use super::housekeeping::Room;
use super::index::Index;
use super::kept::{Kept, Look};
use super::pool::Pool;
use super::presence::Presence;
use super::shelf::Shelf;
use super::space::Space;
use super::writers::{WriterGuard, WriterLock};
use super::{errors, registry};
use crate::place;

const OPEN: &str = "open the SQLite store";

/// How often a change opens the file that was put into the place of the one that it had open.
const RENEWALS: u32 = 4;

/// How long a database that says that it is damaged, and could not be set aside, is left alone.
const BETWEEN_HEALINGS: Duration = Duration::from_secs(10);

/// What came of a fault that says that the database is damaged.
enum Judged {
    /// It is set aside; what that means to whoever met it.
    Aside(Error),
    /// It is not ours.
    Refused(Error),
    Nothing,
}

/// How often a change is tried again when there was no space, each time after more was dropped.
const ROUNDS: u32 = 6;

/// What all handles of one database in this process share.
pub(super) struct Store {
    path: PathBuf,
    locks: PathBuf,
    process: u32,
    pub(super) settings: Settings,
    pool: Pool,
    /// Ended after the connections of `pool` are closed: see `drop`.
    pub(super) kept: Kept,
    writer: WriterLock,
    presence: Presence,
    /// Device and inode of the file that is open.
    id: Mutex<(u64, u64)>,
    /// When the database may be looked through again.
    next_healing: Mutex<Option<Instant>>,
    pub(super) spaces: WeakRegistry<String, Space>,
    /// Rows written, for housekeeping in proportion.
    written: AtomicU64,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database at the canonical path `path`, making it if it is absent.
    pub(super) fn open(path: &Path, settings: Settings) -> Result<Self, Error> {
        connection::check_library(rusqlite::version_number())?;
        settings.check()?;
        let locks = place::beside(path, ".locks");
        let timeout = settings.common.lock_timeout;
        let writer = WriterLock::open(locks.clone(), timeout)?;
        let presence = Presence::enter(locks.join("users.lock"), timeout)?;
        let store = Self {
            path: path.to_owned(),
            locks,
            process: std::process::id(),
            settings,
            pool: Pool::default(),
            kept: Kept::new(&settings),
            writer,
            presence,
            id: Mutex::default(),
            next_healing: Mutex::default(),
            // One shard: a start of a process is all that some programs do with it.
            spaces: WeakRegistry::weak_with_shards(1),
            written: AtomicU64::new(0),
        };
        store.enter()?;
        Ok(store)
    }

    /// Opens the file that is there, or makes one. If it is damaged, and can be set aside, makes another.
    fn enter(&self) -> Result<(), Error> {
        self.pool.add(Box::new(self.opened()?));
        Ok(())
    }

    /// The first connection, where this process has none.
    fn opened(&self) -> Result<Connection, Error> {
        match self.first_connection() {
            Err(error) if error.kind() == ErrorKind::Corrupt => match self.judge(OPEN) {
                Judged::Aside(_) => self.first_connection(),
                Judged::Refused(error) => Err(error),
                Judged::Nothing => Err(error),
            },
            opened => opened,
        }
    }

    fn first_connection(&self) -> Result<Connection, Error> {
        let fail = |error| errors::map(OPEN, &self.path, error);
        connection::make_file(&self.path)?;
        let id = place::id_of(&self.path).map_err(|error| Error::io(OPEN, &self.path, error))?;
        let first = connection::connect(&self.path, &self.settings).map_err(fail)?;
        connection::prepare(&first, &self.path, &self.writer)?;
        connection::limit(&first, &self.settings).map_err(fail)?;
        *self.id.lock() = id;
        Ok(first)
    }

    /// Sets the database aside if it is damaged and nobody else has it open. This process has not.
    fn judge(&self, operation: &'static str) -> Judged {
        match self.presence.alone(|| heal::judge(&self.path, &self.settings)) {
            Ok(Some(Ok(Verdict::Aside(aside)))) => Judged::Aside(errors::aside(operation, &aside)),
            Ok(Some(Ok(Verdict::Foreign))) => {
                Judged::Refused(errors::foreign(operation, &self.path))
            }
            _ => Judged::Nothing,
        }
    }

    /// What a fault of SQLite's means to the caller. No connection of this thread's is in use.
    #[cold]
    fn failed(&self, operation: &'static str, error: rusqlite::Error) -> Error {
        let error = errors::map(operation, &self.path, error);
        if error.kind() != ErrorKind::Corrupt || !self.may_heal() {
            return error;
        }
        let healed = self.pool.while_closed(self.settings.common.lock_timeout, || {
            if !self.is_here() {
                return None;
            }
            let Judged::Aside(healed) = self.judge(operation) else { return None };
            self.kept.retire();
            *self.next_healing.lock() = None;
            // If it fails, the next change tries again, and says so.
            Some((healed, self.first_connection().ok()))
        });
        let Some((healed, first)) = healed.flatten() else { return error };
        if let Some(first) = first {
            self.pool.add(Box::new(first));
        }
        healed
    }

    /// Whether it is time to look whether the database is damaged; to look through it takes long.
    fn may_heal(&self) -> bool {
        let mut next = self.next_healing.lock();
        let now = Instant::now();
        let may = next.is_none_or(|next| next <= now);
        if may {
            *next = Some(now + BETWEEN_HEALINGS);
        }
        may
    }

    /// Rule 9.
    fn is_here(&self) -> bool {
        place::id_of(&self.path).is_ok_and(|id| id == *self.id.lock())
    }

    /// Opens the file that the path leads to now, or makes one.
    #[cold]
    fn renew(&self) -> Result<(), Error> {
        let renewed = self.pool.while_closed(self.settings.common.lock_timeout, || {
            if self.is_here() {
                return Ok(None);
            }
            self.kept.retire();
            // Whoever removed the database may have removed its directory too.
            self.writer.open_again()?;
            self.presence.enter_again()?;
            self.opened().map(Some)
        });
        if let Some(first) = renewed.transpose()?.flatten() {
            self.pool.add(Box::new(first));
        }
        Ok(())
    }

    /// The writers' lock, of the file that is open.
    fn lock(&self, operation: &'static str) -> Result<WriterGuard<'_>, Error> {
        for _ in 0..RENEWALS {
            let writer = self.writer.lock(operation)?;
            if self.is_here() {
                return Ok(writer);
            }
            drop(writer);
            self.renew()?;
        }
        Err(Error::new(ErrorKind::Unavailable, operation).with_detail(format!(
            "{} is removed or replaced again and again, or is in use meanwhile",
            self.path.display()
        )))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of the lock files.
    pub(super) fn locks(&self) -> &Path {
        &self.locks
    }

    /// The namespace called `name`, as all handles of this process share it.
    pub(super) fn space(self: &Arc<Self>, name: &str) -> Result<Arc<Space>, Error> {
        let make = || Arc::new(Space::new(Arc::clone(self), name));
        self.spaces.get_or_create(name, make).map_err(|error| {
            Error::new(beaker_namespace::ErrorKind::Unavailable, "open the SQLite store")
                .with_source(error)
        })
    }

    /// Fails if this process is not the one that opened the store.
    pub(super) fn check_process(&self) -> Result<(), Error> {
        if std::process::id() == self.process { Ok(()) } else { Err(registry::forked(&self.path)) }
    }

    /// Shows what is kept of earlier reads to `find`, which finds so many entries or none, if it is still
    /// what the database has.
    pub(super) fn look<T>(
        &self,
        count: usize,
        find: impl FnOnce(&Shelf) -> Option<T>,
    ) -> Result<Look<T>, Error> {
        if self.kept.rests() {
            return Ok(Look::Ask(None));
        }
        self.check_process()?;
        Ok(self.kept.look(count, || self.index(), find))
    }

    /// The index of the log, for what is kept.
    #[cold]
    fn index(&self) -> Option<Index> {
        let anchor = || connection::anchor(&self.path, &self.settings);
        // It counts as a connection in use while it is made.
        let anchor = self.pool.with(|| self.connect(), |_| anchor()).ok()??;
        Index::open(&self.path, anchor)
    }

    /// Looks at the database; takes no lock.
    pub(super) fn read<T>(
        &self,
        operation: &'static str,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.check_process()?;
        let outcome = self.pool.with(|| self.connect(), look);
        outcome.map_err(|error| self.failed(operation, error))
    }

    /// Changes `space` in one transaction, which needs `room`.
    ///
    /// `body` runs again, in a new transaction, if there was no space.
    pub(super) fn change<T>(
        &self,
        operation: &'static str,
        space: &Space,
        room: Room,
        body: impl FnMut(&Change<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.check_process()?;
        let writer = self.lock(operation)?;
        let changed = self.change_locked(space, room, &writer, body);
        drop(writer);
        changed.map_err(|error| self.failed(operation, error))
    }

    /// The same if nobody is writing now.
    pub(super) fn try_change<T>(
        &self,
        operation: &'static str,
        space: &Space,
        body: impl FnMut(&Change<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        self.check_process()?;
        let Some(writer) = self.writer.try_lock(operation)? else { return Ok(None) };
        if !self.is_here() {
            return Ok(None);
        }
        let changed = self.change_locked(space, Room::NONE, &writer, body);
        drop(writer);
        changed.map(Some).map_err(|error| self.failed(operation, error))
    }

    fn change_locked<T>(
        &self,
        space: &Space,
        room: Room,
        _writer: &WriterGuard<'_>,
        mut body: impl FnMut(&Change<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.pool.with(
            || self.connect(),
            |connection| {
                let mut round = 0;
                loop {
                    let outcome =
                        self.attempt(connection, space, room.times(1 << round), &mut body);
                    match outcome {
                        Err(error) if errors::is_full(&error) && round < self.rounds() => {
                            round += 1
                        }
                        outcome => return outcome,
                    }
                    // The log's content moves into the database's file, and its space is free.
                    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
                }
            },
        )
    }

    fn attempt<T>(
        &self,
        connection: &Connection,
        space: &Space,
        room: Room,
        body: &mut impl FnMut(&Change<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let order = match self.settings.max_bytes {
            Some(_) => Order::Kept,
            None => Order::Unknown,
        };
        let mut change = Change::begin(connection, &space.name, order)?;
        change.carry = Carry::begin(&self.kept, space.number, connection);
        let evicted = match self.settings.max_bytes {
            Some(_) if room.bytes > 0 => change.make_room(room)?,
            _ => 0,
        };
        let done = body(&change)?;
        let carry = change.carry.take();
        change.commit()?;
        self.kept.note_commit();
        if let Some(carry) = carry {
            carry.end(connection);
        }
        space.counts.evictions.add(evicted);
        Ok(done)
    }

    const fn rounds(&self) -> u32 {
        if self.settings.max_bytes.is_some() { ROUNDS } else { 1 }
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = connection::connect(&self.path, &self.settings)?;
        connection::limit(&connection, &self.settings)?;
        Ok(connection)
    }

    /// Counts `rows` as written; says how many were since the last time that it said so, if it is
    /// time for housekeeping.
    pub(super) fn written(&self, rows: u64, every: u64) -> Option<u64> {
        let before = self.written.fetch_add(rows, Ordering::Relaxed);
        (before / every != (before + rows) / every).then_some(rows.max(every))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.check_process().is_err() {
            // To close them here would take the parent's log away.
            self.pool.drain().into_iter().for_each(std::mem::forget);
            self.kept.forget();
            registry::inherited(&self.path);
            return;
        }
        drop(self.pool.drain());
        self.kept.close();
        self.presence.leave();
    }
}

#[cfg(test)]
mod tests {
    use beaker_namespace::{Entry, ErrorKind, Key, Payload, Timestamp};

    use super::super::config::SqliteConfig;
    use super::*;

    /// A store as it is in a process that was forked from the one that opened it.
    fn inherited(path: &Path) -> Store {
        let mut store = Store::open(path, SqliteConfig::new(path).settings).unwrap();
        store.process = store.process.wrapping_add(1);
        store
    }

    #[test]
    fn f43_in_a_forked_process_every_call_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let store = Arc::new(inherited(&path));
        let (space, key) = (store.space("n").unwrap(), Key::new("k"));
        let now = Timestamp::from_micros(0);
        let entry = || Entry::new(Payload::raw("v"), now);
        let wait = beaker_namespace::Wait::Never;
        for error in [
            space.get(&key, now).unwrap_err(),
            space.set(&key, entry(), now).unwrap_err(),
            space.remove(&key, now).unwrap_err(),
            space.clear().unwrap_err(),
            space.claim(&key, wait).unwrap_err(),
            space.sweep(now).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("open it again in a process"), "{error}");
        }
    }

    #[test]
    fn f43_a_forked_process_neither_closes_nor_opens_what_its_parent_had_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = std::fs::canonicalize(dir.path()).unwrap().join("cache.db");
        let settings = SqliteConfig::new(&path).settings;
        let log = place::beside(&path, "-wal");
        drop(Store::open(&path, settings).unwrap());
        assert!(!log.exists(), "the control: the last connection takes the log away");
        drop(inherited(&path));
        assert!(log.exists(), "it was closed");
        let error = registry::find_or_open(path, settings).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn a_library_that_may_corrupt_the_database_is_refused() {
        assert!(connection::check_library(3_051_003).is_ok());
        let error = connection::check_library(3_051_002).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("SQLite 3.51.2"), "{error}");
    }

    #[test]
    fn a_closed_store_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let settings = SqliteConfig::new(&path).settings;
        let store = registry::find_or_open(path.clone(), settings).unwrap();
        let same = registry::find_or_open(path, settings).unwrap();
        assert!(Arc::ptr_eq(&store, &same));
        let weak = Arc::downgrade(&store);
        drop((store, same));
        assert!(weak.upgrade().is_none());
    }
}
