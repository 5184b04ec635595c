//! What a process writes itself while it keeps reads, and a crowd that writes at the same time.
//!
//! The control is by hand: that a key is not noted in `Carry::note_set` or `Carry::note_gone`, that
//! nothing is buried, or that reads are kept at the moment after them, fails here.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use beaker_backends::sqlite::SqliteNamespace;
use beaker_namespace::{
    Clock, Condition, ConditionalSet, Fulfilled, Inspection, Key, ManualClock, Namespace, Payload,
    Timestamp, Wait,
};

use super::children::{Role, listen, say};
use super::kept::{ROUNDS, config, kept, open_kept, text};
use super::{entry, integrity, open, put, raw};

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
    assert!(store.kept_hits() > 3_500, "{}", store.kept_hits());
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
    assert!(is_kept("other", "old") && !is_kept("k", "new") && is_kept("k", "new"));
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
    assert!(is_kept("other", "old") && !is_kept("k", "again"));
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
    assert!(store.kept_hits() > 500, "{}", store.kept_hits());
    assert_eq!(integrity(&path), "ok");
}
