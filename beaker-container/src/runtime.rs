//! The runtime that tasks run on: the caller's, or one of our own where there is none.
//
// Timers always run on our own: the caller's runtime may have been built without them, which tokio
// answers with a panic, and it may be shut down while a future of ours is still polled elsewhere.
// It is one thread, started by the first wait that needs it.

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;

use crate::{Error, ErrorKind};

static OWN: LazyLock<Option<Handle>> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_time().build().ok()?;
    let handle = runtime.handle().clone();
    let drive = move || runtime.block_on(pending::<()>());
    thread::Builder::new().name("beaker-timer".to_owned()).spawn(drive).ok()?;
    Some(handle)
});

fn own() -> Result<Handle, Error> {
    OWN.clone().ok_or_else(|| {
        Error::new(ErrorKind::Runtime, "the system gave no thread for the timers; free resources")
    })
}

fn current() -> Result<Handle, Error> {
    Handle::try_current().or_else(|_| own())
}

/// Runs `call`, which may block, on a thread for that. If the future is dropped the call still runs,
/// and what it gives is dropped.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    match current()?.spawn_blocking(call).await {
        Ok(value) => Ok(value),
        Err(failed) if failed.is_panic() => resume_unwind(failed.into_panic()),
        Err(_cancelled) => Err(Error::runtime_ended()),
    }
}

/// The output of `future`, or `None` if `wait` passes first. A wait of zero polls once.
pub(crate) async fn timeout<F: Future>(wait: Duration, future: F) -> Option<F::Output> {
    let Ok(own) = own() else { return Some(future.await) };
    let timed = {
        let _entered = own.enter();
        tokio::time::timeout(wait, future)
    };
    timed.await.ok()
}

/// Runs `future` beside the caller.
pub(crate) fn spawn(
    future: impl Future<Output = ()> + Send + 'static,
) -> Result<AbortHandle, Error> {
    Ok(current()?.spawn(future).abort_handle())
}

/// Catches a panic of `future`.
pub(crate) struct Caught<F>(Pin<Box<F>>);

impl<F: Future> Caught<F> {
    pub(crate) fn new(future: Pin<Box<F>>) -> Self {
        Self(future)
    }
}

impl<F: Future> Future for Caught<F> {
    type Output = thread::Result<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // The future is not polled again after a panic.
        let future = self.0.as_mut();
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}
