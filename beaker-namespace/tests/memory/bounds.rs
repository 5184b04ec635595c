//! Bounds hold exactly, by count and by weight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use beaker_namespace::{ErrorKind, Fulfilled, Key, Mark, MemoryConfig, Namespace, Timestamp, Wait};

use super::{Random, entries, memory, object, raw, text};

#[test]
fn a_bound_by_count_is_never_passed_and_fully_used() {
    for bound in [1, 2, 3, 7, 10, 63, 64, 65, 100, 1_000, 5_000] {
        let namespace = memory(MemoryConfig::new().max_entries(bound));
        for n in 0..bound * 3 {
            namespace.set(&Key::new(&n), raw(&*namespace, n)).unwrap();
            if n % 64 == 0 {
                assert!(entries(&*namespace) <= bound, "bound {bound}");
            }
        }
        assert_eq!(entries(&*namespace), bound);
        assert_eq!(namespace.stats().evictions, bound * 2);
    }
}

#[test]
fn marks_are_not_evicted_and_take_no_room() {
    let namespace = memory(MemoryConfig::new().max_weight(100));
    let mark = |n: u32| Mark::hard(Timestamp::from_micros(n.into()));
    for n in 0..1_000 {
        namespace.mark(&n.to_string(), mark(n)).unwrap();
        namespace.set(&Key::new(&n), raw(&*namespace, n)).unwrap();
    }
    assert_eq!((entries(&*namespace), namespace.stats().weight), (100, Some(100)));
    for n in 0..1_000 {
        assert_eq!(namespace.marks(&mut [&*n.to_string()].into_iter()).unwrap(), mark(n));
    }
}

#[test]
fn rewriting_a_full_namespace_evicts_nothing() {
    let namespace = memory(MemoryConfig::new().max_entries(100));
    for n in 0..1_000 {
        namespace.set(&Key::new(&(n % 100)), raw(&*namespace, n)).unwrap();
    }
    assert_eq!((entries(&*namespace), namespace.stats().evictions), (100, 0));
}

#[test]
fn what_is_removed_or_cleared_makes_room() {
    let namespace = memory(MemoryConfig::new().max_weight(100));
    let fill = |from: u32| {
        for n in from..from + 10 {
            namespace.set(&Key::new(&n), raw(&*namespace, n).cost(10)).unwrap();
        }
    };
    fill(0);
    (0..10).for_each(|n| assert!(namespace.remove(&Key::new(&n)).unwrap()));
    assert_eq!(namespace.stats().weight, Some(0));
    fill(10);
    namespace.clear().unwrap();
    fill(20);
    assert_eq!(namespace.remove_tag("none").unwrap(), 0);
    let stats = namespace.stats();
    assert_eq!((stats.evictions, stats.weight), (0, Some(100)));
}

#[test]
fn an_entry_as_heavy_as_the_bound_takes_everything() {
    for bound in [10, 1_000_000] {
        let namespace = memory(MemoryConfig::new().max_weight(u64::from(bound)));
        for n in 0..1_000 {
            namespace.set(&Key::new(&n), raw(&*namespace, n).cost(bound / 10)).unwrap();
        }
        namespace.set(&Key::new("heavy"), raw(&*namespace, "v").cost(bound)).unwrap();
        assert_eq!(entries(&*namespace), 1);
        assert_eq!(text(&*namespace, &Key::new("heavy")).as_deref(), Some("v"));
    }
}

#[test]
fn an_entry_heavier_than_the_bound_is_refused_and_voids_what_it_was_to_replace() {
    let namespace = memory(MemoryConfig::new().max_weight(1_000_000));
    let (key, other) = (Key::new("k"), Key::new("other"));
    namespace.set(&key, raw(&*namespace, "old")).unwrap();
    namespace.set(&other, raw(&*namespace, "v")).unwrap();
    let error = namespace.set(&key, raw(&*namespace, "new").cost(1_000_001)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(text(&*namespace, &key), None);
    assert_eq!(text(&*namespace, &other).as_deref(), Some("v"), "the others stay");
}

#[test]
fn a_claim_whose_value_is_too_heavy_is_over() {
    let namespace = memory(MemoryConfig::new().max_weight(10));
    let key = Key::new("k");
    let claim = namespace.claim(&key, Wait::Never).unwrap().unwrap();
    let error = namespace.fulfil(&key, raw(&*namespace, "v").cost(11), claim).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let claim = namespace.claim(&key, Wait::Never).unwrap().unwrap();
    let fulfilled = namespace.fulfil(&key, raw(&*namespace, "v"), claim).unwrap();
    assert_eq!(fulfilled, Fulfilled::Stored);
}

#[test]
fn a_weight_of_zero_counts_as_one() {
    let namespace = memory(MemoryConfig::new().max_weight(10));
    for n in 0..100 {
        namespace.set(&Key::new(&n), raw(&*namespace, n).cost(0)).unwrap();
    }
    assert_eq!(entries(&*namespace), 10);
}

/// Sizes from 1 byte to 1 MiB, most of them small.
fn size(random: &mut Random) -> u32 {
    let bits = random.below(21) as u32;
    1 + (random.next() as u32 & ((1 << bits) - 1))
}

#[test]
fn f66_random_sizes_never_weigh_more_than_the_cap() {
    const CAP: u64 = 64 << 20;
    let namespace = memory(MemoryConfig::new().max_weight(CAP));
    let mut random = Random(42);
    for n in 0..100_000_u64 {
        let size = size(&mut random);
        let key = Key::new(&random.below(50_000));
        namespace.set(&key, object(Arc::new(())).cost(size)).unwrap();
        if n % 97 == 0 {
            let weight = namespace.stats().weight.unwrap();
            assert!(weight <= CAP, "{weight} after {n} inserts");
        }
    }
    let weight = namespace.stats().weight.unwrap();
    assert!(weight > CAP / 10 * 9, "only {weight} of the cap is used");
}

#[test]
fn f66_the_cap_holds_while_eight_threads_write_and_heavy_entries_come() {
    const CAP: u64 = 1 << 20;
    let namespace = memory(MemoryConfig::new().max_weight(CAP));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (1..=8)
            .map(|seed| {
                let namespace = &namespace;
                scope.spawn(move || {
                    let mut random = Random(seed);
                    for n in 0..5_000 {
                        let heavy = n % 500 == 0;
                        let cost = if heavy { CAP as u32 } else { size(&mut random) >> 4 };
                        let key = Key::new(&random.below(2_000));
                        namespace.set(&key, object(Arc::new(())).cost(cost)).unwrap();
                        if n % 7 == 0 {
                            namespace.remove(&Key::new(&random.below(2_000))).unwrap();
                        }
                    }
                })
            })
            .collect();
        let observer = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let weight = namespace.stats().weight.unwrap();
                // The shards are summed one after the other, while writers move weight between
                // them: what moved is seen twice at most.
                assert!(weight <= CAP * 2);
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
        observer.join().unwrap();
    });
    assert!(namespace.stats().weight.unwrap() <= CAP);
    namespace.clear().unwrap();
    namespace.set(&Key::new("all"), object(Arc::new(())).cost(CAP as u32)).unwrap();
    assert_eq!(namespace.stats().weight, Some(CAP), "no weight was lost on the way");
}
