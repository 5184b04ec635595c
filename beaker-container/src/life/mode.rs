//! Where a call runs: on a thread that may block, or in a task that may not.
//
// The life of a value is written once, as async functions. On a thread nothing in them is ever
// pending: what has to wait blocks the thread, and `ready` takes the result of the first poll. In
// a task, what has to wait awaits.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use beaker_namespace::Key;
#[cfg(feature = "tokio")]
use beaker_namespace::Latency;
use beaker_syncdict::{Join, TryJoin};

use super::Life;
use super::outcome::Outcome;
use super::shared::KeyFlights;
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
    /// Runs `call`, which may block: in a task on the runtime's threads for that, unless the store
    /// answers at once.
    pub(super) async fn store<V, T>(
        self,
        life: &Life<V>,
        call: impl FnOnce(&Life<V>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error>
    where
        V: Send + Sync + 'static,
        T: Send + 'static,
    {
        match self {
            Self::Thread => call(life),
            #[cfg(feature = "tokio")]
            Self::Task if life.namespace.latency() == Latency::Inline => call(life),
            #[cfg(feature = "tokio")]
            Self::Task => {
                let life = life.clone();
                runtime::blocking(move || call(&life)).await?
            }
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
                let joined = runtime::timeout(wait, flights.join_async(key)).await;
                joined.unwrap_or(Join::TimedOut)
            }
        }
    }

    /// Leads the flight of `key` if nobody does.
    pub(super) fn try_join<'a>(
        self,
        flights: &'a KeyFlights,
        key: &Key,
    ) -> TryJoin<'a, Key, Outcome> {
        match self {
            Self::Thread => flights.try_join(key),
            #[cfg(feature = "tokio")]
            Self::Task => flights.try_join_task(key),
        }
    }
}
