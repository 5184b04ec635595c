//! The lock: when a reader may pass, and when a writer may begin.
#![allow(unsafe_code, reason = "it hands out what it protects: `guard.rs` has the other half")]

use std::cell::UnsafeCell;
use std::time::{Duration, Instant};
use std::{fmt, sync};

use super::fence;
use super::guard::{BiasedReadGuard, BiasedWriteGuard, Held};
use super::seat::Seat;
use crate::primitive::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::primitive::{Below, BelowWriteGuard, pause};

/// Readers may not pass.
const SHUT: usize = 0;

/// Reads in a row, through the lock below, after which readers need it no more. To shut them out
/// again takes the writer some microseconds: a nanosecond or two for each read of such a row.
#[cfg(not(any(beaker_loom, miri)))]
pub(super) const ROW: u32 = 1024;
/// The checkers look at every step.
#[cfg(beaker_loom)]
const ROW: u32 = 0;
#[cfg(miri)]
pub(super) const ROW: u32 = 4;

/// A reader/writer lock of this process for what is read much more often than it is written.
///
/// After 1,024 reads without a write a reader no longer takes the lock: it writes its own thread's seat,
/// which no other thread writes, so that a read costs about 2 ns where a lock costs 6, and
/// readers on many processors do not slow each other. The next write pays for that with a system call
/// (membarrier(2), some microseconds, and a look at the seat of every thread that reads) and makes readers
/// take the lock until there are as many again. So it suits tables that are looked up; where every hundredth
/// call writes, it is an ordinary lock.
///
/// A thread has one seat: its first read, and a read while it reads already, take the lock. So does every read
/// where the system has no membarrier (not Linux, an old kernel, a sandbox).
///
/// # Concurrency
///
/// A writer waits for those who read, and keeps new readers out: those who pass, from the moment on when nobody
/// reads by the lock itself. A thread that reads, and asks to read again while a writer waits, may wait for
/// ever, as may one that asks to write while it reads. A panic in a writer poisons nothing. A
/// reader must be quick: a writer that waits for it sleeps between looks, 50 µs at a time. A try may fail
/// because somebody only looked whether he may read.
///
/// The first row of reads in a process that is long enough asks the system for its fences once, which
/// may take milliseconds in a program that has several threads already; this lock is not held meanwhile.
///
/// A guard that is forgotten (`mem::forget`) keeps writers of its lock out for ever, and its thread's seat. A child
/// made by `fork` must not use a lock that another thread of its parent might have held, as with
/// any lock.
///
/// # Examples
///
/// ```
/// use beaker_sync::BiasedRwLock;
///
/// let routes = BiasedRwLock::new(vec!["/"]);
/// routes.write().push("/login");
/// assert_eq!(routes.read().len(), 2);
/// ```
pub struct BiasedRwLock<T: ?Sized> {
    /// Writers take it, and readers while they may not pass.
    below: Below,
    /// By what readers may pass: a number that nothing else ever had, or 0 for "not at all". Set by a
    /// reader that holds `below`, cleared by a writer that does.
    open: AtomicUsize,
    /// Reads through `below` since the last write: a guess, since readers write over each other.
    row: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: as a `RwLock`: it hands out `&T` to several threads and `&mut T`, by which `T` can be moved, to
// one that is then alone.
unsafe impl<T: ?Sized + Send + Sync> Sync for BiasedRwLock<T> {}

/// `const` but for loom, whose locks are made at run time.
macro_rules! new {
    ($($const:tt)?) => {
        /// A lock that nobody holds.
        pub $($const)? fn new(value: T) -> Self {
            Self {
                below: Below::new(()),
                open: AtomicUsize::new(SHUT),
                row: AtomicU32::new(0),
                value: UnsafeCell::new(value),
            }
        }
    };
}

impl<T> BiasedRwLock<T> {
    #[cfg(not(beaker_loom))]
    new!(const);
    #[cfg(beaker_loom)]
    new!();

    /// What it protects.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> BiasedRwLock<T> {
    /// What it protects; nobody else can hold it, since it is borrowed.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Waits until nobody writes, for as long as that takes.
    #[inline(always)]
    pub fn read(&self) -> BiasedReadGuard<'_, T> {
        let held = self.pass().unwrap_or_else(|| self.read_below());
        BiasedReadGuard::new(self, held)
    }

    /// The right to read, if nobody writes just now.
    #[inline]
    pub fn try_read(&self) -> Option<BiasedReadGuard<'_, T>> {
        let below = || self.below.try_read().map(Held::Below);
        let held = self.pass().or_else(below)?;
        Some(BiasedReadGuard::new(self, held))
    }

    /// As [`read`](Self::read), for no longer than `time`.
    pub fn try_read_for(&self, time: Duration) -> Option<BiasedReadGuard<'_, T>> {
        let below = || self.below.try_read_for(time).map(Held::Below);
        let held = self.pass().or_else(below)?;
        Some(BiasedReadGuard::new(self, held))
    }

    /// Waits until nobody else reads or writes, for as long as that takes.
    ///
    /// # Panics
    ///
    /// If the system refuses the fence that it granted before (a sandbox that was put up after the
    /// program began, and that forbids membarrier). The lock is free then, and can be read.
    pub fn write(&self) -> BiasedWriteGuard<'_, T> {
        let below = self.below.write();
        self.shut(None);
        BiasedWriteGuard::new(self, below)
    }

    /// The right to write, if nobody reads or writes just now.
    ///
    /// # Panics
    ///
    /// As [`write`](Self::write).
    pub fn try_write(&self) -> Option<BiasedWriteGuard<'_, T>> {
        self.alone(self.below.try_write()?, Some(Duration::ZERO))
    }

    /// As [`write`](Self::write), for no longer than `time`.
    ///
    /// # Panics
    ///
    /// As [`write`](Self::write).
    pub fn try_write_for(&self, time: Duration) -> Option<BiasedWriteGuard<'_, T>> {
        let start = Instant::now();
        let below = self.below.try_write_for(time)?;
        self.alone(below, Some(time.saturating_sub(start.elapsed())))
    }

    fn alone<'a>(
        &'a self,
        below: BelowWriteGuard<'a>,
        time: Option<Duration>,
    ) -> Option<BiasedWriteGuard<'a, T>> {
        self.shut(time).then(|| BiasedWriteGuard::new(self, below))
    }

    #[cfg(all(test, not(beaker_loom)))]
    pub(super) fn is_passed_by(&self, seat: &Seat) -> bool {
        seat.has(self.open.load(Ordering::Relaxed))
    }

    pub(super) const fn value(&self) -> *mut T {
        self.value.get()
    }

    /// Lets the calling thread read without the lock below, if it may.
    #[inline(always)]
    fn pass(&self) -> Option<Held<'_>> {
        let pass = self.open.load(Ordering::Relaxed);
        if pass == SHUT {
            return None;
        }
        let seat = Seat::own().filter(|seat| seat.is_empty())?;
        seat.sit(pass);
        fence::light();
        // Acquire: pairs with the release of who opened, and saw what the last writer wrote.
        if self.open.load(Ordering::Acquire) == pass {
            return Some(Held::Seat(seat));
        }
        seat.rise();
        None
    }

    #[cold]
    #[inline(never)]
    fn read_below(&self) -> Held<'_> {
        // Asked before the lock is taken: the first answer takes long.
        let may_open = self.row.load(Ordering::Relaxed) >= ROW && fence::are_there();
        let below = self.below.read();
        // Looked at again: a writer that was waited for has ended the row.
        let row = self.row.load(Ordering::Relaxed);
        if self.open.load(Ordering::Relaxed) != SHUT {
            Seat::take();
        } else if row < ROW {
            self.row.store(row + 1, Ordering::Relaxed);
        } else if may_open {
            self.open_up();
        }
        Held::Below(below)
    }

    /// Lets readers pass. The caller holds the lock below, shared with others who may do the same.
    fn open_up(&self) {
        Seat::take();
        // Another may have opened first, and somebody passed by that. Release: a reader that passes sees
        // what the last writer wrote.
        let (new, then) = (next_pass(), Ordering::Release);
        let _first = self.open.compare_exchange(SHUT, new, then, Ordering::Relaxed);
    }

    /// Lets no more readers pass, and waits for those that did, no longer than `time`. The caller holds the
    /// lock below, alone; `false` if somebody reads still.
    #[inline]
    fn shut(&self, time: Option<Duration>) -> bool {
        // Relaxed: who opened held the lock below.
        let pass = self.open.load(Ordering::Relaxed);
        let is_shut = pass == SHUT || self.shut_out(pass, time);
        if is_shut {
            self.row.store(0, Ordering::Relaxed);
        }
        is_shut
    }

    #[cold]
    fn shut_out(&self, pass: usize, time: Option<Duration>) -> bool {
        // A fence disturbs every processor: not for what fails anyway.
        if time == Some(Duration::ZERO) && Seat::all().any(|seat| seat.has(pass)) {
            return false;
        }
        self.open.store(SHUT, Ordering::Relaxed);
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        let is_fenced = fence::heavy();
        let gone = is_fenced && Seat::all().all(|seat| waits_for(seat, pass, deadline));
        if !gone {
            // Who writes next must look at the seats again.
            self.open.store(pass, Ordering::Release);
        }
        assert!(
            is_fenced,
            "the system refuses membarrier, which it allowed when this program began"
        );
        gone
    }
}

/// A number that no lock has had. Where a `usize` has 32 bits it comes again after four billion openings; then a
/// writer may wait for a reader of another lock.
fn next_pass() -> usize {
    // Relaxed: the numbers need to differ, nothing else is ordered by them.
    static NEXT: sync::atomic::AtomicUsize = sync::atomic::AtomicUsize::new(SHUT + 1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Waits until the thread of `seat` has left what it passed by `pass`; `false` when `deadline` passed first.
fn waits_for(seat: &Seat, pass: usize, deadline: Option<Instant>) -> bool {
    let mut looks = 0;
    while seat.has(pass) {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        pause(&mut looks);
    }
    true
}

impl<T: Default> Default for BiasedRwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for BiasedRwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("BiasedRwLock");
        match self.try_read() {
            Some(value) => shown.field("value", &&*value).finish(),
            None => shown.finish_non_exhaustive(),
        }
    }
}
