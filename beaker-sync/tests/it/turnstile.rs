//! A writer that waits and the readers of other processes.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use beaker_sync::{LockState, ReadGuard, Synchronizer, clean, list, lock_path, lock_state};

use crate::child::{self, Role};

/// Turns a hang into a failure; nothing is ordered by it.
const SOON: Duration = Duration::from_secs(30);

fn start(role: &str, dir: &Path) -> Role {
    Role::start("turnstile::child", role, dir)
}

/// Not a test by itself: what a child does.
#[test]
fn child() {
    let Some((role, dir)) = child::given_role() else { return };
    let lock = Synchronizer::file("x", dir).unwrap();
    match role.as_str() {
        "read as told" => read_as_told(&lock),
        "write" => drop(lock.write().unwrap()),
        other => panic!("no role {other}"),
    }
}

/// Reads, says whether it does, and leaves, as the parent asks.
fn read_as_told(lock: &Synchronizer) {
    let mut guards: Vec<ReadGuard<'_>> = Vec::new();
    loop {
        let got = match child::listen().as_str() {
            "try" => lock.try_read().unwrap(),
            "wait" => lock.try_read_for(Duration::from_millis(5)).unwrap(),
            "read" => Some(lock.read().unwrap()),
            _ => {
                guards.clear();
                None
            }
        };
        child::say(if got.is_some() { "in" } else { "out" });
        guards.extend(got);
    }
}

/// Asks a child that reads as told, and hears whether it came in.
fn ask(child: &mut Role, what: &str) -> bool {
    child.tell(what);
    child.hear() == "in"
}

/// Where the gate of the lock `x` lies while a writer waits.
fn gate(dir: &Path) -> PathBuf {
    let lock = lock_path(dir, "x");
    let digits = lock.file_stem().unwrap().to_str().unwrap();
    lock.with_file_name(format!("{digits}9a7e.lock"))
}

/// Waits until a writer holds the gate.
fn await_closed_gate(dir: &Path) {
    let began = Instant::now();
    while lock_state(gate(dir)).unwrap() != LockState::Exclusive {
        assert!(began.elapsed() < SOON, "no gate is closed");
        thread::yield_now();
    }
}

/// Waits to write, writes and leaves.
fn write(lock: &Synchronizer) {
    assert!(lock.try_write_for(SOON).unwrap().is_some());
}

/// Leaves a gate behind, as a kill leaves it.
fn leave_gate_behind(dir: &Path) {
    fs::create_dir_all(gate(dir).parent().unwrap()).unwrap();
    fs::write(gate(dir), "").unwrap();
}

#[test]
fn d7_a_waiting_writer_keeps_new_readers_of_other_processes_out_but_not_nested_ones() {
    for gate_left_behind in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let lock = Synchronizer::file("x", dir.path()).unwrap();
        let mut inside = start("read as told", dir.path());
        let mut new = start("read as told", dir.path());
        if gate_left_behind {
            leave_gate_behind(dir.path());
        }
        assert!(ask(&mut inside, "read"));
        thread::scope(|scope| {
            let writer = scope.spawn(|| write(&lock));
            await_closed_gate(dir.path());
            assert!(!ask(&mut new, "try"), "a try");
            assert!(!ask(&mut new, "wait"), "a wait");
            assert!(ask(&mut inside, "try"), "nested");
            assert!(!writer.is_finished());
            ask(&mut inside, "leave");
            writer.join().unwrap();
        });
        assert!(ask(&mut new, "try"), "the writer has gone");
        assert!(!gate(dir.path()).exists());
    }
}

#[test]
fn d7_a_reader_that_waits_at_the_gate_comes_in_after_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();
    let mut inside = start("read as told", dir.path());
    let mut new = start("read as told", dir.path());
    assert!(ask(&mut inside, "read"));
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(&lock));
        await_closed_gate(dir.path());
        new.tell("read");
        ask(&mut inside, "leave");
        writer.join().unwrap();
    });
    assert_eq!(new.hear(), "in");
    assert!(!gate(dir.path()).exists());
}

#[test]
fn a_writer_that_gives_up_opens_the_gate_and_one_that_only_tries_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();
    let mut reader = start("read as told", dir.path());
    assert!(ask(&mut reader, "read"));
    let files = || list(dir.path()).unwrap().len();
    assert!(lock.try_write().unwrap().is_none());
    assert!(lock.try_write_for(Duration::from_millis(5)).unwrap().is_none());
    assert_eq!(files(), 1, "the lock file alone");
    assert!(lock.try_read().unwrap().is_some());
}

#[test]
fn writers_queue_at_the_gate_each_within_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();
    let mut reader = start("read as told", dir.path());
    assert!(ask(&mut reader, "read"));
    let first = start("write", dir.path());
    await_closed_gate(dir.path());
    assert!(lock.try_write_for(Duration::from_millis(5)).unwrap().is_none());
    await_closed_gate(dir.path());
    thread::scope(|scope| {
        let second = scope.spawn(|| write(&lock));
        ask(&mut reader, "leave");
        second.join().unwrap();
    });
    first.finish();
    assert!(!gate(dir.path()).exists());
}

#[test]
fn f4_a_writer_killed_while_it_waits_keeps_nobody_out_and_its_gate_is_cleaned() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();
    let mut new = start("read as told", dir.path());
    let _reading = lock.read().unwrap();
    let writer = start("write", dir.path());
    await_closed_gate(dir.path());
    assert!(!ask(&mut new, "try"));
    assert_eq!(clean(dir.path()).unwrap().removed, 0, "both are held");

    writer.kill();
    assert!(gate(dir.path()).exists());
    assert!(ask(&mut new, "try"));
    let report = clean(dir.path()).unwrap();
    assert_eq!((report.removed, report.in_use), (1, 1), "the gate, and the lock that is read");
    assert!(!gate(dir.path()).exists());
}

#[test]
fn a_writer_that_can_make_no_gate_waits_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Synchronizer::file("x", dir.path()).unwrap();
    let mut reader = start("read as told", dir.path());
    assert!(ask(&mut reader, "read"));
    fs::create_dir(gate(dir.path())).unwrap();
    assert!(lock.try_write_for(Duration::from_millis(5)).unwrap().is_none());
    assert!(lock.try_read().unwrap().is_some());
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(&lock));
        ask(&mut reader, "leave");
        writer.join().unwrap();
    });
}
