//! The proxy that puts memory in front of a slower store.

mod in_task;

use std::sync::Arc;
use std::time::{Duration, Instant};

use beaker_namespace::{
    AsyncNamespace, Claim, Condition, ConditionalSet, Entry, Error, Fulfilled, Key, Lookup, Mark,
    MemoryConfig, MemoryNamespace, Namespace, NamespaceId, OnDeparture, Payload, Stats, Swept,
    Timestamp, Wait, forward_namespace,
};

// The rules:
// 1. The lower store is the truth. Whatever changes something is done below first and then, done,
//    failed, panicked or dropped as a future, takes what it may have changed out of the memory. Not
//    before it: a reader who comes between the two would put the old value back.
// 2. A reader claims the key in the memory before he reads below, and fulfils that claim with what
//    he found. Rule 1 voids it: so who read the old value below before it was changed cannot put it
//    into the memory after it was taken out.
// 3. The memory serves an entry that is fresh and was read below less than `max_age` ago. Whether it
//    was is asked of the wall clock of the store and of the monotonic one: a wall clock that is set
//    back must not make the memory older than it may be.
// 4. Who is granted a claim below reads the key below next: another process may have made the value
//    while he waited.
// 5. All tiers of this process over one lower namespace have one memory, found by the lower's id.

/// The bound of a tier that is not given one.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(1);

/// A namespace in memory in front of a slower one.
///
/// A read is served from memory if the entry was read below less than [`max_age`](Self::max_age)
/// ago and has not expired since. Everything else is done below. It has the lower namespace's
/// identity, capabilities and claims.
///
/// # How stale
///
/// - What is set, removed or cleared through a tier of this process is seen through every tier of
///   this process as soon as the call returns, also by who was reading meanwhile.
/// - What another process does, or this one past its tiers, is seen at most `max_age` later, not
///   later than the old entry expires. So is what the store carries out after the future of the
///   [asynchronous call](AsyncNamespace) was dropped; what it had carried out before is seen from the
///   drop on.
/// - An entry is never served from memory beyond the lower store's expiry.
/// - [`scan`](Namespace::scan) and [`inspect`](Namespace::inspect) look below.
/// - A [`get_many`](Namespace::get_many) takes from memory what is there, and the rest from below: beside another
///   batch, its answers may be of two moments.
/// - [Marks](Namespace::mark) are kept below and read below each time, so they are seen at once,
///   whoever makes them. That a hit asks for marks costs it a read below.
///
/// # Concurrency
///
/// Readers of one absent key all read below; one of them fills the memory. A removal by tag and a
/// clear empty the whole memory.
///
/// # Warning
///
/// Memory holds values in the form in which the lower namespace returns them: over an encrypted one,
/// in the clear. By default it is bounded by the number of entries, not by their bytes.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use beaker_backends::proxy::Tiered;
/// use beaker_namespace::{
///     Entry, FileConfig, FileNamespace, Key, MemoryConfig, Namespace, Payload,
/// };
///
/// # let dir = tempfile::tempdir()?;
/// let file = FileNamespace::open("pages", FileConfig::new(dir.path()))?;
/// let pages = Tiered::open(file, MemoryConfig::new().max_entries(1_000))?
///     .max_age(Duration::from_millis(500));
/// pages.set(&Key::new("/"), Entry::new(Payload::raw("<html>"), pages.clock().now()))?;
/// assert!(pages.get(&Key::new("/"))?.is_some()); // From the file, into memory.
/// assert!(pages.get(&Key::new("/"))?.is_some()); // From memory.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Tiered<N> {
    lower: N,
    upper: Arc<MemoryNamespace>,
    max_age: Duration,
}

/// What the memory holds: an entry as the lower store has it, and when it was read there.
#[derive(Debug)]
struct Held {
    entry: Entry,
    read: Timestamp,
    read_at: Instant,
}

impl<N: Namespace> Tiered<N> {
    /// Puts memory in front of `lower`. Its bound is that of `memory`; clock and group are taken
    /// from `lower`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](beaker_namespace::ErrorKind::Config) if the bound is zero, or if this
    /// process has a tier over the same namespace with another bound or clock.
    pub fn open(lower: N, memory: MemoryConfig) -> Result<Self, Error> {
        let config = memory
            .clock(Arc::clone(lower.clock()))
            .group(&format!("tier of {}", lower.id().store()));
        let upper = MemoryNamespace::open(lower.id().name(), config)?;
        Ok(Self { lower, upper, max_age: DEFAULT_MAX_AGE })
    }

    /// How long after it was read below an entry may be served from memory. Default: 1 s. Zero reads
    /// below always.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// The namespace below.
    pub const fn lower(&self) -> &N {
        &self.lower
    }

    /// What `held`, an entry of the memory, has for a reader now.
    fn current<'a>(&self, held: &'a Entry) -> Option<&'a Entry> {
        let Payload::Object(object) = held.payload() else { return None };
        let held = object.downcast_ref::<Held>()?;
        let now = self.lower.clock().coarse();
        let is_current = now >= held.read
            && now.saturating_duration_since(held.read) < self.max_age
            && held.entry.is_fresh(now)
            && held.read_at.elapsed() < self.max_age;
        is_current.then_some(&held.entry)
    }

    /// Shows `serve` what the memory has, and says whether it had something.
    fn read_above(&self, key: &Key, serve: &mut dyn FnMut(&Entry) -> bool) -> Result<bool, Error> {
        let mut had = false;
        if !self.max_age.is_zero() {
            self.upper.read_with(key, &mut |held| {
                let current = self.current(held);
                had = current.is_some();
                current.is_some_and(&mut *serve)
            })?;
        }
        Ok(had)
    }

    fn get_above(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let mut found = None;
        self.read_above(key, &mut |entry| {
            found = Some(entry.clone());
            true
        })?;
        Ok(found)
    }

    /// Reads below, and puts what is there into the memory.
    fn fetch(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let filling = Filling::begin(self, key)?;
        let found = self.lower.get(key)?;
        filling.fill(self, key, found.as_ref());
        Ok(found)
    }

    /// What a claim below came to.
    fn claimed(&self, key: &Key, claim: Option<Claim>) -> Result<Option<Claim>, Error> {
        if claim.is_some() {
            self.upper.remove(key)?; // Rule 4.
        }
        Ok(claim)
    }

    /// To be held while `changed` is changed below; see rule 1.
    fn changing<'a>(&'a self, changed: Changed<'a>) -> Forget<'a> {
        Forget { upper: &self.upper, changed }
    }

    /// Does `change` below.
    fn change<T>(
        &self,
        changed: Changed<'_>,
        change: impl FnOnce(&N) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _dropped_last = self.changing(changed);
        change(&self.lower)
    }
}

/// A read below whose outcome is to go into the memory.
struct Filling {
    read: Timestamp,
    read_at: Instant,
    claim: Option<Claim>,
}

impl Filling {
    /// Begins before the read: rule 2, and an entry's age counts from here.
    fn begin<N: Namespace>(tier: &Tiered<N>, key: &Key) -> Result<Self, Error> {
        let wanted = !tier.max_age.is_zero();
        let claim = if wanted { tier.upper.claim(key, Wait::Never)? } else { None };
        Ok(Self { read: tier.lower.clock().coarse(), read_at: Instant::now(), claim })
    }

    fn fill<N: Namespace>(self, tier: &Tiered<N>, key: &Key, found: Option<&Entry>) {
        let Self { read, read_at, claim } = self;
        if let (Some(entry), Some(claim)) = (found, claim)
            && entry.is_fresh(read)
        {
            // It leaves the memory when it may not be served any more.
            let dies = entry.expires().min(read.saturating_add(tier.max_age));
            let held = Held { entry: entry.clone(), read, read_at };
            let held = Entry::new(Payload::Object(Arc::new(held)), read)
                .times(dies, dies)
                .cost(entry.weight());
            // It fails if the entry is heavier than the memory, which then goes without it.
            let _outcome = tier.upper.fulfil(key, held, claim);
        }
    }
}

/// A read of many keys, of which the memory has some.
struct FillingMany {
    found: Vec<Option<Entry>>,
    /// What is to be read below, and where in `found` it goes.
    wanted: Vec<Key>,
    fillings: Vec<(usize, Filling)>,
}

impl FillingMany {
    /// Reads above, and begins to fill what is not there.
    fn begin<N: Namespace>(tier: &Tiered<N>, keys: &[Key]) -> Result<Self, Error> {
        let mut many = Self { found: Vec::new(), wanted: Vec::new(), fillings: Vec::new() };
        for (at, key) in keys.iter().enumerate() {
            let found = tier.get_above(key)?;
            if found.is_none() {
                many.wanted.push(key.clone());
                many.fillings.push((at, Filling::begin(tier, key)?));
            }
            many.found.push(found);
        }
        Ok(many)
    }

    /// All that was read, with what was `below`, which goes into the memory.
    fn fill<N: Namespace>(
        mut self,
        tier: &Tiered<N>,
        below: Vec<Option<Entry>>,
    ) -> Vec<Option<Entry>> {
        let filled = self.fillings.into_iter().zip(&self.wanted).zip(below);
        for (((at, filling), key), entry) in filled {
            filling.fill(tier, key, entry.as_ref());
            self.found[at] = entry;
        }
        self.found
    }
}

/// What a change may have changed.
enum Changed<'a> {
    Key(&'a Key),
    Keys(&'a [Key]),
    All,
}

/// Takes what was changed out of the memory when it is dropped.
struct Forget<'a> {
    upper: &'a MemoryNamespace,
    changed: Changed<'a>,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        // The memory's removals cannot fail.
        let _outcome = match self.changed {
            Changed::Key(key) => self.upper.remove(key).map(drop),
            Changed::Keys(keys) => self.upper.remove_many(keys).map(drop),
            Changed::All => self.upper.clear(),
        };
    }
}

impl<N: Namespace> Namespace for Tiered<N> {
    forward_namespace!(
        self => self.lower;
        scope, capabilities, latency, clock, scan, mark, inspect, inspect_many,
    );

    /// That of the lower namespace: who reads past the memory reads the same values.
    fn id(&self) -> &NamespaceId {
        self.lower.id()
    }

    fn asynchronous(&self) -> Option<&dyn AsyncNamespace> {
        self.lower.asynchronous().map(|_| self as _)
    }

    /// Those of the lower namespace, and the hits in memory.
    fn stats(&self) -> Stats {
        let mut stats = self.lower.stats();
        stats.hits += self.upper.stats().hits;
        stats
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        match self.get_above(key)? {
            Some(entry) => Ok(Some(entry)),
            None => self.fetch(key),
        }
    }

    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        if let Some(entry) = self.get_above(key)? {
            return Ok(Lookup::Found(entry));
        }
        let filling = Filling::begin(self, key)?;
        let found = self.lower.look_up(key)?;
        filling.fill(self, key, found.as_entry());
        Ok(found)
    }

    fn read_with(&self, key: &Key, serve: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Error> {
        if !self.read_above(key, serve)?
            && let Some(entry) = self.fetch(key)?
        {
            serve(&entry);
        }
        Ok(())
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        let many = FillingMany::begin(self, keys)?;
        let below = match many.wanted.is_empty() {
            true => Vec::new(),
            false => self.lower.get_many(&many.wanted)?,
        };
        Ok(many.fill(self, below))
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        self.change(Changed::Key(key), |lower| lower.set(key, entry))
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        let keys: Vec<Key> = entries.iter().map(|(key, _)| key.clone()).collect();
        self.change(Changed::Keys(&keys), |lower| lower.set_many(entries))
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        // After a conflict too: the entry below is not the one that the caller knew.
        self.change(Changed::Key(key), |lower| lower.set_if(key, entry, condition))
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        self.change(Changed::Key(key), |lower| lower.remove(key))
    }

    fn remove_many(&self, keys: &[Key]) -> Result<u64, Error> {
        self.change(Changed::Keys(keys), |lower| lower.remove_many(keys))
    }

    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        // The memory may hold an entry from before it was given the tag.
        self.change(Changed::All, |lower| lower.remove_tag(tag))
    }

    fn clear(&self) -> Result<(), Error> {
        self.change(Changed::All, N::clear)
    }

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        let claim = self.lower.claim(key, wait)?;
        self.claimed(key, claim)
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        self.change(Changed::Key(key), |lower| lower.fulfil(key, entry, claim))
    }

    /// Those below, also for what is served from memory: a mark of another process holds at once.
    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        self.lower.marks(names)
    }

    fn sweep(&self) -> Result<Swept, Error> {
        self.upper.sweep()?;
        self.lower.sweep()
    }

    /// Tells of what leaves below: what only leaves the memory is still there.
    fn on_departure(&self, listener: &Arc<OnDeparture>) -> bool {
        self.lower.on_departure(listener)
    }
}
