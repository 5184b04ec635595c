//! `JoinFuture`: a task's way into a flight.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::flights::Join;
use crate::leader::Leader;
use crate::primitive::{Sabotage, sabotaged};
use crate::raw_leader::{RawLeader, abandon};
use crate::shards::{Caller, Entered, Patience, Shards};
use crate::waiters::{Left, Ticket, Waited, Waiters, unshare};

/// The future of [`Flights::join_async`](crate::Flights::join_async), which says what it does.
#[must_use = "a future does nothing unless it is polled"]
pub struct JoinFuture<'a, K, T> {
    shards: &'a Shards<K, T, ()>,
    hash: u64,
    /// `None` once the future has completed.
    key: Option<K>,
    /// The flight the task is counted into now.
    place: Option<Place<T>>,
}

struct Place<T> {
    number: u64,
    waiters: Arc<Waiters<T>>,
    ticket: Option<Ticket>,
}

// Nothing in it is pinned: the key is moved in and out.
impl<K, T> Unpin for JoinFuture<'_, K, T> {}

impl<'a, K, T> JoinFuture<'a, K, T> {
    pub(crate) const fn new(shards: &'a Shards<K, T, ()>, hash: u64, key: K) -> Self {
        Self { shards, hash, key: Some(key), place: None }
    }

    fn lead(&mut self, raw: RawLeader<&'a Shards<K, T, ()>>) -> Join<'a, K, T> {
        self.key = None;
        Join::Lead(Leader::new(raw))
    }
}

impl<'a, K: Eq, T: Clone> JoinFuture<'a, K, T> {
    /// Comes to the key's flight; `None` if there is one to wait in.
    fn enter(&mut self) -> Option<Join<'a, K, T>> {
        let Some(key) = self.key.take() else { panic!("`JoinFuture` polled after completion") };
        let entered =
            self.shards.enter(self.hash, key, Caller::Task, Patience::Forever, K::eq, |()| false);
        match entered {
            Entered::Opened(number) => {
                Some(self.lead(RawLeader::new(self.shards, self.hash, number, Caller::Task)))
            }
            Entered::Wait(number, waiters, key) => {
                self.key = Some(key);
                self.place = Some(Place { number, waiters, ticket: None });
                None
            }
            Entered::Reentrant => Some(Join::Reentrant),
            // The store of flights is empty for ever, and patience has no end: neither comes.
            Entered::Present | Entered::Busy => Some(Join::TimedOut),
        }
    }

    /// What the end of a wait means; `None` to begin anew.
    fn after(&mut self, number: u64, waited: Waited<T>) -> Option<Join<'a, K, T>> {
        match waited {
            Waited::Landed(outcome) => {
                self.key = None;
                Some(Join::Joined(unshare(outcome)))
            }
            Waited::Baton => {
                let raw = self.shards.take_lead(self.hash, number, Caller::Task)?;
                Some(self.lead(raw))
            }
            Waited::Dispersed | Waited::TimedOut => None,
        }
    }
}

impl<'a, K: Eq, T: Clone> Future for JoinFuture<'a, K, T> {
    type Output = Join<'a, K, T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            if let Some(place) = &mut this.place {
                let Some(waited) = place.waiters.poll(&mut place.ticket, context.waker()) else {
                    return Poll::Pending;
                };
                // The wait has counted the task out.
                let number = place.number;
                this.place = None;
                if let Some(join) = this.after(number, waited) {
                    return Poll::Ready(join);
                }
            }
            if let Some(join) = this.enter() {
                return Poll::Ready(join);
            }
        }
    }
}

impl<K, T> Drop for JoinFuture<'_, K, T> {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let left = place.waiters.withdraw(place.ticket);
        if left == Left::WithBaton && !sabotaged(Sabotage::LeadLostByDrop) {
            abandon(self.shards, self.hash, place.number);
        }
    }
}

impl<K, T> fmt::Debug for JoinFuture<'_, K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("JoinFuture");
        debug.field("waiting", &self.place.is_some()).finish_non_exhaustive()
    }
}
