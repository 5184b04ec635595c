use std::collections::HashMap;
use std::mem;

use beaker_namespace::{Entry, Key, Timestamp};
use foldhash::fast::RandomState;

use super::index::Moment;

/// An entry may have this part of all bytes.
const ENTRY_PART: u64 = 64;

/// Bytes that an entry takes beside its key and its value, about.
const ENTRY_BYTES: u64 = 200;

pub(super) type Entries = HashMap<(u64, Key), Entry, RandomState>;

/// The entries that are kept, by the number of their namespace and their key; see kept.rs.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// When they were current; without it there are none.
    pub(super) moment: Option<Moment>,
    /// The commits of this process that were carried over since that moment (carry.rs).
    carried: u32,
    pub(super) entries: Entries,
    /// What is dead by then may be gone from the database.
    dead_at: Option<Timestamp>,
    bytes: u64,
}

impl Shelf {
    /// Whether it was read at `moment`, and nothing was carried over since.
    pub(super) fn is_of(&self, moment: Moment) -> bool {
        self.moment == Some(moment) && !self.is_behind()
    }

    /// Whether something was carried over since its moment.
    pub(super) fn is_behind(&self) -> bool {
        self.carried > 0
    }

    /// The commits that the index counts if all since its moment were carried over.
    pub(super) fn commits(&self) -> Option<u32> {
        Some(self.moment?.commits().wrapping_add(self.carried))
    }

    /// Whether it is right at `moment`, which was read after all that was carried over was committed.
    pub(super) fn is_right_at(&self, moment: Moment) -> bool {
        match self.carried {
            0 => self.moment == Some(moment),
            _ => self.commits() == Some(moment.commits()),
        }
    }

    /// From now on it is of `moment`, at which it is right.
    pub(super) fn catch_up(&mut self, moment: Moment) {
        (self.moment, self.carried) = (Some(moment), 0);
    }

    /// A commit of this process was made, of which it has nothing any more.
    pub(super) fn count_carried(&mut self) {
        // More than there can be is never right.
        self.carried = self.carried.saturating_add(1);
    }

    /// Takes all entries, and is of the same moment yet.
    pub(super) fn take_all(&mut self) -> Entries {
        let (moment, carried) = (self.moment, self.carried);
        mem::replace(self, Self { moment, carried, ..Self::default() }).entries
    }

    /// The entry of `key` in the namespace `space`, if it is there and lives.
    pub(super) fn get(&self, space: u64, key: &Key, now: Timestamp) -> Option<Entry> {
        let entry = self.entries.get(&(space, key.clone()))?;
        let dead = entry.is_dead(now) || self.dead_at.is_some_and(|at| entry.is_dead(at));
        (!dead).then(|| entry.clone())
    }

    /// Keeps `entry` if there is room for it; says whether it is there.
    pub(super) fn put(&mut self, space: u64, key: &Key, entry: Entry, limit_bytes: u64) -> bool {
        let bytes = size(key, &entry);
        let taken = match self.entries.get(&(space, key.clone())) {
            Some(there) => self.bytes - size(key, there),
            None => self.bytes,
        };
        if !fits(key, &entry, limit_bytes) || taken + bytes > limit_bytes {
            self.remove(space, key);
            return false;
        }
        self.entries.insert((space, key.clone()), entry);
        self.bytes = taken + bytes;
        true
    }

    pub(super) fn remove(&mut self, space: u64, key: &Key) {
        if let Some(gone) = self.entries.remove(&(space, key.clone())) {
            self.bytes -= size(key, &gone);
        }
    }

    /// Gives out no more what is dead by `now`.
    pub(super) fn bury(&mut self, now: Timestamp) {
        self.dead_at = self.dead_at.max(Some(now));
    }
}

/// Whether it may be kept at all.
pub(super) fn fits(key: &Key, entry: &Entry, limit_bytes: u64) -> bool {
    size(key, entry) <= limit_bytes / ENTRY_PART
}

/// The bytes that an entry takes, about.
fn size(key: &Key, entry: &Entry) -> u64 {
    let labels: usize = entry.tag_list().iter().map(String::len).sum();
    let value = entry.payload().len_bytes().unwrap_or(usize::MAX);
    ENTRY_BYTES.saturating_add((key.as_bytes().len() + labels).saturating_add(value) as u64)
}
