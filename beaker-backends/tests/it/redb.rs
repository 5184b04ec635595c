use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use beaker_backends::redb::{RedbConfig, RedbDurability, RedbNamespace};
use beaker_namespace::{Entry, ErrorKind, Key, Namespace, Payload, testkit};
use redb::StorageBackend;
use redb::backends::FileBackend;

fn entry(namespace: &RedbNamespace, value: &str) -> Entry {
    Entry::new(Payload::raw(value.to_owned()), namespace.clock().now())
}

/// A directory in memory if there is one: syncs cost nothing there, and the suite is not about them.
fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

#[test]
fn redb_is_a_store() {
    let dir = quick_dir();
    let path = dir.path().join("cache.redb");
    testkit::conformance("redb", |name, clock| {
        RedbNamespace::open(name, RedbConfig::new(&path).clock(clock))
    });
}

#[test]
fn shared_redb_is_a_store() {
    let dir = quick_dir();
    let path = dir.path().join("cache.redb");
    testkit::conformance("redb, shared", |name, clock| {
        RedbNamespace::open(name, RedbConfig::new(&path).shared(true).clock(clock))
    });
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.redb");
    for value in ["first", "second"] {
        let namespace = RedbNamespace::open("n", RedbConfig::new(&path)).unwrap();
        namespace.set(&Key::new(value), entry(&namespace, value)).unwrap();
    }
    let namespace = RedbNamespace::open("n", RedbConfig::new(&path)).unwrap();
    assert!(namespace.get(&Key::new("first")).unwrap().is_some());
    assert!(namespace.get(&Key::new("second")).unwrap().is_some());
}

#[test]
fn without_durability_a_write_is_in_the_file_when_the_store_is_closed_and_not_before() {
    let dir = quick_dir();
    let [path, copy] = ["cache.redb", "copy.redb"].map(|name| dir.path().join(name));
    // What is in the file, as who comes after a killed process finds it.
    let is_in_the_file = || {
        std::fs::copy(&path, &copy).unwrap();
        let found = RedbNamespace::open("n", RedbConfig::new(&copy)).unwrap();
        found.get(&Key::new("k")).unwrap().is_some()
    };
    for (durability, at_once) in [(RedbDurability::None, false), (RedbDurability::Immediate, true)]
    {
        let config = RedbConfig::new(&path).durability(durability);
        let namespace = RedbNamespace::open("n", config).unwrap();
        namespace.set(&Key::new("k"), entry(&namespace, "v")).unwrap();
        assert_eq!(is_in_the_file(), at_once, "{durability:?}");
        drop(namespace);
        assert!(is_in_the_file(), "{durability:?}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn who_reads_finds_what_was_acknowledged_before() {
    const WRITES: u64 = 2_000;
    let dir = quick_dir();
    let namespace = RedbNamespace::open("n", RedbConfig::new(dir.path().join("c.redb"))).unwrap();
    let key = Key::new("k");
    let acknowledged = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut seen = 0;
                while seen < WRITES {
                    let floor = acknowledged.load(Ordering::SeqCst);
                    let found = namespace.get(&key).unwrap();
                    seen = found.map_or(0, |entry| u64::from(entry.weight()));
                    assert!(seen >= floor, "{seen} after {floor} was acknowledged");
                }
            });
        }
        for number in 1..=WRITES {
            let number32 = u32::try_from(number).unwrap();
            namespace.set(&key, entry(&namespace, "v").cost(number32)).unwrap();
            acknowledged.store(number, Ordering::SeqCst);
        }
    });
}

/// The header of the file, which redb locks when a read begins and when a write is committed.
const HEADER: (Bound<u64>, Bound<u64>) = (Bound::Included(0), Bound::Excluded(320));

// F9: who is stopped in the middle of a commit holds it.
#[test]
fn a_process_that_keeps_the_header_stops_readers_and_writers_no_longer_than_they_wait() {
    const LIMIT: Duration = Duration::from_millis(400);
    const CALLS: u32 = 32;
    let dir = quick_dir();
    let path = dir.path().join("c.redb");
    let config = RedbConfig::new(&path).shared(true).lock_timeout(LIMIT);
    let store = Arc::new(RedbNamespace::open("n", config).unwrap());
    let key = Key::new("k");
    store.set(&key, entry(&store, "v").cost(7)).unwrap();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let other = FileBackend::new(file).unwrap();
    other.lock_range(HEADER.0, HEADER.1).unwrap();

    let (sender, outcomes) = mpsc::channel();
    for number in 0..CALLS {
        let writes = number % 2 == 1;
        let (store, sender) = (Arc::clone(&store), sender.clone());
        // Not scoped: who waits for ever is left behind.
        thread::spawn(move || {
            let (key, began) = (Key::new("k"), Instant::now());
            let outcome = match writes {
                true => store.set(&key, entry(&store, "v").cost(8)),
                false => store.get(&key).map(drop),
            };
            sender.send((writes, outcome, began.elapsed())).unwrap();
        });
    }
    for _ in 0..CALLS {
        let waited = outcomes.recv_timeout(Duration::from_secs(20));
        let (writes, outcome, time) = waited.expect("nobody waits for ever");
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout, "writes: {writes}");
        // As long as he was told to, also if others of the process wait before him: one after the other they
        // would wait for twice this bound.
        assert!(time >= LIMIT && time < LIMIT * CALLS / 4, "writes: {writes}, {time:?}");
    }

    other.unlock_range(HEADER.0, HEADER.1).unwrap();
    let weight = || store.get(&key).unwrap().unwrap().weight();
    assert_eq!(weight(), 7, "what was not acknowledged was not written");
    store.set(&key, entry(&store, "v").cost(9)).unwrap();
    assert_eq!(weight(), 9);
}

// F9: to close the file is to commit.
#[test]
fn a_process_that_keeps_the_header_does_not_keep_others_from_closing_the_file() {
    const LIMIT: Duration = Duration::from_millis(400);
    let dir = quick_dir();
    let path = dir.path().join("c.redb");
    let open = || {
        let config = RedbConfig::new(&path).shared(true).lock_timeout(LIMIT);
        RedbNamespace::open("n", config).unwrap()
    };
    let (store, key) = (open(), Key::new("k"));
    store.set(&key, entry(&store, "v").cost(7)).unwrap();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let other = FileBackend::new(file).unwrap();
    other.lock_range(HEADER.0, HEADER.1).unwrap();
    let (sender, closed) = mpsc::channel();
    // Not scoped: who waits for ever is left behind.
    thread::spawn(move || {
        let began = Instant::now();
        drop(store);
        sender.send(began.elapsed()).unwrap();
    });
    let time = closed.recv_timeout(Duration::from_secs(20)).expect("nobody waits for ever");
    assert!(time >= LIMIT, "{time:?}");
    other.unlock_range(HEADER.0, HEADER.1).unwrap();
    let weight = open().get(&key).unwrap().map(|entry| entry.weight());
    assert_eq!(weight, Some(7), "what was acknowledged is there");
}

// F1: as a killed maker leaves it.
#[test]
fn a_draft_of_the_file_is_replaced_and_no_damage() {
    for shared in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.redb");
        let draft = dir.path().join("cache.redb.locks/draft");
        std::fs::create_dir(draft.parent().unwrap()).unwrap();
        std::fs::write(&draft, vec![0; 4_096]).unwrap();
        let store = RedbNamespace::open("n", RedbConfig::new(&path).shared(shared)).unwrap();
        store.set(&Key::new("k"), entry(&store, "v")).unwrap();
        assert!(store.get(&Key::new("k")).unwrap().is_some());
        assert!(!draft.exists());
        let names = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name());
        let aside = names.filter(|name| name.to_string_lossy().contains(".damaged-"));
        assert_eq!(aside.count(), 0);
    }
}

// What a store has beside its file is never another store's file.
#[test]
fn stores_whose_names_begin_alike_leave_each_other_alone() {
    for other in ["site-draft", "site-owner"] {
        let dir = tempfile::tempdir().unwrap();
        let open =
            |name: &str| RedbNamespace::open("n", RedbConfig::new(dir.path().join(name))).unwrap();
        let store = open(other);
        store.set(&Key::new("k"), entry(&store, "v")).unwrap();
        drop(open("site"));
        drop(store);
        assert!(open(other).get(&Key::new("k")).unwrap().is_some(), "{other}");
    }
}

#[test]
fn one_path_is_one_store_whatever_it_is_called() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("cache.redb");
    let link = dir.path().join("link.redb");
    let first = RedbNamespace::open("n", RedbConfig::new(&real)).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    first.set(&Key::new("k"), entry(&first, "v")).unwrap();
    std::fs::create_dir_all(dir.path().join("x")).unwrap();
    let dotted = dir.path().join("x/../cache.redb");
    thread::scope(|scope| {
        for path in [&real, &link, &dotted] {
            scope.spawn(move || {
                let again = RedbNamespace::open("n", RedbConfig::new(path)).unwrap();
                assert!(again.get(&Key::new("k")).unwrap().is_some(), "{}", path.display());
            });
        }
    });
}

#[test]
fn other_settings_for_an_open_file_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.redb");
    let _open = RedbNamespace::open("n", RedbConfig::new(&path)).unwrap();
    let other = RedbConfig::new(&path).lock_timeout(Duration::from_millis(1));
    assert_eq!(RedbNamespace::open("n", other).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_file_that_somebody_has_names_the_process_and_the_ways_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.redb");
    // redb locks the open file, not the process: another opener in this process will do.
    let _other = redb::Database::create(&path).unwrap();
    std::fs::create_dir(dir.path().join("cache.redb.locks")).unwrap();
    std::fs::write(dir.path().join("cache.redb.locks/owner"), "4711").unwrap();
    let error = RedbNamespace::open("n", RedbConfig::new(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("is open in process 4711"), "{text}");
    assert!(text.contains("shared=true") && text.contains("sqlite:"), "{text}");
}

#[test]
fn a_file_of_another_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    let text = "not a database at all. ".repeat(1_000);
    std::fs::write(&path, &text).unwrap();
    let error = RedbNamespace::open("n", RedbConfig::new(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_newer_version_of_the_store_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.redb");
    const NEWER: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("beaker-3");
    let database = redb::Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(NEWER).unwrap().insert(&b"k"[..], &b"v"[..]).unwrap();
    write.commit().unwrap();
    drop(database);
    let error = RedbNamespace::open("n", RedbConfig::new(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[test]
fn what_many_writers_wrote_at_once_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.redb");
    let namespace = Arc::new(RedbNamespace::open("n", RedbConfig::new(&path)).unwrap());
    thread::scope(|scope| {
        for writer in 0..8_u64 {
            let namespace = &namespace;
            scope.spawn(move || {
                for number in 0..20_u64 {
                    let key = Key::new(&(writer, number));
                    namespace.set(&key, entry(namespace, "v")).unwrap();
                    assert!(
                        namespace.get(&key).unwrap().is_some(),
                        "what is acknowledged is there"
                    );
                }
            });
        }
    });
    assert_eq!(namespace.scan(&beaker_namespace::Scan::new()).unwrap().entries.len(), 160);
}

// F1, F38: redb writes the name of its format last.
#[test]
fn a_file_that_was_never_finished_is_set_aside() {
    for unfinished in [vec![0; 8_192], [&[0; 16][..], &[7; 4_080]].concat()] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.redb");
        std::fs::write(&path, unfinished).unwrap();
        let store = RedbNamespace::open("n", RedbConfig::new(&path)).unwrap();
        store.set(&Key::new("k"), entry(&store, "v")).unwrap();
        assert!(store.get(&Key::new("k")).unwrap().is_some());
    }
}

#[test]
fn a_damaged_file_is_set_aside_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.redb");
    let namespace = RedbNamespace::open("n", RedbConfig::new(&path)).unwrap();
    for number in 0..200_u64 {
        namespace.set(&Key::new(&number), entry(&namespace, &"v".repeat(500))).unwrap();
    }
    drop(namespace);
    // Everything but the header.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0x5a);
    std::fs::write(&path, &bytes).unwrap();

    let namespace = RedbNamespace::open("n", RedbConfig::new(&path)).unwrap();
    let found = namespace.get(&Key::new(&7));
    assert!(!matches!(found, Ok(Some(_))), "{found:?}");
    namespace.set(&Key::new(&7), entry(&namespace, "new")).unwrap();
    assert!(namespace.get(&Key::new(&7)).unwrap().is_some());
    let aside = std::fs::read_dir(dir.path())
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains(".damaged-"))
        .count();
    assert_eq!(aside, 1, "the damaged file is kept");
}
