//! What a meter counts, and shows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use beaker_namespace::{ConditionalSet, Entry, ErrorKind, Fulfilled, Key};

use crate::proxy::latencies::{Histogram, Latencies};

/// What a call asks of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `get`, `look_up` and `read_with`.
    Get,
    /// `get_many`.
    GetMany,
    /// `set`.
    Set,
    /// `set_many`.
    SetMany,
    /// `set_if`.
    SetIf,
    /// `claim`, with the wait for another holder.
    Claim,
    /// `fulfil`.
    Fulfil,
    /// `remove`.
    Remove,
    /// `remove_many`.
    RemoveMany,
    /// `remove_tag`.
    RemoveTag,
    /// `clear`.
    Clear,
    /// `scan`, one page.
    Scan,
    /// `sweep`.
    Sweep,
    /// `inspect`.
    Inspect,
    /// `inspect_many`.
    InspectMany,
    /// `mark`.
    Mark,
    /// `marks`.
    Marks,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Get,
        Self::GetMany,
        Self::Set,
        Self::SetMany,
        Self::SetIf,
        Self::Claim,
        Self::Fulfil,
        Self::Remove,
        Self::RemoveMany,
        Self::RemoveTag,
        Self::Clear,
        Self::Scan,
        Self::Sweep,
        Self::Inspect,
        Self::InspectMany,
        Self::Mark,
        Self::Marks,
    ];
}

/// What a [`Metered`](super::Metered) counted since it was made.
///
/// While others use the namespace, the numbers are not of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Keys that were read and had an entry (for `read_with`, one that served).
    pub hits: u64,
    /// Keys that were read and had none.
    pub misses: u64,
    /// Entries stored, also by `fulfil` and `set_if`.
    pub sets: u64,
    /// Entries removed by key or tag; those that `clear` removed are not known.
    pub removes: u64,
    /// Values not stored because an invalidation or another value won.
    pub superseded: u64,
    /// Bytes of the values stored; live objects have none.
    pub bytes_in: u64,
    /// Bytes of the values that hits returned.
    pub bytes_out: u64,
    /// Asynchronous calls whose future was dropped before its end. What the namespace did of them is
    /// not known, so nothing else is counted of them.
    pub dropped: u64,
    pub(super) errors: HashMap<ErrorKind, u64>,
    pub(super) latencies: [Latencies; Operation::ALL.len()],
}

impl Snapshot {
    /// How many calls failed with this kind of error.
    pub fn errors(&self, kind: ErrorKind) -> u64 {
        self.errors.get(&kind).copied().unwrap_or(0)
    }

    /// How many calls failed.
    pub fn all_errors(&self) -> u64 {
        self.errors.values().sum()
    }

    /// How long the calls of `operation` took, failed ones too; those of the asynchronous face from
    /// their first poll to their end.
    pub fn latencies(&self, operation: Operation) -> &Latencies {
        &self.latencies[operation as usize]
    }
}

/// What was counted by some threads, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Meter {
    pub(super) counts: [AtomicU64; Count::Dropped as usize + 1],
    pub(super) histograms: [Histogram; Operation::ALL.len()],
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Count {
    Hits,
    Misses,
    Sets,
    Removes,
    Superseded,
    BytesIn,
    BytesOut,
    Dropped,
}

impl Meter {
    #[inline]
    pub(super) fn add(&self, count: Count, number: u64) {
        self.counts[count as usize].fetch_add(number, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn hit(&self, bytes: u64) {
        self.add(Count::Hits, 1);
        self.add(Count::BytesOut, bytes);
    }

    pub(super) fn set(&self, entries: u64, bytes: u64) {
        self.add(Count::Sets, entries);
        self.add(Count::BytesIn, bytes);
    }

    /// A write that may not have been done.
    fn set_or_not(&self, stored: bool, bytes: u64) {
        if stored { self.set(1, bytes) } else { self.add(Count::Superseded, 1) }
    }
}

// What is counted of the answers of calls, by either face.

#[inline]
pub(super) fn read(meter: &Meter, found: Option<&Entry>) {
    match found {
        Some(entry) => meter.hit(length_of(entry)),
        None => meter.add(Count::Misses, 1),
    }
}

pub(super) fn read_many(meter: &Meter, found: &[Option<Entry>]) {
    found.iter().for_each(|found| read(meter, found.as_ref()));
}

pub(super) fn set(entry: &Entry) -> impl FnOnce(&Meter, &()) + use<> {
    let bytes = length_of(entry);
    move |meter, ()| meter.set(1, bytes)
}

pub(super) fn set_many(entries: &[(Key, Entry)]) -> impl FnOnce(&Meter, &()) + use<> {
    let number = entries.len() as u64;
    let bytes = entries.iter().map(|(_, entry)| length_of(entry)).sum();
    move |meter, ()| meter.set(number, bytes)
}

pub(super) fn set_if(entry: &Entry) -> impl FnOnce(&Meter, &ConditionalSet) + use<> {
    let bytes = length_of(entry);
    move |meter, set| meter.set_or_not(matches!(set, ConditionalSet::Stored { .. }), bytes)
}

pub(super) fn fulfil(entry: &Entry) -> impl FnOnce(&Meter, &Fulfilled) + use<> {
    let bytes = length_of(entry);
    move |meter, fulfilled| meter.set_or_not(*fulfilled == Fulfilled::Stored, bytes)
}

pub(super) fn remove(meter: &Meter, &removed: &bool) {
    meter.add(Count::Removes, removed.into());
}

pub(super) fn remove_many(meter: &Meter, &removed: &u64) {
    meter.add(Count::Removes, removed);
}

pub(super) fn nothing<T>(_: &Meter, _: &T) {}

pub(super) fn length_of(entry: &Entry) -> u64 {
    entry.payload().len_bytes().map_or(0, |length| length as u64)
}
