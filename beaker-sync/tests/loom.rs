//! The in-process synchronizer and the registry of names under every order of their steps.
//!
//! Run with `RUSTFLAGS="--cfg beaker_loom" LOOM_MAX_PREEMPTIONS=2`, in a target directory of its own.

#![cfg(beaker_loom)]
#![allow(missing_docs, reason = "tests document themselves by their names")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "checked/block_on.rs"]
mod block_on;
#[path = "checked/key_locks.rs"]
mod key_locks;

use std::time::Duration;

use beaker_sync::{
    Synchronizer,
    biased_models::{self, Fault},
    events_models::{self, Fault as Lapse},
    registry_models,
};
use loom::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// Who is inside; entering asserts that the rule of readers and writers is kept.
#[derive(Default)]
struct Inside {
    readers: AtomicUsize,
    writers: AtomicUsize,
}

impl Inside {
    fn read(&self) {
        self.readers.fetch_add(1, Ordering::SeqCst);
        assert_eq!(self.writers.load(Ordering::SeqCst), 0, "a reader beside a writer");
        self.readers.fetch_sub(1, Ordering::SeqCst);
    }

    fn write(&self) {
        assert_eq!(self.writers.fetch_add(1, Ordering::SeqCst), 0, "two writers");
        assert_eq!(self.readers.load(Ordering::SeqCst), 0, "a writer beside a reader");
        self.writers.fetch_sub(1, Ordering::SeqCst);
    }
}

fn spawn(
    lock: &Synchronizer,
    inside: &Arc<Inside>,
    body: fn(&Synchronizer, &Inside),
) -> thread::JoinHandle<()> {
    let (lock, inside) = (lock.clone(), Arc::clone(inside));
    thread::spawn(move || body(&lock, &inside))
}

fn reader(lock: &Synchronizer, inside: &Inside) {
    let _guard = lock.read().unwrap();
    inside.read();
}

fn writer(lock: &Synchronizer, inside: &Inside) {
    let _guard = lock.write().unwrap();
    inside.write();
}

/// Runs two bodies beside a third and lets the lock be found free afterwards. A lost wake-up is a
/// deadlock, which loom reports.
fn run(
    first: fn(&Synchronizer, &Inside),
    second: fn(&Synchronizer, &Inside),
    third: fn(&Synchronizer, &Inside),
) {
    loom::model(move || {
        let lock = Synchronizer::anonymous();
        let inside = Arc::new(Inside::default());
        let threads = [spawn(&lock, &inside, first), spawn(&lock, &inside, second)];
        third(&lock, &inside);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(lock.try_write().unwrap().is_some(), "the lock is free at the end");
    });
}

#[test]
fn two_readers_and_a_writer_exclude_each_other_and_all_finish() {
    run(reader, reader, writer);
}

#[test]
fn two_writers_and_a_reader_exclude_each_other_and_all_finish() {
    run(writer, writer, reader);
}

#[test]
fn syn_11_a_nested_reader_passes_a_writer_that_waits() {
    fn nesting(lock: &Synchronizer, inside: &Inside) {
        let _outer = lock.read().unwrap();
        let _nested = lock.read().unwrap();
        inside.read();
    }
    run(nesting, writer, reader);
}

#[test]
fn syn_8_a_try_that_fails_leaves_nothing_behind() {
    fn trying(lock: &Synchronizer, inside: &Inside) {
        if let Some(_guard) = lock.try_write().unwrap() {
            inside.write();
        }
        if let Some(_guard) = lock.try_read().unwrap() {
            inside.read();
        }
    }
    run(trying, writer, reader);
}

/// In loom a timed wait ends when the others have had a turn.
fn impatient(lock: &Synchronizer, inside: &Inside) {
    if let Some(_guard) = lock.try_write_for(Duration::from_secs(1)).unwrap() {
        inside.write();
    }
}

#[test]
fn a_writer_that_gives_up_leaves_nobody_waiting() {
    run(impatient, writer, reader);
    run(impatient, reader, reader);
}

#[test]
fn readers_that_stood_behind_a_writer_who_gives_up_pass_beside_those_inside() {
    loom::model(|| {
        let lock = Synchronizer::anonymous();
        let inside = Arc::new(Inside::default());
        let reading = lock.read().unwrap();
        let threads = [spawn(&lock, &inside, impatient), spawn(&lock, &inside, reader)];
        for thread in threads {
            thread.join().unwrap();
        }
        drop(reading);
    });
}

#[test]
fn syn_11_a_waiting_writer_keeps_new_readers_out() {
    let refusals = std::sync::atomic::AtomicUsize::new(0);
    let refusals = std::sync::Arc::new(refusals);
    let seen = std::sync::Arc::clone(&refusals);
    loom::model(move || {
        let lock = Synchronizer::anonymous();
        let wrote = Arc::new(AtomicBool::new(false));
        let reading = lock.read().unwrap();
        let thread = {
            let (lock, wrote) = (lock.clone(), Arc::clone(&wrote));
            thread::spawn(move || {
                let _guard = lock.write().unwrap();
                wrote.store(true, Ordering::SeqCst);
            })
        };
        // A new reader that is refused beside a mere reader was refused for the writer that waits.
        let trying = {
            let lock = lock.clone();
            thread::spawn(move || lock.try_read().unwrap().is_none())
        };
        let refused = trying.join().unwrap();
        assert!(!wrote.load(Ordering::SeqCst), "the writer came in beside a reader");
        drop(reading);
        if refused {
            // Then it waits before this reader comes, and is first.
            seen.fetch_add(1, Ordering::SeqCst);
            let _guard = lock.read().unwrap();
            assert!(wrote.load(Ordering::SeqCst), "a new reader overtook a waiting writer");
        }
        thread.join().unwrap();
    });
    assert!(refusals.load(Ordering::SeqCst) > 0, "no order of steps kept a reader out");
}

/// A lock as Beaker's: the writer waits once, without a loop, so that the exit of the first of two
/// readers lets it in beside the second.
struct WaitsOnce {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl WaitsOnce {
    fn read(&self, body: impl FnOnce()) {
        let mut state = self.state.lock().unwrap();
        while state.1 {
            state = self.changed.wait(state).unwrap();
        }
        state.0 += 1;
        drop(state);
        body();
        self.state.lock().unwrap().0 -= 1;
        self.changed.notify_all();
    }

    fn write(&self, body: impl FnOnce()) {
        let mut state = self.state.lock().unwrap();
        state.1 = true;
        if state.0 > 0 {
            state = self.changed.wait(state).unwrap();
        }
        body();
        state.1 = false;
        drop(state);
        self.changed.notify_all();
    }
}

#[test]
#[should_panic(expected = "a writer beside a reader")]
fn d1_control_a_wait_without_a_loop_is_caught() {
    loom::model(|| {
        let lock = Arc::new(WaitsOnce { state: Mutex::default(), changed: Condvar::new() });
        let inside = Arc::new(Inside::default());
        let readers = [(); 2].map(|()| {
            let (lock, inside) = (Arc::clone(&lock), Arc::clone(&inside));
            thread::spawn(move || {
                lock.read(|| {
                    inside.readers.fetch_add(1, Ordering::SeqCst);
                    thread::yield_now();
                    inside.readers.fetch_sub(1, Ordering::SeqCst);
                });
            })
        });
        lock.write(|| inside.write());
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn f20_two_look_ups_beside_a_drop_meet_in_one_value_and_leave_none() {
    registry_models::f20_two_look_ups_beside_a_drop_meet_in_one_value_and_leave_none();
}

#[test]
fn a_clone_beside_a_drop_keeps_the_value_registered() {
    registry_models::a_clone_beside_a_drop_keeps_the_value_registered();
}

#[test]
#[should_panic(expected = "two values of one name are in use")]
fn f20_control_a_registry_that_decides_outside_of_its_lock_is_caught() {
    registry_models::control_a_registry_that_decides_outside_of_its_lock_is_caught();
}

#[test]
fn a_reader_that_passes_a_biased_lock_and_a_writer_exclude_each_other() {
    biased_models::a_reader_that_passes_and_a_writer_exclude_each_other(Fault::None);
}

#[test]
fn a_try_to_write_that_fails_does_not_forget_who_reads() {
    biased_models::a_try_that_fails_does_not_forget_who_reads(Fault::None);
}

#[test]
fn the_second_of_two_guards_of_one_thread_keeps_writers_out() {
    biased_models::the_second_of_two_guards_of_one_thread_keeps_writers_out(Fault::None);
}

/// The controls: without a part of what keeps writers out, a model finds a reader beside one.
fn is_found(model: fn(Fault), fault: Fault) -> bool {
    std::panic::catch_unwind(|| model(fault)).is_err()
}

#[test]
fn a_biased_lock_without_one_of_its_fences_or_without_seats_is_found_out() {
    for fault in [Fault::NoLightFence, Fault::NoHeavyFence, Fault::NoSeats] {
        let model = biased_models::a_reader_that_passes_and_a_writer_exclude_each_other;
        assert!(is_found(model, fault), "{fault:?} was not found");
    }
}

#[test]
fn what_a_reader_that_moved_on_had_read_was_read_before() {
    biased_models::what_a_reader_that_moved_on_had_read_was_read_before(Fault::None);
}

#[test]
fn what_was_passed_by_either_of_two_openings_is_waited_for() {
    biased_models::what_was_passed_by_either_of_two_openings_is_waited_for(Fault::None);
}

#[test]
fn who_passes_a_biased_lock_sees_what_was_written_before() {
    biased_models::who_passes_sees_what_was_written_before(Fault::None);
}

#[test]
fn who_waits_for_what_is_removed_meanwhile_hears_of_it() {
    events_models::who_waits_for_what_is_removed_meanwhile_hears_of_it(Lapse::None);
}

#[test]
fn who_gives_up_takes_nothing_from_another_who_waits() {
    events_models::who_gives_up_takes_nothing_from_another_who_waits(Lapse::None);
}

#[test]
fn a_wait_without_one_of_the_rules_of_events_is_found_out() {
    for lapse in [Lapse::NoFence, Lapse::ListensLate, Lapse::NotifiesEarly] {
        let model = events_models::who_waits_for_what_is_removed_meanwhile_hears_of_it;
        let found = std::panic::catch_unwind(|| model(lapse)).is_err();
        assert!(found, "{lapse:?} was not found");
    }
}
