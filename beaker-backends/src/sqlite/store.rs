// How processes work on one database:
//
// 1. An entry is read in one statement, or many in one transaction, from a snapshot; readers take no
//    lock of ours and wait for nobody. What was read is checked against namespace and key.
// 2. What changes anything holds the writers' lock (writers.rs) and is one `BEGIN IMMEDIATE`
//    transaction, or one statement that begins as such a one (single.rs). The lock is for order and limits;
//    that a transaction is whole and alone, SQLite sees to. Nothing of a caller's runs meanwhile, and values
//    are encoded before.
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
//    is open, once it has the writers' lock; if it was removed, replaced or moved (identity.rs), the one that is
//    there is opened, or made. Reads do not look: they find that out with the next change.
// 10. A database that is damaged as a whole is set aside by whoever has it open alone; see heal.rs.
// 11. An entry that was read may be given out again without a transaction, as long as the index of the log
//    says that nobody has committed anything since: see kept.rs and index.rs.

use std::path::Path;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use beaker_namespace::{Error, ErrorKind};
use beaker_syncdict::WeakRegistry;
use rusqlite::Connection;

use super::carry::Carry;
use super::change::{Change, Order};
use super::config::Settings;
use super::connection::Cap;
use super::database::Database;
use super::errors;
use super::housekeeping::Room;
use super::row::Row;
use super::single;
use super::space::Space;

/// How often a change is tried again when there was no space, each time after more was dropped.
const ROUNDS: u32 = 6;

/// How long who finds the database beyond its limit waits for those who keep the log. A read takes less.
const READERS_WAIT: Duration = Duration::from_millis(100);

/// What all handles of one database in this process share.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) database: Database,
    pub(super) spaces: WeakRegistry<String, Space>,
    /// Rows written, for housekeeping in proportion.
    written: AtomicU64,
    /// Whether the last change found tags, by which a set is no single statement. Relaxed: that looks too.
    tagged: AtomicBool,
}

impl Store {
    /// Opens the database at the canonical path `path`, making it if it is absent.
    pub(super) fn open(path: &Path, settings: Settings) -> Result<Self, Error> {
        Ok(Self {
            database: Database::open(path, settings)?,
            // One shard: a start of a process is all that some programs do with it.
            spaces: WeakRegistry::weak_with_shards(1),
            written: AtomicU64::new(0),
            tagged: AtomicBool::new(false),
        })
    }

    /// The namespace called `name`, as all handles of this process share it.
    pub(super) fn space(self: &Arc<Self>, name: &str) -> Result<Arc<Space>, Error> {
        let make = || Arc::new(Space::new(Arc::clone(self), name));
        self.spaces.get_or_create(name, make).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "open the SQLite store").with_source(error)
        })
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
        self.database.write(operation, |connection| self.run(connection, space, room, body))
    }

    /// The same if nobody is writing now.
    pub(super) fn try_change<T>(
        &self,
        operation: &'static str,
        space: &Space,
        body: impl FnMut(&Change<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        let run = |connection: &Connection| self.run(connection, space, Room::NONE, body);
        self.database.try_write(operation, run)
    }

    /// Stores `row` in `space`, which needs `room`.
    pub(super) fn set(
        &self,
        operation: &'static str,
        space: &Space,
        room: Room,
        row: &Row,
    ) -> Result<(), Error> {
        self.database.write(operation, |connection| {
            if self.set_alone(connection, space, row)? {
                return Ok(());
            }
            self.run(connection, space, room, |change| change.put(slice::from_ref(row)))
        })
    }

    /// Stores `row` by one statement, if that is all there is to do; says whether it did.
    fn set_alone(
        &self,
        connection: &Connection,
        space: &Space,
        row: &Row,
    ) -> rusqlite::Result<bool> {
        let Database { kept, settings, .. } = &self.database;
        // Who evicts has to keep the order of writing.
        let evicts = settings.max_bytes.is_some();
        if evicts || !row.tags.is_empty() || self.tagged.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match single::set(connection, kept, space, row) {
            // The change makes space.
            Err(error) if errors::is_full(&error) => Ok(false),
            set => set,
        }
    }

    /// Keeps the log to what is left of a limited size, or to its part of it, for a change that needs `room`. Who
    /// reads from before what is in the log keeps it from being emptied, and it would grow for as long as he does.
    /// What is beyond the limit without the log, as after the limit was lowered, is no reason to refuse: what is
    /// written takes the place of what was.
    fn bound_log(
        &self,
        connection: &Connection,
        space: &Space,
        room: Room,
    ) -> rusqlite::Result<()> {
        let Settings { max_bytes, common, .. } = self.database.settings;
        let is_beyond = || {
            max_bytes.is_some_and(|most| {
                space.log_bytes() > Cap::log_part(most) && space.size_bytes() > Some(most)
            })
        };
        // Removals go on: they are few bytes, and what they are for does not wait.
        if room.bytes == 0 || !is_beyond() {
            return Ok(());
        }
        connection.busy_timeout(READERS_WAIT.min(common.lock_timeout))?;
        empty_log(connection);
        connection.busy_timeout(common.lock_timeout)?;
        if is_beyond() { Err(errors::kept_by_a_reader()) } else { Ok(()) }
    }

    fn run<T>(
        &self,
        connection: &Connection,
        space: &Space,
        room: Room,
        mut body: impl FnMut(&Change<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.bound_log(connection, space, room)?;
        let mut round = 0;
        loop {
            match self.attempt(connection, space, room.times(1 << round), &mut body) {
                Err(error) if errors::is_full(&error) && round < self.rounds() => round += 1,
                outcome => return outcome,
            }
            empty_log(connection);
        }
    }

    fn attempt<T>(
        &self,
        connection: &Connection,
        space: &Space,
        room: Room,
        body: &mut impl FnMut(&Change<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let Database { kept, settings, .. } = &self.database;
        let order = match settings.max_bytes {
            Some(_) => Order::Kept,
            None => Order::Unknown,
        };
        let mut change = Change::begin(connection, &space.name, order)?;
        change.carry = Carry::begin(kept, space.number, connection);
        let evicted = match settings.max_bytes {
            Some(_) if room.bytes > 0 => change.make_room(room)?,
            _ => 0,
        };
        let done = body(&change)?;
        let carry = change.carry.take();
        self.tagged.store(change.is_tagged(), Ordering::Relaxed);
        change.commit()?;
        kept.count_commit();
        if let Some(carry) = carry {
            carry.end(connection);
        }
        space.counts.evictions.add(evicted);
        Ok(done)
    }

    const fn rounds(&self) -> u32 {
        if self.database.settings.max_bytes.is_some() { ROUNDS } else { 1 }
    }

    /// Counts `rows` as written; says how many were since the last time that it said so, if it is
    /// time for housekeeping.
    pub(super) fn written(&self, rows: u64, every: u64) -> Option<u64> {
        let before = self.written.fetch_add(rows, Ordering::Relaxed);
        (before / every != (before + rows) / every).then_some(rows.max(every))
    }
}

/// Moves the log's content into the database's file, so that its space is free. If somebody reads from it, it stays.
fn empty_log(connection: &Connection) {
    let _stays = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}

#[cfg(test)]
mod tests {
    use beaker_namespace::{Entry, ErrorKind, Key, Payload, Timestamp};

    use super::super::config::SqliteConfig;
    use super::super::registry;
    use super::*;

    #[test]
    fn f43_in_a_forked_process_every_call_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let mut store = Store::open(&path, SqliteConfig::new(&path).settings).unwrap();
        store.database.inherit();
        let store = Arc::new(store);
        let (space, key) = (store.space("n").unwrap(), Key::new("k"));
        let now = Timestamp::from_micros(0);
        let entry = || Entry::new(Payload::raw("v"), now);
        let wait = beaker_namespace::Wait::Never;
        for error in [
            space.look_up(&key, now).unwrap_err(),
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
