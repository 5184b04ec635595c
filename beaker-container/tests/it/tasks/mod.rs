//! Tasks, alone and beside threads.

mod cancellation;
mod flights;
mod policies;
pub(crate) mod runtimes;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use beaker_container::Cache;
use tokio::runtime::{Builder, Runtime};

use crate::harness::{HANG, Lab};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const SOON: Duration = Duration::from_millis(5);

pub(crate) fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs a test on a runtime of one thread and on one of two, on each store; a hang fails it.
pub(crate) fn everywhere<F: Future<Output = ()>>(test: impl Fn(Arc<Lab>) -> F) {
    for runtime in [one_thread(), two_threads()] {
        for lab in Lab::each().into_iter().chain([Lab::asynchronous()]) {
            let lab = Arc::new(lab);
            runtime.block_on(async {
                tokio::time::timeout(HANG, test(lab)).await.expect("the test hangs");
            });
        }
    }
}

pub(crate) fn cache(lab: &Lab) -> Cache<String, u32> {
    Cache::new(lab.namespace())
}

/// Lets other tasks run until `done`.
pub(crate) async fn until(done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < HANG, "it does not come");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
