//! fork(2) without exec: the only unsafe code here, since Rust has it in no other form.
#![allow(unsafe_code, reason = "fork is what these tests are about")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// After this a forked process that hangs is ended by the system, in seconds.
const LONGEST: u32 = 20;

/// Which of the two processes this is.
#[derive(Debug)]
pub(crate) enum Side {
    Parent(Forked),
    Child,
}

/// The process that was forked, as its parent sees it.
#[derive(Debug)]
#[must_use = "it is to be waited for"]
pub(crate) struct Forked(Pid);

/// Forks this process. The child has the calling thread alone, and must go to [`end_after`].
pub(crate) fn fork() -> Side {
    // SAFETY: the child runs ordinary code though there were other threads, so the locks that these
    // held stay locked in it. The allocator's are not among them: the C library takes them for the
    // fork and frees them in the child. Any other lets the child wait, and no more than that, until
    // the alarm ends it. Neither call has arguments that could be wrong.
    let id = unsafe {
        let id = libc::fork();
        if id == 0 {
            libc::alarm(LONGEST);
        }
        id
    };
    match Pid::from_raw(id) {
        None => Side::Child,
        Some(_) if id < 0 => panic!("no process can be forked here"),
        Some(id) => Side::Parent(Forked(id)),
    }
}

/// Ends a child of [`fork`] after `play`: well, unless that panicked.
pub(crate) fn end_after(play: impl FnOnce()) -> ! {
    let played = catch_unwind(AssertUnwindSafe(play));
    std::process::exit(i32::from(played.is_err()))
}

impl Forked {
    /// Waits until it has ended; fails if it did not end well.
    pub(crate) fn ends_well(self) {
        let (_, status) = waitpid(Some(self.0), WaitOptions::empty()).unwrap().expect("it ended");
        assert_eq!(status.exit_status(), Some(0), "{status:?}");
    }

    /// Ends it.
    pub(crate) fn kill(self) {
        kill_process(self.0, Signal::KILL).unwrap();
        let _ended = waitpid(Some(self.0), WaitOptions::empty()).unwrap();
    }
}
