//! Values kept until they are removed.

use std::borrow::Borrow;
use std::mem;

use hashbrown::HashTable;

use super::{Displaced, Table};

/// A plain hash table.
#[derive(Debug)]
pub struct StrongTable<K, V>(HashTable<(K, V)>);

impl<K, V> Default for StrongTable<K, V> {
    fn default() -> Self {
        Self(HashTable::new())
    }
}

impl<K, V: Clone> Table<K> for StrongTable<K, V> {
    type Value = V;
    type Stored = V;

    const SHARED_READS: bool = true;

    #[inline]
    fn peek<Q>(&self, hash: u64, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let entry = self.0.find(hash, |(other, _)| other.borrow() == key);
        entry.map(|(_, value)| value.clone())
    }

    fn contains<Q>(&self, hash: u64, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.0.find(hash, |(other, _)| other.borrow() == key).is_some()
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

    fn put(&mut self, hash: u64, key: K, value: V, rehash: impl Fn(&K) -> u64) -> Displaced<K, V>
    where
        K: Eq,
    {
        if let Some((_, held)) = self.0.find_mut(hash, |(other, _)| *other == key) {
            return Displaced::replaced(key, mem::replace(held, value));
        }
        self.0.insert_unique(hash, (key, value), |(other, _)| rehash(other));
        Displaced::nothing()
    }

    fn remove<Q>(&mut self, hash: u64, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let found = self.0.find_entry(hash, |(other, _)| other.borrow() == key);
        found.ok().map(|entry| entry.remove().0)
    }

    fn take_all(&mut self) -> Self {
        mem::take(self)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn visit(&self, mut f: impl FnMut(&K, V)) {
        self.0.iter().for_each(|(key, value)| f(key, value.clone()));
    }

    fn visit_keys(&self, mut f: impl FnMut(&K)) {
        self.0.iter().for_each(|(key, _)| f(key));
    }
}
