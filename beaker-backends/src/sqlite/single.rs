//! The set of one entry by one statement, as most are.
//
// 1. The statement is a transaction of its own. SQLite begins it as it does `BEGIN IMMEDIATE`: it has the write
//    lock before it reads anything, so nothing that it goes by is out of date.
// 2. It stores the entry if nothing else is to be done: the namespace has its number, nobody is making a value
//    for the key, and no entry has tags. If not, it changes nothing, and the caller does all in a `Change`.
// 3. It is carried over as a change is (carry.rs). That the shelf's moment is taken before SQLite's lock makes no
//    difference: who commits between the two is counted.

use rusqlite::Connection;

use super::carry::Carry;
use super::change;
use super::kept::Kept;
use super::row::Row;
use super::space::Space;

/// Stores `row`, which has no tags, in the place of what is there; says whether it did.
///
/// The caller holds the writers' lock, and evicts nothing.
pub(super) fn set(
    connection: &Connection,
    kept: &Kept,
    space: &Space,
    row: &Row,
) -> rusqlite::Result<bool> {
    let carry = Carry::begin(kept, space.number, connection);
    if !change::set_alone(connection, &space.name, row, carry.as_ref())? {
        return Ok(false);
    }
    kept.count_commit();
    if let Some(carry) = carry {
        carry.end(connection);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use beaker_namespace::{Entry, Key, Payload, Timestamp};
    use rusqlite::ErrorCode;

    use super::super::config::SqliteConfig;
    use super::super::connection;
    use super::super::store::Store;
    use super::*;

    fn open(path: &Path) -> (Arc<Space>, Connection) {
        let settings = SqliteConfig::new(path).lock_timeout(Duration::ZERO).settings;
        let store = Arc::new(Store::open(path, settings).unwrap());
        (store.space("n").unwrap(), connection::connect(path, &settings).unwrap())
    }

    fn sets(space: &Space, connection: &Connection, value: &str) -> rusqlite::Result<bool> {
        let entry = Entry::new(Payload::raw(value.to_owned()), Timestamp::from_micros(0));
        let row = space.row(&Key::new("k"), entry).unwrap();
        set(connection, &space.database().kept, space, &row)
    }

    fn records(connection: &Connection) -> Vec<Vec<u8>> {
        let mut read = connection.prepare("SELECT record FROM entries").unwrap();
        let records = read.query_map([], |row| row.get(0)).unwrap();
        records.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn it_stores_nothing_if_more_is_to_be_done() {
        let dir = tempfile::tempdir().unwrap();
        let (space, connection) = open(&dir.path().join("cache.db"));
        assert_eq!(sets(&space, &connection, "v"), Ok(false), "the namespace has no number");
        connection.execute_batch("INSERT INTO namespaces (id, name) VALUES (7, 'n')").unwrap();
        assert_eq!(sets(&space, &connection, "v"), Ok(true), "the control");
        let there = records(&connection);
        let key = Key::new("k");
        for (more, params, stores) in [
            ("INSERT INTO claims (ns, key, token) VALUES (7, ?1, 1)", key.as_bytes(), false),
            ("INSERT INTO tags (entry, tag, ns) VALUES (?1, 'red', 9)", b"another", false),
            ("INSERT INTO claims (ns, key, token) VALUES (7, ?1, 1)", b"another", true),
            ("INSERT INTO claims (ns, key, token) VALUES (8, ?1, 1)", key.as_bytes(), true),
        ] {
            connection.execute_batch("SAVEPOINT before").unwrap();
            connection.execute(more, [params]).unwrap();
            assert_eq!(sets(&space, &connection, "new"), Ok(stores), "{more}");
            assert_eq!(records(&connection) != there, stores, "{more}");
            connection.execute_batch("ROLLBACK TO before; RELEASE before").unwrap();
        }
        assert_eq!(there.len(), 1);
    }

    // As a change is: see change.rs.
    #[test]
    fn it_is_alone_from_its_beginning_on() {
        let dir = tempfile::tempdir().unwrap();
        let (space, connection) = open(&dir.path().join("cache.db"));
        let (_same, other) = open(&dir.path().join("cache.db"));
        connection.execute_batch("INSERT INTO namespaces (name) VALUES ('n')").unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = sets(&space, &connection, "v").unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
        assert!(connection.is_autocommit());
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(sets(&space, &connection, "v"), Ok(true));
        assert_eq!(records(&other), records(&connection));
    }
}
