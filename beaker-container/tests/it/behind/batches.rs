//! Batches that can outlive their calls.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use beaker_container::{
    CreateError, Created, ErrorKind, Got, OnTimeout, Policy, Source, Stale, Workers,
};

use super::{HOUR, Numbers, SOON, kind, with_old};
use crate::harness::{HANG, Keeper, Lab, gate};

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
