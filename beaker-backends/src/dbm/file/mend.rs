//! What a killed writer or damage has left, and what becomes of it: rules 2, 5 and 8 of file.rs.

use std::fs;
use std::io;

use beaker_namespace::{Durability, Error, ErrorKind};
use bytes::Bytes;
use gdbm_native::Gdbm;

use super::{File, absent_is_fine, options};
use crate::dbm::deadline::Deadline;
use crate::dbm::error::Fault;
use crate::dbm::images::Images;
use crate::dbm::journal::Found;
use crate::dbm::plan::Before;
use crate::dbm::rows::Changes;
use crate::place;

const MEND: &str = "mend the store";

impl File {
    /// Ends what a killed writer began.
    pub(super) fn mend(&self, deadline: Deadline) -> Result<(), Error> {
        let guard = self.lock.try_write_for(deadline.left());
        let guard = guard.map_err(|error| Error::lock(MEND, error))?;
        let Some(_guard) = guard else { return Err(self.timeout(MEND)) };
        self.mend_alone(deadline)
    }

    pub(super) fn mend_alone(&self, deadline: Deadline) -> Result<(), Error> {
        let fail = |error| Error::io(MEND, self.journal.path(), error);
        let (images, rows) = match self.journal.read().map_err(fail)? {
            Found::Nothing => return Ok(()),
            Found::Write(images, rows) => (images, rows),
            Found::Spoilt => Default::default(),
            Found::Newer => return Err(self.journal.newer(MEND)),
            Found::Store => return Err(self.journal.store(MEND)),
        };
        images.restore(&self.path).map_err(|error| Error::io(MEND, &self.path, error))?;
        let mended = self.guarded(MEND, || {
            if !self.is_sound(deadline)? {
                self.forget_parts(&rows)?;
                self.replace()?;
            }
            let file = self.open_to_write(MEND, deadline)?;
            let plan = file.as_ref().map(|file| self.plan(MEND, file, &rows)).transpose()?;
            self.apply(file.zip(plan.as_ref()), &rows, &mut Before::new())
        });
        mended.map_err(|fault| fault.error)?;
        // The killed one may have written all of it, and synced nothing.
        self.sync().map_err(|error| Error::io(MEND, &self.path, error))?;
        self.journal.clear().map_err(fail)
    }

    /// Leaves the rows in the journal only, so that the parts of this file, which are back in it, are not put into
    /// the one that takes its place if this process is killed in between.
    fn forget_parts(&self, rows: &Changes) -> Result<(), Fault> {
        self.sync().map_err(|error| Fault::io(MEND, &self.path, error))?;
        self.journal
            .replace(&Images::default(), rows, Durability::Durable)
            .map_err(|error| Fault::io(MEND, self.journal.path(), error))
    }

    fn sync(&self) -> io::Result<()> {
        absent_is_fine(fs::File::open(&self.path).and_then(|file| file.sync_data()))
    }

    /// Whether all parts of the file fit together.
    fn is_sound(&self, deadline: Deadline) -> Result<bool, Fault> {
        let verified = self.guarded(MEND, || {
            let Some(file) = self.open_to_read(MEND, deadline)? else { return Ok(()) };
            file.verify().map(drop).map_err(|error| Fault::of(MEND, &self.path, error))
        });
        match verified {
            Ok(()) => Ok(true),
            Err(fault) if fault.damage => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Rebuilds the file or, if that cannot be, sets it aside.
    pub(super) fn replace(&self) -> Result<(), Fault> {
        match self.guarded(MEND, || self.rebuild()) {
            Err(fault) if fault.damage => self.move_away().map_err(Fault::ours),
            // A full disk, for one, says nothing of the file.
            rebuilt => rebuilt,
        }
    }

    /// Puts a new file, with all that can be read of this one, in its place.
    fn rebuild(&self) -> Result<(), Fault> {
        let draft = self.draft();
        let fail = |error| Fault::io(MEND, &draft, error);
        let driver = |error| Fault::of(MEND, &draft, error);
        let rebuilt = || {
            let copied = fs::File::open(&self.path)
                .and_then(|mut damaged| io::copy(&mut damaged, &mut place::new_file(&draft)?));
            copied.map_err(fail)?;
            let mut options = options();
            let mut file = options.write(true).open(&draft).map_err(driver)?;
            file.recover(false).map_err(driver)?;
            for (key, value) in self.outdated(&file)? {
                let replaced = match value {
                    Some(value) => file.insert(&key, &value[..]).map(drop),
                    None => file.remove(&key).map(drop),
                };
                replaced.map_err(driver)?;
            }
            file.close().map_err(driver)?;
            self.put_in_place_of_another(&draft).map_err(fail)
        };
        rebuilt().inspect_err(|_| drop(fs::remove_file(&draft)))
    }

    /// The rows of `rebuilt` that a look-up in this file does not find, or that it finds with another value, which is
    /// here: buckets may still lead to what was there before a key was removed or written again. What cannot be looked
    /// up is not among them.
    fn outdated(&self, rebuilt: &Gdbm) -> Result<Changes, Fault> {
        let fail = |error| Fault::of(MEND, &self.path, error);
        // Nobody else changes it: our lock is held alone, and another program's would be in the way for no good.
        let damaged = options().lock(false).open(&self.path).map_err(fail)?;
        let mut outdated = Changes::new();
        for row in rebuilt.iter::<Vec<u8>, Vec<u8>>() {
            let (key, value) = row.map_err(fail)?;
            let found = self.guarded(MEND, || damaged.get::<_, Vec<u8>>(&key).map_err(fail));
            match found {
                Ok(found) if found.as_ref() != Some(&value) => {
                    outdated.insert(key, found.map(Bytes::from));
                }
                _ => {}
            }
        }
        Ok(outdated)
    }

    /// Sets the file aside if it is damaged, and says what was wrong.
    pub(super) fn heal(&self, fault: Fault, deadline: Deadline) -> Error {
        if !fault.damage {
            return fault.error;
        }
        let Ok(Some(_guard)) = self.lock.try_write_for(deadline.left()) else {
            return fault.error;
        };
        // Somebody may have been killed meanwhile, and what he left is mended first.
        if !matches!(self.journal.is_there(), Ok(false)) {
            return fault.error;
        }
        // Or have done it.
        match self.is_sound(deadline) {
            Ok(false) => self.set_aside(fault),
            Ok(true) if self.lacks_rows(deadline) => match self.replace() {
                Ok(()) => Error::new(ErrorKind::Corrupt, fault.error.operation())
                    .with_detail(format!(
                        "{} was damaged, and is rebuilt from what could be read",
                        self.path.display()
                    ))
                    .with_source(fault.error),
                Err(again) => again.error,
            },
            _ => fault.error,
        }
    }

    /// Whether rows cannot be read though all that leads to them fits together: they were cut off.
    pub(super) fn lacks_rows(&self, deadline: Deadline) -> bool {
        let read = self.guarded(MEND, || {
            let driver = |error| Fault::of(MEND, &self.path, error);
            let Some(file) = self.open_to_read(MEND, deadline)? else { return Ok(()) };
            for key in file.keys::<Vec<u8>>() {
                let _value: Option<Vec<u8>> =
                    file.get(&key.map_err(driver)?[..]).map_err(driver)?;
            }
            Ok(())
        });
        read.is_err_and(|fault| fault.damage)
    }

    /// Rule 5. The lock is held alone.
    pub(super) fn set_aside(&self, fault: Fault) -> Error {
        match self.move_away() {
            Ok(()) => Error::new(ErrorKind::Corrupt, fault.error.operation())
                .with_detail(format!("{} is damaged, and is set aside", self.path.display()))
                .with_source(fault.error),
            // The next call meets it again.
            Err(error) => error,
        }
    }

    fn move_away(&self) -> Result<(), Error> {
        absent_is_fine(place::set_aside(&self.path).map(drop))
            .map_err(|error| Error::io("set a damaged file aside", &self.path, error))
    }
}
