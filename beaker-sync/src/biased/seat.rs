//! The seats: one for each thread, where it says by what pass it reads.

use std::cell::Cell;
#[cfg(not(beaker_loom))]
use std::sync::OnceLock;

#[cfg(beaker_loom)]
use super::models::{all, find};
use crate::primitive::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::primitive::thread_local;

/// Where one thread says by what pass it reads.
///
/// Two cache lines, since neighbours are fetched in pairs: no thread slows another.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Seat {
    /// The pass; 0 is none.
    pass: AtomicUsize,
    is_taken: AtomicBool,
    #[cfg(not(beaker_loom))]
    next: OnceLock<&'static Seat>,
}

#[cfg(not(beaker_loom))]
thread_local! {
    // Without a destructor, so that asking is one load.
    static OWN: Cell<Option<&'static Seat>> = const { Cell::new(None) };
    static END: End = const { End };
}
#[cfg(beaker_loom)]
thread_local! {
    static OWN: Cell<Option<&'static Seat>> = Cell::new(None);
    // Loom ends what a model leaves outside of the model, where no seat can be given back.
    static END: () = ();
}

impl Seat {
    #[cfg(not(beaker_loom))]
    const fn new() -> Self {
        Self { pass: AtomicUsize::new(0), is_taken: AtomicBool::new(false), next: OnceLock::new() }
    }

    #[cfg(beaker_loom)]
    pub(super) fn new() -> Self {
        Self { pass: AtomicUsize::new(0), is_taken: AtomicBool::new(false) }
    }

    /// The calling thread's, if it has one.
    #[inline(always)]
    pub(super) fn own() -> Option<&'static Self> {
        OWN.with(Cell::get)
    }

    /// Gives the calling thread a seat, unless it has one, or is ending.
    pub(super) fn take() {
        if Self::own().is_none() && END.try_with(|_| ()).is_ok() {
            OWN.with(|own| own.set(Some(find())));
        }
    }

    /// All that anybody may sit on.
    pub(super) fn all() -> impl Iterator<Item = &'static Self> {
        all()
    }

    /// Makes it the caller's, if it is nobody's.
    pub(super) fn is_won(&self) -> bool {
        // Acquire: pairs with the release of who had it.
        let taken =
            self.is_taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok()
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.pass.load(Ordering::Relaxed) == 0
    }

    #[inline(always)]
    pub(super) fn sit(&self, pass: usize) {
        // Release: a writer that finds this, and not what `rise` left, must know that what was read before by this
        // seat is over, also by a thread that had it earlier.
        self.pass.store(pass, Ordering::Release);
    }

    #[inline(always)]
    pub(super) fn rise(&self) {
        self.pass.store(0, Ordering::Release);
    }

    pub(super) fn has(&self, pass: usize) -> bool {
        // Acquire: pairs with `rise` and `sit`, so what was read under the lock was read before.
        self.pass.load(Ordering::Acquire) == pass
    }
}

// Seats are never freed, because writers walk along them without a lock: there are as many as there
// ever were threads at a time that read. When a thread ends, another one gets its seat.
#[cfg(not(beaker_loom))]
static FIRST: Seat = Seat::new();

#[cfg(not(beaker_loom))]
fn all() -> impl Iterator<Item = &'static Seat> {
    std::iter::successors(Some(&FIRST), |seat| seat.next.get().copied())
}

#[cfg(not(beaker_loom))]
fn find() -> &'static Seat {
    let mut seat = &FIRST;
    while !seat.is_won() {
        seat = seat.next.get_or_init(|| Box::leak(Box::new(Seat::new())));
    }
    seat
}

/// Gives the seat back when its thread ends.
#[cfg(not(beaker_loom))]
struct End;

#[cfg(not(beaker_loom))]
impl Drop for End {
    fn drop(&mut self) {
        // A guard that outlives this keeps the seat for good.
        if let Some(seat) = Seat::own().filter(|seat| seat.is_empty()) {
            OWN.with(|own| own.set(None));
            seat.is_taken.store(false, Ordering::Release);
        }
    }
}
