//! Who creates what at the moment, and what voids it.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Weak;

use hashbrown::HashTable;
use parking_lot::Mutex;

use super::MemoryNamespace;
use crate::Key;

/// The running claims of one shard. A newer claim of a key takes the place of the older.
#[derive(Debug, Default)]
pub(super) struct Claims(HashTable<Running>);

#[derive(Debug)]
struct Running {
    hash: u64,
    key: Key,
    token: u64,
}

impl Claims {
    pub(super) fn begin(&mut self, hash: u64, key: &Key, token: u64) {
        self.void(hash, key);
        let running = Running { hash, key: key.clone(), token };
        self.0.insert_unique(hash, running, |running| running.hash);
    }

    /// Whether the claim still stands.
    pub(super) fn stands(&self, hash: u64, key: &Key, token: u64) -> bool {
        let same = |running: &Running| running.token == token && running.key == *key;
        self.0.find(hash, same).is_some()
    }

    /// Ends the claim on `key`, whoever holds it.
    pub(super) fn void(&mut self, hash: u64, key: &Key) {
        if self.is_empty() {
            return;
        }
        if let Ok(running) =
            self.0.find_entry(hash, |running| running.hash == hash && running.key == *key)
        {
            running.remove();
        }
    }

    /// Ends this claim, and not a newer one of its key.
    pub(super) fn end(&mut self, hash: u64, token: u64) {
        if let Ok(running) = self.0.find_entry(hash, |running| running.token == token) {
            running.remove();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0 = HashTable::new();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Ends a claim that is dropped without being fulfilled.
#[derive(Debug)]
pub(crate) struct ClaimGuard {
    pub(super) namespace: Weak<MemoryNamespace>,
    pub(super) hash: u64,
    pub(super) token: u64,
    /// Set when the record is gone already.
    pub(super) settled: Cell<bool>,
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        if self.settled.get() {
            return;
        }
        if let Some(namespace) = self.namespace.upgrade() {
            namespace.end_claim(self.hash, self.token);
        }
    }
}

/// Tags beyond this many are not told apart any more.
const MAX_TAGS: usize = 1024;

/// The tags removed lately: what was claimed before a removal must not bring the tag back.
#[derive(Debug, Default)]
pub(super) struct RemovedTags(Mutex<Removals>);

#[derive(Debug, Default)]
struct Removals {
    /// The first token that was given out after the removal.
    by_tag: HashMap<Box<str>, u64>,
    /// The same for every tag that is not in the map.
    others: u64,
}

impl RemovedTags {
    /// Notes that `tag` is removed from all that was claimed before `token`.
    pub(super) fn note(&self, tag: &str, token: u64) {
        let mut removals = self.0.lock();
        if removals.by_tag.len() >= MAX_TAGS {
            removals.by_tag.clear();
            removals.others = token;
        }
        removals.by_tag.insert(tag.into(), token);
    }

    /// Whether one of `tags` was removed since the claim `token` was taken.
    pub(super) fn void(&self, tags: &[String], token: u64) -> bool {
        if tags.is_empty() {
            return false;
        }
        let removals = self.0.lock();
        tags.iter().any(|tag| {
            token < removals.by_tag.get(tag.as_str()).copied().unwrap_or(removals.others)
        })
    }
}
