//! Soft and hard time-outs, of creators that can outlive their calls and of those that borrow.

use std::thread;
use std::time::{Duration, Instant};

use beaker_container::{ErrorKind, OnTimeout, Policy, Source, Stale, Workers};

use super::{HOUR, Numbers, SOON, kind, spawn_held, with_old};
use crate::harness::{HANG, Keeper, Lab, creation, gate, secs, under_way};

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
        let (keeper, call) = under_way(&cache, |cache, gate| {
            cache.fetch("k").spawn(move |_| {
                gate.pass();
                Ok::<_, ()>(2_u32)
            })
        });
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
            let (keeper, leader) = creation(&cache, "k", 2);
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
