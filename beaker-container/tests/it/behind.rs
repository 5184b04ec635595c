//! Creations that run behind their callers: refreshes, time-outs, workers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use beaker_container::{
    Cache, CreateError, Created, ErrorKind, Got, OnTimeout, Policy, Source, Stale, Workers,
};

use crate::harness::{HANG, Keeper, Lab, gate, secs};

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(5);

type Numbers = Cache<String, u32>;

/// A cache with an old value 1 under `k`, and workers of its own.
fn with_old(lab: &Lab, policy: Policy) -> (Numbers, Workers) {
    let workers = Workers::new(4);
    let cache = lab.numbers(policy.ttl(secs(60))).with_workers(workers.clone());
    cache.store("k", Created::new(1).tag("t")).unwrap();
    lab.advance(60);
    (cache, workers)
}

/// A call whose creation is held: it makes 2.
fn spawn_held(cache: &Numbers) -> (Result<beaker_container::Got<u32>, CreateError<()>>, Keeper) {
    let (gate, keeper) = gate();
    let got = cache.fetch("k").tag("t").spawn(move |_| {
        gate.pass();
        Ok::<_, ()>(2_u32)
    });
    (got, keeper)
}

/// A creation that runs although its call has given it up, and how many calls it took: the system
/// may need more time for a thread than a short time-out has.
fn given_up(cache: &Numbers) -> (Keeper, u64) {
    let mut timeout = SOON;
    for attempt in 1.. {
        cache.remove("k").unwrap();
        let cache = cache.clone().with_policy(cache.policy().hard_timeout(timeout));
        let (got, keeper) = spawn_held(&cache);
        assert_eq!(kind(got), ErrorKind::CreationTimeout);
        if keeper.has_entered() {
            return (keeper, attempt);
        }
        timeout *= 2;
    }
    unreachable!()
}

fn kind<T, E>(result: Result<T, CreateError<E>>) -> ErrorKind {
    match result {
        Err(CreateError::Cache(error)) => error.kind(),
        _ => panic!("it is the cache's error"),
    }
}

#[test]
fn a_stale_value_is_served_at_once_and_the_new_one_appears_behind() {
    for lab in Lab::each() {
        for stale in [Stale::WhileRefreshing { max_age: HOUR }, Stale::Both { max_age: HOUR }] {
            let (cache, workers) = with_old(&lab, Policy::new().stale(stale));
            let (got, keeper) = spawn_held(&cache);
            let got = got.unwrap();
            assert_eq!((got.value, got.source, got.ttl), (1, Source::Stale, Some(secs(0))));
            keeper.wait_until_entered();
            let other = cache.fetch("k").spawn(|_| -> Result<u32, ()> { unreachable!("one does") });
            assert_eq!(other.unwrap().source, Source::Stale);
            keeper.let_go();
            assert_eq!(workers.drain(HANG), 0);
            assert_eq!(cache.get("k").unwrap(), Some(2));
            let stats = cache.creation_stats();
            assert_eq!((stats.created, stats.stale, stats.timed_out), (1, 2, 0));
        }
    }
}

#[test]
fn a_fresh_value_is_served_at_once_and_made_anew_behind() {
    for lab in Lab::each() {
        let workers = Workers::new(4);
        let cache =
            lab.numbers(Policy::new().ttl(secs(100)).refresh_at(0.8)).with_workers(workers.clone());
        cache.insert("k", 1).unwrap();
        lab.advance(80);
        let (got, keeper) = spawn_held(&cache);
        let got = got.unwrap();
        assert_eq!((got.value, got.source, got.ttl), (1, Source::Fresh, Some(secs(20))));
        keeper.wait_until_entered();
        let other = cache.fetch("k").spawn(|_| -> Result<u32, ()> { unreachable!("one does") });
        assert_eq!(other.unwrap().source, Source::Fresh);
        keeper.let_go();
        assert_eq!(workers.drain(HANG), 0);
        assert_eq!((cache.get("k").unwrap(), cache.creation_stats().early), (Some(2), 1));
    }
}

#[test]
fn a_soft_time_out_serves_the_old_value_and_the_creation_completes() {
    for lab in Lab::each() {
        let policy = Policy::new().stale(Stale::OnError { max_age: HOUR }).soft_timeout(SOON);
        let (cache, workers) = with_old(&lab, policy);
        let (got, keeper) = spawn_held(&cache);
        let got = got.unwrap();
        assert_eq!((got.value, got.source), (1, Source::Stale));
        keeper.wait_until_entered();
        keeper.let_go();
        assert_eq!(workers.drain(HANG), 0);
        assert_eq!(cache.get("k").unwrap(), Some(2));
        assert_eq!(cache.creation_stats().timed_out, 1);
    }
}

#[test]
fn a_soft_time_out_without_an_old_value_waits() {
    for lab in Lab::each() {
        let cache = lab
            .numbers(
                Policy::new().soft_timeout(Duration::ZERO).stale(Stale::Both { max_age: HOUR }),
            )
            .with_workers(Workers::new(1));
        let calling = cache.clone();
        let (gate, keeper) = gate();
        let call = thread::spawn(move || {
            calling.fetch("k").spawn(move |_| {
                gate.pass();
                Ok::<_, ()>(2_u32)
            })
        });
        keeper.wait_until_entered();
        keeper.let_go();
        let got = call.join().unwrap().unwrap();
        assert_eq!((got.value, got.source), (2, Source::Created));
        assert_eq!(cache.creation_stats().timed_out, 0);
    }
}

#[test]
fn a_hard_time_out_without_an_old_value_is_an_error_and_the_creation_completes() {
    for lab in Lab::each() {
        let workers = Workers::new(4);
        let cache = lab.numbers(Policy::new().hard_timeout(SOON)).with_workers(workers.clone());
        let (got, keeper) = spawn_held(&cache);
        assert_eq!(kind(got), ErrorKind::CreationTimeout);
        keeper.wait_until_entered();
        let impatient = cache.fetch("k").policy(|policy| policy.wait(SOON));
        let other = impatient.spawn(|_| -> Result<u32, ()> { unreachable!("one does") });
        assert_eq!(kind(other), ErrorKind::Timeout, "it is the same creation");
        keeper.let_go();
        assert_eq!(workers.drain(HANG), 0);
        assert_eq!(cache.get("k").unwrap(), Some(2));
    }
}

#[test]
fn a_hard_time_out_that_drops_throws_the_value_away_and_newcomers_create_anew_at_once() {
    for lab in Lab::each() {
        let workers = Workers::new(4);
        let policy = Policy::new().hard_timeout(SOON).on_timeout(OnTimeout::Drop);
        let cache = lab.numbers(policy).with_workers(workers.clone());
        let (keeper, attempts) = given_up(&cache);
        // The old creation still runs.
        let patient = cache.clone().with_policy(Policy::new().wait(secs(5)));
        assert_eq!(patient.get_or_create("k", || 3).unwrap(), 3);
        keeper.let_go();
        assert_eq!(workers.drain(HANG), 0);
        assert_eq!(cache.get("k").unwrap(), Some(3));
        let stats = cache.creation_stats();
        assert_eq!((stats.created, stats.timed_out, stats.failed), (1, attempts, attempts));
    }
}

#[test]
fn a_creation_that_was_thrown_away_leaves_no_failure_of_later() {
    for lab in Lab::each() {
        let workers = Workers::new(4);
        let policy = Policy::new().ttl(secs(5)).hard_timeout(SOON).on_timeout(OnTimeout::Drop);
        let cache = lab.numbers(policy.error_ttl(HOUR)).with_workers(workers.clone());
        let (keeper, _) = given_up(&cache);
        let told = cache.fetch("k").spawn(|_| Ok::<_, ()>(9_u32));
        assert_eq!(kind(told), ErrorKind::CreationTimeout, "it is told for its time");
        cache.insert("k", 3).unwrap();
        keeper.let_go();
        assert_eq!(workers.drain(HANG), 0);
        lab.advance(5);
        let waiting = cache.clone().with_policy(Policy::new());
        assert_eq!(waiting.get_or_create("k", || 4).unwrap(), 4);
    }
}

#[test]
fn a_hard_time_out_with_an_old_value_gives_that() {
    for lab in Lab::each() {
        let policy = Policy::new().stale(Stale::OnError { max_age: HOUR }).hard_timeout(SOON);
        let (cache, workers) = with_old(&lab, policy);
        let (got, keeper) = spawn_held(&cache);
        let got = got.unwrap();
        assert_eq!((got.value, got.source), (1, Source::Fallback));
        keeper.wait_until_entered();
        keeper.let_go();
        assert_eq!(workers.drain(HANG), 0);
        assert_eq!(cache.get("k").unwrap(), Some(2));
    }
}

#[test]
fn the_longest_time_outs_are_waits() {
    let lab = Lab::memory();
    let policy = Policy::new().soft_timeout(Duration::MAX).hard_timeout(Duration::MAX);
    let cache = lab.numbers(policy.wait(Duration::MAX));
    assert_eq!(cache.fetch("k").spawn(|_| Ok::<_, ()>(1_u32)).unwrap().value, 1);
}

#[test]
fn who_waits_for_another_waits_no_longer_than_its_own_soft_time_out() {
    for lab in Lab::each() {
        let (cache, workers) =
            with_old(&lab, Policy::new().stale(Stale::OnError { max_age: HOUR }));
        let calling = cache.clone();
        let leader = thread::spawn(move || {
            let (gate, keeper) = gate();
            let handed = thread::spawn(move || {
                keeper.wait_until_entered();
                keeper
            });
            let call = thread::spawn(move || {
                calling.fetch("k").spawn(move |_| {
                    gate.pass();
                    Ok::<_, ()>(2_u32)
                })
            });
            (handed.join().unwrap(), call)
        });
        let (keeper, call) = leader.join().unwrap();
        let soft = cache.fetch("k").policy(|policy| policy.soft_timeout(SOON));
        let began = Instant::now();
        let got = soft.spawn(|_| -> Result<u32, ()> { unreachable!("one does") }).unwrap();
        // As the leader would be served at its own.
        assert_eq!((got.value, got.source), (1, Source::Stale));
        assert!(began.elapsed() < HANG, "it waited for all of its wait");
        let patience = cache.fetch("k").policy(|policy| policy.stale(Stale::Never).wait(SOON));
        let none = patience.spawn(|_| -> Result<u32, ()> { unreachable!("one does") });
        assert_eq!(kind(none), ErrorKind::Timeout);
        keeper.let_go();
        assert_eq!(call.join().unwrap().unwrap().value, 2);
        assert_eq!(workers.drain(HANG), 0);
    }
}

#[test]
fn a_call_that_asks_for_a_time_out_is_told_to_spawn_whether_or_not_there_is_a_value() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new());
        let changes: [fn(Policy) -> Policy; 3] = [
            |policy| policy.soft_timeout(SOON),
            |policy| policy.hard_timeout(SOON),
            |policy| policy.hard_timeout(SOON).on_timeout(OnTimeout::Drop),
        ];
        for is_there in [false, true] {
            for change in changes {
                let create = |_| -> u32 { unreachable!("it is refused") };
                let error = cache.fetch("k").policy(change).create(create).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config, "{is_there}");
                assert!(error.to_string().contains("spawn"), "{error}");
                let keys = ["k".to_owned()];
                let create = |_: Vec<&String>| -> Vec<u32> { unreachable!("it is refused") };
                let error = cache.fetch_many(&keys).policy(change).create(create).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config, "{is_there}");
            }
            cache.insert("k", 1).unwrap();
        }
        assert_eq!(cache.fetch("k").policy(|it| it.wait(HANG)).create(|_| 2_u32).unwrap().value, 1);
    }
}

#[test]
fn a_creator_that_borrows_runs_to_its_end_whatever_time_outs_its_cache_has() {
    let none = Duration::ZERO;
    for lab in Lab::each() {
        let hard = Policy::new().hard_timeout(none);
        let stale = Policy::new().stale(Stale::OnError { max_age: HOUR });
        for policy in [hard, hard.on_timeout(OnTimeout::Drop), stale.soft_timeout(none)] {
            let (cache, _workers) = with_old(&lab, policy);
            let text = "borrowed".to_owned();
            let length = || u32::try_from(text.len()).unwrap();
            assert_eq!(cache.get_or_create("k", length).unwrap(), 8);
            assert_eq!(cache.fetch("f").create(|_| length()).unwrap().source, Source::Created);
            let many = cache.get_or_create_many(&["m".to_owned()], |_| vec![length()]);
            assert_eq!(many.unwrap(), [8]);
            // The soft one is for what has an old value.
            let timed_out = if policy.soft_timeout(None) == policy { 3 } else { 1 };
            assert_eq!(cache.creation_stats().timed_out, timed_out, "{policy:?}");
        }
    }
}

#[test]
fn who_waits_for_a_creator_that_borrows_is_held_to_the_time_outs() {
    for lab in Lab::each() {
        let stale = Policy::new().stale(Stale::OnError { max_age: HOUR });
        for policy in
            [Policy::new().hard_timeout(SOON), stale.soft_timeout(SOON), stale.hard_timeout(SOON)]
        {
            let (cache, _workers) = with_old(&lab, policy);
            let (gate, keeper) = gate();
            let creating = cache.clone();
            let leader = thread::spawn(move || {
                creating.get_or_create("k", || {
                    gate.pass();
                    2
                })
            });
            keeper.wait_until_entered();
            let waited = cache.fetch("k").create(|_| -> u32 { unreachable!("one does") });
            match policy.stale(Stale::Never) == policy {
                true => assert_eq!(waited.unwrap_err().kind(), ErrorKind::CreationTimeout),
                false => assert_eq!(waited.unwrap().value, 1, "the old one"),
            }
            keeper.let_go();
            assert_eq!(leader.join().unwrap().unwrap(), 2);
        }
    }
}

/// A batch of `k` and `n` whose creation is held: it makes 2 of each.
fn spawn_many_held(cache: &Numbers) -> (Result<Vec<Got<u32>>, CreateError<()>>, Keeper) {
    let (gate, keeper) = gate();
    let gate = Mutex::new(gate);
    let keys = ["k".to_owned(), "n".to_owned()];
    let got = cache.fetch_many(&keys).spawn(move |missing| {
        gate.lock().unwrap().pass();
        Ok::<_, ()>(vec![2_u32; missing.len()])
    });
    (got, keeper)
}

#[test]
fn a_batch_that_is_spawned_is_held_to_the_hard_time_out_and_completes_or_is_dropped() {
    for lab in Lab::each() {
        for on_timeout in [OnTimeout::Finish, OnTimeout::Drop] {
            let policy = Policy::new().hard_timeout(SOON).on_timeout(on_timeout);
            let (cache, workers) = with_old(&lab, policy);
            let (got, keeper) = spawn_many_held(&cache);
            assert_eq!(kind(got), ErrorKind::CreationTimeout);
            if keeper.has_entered() {
                keeper.let_go();
            }
            assert_eq!(workers.drain(HANG), 0);
            let found = cache.get_many(&["k".to_owned(), "n".to_owned()]).unwrap();
            match on_timeout {
                OnTimeout::Finish => assert_eq!(found, [Some(2), Some(2)]),
                OnTimeout::Drop => assert_eq!(found, [None, None]),
            }
        }
    }
}

#[test]
fn a_batch_that_is_spawned_serves_what_is_old_if_it_can_serve_every_key() {
    for lab in Lab::each() {
        let at_once = Policy::new().stale(Stale::WhileRefreshing { max_age: HOUR });
        let soft = Policy::new().stale(Stale::OnError { max_age: HOUR }).soft_timeout(SOON);
        for policy in [at_once, soft] {
            let (cache, workers) = with_old(&lab, policy);
            cache.store("n", Created::new(1).ttl(Duration::ZERO)).unwrap();
            let (got, keeper) = spawn_many_held(&cache);
            let got = got.unwrap();
            let served = |got: &Got<u32>| (got.value, got.source) == (1, Source::Stale);
            assert!(got.iter().all(served), "{got:?}");
            keeper.wait_until_entered();
            keeper.let_go();
            assert_eq!(workers.drain(HANG), 0);
            let keys = ["k".to_owned(), "n".to_owned()];
            assert_eq!(cache.get("k").unwrap(), Some(2));
            // One that has nothing to serve makes the call wait for all.
            let (cache, _workers) = with_old(&lab, policy);
            let created = cache.fetch_many(&keys).policy(|it| it.soft_timeout(HANG));
            let got = created.spawn(|missing| Ok::<_, ()>(vec![3_u32; missing.len()])).unwrap();
            assert!(
                got.iter().all(|got| (got.value, got.source) == (3, Source::Created)),
                "{got:?}"
            );
        }
    }
}

#[test]
fn a_panic_in_a_batch_that_is_spawned_reaches_its_caller_and_no_room_means_its_own_thread() {
    for lab in Lab::each() {
        let keys = ["k".to_owned()];
        let cache = lab.numbers(Policy::new()).with_workers(Workers::new(1));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            cache.fetch_many(&keys).spawn(|_| -> Result<Vec<u32>, ()> { panic!("on purpose") })
        }));
        assert!(panicked.is_err());
        let cache = cache.with_workers(Workers::new(0));
        let here = thread::current().id();
        let got = cache.fetch_many(&keys).spawn(move |missing| {
            assert_eq!(thread::current().id(), here);
            Ok::<_, ()>(vec![2_u32; missing.len()])
        });
        assert_eq!(got.unwrap()[0].value, 2);
    }
}

#[test]
fn an_invalidation_wins_over_a_creation_that_runs_behind() {
    for lab in Lab::each() {
        type Invalidate = fn(&Numbers);
        let ways: [(Invalidate, Option<u32>, u64); 4] = [
            (|_| (), Some(2), 0),
            (|cache| assert!(cache.remove("k").unwrap()), None, 1),
            (|cache| cache.clear().unwrap(), None, 1),
            (|cache| cache.insert("k", 9).unwrap(), Some(9), 1),
        ];
        for (invalidate, left, superseded) in ways {
            let stale = Stale::WhileRefreshing { max_age: HOUR };
            let (cache, workers) = with_old(&lab, Policy::new().stale(stale));
            let (got, keeper) = spawn_held(&cache);
            assert_eq!(got.unwrap().source, Source::Stale);
            keeper.wait_until_entered();
            invalidate(&cache);
            keeper.let_go();
            assert_eq!(workers.drain(HANG), 0);
            assert_eq!(cache.get("k").unwrap(), left);
            assert_eq!(cache.creation_stats().superseded, superseded);
        }
    }
}

#[test]
fn a_tag_s_invalidation_wins_over_a_creation_that_runs_behind() {
    for lab in Lab::each() {
        type Invalidate = fn(&Numbers);
        let ways: [(Invalidate, Option<u32>); 3] = [
            (|cache| cache.invalidate_tag("t").unwrap(), None),
            (|cache| cache.expire_tag("t").unwrap(), None),
            (|cache| cache.invalidate_tag("other").unwrap(), Some(2)),
        ];
        for (invalidate, left) in ways {
            let stale = Stale::WhileRefreshing { max_age: HOUR };
            let (cache, workers) = with_old(&lab, Policy::new().stale(stale));
            let (got, keeper) = spawn_held(&cache);
            assert_eq!(got.unwrap().source, Source::Stale);
            keeper.wait_until_entered();
            lab.advance(1);
            invalidate(&cache);
            lab.advance(1);
            keeper.let_go();
            assert_eq!(workers.drain(HANG), 0);
            assert_eq!(cache.get("k").unwrap(), left);
        }
    }
}

#[test]
fn without_room_a_creation_runs_in_its_call_and_gives_what_it_made() {
    for lab in Lab::each() {
        let stale = Stale::WhileRefreshing { max_age: HOUR };
        let (cache, _) = with_old(&lab, Policy::new().stale(stale).back_off(secs(0)));
        let cache = cache.with_workers(Workers::new(0));
        let here = thread::current().id();
        let failed = cache.fetch("k").spawn(|_| Err::<u32, _>("down"));
        assert!(matches!(failed, Err(CreateError::Create("down"))), "its error is told");
        let panicking = || cache.fetch("k").spawn(|_| -> Result<u32, ()> { panic!("boom") });
        assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err(), "its panic too");
        let got = cache.fetch("k").spawn(move |_| {
            assert_eq!(thread::current().id(), here);
            Ok::<_, ()>(2_u32)
        });
        let got = got.unwrap();
        assert_eq!((got.value, got.source), (2, Source::Created));
    }
}

#[test]
fn without_room_an_early_refresh_is_left_to_a_later_call() {
    for lab in Lab::each() {
        let cache =
            lab.numbers(Policy::new().ttl(secs(100)).refresh_at(0.8)).with_workers(Workers::new(0));
        cache.insert("k", 1).unwrap();
        lab.advance(80);
        let got = cache.fetch("k").spawn(|_| -> Result<u32, ()> { unreachable!("no room") });
        assert_eq!(got.unwrap().source, Source::Fresh);
        let roomy = cache.clone().with_workers(Workers::new(1));
        let (got, keeper) = spawn_held(&roomy);
        assert_eq!(got.unwrap().value, 1, "the lead was free");
        keeper.wait_until_entered();
        keeper.let_go();
    }
}

#[test]
fn a_drain_waits_for_creations_behind_and_then_all_run_in_their_calls() {
    let lab = Lab::memory();
    let (cache, workers) =
        with_old(&lab, Policy::new().stale(Stale::WhileRefreshing { max_age: HOUR }));
    let (_, keeper) = spawn_held(&cache);
    keeper.wait_until_entered();
    assert_eq!((workers.running(), workers.drain(Duration::ZERO)), (1, 1));
    keeper.let_go();
    assert_eq!(workers.drain(HANG), 0);
    lab.advance(60);
    let got = cache.fetch("k").spawn(|_| Ok::<_, ()>(3_u32)).unwrap();
    assert_eq!((got.value, got.source), (3, Source::Created));
}

#[test]
fn a_panic_reaches_the_call_that_waits_and_else_is_counted() {
    for lab in Lab::each() {
        let stale = Stale::WhileRefreshing { max_age: HOUR };
        let (cache, workers) = with_old(&lab, Policy::new().stale(stale));
        let boom = || cache.fetch("cold").spawn(|_| -> Result<u32, ()> { panic!("boom") });
        assert!(catch_unwind(AssertUnwindSafe(boom)).is_err());
        assert_eq!(cache.get_or_create("cold", || 7).unwrap(), 7, "nothing is left of it");
        let got = cache.fetch("k").spawn(|_| -> Result<u32, ()> { panic!("boom") }).unwrap();
        assert_eq!(got.value, 1);
        assert_eq!(workers.drain(HANG), 0);
        assert_eq!(workers.panics(), 1);
        assert_eq!(cache.get_or_create("k", || 8).unwrap(), 8);
    }
}

#[test]
fn a_failure_behind_backs_off_and_is_counted_as_nothing_served() {
    for lab in Lab::each() {
        let (cache, workers) = with_old(&lab, Policy::new().stale(Stale::Both { max_age: HOUR }));
        let got = cache.fetch("k").spawn(|_| Err::<u32, _>("down")).unwrap();
        assert_eq!(got.source, Source::Stale);
        assert_eq!(workers.drain(HANG), 0);
        let stats = cache.creation_stats();
        assert_eq!((stats.stale, stats.fallbacks, stats.failed), (1, 0, 1));
        let got = cache.fetch("k").spawn(|_| -> Result<u32, &str> { unreachable!("it backs off") });
        assert_eq!(got.unwrap().source, Source::Fallback);
        assert_eq!(cache.creation_stats().fallbacks, 1);
    }
}

#[test]
fn f14_a_spawned_creator_that_asks_for_its_own_key_is_told_so() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new()).with_workers(Workers::new(2));
        let inner = cache.clone();
        let began = Instant::now();
        let got = cache.fetch("k").spawn(move |_| {
            let again = inner.fetch("k").spawn(|_| Ok::<_, ()>(1_u32));
            Ok::<_, ()>(u32::from(kind(again) == ErrorKind::Reentrant))
        });
        assert_eq!(got.unwrap().value, 1);
        assert!(began.elapsed() < HANG);
    }
}
