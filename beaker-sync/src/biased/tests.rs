use std::cell::{Cell, OnceCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::fence;
use super::lock::ROW;
use super::seat::Seat;
use super::{BiasedReadGuard, BiasedRwLock};

/// A lock that the calling thread may pass.
fn opened<T>(value: T) -> BiasedRwLock<T> {
    let lock = BiasedRwLock::new(value);
    open(&lock);
    lock
}

fn open<T>(lock: &BiasedRwLock<T>) {
    has_fences();
    for _ in 0..=ROW {
        drop(lock.read());
    }
}

/// Whether the system has the fences, which are asked for once in a process: another test may be about it.
fn has_fences() -> bool {
    let end = Instant::now() + Duration::from_secs(5);
    while !fence::are_there() && Instant::now() < end {
        thread::yield_now();
    }
    fence::are_there()
}

/// Whether the calling thread reads by its seat.
fn sits<T>(lock: &BiasedRwLock<T>) -> bool {
    Seat::own().is_some_and(|seat| !seat.is_empty() && lock.is_passed_by(seat))
}

#[test]
fn a_reader_passes_the_lock_after_a_row_of_reads_and_not_after_a_write() {
    if !has_fences() {
        println!("SKIPPED: this system has no membarrier(2), so nobody ever passes a lock");
        return;
    }
    let lock = BiasedRwLock::new(1);
    for _ in 0..=ROW {
        let guard = lock.read();
        assert!(!sits(&lock), "the lock was passed too early");
        drop(guard);
    }
    let guard = lock.read();
    assert!(sits(&lock));
    drop(guard);
    assert!(!sits(&lock));

    *lock.write() += 1;
    let guard = lock.read();
    assert!(!sits(&lock), "the lock was passed after a write");
    assert_eq!(*guard, 2);
}

#[test]
fn a_writer_gets_no_lock_that_a_reader_passed_however_often_it_tries() {
    let lock = opened(0);
    let guard = lock.read();
    thread::scope(|scope| {
        let tries = || {
            let once = lock.try_write_for(Duration::from_millis(1)).is_none();
            let twice = lock.try_write_for(Duration::from_millis(1)).is_none();
            once && twice && lock.try_write().is_none()
        };
        assert!(scope.spawn(tries).join().unwrap());
    });
    drop(guard);
    assert!(lock.try_write().is_some());
}

#[test]
fn a_writer_waits_for_a_reader_that_passed() {
    let lock = opened(0);
    let (begun, begins) = mpsc::channel();
    let left = AtomicBool::new(false);
    thread::scope(|scope| {
        let guard = lock.read();
        scope.spawn(|| {
            begun.send(()).unwrap();
            let mut value = lock.write();
            assert!(left.load(Ordering::Relaxed), "it wrote beside a reader");
            *value = 1;
        });
        begins.recv().unwrap();
        // From now on it waits, or will.
        while lock.try_read().is_some() {
            thread::yield_now();
        }
        assert_eq!(*guard, 0);
        left.store(true, Ordering::Relaxed);
        drop(guard);
    });
    assert_eq!(*lock.read(), 1);
}

#[test]
fn guards_of_one_thread_keep_writers_out_until_the_last_is_gone() {
    for first_goes_first in [true, false] {
        let lock = opened(());
        let (first, second) = (lock.read(), lock.read());
        let (goes, stays) = if first_goes_first { (first, second) } else { (second, first) };
        drop(goes);
        assert!(lock.try_write().is_none());
        drop(stays);
        assert!(lock.try_write().is_some());
    }
}

#[test]
fn a_guard_that_is_forgotten_stands_in_the_way_of_no_other_lock() {
    let seat = thread::spawn(|| {
        let lock = opened(0);
        std::mem::forget(lock.read());
        Seat::own()
    });
    let seat = seat.join().unwrap();
    // The seat is lost; it has a pass that no lock gets again, wherever it lies in memory.
    assert!(seat.is_none_or(|seat| !seat.is_empty()) || !fence::are_there());
    let lock = opened(0);
    assert!(lock.try_write().is_some());
}

#[test]
fn a_thread_reads_two_locks_at_a_time() {
    let (one, two) = (opened(1), opened(2));
    let (first, second) = (one.read(), two.read());
    assert!(one.try_write().is_none() && two.try_write().is_none());
    assert_eq!((*first, *second), (1, 2));
    drop((first, second));
    assert!(one.try_write().is_some() && two.try_write().is_some());
}

#[test]
fn a_seat_goes_to_another_thread_when_its_own_ends() {
    let lock = opened(0);
    for _ in 0..100 {
        thread::scope(|scope| {
            scope.spawn(|| drop(lock.read())).join().unwrap();
        });
    }
    let seats = Seat::all().count();
    assert!(seats < 100, "{seats} seats, where few threads read at a time");
}

/// What a thread does with a lock when its thread-locals are dropped.
struct Last {
    lock: &'static BiasedRwLock<u32>,
    guard: Cell<Option<BiasedReadGuard<'static, u32>>>,
    end: fn(&Self),
}

impl Drop for Last {
    fn drop(&mut self) {
        (self.end)(self);
    }
}

/// Runs `end` in a thread that had a seat, after this had its turn to be given back.
fn at_the_end(lock: &'static BiasedRwLock<u32>, begin: fn(&Last), end: fn(&Last)) {
    std::thread_local! {
        static LAST: OnceCell<Last> = const { OnceCell::new() };
    }
    open(lock);
    let ending = thread::spawn(move || {
        // Used first, so dropped after the seat is.
        LAST.with(|last| {
            let last = last.get_or_init(|| Last { lock, guard: Cell::new(None), end });
            drop(lock.read());
            assert!(Seat::own().is_some() || !fence::are_there());
            begin(last);
        });
    });
    // A panic in a thread-local's drop ends the process: `end` tells by what it leaves.
    ending.join().expect("a panic in its end would have ended the process");
}

#[test]
fn a_guard_that_outlives_its_thread_s_seat_keeps_it_and_keeps_writers_out() {
    static LOCK: BiasedRwLock<u32> = BiasedRwLock::new(0);
    static KEPT: AtomicBool = AtomicBool::new(false);
    at_the_end(
        &LOCK,
        |last| last.guard.set(Some(last.lock.read())),
        |last| {
            let keeps_seat = Seat::own().is_some() || !fence::are_there();
            KEPT.store(keeps_seat && last.lock.try_write().is_none(), Ordering::Relaxed);
            drop(last.guard.take());
        },
    );
    assert!(KEPT.load(Ordering::Relaxed));
}

#[test]
fn a_thread_that_has_given_its_seat_back_reads_by_the_lock_below() {
    static LOCK: BiasedRwLock<u32> = BiasedRwLock::new(0);
    static READ: AtomicBool = AtomicBool::new(false);
    at_the_end(
        &LOCK,
        |_| {},
        |last| {
            let guard = last.lock.read();
            let keeps_out = Seat::own().is_none() && last.lock.try_write().is_none();
            READ.store(keeps_out, Ordering::Relaxed);
            drop(guard);
        },
    );
    assert!(READ.load(Ordering::Relaxed));
}

#[test]
fn readers_never_see_half_of_a_write() {
    let writes = if cfg!(miri) { 3 } else { 100 };
    let lock = opened((0, 0));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let (one, two) = *lock.read();
                    assert_eq!(one, two);
                }
            });
        }
        for _ in 0..writes {
            // So that most writes find the lock passed.
            open(&lock);
            let mut value = lock.write();
            value.0 += 1;
            thread::yield_now();
            value.1 += 1;
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(lock.into_inner(), (writes, writes));
}
