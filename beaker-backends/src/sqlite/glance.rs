//! One look at a database, without a store.
//
// A program that starts, reads one entry and ends spends most of its time at the database on the index
// of the log, which the first process to open a database makes anew. A glance leaves the log alone:
//
// 1. The log is empty, so at that moment all that was ever committed is in the database's file. It is
//    read as one that does not change, without locks.
// 2. If somebody writes meanwhile after all, pages of different moments may be read. So a record is
//    believed only if its checksum is right, for this namespace and key; then it was current at the
//    moment of 1 or later. Whatever else is found, an error too, means that the store is to be asked.
// 3. A process that has the database open does not look so: SQLite would have two opinions of one file.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use beaker_namespace::{Entry, Key, StoreUrl};
use beaker_sync::NetworkPolicy;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, params};

use super::config::{Settings, SqliteConfig};
use super::registry;
use super::row::{self, Found};
use super::schema::State;
use crate::place;

/// Reads the entry under `key` in the namespace called `name` of the database at `url`, which is not
/// opened as a store: for a program that starts, reads one entry, and ends.
///
/// `None` says nothing: open the store and ask it. So it is if there is no living entry; if the
/// database's log is not empty, as while another process writes; if this process has the database
/// open; and if anything is wrong. An entry with tags is judged by its caller, who opens the
/// store for the [`marks`](beaker_namespace::Namespace::marks).
///
/// Nothing is made, written or counted.
pub fn glance(url: &StoreUrl, name: &str, key: &Key) -> Option<Entry> {
    let SqliteConfig { path, clock, settings } = SqliteConfig::from_url(url).ok()?;
    // Only so is it sure that the file system is a local one, where an empty log is one for all.
    if settings.common.network != NetworkPolicy::Refuse || !path.exists() {
        return None;
    }
    let path = place::canonical_file(&path, settings.common.network).ok()?;
    if registry::is_known(&path) {
        return None;
    }
    if has_content(&place::beside(&path, "-wal")) || has_content(&place::beside(&path, "-journal"))
    {
        return None;
    }
    let connection = connect(&path, &settings).ok()?;
    if State::of(&connection).ok()? != State::Current {
        return None;
    }
    let now = clock.coarse();
    let limit = row::limit(settings.common.max_value_bytes);
    let judge = |record: Option<&[u8]>| Found::judge(name, key, record, now);
    row::read(&connection, row::BY_NAME, params![name, key.as_bytes()], limit, judge)
        .ok()??
        .living()
}

fn has_content(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() > 0)
}

fn connect(path: &Path, settings: &Settings) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(unchanging(path), flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    let longest = row::sqlite_limit(settings.common.max_value_bytes);
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest)?;
    Ok(connection)
}

/// The URI by which SQLite reads a file that does not change.
fn unchanging(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(byte));
            }
            // Writing to a text does not fail.
            _ => drop(write!(uri, "%{byte:02x}")),
        }
    }
    uri + "?immutable=1"
}
