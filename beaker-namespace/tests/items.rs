//! Items of Python's Beaker's behaviour that no other file of these tests names, on the memory and
//! the file namespace. The numbers are those of `docs/behaviour.md`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{
    Entry, ErrorKind, FileConfig, FileNamespace, Fulfilled, Key, ManualClock, MemoryConfig,
    MemoryNamespace, Namespace, NullNamespace, Payload, Scan, StoreUrl, Stores, Timestamp, Wait,
};
use tempfile::TempDir;

/// One store, and a second handle of the same namespace.
struct Pair {
    one: Arc<dyn Namespace>,
    two: Arc<dyn Namespace>,
    clock: Arc<ManualClock>,
    _dir: TempDir,
}

/// The same name, opened twice in memory and twice in files.
fn each(name: &str) -> [Pair; 2] {
    ["memory", "file"].map(|scheme| {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000_000)));
        let stores = Stores::new().with_clock(clock.clone());
        let url = match scheme {
            "file" => StoreUrl::new(scheme).with_path(dir.path()),
            _ => StoreUrl::new(scheme),
        };
        let open = || stores.open(&url, name).unwrap();
        Pair { one: open(), two: open(), clock, _dir: dir }
    })
}

fn entry(store: &dyn Namespace, value: &str) -> Entry {
    Entry::new(Payload::raw(value.to_owned()), store.clock().now())
}

fn value(store: &dyn Namespace, key: &str) -> Option<String> {
    let Payload::Bytes { bytes, .. } = store.get(&Key::new(key)).unwrap()?.into_payload() else {
        panic!("bytes were stored");
    };
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

fn keys(store: &dyn Namespace) -> Vec<String> {
    let page = store.scan(&Scan::new()).unwrap();
    let mut keys: Vec<_> = page.entries.iter().map(|listed| listed.key.to_string()).collect();
    keys.sort();
    keys
}

fn entry_files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for path in fs::read_dir(dir).unwrap().map(|item| item.unwrap().path()) {
            let list = if path.is_dir() { &mut dirs } else { &mut found };
            list.push(path);
        }
    }
    found.retain(|path| path.components().any(|part| part.as_os_str() == "entries"));
    found
}

#[test]
fn ns_1_values_are_set_got_listed_and_removed_by_key() {
    for Pair { one: store, .. } in each("ns 1") {
        assert_eq!(value(&store, "a"), None);
        store.set(&Key::new("a"), entry(&store, "1")).unwrap();
        store.set(&Key::new("b"), entry(&store, "2")).unwrap();
        assert_eq!(value(&store, "a").as_deref(), Some("1"));
        assert_eq!(keys(&store), ["a", "b"]);
        assert!(store.remove(&Key::new("a")).unwrap());
        assert!(!store.remove(&Key::new("a")).unwrap());
        assert_eq!(keys(&store), ["b"]);
        store.clear().unwrap();
        assert_eq!(keys(&store), [""; 0]);
    }
}

#[test]
fn ns_2_an_expiry_given_with_a_value_ends_it_in_the_store_itself() {
    for Pair { one: store, clock, .. } in each("ns 2") {
        let dying = entry(&store, "1").ttl(Some(Duration::from_secs(5)));
        store.set(&Key::new("k"), dying).unwrap();
        assert_eq!(value(&store, "k").as_deref(), Some("1"));
        clock.advance(Duration::from_secs(5));
        assert_eq!(value(&store, "k"), None);
        assert_eq!(keys(&store), [""; 0]);
    }
}

#[test]
fn ns_4_all_handles_of_a_name_see_the_same_entries_and_no_others() {
    for Pair { one, two, .. } in each("ns 4") {
        one.set(&Key::new("k"), entry(&one, "1")).unwrap();
        assert_eq!(value(&two, "k").as_deref(), Some("1"));
        assert_eq!(one.id(), two.id());
    }
    for Pair { one, .. } in each("ns 4, another") {
        assert_eq!(value(&one, "k"), None);
    }
}

#[test]
fn ns_9_an_opening_that_fails_fails_again_instead_of_hanging() {
    let dir = tempfile::tempdir().unwrap();
    let in_the_way = dir.path().join("file");
    fs::write(&in_the_way, "in the way").unwrap();
    let open = || FileNamespace::open("n", FileConfig::new(in_the_way.join("store")));
    let kinds = [(); 2].map(|()| open().unwrap_err().kind());
    assert_eq!(kinds[0], kinds[1]);
    fs::remove_file(&in_the_way).unwrap();
    let store = open().unwrap();
    store.set(&Key::new("k"), entry(&store, "1")).unwrap();
    assert_eq!(value(&store, "k").as_deref(), Some("1"));
}

#[test]
fn ns_10_a_namespace_that_was_never_written_can_be_cleared() {
    for Pair { one: store, .. } in each("ns 10") {
        store.clear().unwrap();
        store.set(&Key::new("k"), entry(&store, "1")).unwrap();
        assert_eq!(value(&store, "k").as_deref(), Some("1"));
    }
}

#[test]
fn ns_11_a_file_store_without_a_directory_is_refused() {
    let error = Stores::new().open(&StoreUrl::new("file"), "n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("needs a directory"), "{error}");
}

#[test]
fn ns_12_and_ns_13_each_entry_is_a_file_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileNamespace::open("n", FileConfig::new(dir.path())).unwrap();
    for count in 1..=3 {
        store.set(&Key::new(&count), entry(&store, "1")).unwrap();
        assert_eq!(entry_files(dir.path()).len(), count);
    }
    store.remove(&Key::new(&1)).unwrap();
    assert_eq!(entry_files(dir.path()).len(), 2);
}

#[test]
fn ns_15_a_corrupt_file_does_not_stop_what_replaces_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileNamespace::open("n", FileConfig::new(dir.path())).unwrap();
    let key = Key::new("k");
    store.set(&key, entry(&store, "1")).unwrap();
    for file in entry_files(dir.path()) {
        fs::write(file, "garbage").unwrap();
    }
    store.set(&key, entry(&store, "2")).unwrap();
    assert_eq!(value(&store, "k").as_deref(), Some("2"));
}

#[test]
fn ns_16_an_entry_whose_file_somebody_removes_is_absent() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileNamespace::open("n", FileConfig::new(dir.path())).unwrap();
    store.set(&Key::new("k"), entry(&store, "1")).unwrap();
    for file in entry_files(dir.path()) {
        fs::remove_file(file).unwrap();
    }
    assert_eq!(value(&store, "k"), None);
    store.set(&Key::new("k"), entry(&store, "2")).unwrap();
    assert_eq!(value(&store, "k").as_deref(), Some("2"));
}

#[test]
fn ns_22_nobody_waits_for_a_creator_to_read_or_write() {
    for Pair { one, two, .. } in each("ns 22") {
        let key = Key::new("k");
        one.set(&key, entry(&one, "old")).unwrap();
        let claim = one.claim(&key, Wait::Never).unwrap().unwrap();
        // On this very thread: a wait for the claim would never end.
        assert_eq!(value(&two, "k").as_deref(), Some("old"));
        two.set(&Key::new("other"), entry(&two, "1")).unwrap();
        assert_eq!(value(&two, "other").as_deref(), Some("1"));
        let fulfilled = one.fulfil(&key, entry(&one, "new"), claim).unwrap();
        assert_eq!(fulfilled, Fulfilled::Stored);
        assert_eq!(value(&two, "k").as_deref(), Some("new"));
    }
}

#[test]
fn ns_23_both_stores_list_their_keys_and_null_has_none() {
    for Pair { one: store, .. } in each("ns 23") {
        for number in 0..5 {
            store.set(&Key::new(&number), entry(&store, "1")).unwrap();
        }
        assert_eq!(keys(&store), ["0", "1", "2", "3", "4"]);
    }
    let null = NullNamespace::new("ns 23");
    null.set(&Key::new("k"), entry(&null, "1")).unwrap();
    assert_eq!(value(&null, "k"), None);
}

#[test]
fn d21_claims_of_stores_with_one_name_are_independent() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let files = dirs.each_ref().map(|dir| {
        let store = FileNamespace::open("d21", FileConfig::new(dir.path())).unwrap();
        Arc::new(store) as Arc<dyn Namespace>
    });
    let memory: Arc<dyn Namespace> = MemoryNamespace::open("d21", MemoryConfig::new()).unwrap();
    let key = Key::new("k");
    let claims: Vec<_> = [&files[0], &files[1], &memory]
        .map(|store| store.claim(&key, Wait::Never).unwrap())
        .into_iter()
        .collect();
    assert!(claims.iter().all(Option::is_some));
}

#[test]
fn d20_and_d24_keys_that_beaker_confuses_or_refuses_are_kept_apart() {
    for Pair { one: store, .. } in each("d24") {
        let confused = [
            Key::new("x/b"),
            Key::new("b"),
            Key::new(&("a_b", "c")),
            Key::new(&("a", "b_c")),
            Key::new("a.b"),
            Key::new("ab"),
            Key::new(""),
            Key::new("."),
            Key::new(".."),
            Key::new(&1),
            Key::new("1"),
        ];
        for (number, key) in confused.iter().enumerate() {
            store.set(key, entry(&store, &number.to_string())).unwrap();
        }
        assert_eq!(keys(&store).len(), confused.len());
    }
}
