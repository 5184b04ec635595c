//! When entries die, so that they leave without being asked for.
//
// The rules:
// 1. Each entry that dies has at least one timer due at or before its death. So an entry rewritten
//    with a later death needs no new timer: its old one fires, finds it alive and is set again.
// 2. A timer is stale when its entry is gone. `outgrown` tells when stale ones prevail; then the
//    owner makes all of them anew from its entries.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::node::Seat;
use crate::Timestamp;

/// Timers beyond this many, and beyond twice the entries, are mostly stale.
const SLACK: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Timestamp, Seat)>>);

impl Timers {
    /// Sets a timer for an entry that dies at `dies`; `before` is when the entry that it replaces
    /// in the same seat dies. Says whether it needed one.
    pub(super) fn set(&mut self, seat: Seat, dies: Timestamp, before: Timestamp) -> bool {
        let covered = !before.is_never() && before <= dies;
        let is_needed = !dies.is_never() && !covered;
        if is_needed {
            self.0.push(Reverse((dies, seat)));
        }
        is_needed
    }

    /// The earliest timer; never, if there is none.
    pub(super) fn next_due(&self) -> Timestamp {
        self.0.peek().map_or(Timestamp::NEVER, |Reverse((dies, _))| *dies)
    }

    /// Takes one timer that is due.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Seat> {
        if self.next_due() > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, seat))| seat)
    }

    pub(super) fn outgrown(&self, entries: usize) -> bool {
        self.0.len() > entries.saturating_mul(2).saturating_add(SLACK)
    }

    pub(super) fn replace_all(&mut self, timers: impl Iterator<Item = (Timestamp, Seat)>) {
        self.0 = timers.filter(|(dies, _)| !dies.is_never()).map(Reverse).collect();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
