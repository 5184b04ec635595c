//! Reads that are kept in memory, and everybody who changes the database meanwhile.
//!
//! The control of all these is by hand: with the comparison of the moments taken out of
//! `Kept::look`, what is claimed of changes here fails.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace};
use beaker_namespace::{Clock, Key, ManualClock, Namespace, Payload, Timestamp};
use beaker_sync::NetworkPolicy;
use rusqlite::Connection;

use super::children::{Role, listen, say};
use super::{entry, integrity, open, put, raw, value};

/// The sets of the child that counts.
pub(super) const ROUNDS: u64 = 5_000;

/// Keeps from the first get on.
pub(super) fn config(path: &Path) -> SqliteConfig {
    SqliteConfig::new(path).kept_reads_after(0)
}

pub(super) fn open_kept(path: &Path) -> SqliteNamespace {
    SqliteNamespace::open("n", config(path)).unwrap()
}

/// Reads `key` until it is kept, and says what it is.
pub(super) fn kept(store: &SqliteNamespace, key: &str) -> Option<String> {
    let found = text(store, key);
    for _ in 0..3 {
        let before = store.kept_hits();
        assert_eq!(text(store, key), found);
        if store.kept_hits() > before {
            return found;
        }
    }
    panic!("{key} is not kept");
}

pub(super) fn text(store: &SqliteNamespace, key: &str) -> Option<String> {
    value(store, key).map(|bytes| String::from_utf8(bytes).unwrap())
}

fn checkpoint(connection: &Connection, how: &str) -> bool {
    let sql = format!("PRAGMA wal_checkpoint({how})");
    connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap() == 0
}

/// What a child does: what it is told, on the database by itself.
pub(super) fn doing_as_told(path: &Path) {
    let connection = raw(path);
    connection.busy_timeout(Duration::ZERO).unwrap();
    loop {
        let done = match listen().as_str() {
            "truncate the log" => checkpoint(&connection, "TRUNCATE"),
            "truncate the log and write" => {
                checkpoint(&connection, "TRUNCATE");
                put(&open(path), "k", "after the log was emptied");
                true
            }
            "set" => {
                put(&open(path), "k", "of another process");
                true
            }
            "remove" => open(path).remove(&Key::new("k")).unwrap(),
            "clear" => open(path).clear().is_ok(),
            "remove by tag" => open(path).remove_tag("t").unwrap() > 0,
            "die while writing" => {
                // So little memory that changes go to the log before the commit.
                connection.execute_batch("PRAGMA cache_size = 1; BEGIN IMMEDIATE").unwrap();
                let spill = "UPDATE entries SET record = zeroblob(20000)";
                connection.execute_batch(spill).unwrap();
                say("done");
                listen();
                true
            }
            "tear the header" => {
                let path = PathBuf::from(format!("{}-shm", path.display()));
                let index = OpenOptions::new().read(true).write(true).open(path).unwrap();
                // The frames in the second copy, as a writer that was killed would leave it.
                index.write_all_at(&[0xff], 48 + 16).unwrap();
                true
            }
            other => panic!("it cannot {other}"),
        };
        say(if done { "done" } else { "busy" });
    }
}

fn ask(child: &mut Role, what: &str) -> String {
    child.tell(what);
    child.hear().unwrap()
}

#[test]
fn what_was_read_is_kept_and_counted_as_the_hit_that_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open_kept(&path);
    put(&store, "k", "v");
    for _ in 0..10 {
        assert_eq!(text(&store, "k").as_deref(), Some("v"));
    }
    assert_eq!((store.stats().hits, store.kept_hits()), (10, 9));
    assert_eq!(text(&store, "absent"), None);
    assert_eq!(store.stats().misses, 1);
    let other = SqliteNamespace::open("other", config(&path)).unwrap();
    assert_eq!(text(&other, "k"), None, "a key of another namespace is another");
}

#[test]
fn a_database_that_was_closed_and_is_only_read_is_kept_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    put(&open(&path), "k", "v");
    let store = open_kept(&path);
    assert_eq!(kept(&store, "k").as_deref(), Some("v"));
    put(&store, "k", "new");
    assert_eq!(kept(&store, "k").as_deref(), Some("new"));
}

/// Its name, what is done, and what is there then.
type Change<'a> = (&'static str, &'a dyn Fn(), Option<&'static str>);

#[test]
fn a_change_in_this_process_is_seen_by_the_next_get() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open_kept(&path);
    let (other, tool) = (open_kept(&path), raw(&path));
    let key = Key::new("k");
    let pair = || vec![(key.clone(), entry(&other, "new"))];
    let run = |sql: &str| tool.execute_batch(sql).unwrap();
    let changes: [Change<'_>; 8] = [
        ("set", &|| put(&other, "k", "new"), Some("new")),
        ("set_many", &|| other.set_many(pair()).unwrap(), Some("new")),
        ("remove", &|| assert!(other.remove(&key).unwrap()), None),
        ("clear", &|| other.clear().unwrap(), None),
        ("remove_tag", &|| assert_eq!(other.remove_tag("t").unwrap(), 1), None),
        ("DELETE", &|| run("DELETE FROM entries"), None),
        ("damage", &|| run("UPDATE entries SET record = x'00'"), None),
        ("VACUUM", &|| run("VACUUM"), Some("old")),
    ];
    for (name, change, expected) in changes {
        let tagged = entry(&store, "old").tags(vec!["t".to_owned()]);
        store.set(&Key::new("k"), tagged).unwrap();
        assert_eq!(kept(&store, "k").as_deref(), Some("old"), "{name}");
        change();
        assert_eq!(text(&store, "k").as_deref(), expected, "{name}");
    }
}

#[test]
fn a_change_by_another_process_is_seen_by_the_next_get() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open_kept(&path);
    put(&store, "k", "old");
    let mut child = Role::start("obey", &path);
    for (change, expected) in [
        ("set", Some("of another process")),
        ("remove", None),
        ("clear", None),
        ("remove by tag", None),
        ("truncate the log", Some("old")),
        ("truncate the log and write", Some("after the log was emptied")),
    ] {
        store.set(&Key::new("k"), entry(&store, "old").tags(vec!["t".to_owned()])).unwrap();
        assert_eq!(kept(&store, "k").as_deref(), Some("old"), "{change}");
        assert_eq!(ask(&mut child, change), "done", "{change}");
        assert_eq!(text(&store, "k").as_deref(), expected, "{change}");
        // An emptied log is a new one.
        if expected.is_some() {
            assert_eq!(kept(&store, "k").as_deref(), expected, "{change}");
        }
    }
}

#[test]
fn what_is_kept_dies_by_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000_000)));
    let config = config(&path).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let store = SqliteNamespace::open("n", config).unwrap();
    let mortal = entry(&store, "v").ttl(Some(Duration::from_secs(1)));
    store.set(&Key::new("k"), mortal).unwrap();
    assert_eq!(kept(&store, "k").as_deref(), Some("v"));
    clock.advance(Duration::from_secs(2));
    assert_eq!(text(&store, "k"), None);
    assert_eq!(store.get_many(&[Key::new("k")]).unwrap().iter().flatten().count(), 0);
}

#[test]
fn many_are_kept_and_are_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open_kept(&path);
    let keys: Vec<Key> = (0..10_u32).map(|at| Key::new(&at)).collect();
    let write = |text: &str| {
        let pairs = keys.iter().map(|key| (key.clone(), entry(&store, text)));
        store.set_many(pairs.collect()).unwrap();
    };
    let read = || -> Vec<Vec<u8>> {
        let found = store.get_many(&keys).unwrap();
        found
            .into_iter()
            .map(|entry| match entry.unwrap().into_payload() {
                Payload::Bytes { bytes, .. } => bytes.to_vec(),
                Payload::Object(_) => panic!("an object in a database"),
            })
            .collect()
    };
    write("one");
    assert_eq!([read(), read()], [vec![b"one".to_vec(); 10], vec![b"one".to_vec(); 10]]);
    assert_eq!((store.kept_hits(), store.stats().hits), (10, 20));
    write("two");
    assert_eq!([read(), read()], [vec![b"two".to_vec(); 10], vec![b"two".to_vec(); 10]]);
    store.remove(&keys[3]).unwrap();
    assert!(store.get_many(&keys).unwrap()[3].is_none());
}

#[test]
fn a_writer_that_is_killed_in_mid_commit_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open_kept(&path);
    for number in 0..200 {
        put(&store, &format!("key {number}"), "x".repeat(500));
    }
    put(&store, "k", "v");
    assert_eq!(kept(&store, "k").as_deref(), Some("v"));
    let mut child = Role::start("obey", &path);
    assert_eq!(ask(&mut child, "die while writing"), "done");
    assert_eq!(text(&store, "k").as_deref(), Some("v"));
    drop(child);
    assert_eq!(text(&store, "k").as_deref(), Some("v"));
    put(&store, "k", "after the kill");
    assert_eq!(kept(&store, "k").as_deref(), Some("after the kill"));
    assert_eq!(integrity(&path), "ok");
}

#[test]
fn a_header_that_a_killed_writer_left_half_written_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open_kept(&path);
    put(&store, "k", "v");
    assert_eq!(kept(&store, "k").as_deref(), Some("v"));
    let mut child = Role::start("obey", &path);
    assert_eq!(ask(&mut child, "tear the header"), "done");
    let before = store.kept_hits();
    assert_eq!(text(&store, "k").as_deref(), Some("v"));
    assert_eq!(store.kept_hits(), before, "SQLite was asked, which makes the header anew");
    assert_eq!(kept(&store, "k").as_deref(), Some("v"));
    put(&store, "k", "new");
    assert_eq!(kept(&store, "k").as_deref(), Some("new"));
}

/// The number that the child had written last when its write had returned.
struct Acknowledged(fs::File);

impl Acknowledged {
    fn at(path: &Path) -> Self {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        Self(options.open(path.with_extension("ack")).unwrap())
    }

    fn get(&self) -> u64 {
        let mut number = [0; 8];
        // Before the first number it is empty.
        let _read = self.0.read_at(&mut number, 0).unwrap();
        u64::from_ne_bytes(number)
    }

    fn set(&self, number: u64) {
        self.0.write_all_at(&number.to_ne_bytes(), 0).unwrap();
    }
}

/// What the child does: writes each number, and when that has returned, into the file beside it too.
pub(super) fn counting(path: &Path) {
    let (store, acknowledged) = (open(path), Acknowledged::at(path));
    for number in acknowledged.get() + 1..=ROUNDS {
        put(&store, "k", number.to_string());
        acknowledged.set(number);
        // Now and then a log that begins anew.
        if number.is_multiple_of(500) {
            checkpoint(&raw(path), "TRUNCATE");
        }
    }
    say("done");
    listen();
}

/// Two threads read while `work` is done; neither may find less than what was acknowledged before, or
/// what it has found.
fn read_during(path: &Path, work: impl FnOnce(&Acknowledged)) {
    let store = open_kept(path);
    put(&store, "k", "0");
    let (acknowledged, ended) = (Acknowledged::at(path), AtomicBool::new(false));
    let read = || {
        let mut last = 0;
        while !ended.load(Ordering::SeqCst) {
            let floor = acknowledged.get().max(last);
            last = text(&store, "k").unwrap().parse().unwrap();
            assert!(last >= floor, "{last} after {floor}");
        }
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        work(&acknowledged);
        ended.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    let last: u64 = kept(&store, "k").unwrap().parse().unwrap();
    assert!(last >= acknowledged.get());
    assert!(store.kept_hits() > 500, "only {} were kept ones", store.kept_hits());
}

#[test]
fn no_get_finds_less_than_what_another_process_had_written_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    read_during(&path, |acknowledged| {
        let mut child = Role::start("count to the end", &path);
        assert_eq!(child.hear().as_deref(), Some("done"));
        assert_eq!(acknowledged.get(), ROUNDS);
    });
}

#[test]
fn no_get_finds_less_though_the_writers_are_killed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    read_during(&path, |acknowledged| {
        for kill in 0..20 {
            let goal = acknowledged.get() + 10 + kill * 7;
            let child = Role::start("count to the end", &path);
            while acknowledged.get() < goal {
                thread::yield_now();
            }
            // Wherever it is.
            drop(child);
        }
    });
    assert_eq!(integrity(&path), "ok");
}

#[test]
fn to_close_the_store_frees_no_lock_of_another_connection_of_this_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let mut child = Role::start("obey", &path);
    for round in ["first", "opened again"] {
        let store = open_kept(&path);
        put(&store, "k", round);
        assert_eq!(kept(&store, "k").as_deref(), Some(round));
        let reader = raw(&path);
        reader.execute_batch("BEGIN; SELECT count(*) FROM entries").unwrap();
        drop(store);
        let busy = ask(&mut child, "truncate the log");
        assert_eq!(busy, "busy", "{round}: the log was emptied below a reader");
        reader.execute_batch("COMMIT").unwrap();
        assert_eq!(ask(&mut child, "truncate the log"), "done", "the control");
    }
}

#[test]
fn a_store_that_all_have_closed_leaves_no_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("cache.db");
    let descriptors = || {
        let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let targets = links.filter_map(|link| fs::read_link(link.path()).ok());
        targets.filter(|target| target.starts_with(path.parent().unwrap())).count()
    };
    let store = open_kept(&path);
    put(&store, "k", "v");
    assert_eq!(kept(&store, "k").as_deref(), Some("v"));
    assert!(descriptors() > 2, "the control");
    drop(store);
    assert_eq!(descriptors(), 0);
}

#[test]
fn reads_are_kept_after_as_many_as_are_set() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    put(&store, "k", "v");
    let gets = |count: u32| (0..count).for_each(|_| assert!(text(&store, "k").is_some()));
    gets(66);
    assert_eq!(store.kept_hits(), 0, "two looks with 32 gets between them, and one that is kept");
    gets(1_000);
    assert_eq!(store.kept_hits(), 1_000);
}

#[test]
fn between_the_writes_of_others_nothing_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let (store, tool) = (open(&path), raw(&path));
    put(&store, "k", "v");
    for number in 0..2_000 {
        if number % 9 == 0 {
            tool.execute("INSERT INTO purge (ns) VALUES (?1)", [100_000 + number]).unwrap();
        }
        assert_eq!(text(&store, "k").as_deref(), Some("v"));
    }
    assert_eq!(store.kept_hits(), 0);
}

#[test]
fn what_is_too_much_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = SqliteNamespace::open("n", config(&path).kept_reads_bytes(64 * 1_024)).unwrap();
    put(&store, "long", "x".repeat(1_024));
    let keys: Vec<String> = (0..200).map(|number| format!("key {number}")).collect();
    let pairs = keys.iter().map(|key| (Key::new(key), entry(&store, [0; 500])));
    store.set_many(pairs.collect()).unwrap();
    let read = || {
        let before = store.kept_hits();
        keys.iter().for_each(|key| assert!(value(&store, key).is_some()));
        store.kept_hits() - before
    };
    for _ in 0..3 {
        assert!(value(&store, "long").is_some());
    }
    assert_eq!(store.kept_hits(), 0, "more than a 64th");
    read();
    // Some 700 bytes each.
    let fit = read();
    assert!((80..=100).contains(&fit), "{fit}");
}

#[test]
fn nothing_is_kept_where_that_is_not_wanted_or_cannot_be_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    for config in [config(&path).kept_reads_bytes(0), config(&path).network(NetworkPolicy::Allow)] {
        let store = SqliteNamespace::open("n", config).unwrap();
        put(&store, "k", "v");
        for _ in 0..100 {
            assert_eq!(text(&store, "k").as_deref(), Some("v"));
        }
        assert_eq!(store.kept_hits(), 0);
    }
}
