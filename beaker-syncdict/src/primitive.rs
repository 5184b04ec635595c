//! The locks this crate is built on, and their stand-ins under two model checkers.
//!
//! `--cfg beaker_loom` or `--cfg beaker_shuttle` switches every lock, condition variable, thread
//! identity and thread-local to the checker's. So `tests/loom.rs` walks through all interleavings
//! of the very code that ships, and `tests/shuttle.rs` through random ones of more threads. Neither
//! knows time: a bounded wait of any length ends at once there, which is the case that races most.

use crate::flight_scope::FlightScope;

#[cfg(any(beaker_loom, beaker_shuttle))]
use self::model as form;
#[cfg(not(any(beaker_loom, beaker_shuttle)))]
use self::real as form;
#[cfg(any(beaker_loom, beaker_shuttle))]
pub use self::sabotage::with_sabotage;

pub(crate) use self::form::{Condvar, Mutex, MutexGuard, RwLock, ThreadKey, sabotaged};

/// The scopes that the calling thread is in, the innermost last.
///
/// `None` when the thread is ending and has lost them.
pub(crate) fn with_scopes<R>(use_them: impl FnOnce(&mut Vec<FlightScope>) -> R) -> Option<R> {
    form::SCOPES.try_with(|scopes| use_them(&mut scopes.borrow_mut())).ok()
}

/// A fault that the model tests put in on purpose, to show that they would find it.
///
/// The places that ask for it compile to nothing in an ordinary build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(any(beaker_loom, beaker_shuttle)),
    expect(unreachable_pub, reason = "public to the model tests alone")
)]
pub enum Sabotage {
    /// An abandoned flight wakes nobody.
    SilentHandOver,
    /// A waiter takes the lead and leaves it on offer for the next one.
    LeadTakenTwice,
    /// Detaching or replacing a flight does nothing.
    InvalidationForgotten,
    /// A creation is stored although its key was removed or set meanwhile.
    StaleFill,
    /// A miss is not looked up again when the lead is taken.
    NoSecondLook,
    /// A task looks for its outcome, and leaves its waker only afterwards.
    WakerLeftLate,
    /// A future that is dropped with the lead on offer to it passes it to nobody.
    LeadLostByDrop,
}

#[cfg(not(any(beaker_loom, beaker_shuttle)))]
mod real {
    use std::cell::{Cell, RefCell};
    use std::num::NonZeroU64;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    use super::Sabotage;
    use crate::flight_scope::FlightScope;

    // Beaker's own, whose models are in its crate.
    pub(crate) use beaker_sync::BiasedRwLock as RwLock;
    pub(crate) use parking_lot::{Mutex, MutexGuard};

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(parking_lot::Condvar);

    impl Condvar {
        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }

        /// Waits once; `false` when `deadline` passed first. The caller loops.
        pub(crate) fn wait<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            deadline: Option<Instant>,
        ) -> (MutexGuard<'a, T>, bool) {
            let in_time = match deadline {
                None => {
                    self.0.wait(&mut guard);
                    true
                }
                Some(deadline) => !self.0.wait_until(&mut guard, deadline).timed_out(),
            };
            (guard, in_time)
        }
    }

    /// Who a thread is: a number that is never given twice in one process.
    ///
    /// `std::thread::current().id()` says the same and costs a counted handle each time.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct ThreadKey(NonZeroU64);

    // Relaxed: the numbers need to differ, nothing else is ordered by them.
    static NEXT: AtomicU64 = AtomicU64::new(1);

    thread_local! {
        static KEY: Cell<Option<ThreadKey>> = const { Cell::new(None) };
        pub(super) static SCOPES: RefCell<Vec<FlightScope>> = const { RefCell::new(Vec::new()) };
    }

    impl ThreadKey {
        #[inline]
        pub(crate) fn current() -> Self {
            KEY.get().unwrap_or_else(Self::assign)
        }

        #[cold]
        fn assign() -> Self {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let key = Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MAX));
            KEY.set(Some(key));
            key
        }
    }

    #[inline(always)]
    pub(crate) const fn sabotaged(_fault: Sabotage) -> bool {
        false
    }
}

#[cfg(any(beaker_loom, beaker_shuttle))]
mod model {
    use std::cell::RefCell;
    use std::sync::PoisonError;
    use std::time::Instant;

    #[cfg(beaker_loom)]
    use loom as checker;
    #[cfg(not(beaker_loom))]
    use shuttle as checker;

    pub(crate) use self::checker::sync::MutexGuard;
    pub(crate) use super::sabotage::sabotaged;
    use crate::flight_scope::FlightScope;

    checker::thread_local! {
        pub(super) static SCOPES: RefCell<Vec<FlightScope>> = RefCell::new(Vec::new());
    }

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(checker::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(checker::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[derive(Debug)]
    pub(crate) struct RwLock<T>(checker::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(checker::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> checker::sync::RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn write(&self) -> checker::sync::RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(checker::sync::Condvar);

    impl Condvar {
        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }

        pub(crate) fn wait<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            deadline: Option<Instant>,
        ) -> (MutexGuard<'a, T>, bool) {
            if deadline.is_some() {
                return (guard, false);
            }
            (self.0.wait(guard).unwrap_or_else(PoisonError::into_inner), true)
        }
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct ThreadKey(checker::thread::ThreadId);

    impl ThreadKey {
        pub(crate) fn current() -> Self {
            Self(checker::thread::current().id())
        }
    }
}

#[cfg(any(beaker_loom, beaker_shuttle))]
mod sabotage {
    use std::cell::Cell;

    use super::Sabotage;

    // Both checkers run their threads as coroutines on the thread that calls them, so a std
    // thread-local is one value for the whole model and apart from the tests that run beside it.
    thread_local! {
        static FAULT: Cell<Option<Sabotage>> = const { Cell::new(None) };
    }

    /// Runs `model` with one fault built in.
    pub fn with_sabotage(fault: Sabotage, model: impl FnOnce()) {
        let _reset = Reset;
        FAULT.set(Some(fault));
        model();
    }

    struct Reset;

    impl Drop for Reset {
        fn drop(&mut self) {
            FAULT.set(None);
        }
    }

    pub(crate) fn sabotaged(fault: Sabotage) -> bool {
        FAULT.get() == Some(fault)
    }
}
