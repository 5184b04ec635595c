//! `OwnedLeader`: a lead that outlives its caller.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::Duration;

use beaker_syncdict::{Flights, Join, OwnedLeader, TryJoin};

use crate::support::{in_time, poll_once, ready, spawn, until};

type Shared = Arc<Flights<u8, u32>>;

fn lead(flights: &Shared) -> OwnedLeader<u8, u32> {
    match flights.join(&1, None) {
        Join::Lead(leader) => leader.into_owned(flights),
        other => panic!("somebody else leads: {other:?}"),
    }
}

#[test]
fn creation_outlives_the_caller_who_began_it() {
    let flights = Shared::default();
    let (go, finish) = mpsc::channel();
    // The caller is a future that is dropped while it waits for its own worker.
    let caller = async {
        let Join::Lead(leader) = flights.join_async(&1).await else { panic!("it leads") };
        let leader = leader.into_owned(&flights);
        let worker = spawn(move || {
            finish.recv().unwrap();
            leader.finish(7)
        });
        (flights.join_async(&1).await, worker)
    };
    let mut waiter = flights.join_async(&1);
    {
        let mut caller = Box::pin(caller);
        assert!(poll_once(caller.as_mut()).is_pending());
        assert!(poll_once(Pin::new(&mut waiter)).is_pending());
        assert_eq!(flights.waiting(&1), 2);
    }
    assert_eq!(flights.waiting(&1), 1);
    go.send(()).unwrap();
    until("the worker finishes", || flights.is_empty());
    until("the outcome is there", || match poll_once(Pin::new(&mut waiter)) {
        Poll::Pending => false,
        Poll::Ready(join) => matches!(join, Join::Joined(7)),
    });
}

#[test]
fn dropped_owned_leader_passes_the_lead_on() {
    let flights = Shared::default();
    let leader = lead(&flights);
    let mut waiter = flights.join_async(&1);
    assert!(poll_once(Pin::new(&mut waiter)).is_pending());
    drop(leader);
    assert!(matches!(poll_once(Pin::new(&mut waiter)), Poll::Ready(Join::Lead(_))));
    drop(lead(&flights));
    assert_eq!(flights.len(), 0);
}

#[test]
fn who_gives_the_lead_away_may_wait_for_it() {
    in_time(|| {
        let flights = Shared::default();
        let leader = lead(&flights);
        assert!(matches!(flights.join(&1, Some(Duration::ZERO)), Join::TimedOut));
        leader.adopt();
        assert!(matches!(flights.join(&1, None), Join::Reentrant));
        assert_eq!(leader.finish(1), 1);
    });
}

#[test]
fn owned_leader_sees_that_its_flight_was_detached() {
    let flights = Shared::default();
    let leader = lead(&flights);
    assert!(!leader.is_detached());
    flights.detach(&1);
    assert!(leader.is_detached());
    assert_eq!(lead(&flights).finish(2), 2);
    assert_eq!(leader.finish(1), 1);
}

#[test]
fn work_of_an_owned_leader_is_told_of_re_entry_in_its_scope() {
    let flights = Shared::default();
    let leader = lead(&flights);
    let work = leader.scope().wrap(async { flights.join_async(&1).await });
    assert!(matches!(ready(work), Join::Reentrant));
    assert!(matches!(flights.try_join(&1), TryJoin::Busy));
    leader.finish(1);
}

#[test]
fn outcome_that_nobody_waits_for_is_not_made() {
    let flights = Shared::default();
    lead(&flights).finish_by(|| panic!("nobody waits"));
    assert_eq!(flights.len(), 0);
}

#[test]
fn outcome_that_is_waited_for_is_made_once_the_flight_has_ended() {
    let flights = Shared::default();
    let leader = lead(&flights);
    let mut waiter = flights.join_async(&1);
    assert!(poll_once(Pin::new(&mut waiter)).is_pending());
    leader.finish_by(|| {
        assert!(matches!(flights.try_join(&1), TryJoin::Lead(_)));
        7
    });
    assert!(matches!(poll_once(Pin::new(&mut waiter)), Poll::Ready(Join::Joined(7))));
}

#[test]
fn who_waits_for_an_outcome_that_panics_begins_anew() {
    let flights = Shared::default();
    let leader = lead(&flights);
    let mut waiter = flights.join_async(&1);
    assert!(poll_once(Pin::new(&mut waiter)).is_pending());
    let made = catch_unwind(AssertUnwindSafe(|| leader.finish_by(|| panic!("no outcome"))));
    assert!(made.is_err());
    assert!(matches!(poll_once(Pin::new(&mut waiter)), Poll::Ready(Join::Lead(_))));
}

#[test]
fn tasks_lead_that_a_thread_adopted_is_no_threads_any_more_as_an_owner() {
    let flights = Shared::default();
    let TryJoin::Lead(leader) = flights.try_join_task(&1) else { panic!("nobody else leads") };
    leader.adopt();
    assert!(matches!(flights.try_join(&1), TryJoin::Reentrant));
    let leader = leader.into_owned(&flights);
    assert!(matches!(flights.try_join(&1), TryJoin::Busy));
    assert_eq!(leader.finish(1), 1);
}

#[test]
fn leader_of_other_flights_is_refused_and_its_lead_passed_on() {
    let (flights, others) = (Shared::default(), Shared::default());
    let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
    let refused = catch_unwind(AssertUnwindSafe(|| drop(leader.into_owned(&others))));
    assert!(refused.is_err());
    assert_eq!((flights.len(), others.len()), (0, 0));
}

#[test]
fn owned_leaders_keep_their_flights_and_cross_threads() {
    fn crosses<T: Send + Sync + 'static>(_: &T) {}
    let flights = Shared::default();
    let leader = lead(&flights);
    crosses(&leader);
    drop(flights);
    assert_eq!(leader.finish(1), 1);
}
