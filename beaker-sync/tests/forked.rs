//! A process that is forked without exec, whose only unsafe code is that call.
#![allow(unsafe_code, reason = "fork is what this test is about")]
#![cfg(target_os = "linux")]

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use beaker_sync::process_id;
use rustix::process::{Pid, WaitOptions, waitpid};

/// Forks this process; says what `child` says there, which may take no locks and no memory.
fn in_a_fork(child: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs `child` and ends, without the locks of other threads and without what is to run
    // at a process's end.
    let id = unsafe { libc::fork() };
    assert!(id >= 0, "no process can be forked here");
    let Some(id) = Pid::from_raw(id) else {
        // SAFETY: it ends the process, and has no condition.
        unsafe { libc::_exit(i32::from(!child())) }
    };
    let ended = waitpid(Some(id), WaitOptions::empty());
    ended.is_ok_and(|ended| ended.is_some_and(|(_, status)| status.exit_status() == Some(0)))
}

#[test]
fn each_forked_process_has_its_own_number() {
    assert_eq!(process_id(), process::id());
    let is_right = || process_id() == process::id();
    assert!(in_a_fork(is_right));
    assert!(in_a_fork(|| is_right() && in_a_fork(is_right)));
    assert!(in_a_fork(|| in_a_fork(is_right)), "the first one has not asked");
    assert!(is_right(), "the parent's stays");
}

#[test]
fn control_a_number_in_ordinary_memory_is_the_parents() {
    static KNOWN: AtomicU32 = AtomicU32::new(0);
    KNOWN.store(process::id(), Ordering::Relaxed);
    assert!(!in_a_fork(|| KNOWN.load(Ordering::Relaxed) == process::id()));
}
