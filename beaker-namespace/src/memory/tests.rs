//! Claims about the inside of a memory namespace: what it holds does not grow without end.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    Entry, Key, ManualClock, MemoryConfig, MemoryNamespace, Namespace, Payload, Timestamp, Wait,
};

fn memory(bound: u64) -> (Arc<ManualClock>, Arc<MemoryNamespace>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let config = MemoryConfig::new().max_entries(bound).clock(Arc::clone(&clock) as _);
    (clock, MemoryNamespace::anonymous(config).unwrap())
}

fn entry(namespace: &MemoryNamespace) -> Entry {
    Entry::new(Payload::raw("v"), namespace.clock().now())
}

fn sum(namespace: &MemoryNamespace, count: impl Fn(&super::shard::State) -> usize) -> usize {
    namespace.shards.iter().map(|shard| count(&shard.read())).sum()
}

#[test]
fn claims_that_are_dropped_or_fulfilled_leave_no_record() {
    let (_, namespace) = memory(1_000);
    let key = |n: u64| Key::new(&n);
    let claims: Vec<_> =
        (0..100).map(|n| namespace.claim(&key(n), Wait::Never).unwrap().unwrap()).collect();
    assert_eq!(sum(&namespace, |state| state.claims.len()), 100);
    for (n, claim) in (0..).zip(claims) {
        match n % 3 {
            0 => drop(claim),
            1 => assert!(namespace.fulfil(&key(n), entry(&namespace), claim).is_ok()),
            // Not the key that it is for.
            _ => assert!(namespace.fulfil(&key(n + 1_000), entry(&namespace), claim).is_ok()),
        }
    }
    assert_eq!(sum(&namespace, |state| state.claims.len()), 0);
}

#[test]
fn rewriting_a_key_sets_no_further_timers() {
    let (clock, namespace) = memory(1_000);
    for _ in 0..10_000 {
        let entry = entry(&namespace).ttl(Some(Duration::from_secs(3600)));
        namespace.set(&Key::new("hot"), entry).unwrap();
        clock.advance(Duration::from_millis(1));
    }
    assert_eq!(sum(&namespace, |state| state.timers_len()), 1);
}

#[test]
fn timers_of_what_was_removed_or_rewritten_shorter_do_not_pile_up() {
    let (_, namespace) = memory(1_000);
    for n in 0..50_000_u64 {
        let key = Key::new(&(n % 100));
        let ttl = Duration::from_secs(1_000_000 - n);
        namespace.set(&key, entry(&namespace).ttl(Some(ttl))).unwrap();
        if n % 2 == 0 {
            namespace.remove(&key).unwrap();
        }
    }
    let limit = 2 * 100 + 65 * namespace.shards.len();
    let timers = sum(&namespace, |state| state.timers_len());
    assert!(timers <= limit, "{timers} timers for 100 entries");
}

#[test]
fn seats_of_what_was_removed_do_not_pile_up() {
    let (_, namespace) = memory(1_000);
    for n in 0..50_000_u64 {
        namespace.set(&Key::new(&(n % 100)), entry(&namespace)).unwrap();
        namespace.remove(&Key::new(&(n % 100))).unwrap();
    }
    let seats = sum(&namespace, |state| state.seats());
    assert!(seats <= 65 * namespace.shards.len(), "{seats} seats for no entry");
}

#[test]
fn the_budget_is_what_the_entries_weigh() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let config = MemoryConfig::new().max_weight(10_000).clock(Arc::clone(&clock) as _);
    let namespace = MemoryNamespace::anonymous(config).unwrap();
    for n in 0..50_000_u64 {
        let key = Key::new(&(n * 7919 % 3_000));
        let cost = (n * 104_729 % 97) as u32;
        let ttl = (n % 3 == 0).then(|| Duration::from_secs(n % 50 + 1));
        let entry = entry(&namespace).cost(cost).ttl(ttl).tags(vec![(n % 1_000).to_string()]);
        namespace.set(&key, entry).unwrap();
        match n % 1_000 {
            10 => drop(namespace.remove_tag("5").unwrap()),
            20 => drop(namespace.sweep().unwrap()),
            n if n % 10 == 0 => drop(namespace.remove(&Key::new(&(n % 3_000))).unwrap()),
            _ => clock.advance(Duration::from_millis(10)),
        }
        if n % 101 == 0 {
            let entries = sum(&namespace, |state| {
                state.table.iter().map(|node| node.entry().weight().max(1) as usize).sum()
            });
            assert_eq!(namespace.stats().weight, Some(entries as u64));
            assert_eq!(namespace.budget.used(), entries as u64);
        }
    }
}

#[test]
fn a_small_bound_has_one_shard_and_a_large_one_many() {
    let shards = |bound| memory(bound).1.shards.len();
    assert_eq!(shards(1), 1);
    assert_eq!(shards(127), 1);
    assert_eq!(shards(128), 2);
    assert!(shards(1_000_000) >= 4);
    assert!(shards(1_000_000).is_power_of_two());
}
