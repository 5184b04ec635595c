//! F4, F5, F40, F42, and a second process: who else has the store open.

use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::{ErrorKind, Key, Wait};

use super::support::children::{Role, listen, say};
use super::support::files::claim_files;
use super::support::report::report;
use super::support::stores::{Store, any, on_every, shared, unshared};
use super::support::values::{entry, value};

/// What a child does: has the store open until it is told to close it, or killed.
pub(super) fn hold(store: &Store, dir: &Path) {
    let open = store.open(dir).expect("it opens");
    open.set(&Key::new("k"), entry("held")).expect("it is written");
    say("held");
    listen();
    drop(open);
    say("closed");
    listen();
}

#[test]
fn a_second_process_on_a_store_of_one_is_told_so_at_once() {
    on_every(unshared, |store| {
        let dir = tempfile::tempdir().unwrap();
        let mut holder = Role::start("holder", store, dir.path());
        assert_eq!(holder.hear().as_deref(), Some("held"));
        let began = Instant::now();
        let error = store.open(dir.path()).expect_err("somebody has it");
        let waited = began.elapsed();
        let kinds = [ErrorKind::Config, ErrorKind::Unavailable];
        assert!(kinds.contains(&error.kind()), "{}: {:?}: {error}", store.name, error.kind());
        let place = store.path(dir.path()).display().to_string();
        assert!(error.to_string().contains(&place), "{}: {error}", store.name);
        let holder_s = format!("is open in process {}, ", holder.id());
        assert!(error.to_string().contains(&holder_s), "{}: {error}", store.name);
        assert!(waited < Duration::from_secs(2), "{}: {waited:?}", store.name);
        report("second process", store.name, &format!("refused in {waited:?}"), true);

        // It closes the store, and this process gets it; the other way round too.
        holder.tell("close");
        assert_eq!(holder.hear().as_deref(), Some("closed"));
        let open = store.open(dir.path()).unwrap();
        assert_eq!(value(&*open, &Key::new("k")).unwrap(), Some(b"held".to_vec()));
        drop(open);

        // A holder that is killed holds nothing.
        let mut killed = Role::start("holder", store, dir.path());
        assert_eq!(killed.hear().as_deref(), Some("held"), "{}", store.name);
        drop(killed);
        let open = store.open(dir.path()).unwrap();
        assert!(value(&*open, &Key::new("k")).unwrap().is_none_or(|found| found == b"held"));
    });
}

/// The control of the test above, and the opposite claim.
#[test]
fn a_second_process_on_a_shared_store_sees_what_the_first_wrote() {
    on_every(shared, |store| {
        let dir = tempfile::tempdir().unwrap();
        let mut holder = Role::start("holder", store, dir.path());
        assert_eq!(holder.hear().as_deref(), Some("held"));
        let open = store.open(dir.path()).unwrap();
        assert_eq!(value(&*open, &Key::new("k")).unwrap(), Some(b"held".to_vec()));
    });
}

#[test]
fn f40_a_second_handle_with_other_settings_is_refused() {
    on_every(any, |store| {
        let dir = tempfile::tempdir().unwrap();
        let plain = store.open(dir.path()).unwrap();
        let others = [
            store.url(dir.path()).with_option("lock_timeout_ms", 77),
            store.url(dir.path()).with_option("max_value_bytes", 77),
        ];
        for url in &others {
            let error = store.open_url(url).expect_err("the other is open");
            assert_eq!(error.kind(), ErrorKind::Config, "{}: {error}", store.name);
        }
        // The control: it is the first handle that stands in the way.
        drop(plain);
        for url in &others {
            let open = store.open_url(url).unwrap();
            open.set(&Key::new("k"), entry("v")).unwrap();
            assert_eq!(value(&*open, &Key::new("k")).unwrap(), Some(b"v".to_vec()));
        }
    });
}

/// What a child does: has the store open with another setting, and is there until it is told to go.
pub(super) fn hold_differently(store: &Store, dir: &Path) {
    let url = store.url(dir).with_option("max_value_bytes", 1_000_000);
    let open = store.open_url(&url).expect("it opens");
    open.set(&Key::new("k"), entry("held")).expect("it is written");
    say("held");
    listen();
}

/// What processes need not agree on does no harm if they do not.
#[test]
fn f40_processes_with_other_limits_share_a_store_and_keep_their_own() {
    on_every(shared, |store| {
        let dir = tempfile::tempdir().unwrap();
        let mut other = Role::start("holder of another setting", store, dir.path());
        assert_eq!(other.hear().as_deref(), Some("held"));
        let open = store.open_url(&store.url(dir.path()).with_option("max_value_bytes", 77));
        let open = open.unwrap();
        assert_eq!(value(&*open, &Key::new("k")).unwrap(), Some(b"held".to_vec()));
        let error = open.set(&Key::new("k"), entry(vec![1; 78])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{}: {error}", store.name);
        open.set(&Key::new("k"), entry(vec![1; 77])).unwrap();
        assert_eq!(value(&*open, &Key::new("k")).unwrap(), Some(vec![1; 77]), "{}", store.name);
    });
}

/// What they must agree on is refused: who shares redb's file and who does not.
#[cfg(feature = "redb")]
#[test]
fn f40_a_file_that_one_process_shares_and_another_does_not_is_refused_whichever_comes_first() {
    let [alone, shares] = ["redb", "redb-shared"].map(super::support::stores::named);
    for (first, second, way_out) in [
        (alone, shares, "that process does not share it: open it with `shared=true` everywhere"),
        (shares, alone, "open it with `shared=true` everywhere (experimental)"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut holder = Role::start("holder", first, dir.path());
        assert_eq!(holder.hear().as_deref(), Some("held"));
        let url = second.url(dir.path()).with_option("lock_timeout_ms", 50);
        let error = second.open_url(&url).expect_err("the other has it");
        assert_eq!(error.kind(), ErrorKind::Config, "{}: {error}", second.name);
        assert!(error.to_string().contains(way_out), "{}: {error}", second.name);
        // The control: it is the other process that stands in the way.
        drop(holder);
        second.open_url(&url).expect("nobody has it");
    }
}

#[test]
fn f42_one_store_by_many_paths_is_one() {
    const THREADS: usize = 64;
    on_every(any, |store| {
        let room = tempfile::tempdir().unwrap();
        let dir = room.path().join("dir");
        std::fs::create_dir(&dir).unwrap();
        std::os::unix::fs::symlink(&dir, room.path().join("link")).unwrap();
        let ways =
            [dir.clone(), room.path().join("link"), dir.join("../dir/."), dir.join("..//dir")];
        let start = Barrier::new(THREADS);
        let opened: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|number| {
                    let (way, start) = (&ways[number % ways.len()], &start);
                    scope.spawn(move || {
                        start.wait();
                        let open = store.open(way).unwrap();
                        open.set(&Key::new(&(number as u64)), entry("v")).unwrap();
                        open
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (number, open) in opened.iter().enumerate() {
            assert_eq!(open.id(), opened[0].id(), "{}", store.name);
            let other = Key::new(&((number as u64 + 1) % THREADS as u64));
            assert_eq!(value(&**open, &other).unwrap(), Some(b"v".to_vec()), "{}", store.name);
        }
        // An invalidation by one path voids a claim that was taken by another.
        let key = Key::new("k");
        let claim = opened[0].claim(&key, Wait::Never).unwrap().unwrap();
        opened[1].set(&key, entry("newer")).unwrap();
        let _superseded = opened[0].fulfil(&key, entry("older"), claim).unwrap();
        assert_eq!(value(&*opened[2], &key).unwrap(), Some(b"newer".to_vec()), "{}", store.name);
        // The control: a store at another place is another.
        let other = store.open(&room.path().join("other")).unwrap();
        assert_ne!(other.id(), opened[0].id());
        assert_eq!(value(&*other, &key).unwrap(), None);
    });
}

#[test]
fn f4_claims_leave_no_lock_file_however_they_end() {
    const KEYS: u64 = 60;
    on_every(shared, |store| {
        let dir = tempfile::tempdir().unwrap();
        let open = store.open(dir.path()).unwrap();
        for number in 0..KEYS {
            let key = Key::new(&number);
            let claim = open.claim(&key, Wait::Never).unwrap().unwrap();
            // The control: while somebody creates there is a file.
            assert!(claim_files(dir.path()).len() > store.writer_locks, "{}", store.name);
            match number % 3 {
                0 => drop(claim),
                1 => {
                    let _stored = open.fulfil(&key, entry("v"), claim).unwrap();
                }
                _ => {
                    open.set(&key, entry("newer")).unwrap();
                    let _superseded = open.fulfil(&key, entry("older"), claim).unwrap();
                }
            }
        }
        let left = claim_files(dir.path());
        assert!(left.len() <= store.writer_locks, "{}: {left:?}", store.name);
    });
}

#[test]
fn f5_claims_of_different_keys_do_not_wait_for_each_other() {
    on_every(any, |store| {
        let dir = tempfile::tempdir().unwrap();
        let open = store.open(dir.path()).unwrap();
        let keys: Vec<_> = (0..200_u64).map(|number| Key::new(&number)).collect();
        let claims: Vec<_> =
            keys.iter().map(|key| open.claim(key, Wait::Never).unwrap().expect("free")).collect();
        for (key, claim) in keys.iter().zip(claims) {
            let _stored = open.fulfil(key, entry("v"), claim).unwrap();
            assert_eq!(value(&*open, key).unwrap(), Some(b"v".to_vec()), "{}", store.name);
        }
    });
}
