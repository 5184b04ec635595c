//! What expired: whom it is served, and what its creator is told of it.

use std::time::Duration;

use beaker_container::{CreateError, Created, Policy, Source, Stale};

use super::HOUR;
use crate::harness::{Lab, creation, secs};

/// What a policy of staleness gives: to another while one refreshes, and to one whose creator fails.
fn served(lab: &Lab, stale: Stale, expired_for: u64) -> (bool, bool) {
    let policy = Policy::new().ttl(secs(60)).stale(stale).keep_old(HOUR).back_off(secs(0));
    let cache = lab.numbers(policy);
    cache.insert("k", 1).unwrap();
    lab.advance(60 + expired_for);
    let on_error = cache.get_or_try_create("k", || Err::<u32, _>("down"));
    assert!(matches!(on_error, Ok(1) | Err(CreateError::Create("down"))));
    let (keeper, leader) = creation(&cache, "k", 2);
    let other = cache.fetch("k").policy(|policy| policy.wait(secs(0))).create(|_| 3_u32);
    keeper.let_go();
    assert_eq!(leader.join().unwrap().unwrap(), 2);
    // A wait that is over serves what an error would: told apart by the source.
    let refreshing = other.is_ok_and(|got| (got.value, got.source) == (1, Source::Stale));
    (refreshing, on_error.is_ok())
}

#[test]
fn each_kind_of_staleness_serves_what_it_says_within_its_age_limit() {
    for lab in Lab::each() {
        let max_age = secs(10);
        let kinds = [
            (Stale::Never, (false, false)),
            (Stale::WhileRefreshing { max_age }, (true, false)),
            (Stale::OnError { max_age }, (false, true)),
            (Stale::Both { max_age }, (true, true)),
        ];
        for (stale, expected) in kinds {
            assert_eq!(served(&lab, stale, 0), expected, "{stale:?}");
            assert_eq!(served(&lab, stale, 9), expected, "{stale:?}");
            assert_eq!(served(&lab, stale, 10), (false, false), "{stale:?} beyond its limit");
        }
    }
}

#[test]
fn a_creator_sees_the_old_value_that_is_kept_and_may_find_it_unchanged() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(60)).keep_old(HOUR));
        let first = |creation: beaker_container::Creation<u32>| {
            assert!(creation.old.is_none());
            Created::new(1).etag("v1").tag("t")
        };
        cache.fetch("k").create(first).unwrap();
        lab.advance(100);
        assert_eq!(cache.get("k").unwrap(), None, "kept is not served");
        for _ in 0..2 {
            let got = cache
                .fetch("k")
                .create(|creation| {
                    let old = creation.old.unwrap();
                    assert_eq!((old.value, old.age), (1, secs(100)), "its time was renewed");
                    assert_eq!(
                        (old.etag.as_deref(), &old.tags[..]),
                        (Some("v1"), &["t".to_owned()][..])
                    );
                    old.unchanged()
                })
                .unwrap();
            assert_eq!((got.value, got.source, got.stored), (1, Source::Unchanged, true));
            assert_eq!((got.age, got.ttl), (secs(0), Some(secs(60))));
            assert_eq!(cache.get("k").unwrap(), Some(1));
            lab.advance(100);
        }
        assert_eq!((cache.creation_stats().created, cache.creation_stats().unchanged), (3, 2));
        cache.invalidate_tag("t").unwrap();
        cache.fetch("k").create(|creation| u32::from(creation.old.is_some())).unwrap();
        lab.clock.advance(Duration::from_micros(1));
        assert_eq!(cache.get("k").unwrap(), Some(0), "what is invalidated is not shown either");
    }
}

#[test]
fn without_keep_old_the_creator_sees_nothing() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(60)));
        cache.insert("k", 1).unwrap();
        lab.advance(60);
        let got = cache.fetch("k").create(|creation| u32::from(creation.old.is_some())).unwrap();
        assert_eq!(got.value, 0);
    }
}
