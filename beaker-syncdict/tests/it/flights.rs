//! `Flights`: one leader, everybody's outcome, and what a leader that goes away leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use beaker_syncdict::{Flights, Join, Leader, TryJoin};

use crate::support::{LIMIT, Task, in_time, spawn, until};

type Shared = Arc<Flights<String, u32>>;

fn lead<'a>(flights: &'a Flights<String, u32>, key: &str) -> Leader<'a, String, u32> {
    match flights.join(key, Some(LIMIT)) {
        Join::Lead(leader) => leader,
        other => panic!("somebody else leads: {other:?}"),
    }
}

/// A thread that joins `key` and is known to wait there.
fn waiter(flights: &Shared, key: &'static str) -> Task<u32> {
    let already = flights.waiting(key);
    let joined = Arc::clone(flights);
    let task = spawn(move || match joined.join(key, Some(LIMIT)) {
        Join::Joined(outcome) => outcome,
        other => panic!("expected the outcome: {other:?}"),
    });
    until("the waiter waits", || flights.waiting(key) == already + 1);
    task
}

#[test]
fn everybody_who_joined_gets_the_leaders_outcome() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let waiters: Vec<_> = (0..8).map(|_| waiter(&flights, "k")).collect();
    assert_eq!(leader.finish(7), 7);
    let outcomes: Vec<u32> = waiters.into_iter().map(Task::join).collect();
    assert_eq!(outcomes, [7; 8]);
    assert_eq!(flights.len(), 0);
}

#[test]
fn outcome_is_not_kept() {
    let flights = Shared::default();
    lead(&flights, "k").finish(1);
    assert_eq!(lead(&flights, "k").finish(2), 2);
}

#[test]
fn different_keys_are_led_side_by_side() {
    let flights = Shared::default();
    let one = lead(&flights, "one");
    let two = lead(&flights, "two");
    assert_eq!(flights.len(), 2);
    assert_eq!((one.finish(1), two.finish(2)), (1, 2));
}

#[test]
fn joining_ones_own_key_is_reentrant() {
    in_time(|| {
        let flights = Shared::default();
        let outer = lead(&flights, "outer");
        let inner = lead(&flights, "inner");
        assert!(matches!(flights.join("outer", None), Join::Reentrant));
        assert!(matches!(flights.try_join("inner"), TryJoin::Reentrant));
        inner.finish(1);
        outer.finish(2);
        assert!(matches!(flights.try_join("outer"), TryJoin::Lead(_)));
    });
}

#[test]
fn dropped_leader_leaves_nothing_when_nobody_waits() {
    let flights = Shared::default();
    drop(lead(&flights, "k"));
    assert_eq!(flights.len(), 0);
    assert_eq!(lead(&flights, "k").finish(3), 3);
}

#[test]
fn dropped_leader_hands_the_lead_to_exactly_one_waiter() {
    let flights = Shared::default();
    let leads = Arc::new(AtomicUsize::new(0));
    let leader = lead(&flights, "k");
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let (flights, leads) = (Arc::clone(&flights), Arc::clone(&leads));
            spawn(move || match flights.join("k", Some(LIMIT)) {
                Join::Lead(leader) => {
                    leads.fetch_add(1, Ordering::SeqCst);
                    // Nobody else may be given the lead while this one has it.
                    until("the others wait on", || flights.waiting("k") == 7);
                    leader.finish(5)
                }
                Join::Joined(outcome) => outcome,
                other => panic!("expected lead or outcome: {other:?}"),
            })
        })
        .collect();
    until("all wait", || flights.waiting("k") == 8);
    drop(leader);
    let outcomes: Vec<u32> = waiters.into_iter().map(Task::join).collect();
    assert_eq!(outcomes, [5; 8]);
    assert_eq!(leads.load(Ordering::SeqCst), 1);
    assert_eq!(flights.len(), 0);
}

#[test]
fn thread_that_gave_the_lead_up_may_wait_for_its_successor() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let (go, finish) = mpsc::channel();
    let (led, leading) = mpsc::channel();
    let successor = {
        let flights = Arc::clone(&flights);
        spawn(move || match flights.join("k", Some(LIMIT)) {
            Join::Lead(leader) => {
                led.send(()).unwrap();
                finish.recv().unwrap();
                leader.finish(9)
            }
            other => panic!("expected the lead: {other:?}"),
        })
    };
    until("the successor waits", || flights.waiting("k") == 1);
    drop(leader);
    leading.recv_timeout(LIMIT).unwrap();
    assert!(matches!(flights.try_join("k"), TryJoin::Busy));
    go.send(()).unwrap();
    match flights.join("k", Some(LIMIT)) {
        Join::Joined(outcome) => assert_eq!(outcome, 9),
        Join::Lead(leader) => assert_eq!(leader.finish(1), 1), // the successor was done already
        other => panic!("neither outcome nor lead: {other:?}"),
    }
    assert_eq!(successor.join(), 9);
}

#[test]
fn wait_is_bounded_and_the_flight_goes_on() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let late = {
        let flights = Arc::clone(&flights);
        spawn(move || matches!(flights.join("k", Some(Duration::from_millis(5))), Join::TimedOut))
    };
    assert!(late.join());
    assert_eq!(flights.waiting("k"), 0);
    let patient = waiter(&flights, "k");
    leader.finish(4);
    assert_eq!(patient.join(), 4);
}

#[test]
fn try_join_is_busy_while_another_thread_leads() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let other = Arc::clone(&flights);
    assert!(spawn(move || matches!(other.try_join("k"), TryJoin::Busy)).join());
    leader.finish(0);
}

#[test]
fn detached_flight_ends_for_those_who_joined_and_a_new_one_runs_beside_it() {
    let flights = Shared::default();
    let old = lead(&flights, "k");
    let early = waiter(&flights, "k");
    assert!(!old.is_detached());
    assert!(flights.detach("k"));
    assert!(old.is_detached());
    let new = lead(&flights, "k");
    let late = waiter(&flights, "k");
    old.finish(1);
    assert_eq!(early.join(), 1);
    assert_eq!(flights.waiting("k"), 1, "the old flight's end must not touch the new one");
    new.finish(2);
    assert_eq!(late.join(), 2);
    assert_eq!(flights.len(), 0);
}

#[test]
fn detach_all_closes_every_flight_to_newcomers_only() {
    let flights = Shared::default();
    let (one, two) = (lead(&flights, "one"), lead(&flights, "two"));
    let joined = waiter(&flights, "one");
    flights.detach_all();
    assert!(one.is_detached() && two.is_detached());
    let newer = lead(&flights, "one");
    assert_eq!((one.finish(1), joined.join()), (1, 1));
    assert!(!newer.is_detached());
    assert_eq!((newer.finish(2), two.finish(3)), (2, 3));
    assert!(flights.is_empty());
}

#[test]
fn detach_says_whether_there_was_a_flight() {
    let flights = Shared::default();
    assert!(!flights.detach("k"));
    let old = lead(&flights, "k");
    assert!(flights.detach("k"));
    assert!(!flights.detach("k"));
    assert_eq!(flights.len(), 0, "a detached flight that nobody waits for is forgotten");
    assert_eq!(old.finish(1), 1);
}

#[test]
fn waiters_of_a_detached_flight_begin_anew_when_its_leader_gives_up() {
    let flights = Shared::default();
    let old = lead(&flights, "k");
    let early = waiter(&flights, "k");
    flights.detach("k");
    let new = lead(&flights, "k");
    drop(old);
    until("the early waiter joins the new flight", || flights.waiting("k") == 1);
    new.finish(2);
    assert_eq!(early.join(), 2);
    assert_eq!(flights.len(), 0);
}

#[test]
fn another_thread_may_finish_and_adopts_the_re_entry_check() {
    let flights = Flights::<String, u32>::new();
    let leader = lead(&flights, "k");
    thread::scope(|scope| {
        let finisher = scope.spawn(|| {
            let before = matches!(flights.try_join("k"), TryJoin::Busy);
            leader.adopt();
            let after = matches!(flights.join("k", Some(LIMIT)), Join::Reentrant);
            (before, after, leader.finish(6))
        });
        assert_eq!(finisher.join().unwrap(), (true, true, 6));
    });
}

/// F19: the registry holds no trace of waiters who gave up.
#[test]
fn f19_waiters_who_give_up_leave_no_entry() {
    let flights = Arc::new(Flights::<String, u32>::with_shards(1));
    let leader = lead(&flights, "k");
    let stayers: Vec<_> = (0..16).map(|_| waiter(&flights, "k")).collect();
    let leavers: Vec<_> = (0..8)
        .map(|_| {
            let flights = Arc::clone(&flights);
            spawn(move || {
                for _ in 0..12_500 {
                    assert!(matches!(flights.join("k", Some(Duration::ZERO)), Join::TimedOut));
                }
            })
        })
        .collect();
    leavers.into_iter().for_each(Task::join);
    assert_eq!(flights.waiting("k"), 16);
    leader.finish(1);
    assert!(stayers.into_iter().all(|stayer| stayer.join() == 1));
    assert_eq!(flights.len(), 0);
}

#[test]
fn panic_in_an_outcomes_clone_reaches_its_own_caller_only() {
    struct Fragile(Arc<AtomicUsize>);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert!(self.0.fetch_add(1, Ordering::SeqCst) != 1, "second clone");
            Self(Arc::clone(&self.0))
        }
    }
    let flights = Arc::new(Flights::<u8, Fragile>::new());
    let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let flights = Arc::clone(&flights);
            thread::spawn(move || matches!(flights.join(&1, Some(LIMIT)), Join::Joined(_)))
        })
        .collect();
    until("all wait", || flights.waiting(&1) == 4);
    let clones = Arc::new(AtomicUsize::new(0));
    let finished = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        leader.finish(Fragile(clones));
    }));
    let joined: Vec<_> = waiters.into_iter().map(thread::JoinHandle::join).collect();
    let panicked = joined.iter().filter(|joined| joined.is_err()).count();
    assert_eq!(panicked + usize::from(finished.is_err()), 1);
    assert!(joined.into_iter().flatten().all(|got_it| got_it));
    assert_eq!(flights.len(), 0);
}

#[test]
fn flights_and_leaders_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Flights<String, u32>>();
    crosses::<Leader<'static, String, u32>>();
}
