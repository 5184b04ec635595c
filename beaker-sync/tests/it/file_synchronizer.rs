//! What holds for the file kind only.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
};

use beaker_sync::{
    CreationLock, ErrorKind, FileSynchronizerOptions, NetworkPolicy, Retention, Synchronizer,
    lock_path,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn syn_17_paths_are_those_of_python_s_beaker() {
    // Made by Beaker 1.14.1.
    let vectors: BTreeMap<&str, &str> = include_str!("../vectors/lock_path.tsv")
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .collect();
    assert!(vectors.len() >= 20);
    for (path, identifier) in vectors {
        let identifier: String = unescape(identifier);
        assert_eq!(lock_path("/d", &identifier), Path::new("/d").join(path), "{identifier:?}");
    }
}

/// Undoes the vectors' escapes: `\n`, `\t`, `\\`, as they stand in one line each.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next().unwrap() {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            },
            other => other,
        });
    }
    plain
}

#[test]
fn syn_14_threads_exclude_each_other_through_files_of_their_own() {
    // Two objects on one file, as two processes have them: the second path leads to the first
    // through a hard link, so no registry joins them.
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Synchronizer::file("x", one.path()).unwrap();
    drop(first.write().unwrap());
    let linked = lock_path(two.path().canonicalize().unwrap(), "x");
    fs::create_dir_all(linked.parent().unwrap()).unwrap();
    fs::hard_link(first.path().unwrap(), &linked).unwrap();
    let second = Synchronizer::file("x", two.path()).unwrap();
    assert!(!first.is_same(&second));

    let reading = first.read().unwrap();
    assert!(second.try_read().unwrap().is_some());
    assert!(second.try_write().unwrap().is_none());
    drop(reading);
    let writing = first.write().unwrap();
    assert!(second.try_read().unwrap().is_none());
    drop(writing);
    assert!(second.try_write().unwrap().is_some());
}

#[test]
fn d5_files_are_for_their_owner_only_and_not_executable() {
    let dir = tempfile::tempdir().unwrap();
    let lock_dir = dir.path().join("a/b");
    let lock = Synchronizer::file("x", &lock_dir).unwrap();
    for _ in 0..2 {
        drop(lock.read().unwrap());
        assert_eq!(mode(lock.path().unwrap()), 0o600);
        fs::remove_file(lock.path().unwrap()).unwrap();
        drop(lock.write().unwrap());
        assert_eq!(mode(lock.path().unwrap()), 0o600);
    }
    assert_eq!((mode(&lock_dir), mode(lock.path().unwrap().parent().unwrap())), (0o700, 0o700));
}

/// How many descriptors of this process lead below `dir`.
#[cfg(target_os = "linux")]
fn descriptors(dir: &Path) -> usize {
    let dir = dir.canonicalize().unwrap();
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    entries.filter(|fd| fs::read_link(fd.path()).is_ok_and(|file| file.starts_with(&dir))).count()
}

#[cfg(target_os = "linux")]
#[test]
fn syn_15_a_descriptor_is_open_while_a_thread_is_inside_and_not_after_a_failed_try() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();
    assert_eq!(descriptors(dir.path()), 0);
    let (outer, nested) = (lock.read().unwrap(), lock.read().unwrap());
    assert_eq!(descriptors(dir.path()), 1);
    drop((outer, nested));
    assert_eq!(descriptors(dir.path()), 0);

    let creating = CreationLock::at(lock.path().unwrap());
    let _other = creating.lock().unwrap();
    assert!(lock.try_write().unwrap().is_none());
    assert!(lock.try_read_for(std::time::Duration::from_millis(1)).unwrap().is_none());
    assert!(creating.try_lock().unwrap().is_none());
    assert_eq!(descriptors(dir.path()), 1);
}

#[test]
fn syn_16_a_lock_directory_that_vanishes_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let lock_dir = dir.path().join("locks");
    let lock = Synchronizer::file("x", &lock_dir).unwrap();
    let held = lock.write().unwrap();
    fs::remove_dir_all(&lock_dir).unwrap();
    drop(held);
    let _read = lock.read().unwrap();
    assert!(lock.path().unwrap().exists());
}

#[test]
fn d8_the_file_goes_with_the_last_handle() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();
    let path: PathBuf = lock.path().unwrap().to_owned();
    assert!(!path.exists(), "nothing is made before it is used");
    let second = lock.clone();
    drop(lock.read().unwrap());
    drop(lock);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}

#[test]
fn d8_a_file_that_another_holds_stays_until_he_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();
    let path: PathBuf = lock.path().unwrap().to_owned();
    drop(lock.read().unwrap());
    // A creation lock on the same path stands for another process.
    let other = CreationLock::at(&path).lock().unwrap();
    drop(lock);
    assert!(path.exists());
    drop(other);
    assert!(!path.exists());
}

#[test]
fn d8_a_kept_file_stays() {
    let dir = tempfile::tempdir().unwrap();
    let options = FileSynchronizerOptions::new().retention(Retention::Keep);
    let lock = options.open("x", dir.path()).unwrap();
    let path: PathBuf = lock.path().unwrap().to_owned();
    drop(lock.write().unwrap());
    drop(lock);
    assert!(path.exists());
}

#[test]
fn d6_a_thread_that_ends_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();
    let ended = thread::scope(|scope| {
        let body = || {
            let _guard = lock.write().unwrap();
            panic!("boom")
        };
        scope.spawn(body).join()
    });
    assert!(ended.is_err());
    assert!(lock.try_write().unwrap().is_some());
}

#[test]
fn other_options_for_an_identifier_in_use_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();
    let other = FileSynchronizerOptions::new().retention(Retention::Keep);
    let error = other.open("x", dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.path(), lock.path());
    drop(lock);
    assert!(other.open("x", dir.path()).is_ok());
}

#[test]
fn an_error_from_the_file_leaves_nothing_held() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();
    let shard = lock.path().unwrap().parent().unwrap().parent().unwrap().to_owned();
    fs::write(&shard, "in the way").unwrap();
    assert_eq!(lock.write().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(lock.try_read().unwrap_err().kind(), ErrorKind::Io);
    fs::remove_file(&shard).unwrap();
    assert!(lock.try_write().unwrap().is_some());
}

#[cfg(target_os = "linux")]
#[test]
fn f8_a_lock_on_a_file_system_that_is_not_known_to_be_local_is_refused_unless_allowed() {
    // procfs is not in the list of local types, and one of its files can be opened and locked.
    let path = format!("/proc/{}/oom_score_adj", std::process::id());
    let error = CreationLock::at(&path).try_lock().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkFilesystem);
    assert_eq!(error.path(), Path::new(&path).parent());
    let fix = "use a local directory or allow it explicitly";
    assert!(error.to_string().ends_with(fix), "{error}");
    let allowed = CreationLock::at(&path).network(NetworkPolicy::Allow).try_lock();
    assert_ne!(allowed.err().map(|error| error.kind()), Some(ErrorKind::NetworkFilesystem));
}
