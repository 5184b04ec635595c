//! The way of a hit.
//
// 1. A look-up takes one read lock, and no other locked instruction; see `counters.rs` and `node.rs`.
// 2. All of it is compiled into the caller, with what serves the entry. A locked instruction waits
//    until all that was stored before it is in the cache, so a hit that keeps its key and what it found
//    in registers costs half of one that hands them on in memory. Whatever is not inlined here must
//    not get the key by reference: that would put it into memory.

use super::MemoryNamespace;
use crate::{Entry, Key};

impl MemoryNamespace {
    /// Shows the entry under `key` to `serve`, and returns what it makes of it.
    ///
    /// This is [`Namespace::read_with`](crate::Namespace::read_with) for a caller who knows what
    /// store it has, from [`Namespace::in_memory`](crate::Namespace::in_memory): the quickest hit.
    /// `serve` runs at most once; it may be shown a dead entry. It counts as a hit if `serve` gives
    /// something, else as a miss.
    ///
    /// # Concurrency
    ///
    /// `serve` runs under a short shared lock, so it must be quick, and must not call the namespace.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_namespace::{Entry, Key, MemoryConfig, MemoryNamespace, Namespace, Payload};
    ///
    /// let users = MemoryNamespace::anonymous(MemoryConfig::new())?;
    /// users.set(&Key::new(&1), Entry::new(Payload::raw("Ada"), users.clock().now()))?;
    /// let length = users.read(&Key::new(&1), |entry| entry.payload().len_bytes());
    /// assert_eq!(length, Some(3));
    /// # Ok::<(), beaker_namespace::Error>(())
    /// ```
    #[inline(always)]
    pub fn read<R>(&self, key: &Key, serve: impl FnOnce(&Entry) -> Option<R>) -> Option<R> {
        let hash = self.hash(key);
        let state = self.shard_of(hash).read();
        if let Some(node) = state.find(hash, key)
            && let Some(served) = serve(&node.entry)
        {
            node.touch();
            drop(state);
            self.counters.hit();
            return Some(served);
        }
        drop(state);
        self.missed();
        None
    }

    /// The end of a read that found nothing, or something dead.
    #[cold]
    pub(super) fn missed(&self) {
        self.counters.miss();
        self.collect();
    }
}
