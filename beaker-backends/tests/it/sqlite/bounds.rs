//! Sizes, death and clearing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace};
use beaker_namespace::{Condition, ErrorKind, Key, Namespace};

use super::children::{Role, say, skip};
use super::{entry, integrity, number, open, open_by_hand, put, raw, value};

fn capped(path: &Path, max_bytes: u64) -> SqliteNamespace {
    SqliteNamespace::open("n", SqliteConfig::new(path).max_bytes(max_bytes)).unwrap()
}

#[test]
fn the_size_cap_holds_under_ten_times_the_cap() {
    const CAP: u64 = 2 * 1024 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = capped(&path, CAP);
    let (mut written, mut round, mut largest) = (0, 0_usize, 0);
    while written < 10 * CAP {
        let value = vec![round as u8; 10 + round * 7_919 % 20_000];
        store.set(&Key::new(&round), entry(&store, &value)).unwrap();
        assert!(store.get(&Key::new(&round)).unwrap().is_some(), "what was written last is there");
        largest = largest.max(store.stats().size_bytes.unwrap());
        written += value.len() as u64;
        round += 1;
    }
    assert!(largest <= CAP, "{largest} bytes");
    assert!(largest > CAP / 2, "the space is used: {largest} bytes");
    assert!(store.stats().evictions > 100);
    let kept = (0..round).filter(|at| store.get(&Key::new(at)).unwrap().is_some());
    let kept: Vec<_> = kept.collect();
    assert_eq!(kept, (round - kept.len()..round).collect::<Vec<_>>(), "the oldest went first");
    assert_eq!(integrity(&path), "ok");
}

#[test]
fn the_size_cap_holds_for_small_entries_and_batches_with_tags() {
    const CAP: u64 = 1024 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = capped(&path, CAP);
    for round in 0..200 {
        let pair = |at: u32| {
            let tags = vec![format!("tag {}", at % 5), format!("own {round} {at}")];
            (Key::new(&(round * 7 % 13, round, at)), entry(&store, "small").tags(tags))
        };
        store.set_many((0..100).map(pair).collect()).unwrap();
        let size = store.stats().size_bytes.unwrap();
        assert!(size <= CAP, "{size} bytes in round {round}");
    }
    let orphans = "SELECT count(*) FROM tags WHERE entry NOT IN (SELECT id FROM entries)";
    assert_eq!(number(&raw(&path), orphans), 0);
}

#[test]
fn the_size_cap_holds_while_somebody_reads_for_long_and_removals_go_on() {
    const CAP: u64 = 1024 * 1024;
    const EACH: usize = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = capped(&path, CAP);
    let size = || store.stats().size_bytes.unwrap();
    let set = |at: u64| store.set(&Key::new(&at), entry(&store, vec![1; EACH]));
    (0..10).for_each(|at| set(at).unwrap());
    let reader = raw(&path);
    let read = |sql| reader.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(read("SELECT count(*) FROM entries"), 10);
    let error = (10..10 * CAP / EACH as u64).find_map(|at| set(at).err()).expect("it is full");
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(error.to_string().contains("end what reads it"), "{error}");
    assert!(size() < CAP + 10 * EACH as u64, "what was written last is beyond it: {}", size());
    assert!(store.remove(&Key::new(&0_u64)).unwrap());
    store.clear().unwrap();
    assert!(store.get(&Key::new(&1_u64)).unwrap().is_none());
    assert_eq!(read("SELECT count(*) FROM entries"), 10, "the control: it reads from before");
    reader.execute_batch("COMMIT").unwrap();
    (0..500).for_each(|at| set(at).unwrap());
    assert!(size() <= CAP, "{} bytes", size());
}

#[test]
fn a_database_beyond_a_lowered_limit_takes_entries_in_place_of_its_oldest_and_does_not_grow() {
    const CAP: u64 = 1024 * 1024;
    const EACH: usize = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let set = |store: &SqliteNamespace, at| store.set(&Key::new(&at), entry(store, vec![1; EACH]));
    let is_there = |store: &SqliteNamespace, at| store.get(&Key::new(&at)).unwrap().is_some();
    let wide = capped(&path, 4 * CAP);
    (0..150_u64).for_each(|at| set(&wide, at).unwrap());
    drop(wide);
    let file = || std::fs::metadata(&path).unwrap().len();
    let before = file();
    assert!(before > 5 * CAP / 2, "the control: {before} bytes");
    let store = capped(&path, CAP);
    (150..400).for_each(|at| set(&store, at).unwrap());
    assert!(is_there(&store, 399) && !is_there(&store, 0));
    assert!(store.stats().evictions > 100);
    assert!(file() <= before, "{} bytes", file());
    // Nor does its log while somebody reads for long.
    let reader = raw(&path);
    reader.execute_batch("BEGIN; SELECT count(*) FROM entries").unwrap();
    let error = (400..500).find_map(|at| set(&store, at).err()).expect("it is full");
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    let size = store.stats().size_bytes.unwrap();
    assert!(size < before + CAP / 8 + 10 * EACH as u64, "{size} bytes");
    reader.execute_batch("COMMIT").unwrap();
    set(&store, 500).unwrap();
    assert_eq!(integrity(&path), "ok");
}

#[test]
fn the_dead_and_the_cleared_make_room_before_the_living() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = capped(&path, 2 * 1024 * 1024);
    let cleared = SqliteConfig::new(&path).max_bytes(2 * 1024 * 1024);
    let cleared = SqliteNamespace::open("cleared", cleared).unwrap();
    put(&store, "oldest", "kept");
    for number in 0..40 {
        let dead = entry(&store, vec![1; 10_000]).ttl(Some(Duration::ZERO));
        store.set(&Key::new(&("dead", number)), dead).unwrap();
        put(&cleared, &number.to_string(), vec![2; 10_000]);
    }
    cleared.clear().unwrap();
    for number in 0..100 {
        put(&store, &number.to_string(), vec![3; 10_000]);
    }
    assert_eq!(value(&store, "oldest").as_deref(), Some(&b"kept"[..]));
    assert_eq!(store.stats().evictions, 0);
}

#[test]
fn an_entry_that_can_never_fit_is_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = capped(&path, 1024 * 1024);
    put(&store, "k", "old");
    let error = store.set(&Key::new("k"), entry(&store, vec![0; 900_000])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(value(&store, "k").as_deref(), Some(&b"old"[..]));
    store.set(&Key::new("k"), entry(&store, vec![0; 400_000])).unwrap();
}

#[test]
fn a_batch_with_a_value_that_is_too_large_stores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = SqliteConfig::new(dir.path().join("cache.db")).max_value_bytes(100);
    let store = SqliteNamespace::open("n", config).unwrap();
    let pair = |key: &str, length| (Key::new(key), entry(&store, vec![1; length]));
    let error = store.set_many(vec![pair("a", 100), pair("b", 101), pair("c", 1)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!([value(&store, "a"), value(&store, "c")], [None, None]);
    store.set_many(vec![pair("a", 100), pair("c", 1)]).unwrap();
    assert_eq!(value(&store, "a"), Some(vec![1; 100]), "the control");
}

#[test]
fn keys_and_tags_beyond_the_limits_are_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("cache.db"));
    let long = Key::new(&"k".repeat(Key::MAX_BYTES));
    let error = store.set(&long, entry(&store, "v")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let tagged = entry(&store, "v").tags(vec!["t".repeat(65 * 1024)]);
    let error = store.set(&Key::new("k"), tagged).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn a_value_longer_than_the_limit_is_an_error_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    put(&open(&path), "k", vec![1; 300_000]);
    let small = SqliteNamespace::open("n", SqliteConfig::new(&path).max_value_bytes(100)).unwrap();
    let error = small.get(&Key::new("k")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("max_value_bytes, which is 100"), "{error}");
    assert!(small.remove(&Key::new("k")).unwrap(), "it can be removed");
}

#[test]
fn what_is_too_long_to_be_read_is_not_replaced_on_a_condition() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let (wide, key) = (open(&path), Key::new("k"));
    put(&wide, "k", vec![1; 300_000]);
    let generation = wide.get(&key).unwrap().unwrap().generation();
    drop(wide);
    let small = SqliteNamespace::open("n", SqliteConfig::new(&path).max_value_bytes(100)).unwrap();
    for condition in [Condition::Absent, Condition::Generation(generation)] {
        let error = small.set_if(&key, entry(&small, "new"), condition).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("raise it or remove the entry"), "{error}");
    }
    assert_eq!(small.stats().sets, 0);
    drop(small);
    assert_eq!(value(&open(&path), "k"), Some(vec![1; 300_000]));
}

#[test]
fn d50_clear_deletes_no_entry_itself_and_spares_other_namespaces() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let named = |name| SqliteNamespace::open(name, SqliteConfig::new(&path)).unwrap();
    let stores = ["a", "ab", "a:b", "", "%", "*"].map(named);
    for store in &stores {
        let pair = |at: u32| (Key::new(&at), entry(store, "v"));
        store.set_many((0..500).map(pair).collect()).unwrap();
    }
    stores[0].clear().unwrap();
    // All 500 are still there, so none was deleted by `clear`; they are nobody's.
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM entries"), 3_000);
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM purge"), 1);
    assert!(stores[0].get(&Key::new(&1)).unwrap().is_none());
    for other in &stores[1..] {
        assert!(other.get(&Key::new(&499)).unwrap().is_some(), "{}", other.id().name());
    }
    // Writes to whatever namespace delete them, bit by bit.
    for round in 0..2_000 {
        put(&stores[1], "k", round.to_string());
    }
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM entries"), 2_501);
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM purge"), 0);
}

/// A database with 500 entries of 10,000 bytes, which have died since.
fn full_of_the_dead(path: &Path) -> SqliteNamespace {
    let (clock, store) = open_by_hand(path);
    let mortal = |at: u32| {
        let entry = entry(&store, vec![1; 10_000]).ttl(Some(Duration::from_secs(1)));
        (Key::new(&at), entry)
    };
    store.set_many((0..500).map(mortal).collect()).unwrap();
    clock.advance(Duration::from_secs(2));
    store
}

fn pages(path: &Path) -> i64 {
    number(&raw(path), "PRAGMA page_count")
}

#[test]
fn a_sweep_gives_the_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = full_of_the_dead(&path);
    let full = pages(&path);
    assert_eq!(store.sweep().unwrap().expired, 500);
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM entries"), 0);
    assert!(pages(&path) < full / 3, "{} of {full} pages are left", pages(&path));
}

#[test]
fn writes_give_the_space_of_the_dead_back_without_a_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = full_of_the_dead(&path);
    let full = pages(&path);
    // Each sixteenth drops twice as many, and gives back 256 pages of those that are free.
    (0..320).for_each(|round| put(&store, "k", format!("{round}")));
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM entries"), 1);
    assert!(pages(&path) < full / 2, "{} of {full} pages are left", pages(&path));
}

#[test]
fn what_never_dies_is_in_no_index_of_deaths() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    put(&store, "endless", "v");
    let mortal = entry(&store, "v").ttl(Some(Duration::from_secs(60)));
    store.set(&Key::new("mortal"), mortal).unwrap();
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM entries WHERE dies IS NULL"), 1);
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM entries WHERE dies IS NOT NULL"), 1);
}

#[test]
fn f31_without_space_removals_go_on_while_they_can_and_reads_always() {
    let dir = tempfile::tempdir().unwrap();
    let works = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|s| s.success());
    if !works {
        skip("F31 of SQLite: `unshare -m` does not work here (it needs root)");
        return;
    }
    let mount = format!("mount -t tmpfs -o size=2m none {}", dir.path().display());
    let path = dir.path().join("cache.db");
    let mut child = Role::start_in_shell(&["unshare", "-m"], &mount, "fill", &path);
    let words: Vec<_> = std::iter::from_fn(|| child.hear()).collect();
    assert!(child.finish().success(), "{words:?}");
    assert_eq!(words, ["removed", "written", "full, and read", "written again"]);
}

pub(super) fn on_a_full_disk(path: &Path) {
    let value = |at: u32| vec![at as u8; 4_000];
    let store = open(path);
    let pair = |at: u32| (Key::new(&at), entry(&store, value(at)));
    store.set_many((0..100).map(pair).collect()).unwrap();
    drop(store);
    let ballast = path.with_extension("ballast");
    leave_little(&ballast, 128 * 1024);
    let store = open(path);
    // Each takes some of the log, and all of them together more than there is; nothing is needed
    // once the log is emptied into the database, which does not grow.
    for at in 0..50_u32 {
        assert!(store.remove(&Key::new(&at)).unwrap(), "{at}");
    }
    say("removed");
    for at in 0..20 {
        store.set(&Key::new(&at), entry(&store, value(at))).unwrap();
    }
    say("written");
    let error = (100..10_000_u32)
        .find_map(|at| store.set(&Key::new(&at), entry(&store, value(at))).err())
        .expect("the disk becomes full");
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(error.to_string().contains("free space there"), "{error}");
    for at in 50..100_u32 {
        assert!(store.get(&Key::new(&at)).unwrap().is_some(), "{at}");
    }
    say("full, and read");
    std::fs::remove_file(&ballast).unwrap();
    store.set(&Key::new("after"), entry(&store, value(1))).unwrap();
    assert!(store.get(&Key::new("after")).unwrap().is_some());
    assert_eq!(integrity(path), "ok");
    say("written again");
}

/// Fills the disk with a file at `path`, but for `bytes`.
fn leave_little(path: &Path, bytes: u64) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    while file.write_all(&[0; 4_096]).is_ok() {}
    let length = file.metadata().unwrap().len();
    file.set_len(length - bytes).unwrap();
}
