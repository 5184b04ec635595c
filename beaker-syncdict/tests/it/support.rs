//! Hand-shakes, and futures polled by hand. A bound on a wait only turns a hang into a failure; it
//! orders nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::task::{Context, Poll, Wake, Waker};
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

/// A waker that counts how often it is woken.
#[derive(Debug, Default)]
pub(crate) struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    pub(crate) fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Polls once with `bell` as the waker.
pub(crate) fn poll_with<F: Future>(future: Pin<&mut F>, bell: &Arc<Bell>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(bell));
    future.poll(&mut Context::from_waker(&waker))
}

/// Polls once; who is awaited cannot tell.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The output of a future that has no reason to wait.
#[track_caller]
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match poll_once(std::pin::pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// Pending once.
pub(crate) async fn step() {
    let mut done = false;
    std::future::poll_fn(|_| {
        if done {
            Poll::Ready(())
        } else {
            done = true;
            Poll::Pending
        }
    })
    .await;
}
