// Kept reads: entries that were read, in memory, and the moment (index.rs) at which they were current.
//
// 1. A get reads the moment, which takes one system call. If it is the shelf's, what is on the shelf is
//    what SQLite would find, and is given out; whether it is dead is told by the caller's clock, as
//    always. If not, the shelf is emptied, and SQLite is asked.
// 2. What SQLite found is put on the shelf only if the moment was the same before and after, and is the
//    shelf's. So it does not matter in which order threads come to it, and nothing that writes has to
//    know of the shelf: its commit changes the moment.
// 3. Who writes much has nothing of this, so it begins only when a number of gets found the same moment
//    (`kept_reads_after`), and until then only the first and the last of these look. Each time in vain,
//    or with fewer hits than entries put there, the number doubles.
// 4. The shelf takes what fits into its bytes, and then no more. If it then gives no hits to speak of, it
//    is given up for a while.
// 5. `wait`, `begun` and the counts only say when to look, and publish nothing: they are relaxed, and one
//    that is lost makes a look earlier or later. What is given out goes through the shelf's lock.

use std::collections::HashMap;
use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use beaker_namespace::{Count, Entry, Key, Timestamp};
use beaker_sync::NetworkPolicy;
use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};

use super::config::Settings;
use super::index::{Index, Moment};

/// The most gets that a look waits for.
const LONGEST_WAIT: u32 = 4_096;

/// An entry may have this part of all bytes.
const ENTRY_PART: u64 = 64;

/// Bytes that an entry takes beside its key and its value, about.
const ENTRY_BYTES: u64 = 200;

/// Reads that could not be kept, after which is looked whether there were half as many hits.
const IDLE_READS: u64 = 1_024;

/// What is known of a key without SQLite.
#[derive(Debug)]
pub(super) enum Look<T> {
    Kept(T),
    /// SQLite is to be asked; what it finds may be kept if this is the moment then too.
    Ask(Option<Moment>),
}

/// What the namespaces of one database keep in memory of their reads.
#[derive(Debug)]
pub(super) struct Kept {
    limit_bytes: u64,
    after: u32,
    index: OnceLock<Index>,
    /// Gets until the next look whether to begin.
    wait: AtomicU32,
    begun: AtomicBool,
    trial: Mutex<Trial>,
    shelf: RwLock<Shelf>,
    spaces: AtomicU64,
    hits: Count,
    /// Reads that could not be kept.
    idle: AtomicU64,
    /// The hits when `idle` was looked at last.
    hits_then: AtomicU64,
}

/// The looks whether to begin.
#[derive(Debug)]
struct Trial {
    seen: Option<Moment>,
    wait: u32,
    /// The hits when it began last.
    hits: u64,
}

/// Entries, by namespace and key. Without a moment it is empty.
#[derive(Debug, Default)]
struct Shelf {
    moment: Option<Moment>,
    entries: HashMap<(u64, Key), Entry, RandomState>,
    bytes: u64,
}

/// Why no more is kept.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It is another moment, if it is known which.
    Changed(Option<Moment>),
    Idle,
}

impl Kept {
    pub(super) fn new(settings: &Settings) -> Self {
        // What others map is sure to be seen by reads only there; see `Index::moment`.
        let coherent = cfg!(target_os = "linux") && settings.common.network != NetworkPolicy::Allow;
        let after = settings.kept_reads_after;
        Self {
            limit_bytes: if coherent { settings.kept_reads_bytes } else { 0 },
            after,
            index: OnceLock::new(),
            wait: AtomicU32::new(after),
            begun: AtomicBool::new(false),
            trial: Mutex::new(Trial { seen: None, wait: after, hits: 0 }),
            shelf: RwLock::default(),
            spaces: AtomicU64::new(0),
            hits: Count::default(),
            idle: AtomicU64::new(0),
            hits_then: AtomicU64::new(0),
        }
    }

    /// A number for a namespace, which no other has.
    pub(super) fn next_space(&self) -> u64 {
        self.spaces.fetch_add(1, Ordering::Relaxed)
    }

    /// The hits so far.
    pub(super) fn hits(&self) -> u64 {
        self.hits.get()
    }

    /// Whether this get has nothing to look for.
    pub(super) fn rests(&self) -> bool {
        if self.begun.load(Ordering::Relaxed) {
            return false;
        }
        let left = self.wait.load(Ordering::Relaxed);
        if left > 0 {
            self.wait.store(left - 1, Ordering::Relaxed);
        }
        left > 0 || self.limit_bytes == 0
    }

    /// Shows the shelf to `find`, if it is of this moment; `open` makes the index.
    pub(super) fn look<T>(
        &self,
        open: impl FnOnce() -> Option<Index>,
        find: impl FnOnce(&View<'_>) -> Option<T>,
    ) -> Look<T> {
        if !self.begun.load(Ordering::Relaxed) {
            return Look::Ask(self.try_begin(open));
        }
        let moment = self.moment();
        let shelf = self.shelf.read();
        if moment.is_none() || shelf.moment != moment {
            drop(shelf);
            self.end(End::Changed(moment));
            return Look::Ask(None);
        }
        let view = View { entries: &shelf.entries, hits: &self.hits };
        find(&view).map_or(Look::Ask(moment), Look::Kept)
    }

    /// Puts on the shelf what was read of the namespace `space` after it was `moment`.
    pub(super) fn keep<'a>(
        &self,
        moment: Moment,
        space: u64,
        found: impl Iterator<Item = (&'a Key, Option<&'a Entry>)>,
    ) {
        let sized = |(key, entry): (&'a Key, Option<&'a Entry>)| {
            let bytes = size(key, entry?);
            (bytes <= self.limit_bytes / ENTRY_PART).then_some((key, entry?, bytes))
        };
        let mut found = found.filter_map(sized).peekable();
        if found.peek().is_none() || self.moment() != Some(moment) {
            return self.note_idle();
        }
        let mut shelf = self.shelf.write();
        if shelf.moment != Some(moment) {
            return;
        }
        let mut kept = false;
        for (key, entry, bytes) in found {
            kept |= shelf.put((space, key.clone()), entry, bytes, self.limit_bytes);
        }
        drop(shelf);
        if !kept {
            self.note_idle();
        }
    }

    fn moment(&self) -> Option<Moment> {
        self.index.get()?.moment()
    }

    /// Begins, if it is time to; says at which moment.
    #[cold]
    fn try_begin(&self, open: impl FnOnce() -> Option<Index>) -> Option<Moment> {
        // If another thread is about it, this one has nothing to do.
        let mut trial = self.trial.try_lock()?;
        if self.index.get().is_none() {
            let Some(index) = open() else {
                self.wait.store(LONGEST_WAIT, Ordering::Relaxed);
                return None;
            };
            self.index.get_or_init(|| index);
        }
        let moment = self.moment();
        if moment.is_none() || (trial.seen != moment && self.after > 0) {
            if trial.seen.is_some() {
                trial.wait = self.longer(trial.wait);
            }
            trial.seen = moment;
            self.wait.store(trial.wait, Ordering::Relaxed);
            return None;
        }
        trial.hits = self.hits.get();
        self.shelf.write().moment = moment;
        self.begun.store(true, Ordering::Relaxed);
        moment
    }

    /// Empties the shelf.
    #[cold]
    fn end(&self, why: End) {
        let mut trial = self.trial.lock();
        let mut shelf = self.shelf.write();
        let seen = match why {
            End::Changed(moment) => moment,
            End::Idle => None,
        };
        if shelf.moment.is_none() || shelf.moment == seen {
            // Another thread was quicker.
            return;
        }
        let gone = mem::take(&mut *shelf);
        self.begun.store(false, Ordering::Relaxed);
        drop(shelf);
        let hits = self.hits.get().saturating_sub(trial.hits);
        trial.wait = match why {
            End::Changed(_) if hits >= gone.entries.len() as u64 => self.after,
            End::Changed(_) => self.longer(trial.wait),
            End::Idle => self.longer(LONGEST_WAIT),
        };
        trial.seen = seen;
        self.wait.store(trial.wait, Ordering::Relaxed);
        // The entries are freed without a lock: `gone` is the last to go.
        drop(trial);
    }

    /// The wait after `wait` was in vain.
    fn longer(&self, wait: u32) -> u32 {
        let doubled = wait.saturating_mul(2).min(LONGEST_WAIT.max(self.after));
        if self.after == 0 { 0 } else { doubled }
    }

    /// Counts a read that could not be kept, and ends if there are too many of them.
    fn note_idle(&self) {
        let idle = self.idle.fetch_add(1, Ordering::Relaxed) + 1;
        if idle.is_multiple_of(IDLE_READS) {
            let hits = self.hits.get();
            let before = self.hits_then.swap(hits, Ordering::Relaxed);
            if hits.saturating_sub(before) < IDLE_READS / 2 {
                self.end(End::Idle);
            }
        }
    }

    /// Lets the index go, after the store's connections were closed.
    pub(super) fn close(&mut self) {
        if let Some(index) = self.index.take() {
            index.close();
        }
    }

    /// In a forked process, which must close nothing of its parent's.
    pub(super) fn forget(&mut self) {
        mem::forget(self.index.take());
    }
}

/// The shelf at the moment that it is.
#[derive(Debug)]
pub(super) struct View<'a> {
    entries: &'a HashMap<(u64, Key), Entry, RandomState>,
    hits: &'a Count,
}

impl View<'_> {
    /// The entry of `key` in the namespace `space`, if it is there and lives.
    pub(super) fn get(&self, space: u64, key: &Key, now: Timestamp) -> Option<Entry> {
        let entry = self.entries.get(&(space, key.clone()))?;
        if entry.is_dead(now) {
            return None;
        }
        self.hits.add(1);
        Some(entry.clone())
    }
}

impl Shelf {
    /// Keeps `entry` if there is room for its `bytes`; says whether it is there.
    fn put(&mut self, key: (u64, Key), entry: &Entry, bytes: u64, limit_bytes: u64) -> bool {
        if self.bytes + bytes > limit_bytes {
            return false;
        }
        if self.entries.insert(key, entry.clone()).is_none() {
            self.bytes += bytes;
        }
        true
    }
}

/// The bytes that an entry takes, about.
fn size(key: &Key, entry: &Entry) -> u64 {
    let labels: usize = entry.tag_list().iter().map(String::len).sum();
    let value = entry.payload().len_bytes().unwrap_or(usize::MAX);
    ENTRY_BYTES.saturating_add((key.as_bytes().len() + labels).saturating_add(value) as u64)
}
