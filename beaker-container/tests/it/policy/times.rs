//! Expiry, jitter, idleness, and the time of nothing.

use std::cell::Cell;
use std::time::Duration;

use beaker_container::{Cache, Created, Policy, Source, Stale};

use super::HOUR;
use crate::harness::{Lab, secs};

#[test]
fn a_value_is_made_anew_at_the_moment_of_its_expiry_and_not_before() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(60)));
        let calls = Cell::new(0);
        let get = || {
            let create = |_| {
                calls.set(calls.get() + 1);
                calls.get()
            };
            let got = cache.fetch("k").create(create).unwrap();
            (got.value, got.source, got.age, got.ttl)
        };
        assert_eq!(get(), (1, Source::Created, secs(0), Some(secs(60))));
        lab.advance(59);
        assert_eq!(get(), (1, Source::Fresh, secs(59), Some(secs(1))));
        lab.advance(1);
        assert_eq!(get(), (2, Source::Created, secs(0), Some(secs(60))));
    }
}

#[test]
fn jitter_takes_at_most_itself_and_at_most_half_of_the_time_to_live() {
    let lab = Lab::memory();
    let ttls = |jitter| {
        let cache: Cache<u32, u32> =
            Cache::new(lab.namespace()).with_policy(Policy::new().ttl(secs(100)).jitter(jitter));
        let ttl = |key: u32| cache.fetch(&key).create(|_| 1_u32).unwrap().ttl.unwrap();
        (0..200).map(ttl).collect::<Vec<_>>()
    };
    assert!(ttls(secs(0)).iter().all(|ttl| *ttl == secs(100)));
    for (jitter, least) in [(secs(20), secs(80)), (Duration::MAX, secs(50))] {
        let mut ttls = ttls(jitter);
        assert!(ttls.iter().all(|ttl| (least..=secs(100)).contains(ttl)), "{ttls:?}");
        ttls.sort_unstable();
        let (first, last) = (ttls[0], ttls[199]);
        assert!(last - first > (secs(100) - least) / 2, "they expire together: {first:?} {last:?}");
    }
}

#[test]
fn reads_lengthen_an_idle_value_and_without_them_it_expires() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().idle(secs(8)));
        cache.insert("read", 1).unwrap();
        cache.insert("idle", 1).unwrap();
        for _ in 0..10 {
            lab.advance(7);
            assert_eq!(cache.get("read").unwrap(), Some(1));
        }
        assert_eq!(cache.get("idle").unwrap(), None);
        lab.advance(8);
        assert_eq!(cache.get("read").unwrap(), None);
    }
}

#[test]
fn an_idle_value_ends_with_its_time_to_live_however_often_it_is_read() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().idle(secs(8)).ttl(secs(20)));
        cache.insert("k", 1).unwrap();
        for _ in 0..3 {
            lab.advance(6);
            assert_eq!(cache.get("k").unwrap(), Some(1));
        }
        lab.advance(2);
        assert_eq!(cache.get("k").unwrap(), None);
    }
}

#[test]
fn a_read_is_written_back_once_an_eighth_of_the_idle_time_has_passed() {
    for lab in Lab::each() {
        for (read_at, alive) in [(999, false), (1_000, true)] {
            let cache = lab.numbers(Policy::new().idle(secs(8)));
            cache.insert("k", 1).unwrap();
            lab.clock.advance(Duration::from_millis(read_at));
            assert_eq!(cache.get("k").unwrap(), Some(1));
            lab.clock.advance(Duration::from_millis(8_500 - read_at));
            assert_eq!(cache.get("k").unwrap().is_some(), alive, "read at {read_at} ms");
        }
    }
}

#[test]
fn reads_lengthen_an_idle_value_that_may_be_stale_for_ever() {
    for lab in Lab::each() {
        let stale = Stale::WhileRefreshing { max_age: Duration::MAX };
        let cache = lab.numbers(Policy::new().idle(secs(8)).ttl(secs(20)).stale(stale));
        cache.insert("k", 1).unwrap();
        for _ in 0..3 {
            lab.advance(6);
            assert_eq!(cache.get("k").unwrap(), Some(1));
        }
        lab.advance(2);
        assert_eq!(cache.get("k").unwrap(), None, "the time to live holds all the same");
    }
}

#[test]
fn a_reader_without_the_grace_of_the_writer_does_not_lengthen_past_the_time_to_live() {
    for lab in Lab::each() {
        let policy = Policy::new().idle(secs(8)).ttl(secs(20));
        let writer = lab.numbers(policy.stale(Stale::OnError { max_age: HOUR }));
        let reader = writer.clone().with_policy(policy);
        writer.insert("k", 1).unwrap();
        for _ in 0..3 {
            lab.advance(6);
            assert_eq!(reader.get("k").unwrap(), Some(1));
        }
        lab.advance(2);
        assert_eq!(reader.get("k").unwrap(), None);
    }
}

#[test]
fn a_created_none_has_its_own_time_to_live() {
    for lab in Lab::each() {
        let cache = Cache::<String, Option<u32>>::new(lab.namespace())
            .with_ttl(secs(60))
            .with_negative_ttl(secs(5));
        let ttl = |key, value| cache.fetch(key).create(move |_| value).unwrap().ttl.unwrap();
        assert_eq!(ttl("some", Some(1)), secs(60));
        assert_eq!(ttl("none", None), secs(5));
        let chosen = cache.fetch("chosen").create(|_| Created::new(None).ttl(secs(7))).unwrap();
        assert_eq!(chosen.ttl, Some(secs(7)), "the creator's goes before both");
        lab.advance(4);
        assert_eq!(cache.get("none").unwrap(), Some(None), "a miss is cached");
        lab.advance(1);
        assert_eq!((cache.get("none").unwrap(), cache.get("some").unwrap()), (None, Some(Some(1))));
    }
}

#[test]
fn a_policy_gives_none_its_own_time_to_live_in_any_cache_whose_values_can_say_so() {
    for lab in Lab::each() {
        let policy = Policy::new().ttl(secs(60)).negative_ttl(secs(5));
        let options = Cache::<String, Option<u32>>::new(lab.namespace()).with_policy(policy);
        let ttl = |key, value| options.fetch(key).create(move |_| value).unwrap().ttl.unwrap();
        assert_eq!((ttl("some", Some(0)), ttl("none", None)), (secs(60), secs(5)));
        let call = options.fetch("call").policy(|policy| policy.negative_ttl(secs(9)));
        assert_eq!(call.create(|_| None).unwrap().ttl, Some(secs(9)), "a call's own");
        let numbers = lab.numbers(policy);
        assert_eq!(numbers.fetch("k").create(|_| 0_u32).unwrap().ttl, Some(secs(60)));
    }
    // Live objects do not say it; the cache can be told.
    let objects = Cache::<String, Option<u32>>::in_memory(8).unwrap();
    let objects = objects.with_policy(Policy::new().ttl(secs(60)).negative_ttl(secs(5)));
    assert_eq!(objects.fetch("k").create(|_| None).unwrap().ttl, Some(secs(60)));
    let objects = objects.with_negative_ttl(secs(5));
    assert_eq!(objects.fetch("l").create(|_| None).unwrap().ttl, Some(secs(5)));
}
