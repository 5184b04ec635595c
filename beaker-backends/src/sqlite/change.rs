use beaker_namespace::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::row::Row;

/// A write transaction in one namespace. Dropped without a commit, it is rolled back.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) connection: &'a Connection,
    /// The namespace's number.
    pub(super) space: i64,
    /// Whether there may be claims to void.
    claimed: bool,
}

impl<'a> Change<'a> {
    /// Begins one; the caller holds the writers' lock.
    pub(super) fn begin(connection: &'a Connection, name: &str) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut change = Self { connection, space: 0, claimed: false };
        let find = "SELECT id, EXISTS (SELECT 1 FROM claims) FROM namespaces WHERE name = ?1";
        let found = connection
            .prepare_cached(find)?
            .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        (change.space, change.claimed) = match found {
            Some(found) => found,
            None => (change.add_space(name)?, false),
        };
        Ok(change)
    }

    pub(super) fn commit(self) -> rusqlite::Result<()> {
        self.run("COMMIT", [])?;
        Ok(())
    }

    /// Runs a statement, and says how many rows it changed.
    pub(super) fn run(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// The first column of the only row of a query.
    pub(super) fn number(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<i64> {
        self.connection.prepare_cached(sql)?.query_row(params, |row| row.get(0))
    }

    fn add_space(&self, name: &str) -> rusqlite::Result<i64> {
        self.number("INSERT INTO namespaces (name) VALUES (?1) RETURNING id", [name])
    }

    /// Gives the namespace a new number; what has the old one is nobody's, and purged later.
    pub(super) fn renumber(&self, name: &str) -> rusqlite::Result<()> {
        self.run("DELETE FROM namespaces WHERE id = ?1", [self.space])?;
        self.run("DELETE FROM claims WHERE ns = ?1", [self.space])?;
        self.run("INSERT INTO purge (ns) VALUES (?1)", [self.space])?;
        self.add_space(name).map(drop)
    }

    /// Stores `row` in the place of what is there, and voids the claim on it.
    pub(super) fn put(&self, row: &Row) -> rusqlite::Result<()> {
        self.void(row.key.as_bytes())?;
        let tagged = !row.tags.is_empty();
        self.run(
            "INSERT OR REPLACE INTO entries (ns, key, dies, tagged, record)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![self.space, row.key.as_bytes(), row.dies, tagged, row.record],
        )?;
        if tagged {
            let entry = self.connection.last_insert_rowid();
            for tag in &row.tags {
                let add = "INSERT OR IGNORE INTO tags (entry, tag, ns) VALUES (?1, ?2, ?3)";
                self.run(add, params![entry, tag, self.space])?;
            }
        }
        Ok(())
    }

    /// Deletes the entry of `key` without looking at it; says whether there was one.
    pub(super) fn delete(&self, key: &[u8]) -> rusqlite::Result<bool> {
        let delete = "DELETE FROM entries WHERE ns = ?1 AND key = ?2";
        Ok(self.run(delete, params![self.space, key])? > 0)
    }

    /// Voids the claim on `key`, if there is one.
    pub(super) fn void(&self, key: &[u8]) -> rusqlite::Result<()> {
        if self.claimed {
            self.run("DELETE FROM claims WHERE ns = ?1 AND key = ?2", params![self.space, key])?;
        }
        Ok(())
    }

    /// Removes up to `limit` dead entries of this namespace, by index; says how many.
    pub(super) fn drop_dead(&self, now: Timestamp, limit: u64) -> rusqlite::Result<u64> {
        let dead = "DELETE FROM entries WHERE id IN (
                SELECT id FROM entries INDEXED BY entries_by_death
                WHERE ns = ?1 AND dies <= ?2 ORDER BY dies LIMIT ?3)";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(self.run(dead, params![self.space, now.as_micros(), limit])? as u64)
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if !self.connection.is_autocommit() {
            // If this fails the pool does not take the connection back.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}
