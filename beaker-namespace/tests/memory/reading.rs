//! What a caller sees who knows that the store is in memory.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::testkit::FaultStore;
use beaker_namespace::{Clock, Entry, Key, ManualClock, MemoryConfig, Namespace, NullNamespace};

use super::{memory, raw, text};

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
        let generation = known.read(key, |entry| Some(entry.generation()));
        assert_eq!(generation, store.get(key).unwrap().map(|entry| entry.generation()));
        assert!(store.remove(key).unwrap());
        assert_eq!(known.read(key, |entry| Some(entry.generation())), None);
    }
}

#[test]
fn a_read_that_serves_is_a_hit_and_any_other_a_miss() {
    let namespace = memory(MemoryConfig::new());
    namespace.set(&Key::new("k"), raw(&*namespace, 1)).unwrap();
    let counts = || (namespace.stats().hits, namespace.stats().misses);
    assert_eq!(namespace.read(&Key::new("k"), |entry| entry.payload().len_bytes()), Some(1));
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
    let live = |entry: &Entry| (!entry.is_dead(clock.now())).then_some(());
    assert_eq!(namespace.read(&Key::new("k"), live), None);
    assert_eq!((namespace.stats().entries, namespace.stats().expirations), (Some(0), 1));
}

#[test]
fn what_stands_in_front_of_a_store_is_not_passed_by() {
    let namespace = memory(MemoryConfig::new());
    assert!(FaultStore::new(namespace.clone()).in_memory().is_none());
    assert!(NullNamespace::new("n").in_memory().is_none());
    // A pointer to it stands for the store itself.
    assert!(Arc::ptr_eq(&Namespace::in_memory(&namespace).unwrap(), &namespace));
}
