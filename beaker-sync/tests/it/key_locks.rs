use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use beaker_sync::{KeyGuard, KeyLockFuture, KeyLocks};

const SOON: Duration = Duration::from_secs(20);

const _: fn() = || {
    fn goes_anywhere<T: Send + Sync + Unpin>() {}
    goes_anywhere::<KeyLocks<u64>>();
    goes_anywhere::<KeyGuard<u64>>();
    goes_anywhere::<KeyLockFuture<u64>>();
};

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < SOON, "it does not come");
        thread::yield_now();
    }
}

#[test]
fn a_key_is_held_once_and_two_keys_are_two_locks() {
    let locks = KeyLocks::new();
    let guard = locks.lock("a");
    assert_eq!((*guard.key(), locks.len()), ("a", 1));
    assert!(locks.clone().try_lock("a").is_none());
    let other = locks.try_lock("b").unwrap();
    assert_eq!((locks.len(), locks.is_empty()), (2, false));
    drop(guard);
    assert!(locks.try_lock("a").is_some());
    drop(other);
    assert_eq!((locks.len(), locks.is_empty()), (0, true));
}

#[test]
fn a_wait_that_is_too_long_leaves_nothing() {
    let locks = KeyLocks::new();
    let guard = locks.lock(1);
    assert!(locks.try_lock_for(1, Duration::from_millis(1)).is_none());
    assert!(locks.try_lock_for(1, Duration::ZERO).is_none());
    assert_eq!((locks.waiting(&1), locks.len()), (0, 1));
    drop(guard);
    assert_eq!(locks.len(), 0);
    assert_eq!(*locks.try_lock_for(1, Duration::MAX).unwrap().key(), 1);
}

#[test]
fn threads_and_tasks_are_served_in_the_order_in_which_they_came() {
    let locks = KeyLocks::new();
    let served = Mutex::new(Vec::new());
    let guard = locks.lock(1);
    thread::scope(|scope| {
        let [mut second, mut fourth] = [locks.lock_async(1), locks.lock_async(1)];
        let (locks, served) = (&locks, &served);
        let thread = |name| {
            let before = locks.waiting(&1);
            scope.spawn(move || {
                let _guard = locks.lock(1);
                served.lock().unwrap().push(name);
            });
            until(|| locks.waiting(&1) == before + 1);
        };
        thread("first");
        assert!(poll(&mut second).is_pending());
        thread("third");
        assert!(poll(&mut fourth).is_pending());
        drop(guard);
        for (name, mut future) in [("second", second), ("fourth", fourth)] {
            let began = Instant::now();
            let _guard = loop {
                if let Poll::Ready(guard) = poll(&mut future) {
                    break guard;
                }
                assert!(began.elapsed() < SOON, "{name} is not served");
                thread::yield_now();
            };
            served.lock().unwrap().push(name);
        }
    });
    assert_eq!(served.into_inner().unwrap(), ["first", "second", "third", "fourth"]);
    assert_eq!(locks.len(), 0);
}

#[test]
fn a_task_is_woken_once_by_the_waker_that_it_left_last() {
    let locks = KeyLocks::new();
    let guard = locks.lock(1);
    let mut future = locks.lock_async(1);
    let [older, newer] = [(); 2].map(|()| Arc::new(Woken::default()));
    for woken in [&older, &newer] {
        let waker = Waker::from(Arc::clone(woken));
        assert!(pin!(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(locks.waiting(&1), 1, "it waits in one place");
    drop(guard);
    assert_eq!((older.0.load(Ordering::SeqCst), newer.0.load(Ordering::SeqCst)), (0, 1));
    let Poll::Ready(guard) = poll(&mut future) else { panic!("it was handed the lock") };
    drop(future);
    assert_eq!(locks.len(), 1, "the guard has it");
    drop(guard);
    assert_eq!(locks.len(), 0);
}

/// A waker that panics when the last of its clones is dropped.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("the waker fails");
    }
}

#[test]
fn a_future_whose_waker_panics_leaves_its_place_when_it_is_dropped() {
    let locks = KeyLocks::new();
    let guard = locks.lock(1);
    let mut future = locks.lock_async(1);
    let waker = Waker::from(Arc::new(Panics));
    assert!(pin!(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut future).is_pending()));
    assert!(polled.is_err());
    assert_eq!(locks.waiting(&1), 1);
    drop(future);
    assert_eq!(locks.waiting(&1), 0);
    drop(guard);
    assert_eq!(locks.len(), 0);
}

#[test]
fn a_future_that_is_dropped_leaves_the_lock_to_the_next() {
    let locks = KeyLocks::new();
    let guard = locks.lock(1);
    drop(locks.lock_async(1));
    let [mut first, mut second, mut third] = [(); 3].map(|()| locks.lock_async(1));
    for future in [&mut first, &mut second, &mut third] {
        assert!(poll(future).is_pending());
    }
    // One that waits, and one that was handed the lock and does not know.
    drop(second);
    assert_eq!(locks.waiting(&1), 2);
    drop(guard);
    drop(first);
    let Poll::Ready(guard) = poll(&mut third) else { panic!("it is the next") };
    drop(guard);
    assert_eq!(locks.len(), 0);
}

#[test]
fn a_guard_that_is_dropped_by_a_panic_or_on_another_thread_frees_the_lock() {
    let locks = KeyLocks::new();
    let guard = locks.lock(1);
    let panicked = thread::spawn(move || {
        let _guard = guard;
        panic!("the work fails");
    });
    assert!(panicked.join().is_err());
    assert_eq!(locks.len(), 0);
}

#[test]
fn what_is_shown_has_no_key() {
    let locks = KeyLocks::new();
    let guard = locks.lock("secret");
    assert_eq!(format!("{locks:?} {guard:?}"), "KeyLocks { len: 1 } KeyGuard(..)");
    assert_eq!(format!("{:?}", locks.lock_async("secret")), "KeyLockFuture { waiting: false, .. }");
}

#[test]
fn of_many_one_at_a_time_has_the_lock() {
    let (locks, inside) = (KeyLocks::new(), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    let (done, all) = mpsc::channel();
    thread::scope(|scope| {
        for thread in 0..4 {
            let (locks, inside, done) = (&locks, &inside, done.clone());
            scope.spawn(move || {
                for round in 0..2_000 {
                    let key = (thread + round) % 2;
                    let guard = match round % 3 {
                        0 => locks.try_lock_for(key, Duration::from_micros(10)),
                        _ => Some(locks.lock(key)),
                    };
                    if guard.is_some() {
                        assert_eq!(inside[key].fetch_add(1, Ordering::SeqCst), 0);
                        inside[key].fetch_sub(1, Ordering::SeqCst);
                    }
                }
                done.send(()).unwrap();
            });
        }
        (0..4).for_each(|_| all.recv_timeout(SOON).unwrap());
    });
    assert_eq!(locks.len(), 0);
}
