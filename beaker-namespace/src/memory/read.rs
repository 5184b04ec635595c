//! The way of a hit.
//
// 1. A look-up passes one read lock, and has no locked instruction in a long row of reads; see
//    `counters.rs` and `node.rs`.
// 2. All of it is compiled into the caller, with what serves the entry. A locked instruction waits
//    until all that was stored before it is in the cache, so a hit that keeps its key and what it found
//    in registers costs half of one that hands them on in memory. Whatever is not inlined here must
//    not get the key by reference: that would put it into memory.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::MemoryNamespace;
use super::node::Node;
use super::shard::State;
use crate::{Clock, Entry, Key, SystemClock, Timestamp};

/// The entry that [`MemoryNamespace::read`] found.
///
/// The [`object`](Self::object) and the expiry are at hand; the whole [`entry`](Self::entry) is
/// elsewhere in memory, so ask for it last.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    namespace: &'a MemoryNamespace,
    state: &'a State,
    node: &'a Node,
}

impl<'a> Found<'a> {
    /// The entry, which may be dead.
    #[inline]
    pub fn entry(self) -> &'a Entry {
        self.node.entry()
    }

    /// The value, if it is a live object, and the entry has neither tags nor an entity tag.
    #[inline]
    pub fn object(self) -> Option<&'a Arc<dyn Any + Send + Sync>> {
        self.node.object()
    }

    /// As [`Entry::expires`].
    #[inline]
    pub fn expires(self) -> Timestamp {
        self.node.expires()
    }

    /// As [`Entry::is_fresh`], by the namespace's coarse clock, which is not read for an entry that does
    /// not expire.
    #[inline(always)]
    pub fn is_fresh(self) -> bool {
        if self.expires().is_never() {
            return true;
        }
        let (from, until) = self.state.fresh_between(self.node);
        self.namespace.is_between(from, until)
            || is_fresh_after_all(&*self.namespace.clock, self.node)
    }
}

impl fmt::Debug for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Found").field(self.entry()).finish()
    }
}

/// What is asked if the entry expired, or the clock was set back.
#[cold]
fn is_fresh_after_all(clock: &dyn Clock, node: &Node) -> bool {
    node.entry().is_fresh(clock.coarse())
}

/// What a [read](MemoryNamespace::read_by) does with the entry that it found.
///
/// A closure would do, but cannot be told to be inlined, as a method can.
pub trait Serve<R> {
    /// Makes something of the entry, or `None`: then the read counts as a miss.
    fn serve(self, found: Found<'_>) -> Option<R>;
}

impl<R, F: FnOnce(Found<'_>) -> Option<R>> Serve<R> for F {
    #[inline(always)]
    fn serve(self, found: Found<'_>) -> Option<R> {
        self(found)
    }
}

impl MemoryNamespace {
    /// As [`Clock::is_between`] of its clock.
    #[inline(always)]
    pub fn is_between(&self, from: Timestamp, until: Timestamp) -> bool {
        match self.has_system_clock {
            true => SystemClock.is_between(from, until),
            false => self.clock.is_between(from, until),
        }
    }

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
    /// let length = users.read(&Key::new(&1), |found| found.entry().payload().len_bytes());
    /// assert_eq!(length, Some(3));
    /// # Ok::<(), beaker_namespace::Error>(())
    /// ```
    #[inline(always)]
    pub fn read<R>(&self, key: &Key, serve: impl FnOnce(Found<'_>) -> Option<R>) -> Option<R> {
        self.read_by(key, serve)
    }

    /// As [`read`](Self::read), for a `server` that can be told to be inlined.
    #[inline(always)]
    pub fn read_by<R>(&self, key: &Key, server: impl Serve<R>) -> Option<R> {
        // Taken out before the lock is: behind a call that may wait, they would come from memory.
        let words = key.words();
        let hash = self.hash(key);
        let state = self.shard_of(hash).read();
        if let Some(node) = state.find_words(hash, words, key)
            && let Some(served) = server.serve(Found { namespace: self, state: &state, node })
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
