use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use beaker_sync::{CreationGuard, CreationLock, ErrorKind, lock_path};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(20);

fn lock_in(dir: &TempDir) -> CreationLock {
    CreationLock::at(lock_path(dir.path(), "thing"))
}

#[test]
fn one_holder_at_a_time_among_threads_and_the_file_goes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let lock = lock_in(&dir);
    let guard = lock.try_lock().unwrap().unwrap();
    let second = lock.clone();
    let refused = thread::spawn(move || second.try_lock().unwrap().is_none());
    assert!(refused.join().unwrap());
    assert!(lock.path().exists());
    drop(guard);
    assert!(!lock.path().exists());
    assert!(lock.try_lock().unwrap().is_some());
}

#[test]
fn a_waiter_gets_the_right_when_the_holder_drops_it() {
    let dir = tempfile::tempdir().unwrap();
    let lock = lock_in(&dir);
    for wait in [None, Some(SOON)] {
        let guard = lock.lock().unwrap();
        let (started, waiting) = mpsc::channel();
        let waiter = lock.clone();
        let thread = thread::spawn(move || {
            started.send(()).unwrap();
            match wait {
                None => waiter.lock().map(Some),
                Some(timeout) => waiter.try_lock_for(timeout),
            }
        });
        waiting.recv().unwrap();
        drop(guard);
        assert!(thread.join().unwrap().unwrap().is_some());
    }
    assert!(!lock.path().exists());
}

#[test]
fn a_timed_waiter_gives_up_when_time_is_up_and_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lock = lock_in(&dir);
    let guard = lock.lock().unwrap();
    let began = Instant::now();
    assert!(lock.try_lock_for(Duration::from_millis(30)).unwrap().is_none());
    assert!(began.elapsed() >= Duration::from_millis(30));
    drop(guard);
    assert!(lock.try_lock().unwrap().is_some());
}

#[test]
fn a_guard_finishes_on_another_thread() {
    let dir = tempfile::tempdir().unwrap();
    let lock = lock_in(&dir);
    let guard: CreationGuard = lock.lock().unwrap();
    thread::spawn(move || drop(guard)).join().unwrap();
    assert!(lock.try_lock().unwrap().is_some());
}

#[test]
fn supersede_is_seen_by_the_guard_that_is_held_and_by_no_later_one() {
    let dir = tempfile::tempdir().unwrap();
    let lock = lock_in(&dir);
    assert!(!lock.supersede().unwrap(), "nothing is being created");
    assert!(!lock.path().exists(), "and no file is made to say so");

    let guard = lock.lock().unwrap();
    assert!(!guard.is_superseded().unwrap());
    assert!(lock.supersede().unwrap());
    assert!(lock.supersede().unwrap());
    assert!(guard.is_superseded().unwrap());
    assert_eq!(fs::metadata(lock.path()).unwrap().len(), 1);
    drop(guard);

    assert!(!lock.lock().unwrap().is_superseded().unwrap());
}

#[test]
fn a_guard_whose_file_was_taken_away_is_superseded_for_no_mark_can_reach_it() {
    let dir = tempfile::tempdir().unwrap();
    let lock = lock_in(&dir);
    let guard = lock.lock().unwrap();
    fs::remove_file(lock.path()).unwrap();
    assert!(guard.is_superseded().unwrap());
    let next = lock.lock().unwrap();
    assert!(guard.is_superseded().unwrap());
    assert!(!next.is_superseded().unwrap());
}

#[test]
fn marks_that_a_killed_holder_left_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let lock = lock_in(&dir);
    fs::create_dir_all(lock.path().parent().unwrap()).unwrap();
    fs::write(lock.path(), "\n").unwrap();
    let guard = lock.lock().unwrap();
    assert!(!guard.is_superseded().unwrap());
}

#[test]
fn d5_files_are_for_their_owner_only_and_not_executable() {
    let dir = tempfile::tempdir().unwrap();
    let lock = CreationLock::at(lock_path(dir.path().join("locks"), "thing"));
    let _guard = lock.lock().unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(lock.path().to_owned()), 0o600);
    assert_eq!(mode(dir.path().join("locks")), 0o700);
    assert_eq!(mode(lock.path().parent().unwrap().to_owned()), 0o700);
}

#[test]
fn syn_16_a_directory_that_vanishes_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let lock = CreationLock::at(lock_path(dir.path().join("locks"), "thing"));
    let first = lock.lock().unwrap();
    fs::remove_dir_all(dir.path().join("locks")).unwrap();
    drop(first);
    let _second = lock.lock().unwrap();
    assert!(lock.path().exists());
}

#[test]
fn a_holder_whose_file_was_replaced_leaves_the_new_file_alone() {
    let dir = tempfile::tempdir().unwrap();
    let lock = lock_in(&dir);
    let first = lock.lock().unwrap();
    fs::remove_file(lock.path()).unwrap();
    let second = lock.try_lock().unwrap().unwrap();
    drop(first);
    assert!(lock.path().exists(), "the second holder's file stays");
    assert!(lock.try_lock().unwrap().is_none(), "and still excludes");
    drop(second);
}

#[test]
fn d9_a_symbolic_link_in_place_of_the_file_is_refused_and_its_target_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("precious");
    fs::write(&target, "data").unwrap();
    let link = dir.path().join("thing.lock");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let error = CreationLock::at(&link).lock().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().starts_with("cannot open lock file "), "{error}");
    assert_eq!(fs::read_to_string(target).unwrap(), "data");
}

#[test]
fn a_file_where_the_directory_should_be_is_an_error_not_a_loop() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "").unwrap();
    let error = CreationLock::at(dir.path().join("a/b.lock")).lock().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}
