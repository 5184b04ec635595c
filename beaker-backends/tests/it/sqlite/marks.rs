//! Marks in a database.

use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace};
use beaker_namespace::{Key, Mark, Namespace, Timestamp};

use super::children::Role;
use super::{entry, number, open, open_by_hand, put, raw, value};

const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn found(store: &SqliteNamespace, name: &str) -> Mark {
    store.marks(&mut [name].into_iter()).unwrap()
}

#[test]
fn f34_f35_a_damaged_mark_counts_as_one_of_now_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let (_clock, store) = open_by_hand(&path);
    store.mark("name", Mark::hard(at(7))).unwrap();
    let other = raw(&path);
    let read = "SELECT record FROM marks";
    let good: Vec<u8> = other.query_row(read, [], |row| row.get(0)).unwrap();
    let mut bad: Vec<Vec<u8>> = (0..good.len()).map(|length| good[..length].to_vec()).collect();
    for bit in 0..8 * good.len() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bad.push(bytes);
    }
    bad.push(good.repeat(1_000));
    let number_of_bad = bad.len() as u64;
    for (number, bytes) in bad.into_iter().enumerate() {
        other.execute("UPDATE marks SET record = ?1", [bytes]).unwrap();
        assert_eq!(found(&store, "name"), Mark::hard(NOW), "damage {number}");
        let healed: Vec<u8> = other.query_row(read, [], |row| row.get(0)).unwrap();
        assert_eq!(Mark::from_bytes("n", "name", &healed), Some(Mark::hard(NOW)), "{number}");
    }
    assert_eq!(store.stats().corrupt, number_of_bad);
    other.execute("UPDATE marks SET record = 'text'", []).unwrap();
    assert_eq!(store.mark("name", Mark::soft(at(9))).unwrap().gone_until(), Some(NOW));
    other.execute("UPDATE marks SET record = ?1", [good]).unwrap();
    assert_eq!(found(&store, "name"), Mark::hard(at(7)), "the control");
}

#[test]
fn a_damaged_mark_counts_as_one_of_now_also_while_somebody_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let (_clock, store) = open_by_hand(&path);
    store.mark("name", Mark::hard(at(7))).unwrap();
    raw(&path).execute("UPDATE marks SET record = x'00'", []).unwrap();
    let mut writer = Role::start("hold", &path);
    assert_eq!(writer.hear().as_deref(), Some("held"));
    assert_eq!(found(&store, "name"), Mark::hard(NOW));
    assert_eq!(number(&raw(&path), "SELECT length(record) FROM marks"), 1, "it is not mended yet");
    drop(writer);
    assert_eq!(found(&store, "name"), Mark::hard(NOW));
    let length = number(&raw(&path), "SELECT length(record) FROM marks");
    assert_eq!(length, Mark::ENCODED_BYTES as i64);
}

#[test]
fn a_mark_that_was_moved_to_another_name_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let (_clock, store) = open_by_hand(&path);
    store.mark("name", Mark::hard(at(7))).unwrap();
    raw(&path).execute("UPDATE marks SET name = 'other'", []).unwrap();
    assert_eq!(found(&store, "other"), Mark::hard(NOW));
}

#[test]
fn marks_are_not_evicted_and_make_room_for_themselves() {
    const CAP: u64 = 1024 * 1024;
    // Half of the room.
    const MARKS: i64 = 2_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = SqliteNamespace::open("n", SqliteConfig::new(&path).max_bytes(CAP)).unwrap();
    let name = |at: i64| format!("{at} {}", "x".repeat(200));
    for step in 0..2_000 {
        store.set(&Key::new(&step), entry(&store, vec![1; 1_000])).unwrap();
    }
    let before = store.stats().evictions;
    assert!(before > 100, "it is full: {before}");
    for step in 0..MARKS {
        store.mark(&name(step), Mark::hard(at(step))).unwrap();
    }
    assert!(store.stats().evictions > before, "entries went for marks");
    for step in 2_000..3_000 {
        store.set(&Key::new(&step), entry(&store, vec![1; 1_000])).unwrap();
    }
    assert!(store.stats().size_bytes.unwrap() <= CAP);
    for step in 0..MARKS {
        assert_eq!(found(&store, &name(step)), Mark::hard(at(step)));
    }
}

#[test]
fn a_database_of_version_1_gets_marks_and_keeps_its_entries() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    put(&open(&path), "k", "v");
    raw(&path).execute_batch("DROP TABLE marks; PRAGMA user_version = 1").unwrap();
    let store = open(&path);
    store.mark("name", Mark::hard(at(7))).unwrap();
    assert_eq!(found(&store, "name"), Mark::hard(at(7)));
    assert_eq!(value(&store, "k").as_deref(), Some(&b"v"[..]));
    assert_eq!(number(&raw(&path), "PRAGMA user_version"), 2);
}

#[test]
fn an_empty_or_an_older_mark_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    store.mark("name", Mark::default()).unwrap();
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM marks"), 0);
    store.mark("name", Mark::hard(at(7))).unwrap();
    let other = raw(&path);
    let changes = || number(&other, "PRAGMA data_version");
    let before = changes();
    store.mark("name", Mark::hard(at(6))).unwrap();
    assert_eq!(changes(), before);
    store.mark("name", Mark::hard(at(8))).unwrap();
    assert_ne!(changes(), before, "the control");
}

#[test]
fn a_read_of_marks_is_a_search_by_the_primary_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    drop(open(&path));
    let explain = "EXPLAIN QUERY PLAN SELECT record FROM marks WHERE ns=?1 AND name=?2";
    let plan: String = raw(&path).query_row(explain, ["n", "m"], |row| row.get(3)).unwrap();
    assert_eq!(plan, "SEARCH marks USING PRIMARY KEY (ns=? AND name=?)");
}
