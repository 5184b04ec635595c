//! Models of the biased lock, for `tests/loom.rs`: its stand-ins, and faults that a model must find.

use std::cell::Cell;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{self, Ordering};
use loom::thread;

use super::BiasedRwLock;
use super::seat::Seat;

/// A fault that a model puts in on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// None.
    None,
    /// Readers pass without a fence.
    NoLightFence,
    /// Writers begin without one.
    NoHeavyFence,
    /// Writers find no seats.
    NoSeats,
}

std::thread_local! {
    // Loom runs its threads on the one that calls it, so this is one value for a whole model.
    static FAULT: Cell<Fault> = const { Cell::new(Fault::None) };
}

fn has(fault: Fault) -> bool {
    FAULT.get() == fault
}

pub(super) fn are_there() -> bool {
    true
}

// As strong as what they stand for and no stronger: of two that cross, one sees what the other's caller did
// before; they order nothing else, as a fence of the language would.
pub(super) fn light() {
    if !has(Fault::NoLightFence) {
        FENCE.fetch_add(1, Ordering::AcqRel);
    }
}

pub(super) fn heavy() -> bool {
    if !has(Fault::NoHeavyFence) {
        FENCE.fetch_add(1, Ordering::AcqRel);
    }
    true
}

loom::lazy_static! {
    static ref FENCE: atomic::AtomicUsize = atomic::AtomicUsize::new(0);
    static ref SEATS: [Seat; 3] = [Seat::new(), Seat::new(), Seat::new()];
}

pub(super) fn all() -> impl Iterator<Item = &'static Seat> {
    SEATS.iter().filter(|_| !has(Fault::NoSeats))
}

pub(super) fn find() -> &'static Seat {
    SEATS.iter().find(|seat| seat.is_won()).expect("a model has at most three threads")
}

/// A value whose accesses loom watches, behind the lock.
type Watched = Arc<BiasedRwLock<UnsafeCell<usize>>>;

fn read(lock: &BiasedRwLock<UnsafeCell<usize>>) -> usize {
    let guard = lock.read();
    guard.with(|value| {
        // SAFETY: loom stops the model if somebody writes meanwhile: that is what is asked.
        #[allow(unsafe_code, reason = "loom's cell has no other face")]
        unsafe {
            *value
        }
    })
}

fn add(value: &UnsafeCell<usize>) {
    value.with_mut(|value| {
        // SAFETY: as in `read`.
        #[allow(unsafe_code, reason = "loom's cell has no other face")]
        unsafe {
            *value += 1;
        }
    });
}

/// A lock that the calling thread has opened, and reads past.
fn opened() -> Watched {
    let lock = Arc::new(BiasedRwLock::new(UnsafeCell::new(0)));
    assert_eq!(read(&lock), 0);
    lock
}

fn spawn(lock: &Watched, body: fn(&BiasedRwLock<UnsafeCell<usize>>)) -> thread::JoinHandle<()> {
    let lock = Arc::clone(lock);
    thread::spawn(move || body(&lock))
}

fn run(fault: Fault, model: fn()) {
    FAULT.set(fault);
    // Set back also when the model finds the fault, by a panic.
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            FAULT.set(Fault::None);
        }
    }
    let _reset = Reset;
    loom::model(model);
}

/// A reader that passes beside a writer: they exclude each other, and who reads later sees the write.
pub fn a_reader_that_passes_and_a_writer_exclude_each_other(fault: Fault) {
    run(fault, || {
        let lock = opened();
        let writer = spawn(&lock, |lock| add(&lock.write()));
        let first = read(&lock);
        let second = read(&lock);
        assert!(first <= second, "a write was seen, and then not");
        writer.join().expect("no model thread panics");
        assert_eq!(read(&lock), 1);
    });
}

/// Two readers, each with a seat, beside a writer that only tries.
pub fn a_try_that_fails_does_not_forget_who_reads(fault: Fault) {
    run(fault, || {
        let lock = opened();
        let reader = spawn(&lock, |lock| {
            read(lock);
            read(lock);
        });
        let mut written = 0;
        for _ in 0..2 {
            if let Some(value) = lock.try_write() {
                add(&value);
                written += 1;
            }
        }
        reader.join().expect("no model thread panics");
        assert_eq!(read(&lock), written);
    });
}

/// A thread that reads twice at a time, beside a writer.
pub fn the_second_of_two_guards_of_one_thread_keeps_writers_out(fault: Fault) {
    run(fault, || {
        let lock = opened();
        let writer = spawn(&lock, |lock| {
            if let Some(value) = lock.try_write() {
                add(&value);
            }
        });
        let outer = lock.read();
        let Some(inner) = lock.try_read() else {
            drop(outer);
            writer.join().expect("no model thread panics");
            return;
        };
        drop(outer);
        inner.with(|_| thread::yield_now());
        drop(inner);
        writer.join().expect("no model thread panics");
    });
}

/// A thread that reads one lock, then another, beside a writer of the first.
pub fn what_a_reader_that_moved_on_had_read_was_read_before(fault: Fault) {
    run(fault, || {
        let one = opened();
        let two = opened();
        let writer = spawn(&one, |lock| add(&lock.write()));
        read(&one);
        read(&two);
        writer.join().expect("no model thread panics");
    });
}

/// Two threads that open at a time and then pass, beside a writer.
pub fn what_was_passed_by_either_of_two_openings_is_waited_for(fault: Fault) {
    run(fault, || {
        let lock: Watched = Arc::new(BiasedRwLock::new(UnsafeCell::new(0)));
        let twice = |lock: &BiasedRwLock<UnsafeCell<usize>>| {
            read(lock);
            read(lock);
        };
        let other = spawn(&lock, twice);
        twice(&lock);
        if let Some(value) = lock.try_write() {
            add(&value);
        }
        other.join().expect("no model thread panics");
    });
}

/// Who passes sees what was written before another thread opened.
pub fn who_passes_sees_what_was_written_before(fault: Fault) {
    run(fault, || {
        let lock: Watched = Arc::new(BiasedRwLock::new(UnsafeCell::new(0)));
        let other = spawn(&lock, |lock| {
            // For a seat.
            opened();
            read(lock);
        });
        add(&lock.write());
        read(&lock);
        other.join().expect("no model thread panics");
    });
}
