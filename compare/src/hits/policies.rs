//! The caches whose policies are compared, each as its users use it.

use std::num::NonZeroUsize;

use beaker_namespace::SystemClock;
use beaker_namespace::{Clock, Entry, Key, MemoryConfig, MemoryNamespace, Namespace, Payload};
use lru::LruCache;

/// Asks for a key, puts it in if it is absent, and says whether it was there.
type Request = Box<dyn FnMut(u64) -> bool>;

pub(super) struct Policy {
    pub(super) name: &'static str,
    /// An empty cache with room for so many entries.
    pub(super) with_room: fn(usize) -> Request,
}

pub(super) const OURS: &str = "Namespace memory";

pub(super) const POLICIES: [Policy; 4] = [
    Policy { name: "quick_cache", with_room: quick_cache },
    Policy { name: "moka", with_room: moka },
    Policy { name: "lru", with_room: lru },
    Policy { name: OURS, with_room: namespace },
];

fn quick_cache(room: usize) -> Request {
    let cache = quick_cache::sync::Cache::<u64, u64>::new(room);
    Box::new(move |key| {
        let hit = cache.get(&key).is_some();
        if !hit {
            cache.insert(key, key);
        }
        hit
    })
}

fn moka(room: usize) -> Request {
    let cache = moka::sync::Cache::<u64, u64>::new(room as u64);
    Box::new(move |key| {
        let hit = cache.get(&key).is_some();
        if !hit {
            cache.insert(key, key);
        }
        hit
    })
}

fn lru(room: usize) -> Request {
    let room = NonZeroUsize::new(room).unwrap_or(NonZeroUsize::MIN);
    let mut cache = LruCache::<u64, u64, foldhash::fast::RandomState>::with_hasher(
        room,
        foldhash::fast::RandomState::default(),
    );
    Box::new(move |key| {
        let hit = cache.get(&key).is_some();
        if !hit {
            cache.put(key, key);
        }
        hit
    })
}

fn namespace(room: usize) -> Request {
    let config = MemoryConfig::new().max_entries(room as u64);
    let namespace = MemoryNamespace::anonymous(config).expect("the bound is not zero");
    let now = SystemClock.now();
    let entry = Entry::new(Payload::raw("value"), now);
    Box::new(move |key| {
        let key = Key::new(&key);
        let hit = namespace.get(&key).is_ok_and(|found| found.is_some());
        if !hit {
            namespace.set(&key, entry.clone()).expect("memory takes every entry");
        }
        hit
    })
}
