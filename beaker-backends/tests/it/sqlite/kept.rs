//! Reads that are kept in memory, and everybody who changes the database meanwhile.
//!
//! The control of all these is by hand: with the comparison of the moments taken out of
//! `Kept::look`, what is claimed of changes here fails.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace};
use beaker_namespace::{
    Clock, Condition, ConditionalSet, Fulfilled, Inspection, Key, ManualClock, Namespace, Payload,
    Timestamp, Wait,
};
use beaker_sync::NetworkPolicy;
use rusqlite::Connection;

use super::children::{Role, listen, say};
use super::{entry, integrity, open, put, raw, value};

/// The sets of the child that counts.
const ROUNDS: u64 = 5_000;

/// Keeps from the first get on.
fn config(path: &Path) -> SqliteConfig {
    SqliteConfig::new(path).kept_reads_after(0)
}

fn open_kept(path: &Path) -> SqliteNamespace {
    SqliteNamespace::open("n", config(path)).unwrap()
}

/// Reads `key` until it is kept, and says what it is.
fn kept(store: &SqliteNamespace, key: &str) -> Option<String> {
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

fn text(store: &SqliteNamespace, key: &str) -> Option<String> {
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

#[test]
fn a_change_in_this_process_is_seen_by_the_next_get() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open_kept(&path);
    let (other, tool) = (open_kept(&path), raw(&path));
    let key = Key::new("k");
    let pair = || vec![(key.clone(), entry(&other, "new"))];
    let run = |sql: &str| tool.execute_batch(sql).unwrap();
    let changes: [(&str, &dyn Fn(), Option<&str>); 8] = [
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

/// What the child does: writes each number, and when that has returned, into the file beside it too.
pub(super) fn counting(path: &Path) {
    let store = open(path);
    let acknowledged = OpenOptions::new().write(true).open(path.with_extension("ack")).unwrap();
    for number in 1..=ROUNDS {
        put(&store, "k", number.to_string());
        acknowledged.write_all_at(&number.to_ne_bytes(), 0).unwrap();
        // Now and then a log that begins anew.
        if number.is_multiple_of(500) {
            checkpoint(&raw(path), "TRUNCATE");
        }
    }
    say("done");
    listen();
}

#[test]
fn no_get_finds_less_than_what_another_process_had_written_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open_kept(&path);
    put(&store, "k", "0");
    let acknowledged = path.with_extension("ack");
    fs::write(&acknowledged, 0_u64.to_ne_bytes()).unwrap();
    let acknowledged = fs::File::open(acknowledged).unwrap();
    let (ended, gets) = (AtomicBool::new(false), AtomicU64::new(0));
    let read = || {
        let mut last = 0;
        while !ended.load(Ordering::SeqCst) {
            let mut floor = [0; 8];
            acknowledged.read_exact_at(&mut floor, 0).unwrap();
            let floor = u64::from_ne_bytes(floor).max(last);
            let found: u64 = text(&store, "k").unwrap().parse().unwrap();
            assert!(found >= floor, "{found} after {floor}");
            last = found;
            gets.fetch_add(1, Ordering::Relaxed);
        }
        last
    };
    let mut child = Role::start("count to the end", &path);
    thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        assert_eq!(child.hear().as_deref(), Some("done"));
        ended.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert_eq!(kept(&store, "k"), Some(ROUNDS.to_string()));
    let kept = store.kept_hits();
    assert!(kept > ROUNDS, "{kept} of {gets:?} gets were kept ones");
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
fn between_its_own_writes_a_process_keeps_its_reads() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("cache.db"));
    put(&store, "other", "v");
    for number in 0..2_000 {
        if number % 9 == 0 {
            put(&store, "k", number.to_string());
        }
        assert_eq!(text(&store, "k"), Some((number / 9 * 9).to_string()));
        assert_eq!(text(&store, "other").as_deref(), Some("v"));
    }
    assert!(store.kept_hits() > 3_800, "{}", store.kept_hits());
}

#[test]
fn a_change_is_carried_over_if_nobody_else_makes_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let (store, tool) = (open_kept(&path), raw(&path));
    for key in ["k", "other"] {
        put(&store, key, "old");
        assert_eq!(kept(&store, key).as_deref(), Some("old"));
    }
    let is_kept = |key: &str, expected: &str| {
        let before = store.kept_hits();
        assert_eq!(text(&store, key).as_deref(), Some(expected));
        store.kept_hits() > before
    };
    put(&store, "k", "new");
    assert!(is_kept("k", "new") && is_kept("other", "old"));
    store.remove(&Key::new("k")).unwrap();
    assert!(is_kept("other", "old"));
    assert_eq!(text(&store, "k"), None);
    let claim = store.claim(&Key::new("k"), Wait::Never).unwrap().unwrap();
    let _stored = store.fulfil(&Key::new("k"), entry(&store, "made"), claim).unwrap();
    assert!(is_kept("other", "old"));
    assert_eq!(kept(&store, "k").as_deref(), Some("made"));
    let again = entry(&store, "again");
    let _conflict = store.set_if(&Key::new("k"), again.clone(), Condition::Absent).unwrap();
    assert!(is_kept("k", "made") && is_kept("other", "old"));
    let there = store.get(&Key::new("k")).unwrap().unwrap().generation();
    let _stored = store.set_if(&Key::new("k"), again, Condition::Generation(there)).unwrap();
    assert!(is_kept("k", "again") && is_kept("other", "old"));
    let generation = store.get(&Key::new("k")).unwrap().unwrap().generation();
    let found = store.inspect(&Key::new("k")).unwrap();
    assert!(matches!(found, Inspection::Present(entry) if entry.generation() == generation));
    tool.execute("INSERT INTO purge (ns) VALUES (100000)", []).unwrap();
    put(&store, "k", "after another's");
    assert!(!is_kept("other", "old"));
}

#[test]
fn what_was_dropped_as_dead_is_gone_for_a_clock_that_is_behind_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let at = |seconds: i64| Arc::new(ManualClock::new(Timestamp::from_micros(seconds * 1_000_000)));
    let on =
        |clock| SqliteNamespace::open("n", config(&path).clock(clock as Arc<dyn Clock>)).unwrap();
    let (behind, ahead) = (on(at(1_000)), on(at(2_000)));
    let mortal = entry(&behind, "v").ttl(Some(Duration::from_secs(1)));
    behind.set(&Key::new("k"), mortal).unwrap();
    put(&behind, "other", "v");
    for key in ["k", "other"] {
        assert_eq!(kept(&behind, key).as_deref(), Some("v"));
    }
    assert_eq!(ahead.sweep().unwrap().expired, 1);
    assert_eq!(text(&behind, "k"), None);
    assert_eq!(text(&behind, "other").as_deref(), Some("v"));
}

#[test]
fn what_was_evicted_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = SqliteNamespace::open("n", config(&path).max_bytes(1_024 * 1_024)).unwrap();
    put(&store, "oldest", "v");
    assert_eq!(kept(&store, "oldest").as_deref(), Some("v"));
    for number in 0..1_000 {
        put(&store, &format!("key {number}"), [0; 2_000]);
    }
    assert!(store.stats().evictions > 0, "the control");
    assert_eq!(text(&store, "oldest"), None);
}

/// The keys of a crowd; each is written by one of its writers, in rising numbers.
const CROWD: u64 = 30;
const WRITERS: u64 = 3;

/// Sets the keys of one writer, in all the ways there are; `acknowledge` is told what was written.
fn write_for(path: &Path, writer: u64, rounds: u64, mut acknowledge: impl FnMut(u64, u64)) {
    let store = open_kept(path);
    for number in 1..=rounds {
        let key = number % (CROWD / WRITERS) * WRITERS + writer;
        let (name, new) = (Key::new(&key), entry(&store, number.to_string()));
        match number % 7 {
            0 => store.set_many(vec![(name, new)]).unwrap(),
            1 => {
                let old =
                    store.get(&name).unwrap().map(|old| Condition::Generation(old.generation()));
                let set = store.set_if(&name, new, old.unwrap_or(Condition::Absent)).unwrap();
                assert!(matches!(set, ConditionalSet::Stored { .. }), "nobody else writes it");
            }
            2 => {
                let claim = store.claim(&name, Wait::Forever).unwrap().unwrap();
                assert_eq!(store.fulfil(&name, new, claim).unwrap(), Fulfilled::Stored);
            }
            _ => store.set(&name, new).unwrap(),
        }
        acknowledge(key, number);
    }
}

/// What the child does: is one of the writers.
pub(super) fn writing_in_a_crowd(path: &Path) {
    let file = OpenOptions::new().write(true).open(path.with_extension("ack")).unwrap();
    write_for(path, 0, ROUNDS / 10, |key, number| {
        file.write_all_at(&number.to_ne_bytes(), key * 8).unwrap();
    });
    say("done");
    listen();
}

#[test]
fn no_get_finds_less_than_what_a_crowd_of_threads_and_processes_had_written_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open_kept(&path);
    fs::write(path.with_extension("ack"), [0; 8 * CROWD as usize]).unwrap();
    let file = OpenOptions::new().read(true).write(true).open(path.with_extension("ack")).unwrap();
    let ended = AtomicBool::new(false);
    let read = |seed: u64| {
        let mut last = [0; CROWD as usize];
        for round in seed.. {
            let (key, mut floor) = (round * 7 % CROWD, [0; 8]);
            file.read_exact_at(&mut floor, key * 8).unwrap();
            let floor = u64::from_ne_bytes(floor).max(last[key as usize]);
            let found = match store.get(&Key::new(&key)).unwrap().map(|found| found.into_payload())
            {
                Some(Payload::Bytes { bytes, .. }) => {
                    String::from_utf8(bytes.to_vec()).unwrap().parse().unwrap()
                }
                _ => 0,
            };
            assert!(found >= floor, "{found} after {floor} under {key}");
            last[key as usize] = found;
            if ended.load(Ordering::SeqCst) {
                return;
            }
        }
    };
    let mut child = Role::start("write in a crowd", &path);
    thread::scope(|scope| {
        let readers = [scope.spawn(|| read(0)), scope.spawn(|| read(1))];
        let writers = [1, 2].map(|writer| {
            let (file, path) = (&file, &path);
            scope.spawn(move || {
                write_for(path, writer, ROUNDS / 5, |key, number| {
                    file.write_all_at(&number.to_ne_bytes(), key * 8).unwrap();
                });
            })
        });
        assert_eq!(child.hear().as_deref(), Some("done"));
        let ends = writers.map(|writer| writer.join().is_ok());
        ended.store(true, Ordering::SeqCst);
        assert_eq!(ends, [true; 2]);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert!(store.kept_hits() > ROUNDS, "{}", store.kept_hits());
    assert_eq!(integrity(&path), "ok");
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
