use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::{Error, ErrorKind};
use parking_lot::{Mutex, MutexGuard};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// The first pause of a wait for another process.
const FIRST_PAUSE: Duration = Duration::from_micros(30);

/// The longest pause; it bounds how late a freed lock is noticed.
const LONGEST_PAUSE: Duration = Duration::from_micros(500);

/// The lock around each write transaction: first among this process's threads, then, by `flock`,
/// among processes.
///
/// SQLite's own lock would do, but a wait for it has no order and was seen to last seconds. This one
/// is for order and limits alone: what is right in the database does not depend on it, so nobody
/// minds if somebody removes its file.
#[derive(Debug)]
pub(super) struct WriterLock {
    file: Mutex<File>,
    path: PathBuf,
    timeout: Duration,
}

impl WriterLock {
    /// The lock on the file at `path`, which is made, with its directory, if it is absent.
    pub(super) fn open(path: PathBuf, timeout: Duration) -> Result<Self, Error> {
        let file =
            create(&path).map_err(|error| Error::io("open the SQLite store", &path, error))?;
        Ok(Self { file: Mutex::new(file), path, timeout })
    }

    /// Waits for the lock, at most as long as configured.
    pub(super) fn lock(&self, operation: &'static str) -> Result<WriterGuard<'_>, Error> {
        let began = Instant::now();
        let Some(file) = self.file.try_lock_for(self.timeout) else {
            return Err(self.timed_out(operation, "a thread of this process"));
        };
        if self.flock(&file, operation)? {
            return Ok(WriterGuard { file });
        }
        let mut pause = FIRST_PAUSE;
        loop {
            let left = self.timeout.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(self.timed_out(operation, "another process"));
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(LONGEST_PAUSE);
            if self.flock(&file, operation)? {
                return Ok(WriterGuard { file });
            }
        }
    }

    /// The lock, if it is free now.
    pub(super) fn try_lock(
        &self,
        operation: &'static str,
    ) -> Result<Option<WriterGuard<'_>>, Error> {
        let Some(file) = self.file.try_lock() else { return Ok(None) };
        Ok(self.flock(&file, operation)?.then_some(WriterGuard { file }))
    }

    fn flock(&self, file: &File, operation: &'static str) -> Result<bool, Error> {
        let lock = || rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive);
        match rustix::io::retry_on_intr(lock) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(Error::io(operation, &self.path, error.into())),
        }
    }

    #[cold]
    fn timed_out(&self, operation: &'static str, holder: &str) -> Error {
        Error::new(ErrorKind::Timeout, operation).with_detail(format!(
            "{holder} holds {} for too long; see whether it is stopped",
            self.path.display()
        ))
    }
}

/// Proof that nobody else writes; dropping it lets the next one in.
#[must_use = "the lock is freed as soon as the guard is dropped"]
#[derive(Debug)]
pub(super) struct WriterGuard<'a> {
    file: MutexGuard<'a, File>,
}

impl Drop for WriterGuard<'_> {
    fn drop(&mut self) {
        // An unlock and not a close, for the sake of children that share the open file. It cannot
        // fail for a descriptor that is open.
        let _ =
            rustix::io::retry_on_intr(|| rustix::fs::flock(&*self.file, FlockOperation::Unlock));
    }
}

fn create(path: &Path) -> std::io::Result<File> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_writes_keeps_the_others_out_for_their_timeout() {
        let dir = tempfile::tempdir().unwrap();
        let limit = Duration::from_millis(20);
        let lock = WriterLock::open(dir.path().join("locks/writer.lock"), limit).unwrap();
        let guard = lock.lock("write").unwrap();
        assert!(lock.try_lock("write").unwrap().is_none());
        thread::scope(|scope| {
            let waiter = scope.spawn(|| lock.lock("write").unwrap_err());
            assert_eq!(waiter.join().unwrap().kind(), ErrorKind::Timeout);
        });
        drop(guard);
        assert!(lock.try_lock("write").unwrap().is_some());
    }

    #[test]
    fn another_process_is_kept_out_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("writer.lock");
        let open = || WriterLock::open(path.clone(), Duration::from_millis(20)).unwrap();
        let (ours, theirs) = (open(), open());
        let guard = ours.lock("write").unwrap();
        let error = theirs.lock("write").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("another process holds"), "{error}");
        drop(guard);
        assert!(theirs.lock("write").is_ok());
    }

    #[test]
    fn a_timeout_of_zero_takes_what_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let lock = WriterLock::open(dir.path().join("writer.lock"), Duration::ZERO).unwrap();
        assert!(lock.lock("write").is_ok());
    }
}
