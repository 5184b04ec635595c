//! The numbers that tell one write from another.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A number for [`Entry::with_generation`](crate::Entry::with_generation) that no other call
/// returns, in this process or another; for stores that several processes write to.
///
/// A keyed hash of a counter and the process, with a key from the system's randomness. Two of a
/// billion are equal with a chance of one in 37. It has no order.
pub fn new_generation() -> u64 {
    new_generation_in(std::process::id())
}

/// As [`new_generation`], for who has just asked which process this is ([`std::process::id`]), which takes longer
/// than the rest.
///
/// With the number of another process it may return what that one's calls do.
pub fn new_generation_in(process: u32) -> u64 {
    // The process is in it because a forked child inherits key and counter.
    generation(process, COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// As many such numbers as one likes, for a batch: the system is asked once which process this is, which
/// takes longer than the rest.
///
/// They are of the process that made the iterator: a child that was forked since must not go on with it.
pub fn new_generations() -> impl Iterator<Item = u64> {
    let process = std::process::id();
    std::iter::repeat_with(move || generation(process, COUNTER.fetch_add(1, Ordering::Relaxed)))
}

fn generation(process: u32, count: u64) -> u64 {
    KEY.hash_one((process, count))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_number_comes_twice_from_one_call_or_from_many() {
        let mut batches = [new_generations(), new_generations()];
        let mut all = BTreeSet::new();
        for _ in 0..100 {
            let of_batches = batches.each_mut().map(|batch| batch.next().unwrap());
            let one_by_one = [new_generation(), new_generation_in(std::process::id())];
            all.extend(of_batches.into_iter().chain(one_by_one));
        }
        assert_eq!(all.len(), 400);
    }
}
