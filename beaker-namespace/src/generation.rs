//! The numbers that tell one write from another.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use beaker_sync::process_id;

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A number for [`Entry::with_generation`](crate::Entry::with_generation) that no other call
/// returns, in this process or another; for stores that several processes write to.
///
/// A keyed hash of a counter and the process, with a key from the system's randomness. Two of a
/// billion are equal with a chance of one in 37. It has no order.
pub fn new_generation() -> u64 {
    // The process is in it because a forked child inherits key and counter.
    KEY.hash_one((process_id(), COUNTER.fetch_add(1, Ordering::Relaxed)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_number_comes_twice() {
        let all: BTreeSet<u64> = std::iter::repeat_with(new_generation).take(300).collect();
        assert_eq!(all.len(), 300);
    }
}
