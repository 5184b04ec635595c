//! Where a namespace is, kept in memory, so that a read need not look it up.
//
// The rules, where one process has the store:
// 1. A change that is about to write the namespace's row counts `begun`. `ended` is counted once the
//    change was kept, or was refused. If nobody knows what came of it, `ended` stays behind, and
//    reads look the row up until the store is opened anew.
// 2. While both are equal the row is not being written, and the number is the stamp of what it says.
// 3. A read takes the stamp before its view of the store begins, and looks at `begun` again in the
//    view. If that is still the same, the view shows the row of that stamp: it may be remembered
//    under the stamp, or taken from what was remembered under it.
//
// Where processes share the store, another one may write the row, and nothing is remembered.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::rows::Home;

#[derive(Debug, Default)]
pub(super) struct Place {
    begun: AtomicU64,
    ended: AtomicU64,
    known: RwLock<Option<(u64, Home)>>,
}

impl Place {
    /// How often a write of the row was begun.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// The row is about to be written.
    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    /// So many writes of it were kept, or refused.
    pub(super) fn end(&self, writes: u64) {
        if writes > 0 {
            self.ended.fetch_add(writes, Ordering::SeqCst);
        }
    }

    /// The stamp of now; `None` while the row is being written.
    pub(super) fn stamp(&self) -> Option<u64> {
        // In this order: a write that ends in between was begun before.
        let ended = self.ended.load(Ordering::SeqCst);
        (self.begun() == ended).then_some(ended)
    }

    /// What the row says under `stamp`, if that was remembered.
    pub(super) fn known(&self, stamp: u64) -> Option<Home> {
        self.known.read().filter(|(known, _)| *known == stamp).map(|(_, home)| home)
    }

    pub(super) fn remember(&self, stamp: u64, home: Home) {
        *self.known.write() = Some((stamp, home));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(id: u64) -> Home {
        Home { id, epoch: 0, ledger: None }
    }

    #[test]
    fn there_is_no_stamp_while_the_row_is_being_written() {
        let place = Place::default();
        let before = place.stamp().unwrap();
        place.begin();
        assert_eq!(place.stamp(), None);
        place.end(1);
        assert_ne!(place.stamp(), Some(before));
        assert!(place.stamp().is_some());
    }

    #[test]
    fn what_was_remembered_does_not_outlive_a_write_of_the_row() {
        let place = Place::default();
        let stamp = place.stamp().unwrap();
        place.remember(stamp, home(1));
        assert_eq!(place.known(stamp), Some(home(1)));
        place.begin();
        place.end(1);
        // A slow reader remembers the past.
        place.remember(stamp, home(1));
        assert_eq!(place.known(place.stamp().unwrap()), None);
    }
}
