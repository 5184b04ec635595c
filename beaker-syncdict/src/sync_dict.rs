//! `SyncDict`: the map itself. What creates is in `creation.rs`.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::iter;
use std::num::NonZeroUsize;

use crate::creation::Outcome;
use crate::raw_leader::Landing;
use crate::shards::{MAX_SHARDS, Shard, Shards, default_shards, round_up};
use crate::storage::{Displaced, Lru, LruTable, Storage, Strong, Table, Weak};

/// Entries for which an LRU shard is made; a smaller dictionary has fewer shards.
const LRU_SHARD_MIN: usize = 256;

/// A map that makes each missing value once: "exists and valid ? get : create".
///
/// `S` says how values are kept: [`Strong`] (the default), [`Weak`] or [`Lru`].
///
/// # Concurrency
///
/// For one key at most one creator runs at a time; creators of different keys run side by side,
/// and a creator may use the dictionary for other keys. No lock is held while a creator, a
/// predicate, or the drop of a value or key runs.
///
/// What does run under a shard's short lock is `Eq` and `Hash` of keys, and `Clone` of a value
/// that is read. These must be cheap and **must not call back into the same dictionary**, which
/// could wait for itself; the clone of an [`Arc`](std::sync::Arc) is what is expected here. If one of them panics,
/// the panic reaches its caller and the dictionary stays usable.
///
/// Two creators that wait for each other's keys on two threads never end, as with any lock.
///
/// # Examples
///
/// ```
/// use beaker_syncdict::{Reentrant, SyncDict};
///
/// let dict: SyncDict<String, u32> = SyncDict::new();
/// assert_eq!(dict.get_or_create("answer", || 42)?, 42);
/// assert_eq!(dict.get_or_create("answer", || unreachable!())?, 42);
/// assert_eq!(dict.get("question"), None);
/// # Ok::<(), Reentrant>(())
/// ```
pub struct SyncDict<K, V: ?Sized, S: Storage<K, V> = Strong> {
    pub(crate) shards: Shards<K, Outcome<S::Value>, S::Table>,
}

/// A [`SyncDict`] that keeps its values weakly: it says which value of a key lives, and makes one
/// if none does.
///
/// # Concurrency
///
/// A value may vanish at any time, between any two calls. There are never two live values of one
/// key, unless one was put in or its key was removed by hand while the other lived. The memory of
/// a vanished value's entry is found and freed as the registry grows.
///
/// A value counts as vanished when its last [`Arc`](std::sync::Arc) is gone; its destructor may still be running
/// on another thread while the next value is made.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use beaker_syncdict::{Reentrant, WeakRegistry};
///
/// let registry: WeakRegistry<String, [u8; 64]> = WeakRegistry::default();
/// let one = registry.get_or_create("buffer", || Arc::new([0; 64]))?;
/// let same = registry.get_or_create("buffer", || unreachable!())?;
/// assert!(Arc::ptr_eq(&one, &same));
/// drop((one, same));
/// assert_eq!(registry.get("buffer"), None);
/// # Ok::<(), Reentrant>(())
/// ```
pub type WeakRegistry<K, V> = SyncDict<K, V, Weak>;

impl<K, V: Clone> SyncDict<K, V> {
    /// An empty dictionary that keeps its values, in a number of shards that suits the machine.
    #[must_use]
    pub fn new() -> Self {
        Self::with_shards(default_shards())
    }

    /// An empty dictionary in `shards` shards: raised to a power of two, 1024 at most; zero means
    /// one.
    #[must_use]
    pub fn with_shards(shards: usize) -> Self {
        Self { shards: tables(shards) }
    }
}

impl<K, V: ?Sized> SyncDict<K, V, Weak> {
    /// An empty registry, in a number of shards that suits the machine.
    #[must_use]
    pub fn weak() -> Self {
        Self::weak_with_shards(default_shards())
    }

    /// An empty registry in `shards` shards: raised to a power of two, 1024 at most; zero means
    /// one.
    #[must_use]
    pub fn weak_with_shards(shards: usize) -> Self {
        Self { shards: tables(shards) }
    }

    /// Frees the entries of all values that have vanished, and returns their number.
    ///
    /// Growing does this by itself, so that at most about as many are left as values live (and
    /// eight for each shard). Call it after many values have gone for good.
    pub fn sweep(&self) -> usize
    where
        K: Hash,
    {
        let hasher = self.shards.hasher();
        let sweep =
            |shard: &mut DictShard<K, V, Weak>| shard.store.sweep(|key| hasher.hash_one(key));
        // The dead entries leave the lock before their keys are dropped.
        let counts = self.shards.iter().map(|shard| {
            let dead = sweep(&mut shard.write());
            dead.len()
        });
        counts.sum()
    }
}

impl<K, V: Clone> SyncDict<K, V, Lru> {
    /// An empty dictionary that keeps at most `capacity` values.
    ///
    /// Up to 511 values lie in one shard, which keeps exactly the most recently used. More are
    /// spread over shards of at least 256, each of which is exact for its own keys.
    #[must_use]
    pub fn lru(capacity: NonZeroUsize) -> Self {
        Self::lru_with_shards(capacity, default_shards().min(capacity.get() / LRU_SHARD_MIN))
    }

    /// As [`lru`](Self::lru), in `shards` shards: lowered to a power of two, 1024 at most and not
    /// above `capacity`; zero means one. One shard is exact; more let more threads read at once.
    #[must_use]
    pub fn lru_with_shards(capacity: NonZeroUsize, shards: usize) -> Self {
        let shards = 1 << shards.clamp(1, capacity.get().min(MAX_SHARDS)).ilog2();
        let share = |index| capacity.get() / shards + usize::from(index < capacity.get() % shards);
        let tables = (0..shards).map(|index| NonZeroUsize::new(share(index)).unwrap_or(capacity));
        Self { shards: Shards::new(tables.map(LruTable::new)) }
    }
}

impl<K, V: ?Sized, S: Storage<K, V>> SyncDict<K, V, S> {
    /// Returns the value under `key`. Never creates, never waits for a creation.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<S::Value>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.look_up(self.shards.hash(key), key)
    }

    /// Returns the value under `key` if `is_valid` says so. An invalid one stays where it is.
    ///
    /// `is_valid` runs on the calling thread without a lock, at most once.
    pub fn get_valid<Q>(
        &self,
        key: &Q,
        is_valid: impl FnOnce(&S::Value) -> bool,
    ) -> Option<S::Value>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key).filter(is_valid)
    }

    /// Whether there is a value under `key`. Does not count as a use of it.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.shards.hash(key);
        self.shards.of(hash).read().store.contains(hash, key)
    }

    /// Puts `value` under `key` and returns what was there.
    ///
    /// # Concurrency
    ///
    /// Wins over a creation that is running: those who wait for it get `value`, and what it makes
    /// goes to its own caller and is not stored.
    pub fn insert(&self, key: K, value: S::Value) -> Option<S::Value>
    where
        K: Hash + Eq,
    {
        let hash = self.shards.hash(&key);
        // Both are dropped at the end, after the lock has been released.
        let (stored, _rest) = S::Table::keep_owned(value);
        let (_ended, displaced) = {
            let mut shard = self.shards.of(hash).write();
            let flight = shard.flights.take_open(hash, |other| *other == key);
            (flight.map(Landing::of), self.put(&mut shard, hash, key, stored))
        };
        displaced.old.and_then(S::Table::release)
    }

    /// Takes the value out from under `key`.
    ///
    /// # Concurrency
    ///
    /// Wins over a creation that is running: what it makes goes to its caller and to those who
    /// wait for it already, and is not stored. Who asks later creates anew.
    pub fn remove<Q>(&self, key: &Q) -> Option<S::Value>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.shards.hash(key);
        let (_flight, removed) = {
            let mut shard = self.shards.of(hash).write();
            let flight = shard.flights.detach(hash, |other| other.borrow() == key);
            (flight, shard.store.remove(hash, key))
        };
        removed.and_then(|(_key, stored)| S::Table::release(stored))
    }

    /// How many callers wait for the creation of `key` now.
    #[must_use]
    pub fn waiting<Q>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shards.waiting(self.shards.hash(key), key)
    }

    /// Number of creations that are running, and of those that were overtaken by a removal and
    /// are still waited for.
    #[must_use]
    pub fn creations(&self) -> usize {
        self.shards.flights_len()
    }

    // A call here costs a twentieth of a hit on a hot set.
    #[inline(always)]
    pub(crate) fn look_up<Q>(&self, hash: u64, key: &Q) -> Option<S::Value>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let shard = self.shards.of(hash);
        if S::Table::SHARED_READS {
            shard.read().store.peek(hash, key)
        } else {
            shard.write().store.touch(hash, key)
        }
    }

    /// Puts an entry in; the caller drops what comes back after the shard is unlocked.
    #[inline]
    pub(crate) fn put(
        &self,
        shard: &mut DictShard<K, V, S>,
        hash: u64,
        key: K,
        stored: StoredOf<K, V, S>,
    ) -> Displaced<K, StoredOf<K, V, S>>
    where
        K: Hash + Eq,
    {
        shard.version += 1;
        shard.store.put(hash, key, stored, |other| self.shards.hash(other))
    }
}

pub(crate) type DictShard<K, V, S> =
    Shard<K, Outcome<<S as Storage<K, V>>::Value>, <S as Storage<K, V>>::Table>;

pub(crate) type StoredOf<K, V, S> = <<S as Storage<K, V>>::Table as Table<K>>::Stored;

impl<K, V: Clone> Default for SyncDict<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V: ?Sized> Default for SyncDict<K, V, Weak> {
    fn default() -> Self {
        Self::weak()
    }
}

impl<K, V: ?Sized, S: Storage<K, V>> fmt::Debug for SyncDict<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncDict").field("len", &self.len()).finish_non_exhaustive()
    }
}

fn tables<K, T, S: Default>(shards: usize) -> Shards<K, T, S> {
    Shards::new(iter::repeat_with(S::default).take(round_up(shards)))
}
