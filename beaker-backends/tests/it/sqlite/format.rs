//! Whose a database is, and who else reads it.

use std::fs;
use std::process::Command;

use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace};
use beaker_namespace::{Condition, Error, ErrorKind, Key, Mark, Namespace, Scan, Timestamp, Wait};

use super::children::skip;
use super::{entry, integrity, number, open, put, raw, value};

fn refused(path: &std::path::Path) -> Error {
    let before = fs::read(path).unwrap();
    let error = SqliteNamespace::open("n", SqliteConfig::new(path)).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert_eq!(fs::read(path).unwrap(), before, "it was changed");
    error
}

#[test]
fn f39_a_newer_database_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    put(&open(&path), "k", "v");
    raw(&path).pragma_update(None, "user_version", 1_000).unwrap();
    let error = refused(&path);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("a newer version wrote it (schema 1000"), "{error}");
    raw(&path).pragma_update(None, "user_version", 2).unwrap();
    assert_eq!(value(&open(&path), "k").as_deref(), Some(&b"v"[..]), "the control");
}

/// The first program of version 2 left a column that only the first ones of version 1 filled.
#[test]
fn f39_a_database_that_an_earlier_build_took_to_version_2_takes_entries() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sqlite-1/cache.db");
    fs::copy(golden, &path).unwrap();
    let by_hand = raw(&path);
    let take_over = "CREATE TABLE marks (
            ns TEXT NOT NULL,
            name TEXT NOT NULL,
            record BLOB NOT NULL,
            PRIMARY KEY (ns, name)
        ) WITHOUT ROWID;
        PRAGMA user_version = 2;";
    by_hand.execute_batch(take_over).unwrap();
    let add = "INSERT INTO entries (ns, key, record) VALUES (1, x'01', x'02')";
    let error = by_hand.execute(add, []).expect_err("the control: it takes no entry");
    assert!(error.to_string().contains("entries.tagged"), "{error}");
    drop(by_hand);
    let store = SqliteNamespace::open("golden ☕", SqliteConfig::new(&path)).unwrap();
    assert_eq!(value(&store, "text").as_deref(), Some(&b"value"[..]));
    put(&store, "text", "replaced");
    put(&store, "new", "value");
    assert_eq!(store.remove_tag("red").unwrap(), 1);
    drop(store);
    let again = SqliteNamespace::open("golden ☕", SqliteConfig::new(&path)).unwrap();
    let values = ["text", "new"].map(|key| value(&again, key));
    assert_eq!(values, [Some(b"replaced".to_vec()), Some(b"value".to_vec())]);
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM entries"), 3);
    assert_eq!(integrity(&path), "ok");
}

/// The tables of our own, by their names.
fn tables(path: &std::path::Path) -> Vec<String> {
    let connection = raw(path);
    let ours = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut names = connection.prepare(ours).unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap();
    names.collect::<Result<_, _>>().unwrap()
}

#[test]
fn f39_a_database_that_a_newer_version_takes_over_is_refused_and_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let (store, key) = (open(&path), Key::new("k"));
    let other = open(&path);
    let tagged = entry(&store, "v").tags(vec!["red".into()]);
    store.set(&key, tagged).unwrap();
    // What was read is kept: that must not be served either.
    assert!((0..100).all(|_| value(&store, "k").is_some()));
    let names = tables(&path);
    let rename = |from: &str, to: &str| {
        names.iter().map(|name| format!("ALTER TABLE {name}{from} RENAME TO {name}{to};")).collect()
    };
    let (take, give): (String, String) = (rename("", "_3"), rename("_3", ""));
    raw(&path).execute_batch(&format!("BEGIN; {take} PRAGMA user_version = 3; COMMIT")).unwrap();
    let watcher = raw(&path);
    let commits = || number(&watcher, "PRAGMA data_version");
    let before = commits();

    let new = || entry(&store, "new");
    let mark = Mark::hard(Timestamp::from_micros(8));
    type Call<'a> = (&'static str, &'a dyn Fn() -> Result<(), Error>);
    let calls: &[Call<'_>] = &[
        ("get", &|| store.get(&key).map(drop)),
        ("get_many", &|| store.get_many(std::slice::from_ref(&key)).map(drop)),
        ("look_up", &|| store.look_up(&key).map(drop)),
        ("inspect", &|| store.inspect(&key).map(drop)),
        ("scan", &|| store.scan(&Scan::new()).map(drop)),
        ("set", &|| store.set(&key, new())),
        ("set with a tag", &|| store.set(&key, new().tags(vec!["red".into()]))),
        ("set_many", &|| store.set_many(vec![(key.clone(), new())])),
        ("set_if", &|| store.set_if(&key, new(), Condition::Absent).map(drop)),
        ("remove", &|| store.remove(&key).map(drop)),
        ("remove_tag", &|| store.remove_tag("red").map(drop)),
        ("clear", &|| store.clear()),
        ("claim", &|| store.claim(&key, Wait::Never).map(drop)),
        ("mark", &|| store.mark("name", mark).map(drop)),
        ("marks", &|| other.marks(&mut ["name"].into_iter()).map(drop)),
        ("sweep", &|| store.sweep().map(drop)),
    ];
    for (name, call) in calls {
        let error = call().expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Config, "{name}: {error}");
        assert!(error.to_string().contains("a newer version wrote it (schema 3"), "{error}");
    }
    assert_eq!(store.stats().corrupt, 0);
    assert_eq!(commits(), before, "something was written");
    let files = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name());
    assert!(files.into_iter().all(|name| !name.to_string_lossy().contains("damaged")));

    raw(&path).execute_batch(&format!("BEGIN; {give} PRAGMA user_version = 2; COMMIT")).unwrap();
    assert_eq!(value(&store, "k").as_deref(), Some(&b"v"[..]), "the control");
}

/// Sets the version of the one record in `table`.
fn set_record_version(path: &std::path::Path, table: &str, version: u8) {
    let connection = raw(path);
    let select = format!("SELECT record FROM {table}");
    let mut record: Vec<u8> = connection.query_row(&select, [], |row| row.get(0)).unwrap();
    record[4] = version;
    let update = format!("UPDATE {table} SET record = ?1");
    assert_eq!(connection.execute(&update, [record]).unwrap(), 1);
}

// As no version is to do it: see the rule in `sqlite/schema.rs`.
#[test]
fn f39_what_a_newer_version_wrote_into_tables_that_kept_their_names_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let (store, key) = (open(&path), Key::new("k"));
    put(&store, "k", "v");
    store.mark("name", Mark::hard(Timestamp::from_micros(8))).unwrap();
    raw(&path).pragma_update(None, "user_version", 3).unwrap();
    set_record_version(&path, "entries", 255);
    set_record_version(&path, "marks", 255);
    let watcher = raw(&path);
    let commits = || number(&watcher, "PRAGMA data_version");
    let before = commits();
    let outcomes = [
        store.get(&key).map(drop),
        store.get_many(std::slice::from_ref(&key)).map(drop),
        store.look_up(&key).map(drop),
        store.inspect(&key).map(drop),
        store.marks(&mut ["name"].into_iter()).map(drop),
    ];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let error = outcome.expect_err(&number.to_string());
        assert_eq!(error.kind(), ErrorKind::Config, "{number}: {error}");
    }
    assert_eq!((store.stats().corrupt, store.stats().misses), (0, 0));
    assert_eq!(commits(), before, "something was written");

    raw(&path).pragma_update(None, "user_version", 2).unwrap();
    assert_eq!(value(&store, "k"), None, "the control");
    assert_eq!(store.stats().corrupt, 1);
}

#[test]
fn another_programs_database_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.db");
    raw(&path).execute_batch("CREATE TABLE notes (text)").unwrap();
    assert_eq!(refused(&path).kind(), ErrorKind::Config);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("letter.txt");
    fs::write(&path, "Dear reader, ".repeat(1_000)).unwrap();
    assert_eq!(refused(&path).kind(), ErrorKind::Config);
}

#[test]
fn an_empty_file_becomes_a_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    fs::write(&path, "").unwrap();
    put(&open(&path), "k", "v");
    assert_eq!(value(&open(&path), "k").as_deref(), Some(&b"v"[..]));
}

#[test]
fn an_empty_database_of_version_0_is_brought_to_the_present() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    raw(&path).pragma_update(None, "application_id", 0x4245_4b52).unwrap();
    assert_eq!(number(&raw(&path), "PRAGMA user_version"), 0);
    put(&open(&path), "k", "v");
    assert_eq!(number(&raw(&path), "PRAGMA user_version"), 2);
}

#[test]
fn the_database_is_as_the_documentation_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    put(&store, "k", "v");
    let other = raw(&path);
    let mode: String = other.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    assert_eq!(number(&other, "PRAGMA auto_vacuum"), 2, "incremental");
    assert_eq!(number(&other, "PRAGMA application_id"), i64::from(u32::from_be_bytes(*b"BEKR")));
    assert_eq!(integrity(&path), "ok");
}

#[test]
fn the_sqlite3_tool_reads_a_database_that_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    put(&store, "k", "v");
    put(&store, "l", "v");
    let query =
        "SELECT n.name, count(*) FROM entries e JOIN namespaces n ON n.id = e.ns GROUP BY 1";
    let Ok(output) = Command::new("sqlite3").arg(&path).arg(query).output() else {
        skip(
            "that the tool reads a database: there is no `sqlite3`; on Debian, `apt-get install sqlite3`",
        );
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "n|2");
}

/// One flipped bit, or a few, in an entry's number of a namespace must not make it the one of another moment.
#[test]
fn the_numbers_of_a_namespace_that_is_cleared_are_not_near_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    let mut numbers = Vec::new();
    for _ in 0..16 {
        put(&store, "k", "v");
        numbers.push(number(&raw(&path), "SELECT id FROM namespaces"));
        store.clear().unwrap();
    }
    for (at, one) in numbers.iter().enumerate() {
        let bits = numbers[..at].iter().map(|other| (one ^ other).count_ones());
        // One in 300,000 runs would find two bits or less.
        assert!(bits.min().is_none_or(|bits| bits > 2), "{numbers:?}");
        assert!(numbers[..at].iter().all(|other| other < one), "{numbers:?}");
    }
}
