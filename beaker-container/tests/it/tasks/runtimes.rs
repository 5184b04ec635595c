//! Runtimes of every kind, and none.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;

use beaker_container::{Cache, ErrorKind, Policy, Source, Stale};
use beaker_namespace::testkit::FaultStore;
use tokio::runtime::Builder;

use super::{MINUTE, SOON, cache, one_thread, two_threads, until};
use crate::harness::{HANG, Lab};

/// Polls a future on this thread, which parks between polls: there is no runtime.
pub(crate) fn without_runtime<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    let began = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        assert!(began.elapsed() < HANG, "it hangs");
        thread::park_timeout(HANG);
    }
}

#[test]
fn f65_it_works_outside_of_a_runtime() {
    for lab in Lab::each() {
        let cache = cache(&lab).with_policy(Policy::new().hard_timeout(MINUTE));
        let made = cache.fetch("k").spawn_async(|_| async { Ok::<_, ()>(1_u32) });
        assert_eq!(without_runtime(made).unwrap().value, 1);
        assert_eq!(without_runtime(cache.get_async("k")).unwrap(), Some(1));
    }
}

#[test]
fn f65_a_runtime_that_goes_away_takes_its_creations_with_it() {
    for lab in Lab::each() {
        let policy = Policy::new().ttl(MINUTE).stale(Stale::Both { max_age: MINUTE });
        let cache = cache(&lab).with_policy(policy);
        cache.insert("k", 1).unwrap();
        lab.advance(61);
        let runtime = two_threads();
        let (entered, has_entered) = channel();
        let create = move |_| async move {
            entered.send(()).unwrap();
            pending::<Result<u32, ()>>().await
        };
        let got = runtime.block_on(cache.fetch("k").spawn_async(create)).unwrap();
        assert_eq!((got.value, got.source), (1, Source::Stale));
        has_entered.recv_timeout(HANG).unwrap();
        drop(runtime);
        // The flight is free again: a thread makes the value.
        assert_eq!(cache.get_or_create("k", || 2).unwrap(), 2);
    }
}

#[test]
fn f65_a_runtime_without_timers_is_no_panic() {
    let runtime = Builder::new_current_thread().build().unwrap();
    for lab in Lab::each() {
        let cache = cache(&lab);
        let held = cache.clone();
        let (entered, has_entered) = channel();
        let (go, wait) = channel::<()>();
        let leader = thread::spawn(move || {
            held.get_or_create("k", || {
                entered.send(()).unwrap();
                wait.recv_timeout(HANG).unwrap();
                1
            })
        });
        has_entered.recv_timeout(HANG).unwrap();
        let impatient = cache.clone().with_wait(SOON);
        let waited = runtime.block_on(impatient.get_or_create_async("k", || async { 2 }));
        assert_eq!(waited.unwrap_err().kind(), ErrorKind::Timeout);
        go.send(()).unwrap();
        assert_eq!(leader.join().unwrap().unwrap(), 1);
    }
}

#[test]
fn f22_a_store_that_blocks_does_not_stall_the_runtime() {
    let lab = Lab::file();
    let (namespace, other) = (lab.named("shared"), lab.named("shared"));
    let key = beaker_namespace::Key::new("k");
    let claim = other.claim(&key, beaker_namespace::Wait::Never).unwrap().unwrap();
    one_thread().block_on(async {
        let store = Arc::new(FaultStore::new(namespace));
        let cache = Cache::<String, u32>::new(store.clone()).with_wait(MINUTE);
        let waiting =
            tokio::spawn(async move { cache.get_or_create_async("k", || async { 2 }).await });
        // This runs on the same thread, and goes on while the store waits for the claim. Were it
        // stalled, the claim would never be given back, and the call would fail after its time.
        until(|| store.claims() == 1).await;
        let others = (0..100).map(|_| tokio::spawn(tokio::task::yield_now()));
        for other in others.collect::<Vec<_>>() {
            other.await.unwrap();
        }
        assert!(!waiting.is_finished(), "the claim is held");
        drop(claim);
        assert_eq!(waiting.await.unwrap().unwrap(), 2);
    });
}
