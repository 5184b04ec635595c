//! F6: locks that a forked process shares with its parent.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use beaker_namespace::{Key, Wait};
use rustix::fs::FlockOperation;

use super::fork::{Side, end_after, fork};
use super::support::children::{Role, listen, say};
use super::support::report::{is_long, report};
use super::support::stores::{CONTROL, Store, on_every, shared};

/// Far above the goal of 50 ms, far below the life of the forked process.
const SOON: Duration = Duration::from_secs(2);

fn key() -> Key {
    Key::new("claimed")
}

/// Forks a process that does nothing until it is killed, while this one does `let_go`.
fn fork_while(let_go: impl FnOnce()) {
    let child = match fork() {
        Side::Child => end_after(|| {
            loop {
                std::thread::park()
            }
        }),
        Side::Parent(child) => child,
    };
    say("forked");
    assert_eq!(listen(), "let go");
    let_go();
    say("let go");
    assert_eq!(listen(), "end");
    child.kill();
}

/// What a child does: has a claim while it is forked, and drops it.
pub(super) fn fork_and_let_go(store: &Store, dir: &Path) {
    let open = store.open(dir).unwrap();
    let claim = open.claim(&key(), Wait::Never).unwrap().unwrap();
    fork_while(|| drop(claim));
}

fn bare_lock(dir: &Path) -> File {
    let path = dir.join("lock");
    File::options().create(true).append(true).open(path).unwrap()
}

fn flock(file: &File, operation: FlockOperation) -> bool {
    rustix::fs::flock(file, operation).is_ok()
}

fn is_free(dir: &Path) -> bool {
    flock(&bare_lock(dir), FlockOperation::NonBlockingLockExclusive)
}

/// The control of the above: closes the file, and no more.
pub(super) fn fork_and_close(dir: &Path) {
    let file = bare_lock(dir);
    assert!(flock(&file, FlockOperation::NonBlockingLockExclusive));
    fork_while(|| drop(file));
}

/// What a lock comes to that a forked process unlocks, as it drops what it inherited.
pub(super) fn fork_and_unlock_in_the_child(dir: &Path) {
    let file = bare_lock(dir);
    assert!(flock(&file, FlockOperation::NonBlockingLockExclusive));
    let child = match fork() {
        Side::Child => end_after(|| assert!(flock(&file, FlockOperation::Unlock))),
        Side::Parent(child) => child,
    };
    child.ends_well();
    say("the child has ended");
    assert_eq!(listen(), "end");
}

#[test]
fn f6_storm_a_claim_is_free_when_it_is_dropped_though_a_forked_process_lives() {
    on_every(shared, |store| {
        let dir = tempfile::tempdir().unwrap();
        let open = store.open(dir.path()).unwrap();
        let mut parent = Role::start("claimer", store, dir.path());
        assert_eq!(parent.hear().as_deref(), Some("forked"));
        assert!(open.claim(&key(), Wait::Never).unwrap().is_none(), "{}", store.name);
        parent.tell("let go");
        assert_eq!(parent.hear().as_deref(), Some("let go"));
        let began = Instant::now();
        let claim = open.claim(&key(), Wait::AtMost(SOON)).unwrap();
        let waited = began.elapsed();
        // The goal; a short run, with others beside it, is judged for what waits for the child.
        let most = if is_long() { Duration::from_millis(50) } else { SOON };
        let holds = claim.is_some() && waited <= most;
        report("F6 fork with a claim", store.name, &format!("{waited:.1?}"), holds);
        assert!(holds, "{}: {waited:?}", store.name);
        parent.tell("end");
        assert!(parent.finish().success(), "{}", store.name);
    });
}

#[test]
fn f6_control_a_lock_that_is_closed_and_not_unlocked_stays_with_the_forked_process() {
    let dir = tempfile::tempdir().unwrap();
    let mut parent = Role::start("bare closer", &CONTROL, dir.path());
    assert_eq!(parent.hear().as_deref(), Some("forked"));
    parent.tell("let go");
    assert_eq!(parent.hear().as_deref(), Some("let go"));
    assert!(!is_free(dir.path()), "nobody has it, and it is held");
    parent.tell("end");
    assert!(parent.finish().success());
    assert!(is_free(dir.path()));
}

#[test]
fn f43_control_a_lock_that_a_forked_process_unlocks_is_lost_to_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    let mut parent = Role::start("bare unlocker", &CONTROL, dir.path());
    assert_eq!(parent.hear().as_deref(), Some("the child has ended"));
    assert!(is_free(dir.path()), "the parent lives, and has lost it");
    parent.tell("end");
    assert!(parent.finish().success());
}
