//! All interleavings of the flight and of the weak registry, by the loom model checker.
//!
//! `RUSTFLAGS="--cfg beaker_loom" LOOM_MAX_PREEMPTIONS=2 cargo test -p beaker-syncdict --test loom
//! --release`. Each claim has a negative control: the same model with one fault built in, which
//! loom must find. Loom has no time: a bounded wait, however long, ends at once.
//!
//! Loom does not look inside `std::sync::Arc` and `Weak`. It does interleave their drops and
//! upgrades with every lock of this crate, which is what the registry's promise rests on.

#![cfg(beaker_loom)]

#[path = "checked/block_on.rs"]
mod block_on;
#[path = "checked/loom_tasks.rs"]
mod tasks;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use beaker_syncdict::model::{Sabotage, with_sabotage};
use beaker_syncdict::{Flights, Join, Reentrant, SyncDict, TryJoin, WeakRegistry};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

type Shared = Arc<Flights<u8, u32>>;
type Dict = Arc<SyncDict<u8, u32>>;

/// One shard: which shard a key falls into is random, and a model must not be.
fn flights() -> Shared {
    Arc::new(Flights::with_shards(1))
}

fn dict() -> Dict {
    Arc::new(SyncDict::with_shards(1))
}

/// Joins key 1, and finishes with `mine` when it leads.
fn join(flights: &Flights<u8, u32>, mine: u32) -> u32 {
    match flights.join(&1, None) {
        Join::Lead(leader) => leader.finish(mine),
        Join::Joined(outcome) => outcome,
        Join::TimedOut | Join::Reentrant => panic!("neither can be here"),
    }
}

fn leader_finishes_while_a_waiter_joins() {
    loom::model(|| {
        let flights = flights();
        let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
        let waiter = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || join(&flights, 2))
        };
        assert_eq!(leader.finish(1), 1);
        let got = waiter.join().unwrap();
        assert!(got == 1 || got == 2);
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn waiter_gets_the_outcome_or_leads() {
    leader_finishes_while_a_waiter_joins();
}

/// A leader that gives up while two others join: one of them leads at a time, and both end.
fn leader_gives_up_before_two_waiters() {
    loom::model(|| {
        let flights = flights();
        let leading = Arc::new(AtomicUsize::new(0));
        let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let (flights, leading) = (Arc::clone(&flights), Arc::clone(&leading));
                thread::spawn(move || match flights.join(&1, None) {
                    Join::Lead(leader) => {
                        assert_eq!(leading.fetch_add(1, Ordering::SeqCst), 0, "two leaders");
                        leading.fetch_sub(1, Ordering::SeqCst);
                        leader.finish(1)
                    }
                    Join::Joined(outcome) => outcome,
                    Join::TimedOut | Join::Reentrant => panic!("neither can be here"),
                })
            })
            .collect();
        drop(leader);
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap() == 1));
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn abandoned_flight_is_led_by_exactly_one_waiter() {
    leader_gives_up_before_two_waiters();
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_abandoning_silently_is_found() {
    with_sabotage(Sabotage::SilentHandOver, leader_gives_up_before_two_waiters);
}

#[test]
#[should_panic(expected = "two leaders")]
fn control_a_lead_given_twice_is_found() {
    with_sabotage(Sabotage::LeadTakenTwice, leader_gives_up_before_two_waiters);
}

/// A waiter whose time is over meets a leader that gives up: the lead is not lost.
#[test]
fn waiter_that_times_out_takes_or_leaves_the_lead_and_loses_nothing() {
    loom::model(|| {
        let flights = flights();
        let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
        let hasty = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || match flights.join(&1, Some(Duration::ZERO)) {
                Join::Lead(leader) => drop(leader.finish(2)),
                Join::Joined(outcome) => assert_eq!(outcome, 3),
                Join::TimedOut => {}
                Join::Reentrant => panic!("another thread leads"),
            })
        };
        let patient = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || join(&flights, 3))
        };
        drop(leader);
        hasty.join().unwrap();
        let got = patient.join().unwrap();
        assert!(got == 2 || got == 3);
        assert_eq!(flights.len(), 0);
    });
}

/// Who gave the lead up comes back before its successor has begun: that is no re-entry.
#[test]
fn thread_that_gave_the_lead_up_may_join_again_at_once() {
    loom::model(|| {
        let flights = flights();
        let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
        let waiter = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || join(&flights, 2))
        };
        drop(leader);
        let again = join(&flights, 3);
        assert!(again == 2 || again == 3);
        let got = waiter.join().unwrap();
        assert!(got == 2 || got == 3);
        assert_eq!(flights.len(), 0);
    });
}

/// What is detached before a join does not reach the joiner.
fn detach_meets_a_waiter() {
    loom::model(|| {
        let flights = flights();
        let Join::Lead(old) = flights.join(&1, None) else { panic!("nobody else leads") };
        let late = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || {
                flights.detach(&1);
                join(&flights, 2)
            })
        };
        let early = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || match flights.try_join(&1) {
                TryJoin::Lead(leader) => drop(leader.finish(2)),
                TryJoin::Busy => {}
                TryJoin::Reentrant => panic!("another thread leads"),
            })
        };
        let late = late.join().unwrap();
        assert_eq!(late, 2, "joined the flight it had detached");
        early.join().unwrap();
        assert_eq!(old.finish(1), 1);
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn who_joins_after_a_detach_leads_anew() {
    detach_meets_a_waiter();
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_a_detach_without_effect_is_found() {
    with_sabotage(Sabotage::InvalidationForgotten, detach_meets_a_waiter);
}

/// Detach, the leader giving up, and a waiter, all at once: the waiter ends and nothing is left.
#[test]
fn waiter_of_a_detached_flight_ends_although_its_leader_gives_up() {
    loom::model(|| {
        let flights = flights();
        let Join::Lead(leader) = flights.join(&1, None) else { panic!("nobody else leads") };
        let waiter = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || join(&flights, 2))
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

/// A creator reads a source that is changed and then invalidated by `remove` at the same time.
fn removal_meets_a_fill(with_waiter: bool) {
    loom::model(move || {
        let dict = dict();
        let source = Arc::new(AtomicUsize::new(1));
        let creators: Vec<_> = (0..=usize::from(with_waiter))
            .map(|_| {
                let (dict, source) = (Arc::clone(&dict), Arc::clone(&source));
                let read = move || source.load(Ordering::SeqCst) as u32;
                thread::spawn(move || dict.get_or_create(&1, read).unwrap())
            })
            .collect();
        source.store(2, Ordering::SeqCst);
        dict.remove(&1);
        for creator in creators {
            let value = creator.join().unwrap();
            assert!(value == 1 || value == 2);
        }
        assert_ne!(dict.get(&1), Some(1), "what was removed has come back");
        assert_eq!(dict.creations(), 0);
    });
}

#[test]
fn removal_wins_over_a_creation_that_is_running() {
    removal_meets_a_fill(false);
}

#[test]
fn removal_wins_over_a_creation_that_is_waited_for() {
    removal_meets_a_fill(true);
}

#[test]
#[should_panic(expected = "has come back")]
fn control_a_removal_that_forgets_the_creation_is_found() {
    with_sabotage(Sabotage::InvalidationForgotten, || removal_meets_a_fill(false));
}

#[test]
#[should_panic(expected = "has come back")]
fn control_a_fill_that_ignores_the_removal_is_found() {
    with_sabotage(Sabotage::StaleFill, || removal_meets_a_fill(true));
}

fn insertion_meets_a_fill() {
    loom::model(|| {
        let dict = dict();
        let creators: Vec<_> = (0..2)
            .map(|_| {
                let dict = Arc::clone(&dict);
                thread::spawn(move || dict.get_or_create(&1, || 7).unwrap())
            })
            .collect();
        dict.insert(1, 50);
        for creator in creators {
            let value = creator.join().unwrap();
            assert!(value == 7 || value == 50);
        }
        assert_eq!(dict.get(&1), Some(50), "the inserted value was overwritten");
        assert_eq!(dict.creations(), 0);
    });
}

#[test]
fn insertion_wins_over_a_creation_that_is_running() {
    insertion_meets_a_fill();
}

#[test]
#[should_panic(expected = "was overwritten")]
fn control_an_insertion_that_forgets_the_creation_is_found() {
    with_sabotage(Sabotage::InvalidationForgotten, insertion_meets_a_fill);
}

fn two_create_one_key() {
    loom::model(|| {
        let dict = dict();
        let created = Arc::new(AtomicUsize::new(0));
        let other = {
            let (dict, created) = (Arc::clone(&dict), Arc::clone(&created));
            thread::spawn(move || {
                let create = || created.fetch_add(1, Ordering::SeqCst) as u32;
                dict.get_or_create(&1, create)
            })
        };
        let create = || created.fetch_add(1, Ordering::SeqCst) as u32;
        assert_eq!(dict.get_or_create(&1, create), Ok(0), "created twice");
        assert_eq!(other.join().unwrap(), Ok(0), "created twice");
    });
}

#[test]
fn key_is_created_once() {
    two_create_one_key();
}

#[test]
#[should_panic(expected = "created twice")]
fn control_a_lead_without_a_second_look_is_found() {
    with_sabotage(Sabotage::NoSecondLook, two_create_one_key);
}

/// A failing creator and one who may wait for it: nobody is lost, and nothing is stored.
#[test]
fn error_goes_to_those_who_wait_and_the_others_create() {
    loom::model(|| {
        let dict = dict();
        let other = {
            let dict = Arc::clone(&dict);
            thread::spawn(move || dict.get_or_try_create(&1, || Err::<u32, _>("no")))
        };
        assert!(dict.get_or_try_create(&1, || Err::<u32, _>("no")).is_err());
        assert!(other.join().unwrap().is_err());
        assert_eq!((dict.len(), dict.creations()), (0, 0));
    });
}

#[test]
fn re_entry_is_told_by_thread() {
    loom::model(|| {
        let dict = dict();
        let other = {
            let dict = Arc::clone(&dict);
            thread::spawn(move || dict.get_or_create(&1, || 7))
        };
        let mine = dict.get_or_create(&1, || {
            assert_eq!(dict.get_or_create(&1, || 8), Err(Reentrant));
            7
        });
        assert_eq!((mine, other.join().unwrap()), (Ok(7), Ok(7)));
    });
}

/// F21: a creator that asks for its own key and then panics, beside another who asks.
fn an_init_that_panics_meets_another() {
    loom::model(|| {
        let dict = dict();
        let made = Arc::new(AtomicUsize::new(0));
        let other = {
            let (dict, made) = (Arc::clone(&dict), Arc::clone(&made));
            thread::spawn(move || {
                let make = || 7 + made.fetch_add(1, Ordering::SeqCst) as u32;
                dict.get_or_create(&1, make)
            })
        };
        let asks_and_panics = || {
            assert_eq!(dict.get_or_create(&1, || 8), Err(Reentrant));
            // Without the message that a panic prints, in each of the many orders.
            resume_unwind(Box::new("no value"))
        };
        let mine = catch_unwind(AssertUnwindSafe(|| dict.get_or_create(&1, asks_and_panics)));
        assert!(matches!(mine, Err(_) | Ok(Ok(7))), "the panic reaches its caller alone");
        assert_eq!(other.join().unwrap(), Ok(7), "the other makes the value");
        assert_eq!(dict.get_or_create(&1, || 9), Ok(7), "it is usable, and the value is there");
        assert_eq!((made.load(Ordering::SeqCst), dict.creations()), (1, 0));
    });
}

#[test]
fn f21_an_init_that_re_enters_and_panics_hands_on_and_poisons_nothing() {
    an_init_that_panics_meets_another();
}

#[test]
#[should_panic(expected = "deadlock")]
fn f21_control_a_panic_that_hands_on_silently_is_found() {
    with_sabotage(Sabotage::SilentHandOver, an_init_that_panics_meets_another);
}

/// The last owner lets go of a value while another looks for it: one value lives at a time.
fn last_drop_meets_a_look_up() {
    loom::model(|| {
        let registry: Arc<WeakRegistry<u8, u8>> = Arc::new(WeakRegistry::weak_with_shards(1));
        let other = {
            let registry = Arc::clone(&registry);
            thread::spawn(move || hold_and_let_go(&registry))
        };
        hold_and_let_go(&registry);
        other.join().unwrap();
        assert_eq!(registry.len(), 0);
    });
}

fn hold_and_let_go(registry: &WeakRegistry<u8, u8>) {
    let held = registry.get_or_create(&1, || Arc::new(0)).unwrap();
    let found = registry.get(&1);
    assert!(found.is_some_and(|found| Arc::ptr_eq(&held, &found)), "two live values");
}

#[test]
fn one_value_of_a_key_lives_at_a_time() {
    last_drop_meets_a_look_up();
}

#[test]
#[should_panic(expected = "two live values")]
fn control_a_second_live_value_is_found() {
    with_sabotage(Sabotage::NoSecondLook, last_drop_meets_a_look_up);
}
