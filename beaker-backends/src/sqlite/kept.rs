// Kept reads: entries that were read, in memory, and the moment (index.rs) at which they were current.
//
// 1. A get reads the moment, which takes one system call. If it is the shelf's, what is on the shelf is
//    what SQLite would find, and is given out; whether it is dead is told by the caller's clock, as
//    always. If not, the shelf is emptied, and SQLite is asked.
// 2. What SQLite found is put on the shelf only if the moment was the same before and after, and is the
//    shelf's. So it does not matter in which order threads come to it.
// 3. A commit changes the moment, so nothing that writes has to know of the shelf.
// 4. But a change of this process's own is carried over if it can be (carry.rs): the shelf goes on, at the
//    new moment, with what was changed. While that is under way it is not emptied.
// 5. Where other processes write much nobody has anything of this. So it begins only when a number of gets
//    (`kept_reads_after`) met no change by others, and until then only the first and the last of these
//    look. Each time in vain, or with fewer hits than entries put there, the number doubles.
// 6. The shelf takes what fits into its bytes, and then no more. If there are few hits beside what could
//    not be kept and what was written, it is given up for a while.
// 7. The atomics only say when to look, and publish nothing: they are relaxed, and a count that is lost
//    makes a look earlier or later. What is given out goes through the shelf's lock.

use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use beaker_namespace::{Count, Entry, Key};
use beaker_sync::NetworkPolicy;
use parking_lot::{Mutex, RwLock, RwLockWriteGuard};

use super::config::Settings;
use super::index::{Index, Moment};
use super::shelf::{self, Shelf};

/// The most gets that a look waits for.
const LONGEST_WAIT: u32 = 4_096;

/// So many reads that could not be kept, and writes, take half as many hits to be worth while.
const IDLE: u64 = 1_024;

/// What is known without SQLite.
#[derive(Debug)]
pub(super) enum Look<T> {
    Kept(T),
    /// SQLite is to be asked; what it finds may be kept if this is the moment then too.
    Ask(Option<Moment>),
}

/// What one database keeps in memory of its reads.
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
    /// Whether a change is going to be carried over.
    pub(super) writing: AtomicBool,
    /// Commits of this process, about.
    commits: AtomicU64,
    spaces: AtomicU64,
    hits: Count,
    idle: AtomicU64,
    /// The hits when `idle` was looked at last.
    hits_then: AtomicU64,
}

/// The looks whether to begin.
#[derive(Debug)]
struct Trial {
    /// The changes, of all and of this process, when it was looked last.
    seen: Option<(u32, u64)>,
    wait: u32,
    /// The hits when it began last.
    hits: u64,
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
            writing: AtomicBool::new(false),
            commits: AtomicU64::new(0),
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

    pub(super) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether this get has nothing to look for.
    pub(super) fn rests(&self) -> bool {
        if self.has_begun() {
            return false;
        }
        let left = self.wait.load(Ordering::Relaxed);
        if left > 0 {
            self.wait.store(left - 1, Ordering::Relaxed);
        }
        left > 0 || self.limit_bytes == 0
    }

    /// Shows the shelf to `find`, which finds so many entries or none, if it is of this moment; `open`
    /// makes the index.
    pub(super) fn look<T>(
        &self,
        count: usize,
        open: impl FnOnce() -> Option<Index>,
        find: impl FnOnce(&Shelf) -> Option<T>,
    ) -> Look<T> {
        if !self.has_begun() {
            return Look::Ask(self.try_begin(open));
        }
        let moment = self.moment();
        let shelf = self.shelf.read();
        if moment.is_none() || shelf.moment != moment {
            drop(shelf);
            if !self.writing.load(Ordering::Relaxed) {
                self.end(End::Changed(moment));
            }
            return Look::Ask(None);
        }
        let Some(found) = find(&shelf) else { return Look::Ask(moment) };
        self.hits.add(count as u64);
        Look::Kept(found)
    }

    /// Puts on the shelf what was read of the namespace `space` after it was `moment`.
    pub(super) fn keep<'a>(
        &self,
        moment: Moment,
        space: u64,
        found: impl Iterator<Item = (&'a Key, Option<&'a Entry>)>,
    ) {
        let limit_bytes = self.limit_bytes;
        let fitting = |(key, entry): (&'a Key, Option<&'a Entry>)| {
            Some((key, entry.filter(|entry| shelf::fits(key, entry, limit_bytes))?))
        };
        let mut found = found.filter_map(fitting).peekable();
        if found.peek().is_none() {
            return self.note_idle();
        }
        if self.moment() != Some(moment) {
            return;
        }
        let Some(mut shelf) = self.shelf_at(moment) else { return };
        let mut kept = false;
        for (key, entry) in found {
            kept |= shelf.put(space, key, entry.clone(), limit_bytes);
        }
        drop(shelf);
        if !kept {
            self.note_idle();
        }
    }

    /// The moment that it is, if that can be told.
    pub(super) fn moment(&self) -> Option<Moment> {
        self.index.get()?.moment()
    }

    pub(super) fn shelf_moment(&self) -> Option<Moment> {
        self.shelf.read().moment
    }

    /// Whether the entry of `key` in `space` is on the shelf, whatever the moment.
    pub(super) fn has(&self, space: u64, key: &Key) -> bool {
        self.shelf.read().has(space, key)
    }

    /// The shelf, to be changed, if it is of `moment`.
    pub(super) fn shelf_at(&self, moment: Moment) -> Option<RwLockWriteGuard<'_, Shelf>> {
        let shelf = self.shelf.write();
        (shelf.moment == Some(moment)).then_some(shelf)
    }

    /// Notes a commit of this process.
    pub(super) fn note_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
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
        let seen = self.changes(moment);
        let is_calm = match (trial.seen, seen) {
            (Some((all, own)), Some((all_now, own_now))) => {
                u64::from(all_now.wrapping_sub(all)) <= own_now - own
            }
            _ => false,
        };
        if moment.is_none() || !(is_calm || self.after == 0) {
            if trial.seen.is_some() {
                trial.wait = self.longer(trial.wait);
            }
            trial.seen = seen;
            self.wait.store(trial.wait, Ordering::Relaxed);
            return None;
        }
        trial.hits = self.hits.get();
        self.shelf.write().moment = moment;
        self.begun.store(true, Ordering::Relaxed);
        moment
    }

    /// The changes so far, of all and of this process.
    fn changes(&self, moment: Option<Moment>) -> Option<(u32, u64)> {
        Some((moment?.changes(), self.commits.load(Ordering::Relaxed)))
    }

    /// Empties the shelf.
    #[cold]
    fn end(&self, why: End) {
        let mut trial = self.trial.lock();
        let mut shelf = self.shelf.write();
        let moment = match why {
            End::Changed(moment) => moment,
            End::Idle => None,
        };
        if shelf.moment.is_none() || shelf.moment == moment {
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
        trial.seen = self.changes(moment);
        self.wait.store(trial.wait, Ordering::Relaxed);
        // The entries are freed without a lock: `gone` is the last to go.
        drop(trial);
    }

    /// The wait after `wait` was in vain.
    fn longer(&self, wait: u32) -> u32 {
        let doubled = wait.saturating_mul(2).min(LONGEST_WAIT.max(self.after));
        if self.after == 0 { 0 } else { doubled }
    }

    /// Counts a read that could not be kept, or a write, and ends if there are too many of them.
    pub(super) fn note_idle(&self) {
        let idle = self.idle.fetch_add(1, Ordering::Relaxed) + 1;
        if idle.is_multiple_of(IDLE) {
            let hits = self.hits.get();
            let before = self.hits_then.swap(hits, Ordering::Relaxed);
            if hits.saturating_sub(before) < IDLE / 2 {
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
