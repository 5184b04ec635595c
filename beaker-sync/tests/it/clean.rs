use std::{
    fs,
    path::{Path, PathBuf},
};

use beaker_sync::{CreationLock, LockState, Synchronizer, clean, list, lock_path, lock_state};

/// Makes a lock file that nobody holds, as a kill leaves it.
fn leave_behind(dir: &Path, identifier: &str) -> PathBuf {
    let path = lock_path(dir, identifier);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "").unwrap();
    path
}

#[test]
fn d8_clean_removes_what_nobody_holds_and_leaves_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let free: Vec<_> = (0..10).map(|n| leave_behind(dir.path(), &n.to_string())).collect();
    fs::write(&free[3], "\n").unwrap();
    let creating = CreationLock::at(lock_path(dir.path(), "creating"));
    let guard = creating.lock().unwrap();
    let synchronizer = Synchronizer::file("reading", dir.path()).unwrap();
    let reading = synchronizer.read().unwrap();

    let report = clean(dir.path()).unwrap();
    assert_eq!((report.removed, report.in_use, report.failed.len()), (10, 2, 0));
    assert!(free.iter().all(|path| !path.exists()));
    assert!(creating.path().exists() && synchronizer.path().unwrap().exists());
    assert!(creating.try_lock().unwrap().is_none(), "still held");

    drop((guard, reading));
    let report = clean(dir.path()).unwrap();
    assert_eq!((report.removed, report.in_use), (1, 0), "the synchronizer's, not in use just now");
}

#[test]
fn clean_passes_over_whatever_is_not_a_lock_file() {
    let dir = tempfile::tempdir().unwrap();
    let digits = "0123456789abcdef0123456789abcdef";
    let others = [
        ("Cargo.lock".to_owned(), ""),
        (format!("{digits}.cache"), ""),
        (format!("{}.lock", &digits[1..]), ""),
        (format!("{}.lock", digits.to_uppercase()), ""),
        (format!("{digits}.lock"), "it holds data"),
    ];
    for (name, content) in &others {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let link = dir.path().join(format!("{digits}00.lock"));
    std::os::unix::fs::symlink(dir.path().join("Cargo.lock"), &link).unwrap();
    let report = clean(dir.path()).unwrap();
    assert_eq!((report.removed, report.in_use, report.failed.len()), (0, 0, 0));
    assert!(others.iter().all(|(name, _)| dir.path().join(name).exists()));
    assert!(link.symlink_metadata().is_ok());
    assert_eq!(list(dir.path()).unwrap(), []);
}

#[test]
fn an_absent_directory_is_clean() {
    let dir = tempfile::tempdir().unwrap();
    let report = clean(dir.path().join("absent")).unwrap();
    assert_eq!((report.removed, report.in_use), (0, 0));
    assert_eq!(list(dir.path().join("absent")).unwrap(), []);
}

#[test]
fn list_and_lock_state_tell_absent_free_shared_and_exclusive() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let path = |identifier: &str| lock_path(&dir, identifier);
    assert_eq!(lock_state(path("x")).unwrap(), LockState::Absent);
    assert!(!path("x").exists(), "looking makes nothing");

    leave_behind(&dir, "free");
    let reader = Synchronizer::file("read", &dir).unwrap();
    let reading = reader.read().unwrap();
    let creating = CreationLock::at(path("created")).lock().unwrap();
    assert_eq!(lock_state(path("free")).unwrap(), LockState::Free);
    assert_eq!(lock_state(path("read")).unwrap(), LockState::Shared);
    assert_eq!(lock_state(path("created")).unwrap(), LockState::Exclusive);

    let mut expected = vec![
        (path("free"), LockState::Free),
        (path("read"), LockState::Shared),
        (path("created"), LockState::Exclusive),
    ];
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    let listed = list(&dir).unwrap().into_iter().map(|file| (file.path, file.state));
    assert_eq!(listed.collect::<Vec<_>>(), expected);
    drop((reading, creating));
    assert_eq!(lock_state(path("read")).unwrap(), LockState::Free);
}
