//! What holds between processes.

use std::{
    fs::File,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use beaker_sync::{
    CreationGuard, CreationLock, LockState, Synchronizer, clean, holders, lock_path, lock_state,
};

use crate::child::{self, Role, monotonic_ns};

/// Turns a hang into a failure; nothing is ordered by it.
const SOON: Duration = Duration::from_secs(30);

pub(crate) fn creation(dir: &Path) -> CreationLock {
    CreationLock::at(lock_path(dir, "creation"))
}

pub(crate) fn start(role: &str, dir: &Path) -> Role {
    Role::start("processes::child", role, dir)
}

/// Not a test by itself: what a child does.
#[test]
fn child() {
    let Some((role, dir)) = child::given_role() else { return };
    match role.as_str() {
        "create" => hold(creation(&dir).lock().unwrap()),
        "create_for" => hold(creation(&dir).try_lock_for(SOON).unwrap().unwrap()),
        "create_polling" => hold(poll(&dir)),
        "in_process" => hold(Synchronizer::in_process("x").write().unwrap()),
        "read" => hold(Synchronizer::file("x", &dir).unwrap().read().unwrap()),
        "write" => hold(Synchronizer::file("x", &dir).unwrap().write().unwrap()),
        other => panic!("no role {other}"),
    }
}

/// The lock, by a look every 300 ms. From the first that fails on, the directory is open.
fn poll(dir: &Path) -> CreationGuard {
    let mut open = None;
    loop {
        if let Some(guard) = creation(dir).try_lock().unwrap() {
            return guard;
        }
        open.get_or_insert_with(|| File::open(dir).unwrap());
        // sleep: what makes it late
        thread::sleep(Duration::from_millis(300));
    }
}

/// Says when the lock was got, and holds it until told to end.
fn hold<G>(guard: G) {
    child::say(&monotonic_ns().to_string());
    child::listen();
    drop(guard);
}

#[test]
fn syn_14_readers_and_writers_of_other_processes_are_excluded() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();

    let mut reader = start("read", dir.path());
    reader.hear();
    assert!(lock.try_read().unwrap().is_some());
    assert!(lock.try_write().unwrap().is_none());
    reader.tell("end");
    reader.finish();
    assert!(lock.try_write().unwrap().is_some());

    let mut writer = start("write", dir.path());
    writer.hear();
    assert!(lock.try_read().unwrap().is_none());
    assert!(lock.try_write().unwrap().is_none());
    writer.tell("end");
    writer.finish();
    assert!(lock.try_read().unwrap().is_some());

    drop(lock);
    assert_eq!(clean(dir.path()).unwrap().removed, 0, "nothing is left behind");
}

#[test]
fn syn_23_an_in_process_synchronizer_does_not_reach_other_processes() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = start("in_process", dir.path());
    writer.hear();
    assert!(Synchronizer::in_process("x").try_write().unwrap().is_some());
    writer.tell("end");
    writer.finish();
}

#[test]
fn a_writer_waits_for_a_reader_of_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();
    let mut reader = start("read", dir.path());
    reader.hear();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let _writing = lock.write().unwrap();
            ended.load(Ordering::SeqCst)
        });
        ended.store(true, Ordering::SeqCst);
        reader.tell("end");
        assert!(writer.join().unwrap(), "the writer came in beside the reader");
    });
    reader.finish();
}

#[test]
fn f4_a_killed_holder_s_file_is_free_at_once_and_cleaned() {
    let dir = tempfile::tempdir().unwrap();
    for role in ["create", "write", "read"] {
        let mut holder = start(role, dir.path());
        holder.hear();
        assert_eq!(clean(dir.path()).unwrap().in_use, 1, "{role}");
        holder.kill();
        let report = clean(dir.path()).unwrap();
        assert_eq!((report.removed, report.in_use), (1, 0), "{role}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn holders_names_the_processes_that_read_or_create() {
    let dir = tempfile::tempdir().unwrap();
    let path = lock_path(dir.path(), "x");
    let mut readers = [start("read", dir.path()), start("read", dir.path())];
    readers.iter_mut().for_each(|reader| drop(reader.hear()));
    let mut expected: Vec<_> = readers.iter().map(Role::id).collect();
    expected.sort_unstable();
    // The table changes while it is read, so that one look may miss a line; and where devices are
    // numbered in two ways nobody can say.
    let looks: Vec<_> = (0..100).map(|_| holders(&path)).collect();
    for found in &looks {
        assert!(found.iter().all(|id| expected.contains(id)), "{found:?}, but {expected:?}");
    }
    assert!(looks.contains(&expected) || looks.iter().all(Vec::is_empty), "{looks:?}");
    for reader in readers {
        reader.kill();
    }
    assert_eq!(holders(&path), [], "nobody holds it any more");
}

#[test]
fn a_killed_creator_s_mark_does_not_reach_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = start("create", dir.path());
    holder.hear();
    assert!(creation(dir.path()).supersede().unwrap());
    holder.kill();
    assert_eq!(lock_state(creation(dir.path()).path()).unwrap(), LockState::Free);
    assert!(!creation(dir.path()).lock().unwrap().is_superseded().unwrap());
}

#[test]
fn a_mark_from_another_process_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let guard = creation(dir.path()).lock().unwrap();
    let marked = thread::spawn({
        let lock = creation(dir.path());
        move || lock.supersede().unwrap()
    });
    assert!(marked.join().unwrap());
    assert!(guard.is_superseded().unwrap());
}
