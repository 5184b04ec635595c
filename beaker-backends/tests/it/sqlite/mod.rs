#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod bounds;
mod carried;
mod children;
mod claims;
mod damage;
mod format;
mod glance;
mod kept;
mod marks;
mod sharing;
mod writers;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace};
use beaker_namespace::{Clock, Entry, Key, ManualClock, Namespace, Payload, Timestamp, testkit};
use rusqlite::Connection;

#[test]
fn the_sqlite_namespace_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let report = testkit::conformance("sqlite", |name, clock| {
        SqliteNamespace::open(name, SqliteConfig::new(&path).clock(clock))
    });
    print!("{report}");
    assert!(
        report.skipped.iter().all(|(_, lacks)| *lacks == beaker_namespace::Capability::Objects)
    );
    assert_eq!(integrity(&path), "ok");
}

#[test]
fn the_sqlite_namespace_conforms_below_a_size_cap() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    testkit::conformance("sqlite with a cap", |name, clock| {
        let config = SqliteConfig::new(&path).clock(clock);
        SqliteNamespace::open(name, config.max_bytes(64 * 1024 * 1024))
    });
}

fn open(path: &Path) -> SqliteNamespace {
    SqliteNamespace::open("n", SqliteConfig::new(path)).expect("the namespace opens")
}

/// A namespace on a clock that stands still.
fn open_by_hand(path: &Path) -> (Arc<ManualClock>, SqliteNamespace) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000_000)));
    let config = SqliteConfig::new(path).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    (clock, SqliteNamespace::open("n", config).expect("the namespace opens"))
}

fn entry(store: &SqliteNamespace, value: impl AsRef<[u8]>) -> Entry {
    Entry::new(Payload::raw(value.as_ref().to_vec()), store.clock().now())
}

fn put(store: &SqliteNamespace, key: &str, value: impl AsRef<[u8]>) {
    store.set(&Key::new(key), entry(store, value)).expect("set");
}

fn value(store: &SqliteNamespace, key: &str) -> Option<Vec<u8>> {
    match store.get(&Key::new(key)).expect("get")?.into_payload() {
        Payload::Bytes { bytes, .. } => Some(bytes.to_vec()),
        Payload::Object(_) => panic!("an object in a database"),
    }
}

/// The database as another program opens it.
fn raw(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("SQLite opens it");
    connection.busy_timeout(Duration::from_secs(10)).expect("a time-out");
    connection
}

fn number(connection: &Connection, query: &str) -> i64 {
    connection.query_row(query, [], |row| row.get(0)).expect("a number")
}

fn integrity(path: &Path) -> String {
    raw(path).query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check")
}
