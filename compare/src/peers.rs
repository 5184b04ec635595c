//! What peers are made of where they are not one type: the way their users put them together.

use std::hash::{BuildHasher, Hash};
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use lru::LruCache;
use parking_lot::Mutex;

/// An LRU cache behind a lock, 16 times.
pub(crate) struct ShardedLru<K, V> {
    hasher: foldhash::fast::RandomState,
    shards: Vec<Mutex<LruCache<K, V>>>,
}

impl<K: Hash + Eq, V: Clone> ShardedLru<K, V> {
    const SHARDS: usize = 16;

    pub(crate) fn new(capacity: usize) -> Self {
        let share = NonZeroUsize::MIN.saturating_add((capacity / Self::SHARDS).saturating_sub(1));
        let shards = (0..Self::SHARDS).map(|_| Mutex::new(LruCache::new(share))).collect();
        Self { hasher: foldhash::fast::RandomState::default(), shards }
    }

    fn shard(&self, key: &K) -> &Mutex<LruCache<K, V>> {
        &self.shards[(self.hasher.hash_one(key) >> 60) as usize % Self::SHARDS]
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.shard(key).lock().get(key).cloned()
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        // What leaves is dropped after the lock is released.
        let _displaced = self.shard(&key).lock().push(key, value);
    }
}

/// Single flight as it is put together by hand: a cell for each key, made under the map's lock and
/// filled outside it.
pub(crate) struct OnceMap<K, V, S> {
    cells: DashMap<K, Arc<OnceLock<V>>, S>,
}

impl<K: Hash + Eq + Clone, V: Clone, S: BuildHasher + Clone + Default> OnceMap<K, V, S> {
    pub(crate) fn new() -> Self {
        Self { cells: DashMap::default() }
    }

    pub(crate) fn get_or_create(&self, key: &K, create: impl FnOnce() -> V) -> V {
        let found = self.cells.get(key).map(|cell| Arc::clone(&cell));
        let cell = found.unwrap_or_else(|| Arc::clone(&self.cells.entry(key.clone()).or_default()));
        cell.get_or_init(create).clone()
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.cells.get(key)?.get().cloned()
    }
}
