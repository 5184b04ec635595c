//! Refreshes before the time is over.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use beaker_container::{Policy, Source};

use super::down;
use crate::harness::{Lab, secs, under_way};

#[test]
fn a_value_is_made_anew_in_place_by_one_reader_while_all_others_get_the_fresh_one() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(100)).refresh_at(0.8));
        cache.insert("k", 1).unwrap();
        lab.advance(79);
        assert_eq!(cache.get_or_create("k", || unreachable!("it is not due")).unwrap(), 1);
        lab.advance(1);
        let (keeper, leader) = under_way(&cache, |cache, gate| {
            cache.fetch("k").create(|creation| {
                gate.pass();
                creation.old.unwrap().value + 1
            })
        });
        for _ in 0..3 {
            let got =
                cache.fetch("k").create(|_| -> u32 { unreachable!("one refreshes") }).unwrap();
            assert_eq!((got.value, got.source, got.ttl), (1, Source::Fresh, Some(secs(20))));
        }
        keeper.let_go();
        let made = leader.join().unwrap().unwrap();
        assert_eq!((made.value, made.source), (2, Source::Created));
        assert_eq!(cache.get("k").unwrap(), Some(2));
        let stats = cache.creation_stats();
        assert_eq!((stats.early, stats.created, stats.stale), (1, 1, 0));
    }
}

#[test]
fn an_early_refresh_that_fails_leaves_the_fresh_value_and_backs_off() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(100)).refresh_at(0.8).error_ttl(secs(1)));
        cache.insert("k", 1).unwrap();
        lab.advance(80);
        let calls = AtomicU32::new(0);
        for _ in 0..20 {
            let got = cache.fetch("k").try_create(|_| down(&calls)).unwrap();
            assert_eq!((got.value, got.source), (1, Source::Fresh));
            lab.clock.advance(Duration::from_millis(500));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 10, "20 calls in ten seconds");
        assert_eq!(cache.creation_stats().early, 10);
    }
}

#[test]
fn a_cold_value_dies_and_nothing_is_made_without_a_reader() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(100)).refresh_at(0.1));
        cache.fetch("k").create(|_| 1_u32).unwrap();
        lab.advance(100);
        assert_eq!((cache.get("k").unwrap(), cache.creation_stats().created), (None, 1));
    }
}

#[test]
fn a_plain_get_never_refreshes() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(100)).refresh_at(0.0));
        cache.insert("k", 1).unwrap();
        lab.advance(99);
        assert_eq!((cache.get("k").unwrap(), cache.creation_stats().created), (Some(1), 0));
    }
}

#[test]
fn early_refreshes_come_with_a_huge_beta_and_never_without_one() {
    for lab in Lab::each() {
        for (beta, expected) in [(1e30, 1), (0.0, 0), (-1.0, 0), (f64::NAN, 0)] {
            let cache = lab.numbers(Policy::new().ttl(secs(100)).early_refresh(beta));
            cache.fetch("other").create(|_| 1_u32).unwrap();
            cache.insert("k", 1).unwrap();
            let got = cache.fetch("k").create(|_| 2_u32).unwrap();
            assert_eq!(got.value, 1 + expected, "beta {beta}");
            assert_eq!(cache.creation_stats().early, u64::from(expected), "beta {beta}");
        }
    }
}
