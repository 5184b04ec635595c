use beaker_namespace::{Cursor, Error, Key, Listed, Page, Scan, Timestamp, envelope};
use bytes::Bytes;
use rusqlite::params;

use super::carry::Gone;
use super::change::{Change, Which, which};
use super::housekeeping::Room;
use super::row;
use super::space::Space;

// A scan goes through the entries in the order of their keys; its cursor is the key of the last one
// it looked at. Each page is a statement of its own, so nothing is held in between, and an entry
// that stays is met once, whatever comes and goes around it.

/// Entries that one transaction of a removal by tag may remove.
const PER_REMOVAL: i64 = 512;

const ONE: Which = which!("SELECT ?1");

/// Some entries with a tag, and whether they live.
const TAGGED: &str = "SELECT e.id, e.key, e.dies IS NULL OR e.dies > ?4
     FROM tags t CROSS JOIN entries e ON e.id = t.entry
     WHERE t.ns = ?1 AND t.tag = ?2 AND t.entry <= ?3 LIMIT ?5";

/// What a scan came upon.
pub(super) enum Met<'a> {
    /// An entry, whole, living or dead.
    Entry(Key, beaker_namespace::Entry),
    /// Something under this key that cannot be read back.
    Corrupt(&'a [u8]),
    /// Something longer than may be read.
    TooLarge,
}

/// From a key, inclusive, to a key, exclusive.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
}

impl Range {
    /// The keys that begin with `prefix`.
    fn of(prefix: &[u8]) -> Self {
        let mut to = prefix.to_vec();
        while to.pop_if(|last| *last == u8::MAX).is_some() {}
        match to.last_mut() {
            Some(last) => *last += 1,
            // No key begins with this byte.
            None => to.push(u8::MAX),
        }
        Self { from: prefix.to_vec(), to }
    }

    /// What comes after `key`.
    pub(super) fn after(self, key: &[u8]) -> Self {
        // The next key there could be is this one with a zero behind it.
        let next = [key, &[0]].concat();
        Self { from: next.max(self.from), to: self.to }
    }

    pub(super) fn all() -> Self {
        Self::of(&[])
    }
}

impl Space {
    pub(super) fn scan(&self, scan: &Scan, now: Timestamp) -> Result<Page, Error> {
        let mut range = Range::of(scan.prefix_bytes());
        if let Some(cursor) = scan.cursor() {
            range = range.after(cursor);
        }
        let mut entries = Vec::new();
        let last = self.walk(&range, |met| {
            if let Met::Entry(key, entry) = met
                && !entry.is_dead(now)
                && scan.matches(&key)
            {
                entries.push(Listed::new(key, &entry));
            }
            entries.len() < scan.page_limit()
        })?;
        Ok(Page { entries, next: last.map(Cursor::new) })
    }

    /// Shows what is in `range` to `visit`, in order, until that says no; returns the key it stopped
    /// at, and `None` at the end.
    pub(super) fn walk(
        &self,
        range: &Range,
        mut visit: impl FnMut(Met<'_>) -> bool,
    ) -> Result<Option<Vec<u8>>, Error> {
        let list = "SELECT e.key, CASE WHEN length(e.record) <= ?4 THEN e.record END
             FROM entries e INDEXED BY entries_by_key
             WHERE e.ns = (SELECT id FROM namespaces WHERE name = ?1)
                 AND e.key >= ?2 AND e.key < ?3
             ORDER BY e.key";
        self.database().read("list entries", |connection| {
            let mut statement = connection.prepare_cached(list)?;
            let limit = row::limit(self.database().settings.common.max_value_bytes);
            let mut rows = statement.query(params![&*self.name, range.from, range.to, limit])?;
            while let Some(row) = rows.next()? {
                let key = row.get_ref(0)?.as_blob()?;
                let record = row.get_ref(1)?.as_blob_or_null()?;
                if !visit(self.meet(key, record)) {
                    return Ok(Some(key.to_vec()));
                }
            }
            Ok(None)
        })
    }

    fn meet<'a>(&self, key: &'a [u8], record: Option<&[u8]>) -> Met<'a> {
        let Some(record) = record else { return Met::TooLarge };
        match envelope::decode_any(&self.name, &Bytes::copy_from_slice(record)) {
            Ok((found, entry)) if found.as_bytes() == key => Met::Entry(found, entry),
            _ => Met::Corrupt(key),
        }
    }

    /// Removes what carries `tag` now, some in each transaction.
    pub(super) fn remove_tag(&self, tag: &str, now: Timestamp) -> Result<u64, Error> {
        let last = self.change("remove by tag", Room::NONE, |change| {
            change.bar(tag)?;
            change.number("SELECT coalesce(max(id), 0) FROM entries", [])
        })?;
        let (mut removed, mut more) = (0, true);
        while more {
            let found = self.change("remove by tag", Room::NONE, |change| {
                change.remove_tagged(tag, last, now)
            })?;
            more = found.len() as i64 == PER_REMOVAL;
            removed += found.into_iter().filter(|&lived| lived).count() as u64;
        }
        self.counts.removes.add(removed);
        Ok(removed)
    }
}

impl Change<'_> {
    /// Removes some entries with `tag` whose number is at most `last`, and says of each whether it
    /// lived.
    fn remove_tagged(&self, tag: &str, last: i64, now: Timestamp) -> rusqlite::Result<Vec<bool>> {
        let place = params![self.space, tag, last, now.as_micros(), PER_REMOVAL];
        let found = {
            let mut statement = self.connection.prepare_cached(TAGGED)?;
            let rows = statement.query_map(place, |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()?
        };
        for (entry, key, _) in &found {
            self.delete_where(ONE, &[entry], Gone::Key(key))?;
            self.void(key)?;
        }
        Ok(found.into_iter().map(|(_, _, lived)| lived).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How SQLite goes about `statement`, a line for each table.
    fn plan(statement: &str) -> Vec<String> {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        crate::sqlite::schema::migrate(&connection, 0).unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        let mut explain = connection.prepare(&explain).unwrap();
        let unbound = vec![rusqlite::types::Null; explain.parameter_count()];
        let steps = explain.query_map(rusqlite::params_from_iter(unbound), |row| row.get(3));
        steps.unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn what_has_a_tag_is_found_by_index_and_so_are_the_tags_that_go_with_it() {
        let found = plan(TAGGED);
        assert_eq!(
            found,
            [
                "SEARCH t USING COVERING INDEX tags_by_tag (ns=? AND tag=? AND entry<?)",
                "SEARCH e USING INTEGER PRIMARY KEY (rowid=?)",
            ]
        );
        let (tags, entries) = (plan(ONE.0), plan(ONE.1));
        assert_eq!(tags[0], "SEARCH tags USING PRIMARY KEY (entry=?)");
        assert_eq!(entries[0], "SEARCH entries USING INTEGER PRIMARY KEY (rowid=?)");
        // The control: a statement that no index serves.
        let control = plan("SELECT 1 FROM tags WHERE tag > ?1");
        assert_eq!(control, ["SCAN tags USING COVERING INDEX tags_by_tag"]);
    }

    #[test]
    fn a_range_ends_behind_all_that_begin_with_its_prefix() {
        let to = |prefix: &[u8]| Range::of(prefix).to;
        assert_eq!(to(b"ab"), b"ac");
        assert_eq!(to(b"a\xff\xff"), b"b");
        assert_eq!(to(b"\xff"), b"\xff");
        assert_eq!(to(b""), b"\xff");
    }

    #[test]
    fn a_range_goes_on_behind_a_key() {
        assert_eq!(Range::of(b"b").after(b"ba").from, b"ba\0");
        assert_eq!(Range::of(b"b").after(b"a").from, b"b", "a cursor does not leave the prefix");
    }
}
