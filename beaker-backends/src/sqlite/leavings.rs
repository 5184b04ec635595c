use std::collections::hash_map::IntoIter;
use std::sync::atomic::{AtomicBool, Ordering};

use beaker_namespace::{Entry, Key};
use parking_lot::Mutex;

use super::shelf::Entries;

/// Entries that one call frees.
const PER_CALL: usize = 4;

/// What was kept and is given out no more. It is freed bit by bit, by the reads that come after: ten
/// thousand entries at once were seen to take 5 milliseconds.
///
/// Each entry that is put on the shelf frees as many as four, so never more than one shelf waits here
/// for long.
#[derive(Debug, Default)]
pub(super) struct Leavings {
    /// Relaxed: whether it is worth while to take the lock.
    any: AtomicBool,
    shelves: Mutex<Vec<IntoIter<(u64, Key), Entry>>>,
}

impl Leavings {
    pub(super) fn add(&self, entries: Entries) {
        self.shelves.lock().push(entries.into_iter());
        self.any.store(true, Ordering::Relaxed);
    }

    pub(super) fn free_some(&self) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut shelves) = self.shelves.try_lock() else { return };
        for _ in 0..PER_CALL {
            let Some(shelf) = shelves.last_mut() else {
                self.any.store(false, Ordering::Relaxed);
                return;
            };
            if shelf.next().is_none() {
                shelves.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use beaker_namespace::{Payload, Timestamp};

    use super::*;

    #[test]
    fn all_is_freed_in_the_end_and_little_at_once() {
        let leavings = Leavings::default();
        let left = || leavings.shelves.lock().iter().map(ExactSizeIterator::len).sum::<usize>();
        for _ in 0..2 {
            let entry = Entry::new(Payload::raw("v"), Timestamp::from_micros(0));
            leavings.add((0..10_u64).map(|at| ((at, Key::new("k")), entry.clone())).collect());
        }
        leavings.free_some();
        assert_eq!(left(), 20 - PER_CALL);
        (0..20).for_each(|_| leavings.free_some());
        assert_eq!((left(), leavings.any.load(Ordering::Relaxed)), (0, false));
    }
}
