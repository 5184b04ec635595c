// Kept reads: entries that were read, in memory, and the moment (index.rs) at which they were current.
//
// 1. A get reads the moment, which takes one system call. If it is the shelf's, what is on the shelf is
//    what SQLite would find, and is given out; whether it is dead is told by the caller's clock, as
//    always. If not, the shelf is emptied, and SQLite is asked.
// 2. What SQLite found is put on the shelf only if the moment was the same before and after, and is the
//    shelf's. So it does not matter in which order threads come to it.
// 3. A commit changes the moment, so what others write, and with what program, need not be known.
// 4. A change of this process's own is carried over if it can be (carry.rs): the shelf goes on without what was
//    changed, and the next get finds out whether it is right yet. So what changes entries must say which. While
//    that is under way the shelf is not emptied.
// 5. Where other processes write much nobody has anything of this. So it begins only when a number of gets
//    (`kept_reads_after`) met no commit of others, and until then only the first and the last of these
//    probe. Each time in vain, or with fewer hits than entries put there, the number doubles.
// 6. The shelf takes what fits into its bytes, and then no more. If there are few hits beside what could
//    not be kept and what was written, it is given up for a while.
// 7. The atomics only say when to probe, and publish nothing: they are relaxed, and a count that is lost
//    makes a probe earlier or later. What is given out goes through the shelf's lock.

use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use beaker_namespace::{Entry, Key};
use beaker_sync::NetworkPolicy;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::config::Settings;
use super::index::{Index, Moment};
use super::leavings::Leavings;
use super::shelf::{self, Shelf};
use super::trial::{End, Trial};

/// What is known without SQLite.
#[derive(Debug)]
pub(super) enum Answer<T> {
    Kept(T),
    /// SQLite is to be asked; what it finds may be kept if this is the moment then too.
    Ask(Option<Moment>),
}

/// What one database keeps in memory of its reads.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) limit_bytes: u64,
    index: OnceLock<Index>,
    trial: Trial,
    shelf: RwLock<Shelf>,
    pub(super) leavings: Leavings,
    /// Whether a change is going to be carried over.
    pub(super) writing: AtomicBool,
    /// Whether no more is kept, for good.
    given_up: AtomicBool,
    spaces: AtomicU64,
}

impl Kept {
    pub(super) fn new(settings: &Settings) -> Self {
        // What others map is sure to be seen by reads only there; see `Index::moment`.
        let coherent = cfg!(target_os = "linux") && settings.common.network != NetworkPolicy::Allow;
        Self {
            limit_bytes: if coherent { settings.kept_reads_bytes } else { 0 },
            index: OnceLock::new(),
            trial: Trial::new(settings.kept_reads_after),
            shelf: RwLock::default(),
            leavings: Leavings::default(),
            writing: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            spaces: AtomicU64::new(0),
        }
    }

    /// A number for a namespace, which no other has.
    pub(super) fn next_space(&self) -> u64 {
        self.spaces.fetch_add(1, Ordering::Relaxed)
    }

    /// The hits so far.
    pub(super) fn hits(&self) -> u64 {
        self.trial.hits.get()
    }

    pub(super) fn has_begun(&self) -> bool {
        self.trial.has_begun()
    }

    /// Whether this get has no use for what is kept.
    pub(super) fn rests(&self) -> bool {
        if self.limit_bytes == 0 || self.given_up.load(Ordering::Relaxed) {
            return true;
        }
        let rests = self.trial.rests();
        if rests {
            self.leavings.free_some();
        }
        rests
    }

    /// What `find`, which finds so many entries or none, finds on the shelf, if that is of this moment;
    /// `open` makes the index.
    pub(super) fn answer<T>(
        &self,
        count: usize,
        open: impl FnOnce() -> Option<Index>,
        find: impl FnOnce(&Shelf) -> Option<T>,
    ) -> Answer<T> {
        if !self.has_begun() {
            return Answer::Ask(self.try_begin(open));
        }
        self.answer_at(self.moment(), count, find)
    }

    /// The same where the index said `now`, though it may not do so any more.
    fn answer_at<T>(
        &self,
        mut now: Option<Moment>,
        count: usize,
        find: impl FnOnce(&Shelf) -> Option<T>,
    ) -> Answer<T> {
        let mut shelf = self.shelf.read();
        if shelf.is_behind() {
            drop(shelf);
            (now, shelf) = self.caught_up();
        }
        let Some(moment) = now.filter(|now| shelf.is_of(*now)) else {
            drop(shelf);
            if !self.writing.load(Ordering::Relaxed) {
                self.end(End::Changed(now));
            }
            return Answer::Ask(None);
        };
        let Some(found) = find(&shelf) else { return Answer::Ask(Some(moment)) };
        self.trial.hits.add(count as u64);
        Answer::Kept(found)
    }

    /// Puts on the shelf what was read of the namespace `space` after it was `moment`.
    pub(super) fn keep<'a>(
        &self,
        moment: Moment,
        space: u64,
        found: impl Iterator<Item = (&'a Key, Option<&'a Entry>)>,
    ) {
        self.leavings.free_some();
        let limit_bytes = self.limit_bytes;
        let fitting = |(key, entry): (&'a Key, Option<&'a Entry>)| {
            Some((key, entry.filter(|entry| shelf::fits(key, entry, limit_bytes))?))
        };
        let mut found = found.filter_map(fitting).peekable();
        if found.peek().is_none() {
            return self.count_idle();
        }
        if self.moment() != Some(moment) {
            return;
        }
        let mut shelf = self.shelf.write();
        if !shelf.is_of(moment) {
            return;
        }
        let mut kept = false;
        for (key, entry) in found {
            kept |= shelf.put(space, key, entry.clone(), limit_bytes);
        }
        drop(shelf);
        if !kept {
            self.count_idle();
        }
    }

    /// The moment that it is, if that can be told.
    pub(super) fn moment(&self) -> Option<Moment> {
        self.index.get()?.moment()
    }

    /// The commits that the shelf goes by.
    pub(super) fn shelf_commits(&self) -> Option<u32> {
        self.shelf.read().commits()
    }

    /// The shelf, to be changed, if it goes by so many commits.
    pub(super) fn shelf_after(&self, commits: u32) -> Option<RwLockWriteGuard<'_, Shelf>> {
        let shelf = self.shelf.write();
        (shelf.commits() == Some(commits)).then_some(shelf)
    }

    /// The shelf after something was carried over, of the moment that it is now if it is right.
    fn caught_up(&self) -> (Option<Moment>, RwLockReadGuard<'_, Shelf>) {
        let mut shelf = self.shelf.write();
        // Under the lock: whatever was carried over is in it.
        let now = self.moment();
        if let Some(now) = now {
            if shelf.is_right_at(now) {
                shelf.catch_up(now);
            } else if shelf.moment == Some(now) {
                // The index is not that of the database which was changed: somebody replaced its files.
                self.give_up();
            }
        }
        (now, RwLockWriteGuard::downgrade(shelf))
    }

    /// Keeps and gives out nothing from now on.
    #[cold]
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// The same, and lets the database be closed: another one comes into its place.
    #[cold]
    pub(super) fn retire(&self) {
        self.give_up();
        if let Some(index) = self.index.get() {
            index.let_go();
        }
        // Who looked before, and sees this only now, finds nothing.
        let gone = mem::take(&mut *self.shelf.write()).entries;
        self.leavings.add(gone);
    }

    /// Counts a commit of this process.
    pub(super) fn count_commit(&self) {
        self.trial.count_commit();
    }

    /// Counts a read that could not be kept, or a write.
    pub(super) fn count_idle(&self) {
        if self.trial.count_idle() {
            self.end(End::Idle);
        }
    }

    /// Begins, if it is time to; says at which moment.
    fn try_begin(&self, open: impl FnOnce() -> Option<Index>) -> Option<Moment> {
        let moment = || {
            if self.index.get().is_none() {
                let index = open()?;
                self.index.get_or_init(|| index);
            }
            Some(self.moment())
        };
        self.trial.probe(moment, |moment| self.shelf.write().catch_up(moment))
    }

    /// Empties the shelf.
    fn end(&self, why: End) {
        let mut gone = None;
        self.trial.end(why, || {
            let mut shelf = self.shelf.write();
            shelf.moment?;
            // If it is right, another thread has begun anew, or carried something over.
            let is_right = || self.moment().is_some_and(|now| shelf.is_right_at(now));
            if matches!(why, End::Changed(_)) && is_right() {
                return None;
            }
            let entries = gone.insert(mem::take(&mut *shelf).entries);
            Some(entries.len())
        });
        if let Some(gone) = gone {
            self.leavings.add(gone);
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

#[cfg(test)]
mod tests {
    use beaker_namespace::{Payload, Timestamp};
    use rusqlite::Connection;

    use super::super::config::SqliteConfig;
    use super::super::connection;
    use super::super::store::Store;
    use super::*;

    #[test]
    fn who_begins_late_does_not_take_an_old_shelf_for_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let settings = SqliteConfig::new(&path).kept_reads_after(0).settings;
        let _store = Store::open(&path, settings).unwrap();
        let kept = Kept::new(&settings);
        let open = || Index::open(&path, connection::anchor(&path, &settings).unwrap()?);
        let moment = kept.try_begin(open).unwrap();
        let (key, now) = (Key::new("k"), Timestamp::from_micros(0));
        let entry = Entry::new(Payload::raw("old"), now);
        kept.keep(moment, 0, std::iter::once((&key, Some(&entry))));
        let find = |shelf: &Shelf| shelf.get(0, &key, now);
        assert!(matches!(kept.answer(1, open, find), Answer::Kept(_)), "the control");
        // Another process commits; then a get that saw before all this that nothing had begun goes on.
        let other = Connection::open(&path).unwrap();
        other.execute_batch("INSERT INTO purge (ns) VALUES (1)").unwrap();
        kept.try_begin(open);
        assert!(matches!(kept.answer(1, open, find), Answer::Ask(_)), "it is an old value");
    }

    // The commit of a change and what is taken off for it come between the reader's last look at the index and
    // its turn at the shelf.
    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let settings = SqliteConfig::new(&path).kept_reads_after(0).settings;
        let _store = Store::open(&path, settings).unwrap();
        let kept = Kept::new(&settings);
        let open = || Index::open(&path, connection::anchor(&path, &settings).unwrap()?);
        let moment = kept.try_begin(open).unwrap();
        let (key, now) = (Key::new("k"), Timestamp::from_micros(0));
        let entry = Entry::new(Payload::raw("old"), now);
        let is_kept = || {
            kept.keep(moment, 0, std::iter::once((&key, Some(&entry))));
            kept.shelf.read().get(0, &key, now).is_some()
        };
        kept.shelf.write().count_carried();
        assert!(!is_kept());
        kept.shelf.write().catch_up(moment);
        assert!(is_kept(), "the control");
    }

    // A get looks at the index, then this process commits, and then the get goes on: by the number alone the
    // commit of another that it saw could be this one.
    #[test]
    fn what_was_carried_over_after_a_look_at_the_index_is_not_taken_for_what_that_saw() {
        for anothers in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("cache.db");
            let settings = SqliteConfig::new(&path).kept_reads_after(0).settings;
            let _store = Store::open(&path, settings).unwrap();
            let kept = Kept::new(&settings);
            let open = || Index::open(&path, connection::anchor(&path, &settings).unwrap()?);
            kept.try_begin(open).unwrap();
            let writer = Connection::open(&path).unwrap();
            let commit = || writer.execute_batch("INSERT INTO purge DEFAULT VALUES").unwrap();
            (0..u8::from(anothers)).for_each(|_| commit());
            let seen = kept.moment();
            commit();
            kept.shelf.write().count_carried();
            let is_served = matches!(kept.answer_at(seen, 1, |_| Some(())), Answer::Kept(()));
            assert_eq!(is_served, !anothers);
        }
    }
}
