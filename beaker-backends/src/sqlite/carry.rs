// How a change of this process's own is carried over to what is kept (rule 4 of kept.rs).
//
// 1. Before the transaction has changed anything, and while it has SQLite's write lock, it asks how many commits
//    the index has counted if the shelf is right. If it is not right, others have committed since, and 4 finds that.
// 2. The transaction invalidates every key whose entry it sets or removes, whether or not that is on the
//    shelf: a reader may put it there until the commit. What it sets is not kept before somebody reads it.
// 3. After the commit, if the shelf goes by the same number yet, what is invalid leaves it, and it counts one commit
//    more. That the index has counted it too is known because it changed rows. (A set writes another record than the
//    one that is there: its generation is new. So it changes a page.) Until the shelf has caught up by 4 nothing
//    is put on it: what a reader found before the commit is not right after it.
// 4. The next get reads the index, under the shelf's lock: so all that the shelf has counted was committed before.
//    If the index has counted as many nobody else has committed since the shelf's moment; so the shelf is what it
//    was, without what is invalid, and is of this moment from then on. In all other cases it is emptied.
// 5. A header that was made from the log counts from zero, and shows the commit of a writer that was
//    killed while it wrote the header. So nothing is carried over from a count of zero; from another
//    one it would take as many commits of others as that after such a death, and no get in between.

use std::cell::RefCell;
use std::mem;
use std::sync::atomic::Ordering;

use beaker_namespace::{Key, Timestamp};
use rusqlite::Connection;

use super::kept::Kept;

/// What a deletion by a query takes away.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gone<'a> {
    /// The entry of one encoded key of the transaction's namespace.
    Key(&'a [u8]),
    /// What was dead by then.
    Dead(Timestamp),
    /// Whatever there is.
    Anything,
    /// What nobody can read any more.
    Unreadable,
}

/// What one transaction does to what is kept. Dropped without an end, it does nothing.
#[derive(Debug)]
pub(super) struct Carry<'a> {
    kept: &'a Kept,
    /// The namespace's number among what is kept.
    space: u64,
    /// Those that the shelf goes by.
    commits_before: u32,
    changes_before: u64,
    invalid: RefCell<Invalid>,
}

/// What is to leave the shelf with the commit.
#[derive(Debug, Default)]
struct Invalid {
    keys: Vec<Key>,
    dead_at: Option<Timestamp>,
    anything: bool,
}

impl<'a> Carry<'a> {
    /// Of a transaction of `connection`, which has begun; `None` if nothing is kept now.
    pub(super) fn begin(kept: &'a Kept, space: u64, connection: &Connection) -> Option<Self> {
        if !kept.has_begun() {
            return None;
        }
        let commits_before = kept.shelf_commits().filter(|commits| *commits > 0)?;
        kept.writing.store(true, Ordering::Relaxed);
        let changes_before = connection.total_changes();
        Some(Self { kept, space, commits_before, changes_before, invalid: RefCell::default() })
    }

    /// The entry of `key` is set.
    pub(super) fn invalidate_key(&self, key: &Key) {
        self.invalid.borrow_mut().keys.push(key.clone());
    }

    /// What is `gone` is removed.
    pub(super) fn invalidate(&self, gone: Gone<'_>) {
        let mut invalid = self.invalid.borrow_mut();
        match gone {
            // What is no key is on no shelf.
            Gone::Key(key) => invalid.keys.extend(Key::from_encoded(key)),
            Gone::Dead(now) => invalid.dead_at = invalid.dead_at.max(Some(now)),
            Gone::Anything => invalid.anything = true,
            Gone::Unreadable => {}
        }
    }

    /// Takes what is invalid off the shelf, after the commit.
    pub(super) fn end(self, connection: &Connection) {
        if connection.total_changes() == self.changes_before {
            return;
        }
        let invalid = mem::take(&mut *self.invalid.borrow_mut());
        let Some(mut shelf) = self.kept.shelf_after(self.commits_before) else { return };
        shelf.count_carried();
        let gone = invalid.anything.then(|| shelf.take_all());
        invalid.dead_at.inspect(|now| shelf.bury(*now));
        for key in &invalid.keys {
            shelf.remove(self.space, key);
        }
        drop(shelf);
        if let Some(gone) = gone {
            self.kept.leavings.add(gone);
        }
        self.kept.count_idle();
    }
}

impl Drop for Carry<'_> {
    fn drop(&mut self) {
        self.kept.writing.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::config::SqliteConfig;
    use super::super::connection;
    use super::super::index::Index;
    use super::super::kept::Answer;
    use super::super::store::Store;
    use super::*;
    use crate::place;

    /// A database, and what is kept of it, from now on.
    fn begun(path: &Path) -> (Store, Kept) {
        let settings = SqliteConfig::new(path).kept_reads_after(0).settings;
        let store = Store::open(path, settings).unwrap();
        let kept = Kept::new(&settings);
        let open = || Index::open(path, connection::anchor(path, &settings).unwrap()?);
        assert!(matches!(kept.answer(1, open, |_| Some(())), Answer::Ask(Some(_))));
        (store, kept)
    }

    /// Whether a get now finds what is kept.
    fn is_served(kept: &Kept) -> bool {
        matches!(kept.answer(1, || None, |_| Some(())), Answer::Kept(()))
    }

    /// Does `sql` as one transaction of this process's own.
    fn change(kept: &Kept, ours: &Connection, sql: &str) {
        ours.execute_batch("BEGIN IMMEDIATE").unwrap();
        let carry = Carry::begin(kept, 0, ours).unwrap();
        ours.execute_batch(sql).unwrap();
        ours.execute_batch("COMMIT").unwrap();
        carry.end(ours);
    }

    /// Carries a transaction over that does `sql`, while another connection does `first` before it has
    /// begun and `last` after its commit; says whether what is kept goes on.
    fn goes_on(first: &str, sql: &str, last: &str) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let (_store, kept) = begun(&path);
        let [ours, other] = [(); 2].map(|()| Connection::open(&path).unwrap());
        other.execute_batch(first).unwrap();
        ours.execute_batch("BEGIN IMMEDIATE").unwrap();
        let carry = Carry::begin(&kept, 0, &ours).unwrap();
        ours.execute_batch(sql).unwrap();
        ours.execute_batch("COMMIT").unwrap();
        other.execute_batch(last).unwrap();
        carry.end(&ours);
        is_served(&kept)
    }

    #[test]
    fn nothing_is_carried_over_from_a_count_of_zero() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        drop(Store::open(&path, SqliteConfig::new(&path).settings).unwrap());
        let (_store, kept) = begun(&path);
        let ours = Connection::open(&path).unwrap();
        ours.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(Carry::begin(&kept, 0, &ours).is_none());
        assert_eq!(kept.shelf_commits(), Some(0), "the reason");
    }

    #[test]
    fn a_database_whose_files_were_replaced_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let (_store, kept) = begun(&path);
        for ending in ["", "-wal", "-shm"] {
            std::fs::remove_file(place::beside(&path, ending)).unwrap();
        }
        let new = Connection::open(&path).unwrap();
        new.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE purge (ns)").unwrap();
        change(&kept, &new, CHANGE);
        assert!(!kept.rests());
        assert!(!is_served(&kept), "the index has not counted it");
        assert!(kept.rests());
    }

    const CHANGE: &str = "INSERT INTO purge (ns) VALUES (1)";
    const ANOTHER: &str = "INSERT INTO purge (ns) VALUES (2)";

    #[test]
    fn what_is_kept_goes_on_if_nobody_else_commits() {
        assert!(goes_on("", CHANGE, ""));
        assert!(goes_on("", "", ""), "nothing has changed");
    }

    #[test]
    fn what_is_kept_ends_if_somebody_else_commits_too() {
        assert!(!goes_on("", CHANGE, ANOTHER));
        assert!(!goes_on(ANOTHER, CHANGE, ""));
        assert!(!goes_on("", "", ANOTHER), "it is another's commit that was counted");
        assert!(!goes_on(ANOTHER, "", ""), "it is another's commit that was counted");
    }

    #[test]
    fn many_changes_in_a_row_are_carried_over_and_one_of_another_among_them_is_found() {
        for anothers in [None, Some(0), Some(2)] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("cache.db");
            let (_store, kept) = begun(&path);
            let [ours, other] = [(); 2].map(|()| Connection::open(&path).unwrap());
            for number in 0..3 {
                change(&kept, &ours, "INSERT INTO purge DEFAULT VALUES");
                if anothers == Some(number) {
                    other.execute_batch("INSERT INTO purge DEFAULT VALUES").unwrap();
                }
            }
            assert_eq!(is_served(&kept), anothers.is_none(), "after {anothers:?}");
        }
    }
}
