//! What a caller sees who knows that the store is in memory.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::testkit::FaultStore;
use beaker_namespace::{
    Clock, Entry, Found, Key, ManualClock, MemoryConfig, Namespace, NullNamespace, Payload,
    Timestamp,
};
use proptest::prelude::*;

use super::{memory, object, raw, text};

/// Short ones, those around 16 and 30 bytes, where they are held in another way, and a long one.
fn keys() -> Vec<Key> {
    let mut keys: Vec<Key> = (0..70).map(|length| Key::new(&*"k".repeat(length))).collect();
    keys.extend((1..70).map(|length| Key::new(&*"\0".repeat(length))));
    keys.extend([0, 1, u64::MAX].map(|number| Key::new(&number)));
    keys.push(Key::new(&("k".repeat(40), 7)));
    keys
}

#[test]
fn both_ways_to_read_find_the_same_entry_under_every_key() {
    let namespace = memory(MemoryConfig::new());
    let store: Arc<dyn Namespace> = namespace.clone();
    let known = store.in_memory().unwrap();
    for (number, key) in keys().iter().enumerate() {
        store.set(key, raw(&*store, number)).unwrap();
    }
    for (number, key) in keys().iter().enumerate() {
        assert_eq!(text(&*store, key), Some(number.to_string()));
        let generation = known.read(key, |found| Some(found.entry().generation()));
        assert_eq!(generation, store.get(key).unwrap().map(|entry| entry.generation()));
        assert!(store.remove(key).unwrap());
        assert_eq!(known.read(key, |found| Some(found.entry().generation())), None);
    }
}

#[test]
fn a_read_that_serves_is_a_hit_and_any_other_a_miss() {
    let namespace = memory(MemoryConfig::new());
    namespace.set(&Key::new("k"), raw(&*namespace, 1)).unwrap();
    let counts = || (namespace.stats().hits, namespace.stats().misses);
    assert_eq!(
        namespace.read(&Key::new("k"), |found| found.entry().payload().len_bytes()),
        Some(1)
    );
    assert_eq!(counts(), (1, 0));
    assert_eq!(namespace.read(&Key::new("k"), |_| None::<()>), None);
    assert_eq!(namespace.read(&Key::new("absent"), |_| Some(())), None);
    assert_eq!(counts(), (1, 2));
}

#[test]
fn a_read_shows_a_dead_entry_and_its_miss_lets_it_go() {
    let clock = Arc::new(ManualClock::default());
    let namespace = memory(MemoryConfig::new().clock(clock.clone()));
    let entry = raw(&*namespace, 1).ttl(Some(Duration::from_secs(1)));
    namespace.set(&Key::new("k"), entry).unwrap();
    clock.advance(Duration::from_secs(2));
    let live = |found: Found<'_>| (!found.entry().is_dead(clock.now())).then_some(());
    assert_eq!(namespace.read(&Key::new("k"), live), None);
    assert_eq!((namespace.stats().entries, namespace.stats().expirations), (Some(0), 1));
}

#[test]
fn only_an_object_that_is_all_there_is_is_at_hand() {
    let namespace = memory(MemoryConfig::new());
    let number = || object(Arc::new(7_u32));
    let at_hand = |entry: Entry| {
        namespace.set(&Key::new("k"), entry).unwrap();
        let read = namespace.read(&Key::new("k"), |found| Some(found.object().cloned()));
        read.unwrap().map(|object| *object.downcast::<u32>().unwrap())
    };
    assert_eq!(at_hand(number()), Some(7));
    assert_eq!(at_hand(number().tags(vec!["t".into()])), None);
    assert_eq!(at_hand(number().etag(Some("e".into()))), None);
    assert_eq!(at_hand(raw(&*namespace, 7)), None);
    assert_eq!(at_hand(number()), Some(7));
}

#[test]
fn a_value_that_was_replaced_is_let_go() {
    let namespace = memory(MemoryConfig::new());
    let (old, new) = (Arc::new(1), Arc::new(2));
    namespace.set(&Key::new("k"), object(Arc::clone(&old))).unwrap();
    namespace.set(&Key::new("k"), object(Arc::clone(&new))).unwrap();
    assert_eq!(Arc::strong_count(&old), 1);
    assert!(namespace.remove(&Key::new("k")).unwrap());
    assert_eq!(Arc::strong_count(&new), 1);
}

proptest! {
    /// Whatever was stored in its shard before, and however the clock goes.
    #[test]
    fn what_was_found_is_fresh_whenever_its_entry_is(
        entries in prop::collection::vec((-5_000_000_i64..5_000_000, 0_u64..4_000_000), 1..20),
        nows in prop::collection::vec(-8_000_000_i64..8_000_000, 1..20),
    ) {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(-10_000_000)));
        // Few, so that there is one shard, and some are replaced.
        let config = MemoryConfig::new().max_entries(50).clock(Arc::clone(&clock) as _);
        let namespace = memory(config);
        let key = |number: usize| Key::new(&(number % 8));
        for (number, &(began, ttl)) in entries.iter().enumerate() {
            let entry = Entry::new(Payload::raw("v"), Timestamp::from_micros(began));
            let ttl = (ttl % 7 > 0).then_some(Duration::from_micros(ttl));
            namespace.set(&key(number), entry.ttl(ttl)).unwrap();
        }
        let expiries = entries.iter().map(|(began, ttl)| began + *ttl as i64);
        let nows: Vec<i64> = nows.into_iter().chain(expiries).collect();
        for (number, now) in (0..entries.len()).flat_map(|n| nows.iter().map(move |now| (n, now))) {
            let now = Timestamp::from_micros(*now);
            clock.set(now);
            let both = namespace.read(&key(number), |found| {
                let entry = found.entry();
                let of_found = (found.is_fresh(), found.expires());
                Some((of_found, (entry.is_fresh(now), entry.expires())))
            });
            let (of_found, of_entry) = both.unwrap();
            prop_assert_eq!(of_found, of_entry);
        }
    }
}

#[test]
fn what_stands_in_front_of_a_store_is_not_passed_by() {
    let namespace = memory(MemoryConfig::new());
    assert!(FaultStore::new(namespace.clone()).in_memory().is_none());
    assert!(NullNamespace::new("n").in_memory().is_none());
    // A pointer to it stands for the store itself.
    assert!(Arc::ptr_eq(&Namespace::in_memory(&namespace).unwrap(), &namespace));
}
