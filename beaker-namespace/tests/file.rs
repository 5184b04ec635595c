//! The file store: what only it promises. The rest is in `conformance.rs` and `file_faults.rs`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use beaker_namespace::testkit::conformance_on_damage;
use beaker_namespace::{
    Condition, ConditionalSet, Durability, Entry, ErrorKind, FileConfig, FileNamespace, Fulfilled,
    Inspection, Key, Lookup, Namespace, Payload, StoreUrl, Stores, Timestamp, Wait,
};
use tempfile::TempDir;

fn entry(value: &str) -> Entry {
    Entry::new(Payload::raw(value.to_owned()), Timestamp::from_micros(1))
}

fn text(entry: &Entry) -> String {
    let Payload::Bytes { bytes, .. } = entry.payload() else { panic!("a file holds bytes") };
    String::from_utf8_lossy(bytes).into_owned()
}

fn open(dir: &TempDir, name: &str) -> FileNamespace {
    FileNamespace::open(name, FileConfig::new(dir.path())).expect("it opens")
}

fn value(store: &impl Namespace, key: &str) -> Option<String> {
    store.get(&Key::new(key)).expect("get").as_ref().map(text)
}

/// All plain files below `dir`.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let list = if entry.path().is_dir() { &mut dirs } else { &mut found };
            list.push(entry.path());
        }
    }
    found.sort();
    found
}

/// The files of entries, finished or not.
fn entry_files(dir: &Path) -> Vec<PathBuf> {
    let in_entries = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "entries");
    files(dir).into_iter().filter(in_entries).collect()
}

/// The directory of claims of the only namespace in `dir`.
fn entry_claims(dir: &Path) -> PathBuf {
    let namespace = fs::read_dir(dir).unwrap().next().unwrap().unwrap();
    namespace.path().join("claims")
}

#[test]
fn what_is_set_is_there_for_another_handle_until_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (open(&dir, "n"), open(&dir, "n"));
    first.set(&Key::new("k"), entry("v")).unwrap();
    assert_eq!(value(&second, "k").as_deref(), Some("v"));
    assert!(second.remove(&Key::new("k")).unwrap());
    assert_eq!(value(&first, "k"), None);
    assert!(!first.remove(&Key::new("k")).unwrap());
}

#[test]
fn d16_a_write_touches_one_small_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, "n");
    for number in 0..50 {
        store.set(&Key::new(&number), entry(&"x".repeat(10_000))).unwrap();
    }
    let entries = entry_files(dir.path());
    assert_eq!(entries.len(), 50);
    assert!(entries.iter().all(|path| fs::metadata(path).unwrap().len() < 10_100));
}

#[test]
fn d5_d17_files_are_for_their_owner_only_and_no_temporary_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, "n");
    store.set(&Key::new("k"), entry("v")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for path in files(dir.path()) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        for above in path.ancestors().skip(1).take_while(|above| *above != dir.path()) {
            assert_eq!(mode(above), 0o700, "{}", above.display());
        }
    }
    assert_eq!(entry_files(dir.path()).len(), 1);
}

#[test]
fn d18_a_damaged_entry_is_gone_and_counted_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, "n");
    store.set(&Key::new("bad"), entry("v")).unwrap();
    let bad = entry_files(dir.path()).pop().unwrap();
    store.set(&Key::new("good"), entry("v")).unwrap();
    fs::write(&bad, "garbage").unwrap();

    let inspected = store.inspect(&Key::new("bad")).unwrap();
    assert!(matches!(inspected, Inspection::Corrupt(_)), "{inspected:?}");
    assert!(bad.exists(), "looking does not heal");
    let found = store.look_up(&Key::new("bad")).unwrap();
    assert!(matches!(found, Lookup::Corrupt(_)), "{found:?}");
    assert!(bad.exists(), "nor does a look-up");
    assert_eq!(value(&store, "bad"), None);
    assert!(!bad.exists(), "a get does");
    assert_eq!(store.stats().corrupt, 2);
    assert_eq!(value(&store, "good").as_deref(), Some("v"));
    store.set(&Key::new("bad"), entry("new")).unwrap();
    assert_eq!(value(&store, "bad").as_deref(), Some("new"));
}

#[test]
fn of_two_that_replace_a_damaged_entry_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let (store, key) = (open(&dir, "n"), Key::new("k"));
    store.set(&key, entry("v")).unwrap();
    fs::write(entry_files(dir.path()).pop().unwrap(), "garbage").unwrap();
    assert!(matches!(store.look_up(&key).unwrap(), Lookup::Corrupt(_)));
    let set = |text: &str| store.set_if(&key, entry(text), Condition::Absent).unwrap();
    assert!(matches!(set("one"), ConditionalSet::Stored { .. }));
    assert_eq!(set("two"), ConditionalSet::Conflict);
    assert_eq!(value(&store, "k").as_deref(), Some("one"));
}

/// The ways in which an entry's file can be damaged that no other test of a set on damage has.
#[test]
fn only_the_damage_that_was_seen_is_replaced() {
    let damages: [fn(&Path, u8); 3] = [
        |file, how| fs::write(file, format!("garbage {how}")).unwrap(),
        |file, how| {
            let mut bytes = fs::read(file).unwrap();
            let last = bytes.len() - 1 - usize::from(how);
            bytes[last] ^= 1 << (how % 8);
            fs::write(file, bytes).unwrap();
        },
        |file, how| {
            // Made while the one before is there, whose place on the disk it could have else.
            let new = file.with_extension("new");
            std::os::unix::fs::symlink(format!("elsewhere {how}"), &new).unwrap();
            fs::rename(new, file).unwrap();
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let only = || entry_files(dir.path()).pop().unwrap();
        let name = format!("damage {number} in a file");
        conformance_on_damage(&name, open(&dir, "n"), |_key, how| damage(&only(), how));
    }
}

/// The record of another key, whole.
#[test]
fn only_the_moved_entry_that_was_seen_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (store, elsewhere) = (open(&dir, "n"), tempfile::tempdir().unwrap());
    let other = open(&elsewhere, "n");
    conformance_on_damage("a moved file", store, |_key, how| {
        other.set(&Key::new(&how), entry("another's")).unwrap();
        let moved = entry_files(elsewhere.path()).pop().unwrap();
        fs::rename(moved, entry_files(dir.path()).pop().unwrap()).unwrap();
    });
}

#[test]
fn d19_a_removed_directory_heals() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, "n");
    store.set(&Key::new("k"), entry("v")).unwrap();
    for removed in [dir.path().to_owned(), entry_files(dir.path())[0].parent().unwrap().to_owned()]
    {
        fs::remove_dir_all(removed).unwrap();
        assert_eq!(value(&store, "k"), None);
        assert!(!store.remove(&Key::new("k")).unwrap());
        store.clear().unwrap();
        store.set(&Key::new("k"), entry("again")).unwrap();
        assert_eq!(value(&store, "k").as_deref(), Some("again"));
    }
}

#[test]
fn an_invalidation_through_another_handle_wins_over_a_running_creation() {
    let dir = tempfile::tempdir().unwrap();
    let (creator, other) = (open(&dir, "n"), open(&dir, "n"));
    let key = Key::new("k");
    let claims = entry_claims(dir.path());
    let invalidations: [&dyn Fn(); 5] = [
        &|| drop(other.set(&key, entry("newer"))),
        &|| drop(other.remove(&key)),
        &|| drop(other.clear()),
        &|| {
            // Somebody removes the lock files; the mark of what comes then has no place.
            fs::remove_dir_all(&claims).unwrap();
            other.set(&key, entry("newer")).unwrap();
        },
        &|| drop(fs::remove_dir_all(dir.path())),
    ];
    for invalidate in invalidations {
        let claim = creator.claim(&key, Wait::Never).unwrap().unwrap();
        assert!(other.claim(&key, Wait::Never).unwrap().is_none());
        invalidate();
        let before = value(&other, "k");
        assert_eq!(creator.fulfil(&key, entry("old"), claim).unwrap(), Fulfilled::Superseded);
        assert_eq!(value(&other, "k"), before);
        let claim = creator.claim(&key, Wait::Never).unwrap().unwrap();
        assert_eq!(creator.fulfil(&key, entry("made"), claim).unwrap(), Fulfilled::Stored);
        assert_eq!(value(&other, "k").as_deref(), Some("made"));
    }
    assert_eq!(creator.stats().superseded, 5);
}

#[test]
fn a_claim_on_another_key_or_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, "n");
    let claim = store.claim(&Key::new("a"), Wait::Never).unwrap().unwrap();
    let error = store.fulfil(&Key::new("b"), entry("v"), claim).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let claim = open(&dir, "other").claim(&Key::new("a"), Wait::Never).unwrap().unwrap();
    assert_eq!(
        store.fulfil(&Key::new("a"), entry("v"), claim).unwrap_err().kind(),
        ErrorKind::Config
    );
    assert_eq!(value(&store, "a"), None);
}

#[test]
fn f42_one_directory_is_one_store_however_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("p");
    let link = dir.path().join("link");
    fs::create_dir_all(dir.path().join("a")).unwrap();
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let open = |path: PathBuf| FileNamespace::open("n", FileConfig::new(path)).unwrap();
    let stores: Vec<_> = std::thread::scope(|scope| {
        let paths = (0..64).map(|number| match number % 3 {
            0 => real.clone(),
            1 => dir.path().join("a/../p"),
            _ => link.clone(),
        });
        let threads: Vec<_> = paths.map(|path| scope.spawn(|| open(path))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // They count together, so they are one.
    stores[0].set(&Key::new("k"), entry("v")).unwrap();
    assert!(stores.iter().all(|store| store.stats().sets == 1 && store.id() == stores[0].id()));

    let other = FileConfig::new(&link).durability(Durability::Durable);
    let error = FileNamespace::open("n", other.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("another durability"), "{error}");
    drop(stores);
    assert_eq!(value(&FileNamespace::open("n", other).unwrap(), "k").as_deref(), Some("v"));
}

#[test]
fn the_options_of_a_url_are_those_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!(
        "file://{}?durable=true&lock_timeout_ms=250&max_value_bytes=10",
        dir.path().display()
    );
    let opened = Stores::new().open(&url.parse().unwrap(), "n").unwrap();
    let same = FileConfig::new(dir.path())
        .durability(Durability::Durable)
        .lock_timeout(Duration::from_millis(250))
        .max_value_bytes(10);
    let typed = FileNamespace::open("n", same).unwrap();
    assert_eq!(opened.id(), typed.id());
    opened.set(&Key::new("k"), entry("0123456789")).unwrap();
    let error = opened.set(&Key::new("k"), entry("0123456789+")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(value(&typed, "k").as_deref(), Some("0123456789"));
}

#[test]
fn a_url_without_a_directory_says_how_one_looks() {
    let error = Stores::new().open(&StoreUrl::new("file"), "n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "cannot open the file store: a file store needs a directory, as in `file:///var/cache/app`"
    );
}

#[test]
fn writes_that_meet_a_clear_never_fail() {
    let dir = tempfile::tempdir().unwrap();
    let open = || FileNamespace::open("n", FileConfig::new(dir.path())).unwrap();
    let namespace = open();
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 0..3_u64 {
            let (namespace, done) = (&namespace, &done);
            scope.spawn(move || {
                let mut number = 0_u64;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let entry = Entry::new(Payload::raw("v"), namespace.clock().now());
                    namespace.set(&Key::new(&(writer, number)), entry).unwrap();
                    number += 1;
                }
            });
        }
        (0..150).for_each(|_| namespace.clear().unwrap());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn f4_writers_leave_at_most_sixteen_lock_files_and_a_sweep_leaves_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, "n");
    let lock_files = || {
        let files = files(dir.path());
        files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "lock")).count()
    };
    for number in 0..500_u64 {
        let claim = store.claim(&Key::new(&number), Wait::Never).unwrap().unwrap();
        let fulfilled = store.fulfil(&Key::new(&number), entry("v"), claim).unwrap();
        assert_eq!(fulfilled, Fulfilled::Stored);
    }
    assert_eq!(lock_files(), 16);
    let claim = store.claim(&Key::new("claimed"), Wait::Never).unwrap().unwrap();
    store.sweep().unwrap();
    assert_eq!(lock_files(), 1, "what is held stays");
    assert_eq!(store.fulfil(&Key::new("claimed"), entry("v"), claim).unwrap(), Fulfilled::Stored);
    store.sweep().unwrap();
    assert_eq!(lock_files(), 0);
    store.set(&Key::new("k"), entry("v")).unwrap();
    assert_eq!(value(&store, "k").as_deref(), Some("v"));
}
