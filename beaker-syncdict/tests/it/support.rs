//! Hand-shakes. A bound on a wait only turns a hang into a failure; it orders nothing.

use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Yields until `done`, or fails.
#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "never came: {what}");
        thread::yield_now();
    }
}

/// A thread whose result is awaited for a bounded time.
pub(crate) struct Task<T> {
    result: Receiver<T>,
    handle: JoinHandle<()>,
}

pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Task<T> {
    let (send, result) = mpsc::channel();
    let handle = thread::spawn(move || {
        let _ = send.send(work());
    });
    Task { result, handle }
}

/// Runs `work`, and fails when it waits for itself.
#[track_caller]
pub(crate) fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn(work).join()
}

impl<T> Task<T> {
    /// The result; fails when the thread hangs or panics.
    #[track_caller]
    pub(crate) fn join(self) -> T {
        let result = self.result.recv_timeout(LIMIT).expect("the thread hangs or has panicked");
        self.handle.join().expect("it sent its result");
        result
    }

    /// Waits for the thread to panic.
    #[track_caller]
    pub(crate) fn join_panicked(self) {
        match self.result.recv_timeout(LIMIT) {
            Ok(_) => panic!("the thread did not panic"),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the thread hangs"),
            Err(mpsc::RecvTimeoutError::Disconnected) => assert!(self.handle.join().is_err()),
        }
    }
}
