//! Records that are not as they were written, and whole databases.

use std::path::{Path, PathBuf};

use super::children::{Role, listen, say};
use super::{entry, integrity, number, open, put, raw, value};
use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace};
use beaker_namespace::testkit::conformance_on_damage;
use beaker_namespace::{
    Condition, ConditionalSet, ErrorKind, Inspection, Key, Lookup, Namespace, Payload, Scan,
};

#[test]
fn f35_a_flipped_bit_anywhere_in_a_record_is_an_absent_entry_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let (store, other) = (open(&path), raw(&path));
    put(&store, "k", "value");
    put(&store, "neighbour", "whole");
    let good: Vec<u8> =
        other.query_row("SELECT record FROM entries ORDER BY id", [], |row| row.get(0)).unwrap();
    let restore = "INSERT OR REPLACE INTO entries (ns, key, record)
                   VALUES ((SELECT id FROM namespaces WHERE name = 'n'), ?1, ?2)";
    let key = Key::new("k");
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        other.execute(restore, (key.as_bytes(), bad)).unwrap();
        assert_eq!(value(&store, "k"), None, "bit {bit}");
    }
    assert_eq!(store.stats().corrupt, good.len() as u64 * 8);
    assert_eq!(number(&other, "SELECT count(*) FROM entries"), 1, "each was dropped");
    other.execute(restore, (key.as_bytes(), good)).unwrap();
    assert_eq!(value(&store, "k").as_deref(), Some(&b"value"[..]), "the control");
    assert_eq!(value(&store, "neighbour").as_deref(), Some(&b"whole"[..]));
}

#[test]
fn a_record_that_was_moved_to_another_key_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    put(&store, "k", "value");
    let key = Key::new("there");
    raw(&path).execute("UPDATE entries SET key = ?1", [key.as_bytes()]).unwrap();
    for look in 1..=2 {
        assert!(matches!(store.look_up(&key).unwrap(), Lookup::Corrupt(_)), "look {look}");
    }
    assert_eq!([value(&store, "there"), value(&store, "k")], [None, None]);
    assert!(matches!(store.look_up(&key).unwrap(), Lookup::Absent), "a get drops it");
    assert_eq!(store.stats().corrupt, 3);
}

#[test]
fn of_two_that_replace_a_damaged_entry_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let (store, key) = (open(&path), Key::new("there"));
    put(&store, "k", "value");
    raw(&path).execute("UPDATE entries SET key = ?1", [key.as_bytes()]).unwrap();
    assert!(matches!(store.look_up(&key).unwrap(), Lookup::Corrupt(_)));
    let set = |text: &str| store.set_if(&key, entry(&store, text), Condition::Absent).unwrap();
    assert!(matches!(set("one"), ConditionalSet::Stored { .. }));
    assert_eq!(set("two"), ConditionalSet::Conflict);
    assert_eq!(value(&store, "there").as_deref(), Some(&b"one"[..]));
}

#[test]
fn only_the_damage_that_was_seen_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let (store, other) = (open(&path), raw(&path));
    conformance_on_damage("sqlite", store, |key, how| {
        let damage = "UPDATE entries SET record = ?2 WHERE key = ?1";
        let rows = other.execute(damage, (key.as_bytes(), vec![how; 100])).unwrap();
        assert_eq!(rows, 1);
    });
}

#[test]
fn a_record_that_was_moved_to_another_namespace_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    let other = SqliteNamespace::open("other", SqliteConfig::new(&path)).unwrap();
    put(&store, "k", "value");
    put(&other, "k", "other");
    let spaces =
        "UPDATE OR REPLACE entries SET ns = (SELECT id FROM namespaces WHERE name = 'other')
         WHERE ns = (SELECT id FROM namespaces WHERE name = 'n')";
    assert_eq!(raw(&path).execute(spaces, []).unwrap(), 1);
    assert_eq!([value(&store, "k"), value(&other, "k")], [None, None]);
    assert_eq!((store.stats().corrupt, other.stats().corrupt), (0, 1));
}

#[test]
fn inspect_tells_of_damage_and_leaves_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    put(&store, "k", "value");
    raw(&path).execute("UPDATE entries SET record = x'00'", []).unwrap();
    let before = store.stats();
    let inspected = store.inspect(&Key::new("k")).unwrap();
    assert!(matches!(inspected, Inspection::Corrupt(_)), "{inspected:?}");
    assert_eq!(store.stats(), before);
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM entries"), 1);
}

#[test]
fn a_scan_leaves_damage_out_and_a_sweep_drops_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    for key in ["a", "b", "c"] {
        put(&store, key, "value");
    }
    let damage = "UPDATE entries SET record = x'00' WHERE key = ?1";
    raw(&path).execute(damage, [Key::new("b").as_bytes()]).unwrap();
    raw(&path)
        .execute("UPDATE entries SET key = x'ee' WHERE key = ?1", [Key::new("c").as_bytes()])
        .unwrap();
    let listed = store.scan(&Scan::new()).unwrap().entries;
    assert_eq!(listed.iter().map(|listed| &listed.key).collect::<Vec<_>>(), [&Key::new("a")]);
    assert_eq!(store.sweep().unwrap().corrupt, 2);
    assert_eq!(store.stats().corrupt, 2);
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM entries"), 1);
}

#[test]
fn a_damaged_record_is_no_obstacle_to_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    put(&store, "k", "value");
    raw(&path).execute("UPDATE entries SET record = NULL", []).unwrap();
    let condition = Condition::Absent;
    let set = store.set_if(&Key::new("k"), entry(&store, "new"), condition).unwrap();
    assert!(matches!(set, ConditionalSet::Stored { .. }), "{set:?}");
    assert_eq!(value(&store, "k").as_deref(), Some(&b"new"[..]));
}

#[test]
fn f35_a_database_with_garbage_in_it_gives_errors_and_no_wrong_value() {
    for seed in 0..40_u64 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let store = open(&path);
        let texts: Vec<String> = (0..200).map(|number| format!("value {number}")).collect();
        let pair = |at: usize| (Key::new(&at), entry(&store, &texts[at]));
        store.set_many((0..200).map(pair).collect()).unwrap();
        drop(store);
        let mut bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() > 20_000, "the log was copied when the last handle closed");
        let at = 100 + (seed as usize * 7_919) % (bytes.len() - 700);
        bytes[at..at + 600].fill(seed as u8);
        std::fs::write(&path, bytes).unwrap();
        let opened = SqliteNamespace::open("n", SqliteConfig::new(&path));
        let Ok(store) = opened else { continue };
        for (at, text) in texts.iter().enumerate() {
            match store.get(&Key::new(&at)) {
                Ok(None) => {}
                Ok(Some(entry)) => {
                    let Payload::Bytes { bytes, .. } = entry.payload() else {
                        panic!("an object in a database")
                    };
                    assert_eq!(bytes, text.as_bytes(), "seed {seed}");
                }
                Err(error) => {
                    let known = [ErrorKind::Corrupt, ErrorKind::Unavailable, ErrorKind::TooLarge];
                    assert!(known.contains(&error.kind()), "seed {seed}: {error:?}");
                }
            }
        }
    }
}

// F34: a database that is damaged as a whole heals, once nobody else has it open.

/// A closed database with entries in it, each on pages of its own, and its name.
fn filled(dir: &Path) -> PathBuf {
    let path = dir.join("cache.db");
    let store = open(&path);
    for number in 0..40 {
        put(&store, &number.to_string(), vec![number; 9_000]);
    }
    path
}

/// Fills everything but the first page, which says whose it is and names the tables.
fn spoil(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[4_096..].fill(0x5a);
    std::fs::write(path, bytes).unwrap();
}

/// What was set aside, with logs and indexes.
fn aside(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.to_string_lossy().contains("cache.db.damaged-")).collect()
}

#[test]
fn f34_a_damaged_database_is_set_aside_by_who_meets_it_alone_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path());
    spoil(&path);
    let damaged = std::fs::read(&path).unwrap();
    let store = open(&path);
    let met = (0..40).find_map(|at| store.get(&Key::new(&at.to_string())).err());
    if let Some(error) = met {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("cache.db.damaged-"), "{error}");
    }
    put(&store, "k", "new");
    assert_eq!(value(&store, "k").as_deref(), Some(&b"new"[..]));
    assert_eq!(integrity(&path), "ok");
    let aside = aside(dir.path());
    let whole = aside.iter().filter(|file| std::fs::read(file).unwrap() == damaged);
    assert_eq!(whole.count(), 1, "it is kept as it was: {aside:?}");
}

#[test]
fn f34_a_damaged_database_that_another_process_has_open_is_left_until_that_is_gone() {
    for role in ["share until told", "have open as the tool does"] {
        let dir = tempfile::tempdir().unwrap();
        let path = filled(dir.path());
        let mut other = Role::start(role, &path);
        assert_eq!(other.hear().as_deref(), Some("open"), "{role}");
        spoil(&path);
        let fails = || {
            let store = SqliteNamespace::open("n", SqliteConfig::new(&path))?;
            let read =
                (0..40_u8).try_for_each(|at| store.get(&Key::new(&at.to_string())).map(drop));
            read.and_then(|()| store.clear())
        };
        let error = fails().expect_err("it is damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{role}: {error}");
        let text = error.to_string();
        assert!(text.contains("so stop the others") && text.contains("cache.db"), "{role}: {text}");
        assert!(aside(dir.path()).is_empty(), "{role}");
        // The control: it was the other that stood in the way.
        drop(other);
        let _met = fails();
        fails().expect("it is another database");
        assert!(!aside(dir.path()).is_empty(), "{role}");
    }
}

pub(super) fn sharing_until_told(path: &Path) {
    let _store = open(path);
    say("open");
    listen();
}

pub(super) fn having_it_open_as_the_tool_does(path: &Path) {
    let tool = raw(path);
    assert!(number(&tool, "SELECT count(*) FROM entries") > 0);
    say("open");
    listen();
    drop(tool);
}
