//! What concerns all entries of a `SyncDict`, shard by shard.

use std::hash::Hash;

use crate::primitive::RwLock;
use crate::storage::{Storage, Table};
use crate::sync_dict::{DictShard, StoredOf, SyncDict};

impl<K, V: ?Sized, S: Storage<K, V>> SyncDict<K, V, S> {
    /// Removes everything, and wins over the creations that are running, as
    /// [`remove`](Self::remove) does.
    ///
    /// Goes shard by shard: what others put in meanwhile may stay.
    pub fn clear(&self) {
        for shard in self.shards.iter() {
            let mut shard = shard.write();
            let gone = (shard.flights.detach_all(), shard.store.take_all());
            drop(shard);
            drop(gone);
        }
    }

    /// Number of values.
    ///
    /// Exact only while nobody changes anything. A weak registry counts the values that live,
    /// which takes a look at each entry.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().store.len()).sum()
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.read().store.len() == 0)
    }

    /// The keys that have a value, in no order.
    ///
    /// Goes shard by shard and clones the keys under the shard's lock.
    #[must_use]
    pub fn keys(&self) -> Vec<K>
    where
        K: Clone,
    {
        let mut keys = Vec::new();
        for shard in self.shards.iter() {
            shard.read().store.visit_keys(|key| keys.push(key.clone()));
        }
        keys
    }

    /// Keeps the entries of which `keep` says so and removes the others.
    ///
    /// # Concurrency
    ///
    /// `keep` runs on the calling thread without a lock, so it may use the dictionary. It judges a
    /// copy of each shard, and an entry is removed only if nothing was put into its shard since;
    /// otherwise `keep` is asked again for that entry, with the value it has then. Creations that
    /// are running are left alone.
    pub fn retain(&self, mut keep: impl FnMut(&K, &S::Value) -> bool)
    where
        K: Clone + Hash + Eq,
    {
        for shard in self.shards.iter() {
            let mut copy = Snapshot::of::<V, S>(shard);
            loop {
                copy.entries.retain(|(key, value)| !keep(key, value));
                match self.remove_unchanged(shard, copy) {
                    None => break,
                    Some(changed) => copy = changed,
                }
            }
        }
    }

    /// Removes what `condemned` holds, or returns it as it is now if the shard was put into.
    fn remove_unchanged(
        &self,
        shard: &RwLock<DictShard<K, V, S>>,
        condemned: Snapshot<K, S::Value>,
    ) -> Option<Snapshot<K, S::Value>>
    where
        K: Hash + Eq,
    {
        let entries = condemned.entries.iter().map(|(key, _)| (self.shards.hash(key), key));
        let mut shard = shard.write();
        if shard.version == condemned.version {
            let removed: Vec<(K, StoredOf<K, V, S>)> =
                entries.filter_map(|(hash, key)| shard.store.remove(hash, key)).collect();
            drop(shard);
            drop(removed);
            return None;
        }
        let version = shard.version;
        let now: Vec<_> = entries.map(|(hash, key)| shard.store.peek(hash, key)).collect();
        drop(shard);
        let keys = condemned.entries.into_iter().map(|(key, _)| key);
        let entries = keys.zip(now).filter_map(|(key, value)| Some((key, value?))).collect();
        Some(Snapshot { version, entries })
    }
}

/// Entries of a shard, and the shard's version when they were read.
struct Snapshot<K, T> {
    version: u64,
    entries: Vec<(K, T)>,
}

impl<K: Clone, T> Snapshot<K, T> {
    fn of<V: ?Sized, S: Storage<K, V, Value = T>>(shard: &RwLock<DictShard<K, V, S>>) -> Self {
        let shard = shard.read();
        let mut entries = Vec::new();
        shard.store.visit(|key, value| entries.push((key.clone(), value)));
        Self { version: shard.version, entries }
    }
}
