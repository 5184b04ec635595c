use std::{
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use beaker_sync::{ErrorKind, NameLock};

const SOON: Duration = Duration::from_secs(20);

/// Whether another thread finds `lock` free.
fn is_free(lock: &NameLock) -> bool {
    thread::scope(|scope| scope.spawn(|| lock.try_lock().is_some()).join().unwrap())
}

#[test]
fn syn_22_one_name_is_one_lock_and_two_names_are_two() {
    let first = NameLock::plain("syn_22/one").unwrap();
    let guard = first.lock();
    assert!(!is_free(&NameLock::plain("syn_22/one").unwrap()));
    assert!(is_free(&NameLock::plain("syn_22/two").unwrap()));
    drop(guard);
    assert!(is_free(&first));
}

#[test]
fn syn_22_anonymous_locks_are_private_to_their_clones() {
    let first = NameLock::anonymous();
    let clone = first.clone();
    let _guard = first.lock();
    assert!(is_free(&NameLock::anonymous()));
    assert!(!is_free(&clone));
    assert_eq!(first.name(), None);
}

#[test]
fn syn_22_a_recursive_lock_is_free_with_its_last_guard() {
    for lock in [NameLock::recursive("syn_22/rec").unwrap(), NameLock::anonymous_recursive()] {
        let outer = lock.lock();
        let inner = lock.try_lock().unwrap();
        let third = lock.try_lock_for(Duration::from_millis(1)).unwrap();
        drop(outer);
        drop(third);
        assert!(!is_free(&lock));
        drop(inner);
        assert!(is_free(&lock));
    }
}

#[test]
fn a_plain_lock_that_this_thread_holds_is_not_free_for_it() {
    let lock = NameLock::plain("plain/own").unwrap();
    let _guard = lock.lock();
    assert!(lock.try_lock().is_none());
    let began = Instant::now();
    assert!(lock.try_lock_for(SOON * 10).is_none());
    assert!(lock.try_lock_for(Duration::MAX).is_none());
    assert!(began.elapsed() < SOON, "it must not wait for itself");
}

#[test]
#[should_panic(expected = "this thread holds the plain lock")]
fn waiting_for_oneself_panics_instead_of_hanging() {
    let lock = NameLock::plain("plain/self").unwrap();
    let _guard = lock.lock();
    let _never = lock.lock();
}

#[test]
fn d10_a_name_in_use_as_the_other_kind_is_an_error_and_free_again_after() {
    let plain = NameLock::plain("d10").unwrap();
    assert_eq!(NameLock::recursive("d10").unwrap_err().kind(), ErrorKind::Conflict);
    drop(plain);
    let recursive = NameLock::recursive("d10").unwrap();
    assert!(recursive.is_recursive());
    assert_eq!(NameLock::plain("d10").unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_waiter_gets_the_lock_when_it_is_freed() {
    let lock = NameLock::plain("waiter").unwrap();
    for timed in [false, true] {
        let guard = lock.lock();
        thread::scope(|scope| {
            let (started, waiting) = mpsc::channel();
            let lock = &lock;
            let waiter = scope.spawn(move || {
                started.send(()).unwrap();
                let guard = if timed { lock.try_lock_for(SOON) } else { Some(lock.lock()) };
                guard.is_some()
            });
            waiting.recv().unwrap();
            drop(guard);
            assert!(waiter.join().unwrap());
        });
    }
}

#[test]
fn a_timed_waiter_gives_up_when_time_is_up() {
    let lock = NameLock::plain("timed").unwrap();
    let _guard = lock.lock();
    thread::scope(|scope| {
        scope.spawn(|| {
            let began = Instant::now();
            assert!(lock.try_lock_for(Duration::from_millis(20)).is_none());
            assert!(began.elapsed() >= Duration::from_millis(20));
        });
    });
}

#[test]
fn a_panic_frees_the_lock() {
    let lock = NameLock::plain("panic").unwrap();
    let panicked = thread::scope(|scope| {
        let body = || {
            let _guard = lock.lock();
            panic!("boom")
        };
        scope.spawn(body).join()
    });
    assert!(panicked.is_err());
    assert!(is_free(&lock));
}

#[test]
fn threads_that_find_a_lock_by_name_exclude_each_other() {
    const ROUNDS: usize = 2_000;
    let (inside, done, start) = (AtomicUsize::new(0), AtomicUsize::new(0), Barrier::new(4));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..ROUNDS {
                    let lock = NameLock::plain("crowd").unwrap();
                    let _guard = lock.lock();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(done.into_inner(), 4 * ROUNDS);
}
