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
/// No more than one shelf waits here: what is left of the one before it is freed at once, since one read
/// can put more on a shelf than it frees.
#[derive(Debug, Default)]
pub(super) struct Leavings {
    /// Relaxed: whether it is worth while to take the lock.
    any: AtomicBool,
    shelf: Mutex<Option<IntoIter<(u64, Key), Entry>>>,
}

impl Leavings {
    /// The caller holds no lock, since this may take its time.
    pub(super) fn add(&self, entries: Entries) {
        let before = self.shelf.lock().replace(entries.into_iter());
        self.any.store(true, Ordering::Relaxed);
        drop(before);
    }

    pub(super) fn free_some(&self) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut shelf) = self.shelf.try_lock() else { return };
        let Some(entries) = shelf.as_mut() else { return };
        if entries.by_ref().take(PER_CALL).count() < PER_CALL {
            *shelf = None;
            self.any.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use beaker_namespace::{Payload, Timestamp};

    use super::*;

    fn entries() -> Entries {
        let entry = Entry::new(Payload::raw("v"), Timestamp::from_micros(0));
        (0..10_u64).map(|at| ((at, Key::new("k")), entry.clone())).collect()
    }

    fn left(leavings: &Leavings) -> usize {
        leavings.shelf.lock().as_ref().map_or(0, ExactSizeIterator::len)
    }

    #[test]
    fn all_is_freed_in_the_end_and_little_at_once() {
        let leavings = Leavings::default();
        leavings.add(entries());
        leavings.free_some();
        assert_eq!(left(&leavings), 10 - PER_CALL);
        (0..10).for_each(|_| leavings.free_some());
        assert_eq!((left(&leavings), leavings.any.load(Ordering::Relaxed)), (0, false));
    }

    #[test]
    fn never_more_than_one_shelf_waits() {
        let leavings = Leavings::default();
        (0..3).for_each(|_| leavings.add(entries()));
        assert_eq!(left(&leavings), 10);
    }
}
