//! The LRU kind: bounded by count.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use beaker_syncdict::{Lru, SyncDict};

use crate::support::{in_time, spawn};

fn bounded(capacity: usize) -> SyncDict<u32, u32, Lru> {
    SyncDict::lru(NonZeroUsize::new(capacity).unwrap())
}

#[test]
fn least_recently_used_value_goes_first() {
    let dict = bounded(3);
    for n in 1..=3 {
        dict.insert(n, n);
    }
    assert_eq!(dict.get(&1), Some(1)); // a use
    assert!(dict.contains_key(&2)); // no use
    assert_eq!(dict.get_or_create(&4, || 4), Ok(4));
    assert_eq!([1, 2, 3, 4].map(|n| dict.contains_key(&n)), [true, false, true, true]);
}

#[test]
fn number_of_values_never_exceeds_the_capacity() {
    for capacity in [1, 2, 3, 1_000, 1_001, 5_000] {
        let dict = bounded(capacity);
        for n in 0..20_000 {
            assert_eq!(dict.get_or_create(&n, || n), Ok(n));
            if n % 997 == 0 {
                assert!(dict.len() <= capacity);
            }
        }
        // Every shard is full after so many keys.
        assert_eq!(dict.len(), capacity);
    }
}

#[test]
fn shards_share_the_capacity() {
    for shards in [0, 1, 3, 4, 64, 5_000] {
        let capacity = NonZeroUsize::new(10).unwrap();
        let dict = SyncDict::<u32, u32, Lru>::lru_with_shards(capacity, shards);
        (0..10_000).for_each(|n| assert_eq!(dict.insert(n, n), None));
        assert_eq!(dict.len(), 10, "{shards} shards");
    }
}

#[test]
fn clear_keeps_the_bound() {
    let dict = bounded(2);
    dict.insert(1, 1);
    dict.clear();
    assert!(dict.is_empty());
    (0..10).for_each(|n| assert_eq!(dict.insert(n, n), None));
    assert_eq!(dict.len(), 2);
}

#[test]
fn evicted_value_is_dropped_without_a_lock() {
    in_time(|| {
        struct Visitor(Arc<SyncDict<u8, Arc<Visitor>, Lru>>);
        impl Drop for Visitor {
            fn drop(&mut self) {
                self.0.contains_key(&7); // waits for itself if the shard is still locked
            }
        }
        let dict = Arc::new(SyncDict::lru(NonZeroUsize::MIN));
        for n in 0..4 {
            dict.insert(n, Arc::new(Visitor(Arc::clone(&dict))));
        }
        assert!(dict.contains_key(&3));
        dict.clear();
    });
}

#[test]
fn one_creation_for_all_who_ask_at_once() {
    let dict = Arc::new(bounded(16));
    let created = Arc::new(AtomicUsize::new(0));
    let start = Arc::new(Barrier::new(16));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (dict, created, start) =
                (Arc::clone(&dict), Arc::clone(&created), Arc::clone(&start));
            spawn(move || {
                start.wait();
                let create = || {
                    created.fetch_add(1, Ordering::SeqCst);
                    5
                };
                dict.get_or_create(&1, create)
            })
        })
        .collect();
    assert!(tasks.into_iter().all(|task| task.join() == Ok(5)));
    assert_eq!(created.load(Ordering::SeqCst), 1);
}
