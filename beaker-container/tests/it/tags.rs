//! Tags: one write invalidates all that carries one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use beaker_container::{Cache, Created, Policy, Source, Stale};
use beaker_namespace::{Clock, StoreUrl, Stores, Timestamp};

use crate::harness::{Lab, child_dir, in_child, secs, under_way};

const HOUR: Duration = Duration::from_secs(3600);
const BOTH: Stale = Stale::Both { max_age: HOUR };

fn tagged(cache: &Cache<String, u32>) {
    cache.store("stored", Created::new(1).tag("t").tag("u")).unwrap();
    cache.fetch("created").create(|_| Created::new(2).tag("t")).unwrap();
    cache.fetch("fetched").tag("t").create(|_| 3_u32).unwrap();
    cache.store("other", Created::new(4).tag("u")).unwrap();
    cache.insert("plain", 5).unwrap();
}

fn found(cache: &Cache<String, u32>) -> Vec<u32> {
    let keys = ["stored", "created", "fetched", "other", "plain"].map(str::to_owned);
    let many = cache.get_many(&keys).unwrap();
    let single: Vec<_> = keys.iter().map(|key| cache.get(key).unwrap()).collect();
    assert_eq!(many, single);
    many.into_iter().flatten().collect()
}

#[test]
fn an_invalidated_tag_takes_what_carries_it_and_nothing_else() {
    for lab in Lab::each() {
        for invalidate in [Cache::invalidate_tag, Cache::expire_tag] {
            let cache = lab.numbers(Policy::new().refresh_at(0.9));
            let elsewhere = lab.numbers(Policy::new());
            tagged(&cache);
            tagged(&elsewhere);
            let handle = cache.clone().with_policy(Policy::new());
            invalidate(&cache, "t").unwrap();
            assert_eq!(found(&cache), [4, 5]);
            assert_eq!(found(&handle), [4, 5]);
            assert_eq!(found(&elsewhere), [1, 2, 3, 4, 5], "another namespace");
            lab.advance(1);
            tagged(&cache);
            assert_eq!(found(&cache), [1, 2, 3, 4, 5], "what was made since lives");
            invalidate(&cache, "u").unwrap();
            assert_eq!(found(&cache), [2, 3, 5]);
        }
    }
}

#[test]
fn an_invalidated_value_is_gone_and_an_expired_one_may_be_served_stale() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().stale(BOTH).back_off(secs(0)));
        let down = |key| {
            let got = cache.fetch(key).try_create(|_| Err::<u32, _>("down"));
            got.ok().map(|got| (got.value, got.source))
        };
        tagged(&cache);
        cache.expire_tag("t").unwrap();
        assert_eq!(down("stored"), Some((1, Source::Fallback)));
        lab.clock.advance(HOUR);
        assert_eq!(down("stored"), None, "the age limit counts from the invalidation");
        tagged(&cache);
        cache.invalidate_tag("t").unwrap();
        assert_eq!(down("stored"), None);
        assert_eq!(down("created"), None);
    }
}

/// A creation of a tagged value that is invalidated while it runs, and a waiter of then.
fn invalidated_while_made(lab: &Lab, invalidate: impl Fn(&Cache<String, u32>)) -> (u32, u32) {
    let cache = lab.numbers(Policy::new());
    let (keeper, leader) = under_way(&cache, |cache, gate| {
        cache.fetch("k").create(|_| {
            gate.pass();
            Created::new(1).tag("t")
        })
    });
    lab.advance(1);
    invalidate(&cache);
    lab.advance(1);
    let later = cache.clone();
    let later = thread::spawn(move || later.fetch("k").create(|_| Created::new(2).tag("t")));
    keeper.let_go();
    let made = leader.join().unwrap().unwrap();
    assert_eq!(made.value, 1, "its call began before");
    let later = later.join().unwrap().unwrap().value;
    (later, cache.get("k").unwrap().unwrap())
}

#[test]
fn a_tag_s_invalidation_wins_over_a_running_creation_for_those_who_wait_too() {
    for lab in Lab::each() {
        assert_eq!(
            invalidated_while_made(&lab, |cache| cache.invalidate_tag("t").unwrap()),
            (2, 2)
        );
        assert_eq!(invalidated_while_made(&lab, |cache| cache.expire_tag("t").unwrap()), (2, 2));
        assert_eq!(
            invalidated_while_made(&lab, |cache| cache.invalidate_tag("u").unwrap()),
            (1, 1)
        );
    }
}

/// A clock that is asked several times within one of its microseconds.
#[derive(Debug, Default)]
struct Slow(AtomicI64);

impl Clock for Slow {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000 + self.0.fetch_add(1, Ordering::SeqCst) / 50)
    }
}

#[test]
fn what_is_stored_right_after_an_invalidation_is_not_under_it() {
    let stores = Stores::new().with_clock(Arc::new(Slow::default()));
    let namespace = stores.open(&StoreUrl::new("memory"), "right after").unwrap();
    let cache = Cache::<u32, u32>::new(namespace);
    for round in 0..100 {
        cache.invalidate_tag("t").unwrap();
        cache.store(&1, Created::new(round).tag("t")).unwrap();
        assert_eq!(cache.get(&1).unwrap(), Some(round));
        cache.expire_tag("t").unwrap();
        assert_eq!(cache.get(&1).unwrap(), None, "and what was before is");
    }
}

fn on_files(dir: &std::path::Path) -> Cache<String, u32> {
    let url = StoreUrl::new("file").with_path(dir);
    Cache::new(Stores::new().open(&url, "shared").unwrap())
}

/// Not a test by itself: what the child process runs.
#[test]
fn child_invalidates() {
    let Some(dir) = child_dir() else { return };
    on_files(&dir).invalidate_tag("t").unwrap();
}

#[test]
fn another_process_s_invalidation_is_seen_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let cache = on_files(dir.path());
    tagged(&cache);
    assert_eq!(found(&cache), [1, 2, 3, 4, 5]);
    in_child("tags::child_invalidates", dir.path());
    assert_eq!(found(&cache), [4, 5]);
}

#[test]
fn another_process_s_invalidation_wins_over_a_running_creation() {
    let dir = tempfile::tempdir().unwrap();
    let cache = on_files(dir.path());
    let got = cache.fetch("k").create(|_| {
        in_child("tags::child_invalidates", dir.path());
        Created::new(1).tag("t")
    });
    assert_eq!(got.unwrap().value, 1);
    assert_eq!(cache.get("k").unwrap(), None);
    cache.fetch("k").create(|_| Created::new(2).tag("t")).unwrap();
    assert_eq!(cache.get("k").unwrap(), Some(2), "the control");
}

#[test]
fn a_container_s_value_that_was_invalidated_is_not_current() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new());
        let key = cache.key_of("k");
        let container = beaker_container::Container::<u32>::new(cache.namespace().clone(), key);
        cache.store("k", Created::new(1).tag("t")).unwrap();
        assert!(container.has_current_value().unwrap());
        cache.invalidate_tag("t").unwrap();
        assert!(!container.has_current_value().unwrap());
    }
}
