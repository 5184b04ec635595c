//! The proxy that counts and times calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use beaker_namespace::{
    Claim, Condition, ConditionalSet, Entry, Error, ErrorKind, Fulfilled, Inspection, Key, Mark,
    Namespace, NamespaceId, Page, Scan, Swept, Wait, forward_namespace,
};

use super::latencies::{Histogram, Latencies};

/// A namespace that counts calls, values and errors, and measures how long calls take.
///
/// [`snapshot`](Self::snapshot) gives what was counted since this was made. What goes to the inner
/// namespace by another way is not counted; [`stats`](Namespace::stats) is the inner one's.
///
/// Times are those of a monotonic clock. A call of a method for many keys is one operation.
/// [`claim`](Namespace::claim) includes the wait for another holder, and
/// [`read_with`](Namespace::read_with), counted as [`Operation::Get`], what its caller does with the
/// entry.
///
/// The cost of a call is two readings of the clock and three to five counters that only a few
/// threads share: some 100 ns. It takes about 6 KiB for each processor.
///
/// # Examples
///
/// ```
/// use beaker_backends::proxy::{Metered, Operation};
/// use beaker_namespace::{Key, MemoryConfig, MemoryNamespace, Namespace};
///
/// let users = Metered::new(MemoryNamespace::open("users", MemoryConfig::new())?);
/// users.get(&Key::new(&7))?;
///
/// let snapshot = users.snapshot();
/// assert_eq!((snapshot.hits, snapshot.misses), (0, 1));
/// let slowest = snapshot.latencies(Operation::Get).quantile(0.99);
/// println!("99 % of reads took at most {slowest:?}");
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
pub struct Metered<N> {
    inner: N,
    /// One of them for a thread, so that threads do not wait for each other's counters.
    meters: Box<[Meter]>,
    /// Errors are rare: one lock for all.
    errors: Mutex<HashMap<ErrorKind, u64>>,
}

/// What was counted by some threads, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Meter {
    counts: [AtomicU64; Count::BytesOut as usize + 1],
    histograms: [Histogram; Operation::ALL.len()],
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
enum Count {
    Hits,
    Misses,
    Sets,
    Removes,
    Superseded,
    BytesIn,
    BytesOut,
}

/// What a call asks of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `get` and `read_with`.
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
    /// `mark`.
    Mark,
    /// `marks`.
    Marks,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 16] = [
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
        Self::Mark,
        Self::Marks,
    ];
}

/// What a [`Metered`] counted since it was made.
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
    errors: HashMap<ErrorKind, u64>,
    latencies: [Latencies; Operation::ALL.len()],
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

    /// How long the calls of `operation` took, failed ones too.
    pub fn latencies(&self, operation: Operation) -> &Latencies {
        &self.latencies[operation as usize]
    }
}

impl<N> Metered<N> {
    /// Counts what goes to `inner` through this.
    pub fn new(inner: N) -> Self {
        let meters = thread::available_parallelism().map_or(4, usize::from).min(64);
        let meters = (0..meters).map(|_| Meter::default()).collect();
        Self { inner, meters, errors: Mutex::default() }
    }

    /// The namespace inside.
    pub const fn inner(&self) -> &N {
        &self.inner
    }

    /// What was counted so far.
    pub fn snapshot(&self) -> Snapshot {
        let sum = |count: Count| {
            let read = |meter: &Meter| meter.counts[count as usize].load(Ordering::Relaxed);
            self.meters.iter().map(read).sum()
        };
        let mut snapshot = Snapshot {
            hits: sum(Count::Hits),
            misses: sum(Count::Misses),
            sets: sum(Count::Sets),
            removes: sum(Count::Removes),
            superseded: sum(Count::Superseded),
            bytes_in: sum(Count::BytesIn),
            bytes_out: sum(Count::BytesOut),
            errors: self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            ..Snapshot::default()
        };
        for meter in &self.meters {
            let histograms = meter.histograms.iter().zip(&mut snapshot.latencies);
            histograms.for_each(|(histogram, sum)| histogram.add_to(sum));
        }
        snapshot
    }

    /// The counters of this thread.
    #[inline]
    fn meter(&self) -> &Meter {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed));
        // A thread that is at its end has no number any more.
        let mine = MINE.try_with(|mine| *mine).unwrap_or(0);
        &self.meters[mine % self.meters.len()]
    }

    /// Times `call`, and counts what `tally` finds in its result.
    #[inline]
    fn measure<T>(
        &self,
        operation: Operation,
        call: impl FnOnce(&N) -> Result<T, Error>,
        tally: impl FnOnce(&Meter, &T),
    ) -> Result<T, Error> {
        let began = Instant::now();
        let outcome = call(&self.inner);
        let took = began.elapsed();
        let meter = self.meter();
        meter.histograms[operation as usize].record(took);
        match &outcome {
            Ok(result) => tally(meter, result),
            Err(error) => self.count_error(error.kind()),
        }
        outcome
    }

    #[cold]
    fn count_error(&self, kind: ErrorKind) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(kind).or_default() += 1;
    }
}

impl Meter {
    #[inline]
    fn add(&self, count: Count, number: u64) {
        self.counts[count as usize].fetch_add(number, Ordering::Relaxed);
    }

    #[inline]
    fn read(&self, entry: Option<&Entry>) {
        match entry {
            Some(entry) => self.hit(length_of(entry)),
            None => self.add(Count::Misses, 1),
        }
    }

    #[inline]
    fn hit(&self, bytes: u64) {
        self.add(Count::Hits, 1);
        self.add(Count::BytesOut, bytes);
    }

    fn set(&self, entries: u64, bytes: u64) {
        self.add(Count::Sets, entries);
        self.add(Count::BytesIn, bytes);
    }

    /// A write that may not have been done.
    fn set_or_not(&self, stored: bool, bytes: u64) {
        if stored { self.set(1, bytes) } else { self.add(Count::Superseded, 1) }
    }
}

fn length_of(entry: &Entry) -> u64 {
    entry.payload().len_bytes().map_or(0, |length| length as u64)
}

impl<N: Namespace> Namespace for Metered<N> {
    forward_namespace!(
        self => self.inner;
        scope, capabilities, latency, clock, stats, on_departure,
    );

    /// That of the inner namespace: who reads past the meter reads the same values.
    fn id(&self) -> &NamespaceId {
        self.inner.id()
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let tally = |meter: &Meter, found: &Option<Entry>| meter.read(found.as_ref());
        self.measure(Operation::Get, |inner| inner.get(key), tally)
    }

    fn read_with(&self, key: &Key, serve: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Error> {
        let read = |inner: &N| {
            let mut served = None;
            inner.read_with(key, &mut |entry| {
                let serves = serve(entry);
                served = serves.then(|| length_of(entry));
                serves
            })?;
            Ok(served)
        };
        let tally = |meter: &Meter, served: &Option<u64>| match *served {
            Some(bytes) => meter.hit(bytes),
            None => meter.add(Count::Misses, 1),
        };
        self.measure(Operation::Get, read, tally).map(|_served| ())
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        let tally = |meter: &Meter, found: &Vec<Option<Entry>>| {
            found.iter().for_each(|found| meter.read(found.as_ref()));
        };
        self.measure(Operation::GetMany, |inner| inner.get_many(keys), tally)
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        let bytes = length_of(&entry);
        let tally = |meter: &Meter, (): &()| meter.set(1, bytes);
        self.measure(Operation::Set, |inner| inner.set(key, entry), tally)
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        let count = entries.len() as u64;
        let bytes = entries.iter().map(|(_, entry)| length_of(entry)).sum();
        let tally = |meter: &Meter, (): &()| meter.set(count, bytes);
        self.measure(Operation::SetMany, |inner| inner.set_many(entries), tally)
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        let bytes = length_of(&entry);
        let tally = |meter: &Meter, set: &ConditionalSet| {
            meter.set_or_not(matches!(set, ConditionalSet::Stored { .. }), bytes);
        };
        self.measure(Operation::SetIf, |inner| inner.set_if(key, entry, condition), tally)
    }

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        self.measure(Operation::Claim, |inner| inner.claim(key, wait), |_, _| ())
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        let bytes = length_of(&entry);
        let tally = |meter: &Meter, fulfilled: &Fulfilled| {
            meter.set_or_not(*fulfilled == Fulfilled::Stored, bytes);
        };
        self.measure(Operation::Fulfil, |inner| inner.fulfil(key, entry, claim), tally)
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        let tally = |meter: &Meter, &removed: &bool| meter.add(Count::Removes, removed.into());
        self.measure(Operation::Remove, |inner| inner.remove(key), tally)
    }

    fn remove_many(&self, keys: &[Key]) -> Result<u64, Error> {
        let tally = |meter: &Meter, &removed: &u64| meter.add(Count::Removes, removed);
        self.measure(Operation::RemoveMany, |inner| inner.remove_many(keys), tally)
    }

    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        let tally = |meter: &Meter, &removed: &u64| meter.add(Count::Removes, removed);
        self.measure(Operation::RemoveTag, |inner| inner.remove_tag(tag), tally)
    }

    fn clear(&self) -> Result<(), Error> {
        self.measure(Operation::Clear, N::clear, |_, ()| ())
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        self.measure(Operation::Scan, |inner| inner.scan(scan), |_, _| ())
    }

    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        self.measure(Operation::Mark, |inner| inner.mark(name, mark), |_, _| ())
    }

    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        self.measure(Operation::Marks, |inner| inner.marks(names), |_, _| ())
    }

    fn sweep(&self) -> Result<Swept, Error> {
        self.measure(Operation::Sweep, N::sweep, |_, _| ())
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        self.measure(Operation::Inspect, |inner| inner.inspect(key), |_, _| ())
    }
}

impl<N: fmt::Debug> fmt::Debug for Metered<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metered").field("inner", &self.inner).finish_non_exhaustive()
    }
}
