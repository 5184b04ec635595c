//! The proxy that keeps many namespaces in one.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use beaker_namespace::{
    Capability, Claim, Condition, ConditionalSet, Counts, Cursor, Entry, Error, ErrorKind, FromKey,
    Fulfilled, Inspection, Key, Listed, Mark, Namespace, NamespaceId, Page, Payload, Scan, Stats,
    Swept, Wait, forward_namespace, new_generation,
};

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

/// The times that a claim is taken anew because the prefix was cleared meanwhile.
const ATTEMPTS: usize = 8;

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
/// Each call looks up one entry more, the mark of the prefix. A clear begins anew at once and then
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

/// A claim in the inner namespace, and the life that it was taken in.
struct PrefixedClaim {
    mark: Key,
    life: u64,
    claim: Cell<Option<Claim>>,
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

    /// The number of the present life, which begins if there is none.
    fn life_or_begin(&self) -> Result<u64, Error> {
        if let Some(life) = self.life()? {
            return Ok(life);
        }
        let (life, entry) = self.new_life();
        if self.capabilities().has(Capability::CompareAndSet) {
            let set = self.inner.set_if(&self.mark, entry.clone(), Condition::Absent)?;
            if matches!(set, ConditionalSet::Stored { .. }) {
                return Ok(life);
            }
            if let Some(life) = self.life()? {
                return Ok(life); // Somebody else began it.
            }
        }
        self.inner.set(&self.mark, entry)?;
        Ok(self.life()?.unwrap_or(life))
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

    fn is_present(&self, life: u64) -> Result<bool, Error> {
        Ok(self.life()? == Some(life))
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

    /// A read that found `found` in `life`, counted.
    fn read(&self, life: u64, found: Option<Entry>) -> Option<Entry> {
        if found.is_some() { &self.counts.hits } else { &self.counts.misses }.add(1);
        found.map(|entry| self.open(life, entry))
    }

    fn try_claim(&self, key: &Key, wait: Wait) -> Result<Option<(u64, Claim)>, Error> {
        let life = self.life_or_begin()?;
        Ok(self.inner.claim(&self.key(life, key), wait)?.map(|claim| (life, claim)))
    }

    /// Removes what `scan` lists and `is_old` says, page by page, and says how much.
    fn purge(
        &self,
        mut scan: Scan,
        is_old: impl Fn(&[Listed]) -> Result<Vec<Key>, Error>,
    ) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            let page = self.inner.scan(&scan)?;
            let old = is_old(&page.entries)?;
            if !old.is_empty() {
                removed += self.inner.remove_many(&old)?;
            }
            match page.next {
                Some(next) => scan = scan.after(next),
                None => return Ok(removed),
            }
        }
    }

    /// Removes what is left of all lives but `life`, the present one; see rule 5.
    fn purge_all_but(&self, life: u64) -> Result<u64, Error> {
        self.purge(Scan::new().prefix(&self.mark), |listed| {
            let old = listed.iter().filter(|listed| {
                let parts = <(String, u64, Key)>::from_key(&listed.key);
                parts.is_some_and(|(_, found, _)| found != life)
            });
            let old: Vec<Key> = old.map(|listed| listed.key.clone()).collect();
            Ok(if !old.is_empty() && self.is_present(life)? { old } else { Vec::new() })
        })
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
        let life = self.life()?;
        let found = life.map(|life| self.inner.get(&self.key(life, key))).transpose()?.flatten();
        Ok(self.read(life.unwrap_or_default(), found))
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
        let Some(life) = self.life()? else {
            self.counts.misses.add(keys.len() as u64);
            return Ok(vec![None; keys.len()]);
        };
        let found = self.inner.get_many(&self.keys(life, keys))?;
        Ok(found.into_iter().map(|found| self.read(life, found)).collect())
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        let life = self.life_or_begin()?;
        self.inner.set(&self.key(life, key), self.close(life, entry))?;
        self.counts.sets.add(1);
        Ok(())
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        let (life, number) = (self.life_or_begin()?, entries.len() as u64);
        let entries = entries.into_iter();
        let entries = entries.map(|(key, entry)| (self.key(life, &key), self.close(life, entry)));
        self.inner.set_many(entries.collect())?;
        self.counts.sets.add(number);
        Ok(())
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        let life = self.life_or_begin()?;
        let entry = self.close(life, entry);
        let set = self.inner.set_if(&self.key(life, key), entry, condition)?;
        self.counts.sets.add(matches!(set, ConditionalSet::Stored { .. }).into());
        Ok(set)
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        let Some(life) = self.life()? else { return Ok(false) };
        let removed = self.inner.remove(&self.key(life, key))?;
        self.counts.removes.add(removed.into());
        Ok(removed)
    }

    fn remove_many(&self, keys: &[Key]) -> Result<u64, Error> {
        let Some(life) = self.life()? else { return Ok(0) };
        let removed = self.inner.remove_many(&self.keys(life, keys))?;
        self.counts.removes.add(removed);
        Ok(removed)
    }

    /// Removes the tag in this prefix; the inner namespace has other tags for each prefix.
    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        let Some(life) = self.life()? else {
            // Asked nevertheless, so that a store without tags says so.
            return self.inner.remove_tag(&format!("{}{tag}", self.tag_prefix(0))).map(|_none| 0);
        };
        let removed = self.inner.remove_tag(&format!("{}{tag}", self.tag_prefix(life)))?;
        self.counts.removes.add(removed);
        Ok(removed)
    }

    /// Empties this prefix.
    ///
    /// # Errors
    ///
    /// Those of the store. An error after the first write means that the prefix is empty, but that
    /// old entries still take room; [`sweep`](Namespace::sweep) removes them too.
    fn clear(&self) -> Result<(), Error> {
        if !self.inner.capabilities().has(Capability::Retains) {
            return Ok(());
        }
        let old = self.life()?;
        let (_life, entry) = self.new_life();
        self.inner.set(&self.mark, entry)?;
        if let Some(old) = old
            && self.capabilities().has(Capability::Scan)
        {
            let all = |listed: &[Listed]| Ok(listed.iter().map(|l| l.key.clone()).collect());
            self.purge(self.scan_of(old), all)?;
        }
        Ok(())
    }

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        let began = Instant::now();
        for _ in 0..ATTEMPTS {
            let Some((life, claim)) = self.try_claim(key, remaining(wait, began))? else {
                return Ok(None);
            };
            // Who waited through a clear must not begin with a claim that it voided.
            if self.is_present(life)? {
                let (mark, token) = (self.mark.clone(), claim.token());
                let held = PrefixedClaim { mark, life, claim: Cell::new(Some(claim)) };
                return Ok(Some(Claim::with_guard(token, held)));
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "claim a key")
            .with_detail("the namespace is cleared again and again; try later"))
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        let held = claim.guard::<PrefixedClaim>().filter(|held| held.mark == self.mark);
        let Some((life, inner)) = held.and_then(|held| Some((held.life, held.claim.take()?)))
        else {
            return Err(Error::new(ErrorKind::Config, "store what was created")
                .with_detail("the claim is one of another namespace"));
        };
        // If it is cleared after this, the entry goes to the old life, where nobody reads it.
        let fulfilled = if self.is_present(life)? {
            self.inner.fulfil(&self.key(life, key), self.close(life, entry), inner)?
        } else {
            Fulfilled::Superseded
        };
        match fulfilled {
            Fulfilled::Stored => self.counts.sets.add(1),
            Fulfilled::Superseded => self.counts.superseded.add(1),
        }
        Ok(fulfilled)
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        let Some(life) = self.life()? else {
            // Asked nevertheless, so that a store without listings says so.
            return self
                .inner
                .scan(&Scan::new().prefix(&self.mark).limit(1))
                .map(|_| Page::default());
        };
        let mut inner = self.scan_of(life).limit(scan.page_limit());
        if let Some(cursor) = scan.cursor() {
            inner = inner.after(Cursor::new(cursor));
        }
        loop {
            let Page { entries, next } = self.inner.scan(&inner)?;
            let entries: Vec<_> = entries
                .into_iter()
                .filter_map(|listed| {
                    let (_, _, key) = <(String, u64, Key)>::from_key(&listed.key)?;
                    let tags = self.unmarked_tags(life, &listed.tags);
                    scan.matches(&key).then_some(Listed { key, tags, ..listed })
                })
                .collect();
            match next {
                // Nothing on this page is wanted.
                Some(next) if entries.is_empty() => inner = inner.after(next),
                next => return Ok(Page { entries, next }),
            }
        }
    }

    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        Mark::check_name(name)?;
        self.inner.mark(&self.marked_name(name), mark)
    }

    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        let names: Vec<String> = names
            .filter(|name| Mark::check_name(name).is_ok())
            .map(|name| self.marked_name(name))
            .collect();
        self.inner.marks(&mut names.iter().map(String::as_str))
    }

    /// Sweeps the inner namespace, and removes what is left of what was cleared; that is counted as
    /// leftovers.
    fn sweep(&self) -> Result<Swept, Error> {
        let mut swept = self.inner.sweep()?;
        if let Some(life) = self.life()?
            && self.capabilities().has(Capability::Scan)
        {
            swept.leftovers += self.purge_all_but(life)?;
        }
        Ok(swept)
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        let Some(life) = self.life()? else { return Ok(Inspection::Absent) };
        Ok(match self.inner.inspect(&self.key(life, key))? {
            Inspection::Present(entry) => Inspection::Present(self.open(life, entry)),
            Inspection::Dead(entry) => Inspection::Dead(self.open(life, entry)),
            other => other,
        })
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

/// What is left of `wait`.
fn remaining(wait: Wait, began: Instant) -> Wait {
    match wait {
        Wait::AtMost(limit) => Wait::AtMost(limit.saturating_sub(began.elapsed())),
        other => other,
    }
}
