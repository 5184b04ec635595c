use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::OFlags;

use crate::{
    Error,
    filesystem::NetworkPolicy,
    lock_file::{self, LockFile},
    request::{Access, Wait},
};

/// The host-wide right to create one thing, as a lock on a file of its own.
///
/// One caller on the host holds it at a time: threads exclude each other as processes do. The file
/// is there only while somebody holds or waits, and what a killed holder leaves is free at once and
/// is taken over or removed by the next. Not re-entrant: a thread that holds it and asks again waits
/// for itself.
///
/// Name the file as [`lock_path`](crate::lock_path) does, or at least with 32 hexadecimal digits and
/// the extension `lock`: that is what [`clean`](crate::clean) recognises.
///
/// # Concurrency
///
/// Waiters of [`lock`](Self::lock) are woken by the kernel; those of
/// [`try_lock_for`](Self::try_lock_for) look every millisecond at the latest. Neither is in order.
///
/// # Examples
///
/// ```
/// use beaker_sync::{CreationLock, lock_path};
/// # let dir = tempfile::tempdir()?;
/// let creation = CreationLock::at(lock_path(dir.path(), "report"));
/// let guard = creation.lock()?;
/// assert!(creation.try_lock()?.is_none());
/// // … somebody removes what is being made, and says so:
/// assert!(creation.supersede()?);
/// assert!(guard.is_superseded()?);
/// drop(guard);
/// assert!(!creation.path().exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CreationLock {
    path: PathBuf,
    network: NetworkPolicy,
}

impl CreationLock {
    /// The lock on the file at `path`. Nothing is touched before it is used.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), network: NetworkPolicy::default() }
    }

    /// What to do on a network file system. Default: [`NetworkPolicy::Refuse`].
    #[must_use]
    pub fn network(mut self, policy: NetworkPolicy) -> Self {
        self.network = policy;
        self
    }

    /// The lock file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until the right is free, then holds it.
    ///
    /// # Errors
    ///
    /// The file cannot be made, opened or locked: see [`ErrorKind`](crate::ErrorKind).
    pub fn lock(&self) -> Result<CreationGuard, Error> {
        loop {
            // A wait without a limit never ends with `None`.
            if let Some(guard) = self.acquire(Wait::Forever)? {
                return Ok(guard);
            }
        }
    }

    /// Takes the right if it is free now; `None` if somebody has it.
    ///
    /// Never waits. For the few microseconds in which somebody examines or cleans the file
    /// ([`lock_state`](crate::lock_state), `clean`), a free lock looks taken.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<CreationGuard>, Error> {
        self.acquire(Wait::Never)
    }

    /// Waits at most `timeout` for the right; `None` when time is up.
    ///
    /// Zero behaves like [`try_lock`](Self::try_lock); a time too long to count is for ever.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    pub fn try_lock_for(&self, timeout: Duration) -> Result<Option<CreationGuard>, Error> {
        self.acquire(Wait::at_most(timeout))
    }

    /// Tells whoever holds the right that what is being created is already out of date.
    ///
    /// Does not take the lock and never waits. `false` if there is no lock file: then nothing is
    /// being created. The mark is seen by [`CreationGuard::is_superseded`] and lasts as long as the
    /// guard.
    ///
    /// # Concurrency
    ///
    /// A holder that asks, then publishes, can be overtaken in between. Make "remove the old thing
    /// and supersede" and "ask and publish" exclude each other by a short lock of your own.
    ///
    /// # Errors
    ///
    /// The file is there but cannot be written.
    pub fn supersede(&self) -> Result<bool, Error> {
        let Some(file) = lock_file::open_existing(&self.path, OFlags::WRONLY)? else {
            return Ok(false);
        };
        // One mark is enough, however often the thing is removed while it is being made. A length
        // takes no space on a full disk.
        file.set_len(1).map_err(|e| Error::io("cannot mark", &self.path, e))?;
        Ok(true)
    }

    fn acquire(&self, wait: Wait) -> Result<Option<CreationGuard>, Error> {
        let Some(file) = LockFile::acquire(&self.path, Access::Exclusive, wait, self.network)?
        else {
            return Ok(None);
        };
        let guard = CreationGuard { file: Some(file) };
        guard.forget_earlier_marks()?;
        Ok(Some(guard))
    }
}

/// Proof that the holder alone may create one thing; dropping it removes the file and frees the lock.
///
/// [`Send`]: another thread may finish the work.
#[must_use = "the right is given up as soon as the guard is dropped"]
#[derive(Debug)]
pub struct CreationGuard {
    /// Present until the drop.
    file: Option<LockFile>,
}

impl CreationGuard {
    /// Whether [`CreationLock::supersede`] was called since this guard began, or the lock file was
    /// taken away by somebody who did not hold it, so that no such call could reach this guard.
    ///
    /// # Errors
    ///
    /// The operating system does not tell the length or the place of the file.
    pub fn is_superseded(&self) -> Result<bool, Error> {
        match &self.file {
            Some(file) => Ok(file.len()? > 0 || !file.is_current()?),
            None => Ok(false),
        }
    }

    /// Empties what marks of an earlier, killed holder left.
    fn forget_earlier_marks(&self) -> Result<(), Error> {
        match &self.file {
            Some(file) if file.len()? > 0 => file.truncate(),
            _ => Ok(()),
        }
    }
}

impl Drop for CreationGuard {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // A file that cannot be removed is free all the same, and the next holder's to remove.
            let _ = file.remove();
        }
    }
}
