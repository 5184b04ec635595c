//! Fifteen subtle semantics at which other caches were seen to fail, one test each: `s01` to `s15`.
//! (`s02`, `s04` and `s05` need a forced order and are among the unit tests of the flow; `s06` is in
//! `many`.)

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use beaker_container::config::Config;
use beaker_container::{
    Cache, CacheManager, CreateError, Created, ErrorKind, Policy, Source, Stale, Workers,
};

use crate::harness::{HANG, Lab, creation, gate, secs, under_way, until_parked};

const HOUR: Duration = Duration::from_secs(3600);

fn expired(lab: &Lab, policy: Policy) -> Cache<String, u32> {
    let cache = lab.numbers(policy.ttl(secs(60)));
    cache.insert("k", 1).unwrap();
    lab.advance(60);
    cache
}

#[test]
fn s01_serving_the_old_value_while_one_refreshes_can_be_forbidden() {
    for lab in Lab::each() {
        for stale in [Stale::Never, Stale::WhileRefreshing { max_age: HOUR }] {
            let cache = expired(&lab, Policy::new().stale(stale).wait(Duration::ZERO));
            let (keeper, leader) = creation(&cache, "k", 2);
            let other = cache.get_or_create("k", || unreachable!("one refreshes"));
            match stale {
                Stale::Never => assert_eq!(other.unwrap_err().kind(), ErrorKind::Timeout),
                _ => assert_eq!(other.unwrap(), 1),
            }
            keeper.let_go();
            assert_eq!(leader.join().unwrap().unwrap(), 2);
        }
    }
}

#[test]
fn s03_a_store_that_expires_by_itself_still_has_the_old_value_to_serve() {
    for lab in Lab::each() {
        let cache = expired(&lab, Policy::new().stale(Stale::OnError { max_age: HOUR }));
        assert_eq!(cache.namespace().sweep().unwrap().expired, 0);
        let got = cache.fetch("k").try_create(|_| Err::<u32, _>("down")).unwrap();
        assert_eq!((got.value, got.source), (1, Source::Fallback));
        lab.clock.advance(HOUR);
        cache.namespace().sweep().unwrap();
        assert!(cache.keys().unwrap().is_empty(), "and then it goes");
    }
}

#[test]
fn s07_a_soft_invalidation_needs_no_time_to_live_and_holds_for_another_manager() {
    for lab in Lab::each() {
        let manager = || {
            let url = lab.url.to_string();
            let pairs = [("cache.url", url.as_str()), ("cache.regions", "r")];
            let config = Config::from_pairs(pairs).unwrap();
            CacheManager::with_stores(config, lab.stores.clone()).unwrap()
        };
        let (one, two) = (manager(), manager());
        let stale = Stale::WhileRefreshing { max_age: HOUR };
        let cache: Cache<u32, u32> = one.get_cache_region("s07", "r").unwrap().with_stale(stale);
        cache.insert(&1, 1).unwrap();
        two.expire_region("r").unwrap();
        lab.advance(1);
        let (keeper, leader) = creation(&cache, &1, 2);
        let other = cache.fetch(&1).create(|_| -> u32 { unreachable!("one refreshes") }).unwrap();
        assert_eq!((other.value, other.source), (1, Source::Stale));
        keeper.let_go();
        assert_eq!(leader.join().unwrap().unwrap(), 2);
        assert_eq!(cache.get(&1).unwrap(), Some(2));
    }
}

#[test]
fn s08_what_completes_behind_is_stamped_with_its_beginning() {
    for lab in Lab::each() {
        let workers = Workers::new(1);
        let policy = Policy::new().hard_timeout(Duration::from_millis(1));
        let cache = lab.numbers(policy.ttl(secs(60))).with_workers(workers.clone());
        let (gate, keeper) = gate();
        let timed_out = cache.fetch("k").tag("t").spawn(move |_| {
            gate.pass();
            Ok::<_, ()>(1_u32)
        });
        assert!(matches!(timed_out, Err(CreateError::Cache(_))));
        keeper.wait_until_entered();
        lab.advance(1);
        cache.invalidate_tag("t").unwrap();
        lab.advance(1);
        keeper.let_go();
        assert_eq!(workers.drain(HANG), 0);
        assert_eq!(cache.get("k").unwrap(), None);
    }
}

#[test]
fn s09_a_removal_and_an_insertion_during_a_load_win_over_it() {
    for lab in Lab::each() {
        for insert in [None, Some(99)] {
            let cache = lab.numbers(Policy::new());
            let (keeper, leader) = under_way(&cache, |cache, gate| {
                cache.fetch("k").create(|_| {
                    gate.pass();
                    7_u32
                })
            });
            match insert {
                None => drop(cache.remove("k").unwrap()),
                Some(value) => cache.insert("k", value).unwrap(),
            }
            keeper.let_go();
            let got = leader.join().unwrap().unwrap();
            assert_eq!((got.value, got.stored), (7, false), "the loader has its value");
            assert_eq!(cache.get("k").unwrap(), insert);
        }
    }
}

#[test]
fn s10_who_waits_is_not_blocked_where_an_old_value_may_be_served() {
    // Without any time-out, too.
    for lab in Lab::each() {
        let workers = Workers::new(1);
        let cache = expired(&lab, Policy::new().stale(Stale::Both { max_age: HOUR }))
            .with_workers(workers.clone());
        let (gate, keeper) = gate();
        let elected = cache.fetch("k").spawn(move |_| {
            gate.pass();
            Ok::<_, ()>(2_u32)
        });
        assert_eq!(elected.unwrap().source, Source::Stale);
        keeper.wait_until_entered();
        assert_eq!(cache.get_or_create("k", || unreachable!("one refreshes")).unwrap(), 1);
        keeper.let_go();
        assert_eq!(workers.drain(HANG), 0);
        assert_eq!(cache.get("k").unwrap(), Some(2));
    }
}

#[test]
fn s11_an_old_value_served_on_an_error_is_not_written_back_as_new() {
    for lab in Lab::each() {
        let cache = expired(&lab, Policy::new().stale(Stale::OnError { max_age: HOUR }));
        for _ in 0..3 {
            let got = cache.fetch("k").try_create(|_| Err::<u32, _>("down")).unwrap();
            assert_eq!((got.source, got.ttl), (Source::Fallback, Some(secs(0))));
            assert_eq!(cache.get("k").unwrap(), None, "who takes no old values gets none");
            lab.advance(1);
        }
        let got = cache.fetch("k").try_create(|_| Err::<u32, _>("down")).unwrap();
        assert_eq!(got.age, secs(63), "its age is true");
    }
}

#[test]
fn s12_an_early_refresh_is_asked_for_by_a_reader_and_by_the_jittered_life() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(100)).refresh_at(0.5));
        let create = |ttl| cache.fetch("k").create(|_| Created::new(2).ttl(secs(ttl))).unwrap();
        assert_eq!(create(20).source, Source::Created);
        lab.advance(9);
        assert_eq!(
            create(20).source,
            Source::Fresh,
            "half of the life it has, not of the policy's"
        );
        lab.advance(1);
        assert_eq!(create(20).source, Source::Created);
    }
}

#[test]
fn s13_calls_that_can_fail_and_calls_that_cannot_meet_in_one_creation() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new());
        let (keeper, leader) = under_way(&cache, |cache, gate| {
            cache.get_or_try_create("k", || {
                gate.pass();
                Ok::<_, String>(1)
            })
        });
        let waiting = cache.clone();
        let waiter =
            thread::spawn(move || waiting.get_or_create("k", || unreachable!("one creates")));
        until_parked(&cache, "k", 1);
        keeper.let_go();
        assert_eq!(leader.join().unwrap().unwrap(), 1);
        assert_eq!(waiter.join().unwrap().unwrap(), 1);
    }
}

#[test]
fn s14_early_refreshes_by_chance_protect_cold_keys_too_and_are_made_by_one() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(100)).early_refresh(1e30));
        let calls = AtomicU32::new(0);
        let start = Barrier::new(4);
        let (gate, keeper) = gate();
        let gate = std::sync::Mutex::new(gate);
        let call = || {
            cache.fetch("k").create(|_| {
                let call = calls.fetch_add(1, Ordering::SeqCst);
                gate.lock().unwrap().pass();
                call
            })
        };
        thread::scope(|scope| {
            // The first creation is of a cold key; the three others wait, and may refresh early.
            let leader = scope.spawn(call);
            keeper.wait_until_entered();
            keeper.let_go();
            assert_eq!(leader.join().unwrap().unwrap().value, 0);
            let refreshing = scope.spawn(call);
            keeper.wait_until_entered();
            let others: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        call().unwrap().source
                    })
                })
                .collect();
            // Whoever else refreshed would be in the gate, and hang.
            assert!(others.into_iter().all(|other| other.join().unwrap() == Source::Fresh));
            keeper.let_go();
            assert_eq!(refreshing.join().unwrap().unwrap().value, 1);
        });
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}

/// The lock files of creations anywhere below `dir`.
fn claims(dir: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => claims(&path),
            false => usize::from(path.parent().is_some_and(|dir| dir.ends_with("claims"))),
        })
        .sum()
}

#[test]
fn s15_fifty_keys_leave_no_lock_file_and_nested_creations_work() {
    let lab = Lab::file();
    let cache = lab.numbers(Policy::new());
    let mut during = 0;
    for key in 0..50 {
        let value = cache.get_or_create(&format!("outer {key}"), || {
            during = during.max(claims(lab.url.path()));
            cache.get_or_create(&format!("inner {key}"), || key).unwrap()
        });
        assert_eq!(value.unwrap(), key);
    }
    assert_eq!(during, 1, "the control: a running creation has one");
    assert_eq!(claims(lab.url.path()), 0);
}

#[test]
fn keys_of_parts_do_not_collide() {
    for lab in Lab::each() {
        let cache = Cache::<(String, String), u32>::new(lab.namespace());
        let key = |one: &str, two: &str| (one.to_owned(), two.to_owned());
        cache.insert(&key("a b", "c"), 1).unwrap();
        assert_eq!(cache.get_or_create(&key("a", "b c"), || 2).unwrap(), 2);
        assert_eq!(cache.get_or_create(&key("a b", "c"), || 3).unwrap(), 1);
    }
}
