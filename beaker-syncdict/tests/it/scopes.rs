//! `FlightScope`: work that asks for what it works for is told so, and nobody else is.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use beaker_syncdict::{FlightScope, Flights, Join, Leader, Scoped, TryJoin};

use crate::support::{in_time, poll_once, ready, step};

fn lead<'a>(flights: &'a Flights<u8, u32>, key: u8) -> Leader<'a, u8, u32> {
    match ready(flights.join_async(&key)) {
        Join::Lead(leader) => leader,
        other => panic!("somebody else leads: {other:?}"),
    }
}

async fn is_reentrant(flights: &Flights<u8, u32>, key: u8) -> bool {
    matches!(flights.join_async(&key).await, Join::Reentrant)
}

/// F14: asked for by an async call and by a sync one.
#[test]
fn f14_async_work_that_asks_for_its_own_key_is_told_of_re_entry() {
    in_time(|| {
        let flights = Flights::<u8, u32>::new();
        let leader = lead(&flights, 1);
        ready(leader.scope().wrap(async {
            assert!(is_reentrant(&flights, 1).await);
            assert!(matches!(flights.join(&1, None), Join::Reentrant));
            assert!(matches!(flights.try_join(&1), TryJoin::Reentrant));
        }));
        assert_eq!((leader.finish(1), flights.len()), (1, 0));
    });
}

/// The control of the one above: without its scope the work would wait for itself.
#[test]
fn f14_control_work_outside_of_the_scope_waits() {
    let flights = Flights::<u8, u32>::new();
    let leader = lead(&flights, 1);
    assert!(poll_once(pin!(is_reentrant(&flights, 1))).is_pending());
    leader.finish(1);
}

#[test]
fn work_may_ask_for_other_keys_and_other_flights() {
    let (flights, others) = (Flights::<u8, u32>::new(), Flights::<u8, u32>::new());
    let leader = lead(&flights, 1);
    ready(leader.scope().wrap(async {
        assert_eq!(lead(&flights, 2).finish(2), 2);
        assert_eq!(lead(&others, 1).finish(3), 3);
        let Join::Lead(sync) = flights.join(&3, None) else { panic!("nobody else leads") };
        assert_eq!(sync.finish(4), 4);
    }));
    leader.finish(1);
}

/// So many keys that some have the same number, each in its own shard.
#[test]
fn work_that_asks_for_what_others_make_waits_for_it() {
    let flights = Flights::<u8, u32>::with_shards(4);
    let leaders: Vec<_> = (0..64).map(|key| lead(&flights, key)).collect();
    let _working = leaders[0].scope().enter();
    assert!((1..64).all(|key| poll_once(pin!(is_reentrant(&flights, key))).is_pending()));
    assert!(ready(is_reentrant(&flights, 0)));
}

#[test]
fn chain_that_comes_back_to_its_beginning_is_found() {
    in_time(|| {
        let flights = Flights::<u8, u32>::new();
        let chain = async {
            let Join::Lead(a) = flights.join_async(&1).await else { panic!("it leads") };
            let inner = async {
                step().await;
                let Join::Lead(b) = flights.join_async(&2).await else { panic!("it leads") };
                let found = async {
                    step().await;
                    (is_reentrant(&flights, 1).await, is_reentrant(&flights, 2).await)
                };
                let found = b.scope().wrap(found).await;
                b.finish(2);
                // Outside of the inner scope again, not of the outer one.
                (found, is_reentrant(&flights, 1).await, is_reentrant(&flights, 2).await)
            };
            let found = a.scope().wrap(inner).await;
            a.finish(1);
            found
        };
        let mut chain = pin!(chain);
        assert!(poll_once(chain.as_mut()).is_pending());
        assert!(poll_once(chain.as_mut()).is_pending());
        assert_eq!(poll_once(chain), Poll::Ready(((true, true), true, false)));
    });
}

#[test]
fn scope_is_left_between_polls() {
    let flights = Flights::<u8, u32>::new();
    let leader = lead(&flights, 1);
    let mut work = pin!(leader.scope().wrap(step()));
    assert!(poll_once(work.as_mut()).is_pending());
    // Another task on this thread, at the same time.
    assert!(poll_once(pin!(is_reentrant(&flights, 1))).is_pending());
    assert!(poll_once(work).is_ready());
}

#[test]
fn scope_is_left_by_a_panic() {
    let flights = Flights::<u8, u32>::new();
    let leader = lead(&flights, 1);
    let work = leader.scope().wrap(async { panic!("the work fails") });
    let poll = std::panic::AssertUnwindSafe(|| poll_once::<Scoped<_>>(pin!(work)));
    assert!(std::panic::catch_unwind(poll).is_err());
    assert!(poll_once(pin!(is_reentrant(&flights, 1))).is_pending());
}

#[test]
fn work_for_a_detached_flight_may_lead_a_new_one() {
    let flights = Flights::<u8, u32>::new();
    let old = lead(&flights, 1);
    let mut waiter = flights.join_async(&1);
    assert!(poll_once(pin!(&mut waiter)).is_pending());
    let _working = old.scope().enter();
    flights.detach(&1);
    let new = lead(&flights, 1);
    // In the old scope alone it waits for the new flight.
    assert!(poll_once(pin!(is_reentrant(&flights, 1))).is_pending());
    let in_both = new.scope().wrap(async { is_reentrant(&flights, 1).await });
    assert!(ready(in_both));
    assert_eq!((new.finish(2), old.finish(1)), (2, 1));
    assert!(matches!(poll_once(pin!(waiter)), Poll::Ready(Join::Joined(1))));
    assert_eq!(flights.len(), 0);
}

#[test]
fn thread_is_in_a_scope_as_often_as_it_holds_a_guard() {
    let flights = Flights::<u8, u32>::new();
    let (one, two) = (lead(&flights, 1), lead(&flights, 2));
    let told = |key: &u8| matches!(flights.try_join(key), TryJoin::Reentrant);
    let (first, second, again) = (one.scope().enter(), two.scope().enter(), one.scope().enter());
    drop(first);
    assert!(told(&1) && told(&2));
    drop(again);
    assert!(!told(&1) && told(&2));
    drop(second);
    assert!(!told(&1) && !told(&2));
}

#[test]
fn helper_thread_of_a_leading_thread_is_told_in_the_scope() {
    let flights = Flights::<u8, u32>::new();
    let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
    let scope = leader.scope();
    let told = std::thread::scope(|threads| {
        let told = || matches!(flights.try_join(&1), TryJoin::Reentrant);
        let helper = threads.spawn(move || {
            let before = told();
            let _working = scope.enter();
            (before, told())
        });
        helper.join().unwrap()
    });
    assert_eq!(told, (false, true));
    leader.finish(1);
}

#[test]
fn scopes_are_small_and_cross_threads() {
    fn crosses<T: Send + Sync + Copy + 'static>() {}
    fn moves<T: Send + 'static>(_: &T) {}
    crosses::<FlightScope>();
    assert!(size_of::<FlightScope>() <= 24);
    let flights = Arc::new(Flights::<u8, u32>::new());
    moves(&lead(&flights, 1).scope().wrap(step()));
}
