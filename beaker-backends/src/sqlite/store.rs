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
// 9. An entry that was read may be given out again without a transaction, as long as the index of the log
//    says that nobody has committed anything since: see kept.rs and index.rs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use beaker_namespace::Error;
use beaker_syncdict::WeakRegistry;
use rusqlite::Connection;

use super::carry::Carry;
use super::change::{Change, Order};
use super::config::Settings;
use super::connection::{self, Pool};
use super::housekeeping::Room;
use super::index::Index;
use super::kept::{Kept, Look};
use super::shelf::Shelf;
use super::space::Space;
use super::writers::{WriterGuard, WriterLock};
use super::{errors, registry};
use crate::place;

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
        let writer = WriterLock::open(locks.join("writer.lock"), settings.common.lock_timeout)?;
        connection::make_file(path)?;
        let store = Self {
            path: path.to_owned(),
            locks,
            process: std::process::id(),
            settings,
            pool: Pool::default(),
            kept: Kept::new(&settings),
            writer,
            // One shard: a start of a process is all that some programs do with it.
            spaces: WeakRegistry::weak_with_shards(1),
            written: AtomicU64::new(0),
        };
        let fail = |error| errors::map("open the SQLite store", path, error);
        let first = connection::connect(path, &settings).map_err(fail)?;
        connection::prepare(&first, path, &store.writer)?;
        connection::limit(&first, &settings).map_err(fail)?;
        store.pool.give_back(Box::new(first));
        Ok(store)
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
        let anchor = connection::anchor(&self.path, &self.settings).ok()??;
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
        outcome.map_err(|error| errors::map(operation, &self.path, error))
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
        let writer = self.writer.lock(operation)?;
        self.change_locked(operation, space, room, &writer, body)
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
        self.change_locked(operation, space, Room::NONE, &writer, body).map(Some)
    }

    fn change_locked<T>(
        &self,
        operation: &'static str,
        space: &Space,
        room: Room,
        _writer: &WriterGuard<'_>,
        mut body: impl FnMut(&Change<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let outcome = self.pool.with(
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
        );
        outcome.map_err(|error| errors::map(operation, &self.path, error))
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
