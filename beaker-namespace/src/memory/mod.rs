//! The namespace in this process's memory.
//
// The rules:
// 1. A key belongs to one shard, by bits of its hash that the shard's table does not use. A shard is
//    one lock. No thread holds two shards' locks.
// 2. No user code runs under a lock: values are dropped after it is released, and the clock is read
//    before it is taken.
// 3. Weight comes from one budget for all shards (see `budget.rs`), so the bound is exact and one
//    entry may be as heavy as the whole namespace.
// 4. A claim is a record beside the entries, under the same lock; whatever writes or removes the key
//    takes the record away, and `fulfil` stores only if its own record is there.
// 5. `due` is never later than the earliest timer of any shard.

mod amend;
mod budget;
mod claims;
mod config;
mod counters;
mod face;
mod ghosts;
mod idle;
mod listeners;
mod marks;
mod node;
mod open;
mod policy;
mod read;
mod scan;
mod shard;
mod timers;

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

pub use self::amend::{Amending, Replaced};
pub(crate) use self::claims::ClaimGuard;
pub use self::config::MemoryConfig;
pub(crate) use self::open::open;
pub use self::read::{Found, Serve};

use self::budget::{Budget, Credit};
use self::claims::RemovedTags;
use self::counters::Counters;
use self::listeners::Listeners;
use self::marks::Marks;
use self::shard::{Arrival, Doomed, Rules, Shard, State};
use crate::{Clock, Condition, Departure, Entry, Error, ErrorKind, Key, NamespaceId, Timestamp};

/// Dead entries dropped by one call that is about something else.
const COLLECTED_PER_CALL: usize = 32;

/// So many entries are dropped by whoever clears the namespace; more of them on a thread of their own.
const DROPPED_AT_ONCE: usize = 1024;

/// A namespace in this process's memory: live objects or bytes, bounded, expiring, shared by name.
///
/// Whoever opens a name gets the same entries for as long as somebody holds it; when the last
/// holder lets go, the entries are gone. Objects are shared, not copied.
///
/// When it is full, an insert evicts what is least likely to be read again. An entry that dies
/// leaves with a later write or miss, without being asked for; from a namespace that nobody uses, with
/// what is written to others of the process that go by the same clock. In a process that only hits, or does
/// nothing, what is dead stays, up to the bound: a hit has no time to look for it, and there is no thread for
/// that. [`sweep`](crate::Namespace::sweep) drops it all. An entry heavier than the bound is
/// refused with [`ErrorKind::TooLarge`], and what was under its key is removed.
///
/// # Concurrency
///
/// A hit takes one of many read locks, and allocates nothing. Values are dropped outside all locks,
/// by the thread whose call displaced them: a value's `Drop` may call the namespace, and a panic in
/// it reaches that thread and leaves the namespace whole. Of a [`clear`](crate::Namespace::clear) of more than 1,024
/// entries a thread of its own drops them, so that its caller need not wait for that; a panic there reaches
/// nobody. Their memory is free, and their weight counted as free, when the call returns and when they are
/// dropped: for that time the namespace may have up to twice its bound.
///
/// # Examples
///
/// ```
/// use beaker_namespace::{Entry, Key, MemoryConfig, MemoryNamespace, Namespace, Payload};
///
/// let users = MemoryNamespace::open("users", MemoryConfig::new().max_entries(1_000))?;
/// users.set(&Key::new(&1), Entry::new(Payload::raw("Ada"), users.clock().now()))?;
///
/// let same = MemoryNamespace::open("users", MemoryConfig::new().max_entries(1_000))?;
/// assert!(same.get(&Key::new(&1))?.is_some());
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
pub struct MemoryNamespace {
    id: NamespaceId,
    clock: Arc<dyn Clock>,
    /// Then a hit reads it without a call through pointers.
    has_system_clock: bool,
    config: MemoryConfig,
    hasher: RandomState,
    shards: Box<[Shard]>,
    budget: Budget,
    /// Held by the one thread that takes weight from other shards than its own.
    crowding: Mutex<()>,
    /// Known to those who write elsewhere too: see `idle.rs`.
    due: Arc<AtomicI64>,
    life: u64,
    counters: Counters,
    removed_tags: RemovedTags,
    marks: Marks,
    listeners: Listeners,
    /// The number of the next claim, and the time by which removals of tags are ordered.
    next_token: AtomicU64,
    me: Weak<Self>,
}

/// Before every other moment.
const BEGINNING: Timestamp = Timestamp::from_micros(i64::MIN);

/// When an entry may be stored.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Always,
    If(Condition, Timestamp),
    Claimed(u64),
}

// Always inlined, as is `Key::hash`: a call would put the key into memory. See `Key::words`.
#[expect(clippy::manual_hash_one, reason = "that may become a call of its own")]
#[inline(always)]
fn hash_key(hasher: &RandomState, key: &Key) -> u64 {
    let mut state = hasher.build_hasher();
    key.hash(&mut state);
    state.finish()
}

impl MemoryNamespace {
    #[inline(always)]
    fn hash(&self, key: &Key) -> u64 {
        hash_key(&self.hasher, key)
    }

    #[inline]
    fn shard_of(&self, hash: u64) -> &Shard {
        // Bits that the tables do not use: they take the lowest and the highest.
        &self.shards[(hash >> 40) as usize & (self.shards.len() - 1)]
    }

    fn doomed(&self) -> Doomed<'_> {
        Doomed::new(&self.listeners)
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            bound: self.config.bound,
            // Shifted, as there are a power of two: a division takes as long as the rest of a set.
            share: self.budget.limit() >> self.shards.len().trailing_zeros(),
            hasher: &self.hasher,
        }
    }

    /// Stores `entry` if `rule` allows it, and says its generation.
    fn store(
        &self,
        hash: u64,
        key: &Key,
        mut entry: Entry,
        rule: Rule,
    ) -> Result<Option<u64>, Error> {
        let weight = self.rules().weigh(&entry);
        if weight > self.budget.limit() {
            return Err(self.refuse(hash, key, rule));
        }
        // Dropped last: what left for the entry may panic in its drop, or call this namespace, which
        // then needs the weight that is in hand.
        let mut doomed = self.doomed();
        let mut credit = self.budget.credit();
        if self.shards.len() > 1 && weight > self.rules().share / 2 {
            self.make_room(weight, &mut credit, &mut doomed);
        }
        loop {
            let arrival = Arrival { hash, key, entry, weight };
            match self.try_store(arrival, rule, &mut credit, &mut doomed) {
                Ok(stored) => {
                    drop(credit);
                    match rule {
                        // The clock was read a moment ago.
                        Rule::If(_, now) => self.collect_at(now),
                        Rule::Always | Rule::Claimed(_) => self.collect(),
                    }
                    if stored.is_some_and(|number| idle::is_turn(number, self.shards.len())) {
                        idle::collect_elsewhere(self, self.clock.coarse());
                    }
                    return Ok(stored);
                }
                Err(back) => entry = back,
            }
            self.make_room(weight, &mut credit, &mut doomed);
        }
    }

    fn try_store(
        &self,
        arrival: Arrival<'_>,
        rule: Rule,
        credit: &mut Credit<'_>,
        doomed: &mut Doomed<'_>,
    ) -> Result<Option<u64>, Entry> {
        let shard = self.shard_of(arrival.hash);
        let (hash, key) = (arrival.hash, arrival.key);
        let mut state = shard.write();
        if !self.allows(&mut state, &arrival, rule) {
            drop(state);
            return Ok(None);
        }
        let generation = state.place(arrival, self.rules(), credit, doomed)?;
        match rule {
            // It stands, so it is the one of this key.
            Rule::Claimed(token) => state.claims.end(hash, token),
            Rule::Always | Rule::If(..) => state.claims.void(hash, key),
        }
        state.counts.sets += 1;
        self.publish_due(shard, &state);
        drop(state);
        Ok(Some(generation))
    }

    fn allows(&self, state: &mut State, arrival: &Arrival<'_>, rule: Rule) -> bool {
        let (hash, key) = (arrival.hash, arrival.key);
        match rule {
            Rule::Always => true,
            Rule::If(condition, now) => {
                let live = state.find(hash, key).filter(|node| !node.entry().is_dead(now));
                condition.holds(live.map(|node| node.entry().generation()))
            }
            Rule::Claimed(token) => {
                let stands = state.claims.stands(hash, key, token)
                    && !self.removed_tags.void(arrival.entry.tag_list(), token);
                if !stands {
                    state.claims.end(hash, token);
                    state.counts.superseded += 1;
                }
                stands
            }
        }
    }

    /// An entry is heavier than the bound: the value that it was to replace is void nevertheless.
    #[cold]
    fn refuse(&self, hash: u64, key: &Key, rule: Rule) -> Error {
        match rule {
            Rule::Always => {
                self.remove_hashed(hash, key, Some(Departure::Replaced));
            }
            Rule::Claimed(token) => self.end_claim(hash, token),
            Rule::If(..) => {}
        }
        Error::new(ErrorKind::TooLarge, "store the entry")
            .with_detail(format!("it is heavier than the namespace's bound, {}", self.config.bound))
    }

    /// Collects `weight` in `credit` from all shards in turn, when one shard cannot give it.
    #[cold]
    fn make_room<'a>(&'a self, weight: u64, credit: &mut Credit<'a>, doomed: &mut Doomed<'_>) {
        // Nobody waits here with a credit in hand, so the one inside gets all there is.
        *credit = self.budget.credit();
        let _crowding = self.crowding.lock();
        'rounds: loop {
            for shard in &self.shards {
                if credit.top_up(weight) {
                    break 'rounds;
                }
                shard.write().evict(self.rules(), credit, doomed);
            }
            std::thread::yield_now();
        }
    }

    /// Removes what is under `key`; says whether it was alive. `why` is `None` if a caller asked.
    fn remove_hashed(&self, hash: u64, key: &Key, why: Option<Departure>) -> bool {
        let now = self.clock.coarse();
        let mut doomed = self.doomed();
        let mut state = self.shard_of(hash).write();
        state.claims.void(hash, key);
        let dead = state.find(hash, key).is_some_and(|node| node.entry().is_dead(now));
        let why = if dead { Some(Departure::Expired) } else { why };
        let taken = state.take(hash, key, self.rules(), why, &mut doomed);
        let removed = taken.is_some() && !dead;
        state.counts.removes += u64::from(removed);
        state.counts.expirations += u64::from(dead);
        drop(state);
        self.budget.give_back(taken.unwrap_or(0));
        removed
    }

    fn end_claim(&self, hash: u64, token: u64) {
        self.shard_of(hash).write().claims.end(hash, token);
    }

    /// Keeps rule 5 after `shard` was written.
    fn publish_due(&self, shard: &Shard, state: &State) {
        if shard.publish_due(state) {
            let due = shard.next_due().as_micros();
            // SeqCst: pairs with the swap in `collect`.
            if due < self.due.load(Ordering::SeqCst) {
                self.due.fetch_min(due, Ordering::SeqCst);
            }
        }
    }

    /// Drops some dead entries, if there are any.
    #[inline]
    fn collect(&self) {
        let due = Timestamp::from_micros(self.due.load(Ordering::Relaxed));
        if !due.is_never() && !self.is_between(BEGINNING, due) {
            self.collect_at(self.clock.coarse());
        }
    }

    #[inline]
    fn collect_at(&self, now: Timestamp) {
        if now >= Timestamp::from_micros(self.due.load(Ordering::Relaxed)) {
            self.collect_due(now);
        }
    }

    #[cold]
    fn collect_due(&self, now: Timestamp) {
        // SeqCst: a writer first publishes its shard's timer, then looks at `due`. Either it sees
        // this swap and lowers `due` again, or the loads below see its timer.
        self.due.swap(i64::MAX, Ordering::SeqCst);
        let mut doomed = self.doomed();
        let mut weight = 0;
        for shard in self.shards.iter().filter(|shard| shard.next_due() <= now) {
            let Some(mut state) = shard.try_write() else { continue };
            weight += state.take_dead(now, COLLECTED_PER_CALL, self.rules(), &mut doomed);
            shard.publish_due(&state);
            if doomed.len() > 0 {
                break;
            }
        }
        self.budget.give_back(weight);
        if let Some(due) = self.shards.iter().map(Shard::next_due).min() {
            self.due.fetch_min(due.as_micros(), Ordering::SeqCst);
        }
    }
}

impl Drop for MemoryNamespace {
    fn drop(&mut self) {
        idle::leave(self);
    }
}

impl fmt::Debug for MemoryNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryNamespace")
            .field("id", &self.id)
            .field("bound", &self.config.bound)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
