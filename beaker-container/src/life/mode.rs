//! Where a call runs: on a thread that may block, or in a task that may not.
//
// The life of a value is written once, as async functions. On a thread nothing in them is ever
// pending: what has to wait blocks the thread, and `ready` takes the result of the first poll. In
// a task, what has to wait awaits: see `store.rs`.

use std::future::Future;
#[cfg(feature = "tokio")]
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use beaker_namespace::Key;
use beaker_syncdict::{Join, TryJoin};

use super::Life;
use super::outcome::Outcome;
use super::shared::KeyFlights;
#[cfg(feature = "tokio")]
use super::store::Place;
use crate::Error;
#[cfg(feature = "tokio")]
use crate::runtime;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Thread,
    #[cfg(feature = "tokio")]
    Task,
}

/// The result of a future that has nothing to wait for.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("on a thread, waiting blocks"),
    }
}

impl Mode {
    /// Does one thing with the stores of `life`, from `input`: by `block`, which may block, or by `wait` in
    /// a task that waits for a store. See `store.rs`.
    #[cfg_attr(
        not(feature = "tokio"),
        expect(unused_variables, reason = "without tasks nothing is waited for")
    )]
    pub(crate) async fn store<V, A, I, T>(
        self,
        life: &Life<V>,
        about: &A,
        input: I,
        block: impl FnOnce(&Life<V>, &A, I) -> Result<T, Error> + Send + 'static,
        wait: impl AsyncFnOnce(&Life<V>, &A, I) -> Result<T, Error>,
    ) -> Result<T, Error>
    where
        V: Send + Sync + 'static,
        A: Clone + Send + 'static,
        I: Send + 'static,
        T: Send + 'static,
    {
        match self {
            Self::Thread => block(life, about, input),
            #[cfg(feature = "tokio")]
            Self::Task => match life.place() {
                Place::AtOnce => block(life, about, input),
                // In a box, so that the other ways have small futures.
                Place::InTask => Box::pin(wait(life, about, input)).await,
                Place::OnThread => {
                    let (life, about) = (life.clone(), about.clone());
                    runtime::blocking(move || block(&life, &about, input)).await?
                }
            },
        }
    }

    /// Leads the flight of `key` or waits for it.
    pub(super) async fn join<'a>(
        self,
        flights: &'a KeyFlights,
        key: &Key,
        wait: Duration,
    ) -> Join<'a, Key, Outcome> {
        match self {
            Self::Thread => flights.join(key, Some(wait)),
            #[cfg(feature = "tokio")]
            Self::Task => {
                let mut joining = pin!(flights.join_async(key));
                // Most calls have nothing to wait for, and need no timer.
                let at_once = poll_fn(|context| {
                    Poll::Ready(match joining.as_mut().poll(context) {
                        Poll::Ready(joined) => Some(joined),
                        Poll::Pending => None,
                    })
                });
                match at_once.await {
                    Some(joined) => joined,
                    None => runtime::timeout(wait, joining).await.unwrap_or(Join::TimedOut),
                }
            }
        }
    }

    /// Leads the flight of `key` if nobody does.
    ///
    /// No thread leads it, on a thread neither: the work runs in the flight's scope, which tells of
    /// re-entry as well.
    pub(super) fn try_join<'a>(
        self,
        flights: &'a KeyFlights,
        key: &Key,
    ) -> TryJoin<'a, Key, Outcome> {
        flights.try_join_task(key)
    }
}
