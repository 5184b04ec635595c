//! The trait that every store implements.

use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use crate::forward_namespace;
use crate::{
    AsyncNamespace, Capabilities, Capability, Claim, Clock, Condition, ConditionalSet, Entry,
    Error, Key, Latency, Lookup, Mark, MemoryNamespace, OnDeparture, Scope, Timestamp,
};

/// One named set of entries in a store, shared by name within its [`Scope`].
///
/// Opening the same name twice in one scope gives the same data and the same claims.
///
/// The trait is open to implementers and object-safe. Its methods block where the store blocks;
/// [`latency`](Self::latency) says whether they may. A store over a network hands out a second face for
/// tasks, by [`asynchronous`](Self::asynchronous). Run the `testkit` suite over an implementation.
///
/// A store that fails is never "absent": `Ok(None)` means that the store looked and found nothing.
/// The exception is an entry that is there but damaged: it is gone, counted in [`Stats::corrupt`],
/// and the rest of the namespace goes on. Whoever has to know reads by [`look_up`](Self::look_up).
///
/// What a newer version of a program wrote is no damage. Its store is refused when it is opened. If it takes a
/// store over that an older one has open, what that cannot read stays as it is, and to read it is an error of kind
/// [`Config`](crate::ErrorKind::Config). So is to change anything, unless the older one can read all that the newer
/// one writes, and that lets it go on.
pub trait Namespace: fmt::Debug + Send + Sync + 'static {
    /// What it is, for as long as it lives. Two namespaces share data if and only if these are
    /// equal within one scope.
    fn id(&self) -> &NamespaceId;

    /// How far values and claims are shared.
    fn scope(&self) -> Scope;

    /// What it can do beyond the required methods.
    fn capabilities(&self) -> Capabilities;

    /// Whether calls may block.
    fn latency(&self) -> Latency;

    /// The clock that entries are stamped and judged with.
    fn clock(&self) -> &Arc<dyn Clock>;

    /// Returns the entry under `key`, expired or not, unless it is dead.
    ///
    /// # Errors
    ///
    /// Those of the store. A missing or damaged entry is `None`.
    fn get(&self, key: &Key) -> Result<Option<Entry>, Error>;

    /// Stores `entry` under `key`, replacing what is there, and voids a running [`Claim`].
    ///
    /// # Errors
    ///
    /// Those of the store. After an error the old entry or none is there, never a mixture.
    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error>;

    /// Removes the entry, and voids a running [`Claim`]. Says whether there was one; removing an
    /// absent key succeeds.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn remove(&self, key: &Key) -> Result<bool, Error>;

    /// Removes every entry, and voids every running [`Claim`]. [Marks](Self::mark) stay.
    ///
    /// What it costs its caller should not grow with the entries: a store that cannot free them at once hides
    /// them, and frees them behind the call.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn clear(&self) -> Result<(), Error>;

    /// Takes the right to create the value of `key`, as far as the scope reaches beyond this
    /// process: at most one process of the host (or the cluster) holds it.
    ///
    /// Within one process the caller sees to it that one thread asks at a time; a store of
    /// [`Scope::Process`] gives a claim at once, and the newer claim voids the older.
    ///
    /// `None` means that another holder kept it for all of `wait`. Dropping the claim gives it up;
    /// the death of its process does too.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error>;

    /// Stores what was created under `claim`, unless the key or the namespace was set, removed or
    /// cleared since the claim was taken: an invalidation wins over work that was already running.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error>;

    /// Counts since the namespace was opened in this process, and its size where that is cheap.
    fn stats(&self) -> Stats;

    /// Stores `entry` if `condition` holds at that moment. Voids a running [`Claim`] if it stores.
    ///
    /// # Errors
    ///
    /// Those of the store; [`TooLarge`](crate::ErrorKind::TooLarge) also where what lives there is longer than the store
    /// reads, unless that is what [`condition`](Condition::TooLarge) expects; [`Unsupported`](crate::ErrorKind::Unsupported) without the capability
    /// [`CompareAndSet`](Capability::CompareAndSet).
    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        let _unused = (key, entry, condition);
        Err(Error::unsupported("set on a condition", Capability::CompareAndSet))
    }

    /// Lists entries, some at a time; see [`Scan`]. Holds no lock between pages.
    ///
    /// An entry that is there from the first page to the last is listed once; one that comes or
    /// goes meanwhile may be listed or not. Dead and damaged entries are left out.
    ///
    /// # Errors
    ///
    /// Those of the store; [`Unsupported`](crate::ErrorKind::Unsupported) without the capability
    /// [`Scan`](Capability::Scan).
    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        let _unused = scan;
        Err(Error::unsupported("list entries", Capability::Scan))
    }

    /// Removes the entries that carry `tag`, and says how many. Voids the running [`Claim`]s whose
    /// values will carry it; a store that cannot know that yet voids more.
    ///
    /// # Errors
    ///
    /// Those of the store; [`Unsupported`](crate::ErrorKind::Unsupported) without the capability
    /// [`Tags`](Capability::Tags).
    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        let _unused = tag;
        Err(Error::unsupported("remove by tag", Capability::Tags))
    }

    /// Records that what has `name` and began at or before the moments of `mark` is invalid, and says
    /// what holds for the name now: marks of one name are [merged](Mark::merge), so an earlier one
    /// changes nothing.
    ///
    /// One write invalidates any number of entries. They stay where they are: whoever reads one asks
    /// for the [`marks`](Self::marks) of its names, and judges it by when it began. What a name
    /// means (a tag, a group, the whole namespace) is the caller's; any text is one, also none.
    /// The moment is best taken from the [`clock`](Self::clock), precisely.
    ///
    /// A mark stays as long as the store: it neither expires nor is evicted, [`clear`](Self::clear)
    /// and [`sweep`](Self::sweep) leave it, and it is in no listing and counts in no limit but that of
    /// a whole database. (A reader may hold an entry from before the `clear` and ask for its marks
    /// after.) So names should be few, such as tags; a mark takes about 100 bytes, and its name.
    ///
    /// # Concurrency
    ///
    /// Once this has returned, everybody who shares the store and then asks finds the mark. It survives
    /// what an entry survives that was set with it. Of marks that are made at the same time the later
    /// moments hold.
    ///
    /// # Errors
    ///
    /// Those of the store; [`TooLarge`](crate::ErrorKind::TooLarge) for a name of more than 1,024
    /// bytes; [`Unsupported`](crate::ErrorKind::Unsupported) without the capability
    /// [`Marks`](Capability::Marks). After an error the mark may hold or not.
    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        let _unused = (name, mark);
        Err(Error::unsupported("mark a name", Capability::Marks))
    }

    /// The marks of all `names`, merged to one; empty if none of them was ever marked.
    ///
    /// Ask after the entry was read: then a mark that was made before is not missed.
    ///
    /// Made for the way of a hit: where nothing was marked it costs next to nothing, and `names` may
    /// not even be looked at. A mark that cannot be read back is counted in [`Stats::corrupt`], and
    /// counts as a hard one of the moment at which it is met, which then stands in its place.
    ///
    /// # Errors
    ///
    /// Those of the store. A store without the capability [`Marks`](Capability::Marks) has none.
    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        let _unused = names;
        Ok(Mark::default())
    }

    /// Drops dead entries, and what killed processes left, and says how much. Stores also do this
    /// bit by bit while they are used.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn sweep(&self) -> Result<Swept, Error> {
        Ok(Swept::default())
    }

    /// Looks at what is under `key` without counting, healing or dropping anything.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        Ok(self.get(key)?.map_or(Inspection::Absent, Inspection::Present))
    }

    /// [`get`](Self::get), for a caller who has to tell an entry that is damaged from none.
    ///
    /// It is one read like any other: it counts and heals what `get` does. But what is damaged it leaves where it
    /// is, until it is replaced or removed or a `get` or a sweep drops it. So each look-up says so, and
    /// [`Condition::Absent`] holds meanwhile: of several that replace what is damaged one wins. Who is to replace that
    /// and nothing else, so that a removal beside it wins, sets on [`Damage::condition`](crate::Damage::condition).
    ///
    /// Who implements it so that it says [`Lookup::Corrupt`] must let [`set_if`](Self::set_if) with
    /// `Condition::Absent` replace what it says that of: where it refuses, nobody who looked first can replace it.
    ///
    /// The default asks `get`, and finds nothing damaged.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        self.get(key).map(Lookup::from)
    }

    /// Shows the entry under `key` to `serve`, which says whether it serves its caller.
    ///
    /// This is [`get`](Self::get) without a copy of the entry, for the quickest hit. `serve` runs at
    /// most once; it may be shown a dead entry. It counts as a hit if `serve` says true, else as a
    /// miss.
    ///
    /// # Concurrency
    ///
    /// `serve` may run under a short shared lock of the store, so it must be quick, and must not
    /// call the store.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    fn read_with(&self, key: &Key, serve: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Error> {
        if let Some(entry) = self.get(key)? {
            serve(&entry);
        }
        Ok(())
    }

    /// The namespace itself, if it is one in this process's memory: for a caller who reads it often, by
    /// [`MemoryNamespace::read`], or changes what it read, by [`MemoryNamespace::amend`]. A namespace that
    /// does anything to entries on their way, in or out, or has a clock of its own, has none.
    fn in_memory(&self) -> Option<Arc<MemoryNamespace>> {
        None
    }

    /// The same store for tasks, if it can be waited for without blocking; see [`AsyncNamespace`].
    ///
    /// Callers in tasks take it where [`latency`](Self::latency) is [`Latency::Blocking`]; a store that
    /// answers at once is called as it is. A namespace around another that does anything to calls on
    /// their way has a face of its own or none.
    fn asynchronous(&self) -> Option<&dyn AsyncNamespace> {
        None
    }

    /// [`get`](Self::get) for many keys, in their order.
    ///
    /// A store with the capability [`Batch`](Capability::Batch) answers as of one moment: of what another
    /// [`set_many`](Self::set_many) or [`remove_many`](Self::remove_many) does meanwhile all is found, or
    /// nothing. One that has a part of it at hand, as a cache in front of another store has, need not.
    ///
    /// # Errors
    ///
    /// The first error.
    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// [`inspect`](Self::inspect) for many keys, in their order.
    ///
    /// # Errors
    ///
    /// The first error.
    fn inspect_many(&self, keys: &[Key]) -> Result<Vec<Inspection>, Error> {
        keys.iter().map(|key| self.inspect(key)).collect()
    }

    /// [`set`](Self::set) for many keys. With the capability [`Batch`](Capability::Batch) all are stored or none.
    ///
    /// # Errors
    ///
    /// The first error; without the capability [`Batch`](Capability::Batch) the entries before it are stored.
    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        entries.into_iter().try_for_each(|(key, entry)| self.set(&key, entry))
    }

    /// [`remove`](Self::remove) for many keys; says how many were there.
    ///
    /// # Errors
    ///
    /// The first error; without the capability [`Batch`](Capability::Batch) the keys before it are removed.
    fn remove_many(&self, keys: &[Key]) -> Result<u64, Error> {
        keys.iter().try_fold(0, |count, key| Ok(count + u64::from(self.remove(key)?)))
    }

    /// Tells `listener` of every entry that leaves from now on by the store's own doing, as long as
    /// the caller keeps it. Says whether the store tells; one that does not only counts, in
    /// [`Stats`].
    ///
    /// What a caller removes or clears is not told. A read that is written back with other times is no
    /// departure.
    ///
    /// # Concurrency
    ///
    /// The thread whose call displaced an entry runs `listener`, once for the entry, after the call
    /// is done and under no lock of the store. It may call the store; of what it displaces itself it
    /// is told after it has returned. Threads may run it at the same time, and the entry may be back
    /// by then.
    ///
    /// # Panics
    ///
    /// A panic of `listener` is caught, and counted in [`Stats::listener_panics`].
    fn on_departure(&self, listener: &Arc<OnDeparture>) -> bool {
        let _unused = listener;
        false
    }
}

const _: fn(&dyn Namespace) = |_| (); // Fails to compile if the trait stops being object-safe.

impl<N: Namespace + ?Sized> Namespace for Arc<N> {
    forward_namespace!(self => **self; ..);
}

impl<N: Namespace + ?Sized> Namespace for Box<N> {
    forward_namespace!(self => **self; ..);
}

/// Which data a namespace is: the store's kind and place, and the namespace's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespaceId {
    store: Arc<str>,
    name: Arc<str>,
}

impl NamespaceId {
    /// `store` is the kind and place, as in its URL, in one canonical form.
    pub fn new(store: &str, name: &str) -> Self {
        Self { store: store.into(), name: name.into() }
    }

    /// The kind and place of the store.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// The name of the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// How long a call may wait for another holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    Never,
    /// At most this long.
    AtMost(Duration),
    /// Until it is free.
    Forever,
}

/// What [`Namespace::fulfil`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Fulfilled {
    /// The value is stored.
    Stored,
    /// An invalidation or a newer value came meanwhile; nothing was stored.
    Superseded,
}

/// What to list, and from where; see [`Namespace::scan`].
#[derive(Debug, Clone)]
pub struct Scan {
    prefix: Vec<u8>,
    limit: usize,
    after: Option<Cursor>,
}

impl Default for Scan {
    fn default() -> Self {
        Self { prefix: Vec::new(), limit: 1_000, after: None }
    }
}

impl Scan {
    /// Everything, 1,000 entries a page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only keys that begin like `key`: texts that begin with the text, tuples that begin with the
    /// segments of the tuple.
    #[must_use]
    pub fn prefix(mut self, key: &Key) -> Self {
        self.prefix = key.as_bytes().to_vec();
        self
    }

    /// At most this many entries a page; zero counts as one.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// From where an earlier page ended.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// The bytes that the encoded form of a wanted key begins with; none for every key.
    pub fn prefix_bytes(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether `key` is wanted.
    pub fn matches(&self, key: &Key) -> bool {
        key.as_bytes().starts_with(&self.prefix)
    }

    /// The number of entries a page.
    pub fn page_limit(&self) -> usize {
        self.limit
    }

    /// Where to go on, in the store's own form.
    pub fn cursor(&self) -> Option<&[u8]> {
        self.after.as_ref().map(|cursor| &cursor.0[..])
    }
}

/// Where a page ended, in the store's own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// A store's own form.
    pub fn new(position: impl Into<Vec<u8>>) -> Self {
        Self(position.into())
    }
}

/// Some entries of a namespace.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The entries, in no stated order.
    pub entries: Vec<Listed>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// One listed entry, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: Key,
    /// The bytes of the value; `None` for a live object.
    pub size_bytes: Option<u64>,
    /// When its creation began.
    pub began: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// When it dies.
    pub dies: Timestamp,
    /// Its version.
    pub generation: u64,
    /// Its tags, whose [`marks`](Namespace::marks) may have invalidated it.
    pub tags: Vec<String>,
}

impl Listed {
    /// What a listing says of `entry`.
    pub fn new(key: Key, entry: &Entry) -> Self {
        Self {
            key,
            size_bytes: entry.payload().len_bytes().map(|length| length as u64),
            began: entry.began(),
            expires: entry.expires(),
            dies: entry.dies(),
            generation: entry.generation(),
            tags: entry.tag_list().to_vec(),
        }
    }
}

/// What is under a key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Inspection {
    /// Nothing.
    Absent,
    /// An entry, expired or not.
    Present(Entry),
    /// An entry whose time is over; the next sweep drops it.
    Dead(Entry),
    /// Something that cannot be read back, and why.
    Corrupt(String),
}

/// Counts of one namespace, since it was opened in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// The number of entries, where that is cheap to know: in memory. Files and databases would have to
    /// count them; [`scan`](Namespace::scan) does.
    pub entries: Option<u64>,
    /// The sum of the entries' weights, in a store bounded by weight.
    pub weight: Option<u64>,
    /// The bytes that the store takes on disk, with all its namespaces, where that is cheap to
    /// know: in databases. Files would have to be looked at one by one.
    pub size_bytes: Option<u64>,
    /// Reads that found an entry.
    pub hits: u64,
    /// Reads that found none.
    pub misses: u64,
    /// Entries stored.
    pub sets: u64,
    /// Entries removed by a caller.
    pub removes: u64,
    /// Entries dropped to keep the bound.
    pub evictions: u64,
    /// Entries dropped because they were dead.
    pub expirations: u64,
    /// Entries found damaged.
    pub corrupt: u64,
    /// Created values not stored because an invalidation won.
    pub superseded: u64,
    /// Panics of those who were told of [departures](Namespace::on_departure).
    pub listener_panics: u64,
}

/// What a sweep dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Swept {
    /// Dead entries.
    pub expired: u64,
    /// Entries that could not be read back.
    pub corrupt: u64,
    /// Files that killed processes left.
    pub leftovers: u64,
}

impl AddAssign for Swept {
    fn add_assign(&mut self, other: Self) {
        self.expired += other.expired;
        self.corrupt += other.corrupt;
        self.leftovers += other.leftovers;
    }
}
