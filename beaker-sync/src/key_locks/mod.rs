// Locks by key, for threads and tasks: first come, first served.
//
// 1. `queues` has a queue for each key that is held, and for no other: so a key that nobody holds leaves nothing
//    behind.
// 2. A lock is handed to whoever waits longest. It is never free in between, so nobody overtakes who waits. A place
//    that is in no queue any more holds the lock, whether its owner knows by now or not.
// 3. Who gives up takes his place out of the queue. If it is in none any more, a thread has the lock, although its
//    time is over, and a future that is dropped hands it on.
// 4. No lock of ours is held while another is taken, nor while a waker is cloned, woken or dropped: that may run
//    anything.

#[cfg(beaker_loom)]
pub mod fault;
#[cfg(not(beaker_loom))]
mod fault;
mod future;
mod guard;
mod place;

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use self::{
    fault::{Fault, has},
    place::Place,
};
pub use self::{future::KeyLockFuture, guard::KeyGuard};
use crate::primitive::Mutex;

/// Locks of this process by keys of type `K`, for threads and for tasks of any async runtime.
///
/// A lock needs not be made before it is taken, and nothing is kept of one that nobody holds. Threads and tasks wait in
/// one queue. Cloning gives the same locks.
///
/// # Concurrency
///
/// Who comes first is served first: a lock is handed to whoever has waited longest, and nobody who comes then overtakes
/// him. A future that was handed the lock has it from then on, polled or not, until it or its guard is dropped. `Eq`
/// and `Hash` of a key run under a short lock, so they must not call back into these locks. Who holds a lock and asks
/// for it again waits for himself: bound the wait where that can happen.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_sync::KeyLocks;
///
/// let orders: KeyLocks<u64> = KeyLocks::new();
/// let guard = orders.lock(17);
/// assert!(orders.try_lock_for(17, Duration::from_millis(1)).is_none());
/// assert!(orders.try_lock(18).is_some());
/// drop(guard);
/// assert_eq!(orders.len(), 0);
/// ```
pub struct KeyLocks<K>(Arc<Queues<K>>);

struct Queues<K> {
    queues: Mutex<HashMap<K, VecDeque<Arc<Place>>>>,
}

impl<K> KeyLocks<K> {
    /// Locks that nobody holds.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Queues { queues: Mutex::new(HashMap::new()) }))
    }

    /// How many locks are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.queues.lock().len()
    }

    /// Whether no lock is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Eq + Hash + Clone> KeyLocks<K> {
    /// Waits until the lock of `key` is free, then holds it. In a task use [`lock_async`](Self::lock_async).
    pub fn lock(&self, key: K) -> KeyGuard<K> {
        if let Some(place) = self.0.enter(&key) {
            // Without a deadline there is one end of it.
            let _handed = place.wait(None);
        }
        self.guard(key)
    }

    /// Holds the lock of `key` if it is free now; `None` if somebody holds it. Never waits.
    #[must_use]
    pub fn try_lock(&self, key: K) -> Option<KeyGuard<K>> {
        self.0.try_take(&key).then(|| self.guard(key))
    }

    /// Waits at most `timeout` for the lock of `key`; `None` when time is up.
    ///
    /// Zero behaves like [`try_lock`](Self::try_lock); a time too long to count is for ever.
    #[must_use]
    pub fn try_lock_for(&self, key: K, timeout: Duration) -> Option<KeyGuard<K>> {
        if timeout.is_zero() {
            return self.try_lock(key);
        }
        let Some(deadline) = Instant::now().checked_add(timeout) else {
            return Some(self.lock(key));
        };
        let has_it = match self.0.enter(&key) {
            None => true,
            Some(place) => place.wait(Some(deadline)) || self.0.leave(&key, &place).has_the_lock(),
        };
        has_it.then(|| self.guard(key))
    }

    /// Waits until the lock of `key` is free, then holds it, as a future. Nothing happens before the first poll. There
    /// is no bound on the wait: drop the future when the time to wait is over. It needs no runtime.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing behind. If it was handed the lock, the next in the queue has it.
    ///
    /// # Panics
    ///
    /// Polling panics after the future has completed.
    pub fn lock_async(&self, key: K) -> KeyLockFuture<K> {
        KeyLockFuture::new(self.clone(), key)
    }

    /// How many wait for the lock of `key` now.
    #[must_use]
    pub fn waiting(&self, key: &K) -> usize {
        self.0.queues.lock().get(key).map_or(0, VecDeque::len)
    }

    /// The guard of who holds the lock of `key` already.
    fn guard(&self, key: K) -> KeyGuard<K> {
        KeyGuard::new(Arc::clone(&self.0), key)
    }
}

/// How somebody left who does not wait any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
enum Left {
    /// The others wait on.
    TheQueue,
    /// The lock was handed to him just then.
    WithTheLock,
}

impl Left {
    fn has_the_lock(self) -> bool {
        self == Self::WithTheLock
    }
}

impl<K: Eq + Hash + Clone> Queues<K> {
    /// Takes the lock of `key`; or gives the place in which the caller is to wait, if somebody holds it.
    fn enter(&self, key: &K) -> Option<Arc<Place>> {
        let mut queues = self.queues.lock();
        match queues.get_mut(key) {
            Some(queue) => {
                let place = Arc::new(Place::new());
                queue.push_back(Arc::clone(&place));
                Some(place)
            }
            None => {
                queues.insert(key.clone(), VecDeque::new());
                None
            }
        }
    }

    fn try_take(&self, key: &K) -> bool {
        let mut queues = self.queues.lock();
        let is_free = !queues.contains_key(key);
        if is_free {
            queues.insert(key.clone(), VecDeque::new());
        }
        is_free
    }

    /// Gives up the wait in `place`.
    fn leave(&self, key: &K, place: &Arc<Place>) -> Left {
        let mut queues = self.queues.lock();
        let found = queues.get_mut(key).and_then(|queue| {
            let at = queue.iter().position(|other| Arc::ptr_eq(other, place))?;
            queue.remove(at)
        });
        drop(queues);
        if found.is_some() || has(Fault::GivesUpDeaf) { Left::TheQueue } else { Left::WithTheLock }
    }

    /// Hands the lock of `key`, which the caller holds, to the next; frees it if nobody waits.
    fn hand_on(&self, key: &K) {
        let mut queues = self.queues.lock();
        let next = queues.get_mut(key).and_then(VecDeque::pop_front);
        let freed = if next.is_none() { queues.remove_entry(key) } else { None };
        drop(queues);
        drop(freed);
        if let Some(next) = next {
            next.hand_over();
        }
    }
}

impl<K> Clone for KeyLocks<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for KeyLocks<K> {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows no key.
impl<K> fmt::Debug for KeyLocks<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLocks").field("len", &self.len()).finish()
    }
}
