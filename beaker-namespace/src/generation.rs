//! The numbers that tell one write from another.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number for [`Entry::with_generation`](crate::Entry::with_generation) that no other call
/// returns, in this process or another; for stores that several processes write to.
///
/// A keyed hash of a counter and the process, with a key from the system's randomness. Two of a
/// billion are equal with a chance of one in 37. It has no order.
pub fn new_generation() -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    // The process is in it because a forked child inherits key and counter.
    KEY.hash_one((std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)))
}
