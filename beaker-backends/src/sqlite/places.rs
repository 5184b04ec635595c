//! Where entries lie in their table, kept in memory, so that a hit need not go through the index.
//
// To find a row by its number costs SQLite a third less than to find the number in the index first. So a
// namespace remembers the numbers of rows that it read, and tries them first. They are hints and no more:
//
// 1. Each read is one of the database, of one moment, with the namespace's number as it is then. What
//    `clear` left behind is not found.
// 2. The record itself says by its sum which namespace and key it belongs to. Whatever else is found under
//    the number (nothing, another key's record, a damaged one) counts as a wrong hint, and the index is
//    asked. An entry that is written anew keeps its row, and one that is removed loses it.
// 3. Where a limit on the size is set each write gives its entry a new number, so hints would mostly be
//    wrong: there are none.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use beaker_namespace::Key;

/// Hints of one namespace: 256 KiB, made when the first one is noted.
const SLOTS: usize = 32 * 1024;

/// The bits of a hint that are the row's number; the others are of the key's hash, so that few keys take
/// each other's hints for their own. Zero is no hint: numbers begin with one.
const NUMBER_BITS: u32 = 48;

#[derive(Debug, Default)]
pub(super) struct Places {
    slots: OnceLock<Box<[AtomicU64]>>,
    hasher: RandomState,
}

impl Places {
    /// The row in which `key` was found last, perhaps.
    pub(super) fn of(&self, key: &Key) -> Option<i64> {
        let slots = self.slots.get()?;
        let hash = self.hasher.hash_one(key);
        // Relaxed: a hint publishes nothing.
        let hint = slots.get(slot(hash))?.load(Ordering::Relaxed);
        let is_own = hint != 0 && hint >> NUMBER_BITS == hash >> NUMBER_BITS;
        is_own.then_some((hint & low_bits()) as i64)
    }

    /// Notes that `key` was found in the row `number`.
    pub(super) fn note(&self, key: &Key, number: i64) {
        let Some(number) = u64::try_from(number).ok().filter(|number| *number <= low_bits()) else {
            return;
        };
        let slots = self.slots.get_or_init(|| (0..SLOTS).map(|_| AtomicU64::new(0)).collect());
        let hash = self.hasher.hash_one(key);
        if let Some(hint) = slots.get(slot(hash)) {
            hint.store(hash >> NUMBER_BITS << NUMBER_BITS | number, Ordering::Relaxed);
        }
    }
}

const fn low_bits() -> u64 {
    (1 << NUMBER_BITS) - 1
}

const fn slot(hash: u64) -> usize {
    hash as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_the_last_that_was_noted_for_the_key() {
        let places = Places::default();
        let (one, other) = (Key::new("one"), Key::new("other"));
        assert_eq!(places.of(&one), None);
        places.note(&one, 7);
        assert_eq!(places.of(&one), Some(7));
        assert_ne!(places.of(&other), Some(7), "it is another key's");
        places.note(&one, i64::MAX);
        assert_eq!(places.of(&one), Some(7), "a number that is too large is left out");
        places.note(&one, 8);
        assert_eq!(places.of(&one), Some(8));
    }

    #[test]
    fn keys_seldom_take_each_other_s_hints() {
        let places = Places::default();
        for number in 1..=SLOTS as i64 {
            places.note(&Key::new(&number), number);
        }
        let strange = |number: &i64| places.of(&Key::new(number)).is_some_and(|of| of != *number);
        // One in 65,536 is expected, where two keys share a slot.
        assert!((1..=SLOTS as i64).filter(strange).count() < 10);
    }
}
