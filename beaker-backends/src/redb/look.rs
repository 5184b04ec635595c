//! The look through a shared file that nobody has open, though it says that somebody has: whoever had it last was
//! killed.
//
// redb does so by itself where one process has a file, but not where they share it. Over a damaged list of free pages
// it would panic there, and panic again while it unwinds, which ends the process; and a damaged place of a page may
// lead to what was there before. So:
// 1. Who is the first in its process to open the file looks. Who opens it anew after an error of the disk does not:
//    what was left open is its own.
// 2. Who looks has a lock, and the file alone. The others wait for the lock, and are told why if it takes too long;
//    if the one who looks is killed, the next one does.
// 3. How long a look takes is nobody's wait: it is in no limit.

use std::time::Duration;

use beaker_namespace::{Error, ErrorKind};
use beaker_sync::CreationGuard;
use redb::{Builder, DatabaseError, StorageError};

use super::backend;
use super::database::File;
use super::error::{Fault, Remedy};
use super::opening::is_absent;
use crate::place::id_of;

/// The name of the lock.
const LOOK: &str = "look through";

impl File {
    /// Looks through the file if it was left open, and sets it aside if it is damaged.
    pub(super) fn look_through(&self, operation: &'static str) -> Result<(), Error> {
        if !self.settings.shared || !self.was_left_open() {
            return Ok(());
        }
        let _alone = self.look_alone(operation)?;
        let id = id_of(&self.path).ok();
        match self.guarded(operation, || self.look(operation)) {
            Err(fault) if fault.remedy == Remedy::SetAside => {
                id.map_or(Ok(()), |id| self.move_away(id))
            }
            looked => looked.map_err(|fault| fault.error),
        }
    }

    /// What hinders this is in the way of who opens the file, too, and he says so.
    fn was_left_open(&self) -> bool {
        backend::was_left_open(&self.path).unwrap_or(false)
    }

    fn look_alone(&self, operation: &'static str) -> Result<CreationGuard, Error> {
        let guard = self.lock(LOOK, self.settings.common.lock_timeout, operation)?;
        guard.ok_or_else(|| self.looked_through(operation))
    }

    /// Whether somebody looks through it now.
    pub(super) fn is_looked_through(&self, operation: &'static str) -> bool {
        matches!(self.lock(LOOK, Duration::ZERO, operation), Ok(None))
    }

    fn look(&self, operation: &'static str) -> Result<(), Fault> {
        // Whoever was waited for may have done it.
        if !self.was_left_open() {
            return Ok(());
        }
        let mut builder = Builder::new();
        builder.set_cache_size(self.settings.cache_bytes);
        let looked = backend::open(&builder, &self.path, false)
            .and_then(|(mut database, _)| database.check_integrity());
        let error = match looked {
            Ok(true) => return Ok(()),
            Ok(false) => StorageError::Corrupted("a page is not what was written".into()).into(),
            // Somebody has it open indeed.
            Err(DatabaseError::DatabaseAlreadyOpen) => return Ok(()),
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => error,
        };
        Err(Fault::of(operation, &self.path, error))
    }

    /// Another process looks through it for longer than this one waits.
    #[cold]
    pub(super) fn looked_through(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::Timeout, operation).with_detail(format!(
            "another process looks through {}, since the one that had it last was killed, which takes about as long as \
             to read it; try again",
            self.path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::config::{RedbConfig, Settings};
    use super::super::database::Access;
    use super::*;

    /// Those of a process that waits for a moment only.
    fn impatient(path: &Path) -> Settings {
        RedbConfig::new(path).shared(true).lock_timeout(Duration::from_millis(50)).settings
    }

    fn outcome<T>(result: Result<T, Error>) -> Result<(), (ErrorKind, bool)> {
        let looks = |error: &Error| error.to_string().contains("another process looks through");
        result.map(drop).map_err(|error| (error.kind(), looks(&error)))
    }

    /// What comes of it to open the file at `path`, as another process would.
    fn opened(path: &Path) -> Result<(), (ErrorKind, bool)> {
        outcome(File::open(path, impatient(path)))
    }

    fn used(file: &File) -> Result<(), (ErrorKind, bool)> {
        outcome(file.work("write", Access::Write, |_| Ok(())))
    }

    /// A file that an error of the disk has closed.
    fn failed(path: &Path) -> File {
        let file = File::open(path, impatient(path)).unwrap();
        let fault = || Fault::of("write", path, redb::Error::PreviousIo);
        file.work("write", Access::Write, |_| Err::<(), _>(fault())).unwrap_err();
        assert!(!file.was_left_open());
        file
    }

    #[test]
    fn who_waits_too_long_for_the_look_of_another_process_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.redb");
        // It says that it is open, as one whose process was killed.
        let other = File::open(&path, impatient(&path)).unwrap();
        assert!(other.was_left_open());
        let looks = other.look_alone("look").unwrap();
        assert_eq!(opened(&path), Err((ErrorKind::Timeout, true)));
        drop(looks);
        assert_eq!(opened(&path), Ok(()), "the control");
    }

    #[test]
    fn a_process_that_does_not_share_the_file_is_told_from_one_that_looks_through_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.redb");
        let file = failed(&path);
        let alone = backend::open(&Builder::new(), &path, false).unwrap();
        assert_eq!(used(&file), Err((ErrorKind::Config, false)));
        assert_eq!(opened(&path), Err((ErrorKind::Config, false)));
        let looks = file.look_alone("look").unwrap();
        assert_eq!(used(&file), Err((ErrorKind::Timeout, true)));
        drop((looks, alone));
        assert_eq!(used(&file), Ok(()), "the control");
    }

    #[test]
    fn who_opens_the_file_anew_after_an_error_of_the_disk_does_not_look_through_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.redb");
        let file = failed(&path);
        // As one that could not be closed as it should.
        let mut bytes = fs::read(&path).unwrap();
        bytes[9] |= 2;
        fs::write(&path, bytes).unwrap();
        assert!(file.was_left_open());
        let looks = file.look_alone("look").unwrap();
        assert_eq!(opened(&path), Err((ErrorKind::Timeout, true)), "the control: it would look");
        assert_eq!(used(&file), Ok(()));
        drop(looks);
    }
}
