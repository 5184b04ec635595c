//! Calls of a function that can outlive them.
//
// 1. What makes the value is kept by the call too, and not by the creation alone. So whatever becomes of the
//    cache or of the runtime, the call can still do it: it fails by neither.
// 2. It is done once. A creation that was begun and goes away without an end, because its runtime was
//    shut down, is gone on with by its call where it stopped; what it had made by then is taken as it is.
//    Timers and sockets of that runtime are gone then, and another caller may make the value as well.

#[cfg(feature = "tokio")]
use std::pin::Pin;
use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::task::{Context, Poll};

use beaker_namespace::Key;
use parking_lot::Mutex;

use super::calls::value;
use super::types::{SharedError, Value};
use super::{Function, FunctionCache};
use crate::{CreateError, Created, Error, ErrorKind, Fetch, regions};

/// `load(…)` and `load::refresh(…)`, which is `anew`, of a function that can outlive its call.
///
/// `late` makes the error of a call that reached its hard time-out; without it there is none.
pub fn try_spawn<V: Value, E: SharedError>(
    function: &Function<V>,
    key: &Key,
    original: impl FnOnce() -> Result<Created<V>, E> + Send + 'static,
    late: Option<fn(Error) -> E>,
    anew: bool,
) -> Result<V, E> {
    let Ok(cache) = function.told(regions::cache_of(function)) else { return value(original()) };
    let kept = Kept(Arc::new(Mutex::new(Some(original))));
    let create = kept.clone();
    let made = fetch(&cache, key, late.is_some(), anew).spawn(move |_| create.take()());
    match (made, late) {
        (Ok(got), _) => Ok(got.value),
        (Err(CreateError::Create(error)), _) => Err(error),
        (Err(CreateError::Cache(error)), Some(late)) if is_late(&error) => Err(late(error)),
        (Err(CreateError::Cache(error)), _) => {
            function.report(&error);
            value(kept.take()())
        }
    }
}

/// As [`try_spawn`], in a task. `late` also makes the error of a call whose creation was begun when its
/// runtime was shut down; without it the call goes on with that itself.
#[cfg(feature = "tokio")]
pub async fn try_spawn_async<V: Value, E: SharedError, F>(
    function: &'static Function<V>,
    key: &Key,
    original: impl FnOnce() -> F + Send + 'static,
    late: Option<fn(Error) -> E>,
    anew: bool,
) -> Result<V, E>
where
    F: Future<Output = Result<Created<V>, E>> + Send + 'static,
{
    let Ok(cache) = function.told(regions::cache_of_async(function).await) else {
        return value(original().await);
    };
    let work = Work(Arc::new(Mutex::new(Progress::Waits(original))));
    let create = work.clone();
    let made = fetch(&cache, key, late.is_some(), anew).spawn_async(move |_| create).await;
    let (error, late) = match (made, late) {
        (Ok(got), _) => return Ok(got.value),
        (Err(CreateError::Create(error)), _) => return Err(error),
        (Err(CreateError::Cache(error)), Some(late)) if is_late(&error) => return Err(late(error)),
        (Err(CreateError::Cache(error)), late) => (error, late),
    };
    // Nobody works on it any more.
    match (work.take(), late) {
        (Progress::Runs(_), Some(late)) => Err(late(error)),
        (progress, _) => {
            function.report(&error);
            value(progress.end().await)
        }
    }
}

/// A call of a function that can outlive it. Where it cannot say that it is late, it is not.
fn fetch<'a, V: Value>(
    cache: &'a FunctionCache<V>,
    key: &Key,
    can_be_late: bool,
    anew: bool,
) -> Fetch<'a, V> {
    let fetch = cache.fetch(key);
    let fetch = if anew { fetch.anew() } else { fetch };
    if can_be_late { fetch } else { fetch.policy(|policy| policy.hard_timeout(None)) }
}

fn is_late(error: &Error) -> bool {
    error.kind() == ErrorKind::CreationTimeout
}

/// What is run once, by the creation or, if that did not come to it, by the call.
struct Kept<F>(Arc<Mutex<Option<F>>>);

impl<F> Clone for Kept<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> Kept<F> {
    fn take(&self) -> F {
        match self.0.lock().take() {
            Some(kept) => kept,
            None => unreachable!("a worker tells the call what came of all that it began"),
        }
    }
}

/// What is done once, in the creation's task or, if that went away, in the call.
#[cfg(feature = "tokio")]
struct Work<O, F: Future>(Arc<Mutex<Progress<O, F>>>);

#[cfg(feature = "tokio")]
enum Progress<O, F: Future> {
    Waits(O),
    Runs(Pin<Box<F>>),
    Done(F::Output),
    /// Somebody has it just now.
    Taken,
}

#[cfg(feature = "tokio")]
impl<O, F: Future> Clone for Work<O, F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(feature = "tokio")]
impl<O, F: Future> Work<O, F> {
    fn take(&self) -> Progress<O, F> {
        std::mem::replace(&mut *self.0.lock(), Progress::Taken)
    }

    fn put(&self, progress: Progress<O, F>) {
        *self.0.lock() = progress;
    }
}

#[cfg(feature = "tokio")]
impl<O, F> Future for Work<O, F>
where
    O: FnOnce() -> F,
    F: Future,
    F::Output: Clone,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out: the function does not run under the lock.
        let mut running = match self.take() {
            Progress::Waits(original) => Box::pin(original()),
            Progress::Runs(running) => running,
            Progress::Done(_) | Progress::Taken => {
                unreachable!("one at a time polls it, and nobody after its end")
            }
        };
        let polled = running.as_mut().poll(context);
        self.put(match &polled {
            Poll::Ready(made) => Progress::Done(made.clone()),
            Poll::Pending => Progress::Runs(running),
        });
        polled
    }
}

#[cfg(feature = "tokio")]
impl<O, F> Progress<O, F>
where
    O: FnOnce() -> F,
    F: Future,
{
    async fn end(self) -> F::Output {
        match self {
            Self::Waits(original) => original().await,
            Self::Runs(running) => running.await,
            Self::Done(made) => made,
            Self::Taken => unreachable!("a panic in it has reached the call"),
        }
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Waker;

    use super::*;

    /// A future that is pending once.
    fn seven() -> impl Future<Output = u32> {
        let mut was_polled = false;
        poll_fn(move |_| match std::mem::replace(&mut was_polled, true) {
            true => Poll::Ready(7),
            false => Poll::Pending,
        })
    }

    #[test]
    fn work_whose_task_goes_away_is_begun_once_and_ended_by_its_call() {
        let mut context = Context::from_waker(Waker::noop());
        for polls in 0..=2 {
            let begun = AtomicU32::new(0);
            let original = || {
                begun.fetch_add(1, Ordering::SeqCst);
                seven()
            };
            let work = Work(Arc::new(Mutex::new(Progress::Waits(original))));
            let mut task = work.clone();
            for poll in 1..=polls {
                assert_eq!(Pin::new(&mut task).poll(&mut context).is_ready(), poll == 2);
            }
            drop(task);
            let mut end = pin!(work.take().end());
            let made = (0..2).find_map(|_| match end.as_mut().poll(&mut context) {
                Poll::Ready(made) => Some(made),
                Poll::Pending => None,
            });
            assert_eq!((made, begun.load(Ordering::SeqCst)), (Some(7), 1), "after {polls} polls");
        }
    }
}
