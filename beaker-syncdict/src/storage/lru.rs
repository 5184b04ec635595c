//! A bounded number of values, the least recently used one out first.
//
// The `lru` crate's cache is keyed by the 64-bit hash, and the key itself lies beside the value.
// So nothing of the user's runs inside that crate while its list is in motion: not `Hash`, not
// `Eq`, not `Drop`. (A key whose `Drop` panics was a use after free in it before 0.18.2:
// RUSTSEC-2026-0253.) Two keys of one hash push each other out, which a bounded store may do, and
// which nobody can bring about without the map's random seed.

use std::borrow::Borrow;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroUsize;

use lru::LruCache;

use super::{Displaced, Table};

type HashKeyed<T> = LruCache<u64, T, BuildHasherDefault<AsIs>>;

/// A bounded list with an index.
#[derive(Debug)]
pub struct LruTable<K, V>(HashKeyed<(K, V)>);

impl<K, V> LruTable<K, V> {
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        // Bounded afterwards, because the bounded constructor allocates all of it at once.
        let mut cache = LruCache::unbounded_with_hasher(BuildHasherDefault::new());
        cache.resize(capacity);
        Self(cache)
    }
}

impl<K, V: Clone> Table<K> for LruTable<K, V> {
    type Value = V;
    type Stored = V;

    const SHARED_READS: bool = false;

    fn peek<Q>(&self, hash: u64, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let entry = self.0.peek(&hash).filter(|(held, _)| held.borrow() == key);
        entry.map(|(_, value)| value.clone())
    }

    #[inline]
    fn touch<Q>(&mut self, hash: u64, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let entry = self.0.get(&hash).filter(|(held, _)| held.borrow() == key);
        entry.map(|(_, value)| value.clone())
    }

    fn contains<Q>(&self, hash: u64, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.0.peek(&hash).is_some_and(|(held, _)| held.borrow() == key)
    }

    fn keep(value: &V) -> V {
        value.clone()
    }

    fn keep_owned(value: V) -> (V, Option<V>) {
        (value, None)
    }

    fn release(stored: V) -> Option<V> {
        Some(stored)
    }

    fn put(&mut self, hash: u64, key: K, value: V, _rehash: impl Fn(&K) -> u64) -> Displaced<K, V>
    where
        K: Eq,
    {
        let same_key = self.0.peek(&hash).is_some_and(|(held, _)| *held == key);
        match self.0.push(hash, (key, value)) {
            Some((_, (key, old))) if same_key => Displaced::replaced(key, old),
            pushed_out => {
                let evicted = pushed_out.map(|(_, entry)| entry);
                Displaced { evicted, ..Displaced::nothing() }
            }
        }
    }

    fn remove<Q>(&mut self, hash: u64, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        if self.contains(hash, key) { self.0.pop(&hash) } else { None }
    }

    fn take_all(&mut self) -> Self {
        let empty = Self::new(self.0.cap());
        std::mem::replace(self, empty)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn visit(&self, mut f: impl FnMut(&K, V)) {
        self.0.iter().for_each(|(_, (key, value))| f(key, value.clone()));
    }

    fn visit_keys(&self, mut f: impl FnMut(&K)) {
        self.0.iter().for_each(|(_, (key, _))| f(key));
    }
}

/// Takes a hash for what it is.
#[derive(Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    /// Not used: only `u64` keys are hashed, by [`write_u64`](Self::write_u64).
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
}
