//! Hits and misses, counted without a locked instruction.
//
// A locked addition costs about as much as the look-up itself once the entry is in the cache, so:
// 1. Each thread has a slot number that no other living thread has. Slots are given back when
//    threads end, through a mutex, so the next owner of a slot sees what the last one wrote.
// 2. A thread whose slot is below `CELLS` is the only writer of that cell, so it may load, add and
//    store. The other threads add to one shared cell with locked instructions.
// Nothing is lost in either case.

use std::cell;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// This many threads at a time have a cell of their own.
const CELLS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Counters {
    own: [Cell; CELLS],
    shared: Cell,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Cell {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Counters {
    #[inline]
    pub(super) fn hit(&self) {
        self.add(|cell| &cell.hits);
    }

    #[inline]
    pub(super) fn miss(&self) {
        self.add(|cell| &cell.misses);
    }

    pub(super) fn hits(&self) -> u64 {
        self.sum(|cell| &cell.hits)
    }

    pub(super) fn misses(&self) -> u64 {
        self.sum(|cell| &cell.misses)
    }

    #[inline(always)]
    fn add(&self, counter: impl Fn(&Cell) -> &AtomicU64) {
        match self.own.get(OWN.get()) {
            Some(cell) => {
                let counter = counter(cell);
                counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
            None => self.add_slow(counter),
        }
    }

    /// The first time of a thread, and always of one that has no cell of its own.
    #[cold]
    fn add_slow(&self, counter: impl Fn(&Cell) -> &AtomicU64) {
        // A thread that is ending has given its slot back already.
        let _given_back = SLOT.try_with(|slot| OWN.set(slot.0));
        match self.own.get(OWN.get()) {
            Some(_) => self.add(counter),
            None => {
                counter(&self.shared).fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn sum(&self, counter: impl Fn(&Cell) -> &AtomicU64) -> u64 {
        let cells = self.own.iter().chain([&self.shared]);
        cells.map(|cell| counter(cell).load(Ordering::Relaxed)).sum()
    }
}

/// A number that no other living thread has.
struct Slot(usize);

thread_local! {
    static SLOT: Slot = Slot::take();
    /// The number in `SLOT` while the thread has one. Read without asking whether the thread ends.
    static OWN: cell::Cell<usize> = const { cell::Cell::new(usize::MAX) };
}

static FREE: Mutex<Free> = Mutex::new(Free { given_back: Vec::new(), next: 0 });

struct Free {
    given_back: Vec<usize>,
    next: usize,
}

impl Slot {
    #[cold]
    fn take() -> Self {
        let mut free = FREE.lock();
        let slot = free.given_back.pop().unwrap_or(free.next);
        free.next = free.next.max(slot + 1);
        Self(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        OWN.set(usize::MAX);
        FREE.lock().given_back.push(self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn no_count_is_lost_whatever_the_number_of_threads() {
        let counters = Counters::default();
        for _ in 0..3 {
            thread::scope(|scope| {
                for _ in 0..CELLS * 2 {
                    scope.spawn(|| (0..1_000).for_each(|_| counters.hit()));
                }
            });
        }
        assert_eq!(counters.hits(), 3 * 2 * CELLS as u64 * 1_000);
        assert_eq!(counters.misses(), 0);
    }
}
