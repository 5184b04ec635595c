//! What a policy says about time: expiry, jitter, idleness, staleness, errors, early refreshes.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use beaker_container::{Cache, CreateError, Created, ErrorKind, Policy, Source, Stale};
use proptest::prelude::*;

use crate::harness::{Lab, gate, secs};

const HOUR: Duration = Duration::from_secs(3600);

/// Fails as a source that is down does, and counts the calls.
fn down(calls: &AtomicU32) -> Result<u32, &'static str> {
    calls.fetch_add(1, Ordering::SeqCst);
    Err("down")
}

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
        let (gate, keeper) = gate();
        let creating = cache.clone();
        let leader = thread::spawn(move || {
            creating.get_or_try_create("k", || {
                gate.pass();
                Err::<u32, _>("down")
            })
        });
        keeper.wait_until_entered();
        let waiting = cache.clone();
        let waiter = thread::spawn(move || {
            let create = |_| -> Result<u32, &str> { Err("down") };
            waiting.fetch("k").default_value(3).try_create(create)
        });
        keeper.let_go();
        assert!(matches!(leader.join().unwrap(), Err(CreateError::Create("down"))));
        assert_eq!(waiter.join().unwrap().unwrap().value, 3);
        let timed_out = cache.clone().with_policy(Policy::new().hard_timeout(Duration::ZERO));
        let (gate, keeper) = crate::harness::gate();
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
        let (gate, keeper) = gate();
        let creating = cache.clone();
        let leader = thread::spawn(move || {
            creating.get_or_try_create("k", || {
                gate.pass();
                Err::<u32, _>("of before")
            })
        });
        keeper.wait_until_entered();
        cache.insert_with_ttl("k", 1, secs(5)).unwrap();
        keeper.let_go();
        assert!(matches!(leader.join().unwrap(), Err(CreateError::Create("of before"))));
        lab.advance(5);
        assert_eq!(cache.get_or_try_create("k", || Ok::<_, &str>(2)).unwrap(), 2);
    }
}

/// What a policy of staleness gives: to another while one refreshes, and to one whose creator fails.
fn served(lab: &Lab, stale: Stale, expired_for: u64) -> (bool, bool) {
    let policy = Policy::new().ttl(secs(60)).stale(stale).keep_old(HOUR).back_off(secs(0));
    let cache = lab.numbers(policy);
    cache.insert("k", 1).unwrap();
    lab.advance(60 + expired_for);
    let on_error = cache.get_or_try_create("k", || Err::<u32, _>("down"));
    assert!(matches!(on_error, Ok(1) | Err(CreateError::Create("down"))));
    let (gate, keeper) = gate();
    let creating = cache.clone();
    let leader = thread::spawn(move || {
        creating.get_or_create("k", || {
            gate.pass();
            2
        })
    });
    keeper.wait_until_entered();
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

#[test]
fn a_value_is_made_anew_in_place_by_one_reader_while_all_others_get_the_fresh_one() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(100)).refresh_at(0.8));
        cache.insert("k", 1).unwrap();
        lab.advance(79);
        assert_eq!(cache.get_or_create("k", || unreachable!("it is not due")).unwrap(), 1);
        lab.advance(1);
        let (gate, keeper) = gate();
        let creating = cache.clone();
        let leader = thread::spawn(move || {
            creating.fetch("k").create(|creation| {
                gate.pass();
                creation.old.unwrap().value + 1
            })
        });
        keeper.wait_until_entered();
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

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::MAX),
        Just(Duration::from_micros(i64::MAX as u64)),
        any::<u64>().prop_map(Duration::from_secs),
        (0..1_000_u64).prop_map(Duration::from_secs),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let times = prop::array::uniform6(duration());
    let options = prop::array::uniform3(prop::option::of(duration()));
    (times, options, any::<f64>(), any::<f64>(), 0..4_u8).prop_map(
        |([jitter, keep, error, back_off, max_age, wait], [ttl, idle, hard], at, beta, stale)| {
            let stale = match stale {
                0 => Stale::Never,
                1 => Stale::WhileRefreshing { max_age },
                2 => Stale::OnError { max_age },
                _ => Stale::Both { max_age },
            };
            let policy = Policy::new().ttl(ttl).idle(idle).jitter(jitter).keep_old(keep);
            let policy = policy.error_ttl(error).back_off(back_off).wait(wait).stale(stale);
            policy.refresh_at(at).early_refresh(beta).hard_timeout(hard.map(|hard| hard.max(HOUR)))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_time_in_a_policy_makes_a_call_panic(
        policy in policy(),
        steps in prop::collection::vec(duration(), 1..6),
    ) {
        for lab in Lab::each() {
            let cache = lab.numbers(policy);
            for step in &steps {
                let got = cache.fetch("k").spawn(|_| Ok::<_, &str>(1_u32));
                // A failure of before may be told, and a refresh may still run behind.
                match got {
                    Ok(got) => prop_assert_eq!(got.value, 1),
                    Err(CreateError::Create(error)) => prop_assert_eq!(error, "down"),
                    Err(CreateError::Cache(error)) => {
                        prop_assert_eq!(error.kind(), ErrorKind::Timeout);
                    }
                }
                let _maybe = cache.fetch("k").spawn(|_| Err::<u32, _>("down"));
                let _maybe = cache.fetch("f").spawn(|_| Err::<u32, _>("down"));
                prop_assert!(cache.get("k").is_ok());
                prop_assert!(cache.get_many(&["k".to_owned()]).is_ok());
                lab.clock.advance((*step).min(Duration::from_secs(1 << 40)));
            }
        }
    }
}
