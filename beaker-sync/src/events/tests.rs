use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;

/// Counts how often a task is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn task() -> (Arc<Woken>, Waker) {
    let woken = Arc::new(Woken::default());
    (Arc::clone(&woken), Waker::from(woken))
}

fn wakes(woken: &Woken) -> usize {
    woken.0.load(Ordering::SeqCst)
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn who_listens_is_told_of_its_keys_and_of_no_other() {
    let events = Events::new();
    let mut listener = events.listen(["a", "c"]);
    let (woken, waker) = task();
    let mut context = Context::from_waker(&waker);
    assert!(listener.poll_notified(&mut context).is_pending());
    events.notify(&"b");
    assert_eq!(wakes(&woken), 0);
    for (times, key) in [(1, "a"), (2, "c")] {
        events.notify(&key);
        assert_eq!(wakes(&woken), times);
        assert!(listener.poll_notified(&mut context).is_ready());
        assert!(listener.poll_notified(&mut context).is_pending(), "it was taken");
    }
}

#[test]
fn everybody_who_listens_for_a_key_is_told() {
    let events = Events::new();
    let (mut one, mut other) = (events.listen(["a"]), events.listen(["a"]));
    events.notify(&"a");
    assert_eq!(one.wait_for(LONG), Some(()));
    assert_eq!(other.wait_for(LONG), Some(()));
}

#[test]
fn what_happened_before_it_was_asked_for_is_told_once() {
    let events = Events::new();
    let mut listener = events.listen([1]);
    events.notify(&1);
    events.notify(&1);
    assert_eq!(listener.wait_for(LONG), Some(()));
    assert_eq!(listener.wait_for(Duration::ZERO), None);
}

#[test]
fn what_happened_before_somebody_listened_is_not_told() {
    let events = Events::new();
    events.notify(&1);
    assert_eq!(events.listen([1]).wait_for(Duration::ZERO), None);
}

#[test]
fn a_thread_that_waits_is_woken() {
    let events = Events::new();
    let (listens, is_listening) = mpsc::channel();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut listener = events.listen([1]);
            listens.send(()).unwrap();
            listener.wait_for(LONG)
        });
        is_listening.recv().unwrap();
        events.notify(&1);
        assert_eq!(waiter.join().unwrap(), Some(()));
    });
}

#[test]
fn a_future_that_is_dropped_takes_no_notification_along() {
    let events = Events::new();
    let mut listener = events.listen([1]);
    let (woken, waker) = task();
    let mut context = Context::from_waker(&waker);
    {
        let mut wait = std::pin::pin!(listener.notified());
        assert!(wait.as_mut().poll(&mut context).is_pending());
        events.notify(&1);
        assert_eq!(wakes(&woken), 1);
    }
    let mut wait = std::pin::pin!(listener.notified());
    assert!(wait.as_mut().poll(&mut context).is_ready());
}

#[test]
fn the_task_that_polled_last_is_the_one_that_is_woken() {
    let events = Events::new();
    let mut listener = events.listen([1]);
    let ((first, one), (second, other)) = (task(), task());
    for waker in [&one, &other] {
        assert!(listener.poll_notified(&mut Context::from_waker(waker)).is_pending());
    }
    events.notify(&1);
    assert_eq!((wakes(&first), wakes(&second)), (0, 1));
}

#[test]
fn a_listener_that_is_dropped_leaves_nothing() {
    let events = Events::new();
    let (woken, waker) = task();
    let mut listener = events.listen([1, 1, 2]);
    let other = events.listen([2]);
    assert!(listener.poll_notified(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(events.listeners(), 2);
    drop(listener);
    events.notify(&1);
    assert_eq!((wakes(&woken), Arc::strong_count(&woken)), (0, 2), "its waker is gone too");
    assert_eq!(events.listeners(), 1);
    drop(other);
    let table = events.table.lock();
    assert!(table.keys.is_empty() && table.slots.is_empty());
    assert_eq!(events.count.load(Ordering::Relaxed), 0);
}
