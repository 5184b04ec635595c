//! `Flights`: single flight without storage.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::iter;
use std::time::Duration;

use crate::join_future::JoinFuture;
use crate::leader::Leader;
use crate::raw_leader::RawLeader;
use crate::shards::{Caller, Entered, Joining, Patience, Shards, default_shards, round_up};
use crate::waiters::unshare;

/// Work that runs once for all who ask for it at the same time, under keys of type `K`.
///
/// The first to [`join`](Self::join) a key leads its flight; who joins while it is led waits and
/// gets a clone of the outcome `T`. Threads join by `join`, tasks by
/// [`join_async`](Self::join_async), and both meet in one flight. Nothing is kept once the flight has ended: this is what a cache
/// puts before a store of its own. (A map that keeps the values is [`SyncDict`](crate::SyncDict).)
///
/// # Concurrency
///
/// Flights of different keys run side by side. No lock is held while an outcome is cloned or
/// dropped or while the leader works. `Eq` of a key runs under a short lock, so it must not call
/// back into these flights.
///
/// Two threads that lead one key each and join the other's wait for each other: bound such waits.
///
/// # Examples
///
/// ```
/// use beaker_syncdict::{Flights, Join};
///
/// let flights: Flights<String, u32> = Flights::new();
/// let answer = match flights.join("answer", None) {
///     Join::Lead(leader) => leader.finish(42), // the one who works
///     Join::Joined(answer) => answer,          // those who waited
///     Join::TimedOut | Join::Reentrant => 0,
/// };
/// assert_eq!(answer, 42);
/// assert!(flights.is_empty());
/// ```
pub struct Flights<K, T> {
    pub(crate) shards: Shards<K, T, ()>,
}

/// What joining a key came to.
#[derive(Debug)]
#[must_use = "a leader that is dropped at once passes the work on"]
pub enum Join<'a, K, T> {
    /// Nobody else works on the key: the caller does, and says when it is finished.
    Lead(Leader<'a, K, T>),
    /// Somebody else did, and this is a clone of the outcome.
    Joined(T),
    /// Somebody else still does, and the time to wait is over. The flight goes on. A task is not
    /// told so: it drops its future instead.
    TimedOut,
    /// The caller itself works on this key, further up its stack: waiting would never end. Either
    /// the calling thread leads the flight, or it runs in a [`FlightScope`](crate::FlightScope) of
    /// the flight.
    Reentrant,
}

/// What trying to lead a key came to.
#[derive(Debug)]
#[must_use = "a leader that is dropped at once passes the work on"]
pub enum TryJoin<'a, K, T> {
    /// Nobody else works on the key: the caller does.
    Lead(Leader<'a, K, T>),
    /// Somebody else does.
    Busy,
    /// The caller itself does, further up its stack; see [`Join::Reentrant`].
    Reentrant,
}

impl<K, T> Flights<K, T> {
    /// No flights, in a number of shards that suits the machine.
    #[must_use]
    pub fn new() -> Self {
        Self::with_shards(default_shards())
    }

    /// No flights, in `shards` shards: raised to a power of two, 1024 at most; zero means one.
    #[must_use]
    pub fn with_shards(shards: usize) -> Self {
        Self { shards: Shards::new(iter::repeat_n((), round_up(shards))) }
    }

    /// Number of flights that have not ended, the detached ones that are waited for included.
    ///
    /// Exact only while nobody joins or finishes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.flights_len()
    }

    /// Whether nobody works on anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K, T: Clone> Flights<K, T> {
    /// Leads the flight of `key` or waits for its outcome.
    ///
    /// `wait` bounds the waiting; `None` waits as long as it takes, zero not at all. If the leader
    /// gives up, one of the waiters gets [`Join::Lead`], even when its time is just over.
    ///
    /// # Concurrency
    ///
    /// A caller that times out leaves nothing behind. The outcome is cloned on the calling thread.
    ///
    /// # Panics
    ///
    /// A panic in `T::clone` reaches its own caller only.
    pub fn join<Q>(&self, key: &Q, wait: Option<Duration>) -> Join<'_, K, T>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let patience = wait.map_or(Patience::Forever, Patience::For);
        match self.shards.join(self.shards.hash(key), key, patience, |()| false) {
            Joining::Lead(raw) => Join::Lead(Leader::new(raw)),
            Joining::Landed(outcome) => Join::Joined(unshare(outcome)),
            // The store of flights is empty for ever, so `Present` does not come.
            Joining::TimedOut | Joining::Present => Join::TimedOut,
            Joining::Reentrant => Join::Reentrant,
        }
    }

    /// Leads the flight of `key` if nobody does. Never blocks.
    pub fn try_join<Q>(&self, key: &Q) -> TryJoin<'_, K, T>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        match self.shards.join(self.shards.hash(key), key, Patience::Never, |()| false) {
            Joining::Lead(raw) => TryJoin::Lead(Leader::new(raw)),
            Joining::Reentrant => TryJoin::Reentrant,
            Joining::TimedOut | Joining::Landed(_) | Joining::Present => TryJoin::Busy,
        }
    }

    /// As [`try_join`](Self::try_join), for a task: the flight it leads has no leading thread. See
    /// [`join_async`](Self::join_async).
    pub fn try_join_task<Q>(&self, key: &Q) -> TryJoin<'_, K, T>
    where
        K: Borrow<Q> + Eq,
        Q: Hash + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.shards.hash(key);
        let (caller, patience) = (Caller::Task, Patience::Never);
        match self.shards.enter(hash, key.to_owned(), caller, patience, K::eq, |()| false) {
            Entered::Opened(number) => {
                TryJoin::Lead(Leader::new(RawLeader::new(&self.shards, hash, number, caller)))
            }
            Entered::Reentrant => TryJoin::Reentrant,
            // Without patience nobody is entered to wait.
            Entered::Busy | Entered::Wait(..) | Entered::Present => TryJoin::Busy,
        }
    }

    /// Whether somebody leads the key's open flight now, or the lead is on offer.
    #[must_use]
    pub fn is_flying<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.shards.hash(key);
        self.shards.of(hash).write().flights.find(hash, |other| other.borrow() == key).is_some()
    }

    /// Leads the flight of `key` or waits for its outcome, as a future.
    ///
    /// Nothing happens before the first poll. The future needs no runtime: it leaves the waker it
    /// is polled with. It never gives [`Join::TimedOut`]; drop it when the time to wait is over.
    ///
    /// # Concurrency
    ///
    /// Tasks and threads that join the same key wait in one flight. A leader that gives up offers
    /// the lead to all waiting tasks and to one waiting thread, and whoever looks first takes it: a
    /// future that is kept and not polled keeps the lead from nobody.
    ///
    /// A flight led from here has no leading thread, since a task moves from thread to thread. The
    /// one who leads runs the work in [`Leader::scope`], so that work that asks for its own key is
    /// told [`Join::Reentrant`] and does not wait for itself.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing behind. If the lead was on offer to it, the others have it.
    ///
    /// # Panics
    ///
    /// Polling panics after the future has completed, and when `T::clone` does, which reaches this
    /// caller only.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_syncdict::{Flights, Join};
    ///
    /// async fn answer(flights: &Flights<String, u32>) -> Option<u32> {
    ///     match flights.join_async("answer").await {
    ///         Join::Lead(leader) => {
    ///             let work = async { 42 }; // what takes time
    ///             let answer = leader.scope().wrap(work).await;
    ///             Some(leader.finish(answer))
    ///         }
    ///         Join::Joined(answer) => Some(answer),
    ///         Join::Reentrant | Join::TimedOut => None,
    ///     }
    /// }
    /// ```
    pub fn join_async<Q>(&self, key: &Q) -> JoinFuture<'_, K, T>
    where
        K: Borrow<Q> + Eq,
        Q: Hash + ToOwned<Owned = K> + ?Sized,
    {
        JoinFuture::new(&self.shards, self.shards.hash(key), key.to_owned())
    }

    /// How many callers wait for the outcome of `key`'s open flight now.
    #[must_use]
    pub fn waiting<Q>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shards.waiting(self.shards.hash(key), key)
    }

    /// Closes the flight of `key` to newcomers, because what it makes has been invalidated.
    ///
    /// Who has joined still gets the outcome. Who joins later leads a new flight beside the old
    /// one, also on the thread that leads the old one. If the leader of the old one gives up, its
    /// waiters join the new one. Returns whether there was a flight; its leader sees it by
    /// [`Leader::is_detached`].
    pub fn detach<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shards.detach(self.shards.hash(key), key)
    }

    /// Closes every flight to newcomers, as [`detach`](Self::detach) does; shard by shard.
    pub fn detach_all(&self) {
        for shard in self.shards.iter() {
            // Keys are dropped without the lock.
            let gone = shard.write().flights.detach_all();
            drop(gone);
        }
    }
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, T> fmt::Debug for Flights<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("len", &self.len()).finish_non_exhaustive()
    }
}
