use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::record::Record;
use super::*;
use crate::{ManualClock, Payload, Timestamp};

fn shared() -> (tempfile::TempDir, Arc<ManualClock>, FileNamespace) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000_000)));
    let config = FileConfig::new(dir.path()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let store = FileNamespace::open("n", config).unwrap();
    (dir, clock, store)
}

fn entry(store: &FileNamespace, value: &'static str) -> Entry {
    Entry::new(Payload::raw(value), store.clock.now())
}

/// The record of `key` as a reader sees it.
fn seen(store: &FileNamespace, key: &Key) -> Record {
    store.store.read(&store.store.place(key), Some(key)).unwrap().unwrap()
}

#[test]
fn what_was_seen_dead_is_not_dropped_once_it_is_replaced() {
    let (_dir, _clock, store) = shared();
    let key = Key::new("k");
    let place = store.store.place(&key);
    store.set(&key, entry(&store, "dead").ttl(Some(Duration::ZERO))).unwrap();
    let record = seen(&store, &key);
    store.set(&key, entry(&store, "new")).unwrap();
    assert!(!store.store.drop_dead(&place, &record));
    assert!(store.get(&key).unwrap().is_some());
    assert_eq!(store.stats().expirations, 0);
}

#[test]
fn what_is_dead_is_left_while_somebody_writes() {
    let (_dir, _clock, store) = shared();
    let key = Key::new("k");
    let place = store.store.place(&key);
    store.set(&key, entry(&store, "dead").ttl(Some(Duration::ZERO))).unwrap();
    let (locked, release) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _writer = store.store.writers.lock(place.stripe()).unwrap();
            locked.wait();
            release.wait();
        });
        locked.wait();
        assert!(store.get(&key).unwrap().is_none(), "a reader does not wait for it");
        assert!(place.path().exists());
        release.wait();
    });
    assert!(store.get(&key).unwrap().is_none());
    assert!(!place.path().exists());
    assert_eq!(store.stats().expirations, 1);
}

#[test]
fn f8_a_directory_where_locks_may_be_lost_is_refused_and_nothing_is_made_there() {
    // No directory can be made in `/proc`, which is none of the file systems that are known to lock.
    let refused = FileNamespace::open("n", FileConfig::new("/proc/self")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    let said = refused.to_string();
    assert!(said.contains("which may lose locks") && said.contains("`network=allow`"), "{said}");
    // The control: who allows it gets as far as the file system does.
    let allowing = FileConfig::new("/proc/self").network(NetworkPolicy::Allow);
    let failed = FileNamespace::open("n", allowing).unwrap_err();
    assert_ne!(failed.kind(), ErrorKind::Config, "{failed}");
}

#[test]
fn f9_a_claim_waits_for_a_writer_no_longer_than_it_is_told_to() {
    let (_dir, _clock, store) = shared();
    let key = Key::new("k");
    let stripe = store.store.place(&key).stripe();
    let (locked, release) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _writer = store.store.writers.lock(stripe).unwrap();
            locked.wait();
            release.wait();
        });
        locked.wait();
        let short = Wait::AtMost(Duration::from_millis(1));
        let claimed = [Wait::Never, short].map(|wait| store.claim(&key, wait));
        // Released in any case, so that a failure does not hang.
        release.wait();
        for claim in claimed {
            assert!(claim.unwrap().is_none(), "somebody writes");
        }
    });
    assert!(began.elapsed() < Duration::from_secs(5), "the store's own limit is ten seconds");
    assert!(store.claim(&key, Wait::Never).unwrap().is_some(), "nothing is left of the two");
}

/// As a newer version does it that takes the directory over.
fn raise_format(store: &Store) {
    let (format, root) = (store.layout().format(), store.layout().root());
    fs::write(root.join("draft"), "beaker file store\nformat 2\nlocks 1\nname n").unwrap();
    fs::rename(root.join("draft"), format).unwrap();
}

#[test]
fn f39_a_mark_that_was_found_damaged_is_left_to_a_newer_version_that_came_since() {
    let (_dir, clock, store) = shared();
    let inner = &store.store;
    store.mark("name", Mark::hard(Timestamp::from_micros(7))).unwrap();
    let place = inner.layout().mark("name");
    fs::write(place.path(), "another version's").unwrap();
    raise_format(inner);
    let error = inner.mend_mark("name", &place, &*clock).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(fs::read_to_string(place.path()).unwrap(), "another version's");
    assert_eq!(store.stats().corrupt, 0);
}

#[test]
fn a_write_into_a_directory_that_goes_away_is_written_again() {
    let (_dir, _clock, store) = shared();
    let key = Key::new("k");
    let place = store.store.place(&key);
    let (record, mut rounds) = (b"record".to_vec(), 0);
    let stored = store.store.write(&place, &record, || {
        // Between the writing of the temporary file and its renaming.
        rounds += 1;
        if rounds < 4 {
            fs::remove_dir_all(place.path().parent().unwrap()).unwrap();
        }
        Ok(true)
    });
    assert!(stored.unwrap());
    assert_eq!((rounds, fs::read(place.path()).unwrap()), (4, record));
}

#[test]
fn a_directory_that_always_goes_away_is_an_error_not_a_loop() {
    let dir = tempfile::tempdir().unwrap();
    // As long as a writer waits for others, it goes on.
    let config = FileConfig::new(dir.path()).lock_timeout(Duration::from_millis(20));
    let store = FileNamespace::open("n", config).unwrap();
    let place = store.store.place(&Key::new("k"));
    let outcome = store.store.write(&place, b"record", || {
        fs::remove_dir_all(place.path().parent().unwrap()).unwrap();
        Ok(true)
    });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn a_refused_write_leaves_no_temporary_file() {
    let (_dir, _clock, store) = shared();
    let place = store.store.place(&Key::new("k"));
    assert!(!store.store.write(&place, b"record", || Ok(false)).unwrap());
    let leaf = place.path().parent().unwrap();
    assert_eq!(fs::read_dir(leaf).unwrap().count(), 0);
}

#[test]
fn a_closed_store_is_forgotten() {
    let (dir, _clock, store) = shared();
    let weak = Arc::downgrade(&store.store);
    drop(store);
    assert!(weak.upgrade().is_none());
    let again = FileConfig::new(dir.path()).max_value_bytes(1);
    assert!(FileNamespace::open("n", again).is_ok(), "other settings contradict nobody");
}

#[test]
fn every_directory_that_is_made_belongs_to_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let below: PathBuf = dir.path().join("a/b");
    let _store = FileNamespace::open("n", FileConfig::new(&below)).unwrap();
    for made in [dir.path().join("a"), below] {
        assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn who_claims_within_a_write_reads_what_was_written() {
    let (_dir, _clock, store) = shared();
    let (inner, key) = (&store.store, Key::new("k"));
    let place = inner.place(&key);
    store.set(&key, entry(&store, "older")).unwrap();
    let (record, _) = inner.encode(&key, entry(&store, "new")).unwrap();
    let (claimed, claims) = std::sync::mpsc::channel();
    let (store, key) = (&store, &key);
    let written = std::thread::scope(|scope| {
        let mut claimer = None;
        let admit = || {
            inner.void_claim(&place)?;
            let claimed = claimed.clone();
            claimer = Some(scope.spawn(move || {
                let claim = store.claim(key, Wait::Forever).unwrap();
                let found = store.get(key).unwrap();
                claimed.send(()).unwrap();
                (claim, found)
            }));
            // Without rule 3 the claimer reads now. With it this wait is in vain.
            assert!(claims.recv_timeout(Duration::from_millis(100)).is_err());
            Ok(true)
        };
        assert!(inner.write(&place, &record, admit).unwrap());
        claimer.unwrap().join().unwrap().1
    });
    assert_eq!(written.map(|entry| entry.payload().len_bytes()), Some(Some(3)));
}

/// How many files a clearing of so many entries leaves to be deleted behind it.
fn left_by_a_clear_of(entries: usize) -> usize {
    let (_dir, _clock, store) = shared();
    for number in 0..entries {
        store.set(&Key::new(&(number as u64)), entry(&store, "v")).unwrap();
    }
    let count = |path: &std::path::Path| {
        let leaves = fs::read_dir(path).unwrap().map(|leaf| leaf.unwrap().path());
        leaves.map(|leaf| fs::read_dir(leaf).unwrap().count()).sum::<usize>()
    };
    let left = store.store.clear_into_trash().unwrap().map_or(0, |trash| count(trash.path()));
    assert!(store.get(&Key::new(&0_u64)).unwrap().is_none());
    left
}

#[test]
fn who_clears_deletes_a_bounded_number_of_entries_however_many_there_are() {
    assert_eq!(left_by_a_clear_of(5), 0, "few are deleted at once");
    for entries in [100, 400] {
        let deleted = entries - left_by_a_clear_of(entries);
        assert!(deleted <= trash::DELETED_AT_ONCE, "{deleted} of {entries}");
    }
}

#[test]
fn what_was_cleared_is_deleted_behind_or_by_writes_and_sweeps() {
    let (_dir, _clock, store) = shared();
    let trash = || sweep::list(store.store.layout().root()).unwrap();
    let trash = || trash().iter().filter(|name| layout::Layout::is_trash(name)).count();
    let fill = || {
        for number in 0..100_u64 {
            store.set(&Key::new(&number), entry(&store, "v")).unwrap();
        }
    };
    fill();
    drop(store.store.clear_into_trash().unwrap());
    assert_eq!(trash(), 1, "as a killed process leaves it");
    assert!(store.sweep().unwrap().leftovers >= 1);
    assert_eq!(trash(), 0);
    fill();
    drop(store.store.clear_into_trash().unwrap());
    let fills = (0..32).take_while(|_| trash() > 0).inspect(|_| fill()).count();
    assert_eq!(trash(), 0, "writes deleted it piece by piece");
    assert!(fills > 1, "not all at once");
    store.clear().unwrap();
    // On a thread of its own.
    let began = std::time::Instant::now();
    while trash() > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "it is not deleted");
        std::thread::yield_now();
    }
}

/// The store as another process opens it.
fn opened(dir: &Path) -> Store {
    Store::open(dir, "n", FileConfig::new(dir).settings).unwrap()
}

#[test]
fn d15_one_in_64_processes_that_write_but_once_drops_dead_entries() {
    let dir = tempfile::tempdir().unwrap();
    let dead = Entry::new(Payload::raw("dead"), Timestamp::default()).ttl(Some(Duration::ZERO));
    let (first, now) = (opened(dir.path()), Timestamp::from_micros(1));
    (0..300_u64).for_each(|number| first.set(&Key::new(&number), dead.clone()).unwrap());
    // Whose turn it is, chance says: 40 processes begin at about 30 different places of the 64.
    let begins = |_| opened(dir.path()).first_look % 64;
    let places: std::collections::HashSet<_> = (0..40).map(begins).collect();
    assert!(places.len() > 10, "{places:?}");

    for (first_look, looks) in [(63, true), (0, false)] {
        let mut other = opened(dir.path());
        other.first_look = first_look;
        other.set(&Key::new("live"), Entry::new(Payload::raw("v"), now)).unwrap();
        other.sweep_a_little(now);
        assert_eq!(other.stats().expirations > 0, looks, "{first_look}");
    }
}
