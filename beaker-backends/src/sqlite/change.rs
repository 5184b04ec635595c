use std::cell::Cell;

use beaker_namespace::new_generation;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::carry::{Carry, Gone};
use super::row::Row;

/// Two statements, one that deletes the tags of some entries and one that deletes the entries.
pub(super) type Which = (&'static str, &'static str);

/// Makes a [`Which`] of a query for the entries' numbers.
macro_rules! which {
    ($query:literal) => {
        (
            concat!("DELETE FROM tags WHERE entry IN (", $query, ")"),
            concat!("DELETE FROM entries WHERE id IN (", $query, ")"),
        )
    };
}
pub(super) use which;

/// Gives a rewritten entry a new number, so that the order of numbers is the order of writing.
const REPLACE: &str =
    "INSERT OR REPLACE INTO entries (ns, key, dies, record) VALUES (?1, ?2, ?3, ?4)";

/// Leaves a rewritten entry where it is, which changes one page where `REPLACE` changes three.
const UPDATE: &str = "INSERT INTO entries (ns, key, dies, record) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (ns, key) DO UPDATE SET dies = excluded.dies, record = excluded.record";

/// The same as a transaction of its own, if nothing else is to be done: rule 2 of single.rs.
const SET_ALONE: &str = "INSERT INTO entries(ns,key,dies,record)SELECT id,?2,?3,?4 FROM namespaces
WHERE name=?1 AND NOT EXISTS(SELECT 1 FROM claims WHERE ns=id AND key=?2)
AND NOT EXISTS(SELECT 1 FROM tags)
ON CONFLICT(ns,key)DO UPDATE SET dies=excluded.dies,record=excluded.record";

/// `AUTOINCREMENT` has noted the highest number that there ever was.
const ADD_SPACE: &str = "INSERT INTO namespaces (id, name)
     SELECT ?1 + max(
         coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'namespaces'), 0),
         coalesce((SELECT max(id) FROM namespaces), 0)
     ), ?2 RETURNING id";

/// The most that one number of a namespace is above the one before, less one: 2^39 of them fit.
const STEP_MASK: u64 = (1 << 24) - 1;

/// Whether somebody wants to know in which order entries were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Who evicts.
    Kept,
    /// Nobody: nothing is evicted.
    Unknown,
}

/// A write transaction in one namespace. Dropped without a commit, it is rolled back.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) connection: &'a Connection,
    /// The namespace's number.
    pub(super) space: i64,
    order: Order,
    /// Whether there may be claims to void.
    claimed: bool,
    /// Whether there may be tags to delete.
    tagged: Cell<bool>,
    /// To whom the entries that are set and removed are told.
    pub(super) carry: Option<Carry<'a>>,
}

impl<'a> Change<'a> {
    /// Begins one; the caller holds the writers' lock.
    pub(super) fn begin(
        connection: &'a Connection,
        name: &str,
        order: Order,
    ) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        // From here on a failure rolls back.
        let tagged = Cell::new(false);
        let mut change = Self { connection, space: 0, order, claimed: false, tagged, carry: None };
        let find = "SELECT id, EXISTS (SELECT 1 FROM claims), EXISTS (SELECT 1 FROM tags)
                    FROM namespaces WHERE name = ?1";
        let found = connection
            .prepare_cached(find)?
            .query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        match found {
            Some((space, claimed, tagged)) => {
                (change.space, change.claimed) = (space, claimed);
                change.tagged.set(tagged);
            }
            None => {
                change.space = change.add_space(name)?;
                // Those of other namespaces may be dropped too.
                change.tagged.set(true);
            }
        }
        Ok(change)
    }

    /// Whether there may be tags of any entry, in whatever namespace.
    pub(super) fn is_tagged(&self) -> bool {
        self.tagged.get()
    }

    pub(super) fn commit(self) -> rusqlite::Result<()> {
        self.run("COMMIT", [])?;
        Ok(())
    }

    /// Runs a statement, and says how many rows it changed. Whoever changes `entries` by it, or the number
    /// of a namespace, tells `carry`: what is kept of reads goes on without what it was told of.
    pub(super) fn run(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// The first column of the only row of a query.
    pub(super) fn number(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<i64> {
        self.connection.prepare_cached(sql)?.query_row(params, |row| row.get(0))
    }

    /// Gives `name` a number that is higher than all before it, by chance: so what is written lies together,
    /// and no flipped bit makes one of them another.
    fn add_space(&self, name: &str) -> rusqlite::Result<i64> {
        let step = 1 + (new_generation() & STEP_MASK).cast_signed();
        self.number(ADD_SPACE, params![step, name])
    }

    /// Gives the namespace a new number; what has the old one is nobody's, and purged later.
    pub(super) fn renumber(&self, name: &str) -> rusqlite::Result<()> {
        self.invalidate(Gone::Anything);
        self.run("DELETE FROM namespaces WHERE id = ?1", [self.space])?;
        self.run("DELETE FROM claims WHERE ns = ?1", [self.space])?;
        self.run("INSERT INTO purge (ns) VALUES (?1)", [self.space])?;
        self.add_space(name).map(drop)
    }

    /// Stores each of `rows` in the place of what is there, and voids the claim on it.
    pub(super) fn put(&self, rows: &[Row]) -> rusqlite::Result<()> {
        // Tags need the number of their entry, which only a new one tells.
        let in_place = self.order == Order::Unknown && rows.iter().all(|row| row.tags.is_empty());
        let mut write = self.connection.prepare_cached(if in_place { UPDATE } else { REPLACE })?;
        for row in rows {
            let key = row.key.as_bytes();
            self.void(key)?;
            self.untag(key)?;
            if let Some(carry) = &self.carry {
                carry.invalidate_key(&row.key);
            }
            write.execute(params![self.space, key, row.dies, row.record])?;
            if !row.tags.is_empty() {
                self.tag(&row.tags)?;
            }
        }
        Ok(())
    }

    /// Writes down the tags of the entry that was stored last.
    fn tag(&self, tags: &[String]) -> rusqlite::Result<()> {
        let entry = self.connection.last_insert_rowid();
        self.tagged.set(true);
        tags.iter().try_for_each(|tag| {
            let add = "INSERT OR IGNORE INTO tags (entry, tag, ns) VALUES (?1, ?2, ?3)";
            self.run(add, params![entry, tag, self.space]).map(drop)
        })
    }

    /// Deletes the entry of `key` without looking at it; says whether there was one.
    pub(super) fn delete(&self, key: &[u8]) -> rusqlite::Result<bool> {
        self.invalidate(Gone::Key(key));
        self.untag(key)?;
        let delete = "DELETE FROM entries WHERE ns = ?1 AND key = ?2";
        Ok(self.run(delete, params![self.space, key])? > 0)
    }

    /// Deletes the tags of the entry of `key`.
    fn untag(&self, key: &[u8]) -> rusqlite::Result<()> {
        if self.tagged.get() {
            let untag = "DELETE FROM tags WHERE entry =
                             (SELECT id FROM entries WHERE ns = ?1 AND key = ?2)";
            self.run(untag, params![self.space, key])?;
        }
        Ok(())
    }

    fn invalidate(&self, gone: Gone<'_>) {
        if let Some(carry) = &self.carry {
            carry.invalidate(gone);
        }
    }

    /// Deletes the entries whose numbers `which` finds, and which are `gone` then; says how many there
    /// were.
    pub(super) fn delete_where(
        &self,
        which: Which,
        params: &[&dyn ToSql],
        gone: Gone<'_>,
    ) -> rusqlite::Result<u64> {
        let (untag, delete) = which;
        self.invalidate(gone);
        if self.tagged.get() {
            self.run(untag, params)?;
        }
        Ok(self.run(delete, params)? as u64)
    }

    /// Voids the claim on `key`, if there is one.
    pub(super) fn void(&self, key: &[u8]) -> rusqlite::Result<()> {
        if self.claimed {
            self.run("DELETE FROM claims WHERE ns = ?1 AND key = ?2", params![self.space, key])?;
        }
        Ok(())
    }
}

/// Stores `row`, which has no tags, in the namespace `name` by one statement, and tells `carry`; says whether it
/// did.
pub(super) fn set_alone(
    connection: &Connection,
    name: &str,
    row: &Row,
    carry: Option<&Carry<'_>>,
) -> rusqlite::Result<bool> {
    if let Some(carry) = carry {
        carry.invalidate_key(&row.key);
    }
    let params = params![name, row.key.as_bytes(), row.dies, row.record];
    Ok(connection.prepare_cached(SET_ALONE)?.execute(params)? > 0)
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if !self.connection.is_autocommit() {
            // If this fails the pool does not take the connection back.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::config::SqliteConfig;
    use super::super::{connection, store::Store};
    use super::*;

    // What is read in a transaction that becomes one of writing later may be out of date by then, and it
    // fails without a wait.
    #[test]
    fn a_change_is_alone_from_its_first_statement_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let settings = SqliteConfig::new(&path).lock_timeout(Duration::ZERO).settings;
        drop(Store::open(&path, settings).unwrap());
        let [one, other] = [(); 2].map(|()| connection::connect(&path, &settings).unwrap());
        Change::begin(&one, "n", Order::Unknown).unwrap().commit().unwrap();
        let first = Change::begin(&one, "n", Order::Unknown).unwrap();
        let error = Change::begin(&other, "n", Order::Unknown).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
        first.commit().unwrap();
        Change::begin(&other, "n", Order::Unknown).expect("the control");
    }
}
