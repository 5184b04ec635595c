// What may happen to a key, and who listens for it.
//
// 1. What happens is a change of something that lies elsewhere, in a store for instance. Who waits for it first
//    listens, then looks whether it has happened already, then waits. Who changes it first does that, then
//    notifies. So he either finds the listener, or the listener finds the change.
// 2. `count` is read without the lock: to notify nobody costs a fence. Each of the two has one between his
//    halves, and of two fences one comes first: what was done before that one is seen after the other.
// 3. A notification stays with its listener until it is taken, so nobody relies on being parked, or on having
//    left a waker, at the right moment. A task looks for it and leaves its waker in one go, under the lock.
// 4. A waker is user code. It is cloned before the lock is taken, and woken and dropped after it is given back.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

#[cfg(beaker_loom)]
use self::models::fence;
use crate::primitive::Mutex;
use crate::primitive::atomic::{AtomicUsize, Ordering};

/// What may happen to each of many keys, and those who listen for it: threads, and tasks of any runtime.
///
/// It is for a change of something that lies elsewhere, in a store or a file, where looking costs more than being
/// told. A notification only says that there may be something new to see: a listener looks again.
///
/// # Concurrency
///
/// Who [listens](Self::listen), then looks, and then waits misses nothing of what is changed first and
/// [notified](Self::notify) of then: either it sees the change, or it is notified. To notify nobody takes no lock.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use std::time::Duration;
/// use beaker_sync::Events;
///
/// let (removed, removals) = (AtomicBool::new(false), Events::new());
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         removed.store(true, Ordering::Relaxed);
///         removals.notify(&"cart");
///     });
///     let mut listener = removals.listen(["cart"]);
///     while !removed.load(Ordering::Relaxed) {
///         listener.wait_for(Duration::from_secs(60));
///     }
/// });
/// assert_eq!(removals.listeners(), 0);
/// ```
#[derive(Debug)]
pub struct Events<K> {
    /// How many listen; changed under the lock.
    count: AtomicUsize,
    table: Mutex<Table<K>>,
}

#[derive(Debug)]
struct Table<K> {
    /// Each key that somebody listens for, with his number.
    keys: BTreeSet<(K, u64)>,
    slots: BTreeMap<u64, Slot>,
    next_number: u64,
}

#[derive(Debug, Default)]
struct Slot {
    is_notified: bool,
    waker: Option<Waker>,
}

/// One who listens for what happens to its keys; by [`Events::listen`]. Dropping it leaves nothing.
#[derive(Debug)]
#[must_use = "a listener that is dropped hears nothing"]
pub struct Listener<'a, K: Ord + Clone> {
    events: &'a Events<K>,
    keys: Vec<K>,
    number: u64,
}

impl<K: Ord + Clone> Events<K> {
    /// Nobody listens.
    pub fn new() -> Self {
        let (keys, slots) = (BTreeSet::new(), BTreeMap::new());
        Self {
            count: AtomicUsize::new(0),
            table: Mutex::new(Table { keys, slots, next_number: 0 }),
        }
    }

    /// Listens for what happens to any of `keys` from now on. Look afterwards whether it has happened already.
    pub fn listen(&self, keys: impl IntoIterator<Item = K>) -> Listener<'_, K> {
        let keys: Vec<K> = keys.into_iter().collect();
        let mut table = self.table.lock();
        let number = table.next_number;
        table.next_number += 1;
        table.keys.extend(keys.iter().map(|key| (key.clone(), number)));
        table.slots.insert(number, Slot::default());
        self.count.store(table.slots.len(), Ordering::Relaxed);
        drop(table);
        fence();
        Listener { events: self, keys, number }
    }

    /// Tells those who listen for `key` that it has happened, and wakes them. Whoever calls it has made the change
    /// already.
    ///
    /// A waker that panics ends the call: those that come after it are not woken, and have been told all the same.
    #[inline]
    pub fn notify(&self, key: &K) {
        fence();
        if self.count.load(Ordering::Relaxed) != 0 {
            self.notify_slow(key);
        }
    }

    #[cold]
    fn notify_slow(&self, key: &K) {
        let mut wakers = Vec::new();
        let mut table = self.table.lock();
        let Table { keys, slots, .. } = &mut *table;
        for (_, number) in keys.range((key.clone(), 0)..=(key.clone(), u64::MAX)) {
            if let Some(slot) = slots.get_mut(number) {
                slot.is_notified = true;
                wakers.extend(slot.waker.take());
            }
        }
        drop(table);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many listen just now.
    pub fn listeners(&self) -> usize {
        self.table.lock().slots.len()
    }
}

impl<K: Ord + Clone> Default for Events<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone> Listener<'_, K> {
    /// Takes the notification, if there was one since the last was taken: several in between are one. If there was
    /// none, the task of `context` is woken by the next; of several tasks, the one that has polled last.
    pub fn poll_notified(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let waker = context.waker().clone();
        let mut table = self.events.table.lock();
        let Some(slot) = table.slots.get_mut(&self.number) else { return Poll::Pending };
        if mem::take(&mut slot.is_notified) {
            return Poll::Ready(());
        }
        let older = slot.waker.replace(waker);
        drop(table);
        drop(older);
        Poll::Pending
    }

    /// Waits for a notification, and takes it, as [`poll_notified`](Self::poll_notified) does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no notification: the next call takes it.
    pub async fn notified(&mut self) {
        poll_fn(|context| self.poll_notified(context)).await;
    }

    /// Waits for a notification, and takes it, for no longer than `time`; `None` if that passes first.
    ///
    /// It blocks its thread; in a task use [`notified`](Self::notified).
    pub fn wait_for(&mut self, time: Duration) -> Option<()> {
        let deadline = Instant::now().checked_add(time);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        while self.poll_notified(&mut context).is_pending() {
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return None,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
        Some(())
    }
}

impl<K: Ord + Clone> Drop for Listener<'_, K> {
    fn drop(&mut self) {
        let mut table = self.events.table.lock();
        for key in self.keys.drain(..) {
            table.keys.remove(&(key, self.number));
        }
        let slot = table.slots.remove(&self.number);
        self.events.count.store(table.slots.len(), Ordering::Relaxed);
        drop(table);
        drop(slot);
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Comes before or after each other such fence, for everybody.
#[cfg(not(beaker_loom))]
fn fence() {
    crate::primitive::atomic::fence(Ordering::SeqCst);
}

#[cfg(beaker_loom)]
pub mod models;

#[cfg(all(test, not(beaker_loom)))]
mod tests;
