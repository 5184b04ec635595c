//! Who leaves a full namespace.
//
// The policy is a CLOCK with a cold queue in front and ghosts behind, as in quick_cache's variant of
// CLOCK-Pro (MIT, by Arthur Silva), which held the best hit ratios of all peers we measured, loops
// included. Differences: the queues are rings of (hash, number) in place of lists through a slab,
// so that a node can live in the hash table itself; ghosts are a small table beside it.
//
// 1. While there is room, entries enter the hot queue: the first to come stay, which is what a loop
//    longer than the cache wants. Afterwards an entry enters the cold queue, or the hot one if it
//    was evicted only lately (a ghost).
// 2. A hit only counts up a number in the node; nothing moves and nothing is locked exclusively.
// 3. The eviction looks at the oldest cold entry. Hit since: it becomes hot. Not hit: it leaves, and
//    its hash becomes a ghost.
// 4. The hot queue is a clock: an entry that was hit goes round again with one hit fewer, and one
//    that was not leaves. It turns when promotions or ghosts made it larger than its part.
// 5. What is removed or expires leaves its seat behind in a queue; a seat without a node is skipped,
//    and when such seats prevail the queues are cleaned.

use std::collections::VecDeque;

use hashbrown::HashTable;

use super::ghosts::Ghosts;
use super::node::{Node, Queue, Seat};

/// Seats beyond this many, and beyond twice the entries, are mostly stale.
const SLACK: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Policy {
    cold: VecDeque<Seat>,
    hot: VecDeque<Seat>,
    ghosts: Ghosts,
    cold_weight: u64,
    hot_weight: u64,
}

/// Whether an entry finds room or another one left for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressure {
    /// There is room up to this weight.
    Filling(u64),
    /// The namespace is full.
    Full,
}

impl Policy {
    pub(super) fn weight(&self) -> u64 {
        self.cold_weight + self.hot_weight
    }

    /// Gives a new entry its place.
    pub(super) fn enter(&mut self, seat: Seat, weight: u64, pressure: Pressure) -> Queue {
        let room = match pressure {
            Pressure::Filling(share) => self.hot_weight + weight <= hot_part(share),
            Pressure::Full => false,
        };
        let queue = if self.ghosts.take(seat.hash) || room { Queue::Hot } else { Queue::Cold };
        self.queue(queue).push_back(seat);
        *self.weight_of(queue) += weight;
        queue
    }

    /// The node left, or weighs less now.
    pub(super) fn lighten(&mut self, queue: Queue, weight: u64) {
        let sum = self.weight_of(queue);
        *sum = sum.saturating_sub(weight);
    }

    /// The node weighs more now.
    pub(super) fn burden(&mut self, queue: Queue, weight: u64) {
        *self.weight_of(queue) += weight;
    }

    /// Takes out of `table` the node that is to leave.
    pub(super) fn evict(
        &mut self,
        table: &mut HashTable<Node>,
        weigh: impl Fn(&Node) -> u64,
    ) -> Option<Node> {
        // Ghosts that came back made the hot queue larger than its part: then it pays for the room.
        // Else it would eat up the cold queue, and what is new would leave before it can be hit.
        if self.hot_weight > hot_part(self.weight())
            && let Some(node) = self.evict_hot(table, &weigh)
        {
            return Some(node);
        }
        while let Some(seat) = self.cold.pop_front() {
            let Ok(mut found) = table.find_entry(seat.hash, |node| node.is_number(seat.number))
            else {
                continue;
            };
            let weight = weigh(found.get());
            self.lighten(Queue::Cold, weight);
            if !found.get_mut().cool() {
                let node = found.remove().0;
                self.ghosts.add(seat.hash, table.len() + 1);
                return Some(node);
            }
            found.get_mut().set_queue(Queue::Hot);
            self.hot.push_back(seat);
            self.hot_weight += weight;
            if self.hot_weight > hot_part(self.weight()) {
                break;
            }
        }
        self.evict_hot(table, &weigh)
    }

    fn evict_hot(
        &mut self,
        table: &mut HashTable<Node>,
        weigh: &impl Fn(&Node) -> u64,
    ) -> Option<Node> {
        while let Some(seat) = self.hot.pop_front() {
            let Ok(mut found) = table.find_entry(seat.hash, |node| node.is_number(seat.number))
            else {
                continue;
            };
            if found.get_mut().cool() {
                self.hot.push_back(seat);
                continue;
            }
            let node = found.remove().0;
            self.lighten(Queue::Hot, weigh(&node));
            return Some(node);
        }
        None
    }

    /// Drops the seats that no node is in, when there are many.
    pub(super) fn tidy(&mut self, table: &HashTable<Node>) {
        if self.cold.len() + self.hot.len() > table.len() * 2 + SLACK {
            let taken =
                |seat: &Seat| table.find(seat.hash, |node| node.is_number(seat.number)).is_some();
            self.cold.retain(taken);
            self.hot.retain(taken);
        }
    }

    #[cfg(test)]
    pub(super) fn seats(&self) -> usize {
        self.cold.len() + self.hot.len()
    }

    fn queue(&mut self, queue: Queue) -> &mut VecDeque<Seat> {
        match queue {
            Queue::Cold => &mut self.cold,
            Queue::Hot => &mut self.hot,
        }
    }

    fn weight_of(&mut self, queue: Queue) -> &mut u64 {
        match queue {
            Queue::Cold => &mut self.cold_weight,
            Queue::Hot => &mut self.hot_weight,
        }
    }
}

/// The part of `total` that hot entries may weigh: 97 %, and never all of it.
fn hot_part(total: u64) -> u64 {
    (total - total / 33).min(total.saturating_sub(1)).max(total.min(1))
}
