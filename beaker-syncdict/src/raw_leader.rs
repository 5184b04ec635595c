//! The right to end one flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::flight_scope::FlightScope;
use crate::flight_table::Flight;
use crate::primitive::{RwLock, Sabotage, ThreadKey, sabotaged};
use crate::shards::{Caller, Shard, Shards};
use crate::waiters::{Waiters, unshare};

/// How a leader holds on to the shards that its flight is in: by a borrow, or as an owner.
pub(crate) trait Hold {
    type Key;
    type Outcome;
    type Store;

    fn shards(&self) -> &Shards<Self::Key, Self::Outcome, Self::Store>;
}

impl<K, T, S> Hold for &Shards<K, T, S> {
    type Key = K;
    type Outcome = T;
    type Store = S;

    fn shards(&self) -> &Shards<K, T, S> {
        self
    }
}

/// Leads the flight `number`; dropping it hands the lead on.
#[derive(Debug)]
pub(crate) struct RawLeader<H: Hold> {
    held: H,
    hash: u64,
    number: u64,
    /// Whether a thread may be named as the leading one: if not, an owner need not take it back.
    threaded: AtomicBool,
    ended: bool,
}

/// A leader within the life of its shards.
pub(crate) type Borrowed<'a, K, T, S> = RawLeader<&'a Shards<K, T, S>>;

impl<H: Hold> RawLeader<H> {
    pub(crate) const fn new(held: H, hash: u64, number: u64, caller: Caller) -> Self {
        let threaded = AtomicBool::new(matches!(caller, Caller::Thread));
        Self { held, hash, number, threaded, ended: false }
    }

    /// Whether the flight is one of `shards`.
    pub(crate) fn is_of(&self, shards: &Shards<H::Key, H::Outcome, H::Store>) -> bool {
        std::ptr::eq(self.held.shards(), shards)
    }

    /// The same lead, held in another way and by no thread.
    pub(crate) fn held_by<G>(mut self, held: G) -> RawLeader<G>
    where
        G: Hold<Key = H::Key, Outcome = H::Outcome, Store = H::Store>,
    {
        if *self.threaded.get_mut() {
            self.set_thread(None);
        }
        self.ended = true;
        RawLeader::new(held, self.hash, self.number, Caller::Task)
    }

    pub(crate) fn scope(&self) -> FlightScope {
        self.held.shards().scope(self.hash, self.number)
    }

    /// Whether somebody detached or ended this flight meanwhile.
    pub(crate) fn is_detached(&self) -> bool {
        let mut shard = self.shard().write();
        shard.flights.by_number(self.hash, self.number).is_none_or(|flight| flight.detached)
    }

    /// Makes the calling thread the one that is told of re-entry.
    pub(crate) fn adopt(&self) {
        // Relaxed: who makes it an owner has it alone, and so sees this.
        self.threaded.store(true, Ordering::Relaxed);
        self.set_thread(Some(ThreadKey::current()));
    }

    fn set_thread(&self, thread: Option<ThreadKey>) {
        let mut shard = self.shard().write();
        if let Some(flight) = shard.flights.by_number(self.hash, self.number) {
            flight.leader = thread;
        }
    }

    fn shard(&self) -> &ShardLock<H> {
        self.held.shards().of(self.hash)
    }

    /// Ends the flight without touching the store.
    pub(crate) fn land(self) -> Landing<H::Outcome> {
        // The key comes out of the closure, to be dropped after the lock is released.
        self.land_with(|_, _, key| key).0
    }

    /// Ends the flight, and gives `fill` the store and the key if the flight was left untouched.
    ///
    /// `fill` runs under the shard's lock; what it returns is for the caller to drop outside.
    pub(crate) fn land_with<R>(
        mut self,
        fill: impl FnOnce(&mut HeldShard<H>, u64, H::Key) -> R,
    ) -> (Landing<H::Outcome>, Option<R>) {
        self.ended = true;
        // Outlives the lock: when `fill` panics, those who wait are told without it.
        let landing;
        let mut shard = self.shard().write();
        let Some(flight) = shard.flights.take(self.hash, self.number) else {
            return (Landing(None), None);
        };
        let detached = flight.detached && !sabotaged(Sabotage::StaleFill);
        let key;
        (landing, key) = Landing::of(flight);
        if detached {
            drop(shard);
            return (landing, None);
        }
        let filled = fill(&mut shard, self.hash, key);
        (landing, Some(filled))
    }
}

impl<H: Hold> Drop for RawLeader<H> {
    fn drop(&mut self) {
        if !self.ended {
            abandon(self.held.shards(), self.hash, self.number);
        }
    }
}

type HeldShard<H> = Shard<<H as Hold>::Key, <H as Hold>::Outcome, <H as Hold>::Store>;
type ShardLock<H> = RwLock<HeldShard<H>>;

/// Gives the lead of a flight, which the caller has, to one of its waiters, or ends the flight.
#[cold]
pub(crate) fn abandon<K, T, S>(shards: &Shards<K, T, S>, hash: u64, number: u64) {
    let (wakers, ended) = {
        let mut shard = shards.of(hash).write();
        let Some(flight) = shard.flights.by_number(hash, number) else { return };
        // Not this thread any more, lest its next call be taken for re-entry.
        flight.leader = None;
        let waiters = flight.waiters.as_ref().filter(|_| !flight.detached);
        match waiters.and_then(|waiters| waiters.offer()) {
            Some(wakers) => (Some(wakers), None),
            None => (None, shard.flights.take(hash, number)),
        }
    };
    ended.inspect(Flight::disperse);
    if let Some(wakers) = wakers {
        wakers.wake();
    }
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

impl<T> Landing<T> {
    /// Hands an outcome to everybody who waits; made only if somebody does.
    pub(crate) fn publish_by(mut self, outcome: impl FnOnce() -> T) {
        if self.is_awaited() {
            // Made while the waiters are still in here: if it panics, they are sent back.
            let outcome = outcome();
            if let Some(waiters) = self.0.take() {
                waiters.publish(outcome);
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
