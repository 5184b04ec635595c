//! The models of locks by key, for which threads and tasks wait, each with a fault that it must find.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use beaker_sync::{
    KeyLocks,
    key_lock_faults::{Fault, with_fault},
};
use loom::{
    sync::atomic::{AtomicUsize, Ordering},
    thread::{self, JoinHandle},
};

use crate::block_on::{block_on, poll_and_drop};

/// How one comes to the lock.
#[derive(Clone, Copy)]
enum Way {
    /// As a thread that waits for as long as it takes.
    Thread,
    /// As a task that does.
    Task,
    /// As a thread whose time is over when the others have had a turn.
    Impatient,
    /// As a task that is dropped after its first poll.
    Dropped,
    /// As a thread that does not wait.
    Try,
}

/// Some who come to one lock, and who of them is inside.
#[derive(Clone)]
struct Visit {
    locks: KeyLocks<u8>,
    inside: Arc<AtomicUsize>,
    /// How many have been.
    turns: Arc<AtomicUsize>,
}

impl Visit {
    fn new() -> Self {
        let [inside, turns] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        Self { locks: KeyLocks::new(), inside, turns }
    }

    /// Whether he had the lock.
    fn come(&self, way: Way) -> bool {
        let guard = match way {
            Way::Thread => Some(self.locks.lock(1)),
            Way::Task => Some(block_on(self.locks.lock_async(1))),
            Way::Impatient => self.locks.try_lock_for(1, Duration::from_secs(1)),
            Way::Dropped => poll_and_drop(self.locks.lock_async(1)),
            Way::Try => self.locks.try_lock(1),
        };
        if guard.is_some() {
            assert_eq!(self.inside.fetch_add(1, Ordering::SeqCst), 0, "two hold the lock");
            self.turns.fetch_add(1, Ordering::SeqCst);
            self.inside.fetch_sub(1, Ordering::SeqCst);
        }
        guard.is_some()
    }

    fn send(&self, way: Way) -> JoinHandle<bool> {
        let visit = self.clone();
        thread::spawn(move || visit.come(way))
    }
}

/// Three come at once; the lock is free afterwards, and nothing is kept of it. A lost wake-up is a deadlock, which loom
/// reports.
fn three_come(ways: [Way; 3]) {
    loom::model(move || {
        let visit = Visit::new();
        let others = [visit.send(ways[0]), visit.send(ways[1])];
        visit.come(ways[2]);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(visit.locks.len(), 0, "a lock is left over");
    });
}

/// One holds the lock while another comes in a way of his own and a third waits for it.
fn two_come_to_one_who_holds_it(ways: [Way; 2]) {
    loom::model(move || {
        let visit = Visit::new();
        let guard = visit.locks.lock(1);
        let others = ways.map(|way| visit.send(way));
        drop(guard);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(visit.locks.len(), 0, "a lock is left over");
    });
}

#[test]
fn threads_and_tasks_exclude_each_other_and_all_have_their_turn() {
    three_come([Way::Thread, Way::Task, Way::Task]);
    three_come([Way::Task, Way::Try, Way::Thread]);
}

#[test]
fn who_gives_up_beside_a_hand_over_takes_no_lock_along() {
    for gives_up in [Way::Impatient, Way::Dropped] {
        for waits in [Way::Thread, Way::Task] {
            two_come_to_one_who_holds_it([gives_up, waits]);
        }
        three_come([gives_up, Way::Task, gives_up]);
    }
}

#[test]
fn who_waits_is_served_before_who_comes_later() {
    for (waits, late) in [(Way::Thread, Way::Task), (Way::Task, Way::Thread), (Way::Task, Way::Try)]
    {
        let waited = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let seen = Arc::clone(&waited);
        loom::model(move || {
            let visit = Visit::new();
            let guard = visit.locks.lock(1);
            let first = visit.send(waits);
            let is_first = visit.locks.waiting(&1) == 1;
            drop(guard);
            if visit.come(late) && is_first {
                assert_eq!(visit.turns.load(Ordering::SeqCst), 2, "who came later overtook him");
                seen.fetch_add(1, Ordering::SeqCst);
            }
            first.join().unwrap();
        });
        assert!(waited.load(Ordering::SeqCst) > 0, "in no order did he wait");
    }
}

fn is_found(fault: Fault, model: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(|| with_fault(fault, model))).is_err()
}

#[test]
fn control_each_fault_is_found() {
    let come = |ways| move || two_come_to_one_who_holds_it(ways);
    assert!(is_found(Fault::SilentHandOver, come([Way::Thread, Way::Thread])));
    assert!(is_found(Fault::SilentHandOver, come([Way::Task, Way::Task])));
    assert!(is_found(Fault::WakerLeftLate, come([Way::Task, Way::Task])));
    assert!(is_found(Fault::GivesUpDeaf, come([Way::Impatient, Way::Thread])));
    assert!(is_found(Fault::GivesUpDeaf, come([Way::Dropped, Way::Task])));
}
