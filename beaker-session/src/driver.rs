//! Who is on the way between a session and its store.

#[cfg(feature = "tokio")]
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
#[cfg(feature = "tokio")]
use std::task::{Context, Poll};

use parking_lot::{Condvar, Mutex};

/// Lets one at a time through, threads and tasks.
///
/// A lock would do for threads; a task holds it while it waits for the store, and may end on another
/// thread than it began on.
#[derive(Debug)]
pub(crate) struct Driver {
    /// Changed to false under `waiting`, the tasks that wait, so that nobody begins to wait just then.
    busy: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
    free: Condvar,
}

/// The way, until this is dropped.
#[must_use = "the way is free once this is dropped"]
pub(crate) struct Driving<'a>(&'a Driver);

impl Driver {
    /// Nobody is on the way.
    pub(crate) const fn new() -> Self {
        Self { busy: AtomicBool::new(false), waiting: Mutex::new(Vec::new()), free: Condvar::new() }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn is_busy(&self) -> bool {
        // Acquire pairs with the Release of the drop: who sees it free sees what was done.
        self.busy.load(Ordering::Acquire)
    }

    /// Waits until the way is free, and takes it.
    pub(crate) fn begin(&self) -> Driving<'_> {
        if let Some(driving) = self.try_begin() {
            return driving;
        }
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(driving) = self.try_begin() {
                return driving;
            }
            self.free.wait(&mut waiting);
        }
    }

    /// As [`begin`](Self::begin), in a task.
    #[cfg(feature = "tokio")]
    pub(crate) async fn begin_async(&self) -> Driving<'_> {
        poll_fn(|context| self.poll_take(context)).await;
        Driving(self)
    }

    /// As [`begin_async`](Self::begin_async), for a caller that keeps the way in its own way, and [ends](Self::end).
    #[cfg(feature = "tokio")]
    pub(crate) fn poll_take(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.try_take() {
            return Poll::Ready(());
        }
        // No lock is held while a waker is cloned, dropped or woken: that may run anything.
        let waker = context.waker().clone();
        let mut waiting = self.waiting.lock();
        if self.try_take() {
            drop(waiting);
            return Poll::Ready(());
        }
        if !waiting.iter().any(|other| other.will_wake(&waker)) {
            waiting.push(waker);
        }
        drop(waiting);
        Poll::Pending
    }

    /// Takes the way if it is free.
    fn try_begin(&self) -> Option<Driving<'_>> {
        self.try_take().then(|| Driving(self))
    }

    fn try_take(&self) -> bool {
        // Acquire as above.
        self.busy.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Frees the way, for whoever has taken it.
    pub(crate) fn end(&self) {
        let mut waiting = self.waiting.lock();
        self.busy.store(false, Ordering::Release);
        let tasks = std::mem::take(&mut *waiting);
        drop(waiting);
        self.free.notify_one();
        // All of them: one that is dropped by now would tell no other.
        tasks.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::thread;

    use super::*;

    #[test]
    fn one_at_a_time_is_on_the_way() {
        let (driver, on_the_way, turns) = (Driver::new(), AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let _driving = driver.begin();
                        assert_eq!(on_the_way.fetch_add(1, Ordering::SeqCst), 0);
                        turns.fetch_add(1, Ordering::SeqCst);
                        thread::yield_now();
                        on_the_way.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(turns.into_inner(), 8_000);
        assert!(driver.try_begin().is_some());
    }

    #[test]
    fn a_way_that_is_taken_is_not_taken_again_until_it_is_free() {
        let driver = Driver::new();
        let driving = driver.try_begin();
        assert!(driving.is_some());
        assert!(driver.try_begin().is_none());
        assert!(driver.try_begin().is_none(), "a failed try frees nothing");
        drop(driving);
        assert!(driver.try_begin().is_some());
    }
}
