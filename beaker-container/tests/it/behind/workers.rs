//! Room for creations behind callers, and how they fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use beaker_container::{CreateError, ErrorKind, Policy, Source, Stale, Workers};

use super::{HOUR, kind, spawn_held, with_old};
use crate::harness::{HANG, Lab, secs};

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
