//! The models of flights in which tasks wait.

use std::sync::Arc;

use beaker_syncdict::model::{Sabotage, with_sabotage};
use beaker_syncdict::{Flights, Join};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::block_on::{block_on, poll_and_drop};
use crate::{flights, join};

/// Ends a join: finishes with `mine` when it leads, which only one may do at a time.
fn settle(join: Join<'_, u8, u32>, leading: &AtomicUsize, mine: u32) -> u32 {
    match join {
        Join::Lead(leader) => {
            assert_eq!(leading.fetch_add(1, Ordering::SeqCst), 0, "two leaders");
            leading.fetch_sub(1, Ordering::SeqCst);
            leader.finish(mine)
        }
        Join::Joined(outcome) => outcome,
        Join::TimedOut | Join::Reentrant => panic!("neither can be here"),
    }
}

fn join_as_task(flights: &Flights<u8, u32>, mine: u32) -> u32 {
    settle(block_on(flights.join_async(&1)), &AtomicUsize::new(0), mine)
}

fn leader_finishes_while_a_task_joins() {
    loom::model(|| {
        let flights = flights();
        let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
        let waiter = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || join_as_task(&flights, 2))
        };
        assert_eq!(leader.finish(1), 1);
        let got = waiter.join().unwrap();
        assert!(got == 1 || got == 2);
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn task_gets_the_outcome_or_leads() {
    leader_finishes_while_a_task_joins();
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_a_waker_left_after_the_look_is_found() {
    with_sabotage(Sabotage::WakerLeftLate, leader_finishes_while_a_task_joins);
}

/// A leader that gives up while a task and a thread join: one of them leads at a time.
fn leader_gives_up_before_a_task_and_a_thread() {
    loom::model(|| {
        let flights = flights();
        let leading = Arc::new(AtomicUsize::new(0));
        let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
        let waiters = [true, false].map(|is_task| {
            let (flights, leading) = (Arc::clone(&flights), Arc::clone(&leading));
            thread::spawn(move || {
                let future = || block_on(flights.join_async(&1));
                let join = if is_task { future() } else { flights.join(&1, None) };
                settle(join, &leading, 1)
            })
        });
        drop(leader);
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap() == 1));
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn abandoned_flight_is_led_by_the_task_or_by_the_thread() {
    leader_gives_up_before_a_task_and_a_thread();
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_a_silent_offer_to_tasks_and_threads_is_found() {
    with_sabotage(Sabotage::SilentHandOver, leader_gives_up_before_a_task_and_a_thread);
}

#[test]
#[should_panic(expected = "two leaders")]
fn control_a_lead_given_to_task_and_thread_is_found() {
    with_sabotage(Sabotage::LeadTakenTwice, leader_gives_up_before_a_task_and_a_thread);
}

/// A leader gives up while a task that waits is dropped and a thread joins: the lead is not lost.
fn leader_gives_up_before_a_task_that_is_dropped() {
    loom::model(|| {
        let flights = flights();
        let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
        let hasty = {
            let flights = Arc::clone(&flights);
            // If it leads it gives up as well.
            thread::spawn(move || drop(poll_and_drop(flights.join_async(&1))))
        };
        let patient = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || join(&flights, 3))
        };
        drop(leader);
        hasty.join().unwrap();
        assert_eq!(patient.join().unwrap(), 3);
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn dropped_task_takes_no_lead_along() {
    leader_gives_up_before_a_task_that_is_dropped();
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_a_lead_lost_by_a_dropped_task_is_found() {
    with_sabotage(Sabotage::LeadLostByDrop, leader_gives_up_before_a_task_that_is_dropped);
}

/// The same with nobody else: the flight ends with the last who leaves it, whoever that is.
#[test]
fn flight_ends_with_the_leader_and_the_task_that_both_give_up() {
    loom::model(|| {
        let flights = flights();
        let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
        let hasty: Vec<_> = (0..2)
            .map(|_| {
                let flights = Arc::clone(&flights);
                thread::spawn(move || drop(poll_and_drop(flights.join_async(&1))))
            })
            .collect();
        drop(leader);
        hasty.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(flights.len(), 0);
    });
}

/// Detach, the leader giving up, and a task, all at once: the task ends and nothing is left.
#[test]
fn task_in_a_detached_flight_ends_although_its_leader_gives_up() {
    loom::model(|| {
        let flights = flights();
        let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
        let waiter = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || join_as_task(&flights, 2))
        };
        let detacher = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || flights.detach(&1))
        };
        drop(leader);
        assert_eq!(waiter.join().unwrap(), 2);
        detacher.join().unwrap();
        assert_eq!(flights.len(), 0);
    });
}

/// A scope is of one thread: another that joins at the same time waits.
#[test]
fn re_entry_is_told_by_scope() {
    loom::model(|| {
        let flights = flights();
        let other = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || join_as_task(&flights, 7))
        };
        let mine = block_on(async {
            match flights.join_async(&1).await {
                Join::Lead(leader) => {
                    let work = async { matches!(flights.join_async(&1).await, Join::Reentrant) };
                    assert!(leader.scope().wrap(work).await);
                    leader.finish(7)
                }
                Join::Joined(outcome) => outcome,
                Join::TimedOut | Join::Reentrant => panic!("neither can be here"),
            }
        });
        assert_eq!((mine, other.join().unwrap()), (7, 7));
    });
}
