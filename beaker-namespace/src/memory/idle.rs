//! Namespaces that nobody uses: their dead entries leave with what is written elsewhere.
//
// 1. Who writes looks, once in so many writes, at a few other namespaces of this process that go by
//    the same clock, and drops what is dead in the first that has any. There is no thread for it: where
//    nothing is written, no memory is wanted.
// 2. The table is locked for look-ups only, and nobody holds a namespace under its lock: who lets go of
//    the last hold drops its values, and these may open a namespace.
// 3. A namespace is held for this only if something in it is dead. So whoever lets go of the last hold of
//    one without dead entries frees it himself.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::MemoryNamespace;
use crate::{Clock, Timestamp};

/// One in this many writes of a shard looks elsewhere.
const WRITES_PER_LOOK: u64 = 16;

/// The most namespaces that such a look passes.
const NAMESPACES_PER_LOOK: usize = 8;

static KNOWN: Mutex<Table> = Mutex::new(Table { namespaces: BTreeMap::new(), last: 0 });

struct Table {
    /// By the number of its life.
    namespaces: BTreeMap<u64, Known>,
    /// The one that was looked at last.
    last: u64,
}

struct Known {
    namespace: Weak<MemoryNamespace>,
    due: Arc<AtomicI64>,
    clock: Arc<dyn Clock>,
    has_system_clock: bool,
}

/// Makes the namespace known to those who write elsewhere.
pub(super) fn enter(namespace: &Arc<MemoryNamespace>) {
    let known = Known {
        namespace: Arc::downgrade(namespace),
        due: Arc::clone(&namespace.due),
        clock: Arc::clone(&namespace.clock),
        has_system_clock: namespace.has_system_clock,
    };
    KNOWN.lock().namespaces.insert(namespace.life, known);
}

pub(super) fn leave(namespace: &MemoryNamespace) {
    let known = KNOWN.lock().namespaces.remove(&namespace.life);
    // Not under the lock: the clock is the caller's.
    drop(known);
}

/// Whether it is this write's turn, by the number that it got in a namespace of `shards` shards.
pub(super) fn is_turn(generation: u64, shards: usize) -> bool {
    (generation >> shards.trailing_zeros()).is_multiple_of(WRITES_PER_LOOK)
}

/// Drops some dead entries of another namespace, if a look finds one that has any.
pub(super) fn collect_elsewhere(from: &MemoryNamespace, now: Timestamp) {
    let found = KNOWN.try_lock().and_then(|mut table| table.next_due(from, now));
    // Let go of here, under no lock.
    if let Some(other) = found.and_then(|namespace| namespace.upgrade()) {
        other.collect_at(now);
    }
}

impl Table {
    fn next_due(
        &mut self,
        from: &MemoryNamespace,
        now: Timestamp,
    ) -> Option<Weak<MemoryNamespace>> {
        for _ in 0..NAMESPACES_PER_LOOK.min(self.namespaces.len()) {
            let after = self.namespaces.range((Excluded(self.last), Unbounded)).next();
            let (&life, known) = after.or_else(|| self.namespaces.iter().next())?;
            self.last = life;
            if life != from.life && known.goes_by_the_clock_of(from) && known.is_due(now) {
                return Some(Weak::clone(&known.namespace));
            }
        }
        None
    }
}

impl Known {
    fn goes_by_the_clock_of(&self, other: &MemoryNamespace) -> bool {
        let is_same = || Arc::ptr_eq(&self.clock, &other.clock);
        (self.has_system_clock && other.has_system_clock) || is_same()
    }

    fn is_due(&self, now: Timestamp) -> bool {
        Timestamp::from_micros(self.due.load(Ordering::Relaxed)) <= now
    }
}
