// The few primitives that the locks are made of, with one face for two makers: parking_lot, and,
// under `--cfg beaker_loom`, loom, which runs a model through every order of its steps.

#[cfg(beaker_loom)]
use self::modelled as form;
#[cfg(not(beaker_loom))]
use self::native as form;

pub(crate) use self::form::{
    Arc, Below, BelowReadGuard, BelowWriteGuard, Condvar, Mutex, MutexGuard, ThreadId, atomic,
    pause, thread_id, thread_local,
};

#[cfg(not(beaker_loom))]
mod native {
    use std::{
        hint,
        sync::atomic::{AtomicU64, Ordering},
        thread,
        time::{Duration, Instant},
    };
    pub(crate) use std::{
        sync::{Arc, atomic},
        thread_local,
    };

    pub(crate) use parking_lot::{Mutex, MutexGuard};

    /// The lock below a biased one.
    pub(crate) type Below = parking_lot::RwLock<()>;
    pub(crate) type BelowReadGuard<'a> = parking_lot::RwLockReadGuard<'a, ()>;
    pub(crate) type BelowWriteGuard<'a> = parking_lot::RwLockWriteGuard<'a, ()>;

    /// Lets others go on, the longer the more `looks` there were in vain.
    pub(crate) fn pause(looks: &mut u32) {
        *looks += 1;
        match *looks {
            ..100 => hint::spin_loop(),
            100..200 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(50)),
        }
    }

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
        sync::{PoisonError, TryLockError},
        time::{Duration, Instant},
    };

    use loom::sync::MutexGuard as Locked;
    use loom::sync::{RwLockReadGuard, RwLockWriteGuard};
    pub(crate) use loom::{
        sync::{Arc, atomic},
        thread::ThreadId,
        thread_local,
    };

    /// The number of the calling model thread.
    pub(crate) fn thread_id() -> ThreadId {
        loom::thread::current().id()
    }

    /// The lock below a biased one.
    #[derive(Debug)]
    pub(crate) struct Below(loom::sync::RwLock<()>);

    pub(crate) type BelowReadGuard<'a> = RwLockReadGuard<'a, ()>;
    pub(crate) type BelowWriteGuard<'a> = RwLockWriteGuard<'a, ()>;

    impl Below {
        pub(crate) fn new(value: ()) -> Self {
            Self(loom::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> BelowReadGuard<'_> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn write(&self) -> BelowWriteGuard<'_> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn try_read(&self) -> Option<BelowReadGuard<'_>> {
            free(self.0.try_read())
        }

        pub(crate) fn try_write(&self) -> Option<BelowWriteGuard<'_>> {
            free(self.0.try_write())
        }

        pub(crate) fn try_read_for(&self, _time: Duration) -> Option<BelowReadGuard<'_>> {
            self.try_read()
        }

        pub(crate) fn try_write_for(&self, _time: Duration) -> Option<BelowWriteGuard<'_>> {
            self.try_write()
        }
    }

    fn free<G>(tried: Result<G, TryLockError<G>>) -> Option<G> {
        match tried {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Lets the others have a turn.
    pub(crate) fn pause(_looks: &mut u32) {
        loom::thread::yield_now();
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
