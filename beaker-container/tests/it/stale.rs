//! Staleness is a policy.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use beaker_container::{Cache, Stale};
use beaker_namespace::{Clock, Timestamp};

use crate::harness::{Lab, creation};

const MINUTE: Duration = Duration::from_secs(60);

/// A cache with an expired value, and a creation of the new one under way.
fn refreshing(lab: &Lab, stale: Stale, check: impl FnOnce(&Cache<String, u32>)) {
    let cache = Cache::<String, u32>::new(lab.namespace()).with_ttl(MINUTE).with_stale(stale);
    cache.insert("k", 1).unwrap();
    lab.advance(61);
    let (keeper, leader) = creation(&cache, "k", 2);
    check(&cache);
    keeper.let_go();
    assert_eq!(leader.join().unwrap().unwrap(), 2);
    assert_eq!(cache.get("k").unwrap(), Some(2));
}

#[test]
fn con_10_others_get_the_old_value_at_once_while_one_refreshes() {
    for lab in Lab::each() {
        let stale = Stale::WhileRefreshing { max_age: MINUTE };
        refreshing(&lab, stale, |cache| {
            let value = cache.get_or_create("k", || unreachable!("one refreshes already"));
            assert_eq!(value.unwrap(), 1);
        });
    }
}

#[test]
fn never_makes_others_wait() {
    for lab in Lab::each() {
        refreshing(&lab, Stale::Never, |cache| {
            let impatient = cache.clone().with_wait(Duration::from_millis(1));
            assert!(impatient.get_or_create("k", || 3).is_err());
        });
    }
}

#[test]
fn d28_a_value_older_than_the_limit_is_not_served() {
    for lab in Lab::each() {
        let stale = Stale::WhileRefreshing { max_age: Duration::from_secs(1) };
        refreshing(&lab, stale, |cache| {
            let impatient = cache.clone().with_wait(Duration::from_millis(1));
            assert!(impatient.get_or_create("k", || 3).is_err());
        });
    }
}

#[test]
fn con_12_staleness_by_start_time_is_served_too() {
    for lab in Lab::each() {
        let cache = Cache::<String, u32>::new(lab.namespace())
            .with_stale(Stale::WhileRefreshing { max_age: MINUTE });
        cache.insert("k", 1).unwrap();
        lab.advance(1);
        let now = lab.clock.now();
        let cache = cache.with_start_time(now);
        let (keeper, leader) = creation(&cache, "k", 2);
        assert_eq!(cache.get_or_create("k", || unreachable!("one refreshes")).unwrap(), 1);
        keeper.let_go();
        assert_eq!(leader.join().unwrap().unwrap(), 2);
    }
}

#[test]
fn f18_an_expiry_makes_one_creation_and_nobody_waits() {
    for lab in Lab::each() {
        let cache = Cache::<String, u32>::new(lab.namespace())
            .with_ttl(MINUTE)
            .with_stale(Stale::WhileRefreshing { max_age: MINUTE });
        let creations = AtomicU32::new(0);
        for round in 1..=20 {
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        let value = cache
                            .get_or_create("k", || creations.fetch_add(1, Ordering::SeqCst) + 1)
                            .unwrap();
                        assert!(value == round || value + 1 == round, "{value} in round {round}");
                    });
                }
            });
            assert_eq!(creations.load(Ordering::SeqCst), round);
            lab.advance(60);
        }
    }
}

type Moments = Cache<String, i64>;

/// Seven threads ask `of_a_thread(cache)` without a pause while the clock moves for 50 seconds.
fn under_load(lab: &Lab, of_a_thread: impl Fn(&Moments) -> Moments + Sync) {
    let ttl = Duration::from_secs(5);
    let cache = Moments::new(lab.namespace()).with_ttl(ttl);
    let creations = AtomicU32::new(0);
    let stop = AtomicBool::new(false);
    let ask = |cache: &Moments| {
        let before = lab.clock.now();
        let create = || {
            creations.fetch_add(1, Ordering::SeqCst);
            lab.clock.now().as_micros()
        };
        let made = Timestamp::from_micros(cache.get_or_create("k", create).unwrap());
        assert!(made > before.saturating_sub(ttl), "older than its time to live");
    };
    thread::scope(|scope| {
        for _ in 0..7 {
            scope.spawn(|| {
                let own = of_a_thread(&cache);
                while !stop.load(Ordering::Relaxed) {
                    ask(&own);
                }
            });
        }
        for _ in 0..50 {
            let seen = cache.stats().hits;
            while cache.stats().hits < seen + 20 {
                thread::yield_now();
            }
            lab.advance(1);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let creations = creations.into_inner();
    assert!(creations <= 50 / 5 + 1, "{creations} creations");
}

#[test]
fn con_22_under_load_nothing_is_older_than_its_time_to_live() {
    Lab::each().iter().for_each(|lab| under_load(lab, Clone::clone));
}

#[test]
fn con_22_under_load_a_cache_of_its_own_for_each_thread_is_the_same() {
    let own =
        |cache: &Moments| Moments::new(cache.namespace().clone()).with_ttl(Duration::from_secs(5));
    Lab::each().iter().for_each(|lab| under_load(lab, own));
}
