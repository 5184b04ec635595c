//! The proxy that keeps many namespaces in one.

mod calls;
mod in_task;

use std::sync::Arc;

use beaker_namespace::{
    AsyncNamespace, Capability, Claim, Condition, ConditionalSet, Counts, Entry, Error, Fulfilled,
    Inspection, Key, Lookup, Mark, Namespace, NamespaceId, Page, Payload, Scan, Stats, Swept, Wait,
    forward_namespace, new_generation,
};

use self::calls::Calls;
use super::inner::{Inner, ready};

// The rules:
// 1. A prefix has lives, each with a number that is never used again. The number of the present one
//    is in the inner namespace under the key `(prefix,)`, the mark; an entry is under
//    `(prefix, life, key)`. The mark is read by every call, so all processes agree on it.
// 2. `clear` begins a new life. What was stored or claimed in the old one is harmless from then on,
//    because nobody reads it: a claim on a key without an entry needs not be found to be voided.
// 3. Without a mark nothing is stored: a reader finds nothing, a writer begins a life. So if the
//    inner namespace loses the mark, the prefix is empty, and nothing from before comes back.
// 4. Marks (those of `Namespace::mark`) outlive a clear, so their names have the prefix and no life.
// 5. What is left of old lives is removed by `clear` and `sweep`. It is old if the present life is
//    the same before and after it was listed: a life that is not the present one then was one before.

/// Many namespaces in one: every key is put under a prefix, which is the namespace's name.
///
/// The prefix is a segment of the key, not a text before it: `("a", "b")` never meets `"ab"`. It is
/// part of the key in every respect: the inner store's check that an entry belongs to its key covers
/// it. [`clear`](Namespace::clear) empties this prefix alone, and wins over the creations that are
/// under way in it; [`scan`](Namespace::scan) lists its keys without the prefix, and
/// [`remove_tag`](Namespace::remove_tag) removes what carries the tag under it. A
/// [mark](Namespace::mark) is one of this prefix.
///
/// # Costs
///
/// Each call looks up one entry more, the mark of the prefix; over a network that is one more journey. A clear begins anew at once and then
/// removes the old entries by listing them (where the store can list: elsewhere they stay until they
/// die). A listing of one prefix may go through the whole of the inner namespace, as its store does.
/// The prefix and 16 bytes count towards the longest key that the store takes.
///
/// [`stats`](Namespace::stats) counts hits, misses, sets, removes and superseded values of this
/// handle; evictions, expirations and corrupt entries are those of the whole inner namespace. So it
/// tells of no [departures](Namespace::on_departure).
///
/// # Warning
///
/// If the inner namespace loses the mark, by eviction or damage, the prefix is empty at once. A
/// bounded memory evicts what is read seldom, and the mark is what is read most.
///
/// # Examples
///
/// ```
/// use beaker_backends::proxy::Prefixed;
/// use beaker_namespace::{Entry, Key, MemoryConfig, MemoryNamespace, Namespace, Payload};
///
/// let memory = MemoryNamespace::open("app", MemoryConfig::new())?;
/// let users = Prefixed::new(memory.clone(), "users");
/// let pages = Prefixed::new(memory, "pages");
/// let key = Key::new(&1);
/// users.set(&key, Entry::new(Payload::raw("Ada"), users.clock().now()))?;
/// pages.clear()?;
/// assert!(users.get(&key)?.is_some());
/// assert!(pages.get(&key)?.is_none());
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
#[derive(Debug)]
pub struct Prefixed<N> {
    id: NamespaceId,
    inner: N,
    mark: Key,
    /// Those of this prefix: the inner namespace counts all prefixes together.
    counts: Counts,
}

impl<N: Namespace> Prefixed<N> {
    /// The namespace called `prefix` in `inner`.
    pub fn new(inner: N, prefix: &str) -> Self {
        // The name is quoted, so no two places of prefixes are one text.
        let store = format!("prefixed {:?} in {}", inner.id().name(), inner.id().store());
        let id = NamespaceId::new(&store, prefix);
        Self { id, inner, mark: Key::new(&(prefix,)), counts: Counts::default() }
    }

    /// The namespace that holds all prefixes.
    pub const fn inner(&self) -> &N {
        &self.inner
    }

    fn prefix(&self) -> &str {
        self.id.name()
    }

    fn blocking(&self) -> Calls<'_, N> {
        Calls { prefixed: self, inner: Inner::blocking(&self.inner) }
    }

    /// By the asynchronous face, if there is one.
    fn in_task(&self) -> Calls<'_, N> {
        Calls { prefixed: self, inner: Inner::in_task(&self.inner) }
    }

    /// The number of the present life, if one began.
    fn life(&self) -> Result<Option<u64>, Error> {
        if !self.inner.capabilities().has(Capability::Retains) {
            return Ok(Some(0));
        }
        let mut life = None;
        self.inner.read_with(&self.mark, &mut |mark| {
            life = life_in(mark);
            life.is_some()
        })?;
        Ok(life)
    }

    fn new_life(&self) -> (u64, Entry) {
        let life = new_generation();
        let payload = if self.capabilities().has(Capability::Bytes) {
            Payload::raw(life.to_le_bytes().to_vec())
        } else {
            Payload::Object(Arc::new(life))
        };
        (life, Entry::new(payload, self.clock().now()))
    }

    fn key(&self, life: u64, key: &Key) -> Key {
        Key::new(&(self.prefix(), life, key))
    }

    fn keys(&self, life: u64, keys: &[Key]) -> Vec<Key> {
        keys.iter().map(|key| self.key(life, key)).collect()
    }

    /// What is put before the tags of a life, so that no other prefix has them.
    fn tag_prefix(&self, life: u64) -> String {
        format!("{life:016x}{}:{}", self.prefix().len(), self.prefix())
    }

    /// The name in the inner namespace of what is marked as `name` here.
    ///
    /// If two met in one hash, a mark of one would invalidate the other too, and nothing worse.
    fn marked_name(&self, name: &str) -> String {
        let inner = format!("{}:{}{name}", self.prefix().len(), self.prefix());
        if Mark::check_name(&inner).is_ok() { inner } else { format!("#{:032x}", hash(&inner)) }
    }

    /// The names of what can have been marked.
    fn marked_names<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<String> {
        let possible = names.filter(|name| Mark::check_name(name).is_ok());
        possible.map(|name| self.marked_name(name)).collect()
    }

    /// The entry as it is stored.
    fn close(&self, life: u64, entry: Entry) -> Entry {
        if entry.tag_list().is_empty() {
            return entry;
        }
        let prefix = self.tag_prefix(life);
        let tags = entry.tag_list().iter().map(|tag| format!("{prefix}{tag}")).collect();
        entry.tags(tags)
    }

    /// The entry as it was given to [`close`](Self::close).
    fn open(&self, life: u64, entry: Entry) -> Entry {
        if entry.tag_list().is_empty() {
            return entry;
        }
        let tags = self.unmarked_tags(life, entry.tag_list());
        entry.tags(tags)
    }

    /// The tags as they were given to [`close`](Self::close).
    fn unmarked_tags(&self, life: u64, tags: &[String]) -> Vec<String> {
        let prefix = self.tag_prefix(life);
        tags.iter().filter_map(|tag| tag.strip_prefix(&prefix)).map(str::to_owned).collect()
    }

    /// A tag of the life in the inner namespace.
    fn marked_tag(&self, life: u64, tag: &str) -> String {
        format!("{}{tag}", self.tag_prefix(life))
    }

    /// A read that found `found` in `life`, counted.
    fn read(&self, life: u64, found: Lookup) -> Lookup {
        let is_hit = matches!(found, Lookup::Found(_));
        if is_hit { &self.counts.hits } else { &self.counts.misses }.add(1);
        match found {
            Lookup::Found(entry) => Lookup::Found(self.open(life, entry)),
            other => other,
        }
    }

    /// The entries of `life`.
    fn scan_of(&self, life: u64) -> Scan {
        Scan::new().prefix(&Key::new(&(self.prefix(), life)))
    }
}

impl<N: Namespace> Namespace for Prefixed<N> {
    forward_namespace!(
        self => self.inner;
        scope, capabilities, latency, clock,
    );

    fn id(&self) -> &NamespaceId {
        &self.id
    }

    fn asynchronous(&self) -> Option<&dyn AsyncNamespace> {
        self.inner.asynchronous().map(|_| self as _)
    }

    fn stats(&self) -> Stats {
        let (mut stats, counts) = (self.inner.stats(), &self.counts);
        (stats.entries, stats.weight) = (None, None);
        stats.hits = counts.hits.get();
        stats.misses = counts.misses.get();
        stats.sets = counts.sets.get();
        stats.removes = counts.removes.get();
        stats.superseded = counts.superseded.get();
        stats
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        ready(self.blocking().get(key))
    }

    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        ready(self.blocking().look_up(key))
    }

    fn read_with(&self, key: &Key, serve: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Error> {
        let mut served = false;
        if let Some(life) = self.life()? {
            self.inner.read_with(&self.key(life, key), &mut |entry| {
                served = if entry.tag_list().is_empty() {
                    serve(entry)
                } else {
                    serve(&self.open(life, entry.clone()))
                };
                served
            })?;
        }
        if served { &self.counts.hits } else { &self.counts.misses }.add(1);
        Ok(())
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        ready(self.blocking().get_many(keys))
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        ready(self.blocking().set(key, entry))
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        ready(self.blocking().set_many(entries))
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        ready(self.blocking().set_if(key, entry, condition))
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        ready(self.blocking().remove(key))
    }

    fn remove_many(&self, keys: &[Key]) -> Result<u64, Error> {
        ready(self.blocking().remove_many(keys))
    }

    /// Removes the tag in this prefix; the inner namespace has other tags for each prefix.
    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        ready(self.blocking().remove_tag(tag))
    }

    /// Empties this prefix.
    ///
    /// # Errors
    ///
    /// Those of the store. An error after the first write means that the prefix is empty, but that
    /// old entries still take room; [`sweep`](Namespace::sweep) removes them too.
    fn clear(&self) -> Result<(), Error> {
        ready(self.blocking().clear())
    }

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        ready(self.blocking().claim(key, wait))
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        ready(self.blocking().fulfil(key, entry, claim))
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        ready(self.blocking().scan(scan))
    }

    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        Mark::check_name(name)?;
        self.inner.mark(&self.marked_name(name), mark)
    }

    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        let names = self.marked_names(names);
        self.inner.marks(&mut names.iter().map(String::as_str))
    }

    /// Sweeps the inner namespace, and removes what is left of what was cleared; that is counted as
    /// leftovers.
    fn sweep(&self) -> Result<Swept, Error> {
        ready(self.blocking().sweep())
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        ready(self.blocking().inspect(key))
    }

    fn inspect_many(&self, keys: &[Key]) -> Result<Vec<Inspection>, Error> {
        ready(self.blocking().inspect_many(keys))
    }
}

/// The life that a mark tells of.
fn life_in(mark: &Entry) -> Option<u64> {
    match mark.payload() {
        Payload::Bytes { bytes, .. } => Some(u64::from_le_bytes(bytes[..].try_into().ok()?)),
        Payload::Object(object) => object.downcast_ref().copied(),
    }
}

/// Fowler, Noll and Vo's FNV-1a in 128 bits: the same in every process and version.
fn hash(text: &str) -> u128 {
    text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}
