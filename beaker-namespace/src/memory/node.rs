//! One entry in its place in the table.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::{Entry, Key};

/// Hits beyond this many since the policy last looked do not count.
const MAX_HEAT: u8 = 2;

/// A key with its entry, held in the table itself: two cache lines, no further one to follow.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Node {
    pub(super) key: Key,
    pub(super) entry: Entry,
    /// Tells this stay of the key in the shard from earlier ones.
    pub(super) number: u32,
    /// Hits since the policy last looked, at most `MAX_HEAT`.
    heat: AtomicU8,
    pub(super) queue: Queue,
}

const _: () = assert!(size_of::<Node>() == 128);

/// Which of the policy's queues a node stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Cold,
    Hot,
}

/// What queues and timers know a node by: enough to find it again, and to see that it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat {
    pub(super) hash: u64,
    pub(super) number: u32,
}

impl Node {
    pub(super) fn new(key: Key, entry: Entry, number: u32, queue: Queue) -> Self {
        Self { key, entry, number, heat: AtomicU8::new(0), queue }
    }

    /// Notes a hit. A lost update is harmless, so this is no read-modify-write; and the line of a
    /// hot node is not written at all.
    #[inline]
    pub(super) fn touch(&self) {
        let heat = self.heat.load(Ordering::Relaxed);
        if heat < MAX_HEAT {
            self.heat.store(heat + 1, Ordering::Relaxed);
        }
    }

    /// Takes one hit off; says whether there was one.
    pub(super) fn cool(&mut self) -> bool {
        let heat = self.heat.get_mut();
        let hot = *heat > 0;
        *heat = heat.saturating_sub(1);
        hot
    }
}
