//! Values kept only while somebody outside holds them.
//
// An entry whose value has vanished is found by no look-up. It is taken out when its key gets a
// new value, and all such entries of a shard are when the shard has doubled since the last time,
// so a shard never holds more than max(SWEEP_MIN, 2 * values alive at the last sweep) entries and
// each insertion pays for a bounded number of looks.

use std::borrow::Borrow;
use std::mem;
use std::sync::{Arc, Weak};

use hashbrown::HashTable;

use super::{Displaced, Table};

/// Entries a shard may hold before it is swept for the first time.
const SWEEP_MIN: usize = 8;

/// A hash table of weak pointers.
#[derive(Debug)]
pub struct WeakTable<K, V: ?Sized> {
    entries: HashTable<(K, Weak<V>)>,
    sweep_at: usize,
}

impl<K, V: ?Sized> Default for WeakTable<K, V> {
    fn default() -> Self {
        Self { entries: HashTable::new(), sweep_at: SWEEP_MIN }
    }
}

impl<K, V: ?Sized> WeakTable<K, V> {
    /// Takes out the entries whose values have vanished.
    pub(crate) fn sweep(&mut self, rehash: impl Fn(&K) -> u64) -> Vec<(K, Weak<V>)> {
        let dead = self.entries.extract_if(|(_, value)| value.strong_count() == 0).collect();
        self.sweep_at = self.entries.len().saturating_mul(2).max(SWEEP_MIN);
        if self.entries.capacity() / 4 > self.sweep_at {
            self.entries.shrink_to(self.sweep_at, |(key, _)| rehash(key));
        }
        dead
    }
}

impl<K, V: ?Sized> Table<K> for WeakTable<K, V> {
    type Value = Arc<V>;
    type Stored = Weak<V>;

    const SHARED_READS: bool = true;

    #[inline]
    fn peek<Q>(&self, hash: u64, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let entry = self.entries.find(hash, |(other, _)| other.borrow() == key);
        entry.and_then(|(_, value)| value.upgrade())
    }

    fn contains<Q>(&self, hash: u64, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let entry = self.entries.find(hash, |(other, _)| other.borrow() == key);
        entry.is_some_and(|(_, value)| value.strong_count() > 0)
    }

    fn keep(value: &Arc<V>) -> Weak<V> {
        Arc::downgrade(value)
    }

    fn keep_owned(value: Arc<V>) -> (Weak<V>, Option<Arc<V>>) {
        (Arc::downgrade(&value), Some(value))
    }

    fn release(stored: Weak<V>) -> Option<Arc<V>> {
        stored.upgrade()
    }

    fn put(
        &mut self,
        hash: u64,
        key: K,
        value: Weak<V>,
        rehash: impl Fn(&K) -> u64,
    ) -> Displaced<K, Weak<V>>
    where
        K: Eq,
    {
        if let Some((_, held)) = self.entries.find_mut(hash, |(other, _)| *other == key) {
            return Displaced::replaced(key, mem::replace(held, value));
        }
        let full = self.entries.len() >= self.sweep_at;
        let swept = if full { self.sweep(&rehash) } else { Vec::new() };
        self.entries.insert_unique(hash, (key, value), |(other, _)| rehash(other));
        Displaced { swept, ..Displaced::nothing() }
    }

    fn remove<Q>(&mut self, hash: u64, key: &Q) -> Option<(K, Weak<V>)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let found = self.entries.find_entry(hash, |(other, _)| other.borrow() == key);
        found.ok().map(|entry| entry.remove().0)
    }

    fn take_all(&mut self) -> Self {
        mem::take(self)
    }

    fn len(&self) -> usize {
        self.entries.iter().filter(|(_, value)| value.strong_count() > 0).count()
    }

    fn visit(&self, mut f: impl FnMut(&K, Arc<V>)) {
        for (key, value) in &self.entries {
            if let Some(value) = value.upgrade() {
                f(key, value);
            }
        }
    }

    fn visit_keys(&self, mut f: impl FnMut(&K)) {
        let live = self.entries.iter().filter(|(_, value)| value.strong_count() > 0);
        live.for_each(|(key, _)| f(key));
    }
}
