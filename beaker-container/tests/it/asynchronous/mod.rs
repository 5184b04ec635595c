//! A store with an asynchronous face: a task calls it by nothing else, and may drop any call.

mod batches;
mod calls;
mod dropped;
mod kept;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::Instant;

use beaker_container::Cache;
use beaker_namespace::testkit::AsyncStore;
use beaker_namespace::{FileNamespace, Key, Namespace, Wait};
use tokio::runtime::Builder;

use crate::harness::{HANG, Lab};
use crate::tasks::runtimes::without_runtime;
use crate::tasks::{one_thread, two_threads};

/// Runs a test within runtimes of every kind and in none, each time with a store that panics at a
/// blocking call.
fn on_every_runtime<F: Future<Output = ()>>(test: impl Fn(Arc<Lab>) -> F) {
    let test = || in_time(test(Arc::new(Lab::refusing())));
    one_thread().block_on(test());
    two_threads().block_on(test());
    let without_timers = Builder::new_current_thread().build().unwrap();
    without_timers.block_on(test());
    without_runtime(test());
}

/// The output of `future`; a hang is a panic. It needs no timer of a runtime's.
async fn in_time<F: Future>(future: F) -> F::Output {
    let (mut future, began) = (pin!(future), Instant::now());
    let mut alarm = None;
    poll_fn(move |context| {
        let waker = context.waker().clone();
        alarm.get_or_insert_with(|| Alarm::set(waker));
        assert!(began.elapsed() < HANG, "the test hangs");
        future.as_mut().poll(context)
    })
    .await
}

/// A thread that wakes a task once, when the time is over; it ends before if this is dropped.
struct Alarm(thread::Thread);

impl Alarm {
    fn set(waker: Waker) -> Self {
        let ring = move || {
            thread::park_timeout(HANG);
            waker.wake();
        };
        Self(thread::spawn(ring).thread().clone())
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

/// A cache on a store of its own that panics at a blocking call, and what lies below it.
struct Remote {
    cache: Cache<u64, u64>,
    store: Arc<AsyncStore<FileNamespace>>,
    _lab: Lab,
}

impl Remote {
    fn new() -> Self {
        let lab = Lab::file();
        let store = Arc::new(AsyncStore::new(lab.file_named("remote")));
        store.refuse_blocking();
        Self { cache: Cache::new(store.clone()), store, _lab: lab }
    }

    /// Whether nobody has the claim on `key`.
    fn is_free(&self, key: u64) -> bool {
        self.store.inner().claim(&Key::new(&key), Wait::Never).unwrap().is_some()
    }
}
