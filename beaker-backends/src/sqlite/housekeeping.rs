use beaker_namespace::{Error, Key, Swept, Timestamp};
use rusqlite::{OptionalExtension, ToSql};

use super::carry::Gone;
use super::change::{Change, Which, which};
use super::listing::{Met, Range};
use super::schema::State;
use super::space::Space;

/// Housekeeping is done once in this many written rows, in proportion to their number.
const ROWS_PER_LOOK: u64 = 16;

/// The most dead entries that one write drops.
const MAX_DEAD_PER_LOOK: u64 = 2_048;

/// The most dead entries, or entries of a cleared namespace, that one transaction of a sweep drops.
const PER_SWEEP: u64 = 1_000;

/// Pages that are given back to the file system in one transaction.
const PAGES_PER_VACUUM: i64 = 256;

/// Free pages are kept for the next writes, unless they are more than this part of the file.
const FREE_PART: i64 = 4;

/// A smaller number of free pages is not worth giving back.
const MIN_FREE_PAGES: i64 = 256;

/// Entries that are dropped at once to make room.
const PER_EVICTION: i64 = 64;

/// Damaged entries that one pass of a sweep drops.
const PER_PASS: usize = 1_000;

const DEAD: Which = which!(
    "SELECT id FROM entries INDEXED BY entries_by_death
     WHERE ns = ?1 AND dies <= ?2 ORDER BY dies LIMIT ?3"
);

const DEAD_OF_ALL: Which = which!(
    "SELECT e.id FROM namespaces n
     CROSS JOIN entries e INDEXED BY entries_by_death ON e.ns = n.id AND e.dies <= ?1 LIMIT ?2"
);

const OLDEST: Which = which!("SELECT id FROM entries ORDER BY id LIMIT ?1");

const PURGED: Which =
    which!("SELECT id FROM entries INDEXED BY entries_by_key WHERE ns = ?1 ORDER BY key LIMIT ?2");

/// What a change is going to need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) bytes: u64,
    /// By which the dead are told, which go first.
    now: Timestamp,
}

impl Room {
    /// Nothing to speak of.
    pub(super) const NONE: Self = Self::of(0, Timestamp::from_micros(i64::MIN));

    pub(super) const fn of(bytes: u64, now: Timestamp) -> Self {
        Self { bytes, now }
    }

    pub(super) fn times(self, factor: u64) -> Self {
        Self { bytes: self.bytes.saturating_mul(factor), ..self }
    }
}

impl Space {
    /// Drops some of what nobody asks for, now and then, after `rows` were written.
    ///
    /// This is housekeeping in the course of something else, so it neither waits nor fails.
    pub(super) fn tidy(&self, rows: u64, now: Timestamp) {
        let Some(rows) = self.store.written(rows, ROWS_PER_LOOK) else { return };
        // Twice as many as were written, so that it keeps up.
        let portion = (2 * rows).min(MAX_DEAD_PER_LOOK);
        let tidied = self.store.try_change("drop dead entries", self, |change| {
            let dead = change.drop_dead(now, portion)?;
            change.purge(portion)?;
            change.vacuum()?;
            Ok(dead)
        });
        if let Ok(Some(dead)) = tidied {
            self.counts.expirations.add(dead);
        }
    }

    /// Drops everything that is dead, damaged or left behind.
    pub(super) fn sweep(&self, now: Timestamp) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        swept.expired =
            self.in_portions("drop dead entries", |change| change.drop_dead(now, PER_SWEEP))?;
        self.counts.expirations.add(swept.expired);
        swept.corrupt = self.sweep_corrupt(now)?;
        self.in_portions("purge a cleared namespace", |change| change.purge(PER_SWEEP))?;
        swept.leftovers = self.drop_dead_claims()?;
        let locks = beaker_sync::clean(self.database().locks())
            .map_err(|error| Error::lock("sweep the claims", error))?;
        swept.leftovers += locks.removed as u64;
        while self.change("shrink the database", Room::NONE, |change| change.vacuum())? {}
        Ok(swept)
    }

    /// Repeats `drop` in transactions of their own until it finds nothing more; says how much it
    /// found.
    fn in_portions(
        &self,
        operation: &'static str,
        mut drop: impl FnMut(&Change<'_>) -> rusqlite::Result<u64>,
    ) -> Result<u64, Error> {
        let mut total = 0;
        loop {
            match self.change(operation, Room::NONE, &mut drop)? {
                0 => return Ok(total),
                dropped => total += dropped,
            }
        }
    }

    /// Reads every entry, and drops those that cannot be read back.
    fn sweep_corrupt(&self, now: Timestamp) -> Result<u64, Error> {
        let (mut swept, mut after) = (0, Some(Vec::new()));
        while let Some(from) = after {
            let mut damaged = Vec::new();
            after = self.walk(&Range::all().after(&from), |met| {
                if let Met::Corrupt(key) = met {
                    damaged.push(key.to_vec());
                }
                damaged.len() < PER_PASS
            })?;
            for key in damaged {
                self.counts.corrupt.add(1);
                swept += u64::from(self.drop_damaged(&key, now)?);
            }
        }
        Ok(swept)
    }

    fn drop_damaged(&self, key: &[u8], now: Timestamp) -> Result<bool, Error> {
        match Key::from_encoded(key) {
            Some(key) => Ok(self.drop_corrupt(&key, now)),
            // No handle could read it or write it.
            None => self.change("drop an entry", Room::NONE, |change| change.delete(key)),
        }
    }
}

impl Change<'_> {
    /// Removes up to `limit` dead entries of this namespace, by index; says how many.
    fn drop_dead(&self, now: Timestamp, limit: u64) -> rusqlite::Result<u64> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let params: [&dyn ToSql; 3] = [&self.space, &now.as_micros(), &limit];
        self.delete_where(DEAD, &params, Gone::Dead(now))
    }

    /// Removes up to `limit` entries of namespaces that were cleared; says how many, and at least
    /// one while there is such a namespace.
    pub(super) fn purge(&self, limit: u64) -> rusqlite::Result<u64> {
        let find = "SELECT ns FROM purge LIMIT 1";
        let mut statement = self.connection.prepare_cached(find)?;
        let Some(space) = statement.query_row([], |row| row.get::<_, i64>(0)).optional()? else {
            return Ok(0);
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let purged = self.delete_where(PURGED, &[&space, &limit], Gone::Unreadable)?;
        if purged > 0 {
            return Ok(purged);
        }
        self.run("DELETE FROM purge WHERE ns = ?1", [space]).map(|gone| gone as u64)
    }

    /// Gives some free pages back to the file system, if there are many; says whether it did.
    pub(super) fn vacuum(&self) -> rusqlite::Result<bool> {
        let free = self.number("PRAGMA freelist_count", [])?;
        if free < MIN_FREE_PAGES || free < self.number("PRAGMA page_count", [])? / FREE_PART {
            return Ok(false);
        }
        // Each page is a row of its own.
        let vacuum = format!("PRAGMA incremental_vacuum({PAGES_PER_VACUUM})");
        let mut statement = self.connection.prepare_cached(&vacuum)?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(self.number("PRAGMA freelist_count", [])? < free)
    }

    /// Drops what is nobody's, dead or old until `room` is free below the limit; says how many
    /// entries left of those that lived.
    pub(super) fn make_room(&self, room: Room) -> rusqlite::Result<u64> {
        let page_bytes = self.number("PRAGMA page_size", [])?.max(512);
        let most = self.number("PRAGMA max_page_count", [])?;
        // A page of each tree may be split, and what is free is not all where it is needed.
        let needed = i64::try_from(room.bytes).unwrap_or(i64::MAX) / page_bytes * 9 / 8 + 16;
        let free = || -> rusqlite::Result<i64> {
            let used = self.number("PRAGMA page_count", [])?;
            Ok(most - used + self.number("PRAGMA freelist_count", [])?)
        };
        let mut evicted = 0;
        if free()? >= needed {
            return Ok(evicted);
        }
        // Somewhat more, so that not every write has to.
        while free()? < needed + most / 64 {
            if self.purge(PER_EVICTION as u64)? > 0 || self.drop_dead_of_all(room.now)? > 0 {
                continue;
            }
            match self.evict()? {
                0 => break,
                dropped => evicted += dropped,
            }
        }
        Ok(evicted)
    }

    /// Removes some dead entries of whatever namespace, by index.
    fn drop_dead_of_all(&self, now: Timestamp) -> rusqlite::Result<u64> {
        self.delete_where(DEAD_OF_ALL, &[&now.as_micros(), &PER_EVICTION], Gone::Dead(now))
    }

    /// Removes some of the entries that were written longest ago.
    fn evict(&self) -> rusqlite::Result<u64> {
        self.delete_where(OLDEST, &[&PER_EVICTION], Gone::Anything)
    }

    /// Whether a newer version has migrated the database since it was opened.
    pub(super) fn is_newer(&self) -> rusqlite::Result<bool> {
        State::of(self.connection).map(State::is_newer)
    }
}
