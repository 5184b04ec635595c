//! The namespace as everybody sees it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::config::Bound;
use super::node::Node;
use super::{ClaimGuard, DROPPED_AT_ONCE, MemoryNamespace, Rule};
use crate::behind::behind;
use crate::{
    Capabilities, Capability, Claim, Clock, Condition, ConditionalSet, Entry, Error, Fulfilled,
    Inspection, Key, Latency, Mark, Namespace, NamespaceId, OnDeparture, Page, Scan, Scope, Stats,
    Swept, Wait,
};

impl Namespace for MemoryNamespace {
    fn id(&self) -> &NamespaceId {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    fn capabilities(&self) -> Capabilities {
        use Capability as C;
        const HAS: Capabilities = Capabilities::new(&[
            C::Retains,
            C::Objects,
            C::Bytes,
            C::Expiry,
            C::Scan,
            C::CompareAndSet,
            C::Tags,
            C::Marks,
        ]);
        HAS
    }

    fn latency(&self) -> Latency {
        Latency::Inline
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn in_memory(&self) -> Option<Arc<MemoryNamespace>> {
        self.me.upgrade()
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let hash = self.hash(key);
        let state = self.shard_of(hash).read();
        let Some(node) = state.find(hash, key) else {
            drop(state);
            self.missed();
            return Ok(None);
        };
        node.touch();
        let entry = node.entry().clone();
        drop(state);
        if !entry.dies().is_never() && entry.is_dead(self.clock.coarse()) {
            drop(entry);
            self.missed();
            return Ok(None);
        }
        self.counters.hit();
        Ok(Some(entry))
    }

    fn read_with(&self, key: &Key, serve: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Error> {
        let _served = self.read(key, |found| serve(found.entry()).then_some(()));
        Ok(())
    }

    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) for an entry heavier than the bound.
    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        let hash = self.hash(key);
        self.store(hash, key, entry, Rule::Always).map(|_generation| ())
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        let removed = self.remove_hashed(self.hash(key), key, None);
        self.collect();
        Ok(removed)
    }

    fn clear(&self) -> Result<(), Error> {
        // Dropped once all shards are clear: a value's drop may panic. And if there are many, not here:
        // what this costs its caller does not grow with the entries.
        let mut tables = Vec::with_capacity(self.shards.len());
        let mut count = 0;
        for shard in &self.shards {
            let mut state = shard.write();
            let (table, weight) = state.clear();
            shard.publish_due(&state);
            drop(state);
            self.budget.give_back(weight);
            count += table.len();
            tables.push(table);
        }
        if count > DROPPED_AT_ONCE {
            behind(move || drop(tables));
        }
        Ok(())
    }

    fn claim(&self, key: &Key, _wait: Wait) -> Result<Option<Claim>, Error> {
        let hash = self.hash(key);
        let mut state = self.shard_of(hash).write();
        let token = self.next_token.fetch_add(1, Ordering::SeqCst);
        state.claims.begin(hash, key, token);
        drop(state);
        let guard =
            ClaimGuard { namespace: self.me.clone(), hash, token, settled: Cell::new(false) };
        Ok(Some(Claim::of_memory(token, guard)))
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        let hash = self.hash(key);
        let stored = self.store(hash, key, entry, Rule::Claimed(claim.token()));
        if let Some(guard) = claim.guard::<ClaimGuard>() {
            guard.settled.set(guard.hash == hash);
        }
        Ok(stored?.map_or(Fulfilled::Superseded, |_generation| Fulfilled::Stored))
    }

    fn stats(&self) -> Stats {
        let weight = matches!(self.config.bound, Bound::Weight(_)).then_some(0);
        let (hits, misses) = (self.counters.hits(), self.counters.misses());
        let mut stats = Stats { entries: Some(0), weight, hits, misses, ..Stats::default() };
        stats.listener_panics = self.listeners.panics();
        self.shards.iter().for_each(|shard| shard.count_into(&mut stats));
        stats
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        // By the clock that `get` goes by: with a preciser one a key could be absent here and still
        // there for a `get`, until the coarse one has ticked, and who compares and sets would fail
        // until then, however often he reads again.
        let rule = Rule::If(condition, self.clock.coarse());
        let stored = self.store(self.hash(key), key, entry, rule)?;
        Ok(stored
            .map_or(ConditionalSet::Conflict, |generation| ConditionalSet::Stored { generation }))
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        Ok(self.page(scan, self.clock.now()))
    }

    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        // Noted before the shards are gone through: a claim that is fulfilled in a shard that was
        // passed already sees the note.
        self.removed_tags.note(tag, self.next_token.load(Ordering::SeqCst));
        let mut doomed = self.doomed();
        for shard in &self.shards {
            let before = doomed.len();
            let mut state = shard.write();
            let tagged = |node: &Node| {
                node.object().is_none() && node.entry().tag_list().iter().any(|other| other == tag)
            };
            let weight = state.take_all(self.rules(), &mut doomed, tagged);
            state.counts.removes += doomed.len() - before;
            drop(state);
            self.budget.give_back(weight);
        }
        Ok(doomed.len())
    }

    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        Mark::check_name(name)?;
        Ok(self.marks.add(name, mark))
    }

    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        Ok(self.marks.merged(names))
    }

    fn sweep(&self) -> Result<Swept, Error> {
        let now = self.clock.now();
        let mut doomed = self.doomed();
        for shard in self.shards.iter().filter(|shard| shard.next_due() <= now) {
            let mut state = shard.write();
            let weight = state.take_dead(now, usize::MAX, self.rules(), &mut doomed);
            shard.publish_due(&state);
            drop(state);
            self.budget.give_back(weight);
        }
        Ok(Swept { expired: doomed.len(), ..Swept::default() })
    }

    fn on_departure(&self, listener: &Arc<OnDeparture>) -> bool {
        self.listeners.add(listener);
        true
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        let hash = self.hash(key);
        let entry = self.shard_of(hash).read().find(hash, key).map(|node| node.entry().clone());
        Ok(match entry {
            None => Inspection::Absent,
            Some(entry) if entry.is_dead(self.clock.now()) => Inspection::Dead(entry),
            Some(entry) => Inspection::Present(entry),
        })
    }
}
