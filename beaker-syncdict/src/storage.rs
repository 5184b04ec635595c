//! The three kinds of storage a [`SyncDict`](crate::SyncDict) can have.

mod lru;
mod strong;
mod weak;

use std::borrow::Borrow;
use std::sync::Arc;

pub(crate) use self::lru::LruTable;
pub(crate) use self::strong::StrongTable;
pub(crate) use self::weak::WeakTable;

/// Keeps values until they are removed. Reads take no exclusive lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strong;

/// Keeps values only while somebody outside holds them. Reads take no exclusive lock.
///
/// The dictionary holds [`std::sync::Weak`] pointers and hands out [`Arc`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weak;

/// Keeps a bounded number of values; the least recently used one goes first.
///
/// Each shard is bounded and ordered for itself, and every read moves the entry to the front of
/// its shard, under the shard's exclusive lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lru;

/// A kind of storage: [`Strong`], [`Weak`] or [`Lru`]. Sealed.
pub trait Storage<K, V: ?Sized>: Sealed {
    /// What the dictionary takes and hands out: `V`, or `Arc<V>` if it is kept weakly.
    type Value: Clone;
    /// One shard's values.
    #[doc(hidden)]
    type Table: Table<K, Value = Self::Value>;
}

impl<K, V: Clone> Storage<K, V> for Strong {
    type Value = V;
    type Table = StrongTable<K, V>;
}

impl<K, V: ?Sized> Storage<K, V> for Weak {
    type Value = Arc<V>;
    type Table = WeakTable<K, V>;
}

impl<K, V: Clone> Storage<K, V> for Lru {
    type Value = V;
    type Table = LruTable<K, V>;
}

/// One shard's values, under the shard's lock.
///
/// User code that runs in here, and so under the lock: `Eq` of keys, `Hash` of keys when a table
/// grows, `Clone` of a value that is read. Nothing is dropped here: what leaves is returned.
pub trait Table<K>: Sized {
    /// What callers see.
    type Value: Clone;
    /// What the table keeps of it.
    type Stored;
    /// Whether a look-up needs no exclusive access.
    const SHARED_READS: bool;

    /// The value, for a reader with shared access.
    fn peek<Q>(&self, hash: u64, key: &Q) -> Option<Self::Value>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized;

    /// The value, for a reader with exclusive access.
    fn touch<Q>(&mut self, hash: u64, key: &Q) -> Option<Self::Value>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.peek(hash, key)
    }

    /// Whether there is a value now.
    fn contains<Q>(&self, hash: u64, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized;

    /// What to keep of a value that the caller keeps too. Called without the lock.
    fn keep(value: &Self::Value) -> Self::Stored;

    /// What to keep of a value that is given away, and what is left of it to drop.
    fn keep_owned(value: Self::Value) -> (Self::Stored, Option<Self::Value>);

    /// A kept value as callers see it, if it still is one.
    fn release(stored: Self::Stored) -> Option<Self::Value>;

    /// Puts a value in; `rehash` is the hash of a key already here.
    fn put(
        &mut self,
        hash: u64,
        key: K,
        value: Self::Stored,
        rehash: impl Fn(&K) -> u64,
    ) -> Displaced<K, Self::Stored>
    where
        K: Eq;

    /// Takes an entry out.
    fn remove<Q>(&mut self, hash: u64, key: &Q) -> Option<(K, Self::Stored)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized;

    /// Leaves an empty table and returns the full one.
    #[must_use]
    fn take_all(&mut self) -> Self;

    /// Number of values that live.
    fn len(&self) -> usize;

    /// Calls `f` with each key and value.
    fn visit(&self, f: impl FnMut(&K, Self::Value));

    /// Calls `f` with each key that has a value.
    fn visit_keys(&self, f: impl FnMut(&K));
}

/// What a new entry pushed out of its table: dropped by the caller, without the lock.
#[derive(Debug)]
pub struct Displaced<K, T> {
    /// The value the key had before.
    pub old: Option<T>,
    /// The second copy of a key that was there already.
    pub key: Option<K>,
    /// An entry that had to go to keep the bound.
    pub evicted: Option<(K, T)>,
    /// Entries whose values have vanished.
    pub swept: Vec<(K, T)>,
}

impl<K, T> Displaced<K, T> {
    const fn nothing() -> Self {
        Self { old: None, key: None, evicted: None, swept: Vec::new() }
    }

    const fn replaced(key: K, old: T) -> Self {
        Self { old: Some(old), key: Some(key), evicted: None, swept: Vec::new() }
    }
}

/// Keeps [`Storage`] to the three kinds.
pub trait Sealed {}

impl Sealed for Strong {}
impl Sealed for Weak {}
impl Sealed for Lru {}
