//! Flights with more waiters than loom can search through, in random schedules by shuttle.
//!
//! `RUSTFLAGS="--cfg beaker_shuttle" cargo test -p beaker-syncdict --test shuttle --release`.
//! `BEAKER_SHUTTLE_SCHEDULES` is the number of schedules for each claim, 10,000 by default. Each
//! claim has a negative control: the same model with one fault built in, which shuttle must find.
//! Shuttle prints the schedule of a failure, to be run again by `shuttle::replay`.

#![cfg(beaker_shuttle)]
#![allow(clippy::unwrap_used, reason = "an unwrap in a test is an assertion")]

#[path = "checked/block_on.rs"]
mod block_on;

use std::env;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use beaker_syncdict::model::{Sabotage, with_sabotage};
use beaker_syncdict::{Flights, Join};
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread::{self, JoinHandle};

use crate::block_on::{block_on, poll_and_drop};

type Shared = Arc<Flights<u8, u32>>;

const LEFT_BEHIND: &str = "a flight is left behind";

/// Runs `model` in random schedules.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let asked = env::var("BEAKER_SHUTTLE_SCHEDULES").ok();
    let schedules = asked.map_or(10_000, |text| text.parse().expect("a number of schedules"));
    shuttle::check_random(model, schedules);
}

/// One shard: which shard a key falls into is random, and a schedule is to be repeatable.
fn flights() -> Shared {
    Arc::new(Flights::with_shards(1))
}

/// A caller that waits to the end, as a thread or as a task; a leader gives up `gives_up` times
/// in all before one finishes.
#[derive(Clone)]
struct Callers {
    flights: Shared,
    leading: Arc<AtomicUsize>,
    gives_up: Arc<AtomicUsize>,
}

impl Callers {
    fn new(gives_up: usize) -> Self {
        let gives_up = Arc::new(AtomicUsize::new(gives_up));
        Self { flights: flights(), leading: Arc::default(), gives_up }
    }

    fn spawn(&self, as_task: bool) -> JoinHandle<Option<u32>> {
        let caller = self.clone();
        thread::spawn(move || {
            if as_task {
                block_on(async { caller.settle(caller.flights.join_async(&1).await) })
            } else {
                caller.settle(caller.flights.join(&1, None))
            }
        })
    }

    /// `None` for a leader that gives up.
    fn settle(&self, join: Join<'_, u8, u32>) -> Option<u32> {
        let leader = match join {
            Join::Lead(leader) => leader,
            Join::Joined(outcome) => return Some(outcome),
            Join::TimedOut | Join::Reentrant => panic!("neither can be here"),
        };
        assert_eq!(self.leading.fetch_add(1, Ordering::SeqCst), 0, "two leaders");
        thread::yield_now();
        self.leading.fetch_sub(1, Ordering::SeqCst);
        let one_less = |left: usize| left.checked_sub(1);
        if self.gives_up.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return None;
        }
        Some(leader.finish(7))
    }
}

/// Two tasks and two threads; the lead is given up twice.
fn four_waiters_and_leaders_that_give_up() {
    check(|| {
        let callers = Callers::new(2);
        let handles = [true, false, true, false].map(|as_task| callers.spawn(as_task));
        let outcomes: Vec<Option<u32>> =
            handles.into_iter().map(|handle| handle.join().unwrap()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), 2);
        assert!(outcomes.into_iter().flatten().all(|outcome| outcome == 7));
        assert_eq!(callers.flights.len(), 0);
    });
}

#[test]
fn four_waiters_end_however_often_the_lead_is_given_up() {
    four_waiters_and_leaders_that_give_up();
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_a_silent_offer_is_found() {
    with_sabotage(Sabotage::SilentHandOver, four_waiters_and_leaders_that_give_up);
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_a_waker_left_after_the_look_is_found() {
    with_sabotage(Sabotage::WakerLeftLate, four_waiters_and_leaders_that_give_up);
}

#[test]
#[should_panic(expected = "two leaders")]
fn control_a_lead_taken_twice_is_found() {
    with_sabotage(Sabotage::LeadTakenTwice, four_waiters_and_leaders_that_give_up);
}

/// Four who give up at random, each in its own way, beside one who waits to the end.
fn hasty_callers_and_a_patient_one() {
    check(|| {
        let callers = Callers::new(0);
        let Join::Lead(leader) = callers.flights.join(&1, None) else { panic!("it leads") };
        let patient = callers.spawn(thread_rng().r#gen());
        let hasty: Vec<_> = (0..4)
            .map(|_| {
                let flights = Arc::clone(&callers.flights);
                let as_task = thread_rng().r#gen();
                thread::spawn(move || {
                    if as_task {
                        drop(poll_and_drop(flights.join_async(&1)));
                    } else {
                        drop(flights.join(&1, Some(Duration::ZERO)));
                    }
                })
            })
            .collect();
        drop(leader);
        hasty.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(patient.join().unwrap(), Some(7));
        assert_eq!(callers.flights.len(), 0, "{LEFT_BEHIND}");
    });
}

#[test]
fn callers_who_give_up_take_no_lead_along() {
    hasty_callers_and_a_patient_one();
}

/// A lost lead shows in one of two ways: the patient one waits for a leader that nobody is, or he
/// is done by then and the flight stays in the map. Shuttle reports the one it meets first.
#[test]
fn control_a_lead_lost_by_a_dropped_future_is_found() {
    let found = catch_unwind(|| {
        with_sabotage(Sabotage::LeadLostByDrop, hasty_callers_and_a_patient_one);
    });
    let fault = found.expect_err("a lead that is lost goes unseen");
    let report = fault.downcast_ref::<String>().expect("a panic with a formatted message");
    assert!(report.contains("deadlock") || report.contains(LEFT_BEHIND), "{report}");
}

/// Four waiters meet a detach and a leader that finishes or gives up.
#[test]
fn four_waiters_of_a_detached_flight_end() {
    check(|| {
        let callers = Callers::new(usize::from(thread_rng().r#gen::<bool>()));
        let Join::Lead(leader) = callers.flights.join(&1, None) else { panic!("it leads") };
        let handles = [true, false, true, false].map(|as_task| {
            // The old flight and the new one may be led side by side.
            let caller = Callers { leading: Arc::default(), ..callers.clone() };
            caller.spawn(as_task)
        });
        let detacher = {
            let flights = Arc::clone(&callers.flights);
            thread::spawn(move || flights.detach(&1))
        };
        if thread_rng().r#gen() {
            leader.finish(7);
        } else {
            drop(leader);
        }
        for handle in handles {
            assert!(handle.join().unwrap().is_none_or(|outcome| outcome == 7));
        }
        detacher.join().unwrap();
        assert_eq!(callers.flights.len(), 0);
    });
}
