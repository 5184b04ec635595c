use std::path::Path;
use std::slice;
use std::sync::Arc;

use beaker_namespace::{
    Condition, ConditionalSet, Counts, Entry, Error, ErrorKind, Inspection, Key, Lookup, Stats,
    Timestamp, new_generation,
};
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::change::Change;
use super::database::Database;
use super::housekeeping::Room;
use super::index::Moment;
use super::kept::Answer;
use super::row::{self, By, Found, Row};
use super::store::Store;
use crate::place;

/// What all handles of one namespace in this process share. The rules are in store.rs.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) store: Arc<Store>,
    pub(super) name: Box<str>,
    /// Its number among what is kept of reads.
    pub(super) number: u64,
    pub(super) counts: Counts,
}

impl Space {
    pub(super) fn new(store: Arc<Store>, name: &str) -> Self {
        let number = store.database.kept.next_space();
        Self { store, name: name.into(), number, counts: Counts::default() }
    }

    pub(super) fn database(&self) -> &Database {
        &self.store.database
    }

    /// A read that drops what it finds damaged.
    pub(super) fn get(&self, key: &Key, now: Timestamp) -> Result<Option<Entry>, Error> {
        self.look_up(key, now).map(|found| self.healed(key, found, now))
    }

    /// A read that leaves what it finds damaged.
    pub(super) fn look_up(&self, key: &Key, now: Timestamp) -> Result<Lookup, Error> {
        let moment = match self.database().find_kept(1, |shelf| shelf.get(self.number, key, now))? {
            Answer::Kept(entry) => {
                self.counts.hits.add(1);
                return Ok(Lookup::Found(entry));
            }
            Answer::Ask(moment) => moment,
        };
        let found = self.find(key, now)?;
        self.keep(moment, std::iter::once((key, &found)));
        self.serve(found)
    }

    pub(super) fn get_many(
        &self,
        keys: &[Key],
        now: Timestamp,
    ) -> Result<Vec<Option<Entry>>, Error> {
        let moment = match self.database().find_kept(keys.len(), |shelf| {
            keys.iter().map(|key| shelf.get(self.number, key, now).map(Some)).collect()
        })? {
            Answer::Kept(entries) => {
                self.counts.hits.add(keys.len() as u64);
                return Ok(entries);
            }
            Answer::Ask(moment) => moment,
        };
        let found = self.read_many(keys, now)?;
        self.keep(moment, keys.iter().zip(&found));
        let served = keys.iter().zip(found).map(|(key, found)| (key, self.serve(found)));
        served.map(|(key, found)| Ok(self.healed(key, found?, now))).collect()
    }

    fn read_many(&self, keys: &[Key], now: Timestamp) -> Result<Vec<Found>, Error> {
        self.database().read("read entries", |connection| {
            // One transaction: all are of one moment, and it begins once.
            let snapshot = connection.unchecked_transaction()?;
            let find = "SELECT id FROM namespaces WHERE name = ?1";
            let space: Option<i64> = snapshot
                .prepare_cached(find)?
                .query_row([&*self.name], |row| row.get(0))
                .optional()?;
            let look = |key: &Key| {
                let place = params![space, key.as_bytes()];
                self.find_by(&snapshot, row::BY_NUMBER, place, key, now)
            };
            keys.iter().map(look).collect()
        })
    }

    /// Keeps the living entries of what was read after it was `moment`.
    fn keep<'a>(&self, moment: Option<Moment>, found: impl Iterator<Item = (&'a Key, &'a Found)>) {
        let Some(moment) = moment else { return };
        let living = found.map(|(key, found)| match found {
            Found::Living(entry) => (key, Some(entry)),
            _ => (key, None),
        });
        self.database().kept.keep(moment, self.number, living);
    }

    pub(super) fn inspect(&self, key: &Key, now: Timestamp) -> Result<Inspection, Error> {
        Ok(match self.find(key, now)? {
            Found::Absent => Inspection::Absent,
            Found::Living(entry) => Inspection::Present(entry),
            Found::Dead(entry) => Inspection::Dead(entry),
            Found::Corrupt(error, _) => {
                self.database().refuse_newer("read an entry")?;
                Inspection::Corrupt(error.to_string())
            }
            Found::TooLarge | Found::DeadTooLarge => return Err(self.unreadable()),
        })
    }

    fn find(&self, key: &Key, now: Timestamp) -> Result<Found, Error> {
        self.database().read("read an entry", |connection| {
            let place = params![&*self.name, key.as_bytes()];
            self.find_by(connection, row::BY_NAME, place, key, now)
        })
    }

    /// What `by` finds at `place`, which is that of `key`.
    fn find_by(
        &self,
        connection: &Connection,
        by: By,
        place: &[&dyn ToSql],
        key: &Key,
        now: Timestamp,
    ) -> rusqlite::Result<Found> {
        let max = self.database().settings.common.max_value_bytes;
        let judge = |record: Option<&[u8]>| Found::judge(&self.name, key, record, max, now);
        match row::read(connection, by.record, place, row::limit(max), judge)? {
            Some(Found::TooLarge) => row::unread(connection, by.dies, place, now),
            found => Ok(found.unwrap_or(Found::Absent)),
        }
    }

    /// What a read that heals answers: what is damaged is dropped.
    fn healed(&self, key: &Key, found: Lookup, now: Timestamp) -> Option<Entry> {
        if matches!(found, Lookup::Corrupt(_)) {
            self.drop_corrupt(key, now);
        }
        found.into_entry()
    }

    /// Counts a read.
    fn serve(&self, found: Found) -> Result<Lookup, Error> {
        if matches!(found, Found::Corrupt(..)) {
            self.database().refuse_newer("read an entry")?;
        }
        let is_hit = matches!(found, Found::Living(_));
        if is_hit { &self.counts.hits } else { &self.counts.misses }.add(1);
        match found {
            Found::Living(entry) => Ok(Lookup::Found(entry)),
            Found::Absent | Found::Dead(_) | Found::DeadTooLarge => Ok(Lookup::Absent),
            Found::Corrupt(error, fingerprint) => {
                self.counts.corrupt.add(1);
                Ok(Lookup::Corrupt(row::damage(&error, fingerprint)))
            }
            Found::TooLarge => Err(self.unreadable()),
        }
    }

    #[cold]
    fn unreadable(&self) -> Error {
        Error::new(ErrorKind::TooLarge, "read an entry").with_detail(format!(
            "an entry in {} is longer than max_value_bytes, which is {}; raise it or remove the \
             entry",
            self.database().path().display(),
            self.database().settings.common.max_value_bytes
        ))
    }

    /// `entry` with a new generation.
    pub(super) fn row(&self, key: &Key, entry: Entry) -> Result<Row, Error> {
        let max_value_bytes = self.database().settings.common.max_value_bytes;
        let row = Row::new(&self.name, key, entry, new_generation(), max_value_bytes)?;
        self.check_room(row.room()).map(|()| row)
    }

    /// Fails if `room` bytes can never be free.
    fn check_room(&self, room: u64) -> Result<(), Error> {
        match self.database().settings.max_bytes {
            // What the tables and indexes themselves take is less than half.
            Some(max_bytes) if room > max_bytes / 2 => Err(row::too_large(format!(
                "it has {room} bytes, more than half of max_bytes, which is {max_bytes}"
            ))),
            _ => Ok(()),
        }
    }

    pub(super) fn change<T>(
        &self,
        operation: &'static str,
        room: Room,
        body: impl FnMut(&Change<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.store.change(operation, self, room, body)
    }

    pub(super) fn set(&self, key: &Key, entry: Entry, now: Timestamp) -> Result<(), Error> {
        let row = self.row(key, entry)?;
        self.store.set("write an entry", self, Room::of(row.room(), now), &row)?;
        self.counts.sets.add(1);
        self.tidy(1, now);
        Ok(())
    }

    pub(super) fn set_many(&self, entries: Vec<(Key, Entry)>, now: Timestamp) -> Result<(), Error> {
        let mut rows: Vec<Row> = entries
            .into_iter()
            .map(|(key, entry)| self.row(&key, entry))
            .collect::<Result<_, _>>()?;
        if rows.is_empty() {
            return Ok(());
        }
        // Neighbours share pages. The sort is stable: the later of two with one key stays the later.
        rows.sort_by(|one, other| one.key.cmp(&other.key));
        let room = rows.iter().map(Row::room).sum();
        self.check_room(room)?;
        self.change("write entries", Room::of(room, now), |change| change.put(&rows))?;
        self.counts.sets.add(rows.len() as u64);
        self.tidy(rows.len() as u64, now);
        Ok(())
    }

    pub(super) fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
        now: Timestamp,
    ) -> Result<ConditionalSet, Error> {
        let row = self.row(key, entry)?;
        let stored = self.change("write an entry", Room::of(row.room(), now), |change| {
            let holds = self.current(change, key, now)?.admits(condition);
            if holds == Some(true) {
                change.put(slice::from_ref(&row))?;
            }
            Ok(holds)
        })?;
        if !stored.ok_or_else(|| self.unreadable())? {
            return Ok(ConditionalSet::Conflict);
        }
        self.counts.sets.add(1);
        self.tidy(1, now);
        Ok(ConditionalSet::Stored { generation: row.generation })
    }

    pub(super) fn remove(&self, key: &Key, now: Timestamp) -> Result<bool, Error> {
        Ok(self.remove_many(slice::from_ref(key), now)? > 0)
    }

    pub(super) fn remove_many(&self, keys: &[Key], now: Timestamp) -> Result<u64, Error> {
        if keys.is_empty() {
            return Ok(0);
        }
        let removed = self.change("remove entries", Room::NONE, |change| {
            let mut removed = 0;
            for key in keys {
                change.void(key.as_bytes())?;
                let lives =
                    matches!(self.current(change, key, now)?, Found::Living(_) | Found::TooLarge);
                removed += u64::from(change.delete(key.as_bytes())? && lives);
            }
            Ok(removed)
        })?;
        self.counts.removes.add(removed);
        Ok(removed)
    }

    pub(super) fn clear(&self) -> Result<(), Error> {
        self.change("clear the namespace", Room::NONE, |change| change.renumber(&self.name))
    }

    fn current(&self, change: &Change<'_>, key: &Key, now: Timestamp) -> rusqlite::Result<Found> {
        let place = params![change.space, key.as_bytes()];
        self.find_by(change.connection, row::BY_NUMBER, place, key, now)
    }

    /// Removes the entry of `key` if it is still damaged (rule 8) and nobody is writing.
    ///
    /// This is housekeeping in the course of something else, so it neither waits nor fails: what
    /// stays is met again.
    pub(super) fn drop_corrupt(&self, key: &Key, now: Timestamp) -> bool {
        let dropped = self.store.try_change("drop an entry", self, |change| {
            let Found::Corrupt(error, _) = self.current(change, key, now)? else {
                return Ok(false);
            };
            // An envelope of a newer version, in a database that a newer version has migrated.
            if error.kind() == ErrorKind::Config && change.is_newer()? {
                return Ok(false);
            }
            change.delete(key.as_bytes())
        });
        matches!(dropped, Ok(Some(true)))
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.counts.stats();
        stats.size_bytes = self.size_bytes();
        stats
    }

    /// The bytes of the database's file and of the two beside it.
    pub(super) fn size_bytes(&self) -> Option<u64> {
        let path = self.database().path();
        let index = length(&place::beside(path, "-shm")).unwrap_or_default();
        Some(length(path)? + self.log_bytes() + index)
    }

    /// The bytes of the log's file.
    pub(super) fn log_bytes(&self) -> u64 {
        length(&place::beside(self.database().path(), "-wal")).unwrap_or_default()
    }
}

fn length(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|file| file.len())
}
