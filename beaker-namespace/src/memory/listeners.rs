//! Who is told of entries that left.
//
// 1. Listeners are told under no lock of the namespace, by the thread whose call displaced the entry.
//    A panic of one is caught and counted: the entries behind it and the other listeners are told.
// 2. A listener that displaces entries of this namespace is not called from within itself: the
//    outermost telling of the thread goes on with what came meanwhile. So a listener that stores
//    something for each entry that leaves uses no stack; and what it does not end is left, after
//    `MOST_MORE`, to the next telling.
// 3. The namespace does not keep a listener: whoever registered it does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};

use crate::{Departure, Key, OnDeparture};

/// The most entries that one call tells of beyond those that it displaced itself.
const MOST_MORE: usize = 1_000;

thread_local! {
    /// The namespaces whose listeners this thread is telling, by the address of their `Listeners`.
    static TELLING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
pub(super) struct Listeners {
    /// Whether there may be one: where there was none, a write costs one load.
    any: AtomicBool,
    all: RwLock<Arc<[Weak<OnDeparture>]>>,
    /// What listeners displaced themselves.
    pending: Mutex<VecDeque<(Key, Departure)>>,
    panics: AtomicU64,
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").field("any", &self.any()).finish_non_exhaustive()
    }
}

impl Listeners {
    pub(super) fn add(&self, listener: &Arc<OnDeparture>) {
        let mut all = self.all.write();
        let alive = all.iter().filter(|other| other.strong_count() > 0).cloned();
        *all = alive.chain([Arc::downgrade(listener)]).collect();
        // Release pairs with the load in `any`; the list is read under its lock anyway.
        self.any.store(true, Ordering::Release);
    }

    #[inline]
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Tells all of what left, unless this thread is just telling them something: see rule 2.
    #[cold]
    pub(super) fn tell(&self, left: Vec<(Key, Departure)>) {
        let Some(_telling) = Telling::begin(self) else {
            self.pending.lock().extend(left);
            return;
        };
        left.into_iter().for_each(|(key, why)| self.tell_of(&key, why));
        for _ in 0..MOST_MORE {
            let next = self.pending.lock().pop_front();
            let Some((key, why)) = next else { break };
            self.tell_of(&key, why);
        }
    }

    fn tell_of(&self, key: &Key, why: Departure) {
        let all = Arc::clone(&self.all.read());
        for listener in all.iter().filter_map(Weak::upgrade) {
            // Its last holder may let go meanwhile: then it is dropped in here, and may panic too.
            let told = catch_unwind(AssertUnwindSafe(move || listener(key, why)));
            if told.is_err() {
                self.panics.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Says that this thread tells the listeners of a namespace.
struct Telling(usize);

impl Telling {
    fn begin(listeners: &Listeners) -> Option<Self> {
        let this = std::ptr::from_ref(listeners).addr();
        // A thread that is ending tells at once: its list is gone.
        let begun = TELLING.try_with(|telling| {
            let mut telling = telling.borrow_mut();
            let nested = telling.contains(&this);
            if !nested {
                telling.push(this);
            }
            !nested
        });
        begun.unwrap_or(true).then(|| Self(this))
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let _at_thread_end = TELLING.try_with(|telling| {
            telling.borrow_mut().retain(|this| *this != self.0);
        });
    }
}
