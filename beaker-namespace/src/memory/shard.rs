//! A part of a namespace under one lock.

use std::sync::atomic::{AtomicI64, Ordering};

use beaker_sync::{BiasedReadGuard, BiasedRwLock, BiasedWriteGuard};
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::amend::Amending;
use super::budget::Credit;
use super::claims::Claims;
use super::config::Bound;
use super::hash_key;
use super::listeners::Listeners;
use super::node::{Life, Node, Seat};
use super::policy::{Policy, Pressure};
use super::timers::Timers;
use crate::{Departure, Entry, Key, Stats, Timestamp};

/// The lock and the head of the table share a cache line, and no shard shares one with another.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct Shard {
    /// The earliest timer, readable without the lock.
    next_due: AtomicI64,
    state: BiasedRwLock<State>,
}

impl Shard {
    pub(super) fn new(first_generation: u64, stride: u64) -> Self {
        Self {
            next_due: AtomicI64::new(i64::MAX),
            state: BiasedRwLock::new(State::new(first_generation, stride)),
        }
    }

    #[inline]
    pub(super) fn read(&self) -> BiasedReadGuard<'_, State> {
        self.state.read()
    }

    #[inline]
    pub(super) fn write(&self) -> BiasedWriteGuard<'_, State> {
        self.state.write()
    }

    pub(super) fn try_write(&self) -> Option<BiasedWriteGuard<'_, State>> {
        self.state.try_write()
    }

    pub(super) fn next_due(&self) -> Timestamp {
        // SeqCst: pairs with the swap in `MemoryNamespace::collect`.
        Timestamp::from_micros(self.next_due.load(Ordering::SeqCst))
    }

    /// Publishes the earliest timer; says whether it is earlier than what was published before.
    pub(super) fn publish_due(&self, state: &State) -> bool {
        let due = state.timers.next_due().as_micros();
        let before = self.next_due.load(Ordering::Relaxed);
        if due != before {
            // SeqCst: pairs with the swap in `MemoryNamespace::collect`.
            self.next_due.store(due, Ordering::SeqCst);
        }
        due < before
    }

    pub(super) fn count_into(&self, stats: &mut Stats) {
        let state = self.read();
        stats.entries = Some(stats.entries.unwrap_or(0) + state.table.len() as u64);
        stats.sets += state.counts.sets;
        stats.removes += state.counts.removes;
        stats.evictions += state.counts.evictions;
        stats.expirations += state.counts.expirations;
        stats.superseded += state.counts.superseded;
        if let Some(weight) = &mut stats.weight {
            *weight += state.policy.weight();
        }
    }
}

/// What happened in a shard, counted under its lock.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sets: u64,
    pub(super) removes: u64,
    pub(super) evictions: u64,
    pub(super) expirations: u64,
    pub(super) superseded: u64,
}

/// Entries that left, to be dropped once no lock is held: a value's `Drop` may call the cache, and
/// so may those who are told.
#[derive(Debug)]
#[must_use]
pub(super) struct Doomed<'a> {
    listeners: &'a Listeners,
    /// Of whom they are told. Empty, and not allocated, where nobody listens.
    departed: Vec<(Key, Departure)>,
    first: Option<Entry>,
    rest: Vec<Entry>,
}

impl<'a> Doomed<'a> {
    pub(super) const fn new(listeners: &'a Listeners) -> Self {
        Self { listeners, departed: Vec::new(), first: None, rest: Vec::new() }
    }

    /// An entry that a caller removed.
    pub(super) fn push(&mut self, entry: Entry) {
        if self.first.is_none() {
            self.first = Some(entry);
        } else {
            self.rest.push(entry);
        }
    }

    /// An entry that left by the store's own doing.
    pub(super) fn push_departed(&mut self, node: Node, why: Departure) {
        if self.listeners.any() {
            self.departed.push((node.key(), why));
        }
        self.push(node.into_entry());
    }

    pub(super) fn len(&self) -> u64 {
        u64::from(self.first.is_some()) + self.rest.len() as u64
    }
}

impl Drop for Doomed<'_> {
    fn drop(&mut self) {
        if !self.departed.is_empty() {
            self.listeners.tell(std::mem::take(&mut self.departed));
        }
    }
}

/// What a shard's lock protects.
#[derive(Debug)]
#[repr(C)] // What a hit needs first: it shares the lock's cache line.
pub(super) struct State {
    pub(super) table: HashTable<Node>,
    /// From this moment on no entry that was ever here bears a stamp of the future, so that a hit
    /// needs to look at none: see `Entry::believed_from`.
    believed_from: Timestamp,
    // What each write writes, next to that.
    next_generation: u64,
    stride: u64,
    pub(super) counts: Counts,
    pub(super) claims: Claims,
    policy: Policy,
    timers: Timers,
    next_number: u32,
}

/// An entry on its way into a shard.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    pub(super) hash: u64,
    pub(super) key: &'a Key,
    pub(super) entry: Entry,
    pub(super) weight: u64,
}

/// What a shard needs to know of its namespace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) bound: Bound,
    /// The shard's part of the bound.
    pub(super) share: u64,
    pub(super) hasher: &'a RandomState,
}

impl Rules<'_> {
    #[inline]
    pub(super) fn weigh(&self, entry: &Entry) -> u64 {
        self.bound.weigh(entry.weight())
    }
}

impl State {
    fn new(first_generation: u64, stride: u64) -> Self {
        Self {
            table: HashTable::new(),
            believed_from: Timestamp::from_micros(i64::MIN),
            claims: Claims::default(),
            counts: Counts::default(),
            policy: Policy::default(),
            timers: Timers::default(),
            next_generation: first_generation,
            stride,
            next_number: 0,
        }
    }

    #[inline(always)]
    pub(super) fn find(&self, hash: u64, key: &Key) -> Option<&Node> {
        self.find_words(hash, key.words(), key)
    }

    /// As [`find`](Self::find), for a caller who has taken the key's words out.
    #[inline(always)]
    pub(super) fn find_words(
        &self,
        hash: u64,
        words: Option<[u64; 4]>,
        key: &Key,
    ) -> Option<&Node> {
        match words {
            Some(words) => self.table.find(hash, |node| node.has_words(words)),
            None => self.find_long(hash, key.long_bytes()?),
        }
    }

    #[inline(never)]
    fn find_long(&self, hash: u64, key: &[u8]) -> Option<&Node> {
        self.table.find(hash, |node| node.has_long(key))
    }

    /// When the entry in `node` is sure to need no re-creation. Before that the clock was set back, and
    /// the entry itself is to be asked.
    #[inline]
    pub(super) fn fresh_between(&self, node: &Node) -> (Timestamp, Timestamp) {
        (self.believed_from, node.expires())
    }

    /// A number that no other write, and no other claim, of this namespace has.
    pub(super) fn next_generation(&mut self) -> u64 {
        let generation = self.next_generation;
        self.next_generation += self.stride;
        generation
    }

    /// Stores what arrives and says its generation; or gives the entry back if the shard, emptied,
    /// does not yield enough weight.
    pub(super) fn place(
        &mut self,
        arrival: Arrival<'_>,
        rules: Rules<'_>,
        credit: &mut Credit<'_>,
        doomed: &mut Doomed<'_>,
    ) -> Result<u64, Entry> {
        let Some(arrival) = self.replace(arrival, rules, credit, doomed)? else {
            return Ok(self.next_generation - self.stride);
        };
        let mut pressure = Pressure::Filling(rules.share);
        while !credit.top_up(arrival.weight) {
            pressure = Pressure::Full;
            if !self.evict(rules, credit, doomed) {
                return Err(arrival.entry);
            }
        }
        Ok(self.insert(arrival, pressure, rules, credit))
    }

    /// Replaces the entry of the same key in its seat, if there is one and the weight allows it.
    /// If the weight does not, the old entry leaves, and the new one is handed on as a new one.
    fn replace<'a>(
        &mut self,
        mut arrival: Arrival<'a>,
        rules: Rules<'_>,
        credit: &mut Credit<'_>,
        doomed: &mut Doomed<'_>,
    ) -> Result<Option<Arrival<'a>>, Entry> {
        let generation = self.next_generation;
        let (hash, key) = (arrival.hash, arrival.key);
        let Some(node) = self.table.find_mut(hash, |node| node.has_key(key)) else {
            return Ok(Some(arrival));
        };
        let (old_weight, queue) = (rules.weigh(node.entry()), node.queue());
        credit.deposit(old_weight);
        if !credit.top_up(arrival.weight) {
            self.take(hash, key, rules, Some(Departure::Replaced), doomed);
            return Ok(Some(arrival));
        }
        credit.spend(arrival.weight);
        arrival.entry = arrival.entry.with_generation(generation);
        self.believed_from = self.believed_from.max(arrival.entry.believed_from());
        self.timers.set(node.seat(hash), arrival.entry.dies(), node.entry().dies());
        let departs = doomed.listeners.any() && !node.entry().is_same_value(&arrival.entry);
        let old = node.replace(arrival.entry);
        if departs {
            doomed.departed.push((key.clone(), Departure::Replaced));
        }
        doomed.push(old);
        node.touch();
        self.policy.lighten(queue, old_weight);
        self.policy.burden(queue, arrival.weight);
        self.next_generation();
        self.tidy(rules);
        Ok(None)
    }

    /// Lets `amend` change the object under `key` in its seat, if the entry `is_alive` and has one; says
    /// its new generation if it did. It weighs what it did.
    pub(super) fn amend(
        &mut self,
        hash: u64,
        key: &Key,
        is_alive: impl FnOnce(&Entry) -> bool,
        amend: impl FnOnce(Amending<'_>) -> Option<Life>,
        rules: Rules<'_>,
    ) -> Option<u64> {
        let generation = self.next_generation;
        let node = self.table.find_mut(hash, |node| node.has_key(key))?;
        if !is_alive(node.entry()) {
            return None;
        }
        let before = node.entry().dies();
        let life = node.amend(generation, amend)?;
        node.touch();
        self.believed_from = self.believed_from.max(node.entry().believed_from());
        if self.timers.set(node.seat(hash), life.dies, before) {
            self.tidy(rules);
        }
        self.claims.void(hash, key);
        self.counts.sets += 1;
        Some(self.next_generation())
    }

    fn insert(
        &mut self,
        arrival: Arrival<'_>,
        pressure: Pressure,
        rules: Rules<'_>,
        credit: &mut Credit<'_>,
    ) -> u64 {
        let generation = self.next_generation();
        self.next_number = self.next_number.wrapping_add(1);
        let seat = Seat { hash: arrival.hash, number: self.next_number };
        let queue = self.policy.enter(seat, arrival.weight, pressure);
        credit.spend(arrival.weight);
        let entry = arrival.entry.with_generation(generation);
        self.believed_from = self.believed_from.max(entry.believed_from());
        self.timers.set(seat, entry.dies(), Timestamp::NEVER);
        let node = Node::new(arrival.key, entry, seat.number, queue);
        self.table.insert_unique(seat.hash, node, |node| hash_key(rules.hasher, &node.key()));
        self.tidy(rules);
        generation
    }

    /// Evicts one entry for `credit`; says whether there was one.
    pub(super) fn evict(
        &mut self,
        rules: Rules<'_>,
        credit: &mut Credit<'_>,
        doomed: &mut Doomed<'_>,
    ) -> bool {
        let weigh = |node: &Node| rules.weigh(node.entry());
        let Some(node) = self.policy.evict(&mut self.table, weigh) else {
            return false;
        };
        credit.deposit(weigh(&node));
        self.counts.evictions += 1;
        doomed.push_departed(node, Departure::Evicted);
        true
    }

    /// Takes the entry under `key` out, if there is one. Its weight is the caller's to give back.
    /// `why` is `None` if a caller removes it.
    pub(super) fn take(
        &mut self,
        hash: u64,
        key: &Key,
        rules: Rules<'_>,
        why: Option<Departure>,
        doomed: &mut Doomed<'_>,
    ) -> Option<u64> {
        let found = self.table.find_entry(hash, |node| node.has_key(key)).ok()?;
        let node = found.remove().0;
        let weight = rules.weigh(node.entry());
        self.policy.lighten(node.queue(), weight);
        match why {
            Some(why) => doomed.push_departed(node, why),
            None => doomed.push(node.into_entry()),
        }
        Some(weight)
    }

    /// Takes out every entry that `wanted` picks, voids the claims on them, and says their weight.
    pub(super) fn take_all(
        &mut self,
        rules: Rules<'_>,
        doomed: &mut Doomed<'_>,
        mut wanted: impl FnMut(&Node) -> bool,
    ) -> u64 {
        let mut sum = 0;
        for node in self.table.extract_if(|node| wanted(node)) {
            let weight = rules.weigh(node.entry());
            sum += weight;
            self.policy.lighten(node.queue(), weight);
            if !self.claims.is_empty() {
                let key = node.key();
                self.claims.void(hash_key(rules.hasher, &key), &key);
            }
            doomed.push(node.into_entry());
        }
        self.tidy(rules);
        sum
    }

    /// Takes out entries that are dead, by at most `limit` timers; says their weight.
    pub(super) fn take_dead(
        &mut self,
        now: Timestamp,
        limit: usize,
        rules: Rules<'_>,
        doomed: &mut Doomed<'_>,
    ) -> u64 {
        let mut sum = 0;
        for _ in 0..limit {
            let Some(seat) = self.timers.pop_due(now) else { break };
            let same = |node: &Node| node.is_number(seat.number);
            let Ok(found) = self.table.find_entry(seat.hash, same) else { continue };
            let entry = found.get().entry();
            if !entry.is_dead(now) {
                self.timers.set(seat, entry.dies(), Timestamp::NEVER);
                continue;
            }
            let node = found.remove().0;
            let weight = rules.weigh(node.entry());
            sum += weight;
            self.policy.lighten(node.queue(), weight);
            self.counts.expirations += 1;
            doomed.push_departed(node, Departure::Expired);
        }
        sum
    }

    /// Empties the shard and voids its claims. The counts and the generations go on.
    pub(super) fn clear(&mut self) -> (HashTable<Node>, u64) {
        let weight = self.policy.weight();
        self.policy = Policy::default();
        self.timers = Timers::default();
        self.claims.clear();
        (std::mem::take(&mut self.table), weight)
    }

    #[cfg(test)]
    pub(super) fn timers_len(&self) -> usize {
        self.timers.len()
    }

    #[cfg(test)]
    pub(super) fn seats(&self) -> usize {
        self.policy.seats()
    }

    /// Throws stale seats and timers away when they prevail.
    fn tidy(&mut self, rules: Rules<'_>) {
        self.policy.tidy(&self.table);
        if self.timers.outgrown(self.table.len()) {
            let timer =
                |node: &Node| (node.entry().dies(), node.seat(hash_key(rules.hasher, &node.key())));
            self.timers.replace_all(self.table.iter().map(timer));
        }
    }
}
