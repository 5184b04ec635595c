use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use beaker_namespace::{Error, ErrorKind};
use parking_lot::Mutex;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::writers::{self, unlock};
use crate::boot;

/// How long to wait between two looks at a lock that another process has.
const PAUSE: Duration = Duration::from_millis(1);

/// How long to wait for it at least. Whoever opens the database has it alone for an instant, and those who wait for
/// nobody are not to fail for that.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// Says to the other processes that this one has the database open, by a shared lock on a file. Who has
/// it alone knows that no other process of this program is there, nor comes.
#[derive(Debug)]
pub(super) struct Presence {
    file: Mutex<File>,
    path: PathBuf,
    timeout: Duration,
}

impl Presence {
    /// Comes in, as soon as nobody is there alone. The file at `path` is made if it is absent.
    pub(super) fn enter(path: PathBuf, timeout: Duration) -> Result<Self, Error> {
        let file = entered(&path, timeout)?;
        Ok(Self { file: Mutex::new(file), path, timeout })
    }

    /// Comes in again, where the file may be another one now. The caller has nothing open.
    pub(super) fn enter_again(&self) -> Result<(), Error> {
        let mut file = self.file.lock();
        unlock(&file);
        *file = entered(&self.path, self.timeout)?;
        Ok(())
    }

    /// Runs `work` if no other process is there, and while none comes; the caller has nothing open.
    pub(super) fn alone<T>(&self, work: impl FnOnce() -> T) -> Result<Option<T>, Error> {
        let file = self.file.lock();
        // An attempt in vain may lose the shared lock too: so it is taken again in every case.
        let alone = flock(&file, &self.path, FlockOperation::NonBlockingLockExclusive)?;
        let done = alone.then(work);
        wait(&file, &self.path, self.timeout)?;
        Ok(done)
    }

    /// Whether the last one that noted it did so since this computer was started, as far as it is known.
    pub(super) fn is_of_this_boot(&self) -> bool {
        let Some(boot) = boot::id() else { return false };
        let mut noted = [0; boot::ID_BYTES];
        let read = self.file.lock().read_at(&mut noted, 0);
        read.is_ok_and(|read| read == boot::ID_BYTES) && noted == boot
    }

    /// Notes that the database was opened since this computer was started. What goes wrong is only not known.
    pub(super) fn note_boot(&self) {
        if let Some(boot) = boot::id().filter(|_| !self.is_of_this_boot()) {
            let _unknown = self.file.lock().write_all_at(&boot, 0);
        }
    }

    /// Goes out; in a process that was forked from the one which came in, it is not to.
    pub(super) fn leave(&mut self) {
        unlock(self.file.get_mut());
    }
}

fn entered(path: &Path, timeout: Duration) -> Result<File, Error> {
    let file = writers::create(path).map_err(|error| Error::io(OPERATION, path, error))?;
    wait(&file, path, timeout)?;
    Ok(file)
}

const OPERATION: &str = "open the SQLite store";

/// Takes the lock shared. Who has it alone, to see whether it is, or to set a damaged database aside, keeps it for a
/// moment.
fn wait(file: &File, path: &Path, timeout: Duration) -> Result<(), Error> {
    let began = Instant::now();
    while !flock(file, path, FlockOperation::NonBlockingLockShared)? {
        if began.elapsed() >= timeout.max(SHORTEST_WAIT) {
            return Err(Error::new(ErrorKind::Timeout, OPERATION).with_detail(format!(
                "another process has {} for too long; see whether it is stopped",
                path.display()
            )));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn flock(file: &File, path: &Path, operation: FlockOperation) -> Result<bool, Error> {
    match rustix::io::retry_on_intr(|| rustix::fs::flock(file, operation)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(Error::io(OPERATION, path, error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn nobody_is_alone_beside_another_and_both_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.lock");
        let one = Presence::enter(path.clone(), LONG).unwrap();
        assert_eq!(one.alone(|| 1).unwrap(), Some(1), "the control");
        let mut other = Presence::enter(path.clone(), LONG).unwrap();
        assert_eq!(one.alone(|| 1).unwrap(), None);
        assert_eq!(other.alone(|| 2).unwrap(), None);
        other.leave();
        assert_eq!(one.alone(|| 1).unwrap(), Some(1));
    }

    #[test]
    fn a_boot_that_was_noted_is_known_by_all_and_another_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.lock");
        let one = Presence::enter(path.clone(), LONG).unwrap();
        assert!(!one.is_of_this_boot());
        one.note_boot();
        let other = Presence::enter(path.clone(), LONG).unwrap();
        assert!(one.is_of_this_boot() && other.is_of_this_boot());
        std::fs::write(&path, "8c3a5b2e-0000-4000-8000-2f6d1f7c9b11").unwrap();
        assert!(!one.is_of_this_boot());
        other.note_boot();
        assert!(one.is_of_this_boot());
    }

    #[test]
    fn nobody_comes_while_somebody_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.lock");
        let one = Presence::enter(path.clone(), LONG).unwrap();
        let came = one.alone(|| Presence::enter(path.clone(), Duration::from_millis(10))).unwrap();
        assert_eq!(came.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
        Presence::enter(path, Duration::from_millis(10)).expect("the control");
    }

    #[test]
    fn who_is_to_wait_for_nobody_waits_for_who_has_it_for_an_instant() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.lock");
        let one = Presence::enter(path.clone(), LONG).unwrap();
        for timeout in [Duration::ZERO, Duration::from_millis(10)] {
            let began = Instant::now();
            let came = one.alone(|| Presence::enter(path.clone(), timeout)).unwrap();
            let waited = began.elapsed();
            assert_eq!(came.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
            assert!(
                waited >= Duration::from_millis(50),
                "{timeout:?}: it gave up after {waited:?}"
            );
        }
    }
}
