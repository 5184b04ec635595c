//! The right to end one flight.

use crate::flight_table::Flight;
use crate::primitive::{Sabotage, ThreadKey, sabotaged};
use crate::shards::{Shard, Shards};
use crate::waiters::{Waiters, unshare};

use std::sync::Arc;

/// Leads the flight `number`; dropping it hands the lead on.
#[derive(Debug)]
pub(crate) struct RawLeader<'a, K, T, S> {
    shards: &'a Shards<K, T, S>,
    hash: u64,
    number: u64,
    ended: bool,
}

impl<'a, K, T, S> RawLeader<'a, K, T, S> {
    pub(crate) const fn new(shards: &'a Shards<K, T, S>, hash: u64, number: u64) -> Self {
        Self { shards, hash, number, ended: false }
    }

    /// Whether somebody detached or ended this flight meanwhile.
    pub(crate) fn is_detached(&self) -> bool {
        let mut shard = self.shards.of(self.hash).write();
        shard.flights.by_number(self.hash, self.number).is_none_or(|flight| flight.detached)
    }

    /// Makes the calling thread the one that is told of re-entry.
    pub(crate) fn adopt(&self) {
        let mut shard = self.shards.of(self.hash).write();
        if let Some(flight) = shard.flights.by_number(self.hash, self.number) {
            flight.leader = Some(ThreadKey::current());
        }
    }

    /// Ends the flight without touching the store.
    pub(crate) fn land(self) -> Landing<T> {
        // The key comes out of the closure, to be dropped after the lock is released.
        self.land_with(|_, _, key| key).0
    }

    /// Ends the flight, and gives `fill` the store and the key if the flight was left untouched.
    ///
    /// `fill` runs under the shard's lock; what it returns is for the caller to drop outside.
    pub(crate) fn land_with<R>(
        mut self,
        fill: impl FnOnce(&mut Shard<K, T, S>, u64, K) -> R,
    ) -> (Landing<T>, Option<R>) {
        self.ended = true;
        let mut shard = self.shards.of(self.hash).write();
        let Some(flight) = shard.flights.take(self.hash, self.number) else {
            return (Landing(None), None);
        };
        let detached = flight.detached && !sabotaged(Sabotage::StaleFill);
        let (landing, key) = Landing::of(flight);
        if detached {
            drop(shard);
            return (landing, None);
        }
        let filled = fill(&mut shard, self.hash, key);
        (landing, Some(filled))
    }
}

impl<K, T, S> Drop for RawLeader<'_, K, T, S> {
    fn drop(&mut self) {
        if !self.ended {
            abandon(self.shards, self.hash, self.number);
        }
    }
}

/// Gives the lead of a flight to one of its waiters, or ends the flight.
#[cold]
fn abandon<K, T, S>(shards: &Shards<K, T, S>, hash: u64, number: u64) {
    let ended = {
        let mut shard = shards.of(hash).write();
        let Some(flight) = shard.flights.by_number(hash, number) else { return };
        // Not this thread any more, lest its next call be taken for re-entry.
        flight.leader = None;
        let handed_on = !flight.detached && flight.waiters.as_ref().is_some_and(|w| w.offer());
        if handed_on { None } else { shard.flights.take(hash, number) }
    };
    ended.inspect(Flight::disperse);
}

/// The waiters of a flight that has left the table: dropped without an outcome, by a panic in
/// user code, it sends them back to the beginning.
#[derive(Debug)]
#[must_use]
pub(crate) struct Landing<T>(Option<Arc<Waiters<T>>>);

impl<T> Landing<T> {
    pub(crate) fn of<K>(flight: Flight<K, T>) -> (Self, K) {
        (Self(flight.waiters), flight.key)
    }

    pub(crate) const fn is_awaited(&self) -> bool {
        self.0.is_some()
    }
}

impl<T: Clone> Landing<T> {
    /// Hands `outcome` to everybody who waits and returns it; cloned only if somebody does.
    pub(crate) fn publish(mut self, outcome: T) -> T {
        match self.0.take() {
            None => outcome,
            Some(waiters) => {
                let shared = waiters.publish(outcome);
                drop(waiters);
                unshare(shared)
            }
        }
    }
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        if let Some(waiters) = &self.0 {
            waiters.disperse();
        }
    }
}
