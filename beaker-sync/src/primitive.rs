// The few primitives that the locks are made of, with one face for two makers: parking_lot, and,
// under `--cfg beaker_loom`, loom, which runs a model through every order of its steps.

#[cfg(beaker_loom)]
pub(crate) use self::modelled::{Arc, Condvar, Mutex, MutexGuard, ThreadId, thread_id};
#[cfg(not(beaker_loom))]
pub(crate) use self::native::{Arc, Condvar, Mutex, MutexGuard, ThreadId, thread_id};

#[cfg(not(beaker_loom))]
mod native {
    pub(crate) use std::sync::Arc;
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        time::Instant,
    };

    pub(crate) use parking_lot::{Mutex, MutexGuard};

    /// The number of a thread, never used again.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct ThreadId(u64);

    /// The number of the calling thread; std's own costs a reference count each time.
    pub(crate) fn thread_id() -> ThreadId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only that no two are the same matters.
        thread_local!(static OWN: ThreadId = ThreadId(NEXT.fetch_add(1, Ordering::Relaxed)));
        OWN.with(|own| *own)
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(parking_lot::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        /// Waits for a notification, or less: the caller looks again in a loop.
        pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(&mut guard);
            guard
        }

        /// Waits likewise, no longer than until `deadline`; the second value is whether it passed.
        pub(crate) fn wait_until<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            deadline: Instant,
        ) -> (MutexGuard<'a, T>, bool) {
            let waited = self.0.wait_until(&mut guard, deadline);
            (guard, waited.timed_out())
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

#[cfg(beaker_loom)]
mod modelled {
    use std::{
        ops::{Deref, DerefMut},
        sync::PoisonError,
        time::Instant,
    };

    use loom::sync::MutexGuard as Locked;
    pub(crate) use loom::{sync::Arc, thread::ThreadId};

    /// The number of the calling model thread.
    pub(crate) fn thread_id() -> ThreadId {
        loom::thread::current().id()
    }

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T> {
        mutex: &'a Mutex<T>,
        locked: Locked<'a, T>,
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            let locked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            MutexGuard { mutex: self, locked }
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.locked
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.locked
        }
    }

    #[derive(Debug)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            let MutexGuard { mutex, locked } = guard;
            let locked = self.0.wait(locked).unwrap_or_else(PoisonError::into_inner);
            MutexGuard { mutex, locked }
        }

        /// Loom has no time: the deadline has passed when the others have had a turn.
        pub(crate) fn wait_until<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            _deadline: Instant,
        ) -> (MutexGuard<'a, T>, bool) {
            let mutex = guard.mutex;
            drop(guard);
            loom::thread::yield_now();
            (mutex.lock(), true)
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
