//! The file: opened for each piece of work, and mended when a writer was killed.
//
// The rules:
// 1. Who reads holds the lock shared, who writes holds it alone. So does who mends.
// 2. A writer first writes the journal: what it is going to do, and those parts of the file that lead
//    to rows and may change (see plan.rs), as they are. Then it changes the file, then it removes the journal. Who finds a
//    journal knows that its writer was killed, or failed, and mends the file before anything else is
//    done: it puts those parts back, looks through the file, rebuilds it if it is not sound, and
//    does once more what the journal says.
// 3. What a write takes away is kept until it is done. After an error in the middle, the journal is
//    replaced by the rows that were there before, and the file is mended by it.
// 4. A file is made under another name, and gets its own when it is whole.
// 5. Damage without a journal has another cause: the file is set aside. If all that leads to the rows is
//    sound, and some of them are not there, it is rebuilt without these.
// 6. A panic of gdbm-native is caught where it is called, and counts as damage.
// 7. A file that is mostly free is replaced by a copy (see compact.rs), as rule 4 says. What a killed process left of
//    one has the next writer begin again.
// 8. The parts of a file are not put back into the one that took its place, which would break it: when a file is
//    replaced, there is no journal or none with parts, nor does one come back after a power cut.
//
// gdbm-native locks the file itself too, as other GNU dbm programs do, so that they and we keep out
// of each other's way. Once it has the lock nobody puts another file under the name but we.

mod mend;

use std::any::Any;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use beaker_namespace::{Durability, Error, ErrorKind};
use beaker_sync::{FileSynchronizerOptions, NetworkPolicy, Synchronizer, process_id};
use bytes::Bytes;
use gdbm_native::{BlockSize, Gdbm, OpenOptions};

use super::compact;
use super::deadline::Deadline;
use super::error::Fault;
use super::images::Images;
use super::journal::Journal;
use super::plan::{Before, Plan};
use super::room;
use super::rows::{Changes, Rows};
use crate::place;

const WRITE: &str = "write to the store";

/// How often a reader may find that the file must be mended before it gives up.
const ATTEMPTS: usize = 8;

/// The block size of a new file. Each opening reads the directory entry by entry, and it has one for
/// every 8 bytes of a block at least; with smaller blocks it grows sooner.
const BLOCK_BYTES: u32 = 2_048;

/// The memory that gdbm-native may use for parts of the open file, in bytes.
const CACHE_BYTES: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    lock: Synchronizer,
    journal: Journal,
    /// The process that opened it.
    opened_by: u32,
    #[cfg(test)]
    pub(super) commits: crate::batch::Commits,
}

impl File {
    /// The file at the canonical `path`, with its lock files in `locks`. Nothing is opened.
    pub(super) fn new(path: &Path, locks: &Path) -> Result<Self, Error> {
        let lock = FileSynchronizerOptions::new()
            // The file system was looked at already.
            .network(NetworkPolicy::Allow)
            .open("store", locks)
            .map_err(|error| Error::lock("open the store", error))?;
        Ok(Self {
            path: path.to_owned(),
            lock,
            journal: Journal::of(path),
            opened_by: process_id(),
            #[cfg(test)]
            commits: Default::default(),
        })
    }

    /// Looks whether all is well with the file, and clears away what an earlier version left.
    pub(super) fn look_over(
        &self,
        operation: &'static str,
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.read(operation, deadline, |_| {
            // It takes room, no more.
            let _unimportant = self.journal.drop_old_draft();
            Ok(())
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn len(&self) -> Option<u64> {
        fs::metadata(&self.path).ok().map(|metadata| metadata.len())
    }

    /// Works on the file as it is, beside other readers.
    pub(super) fn read<T>(
        &self,
        operation: &'static str,
        deadline: Deadline,
        work: impl FnOnce(&Rows<'_>) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        place::check_process(self.opened_by)?;
        for _ in 0..ATTEMPTS {
            let guard = self.lock.try_read_for(deadline.left());
            let guard = guard.map_err(|error| Error::lock(operation, error))?;
            let Some(guard) = guard else { return Err(self.timeout(operation)) };
            if !self.has_journal(operation)? {
                let read = self.guarded(operation, || {
                    let file = self.open_to_read(operation, deadline)?;
                    work(&Rows::new(file.as_ref(), &self.path))
                });
                drop(guard);
                return read.map_err(|fault| self.heal(fault, deadline));
            }
            drop(guard);
            self.mend(deadline)?;
        }
        Err(self.restless(operation))
    }

    /// Works on the file alone. What `work` changed is kept as a whole, or, after an error, not; with the
    /// durability that it asks for against a power cut too. Nothing is waited for once `work` has begun.
    pub(super) fn write<T>(
        &self,
        deadline: Deadline,
        work: impl FnOnce(Rows<'_>) -> Result<(T, Changes, Durability), Fault>,
    ) -> Result<T, Error> {
        place::check_process(self.opened_by)?;
        let guard = self.lock.try_write_for(deadline.left());
        let guard = guard.map_err(|error| Error::lock(WRITE, error))?;
        let Some(_guard) = guard else { return Err(self.timeout(WRITE)) };
        if self.has_journal(WRITE)? {
            self.mend_alone(deadline)?;
        }
        let before = self.len().unwrap_or_default();
        let wrote = self.guarded(WRITE, || {
            let file = self.open_to_write(WRITE, deadline)?;
            let (result, changes, durability) = work(Rows::new(file.as_ref(), &self.path))?;
            if !changes.is_empty() {
                self.keep(file, &changes, durability, deadline)?;
                if compact::is_due(before, self.len().unwrap_or_default()) || self.has_draft() {
                    // What is written is kept, whatever comes of this.
                    let _later = self.compact_alone();
                }
            }
            Ok(result)
        });
        wrote.map_err(|fault| if fault.damage { self.set_aside(fault) } else { fault.error })
    }

    /// Rules 2 and 3.
    fn keep(
        &self,
        file: Option<Gdbm>,
        changes: &Changes,
        durability: Durability,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let journal = |error| Fault::io(WRITE, self.journal.path(), error);
        let plan = file.as_ref().map(|file| self.plan(WRITE, file, changes)).transpose()?;
        if let (Some(file), Some(plan)) = (&file, &plan) {
            room::reserve(file, &self.path, &plan.others)?;
        }
        #[cfg(test)]
        self.commits.count();
        let none = Images::default();
        let images = plan.as_ref().map_or(&none, |plan| &plan.images);
        self.journal.write(images, changes, durability).map_err(journal)?;
        let is_new = file.is_none();
        let mut before = Before::new();
        let applied =
            self.guarded(WRITE, || self.apply(file.zip(plan.as_ref()), changes, &mut before));
        let Err(fault) = applied else { return self.journal.clear().map_err(journal) };
        // Nothing is done. If there is a file by now, it is another's, and nothing is to be taken back from it.
        let is_undone = is_new && before.is_empty();
        if is_undone && self.journal.clear().and_then(|()| self.sync_name()).is_ok() {
            return Err(Fault::ours(fault.error));
        }
        // Should this fail as well, whoever comes next does what the journal says.
        let rows = before.into_iter().map(|(key, value)| (key.to_vec(), value)).collect();
        if self.journal.replace(images, &rows, durability).is_ok() {
            let _later = self.mend_alone(deadline);
        }
        // A row that was cut off is in the way of every write to its key, until the file is rebuilt.
        if fault.damage && matches!(self.journal.is_there(), Ok(false)) && self.lacks_rows(deadline)
        {
            let _whoever_reads_it = self.replace();
        }
        Err(Fault::ours(fault.error))
    }

    fn plan<'a>(
        &self,
        operation: &'static str,
        file: &Gdbm,
        changes: &'a Changes,
    ) -> Result<Plan<'a>, Fault> {
        Plan::make(file, &self.path, changes)
            .map_err(|error| Fault::of(operation, &self.path, error))
    }

    /// Does `changes` to the file as it is planned, or makes it if it is absent; `before` gets what was
    /// there.
    fn apply<'a>(
        &self,
        file: Option<(Gdbm, &Plan<'a>)>,
        changes: &'a Changes,
        before: &mut Before<'a>,
    ) -> Result<(), Fault> {
        match file {
            // After a write that found no room all is as it was, most times, and none is needed.
            Some((file, _)) if changes.iter().all(|(key, value)| has(&file, key, value)) => Ok(()),
            Some((file, plan)) => {
                let done = plan.carry_out(file, before);
                done.map_err(|error| Fault::of(WRITE, &self.path, error))
            }
            None if changes.values().all(Option::is_none) => Ok(()),
            None => self.create(changes, before),
        }
    }

    /// Rule 4.
    fn create<'a>(&self, changes: &'a Changes, before: &mut Before<'a>) -> Result<(), Fault> {
        let draft = self.draft();
        let fail = |error| Fault::io(WRITE, &draft, error);
        let at_path = |error| Fault::io(WRITE, &self.path, error);
        // Its directory may have been removed, as that of the file.
        place::make_directory(&place::locks_of(&self.path)).map_err(fail)?;
        absent_is_fine(fs::remove_file(&draft)).map_err(fail)?;
        let block = BlockSize::Roughly(BLOCK_BYTES);
        let made = options().create(true).mode(0o600).block_size(block).open(&draft);
        let fill = |file: Gdbm| Plan::of_new(&file, changes)?.carry_out(file, &mut Before::new());
        made.and_then(fill)
            .map_err(|error| Fault::of(WRITE, &draft, error))
            .and_then(|()| self.put_where_none_is(&draft).map_err(at_path))
            // It would take room on a full disk.
            .inspect_err(|_| drop(fs::remove_file(&draft)))?;
        // Only from here on there is something to be taken back.
        before.extend(changes.keys().map(|key| (&key[..], None)));
        self.sync_name().map_err(at_path)
    }

    /// Gives a new file its name, unless something has come there since it was looked at, which may be the journal of a
    /// store whose journal is to be called so. An empty file is none.
    fn put_where_none_is(&self, draft: &Path) -> io::Result<()> {
        match place::name(draft, &self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.len() == Some(0) => {
                fs::rename(draft, &self.path)
            }
            named => named,
        }
    }

    /// Syncs the file's name, of a new one whatever is configured: it happens once, and all that is acknowledged from then on
    /// is in a file that a power cut must not take the name from.
    fn sync_name(&self) -> io::Result<()> {
        place::sync_directory_of(&self.path)
    }

    /// Gives back what space of the file is free, if it is most of it. If it cannot be done the file stays as
    /// it is.
    pub(super) fn compact(&self, deadline: Deadline) -> Result<(), Error> {
        place::check_process(self.opened_by)?;
        if !self.has_draft() && !self.len().is_some_and(compact::may_be) {
            return Ok(());
        }
        let guard = self.lock.try_write_for(deadline.left());
        let guard = guard.map_err(|error| Error::lock(WRITE, error))?;
        let Some(_guard) = guard else { return Err(self.timeout(WRITE)) };
        if self.has_journal(WRITE)? {
            self.mend_alone(deadline)?;
        }
        let _later = self.compact_alone();
        Ok(())
    }

    /// Rule 7. The lock is held alone, and there is no journal.
    fn compact_alone(&self) -> Result<(), Fault> {
        let draft = self.draft();
        let compacted = self.guarded(WRITE, || {
            // Another program that has it open has it for as long as it likes.
            let file = self.open_to_write(WRITE, Deadline::after(Duration::ZERO))?;
            let Some(file) = file else { return Ok(()) };
            let driver = |error| Fault::of(WRITE, &self.path, error);
            let fail = |error| Fault::io(WRITE, &self.path, error);
            let is_worth_it = compact::is_worth_it(&file, self.len().unwrap_or_default());
            if !is_worth_it.map_err(driver)?
                || !compact::can_be_replaced(&self.path).map_err(fail)?
            {
                return Ok(());
            }
            compact::copy(&file, &self.path, &draft, &mut options()).map_err(driver)?;
            self.put_in_place_of_another(&draft).map_err(fail)
        });
        // What is still there was not finished, by this process or by one that was killed.
        let removed = absent_is_fine(fs::remove_file(&draft));
        compacted.and(removed.map_err(|error| Fault::io(WRITE, &draft, error)))
    }

    /// Where a file is written before it gets its name: no other store's file is there.
    fn draft(&self) -> PathBuf {
        place::locks_of(&self.path).join("draft")
    }

    /// Whether somebody was killed before a file got its name.
    fn has_draft(&self) -> bool {
        fs::symlink_metadata(self.draft()).is_ok()
    }

    /// Gives a new file the name of another one. No journal of that comes back after a power cut, whose parts would be
    /// put into the new one.
    fn put_in_place_of_another(&self, draft: &Path) -> io::Result<()> {
        place::sync_directory_of(&self.path)?;
        fs::rename(draft, &self.path)?;
        self.sync_name()
    }

    fn open_to_read(
        &self,
        operation: &'static str,
        deadline: Deadline,
    ) -> Result<Option<Gdbm>, Fault> {
        self.open(operation, &mut options(), deadline)
    }

    fn open_to_write(
        &self,
        operation: &'static str,
        deadline: Deadline,
    ) -> Result<Option<Gdbm>, Fault> {
        self.open(operation, options().write(true), deadline)
    }

    /// `None` if there is no file, or nothing in it.
    fn open(
        &self,
        operation: &'static str,
        how: &mut OpenOptions,
        deadline: Deadline,
    ) -> Result<Option<Gdbm>, Fault> {
        loop {
            match fs::metadata(&self.path) {
                Ok(metadata) if metadata.len() == 0 => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Fault::io(operation, &self.path, error)),
            }
            let before = place::id_of(&self.path).ok();
            let opened = how.lock_wait(deadline.left()).open(&self.path);
            // While the lock was waited for, who reorganized the file put another one in its place.
            if place::id_of(&self.path).ok() == before {
                return opened.map(Some).map_err(|error| Fault::of(operation, &self.path, error));
            }
            if deadline.left().is_zero() {
                return Err(Fault::ours(self.timeout(operation)));
            }
        }
    }

    /// Calls gdbm-native, and makes a panic in it a fault.
    fn guarded<T>(
        &self,
        operation: &'static str,
        call: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        // What a panic leaves half done is opened anew, and mended.
        catch_unwind(AssertUnwindSafe(call))
            .unwrap_or_else(|_: Box<dyn Any + Send>| Err(Fault::panic(operation, &self.path)))
    }

    fn has_journal(&self, operation: &'static str) -> Result<bool, Error> {
        self.journal.is_there().map_err(|error| Error::io(operation, self.journal.path(), error))
    }

    /// Others kept the lock for too long.
    #[cold]
    pub(super) fn timeout(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::Timeout, operation).with_detail(format!(
            "others hold {} for too long; see whether a process is stopped",
            self.path.display()
        ))
    }

    #[cold]
    fn restless(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::Unavailable, operation)
            .with_detail(format!("writers of {} are killed again and again", self.path.display()))
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.cachesize(CACHE_BYTES);
    options
}

/// Whether `value` is what is under `key`.
fn has(file: &Gdbm, key: &[u8], value: &Option<Bytes>) -> bool {
    let found: gdbm_native::Result<Option<Vec<u8>>> = file.get(key);
    found.is_ok_and(|found| found.as_deref() == value.as_deref())
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
