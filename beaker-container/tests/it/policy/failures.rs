//! Errors that are told for a time, back-off, and what is served instead.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use beaker_container::{Cache, CreateError, Policy, Source, Stale};

use super::{HOUR, down};
use crate::harness::{Lab, gate, secs, under_way};

#[test]
fn an_error_is_told_for_its_time_to_all_who_would_have_to_create() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().error_ttl(secs(5)));
        let calls = AtomicU32::new(0);
        for _ in 0..5 {
            let failed = cache.get_or_try_create("k", || down(&calls));
            assert!(matches!(failed, Err(CreateError::Create("down"))));
            lab.clock.advance(Duration::from_millis(999));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        lab.advance(1);
        cache.get_or_try_create("k", || down(&calls)).unwrap_err();
        assert_eq!(calls.load(Ordering::SeqCst), 2, "its time is over");
        // Who cannot understand the error creates for itself, and its value ends the failure.
        assert_eq!(cache.get_or_create("k", || 7).unwrap(), 7);
        assert_eq!(cache.get_or_try_create("k", || down(&calls)).unwrap(), 7);
    }
}

#[test]
fn f30_a_source_that_is_down_sees_one_call_an_interval_while_the_old_value_is_served() {
    for lab in Lab::each() {
        for stale in [Stale::OnError { max_age: HOUR }, Stale::Both { max_age: HOUR }] {
            let cache = lab.numbers(Policy::new().ttl(secs(60)).stale(stale));
            cache.insert("k", 1).unwrap();
            lab.advance(60);
            let calls = AtomicU32::new(0);
            for _ in 0..100 {
                let got = cache.fetch("k").try_create(|_| down(&calls)).unwrap();
                assert_eq!((got.value, got.source), (1, Source::Fallback));
                lab.clock.advance(Duration::from_millis(100));
            }
            assert_eq!(calls.load(Ordering::SeqCst), 10, "100 calls in ten seconds");
            let stats = cache.creation_stats();
            assert_eq!((stats.failed, stats.fallbacks, stats.created), (10, 100, 0));
        }
    }
}

#[test]
fn a_source_that_is_down_from_the_start_sees_one_call_an_interval() {
    let stale = Stale::OnError { max_age: HOUR };
    let own = Policy::new().back_off(secs(1));
    for lab in Lab::each() {
        for policy in [Policy::new().stale(stale), Policy::new().refresh_at(0.5), own] {
            let cache = lab.numbers(policy);
            let calls = AtomicU32::new(0);
            for _ in 0..30 {
                let failed = cache.get_or_try_create("k", || down(&calls));
                assert!(matches!(failed, Err(CreateError::Create("down"))), "{failed:?}");
                lab.clock.advance(Duration::from_millis(100));
            }
            assert_eq!(calls.load(Ordering::SeqCst), 3, "30 calls in three seconds: {policy:?}");
        }
        // Nothing is remembered where nothing is ever served instead, or where it was said so.
        for policy in [Policy::new(), Policy::new().stale(stale).back_off(secs(0))] {
            let cache = lab.numbers(policy);
            let calls = AtomicU32::new(0);
            for _ in 0..3 {
                cache.get_or_try_create("k", || down(&calls)).unwrap_err();
            }
            assert_eq!(calls.load(Ordering::SeqCst), 3, "{policy:?}");
        }
    }
}

#[test]
fn a_default_value_is_served_for_the_back_off_of_a_first_failure_and_never_stored() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(60))).with_default_value(100);
        let calls = AtomicU32::new(0);
        for _ in 0..30 {
            let got = cache.fetch("k").try_create(|_| down(&calls)).unwrap();
            assert_eq!((got.value, got.source, got.stored), (100, Source::Fallback, false));
            assert_eq!(got.ttl, Some(secs(0)));
            assert_eq!(cache.get("k").unwrap(), None);
            lab.clock.advance(Duration::from_millis(100));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 3, "30 calls in three seconds");
        let own = cache.fetch("k").default_value(7).try_create(|_| down(&calls)).unwrap();
        assert_eq!(own.value, 7, "a call's own goes before the cache's");
        lab.advance(1);
        assert_eq!(cache.get_or_create("k", || 1).unwrap(), 1);
        assert_eq!(cache.fetch("k").try_create(|_| down(&calls)).unwrap().value, 1);
        let stats = cache.creation_stats();
        assert_eq!((stats.failed, stats.fallbacks, stats.created), (4, 31, 1));
        let plain = lab.numbers(Policy::new());
        let keys = ["a".to_owned(), "b".to_owned()];
        let many = plain.fetch_many(&keys).default_value(9);
        let got = many.try_create(|_| Err::<Vec<u32>, _>("down")).unwrap();
        assert!(got.iter().all(|got| (got.value, got.source) == (9, Source::Fallback)), "{got:?}");
    }
}

#[test]
fn who_waited_for_a_creation_that_failed_gets_its_own_default_value() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new());
        let (keeper, leader) = under_way(&cache, |cache, gate| {
            cache.get_or_try_create("k", || {
                gate.pass();
                Err::<u32, _>("down")
            })
        });
        let waiting = cache.clone();
        let waiter = thread::spawn(move || {
            let create = |_| -> Result<u32, &str> { Err("down") };
            waiting.fetch("k").default_value(3).try_create(create)
        });
        keeper.let_go();
        assert!(matches!(leader.join().unwrap(), Err(CreateError::Create("down"))));
        assert_eq!(waiter.join().unwrap().unwrap().value, 3);
        let timed_out = cache.clone().with_policy(Policy::new().hard_timeout(Duration::ZERO));
        let (gate, keeper) = gate();
        let got = timed_out.fetch("late").default_value(5).spawn(move |_| {
            gate.pass();
            Ok::<_, ()>(1_u32)
        });
        assert_eq!(got.unwrap().value, 5);
        if keeper.has_entered() {
            keeper.let_go();
        }
    }
}

#[test]
fn a_failure_stops_the_next_try_also_where_only_refreshes_serve_stale_values() {
    for lab in Lab::each() {
        let stale = Stale::WhileRefreshing { max_age: HOUR };
        let cache = lab.numbers(Policy::new().ttl(secs(60)).stale(stale));
        cache.insert("k", 1).unwrap();
        lab.advance(60);
        let calls = AtomicU32::new(0);
        let failed = cache.fetch("k").try_create(|_| down(&calls));
        assert!(matches!(failed, Err(CreateError::Create("down"))), "who creates gets the error");
        let got = cache.fetch("k").try_create(|_| down(&calls)).unwrap();
        assert_eq!((got.value, got.source), (1, Source::Fallback));
        lab.advance(1);
        assert_eq!(cache.get_or_create("k", || 2).unwrap(), 2);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_failure_is_forgotten_when_its_key_is_inserted_removed_or_cleared() {
    for lab in Lab::each() {
        type Forget = fn(&Cache<String, u32>);
        let ways: [(Forget, u32); 4] = [
            (|_| (), 1),
            (|cache| cache.insert_with_ttl("k", 3, secs(0)).unwrap(), 2),
            (|cache| assert!(!cache.remove("k").unwrap()), 2),
            (|cache| cache.clear().unwrap(), 2),
        ];
        for (forget, expected) in ways {
            let cache = lab.numbers(Policy::new().error_ttl(HOUR).back_off(HOUR));
            let calls = AtomicU32::new(0);
            cache.get_or_try_create("k", || down(&calls)).unwrap_err();
            forget(&cache);
            cache.get_or_try_create("k", || down(&calls)).unwrap_err();
            assert_eq!(calls.load(Ordering::SeqCst), expected);
        }
    }
}

#[test]
fn a_creation_that_was_invalidated_leaves_no_failure() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().error_ttl(HOUR));
        let (keeper, leader) = under_way(&cache, |cache, gate| {
            cache.get_or_try_create("k", || {
                gate.pass();
                Err::<u32, _>("of before")
            })
        });
        cache.insert_with_ttl("k", 1, secs(5)).unwrap();
        keeper.let_go();
        assert!(matches!(leader.join().unwrap(), Err(CreateError::Create("of before"))));
        lab.advance(5);
        assert_eq!(cache.get_or_try_create("k", || Ok::<_, &str>(2)).unwrap(), 2);
    }
}
