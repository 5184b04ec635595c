//! Shards of one lock each: a store and the flights of its keys.
//
// The one mechanism under `Flights` (whose store is `()`) and `SyncDict`. Credits: a placeholder
// beside the map, a guard as the right to fill it and the hand-over on its drop are quick_cache's
// ideas; flights told apart by a number and waiter lists made on demand are this crate's.
//
// A leader holds no lock, only (hash, number). Whatever others do to its key meanwhile, they do
// to the flight under the shard's lock:
//   taken out      -> the leader finds nothing: it stores nothing and tells nobody
//   detached       -> the leader stores nothing, and tells those who wait
//   untouched      -> the leader stores and tells, in this order
// A leader that gives up (drop) hands an untouched flight to one waiter. A detached flight has
// nothing to hand over: its waiters begin anew, and so create after what detached it.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::flight_scope::FlightScope;
use crate::flight_table::{Detached, Flight, FlightTable};
use crate::primitive::{RwLock, Sabotage, ThreadKey, sabotaged};
use crate::raw_leader::{Borrowed, RawLeader};
use crate::waiters::{Waited, Waiters};

/// Shards for each core: enough that two cores seldom meet in one.
const SHARDS_PER_CORE: usize = 16;
pub(crate) const MAX_SHARDS: usize = 1024;

#[derive(Debug)]
pub(crate) struct Shards<K, T, S> {
    hasher: RandomState,
    /// Never given twice in one process, so that a scope that outlives these names no others.
    id: u64,
    shards: Box<[ShardLock<K, T, S>]>,
}

// Relaxed: the numbers need to differ, nothing else is ordered by them.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

type ShardLock<K, T, S> = Padded<RwLock<Shard<K, T, S>>>;

#[derive(Debug)]
pub(crate) struct Shard<K, T, S> {
    pub(crate) store: S,
    pub(crate) flights: FlightTable<K, T>,
    /// Grows with every value put in, so that a reader can tell that nothing was replaced since.
    pub(crate) version: u64,
}

/// Two cache lines, since neighbours are fetched in pairs: a busy lock slows no other shard.
#[derive(Debug)]
#[repr(align(128))]
struct Padded<T>(T);

/// What asking for a key came to.
#[derive(Debug)]
pub(crate) enum Joining<'a, K, T, S> {
    /// The store has it: look again.
    Present,
    Lead(Borrowed<'a, K, T, S>),
    Landed(Arc<T>),
    /// Somebody else leads, and the time to wait for it is over.
    TimedOut,
    Reentrant,
}

/// What coming to a flight came to, before any waiting.
pub(crate) enum Entered<K, T> {
    Present,
    Opened(u64),
    /// The caller is counted in. The key is given back: it is needed if the flight disperses.
    Wait(u64, Arc<Waiters<T>>, K),
    Busy,
    Reentrant,
}

/// Who asks for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// It works on the thread it asks on.
    Thread,
    /// It works on any thread, and is told of re-entry by scopes alone.
    Task,
}

/// How long a caller is ready to wait for another's creation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    Never,
    For(Duration),
    Forever,
}

/// Default number of shards: a power of two.
pub(crate) fn default_shards() -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    round_up(cores.saturating_mul(SHARDS_PER_CORE))
}

/// The power of two that serves for `wanted` shards.
pub(crate) fn round_up(wanted: usize) -> usize {
    wanted.clamp(1, MAX_SHARDS).next_power_of_two()
}

impl<K, T, S> Shards<K, T, S> {
    /// `stores` gives one store for each shard; their number is a power of two.
    pub(crate) fn new(stores: impl Iterator<Item = S>) -> Self {
        let shard = |store| Shard { store, flights: FlightTable::new(), version: 0 };
        let shards = stores.map(|store| Padded(RwLock::new(shard(store)))).collect();
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { hasher: RandomState::default(), id, shards }
    }

    #[inline]
    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(crate) const fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    /// The shard of a hash. The tables use the lowest and the seven highest bits, this the middle.
    #[inline]
    pub(crate) fn of(&self, hash: u64) -> &RwLock<Shard<K, T, S>> {
        let index = (hash >> 40) as usize & (self.shards.len() - 1);
        &self.shards[index].0
    }

    pub(crate) const fn scope(&self, hash: u64, number: u64) -> FlightScope {
        FlightScope::new(self.id, hash, number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &RwLock<Shard<K, T, S>>> {
        self.shards.iter().map(|shard| &shard.0)
    }

    pub(crate) fn flights_len(&self) -> usize {
        self.iter().map(|shard| shard.read().flights.len()).sum()
    }

    /// Finds the key present, leads its creation, or waits for whoever does.
    ///
    /// `is_present` is asked under the shard's lock, once for each attempt to lead.
    pub(crate) fn join<Q>(
        &self,
        hash: u64,
        key: &Q,
        patience: Patience,
        is_present: impl Fn(&S) -> bool,
    ) -> Joining<'_, K, T, S>
    where
        K: Borrow<Q>,
        Q: Eq + ToOwned<Owned = K> + ?Sized,
    {
        let deadline = patience.deadline();
        let same = |other: &K, _: &K| other.borrow() == key;
        loop {
            // The key is made before the lock is taken.
            let entered =
                self.enter(hash, key.to_owned(), Caller::Thread, patience, same, &is_present);
            let (number, waiters) = match entered {
                Entered::Present => return Joining::Present,
                Entered::Reentrant => return Joining::Reentrant,
                Entered::Busy => return Joining::TimedOut,
                Entered::Opened(number) => {
                    return Joining::Lead(RawLeader::new(self, hash, number, Caller::Thread));
                }
                Entered::Wait(number, waiters, _key) => (number, waiters),
            };
            match waiters.wait(deadline) {
                Waited::Landed(outcome) => return Joining::Landed(outcome),
                Waited::TimedOut => return Joining::TimedOut,
                Waited::Dispersed => {}
                Waited::Baton => {
                    if let Some(leader) = self.take_lead(hash, number, Caller::Thread) {
                        return Joining::Lead(leader);
                    }
                }
            }
        }
    }

    /// Finds the key present, opens its flight, or counts the caller in as one who waits.
    ///
    /// `same` compares a flight's key, the first, with `key`.
    // A key that is not needed is dropped as a parameter: after the lock is released.
    pub(crate) fn enter(
        &self,
        hash: u64,
        key: K,
        caller: Caller,
        patience: Patience,
        same: impl Fn(&K, &K) -> bool,
        is_present: impl Fn(&S) -> bool,
    ) -> Entered<K, T> {
        let me = ThreadKey::current();
        let mut shard = self.of(hash).write();
        if let Some(flight) = shard.flights.find(hash, |other| same(other, &key)) {
            if flight.leader == Some(me) || self.scope(hash, flight.number()).is_entered() {
                return Entered::Reentrant;
            }
            if matches!(patience, Patience::Never) {
                return Entered::Busy;
            }
            let waiters = flight.waiters();
            waiters.enter();
            return Entered::Wait(flight.number(), waiters, key);
        }
        // The second look: another creation may have ended since the caller's first one.
        if is_present(&shard.store) && !sabotaged(Sabotage::NoSecondLook) {
            return Entered::Present;
        }
        Entered::Opened(shard.flights.open(hash, key, caller.leads_as(me)))
    }

    /// Makes the caller, who was offered the lead, the leader.
    ///
    /// `None` if the flight was ended or detached after the offer: the caller begins anew.
    pub(crate) fn take_lead(
        &self,
        hash: u64,
        number: u64,
        caller: Caller,
    ) -> Option<Borrowed<'_, K, T, S>> {
        let ended = {
            let mut shard = self.of(hash).write();
            let flight = shard.flights.by_number(hash, number)?;
            if !flight.detached {
                flight.leader = caller.leads_as(ThreadKey::current());
                return Some(RawLeader::new(self, hash, number, caller));
            }
            shard.flights.take(hash, number)
        };
        ended.inspect(Flight::disperse);
        None
    }

    /// How many wait in the key's open flight.
    pub(crate) fn waiting<Q>(&self, hash: u64, key: &Q) -> usize
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let mut shard = self.of(hash).write();
        let flight = shard.flights.find(hash, |other| other.borrow() == key);
        flight.and_then(|flight| flight.waiters.as_ref()).map_or(0, |waiters| waiters.count())
    }

    /// Closes the key's flight to newcomers; `true` if there was one.
    pub(crate) fn detach<Q>(&self, hash: u64, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let detached = self.of(hash).write().flights.detach(hash, |other| other.borrow() == key);
        !matches!(detached, Detached::NoFlight)
    }
}

impl Caller {
    /// The thread to name as the leading one.
    fn leads_as(self, thread: ThreadKey) -> Option<ThreadKey> {
        (self == Self::Thread).then_some(thread)
    }
}

impl Patience {
    /// A wait too long for the clock to express has no end.
    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Forever => None,
            Self::Never => Some(Instant::now()),
            Self::For(wait) => Instant::now().checked_add(wait),
        }
    }
}
