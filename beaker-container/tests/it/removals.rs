//! Who is told of values that leave.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use beaker_container::config::{CacheOptions, Config};
use beaker_container::{
    Cache, CacheManager, Created, Invalidation, Invalidator, Policy, RemovalCause, Stale,
};
use beaker_namespace::{Key, MemoryConfig, MemoryNamespace};

use crate::harness::Lab;

type Told = (Option<String>, RemovalCause);

/// The cache with a listener, and what that is told.
fn listening<K: 'static, V: Clone + Send + Sync + 'static>(
    cache: Cache<K, V>,
) -> (Cache<K, V>, Receiver<Told>) {
    let (sender, told) = channel();
    let sender = Mutex::new(sender);
    let cache = cache.on_removal(move |key, cause| {
        // Who no longer asks is told all the same.
        let _gone = sender.lock().unwrap().send((key.map(Key::to_string), cause.clone()));
    });
    (cache, told)
}

fn all(told: &Receiver<Told>) -> Vec<Told> {
    told.try_iter().collect()
}

fn of(key: &str, cause: RemovalCause) -> Vec<Told> {
    vec![(Some(key.to_owned()), cause)]
}

fn invalidated(by: Invalidator, kind: Invalidation) -> Vec<Told> {
    vec![(None, RemovalCause::Invalidated { by, kind })]
}

#[test]
fn the_memory_store_tells_of_what_it_evicts_replaces_and_lets_expire() {
    let lab = Lab::memory();
    let config = MemoryConfig::new().max_entries(1).clock(lab.clock.clone());
    let namespace = MemoryNamespace::anonymous(config).unwrap();
    let (cache, told) = listening(Cache::<String, u32>::new(namespace));
    let cache = cache.with_ttl(Duration::from_secs(10));
    cache.insert("a", 1).unwrap();
    cache.insert("a", 2).unwrap();
    assert_eq!(all(&told), of("a", RemovalCause::Replaced));
    cache.insert("b", 3).unwrap();
    assert_eq!(all(&told), of("a", RemovalCause::Evicted));
    lab.advance(10);
    cache.namespace().sweep().unwrap();
    assert_eq!(all(&told), of("b", RemovalCause::Expired));
}

#[test]
fn a_value_that_is_made_anew_replaces_the_expired_one() {
    let lab = Lab::memory();
    let (cache, told) = listening(Cache::<String, u32>::new(lab.namespace()));
    let cache = cache
        .with_ttl(Duration::from_secs(10))
        .with_stale(Stale::OnError { max_age: Duration::from_secs(60) });
    cache.get_or_create("a", || 1).unwrap();
    lab.advance(11);
    cache.get_or_create("a", || 2).unwrap();
    assert_eq!(all(&told), of("a", RemovalCause::Replaced));
}

#[test]
fn a_read_that_lengthens_a_life_replaces_nothing() {
    let lab = Lab::memory();
    let (cache, told) = listening(Cache::<String, u32>::new(lab.namespace()));
    let cache = cache.with_policy(Policy::new().idle(Duration::from_secs(8)));
    cache.insert("a", 1).unwrap();
    lab.advance(5);
    assert_eq!(cache.get("a").unwrap(), Some(1));
    lab.advance(5);
    assert_eq!(cache.get("a").unwrap(), Some(1), "the read was written back");
    assert_eq!(all(&told), []);
}

#[test]
fn what_a_caller_removes_or_clears_is_told_on_any_store() {
    for lab in Lab::each() {
        let (cache, told) = listening(Cache::<String, u32>::new(lab.namespace()));
        assert!(!cache.remove("a").unwrap());
        assert_eq!(all(&told), [], "there was nothing");
        cache.insert("a", 1).unwrap();
        assert!(cache.remove("a").unwrap());
        assert_eq!(all(&told), of("a", RemovalCause::Removed));
        cache.insert("b", 1).unwrap();
        assert_eq!(cache.remove_many(&["b".to_owned()]).unwrap(), 1);
        assert_eq!(all(&told), of("b", RemovalCause::Removed));
        cache.clear().unwrap();
        assert_eq!(all(&told), [(None, RemovalCause::Cleared)]);
    }
}

#[test]
fn an_invalidated_tag_is_told_once_and_says_what_it_allows() {
    for lab in Lab::each() {
        let (cache, told) = listening(Cache::<String, u32>::new(lab.namespace()));
        cache.store("a", Created::new(1).tag("t")).unwrap();
        cache.store("b", Created::new(2).tag("t")).unwrap();
        let tag = || Invalidator::Tag("t".to_owned());
        cache.expire_tag("t").unwrap();
        assert_eq!(all(&told), invalidated(tag(), Invalidation::Soft));
        cache.invalidate_tag("t").unwrap();
        assert_eq!(all(&told), invalidated(tag(), Invalidation::Hard));
    }
}

#[test]
fn the_caches_of_a_region_and_no_others_are_told_of_its_invalidation() {
    let options = CacheOptions::new().url("memory://removals");
    let config = Config::new(options).region("one", |one| one).region("two", |two| two);
    let manager = CacheManager::new(config).unwrap();
    let cache = |name: &str, region: &str| {
        listening(manager.get_cache_region::<String, u32>(name, region).unwrap())
    };
    let (here, told_here) = cache("users", "one");
    let (_there, told_there) = cache("pages", "one");
    let (_other, told_other) = cache("users", "two");
    let region = || Invalidator::Region("one".to_owned());
    manager.invalidate_region("one").unwrap();
    assert_eq!(all(&told_here), invalidated(region(), Invalidation::Hard));
    assert_eq!(all(&told_there), invalidated(region(), Invalidation::Hard));
    here.expire_region().unwrap();
    assert_eq!(all(&told_here), invalidated(region(), Invalidation::Soft));
    assert_eq!(all(&told_other), []);
}

#[test]
fn every_listener_on_a_namespace_is_told_until_its_last_cache_goes() {
    let lab = Lab::memory();
    let namespace = lab.namespace();
    let plain = Cache::<String, u32>::new(namespace.clone());
    let (one, told_one) = listening(plain.clone());
    let (two, told_two) = listening(one.clone());
    drop(one);
    plain.insert("a", 1).unwrap();
    plain.insert("a", 2).unwrap();
    assert_eq!(all(&told_one), of("a", RemovalCause::Replaced), "`two` is a clone of it");
    assert_eq!(all(&told_two), of("a", RemovalCause::Replaced));
    drop(two);
    plain.insert("a", 3).unwrap();
    plain.remove("a").unwrap();
    assert_eq!(all(&told_one), []);
    assert_eq!(all(&told_two), []);
}

#[test]
fn a_cache_in_another_store_takes_its_listener_along() {
    let url = "memory://removals home".replace(' ', "-");
    let (cache, told) = listening(Cache::<String, u32>::open(&url, "n").unwrap());
    let other = cache.with_store(&"memory://removals-away".parse().unwrap()).unwrap();
    let here = Cache::<String, u32>::open(&url, "n").unwrap();
    other.insert("a", 1).unwrap();
    other.insert("a", 2).unwrap();
    assert_eq!(all(&told), of("a", RemovalCause::Replaced));
    here.insert("b", 1).unwrap();
    drop(cache);
    here.remove("b").unwrap();
    assert_eq!(all(&told), [], "nobody listens there any more");
}

#[test]
fn f17_a_listener_that_panics_is_counted_and_the_others_are_told() {
    let lab = Lab::memory();
    let plain = Cache::<String, u32>::new(lab.namespace());
    let calls = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&calls);
    let uses = plain.clone();
    let hostile = plain.on_removal(move |_, _| {
        counts.fetch_add(1, Ordering::SeqCst);
        uses.insert("from within", 1).unwrap();
        panic!("this listener panics on purpose");
    });
    let (cache, told) = listening(hostile);
    cache.insert("a", 1).unwrap();
    cache.insert("a", 2).unwrap();
    assert!(cache.remove("a").unwrap());
    let keys: Vec<_> = all(&told).into_iter().map(|(key, cause)| (key.unwrap(), cause)).collect();
    assert!(keys.contains(&("a".to_owned(), RemovalCause::Replaced)));
    assert!(keys.contains(&("a".to_owned(), RemovalCause::Removed)));
    assert_eq!(calls.load(Ordering::SeqCst), keys.len() as u64);
    assert_eq!(cache.creation_stats().listener_panics, keys.len() as u64);
    assert_eq!(cache.stats().listener_panics, 0, "the namespace itself saw none");
    assert_eq!(cache.get("from within").unwrap(), Some(1));
}
