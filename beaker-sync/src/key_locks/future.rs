use std::{
    fmt,
    future::Future,
    hash::Hash,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{KeyGuard, KeyLocks, place::Place};

/// The future of [`KeyLocks::lock_async`], which says what it does.
#[must_use = "a future does nothing unless it is polled"]
pub struct KeyLockFuture<K: Eq + Hash + Clone> {
    locks: KeyLocks<K>,
    /// `None` once the future has completed.
    key: Option<K>,
    /// Where it waits, from its first poll on.
    place: Option<Arc<Place>>,
}

// Nothing in it is pinned: the key is moved in and out.
impl<K: Eq + Hash + Clone> Unpin for KeyLockFuture<K> {}

impl<K: Eq + Hash + Clone> KeyLockFuture<K> {
    pub(super) const fn new(locks: KeyLocks<K>, key: K) -> Self {
        Self { locks, key: Some(key), place: None }
    }
}

impl<K: Eq + Hash + Clone> Future for KeyLockFuture<K> {
    type Output = KeyGuard<K>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { locks, key: wanted, place } = self.get_mut();
        const COMPLETED: &str = "`KeyLockFuture` polled after completion";
        let key = wanted.as_ref().expect(COMPLETED);
        if place.is_none() {
            *place = locks.0.enter(key);
        }
        // The key stays meanwhile: a waker may panic, and who has a place leaves it by its key.
        if place.as_ref().is_some_and(|place| !place.poll(context.waker())) {
            return Poll::Pending;
        }
        *place = None;
        Poll::Ready(locks.guard(wanted.take().expect(COMPLETED)))
    }
}

impl<K: Eq + Hash + Clone> Drop for KeyLockFuture<K> {
    fn drop(&mut self) {
        let (Some(key), Some(place)) = (&self.key, &self.place) else { return };
        if self.locks.0.leave(key, place).has_the_lock() {
            self.locks.0.hand_on(key);
        }
    }
}

/// Shows no key.
impl<K: Eq + Hash + Clone> fmt::Debug for KeyLockFuture<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("KeyLockFuture");
        debug.field("waiting", &self.place.is_some()).finish_non_exhaustive()
    }
}
