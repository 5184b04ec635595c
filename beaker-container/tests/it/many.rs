//! Batches: many keys in one call.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use beaker_container::{Cache, CreateError, Created, Enabled, ErrorKind, Policy, Source, Stale};
use beaker_namespace::{Key, Wait};

use crate::harness::{HANG, Lab, creation, secs, under_way};

fn cache(lab: &Lab) -> Cache<u32, u32> {
    Cache::new(lab.namespace())
}

fn squares(missing: Vec<&u32>) -> Vec<u32> {
    missing.into_iter().map(|number| number * number).collect()
}

#[test]
fn values_come_in_the_order_of_their_keys_and_each_key_is_made_once() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        cache.insert(&5, 0).unwrap();
        let values = cache.get_or_create_many(&[9, 5, 7, 9, 5, 8], |missing| {
            assert_eq!(missing, [&9, &7, &8]);
            squares(missing)
        });
        assert_eq!(values.unwrap(), [81, 0, 49, 81, 0, 64]);
        let found = cache.get_many(&[8, 1, 9, 8]).unwrap();
        assert_eq!(found, [Some(64), None, Some(81), Some(64)]);
        assert_eq!(cache.remove_many(&[8, 1, 9]).unwrap(), 2);
        assert_eq!(cache.get_many(&[8, 9, 7]).unwrap(), [None, None, Some(49)]);
    }
}

#[test]
fn no_keys_are_no_call() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let none: [u32; 0] = [];
        assert!(cache.get_or_create_many(&none, |_| unreachable!("no key")).unwrap().is_empty());
        assert!(cache.get_many(&none).unwrap().is_empty());
        assert_eq!(cache.remove_many(&none).unwrap(), 0);
    }
}

#[test]
fn a_creator_that_gives_another_number_of_values_is_an_error_and_stores_nothing() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        for given in [vec![], vec![1], vec![1, 2, 3]] {
            let error = cache.get_or_create_many(&[1, 2], |_| given.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("asked for 2 values"), "{error}");
            assert_eq!(cache.get_many(&[1, 2]).unwrap(), [None, None]);
        }
        assert_eq!(cache.get_or_create_many(&[1, 2], squares).unwrap(), [1, 4]);
    }
}

#[test]
fn a_failure_gives_the_error_or_the_old_values_if_there_is_one_for_each_key() {
    for lab in Lab::each() {
        let policy = Policy::new().ttl(secs(60)).stale(Stale::OnError { max_age: secs(600) });
        let cache = cache(&lab).with_policy(policy.back_off(secs(0)));
        cache.insert(&1, 10).unwrap();
        cache.insert(&2, 20).unwrap();
        lab.advance(60);
        let down = |_: Vec<&u32>| Err::<Vec<u32>, _>("down");
        let failed = cache.get_or_try_create_many(&[1, 3], down);
        assert!(matches!(failed, Err(CreateError::Create("down"))));
        assert_eq!(cache.get_or_try_create_many(&[2, 1], down).unwrap(), [20, 10]);
        let stats = cache.creation_stats();
        assert_eq!((stats.failed, stats.fallbacks), (4, 2));
    }
}

#[test]
fn a_batch_creates_its_own_keys_before_it_waits_for_another_s() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let (keeper, single) = creation(&cache, &2, 20);
        let (created_send, created) = std::sync::mpsc::channel();
        let batching = cache.clone();
        let batch = thread::spawn(move || {
            batching.get_or_create_many(&[1, 2, 3], |missing| {
                assert_eq!(missing, [&1, &3]);
                created_send.send(()).unwrap();
                squares(missing)
            })
        });
        created.recv_timeout(HANG).unwrap();
        keeper.let_go();
        assert_eq!(batch.join().unwrap().unwrap(), [1, 20, 9]);
        assert_eq!(single.join().unwrap().unwrap(), 20);
        assert_eq!(cache.creation_stats().created, 3);
    }
}

#[test]
fn a_single_call_waits_for_a_batch() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let (keeper, batch) = under_way(&cache, |cache, gate| {
            cache.get_or_create_many(&[1, 2], |missing| {
                gate.pass();
                squares(missing)
            })
        });
        let impatient = cache.clone().with_wait(Duration::from_millis(1));
        for key in [1, 2] {
            let error = impatient.get_or_create(&key, || unreachable!("a batch makes it"));
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
        }
        assert_eq!(impatient.get_or_create(&3, || 9).unwrap(), 9, "another key is free");
        keeper.let_go();
        assert_eq!(batch.join().unwrap().unwrap(), [1, 4]);
    }
}

#[test]
fn f15_batches_with_crossing_orders_of_keys_never_wait_for_each_other() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let began = Instant::now();
        for round in 0..200_u32 {
            let keys: Vec<u32> = (0..6).map(|key| round * 10 + key).collect();
            let made = Mutex::new(BTreeMap::<u32, u32>::new());
            let start = Barrier::new(2);
            let run = |keys: Vec<u32>| {
                start.wait();
                let values = cache.get_or_create_many(&keys, |missing| {
                    for key in &missing {
                        *made.lock().unwrap().entry(**key).or_default() += 1;
                    }
                    thread::yield_now();
                    missing.into_iter().map(|key| key + 1).collect()
                });
                let expected: Vec<u32> = keys.iter().map(|key| key + 1).collect();
                assert_eq!(values.unwrap(), expected);
            };
            let run = &run;
            thread::scope(|scope| {
                let forward = keys.clone();
                let backward: Vec<u32> = keys.iter().rev().copied().collect();
                scope.spawn(move || run(forward));
                scope.spawn(move || run(backward));
            });
            let made = made.into_inner().unwrap();
            assert_eq!(made, keys.iter().map(|key| (*key, 1)).collect(), "each once");
        }
        // A deadlock would last as long as a wait.
        assert!(began.elapsed() < Policy::DEFAULT_WAIT);
    }
}

#[test]
fn a_key_that_another_process_creates_holds_up_no_other() {
    let lab = Lab::file();
    let cache = cache(&lab).with_wait(Duration::from_millis(20));
    // What another process has is a claim on the key, and no flight here.
    let claim = cache.namespace().claim(&Key::new(&2_u32), Wait::Never).unwrap();
    let error = cache.get_or_create_many(&[1, 2, 3], |missing| {
        assert_eq!(missing, [&1, &3]);
        squares(missing)
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(cache.get_many(&[1, 2, 3]).unwrap(), [Some(1), None, Some(9)]);
    drop(claim);
    assert_eq!(cache.get_or_create_many(&[1, 2, 3], squares).unwrap(), [1, 4, 9]);
}

#[test]
fn a_key_that_another_process_creates_is_served_stale_if_the_policy_says_so() {
    let lab = Lab::file();
    let stale = Stale::WhileRefreshing { max_age: secs(600) };
    let cache = cache(&lab).with_policy(Policy::new().ttl(secs(60)).stale(stale));
    cache.insert(&2, 20).unwrap();
    lab.advance(60);
    let claim = cache.namespace().claim(&Key::new(&2_u32), Wait::Never).unwrap();
    let began = Instant::now();
    assert_eq!(cache.get_or_create_many(&[1, 2], squares).unwrap(), [1, 20]);
    assert!(began.elapsed() < HANG, "it waited");
    assert_eq!(cache.creation_stats().stale, 1);
    drop(claim);
    assert_eq!(cache.get_or_create_many(&[1, 2], squares).unwrap(), [1, 4]);
}

#[test]
fn a_panic_in_a_batch_is_its_callers_own_and_leaves_its_keys_free() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let boom = || cache.get_or_create_many(&[1, 2], |_| panic!("boom"));
        assert!(catch_unwind(AssertUnwindSafe(boom)).is_err());
        let short = cache.clone().with_wait(Duration::ZERO);
        assert_eq!(short.get_or_create(&1, || 1).unwrap(), 1);
        assert_eq!(short.get_or_create_many(&[1, 2], squares).unwrap(), [1, 4]);
    }
}

#[test]
fn f14_a_batch_that_asks_for_one_of_its_own_keys_is_told_so() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let began = Instant::now();
        let values = cache.get_or_create_many(&[1, 2], |missing| {
            for key in &missing {
                let error = cache.get_or_create(key, || 1).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Reentrant);
            }
            let error = cache.get_or_create_many(&[3, 2], squares).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Reentrant);
            assert_eq!(cache.get_or_create(&3, || 9).unwrap(), 9, "another key is no re-entry");
            squares(missing)
        });
        assert_eq!(values.unwrap(), [1, 4]);
        assert!(began.elapsed() < HANG);
        assert_eq!(cache.get_or_create(&1, || unreachable!("it is there")).unwrap(), 1);
    }
}

#[test]
fn s06_four_cold_batches_make_each_key_once_and_call_their_creators_once_at_most() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        for round in 0..20_u32 {
            let keys: Vec<u32> = (0..8).map(|key| round * 10 + key).collect();
            let (calls, made) = (AtomicU32::new(0), AtomicU32::new(0));
            let start = Barrier::new(4);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        start.wait();
                        let mut own = 0;
                        let values = cache.get_or_create_many(&keys, |missing| {
                            own += 1;
                            calls.fetch_add(1, Ordering::SeqCst);
                            made.fetch_add(missing.len() as u32, Ordering::SeqCst);
                            thread::yield_now();
                            squares(missing)
                        });
                        let expected: Vec<u32> = keys.iter().map(|key| key * key).collect();
                        assert_eq!(values.unwrap(), expected);
                        assert!(own <= 1, "{own} calls of one creator");
                    });
                }
            });
            assert_eq!(made.into_inner(), 8, "each key once");
            assert!(calls.into_inner() <= 4);
        }
    }
}

#[test]
fn what_the_creator_of_a_batch_decides_about_each_value_holds() {
    for lab in Lab::each() {
        let cache = cache(&lab).with_ttl(secs(60));
        let decided = |key: &&u32| match **key {
            1 => Created::new(1).tag("one").etag("e"),
            2 => Created::new(2).ttl(secs(5)),
            3 => Created::new(3).unstored(),
            other => Created::new(other),
        };
        let all = |missing: Vec<&u32>| missing.iter().map(decided).collect::<Vec<_>>();
        let got = cache.fetch_many(&[1, 2, 3, 4]).tag("all").create(all).unwrap();
        let ttl: Vec<_> = got.iter().map(|got| got.ttl).collect();
        assert_eq!(ttl, [60, 5, 60, 60].map(|ttl| Some(secs(ttl))));
        assert!(
            got.iter().all(|got| got.source == Source::Created && got.stored == (got.value != 3))
        );
        cache.invalidate_tag("one").unwrap();
        assert_eq!(cache.get_many(&[1, 2, 3, 4]).unwrap(), [None, Some(2), None, Some(4)]);
        lab.advance(5);
        assert_eq!(cache.get_many(&[2, 4]).unwrap(), [None, Some(4)]);
        let got = cache.fetch_many(&[4]).create(|_| -> Vec<u32> { unreachable!("it is there") });
        assert_eq!((got.unwrap()[0].source, cache.creation_stats().created), (Source::Fresh, 4));
        cache.expire_tag("all").unwrap();
        assert_eq!(cache.get_many(&[2, 4]).unwrap(), [None, None]);
    }
}

#[test]
fn a_batch_has_a_policy_of_its_own() {
    for lab in Lab::each() {
        let cache = cache(&lab).with_ttl(secs(60));
        let double =
            |missing: Vec<&u32>| missing.into_iter().map(|key| key * 2).collect::<Vec<_>>();
        let got = cache.fetch_many(&[1, 1]).ttl(secs(5)).create(double).unwrap();
        assert_eq!((got.len(), got[1].ttl), (2, Some(secs(5))));
        lab.advance(5);
        let down = |_: Vec<&u32>| Err::<Vec<u32>, _>("down");
        assert!(cache.fetch_many(&[1]).try_create(down).is_err());
        cache.insert(&1, 7).unwrap();
        let anew = cache.fetch_many(&[1]).anew().create(double).unwrap();
        assert_eq!((anew[0].value, anew[0].source), (2, Source::Created));
        let off = cache.with_enabled(Enabled::No);
        assert_eq!(off.fetch_many(&[5]).create(double).unwrap()[0].source, Source::Bypassed);
    }
}

#[test]
fn a_batch_makes_what_is_due_anew_early_and_serves_it_if_that_fails() {
    for lab in Lab::each() {
        let cache = cache(&lab).with_policy(Policy::new().ttl(secs(100)).refresh_at(0.5));
        cache.insert(&1, 10).unwrap();
        lab.advance(50);
        cache.insert(&2, 20).unwrap();
        let down = |missing: Vec<&u32>| {
            assert_eq!(missing, [&1]);
            Err::<Vec<u32>, _>("down")
        };
        assert_eq!(cache.get_or_try_create_many(&[1, 2], down).unwrap(), [10, 20]);
        // A failure backs off.
        assert_eq!(
            cache.get_or_create_many(&[1, 2], |_| unreachable!("too soon")).unwrap(),
            [10, 20]
        );
        lab.advance(1);
        let made = cache.get_or_create_many(&[3, 1, 2], |missing| {
            assert_eq!(missing, [&1, &3]);
            missing.into_iter().map(|key| key + 100).collect()
        });
        assert_eq!(made.unwrap(), [103, 101, 20]);
        let stats = cache.creation_stats();
        assert_eq!((stats.early, stats.created, stats.failed), (2, 2, 1));
    }
}

#[test]
fn values_that_are_stored_together_are_all_there_and_win_over_creations() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let (keeper, leader) = creation(&cache, &1, 7);
        cache.insert_many([(1, 10), (2, 20)]).unwrap();
        let created = [(3, Created::new(30).tag("t")), (4, Created::new(40).unstored())];
        cache.store_many(created).unwrap();
        keeper.let_go();
        assert_eq!(leader.join().unwrap().unwrap(), 7, "right for a call that began before");
        assert_eq!(cache.get_many(&[1, 2, 3, 4]).unwrap(), [Some(10), Some(20), Some(30), None]);
        cache.invalidate_tag("t").unwrap();
        assert_eq!(cache.get(&3).unwrap(), None);
        let off = cache.clone().with_enabled(Enabled::No);
        off.insert_many([(5, 50)]).unwrap();
        assert_eq!(cache.get(&5).unwrap(), None);
    }
}
