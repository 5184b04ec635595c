mod file;
mod gate;
mod guard;
mod options;
mod process;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use self::{
    file::FileLock,
    guard::Hold,
    process::{Entry, ProcessLock},
};
pub use self::{
    guard::{ReadGuard, WriteGuard},
    options::{FileSynchronizerOptions, Preference, Retention},
};
use crate::{
    Error, ErrorKind, lock_file,
    primitive::Arc,
    registry::{Registered, Registry},
    request::{Access, Wait},
};

type ProcessLocks = Registry<Box<str>, ProcessLock>;
type FileLocks = Registry<PathBuf, FileLock>;

static PROCESS_LOCKS: LazyLock<Arc<ProcessLocks>> = LazyLock::new(|| Arc::new(ProcessLocks::new()));
static FILE_LOCKS: LazyLock<Arc<FileLocks>> = LazyLock::new(|| Arc::new(FileLocks::new()));

/// Many readers or one writer, among the threads of this process or of all processes of this host.
///
/// Three kinds have one face: [`in_process`](Self::in_process) (and [`anonymous`](Self::anonymous)),
/// [`file`](Self::file), and [`null`](Self::null), which keeps nobody out.
///
/// A synchronizer is found by its identifier: asking again, while an earlier one is in use, gives
/// the same one. The kinds are independent, and so are files in different lock directories. An
/// identifier that nobody uses any more is forgotten.
///
/// A thread that reads may read again, and one that writes may write again; it leaves with the last
/// of its guards. Asking for the other access than the one it has is an error, not a wait: the
/// thread would wait for itself.
///
/// # Concurrency
///
/// A writer that waits keeps new readers out, those of other processes too, so that overlapping
/// readers cannot keep it waiting for ever; writers that follow each other closely can so keep
/// readers waiting. There is no order otherwise. Python's Beaker, and whoever chooses
/// [`Preference::Nobody`], neither keeps readers out by waiting nor is kept out.
///
/// A process that dies frees what it held; one that is stopped keeps it, and while it is stopped
/// in a wait to write, new readers wait as well: bound the waits by the `_for` calls.
///
/// A thread that holds one synchronizer and waits for a second waits for the writers that wait there
/// as well: whoever takes several, to read too, takes them in one order.
///
/// A guard that is leaked (`mem::forget`) is held for ever, and so is its thread's access: forget
/// none.
///
/// # Examples
///
/// ```
/// use beaker_sync::{ErrorKind, Synchronizer};
/// # let dir = tempfile::tempdir()?;
/// let namespace = Synchronizer::file("namespace", dir.path())?;
/// let reading = namespace.read()?;
/// let nested = namespace.read()?;
/// assert_eq!(namespace.write().unwrap_err().kind(), ErrorKind::Upgrade);
/// drop((reading, nested));
/// let writing = namespace.write()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Synchronizer {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Process(Registered<Box<str>, ProcessLock>),
    Anonymous(Arc<ProcessLock>),
    File(Registered<PathBuf, FileLock>),
    Null,
}

impl Synchronizer {
    /// The synchronizer of this process's threads that is called `identifier`.
    pub fn in_process(identifier: &str) -> Self {
        let lock = Registry::get_or_insert_with(&PROCESS_LOCKS, identifier, ProcessLock::new);
        Self { kind: Kind::Process(lock) }
    }

    /// A synchronizer of this process's threads without a name; only its clones are the same.
    pub fn anonymous() -> Self {
        Self { kind: Kind::Anonymous(Arc::new(ProcessLock::new())) }
    }

    /// A synchronizer that lets everybody pass, whatever is asked.
    pub fn null() -> Self {
        Self { kind: Kind::Null }
    }

    /// The synchronizer of all processes of this host on
    /// [`lock_path`](crate::lock_path)`(lock_dir, identifier)`.
    ///
    /// `lock_dir` is made if it is absent, for this user alone, and made again if it vanishes. There
    /// is no default: in the temporary directory, which all users share, others could make and hold
    /// the files, whose names can be foreseen. Choose a directory that others cannot write.
    ///
    /// With the last handle of this process the file goes, unless [`Retention::Keep`] is asked for.
    ///
    /// # Errors
    ///
    /// The directory cannot be made, or the identifier is in use with other options
    /// ([`ErrorKind::Conflict`]).
    pub fn file(identifier: &str, lock_dir: impl AsRef<Path>) -> Result<Self, Error> {
        FileSynchronizerOptions::new().open(identifier, lock_dir)
    }

    fn file_with(
        identifier: &str,
        lock_dir: &Path,
        options: FileSynchronizerOptions,
    ) -> Result<Self, Error> {
        lock_file::create_dir(lock_dir)?;
        // One directory has one name, however it was written.
        let dir = fs::canonicalize(lock_dir)
            .map_err(|e| Error::io("cannot resolve lock directory", lock_dir, e))?;
        let path = lock_file::lock_path(dir, identifier);
        let lock = Registry::get_or_insert_with(&FILE_LOCKS, path.as_path(), || {
            FileLock::new(path.clone(), options)
        });
        if lock.value().options() != options {
            return Err(Error::at(ErrorKind::Conflict, "cannot share lock file", &path));
        }
        Ok(Self { kind: Kind::File(lock) })
    }

    /// The lock file's path, for a file synchronizer.
    pub fn path(&self) -> Option<&Path> {
        match &self.kind {
            Kind::File(lock) => Some(lock.value().path()),
            _ => None,
        }
    }

    /// Waits until this thread may read, then reads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Downgrade`] if this thread writes; and, for a file, if it cannot be made, opened
    /// or locked.
    pub fn read(&self) -> Result<ReadGuard<'_>, Error> {
        self.enter_untimed(Access::Shared).map(ReadGuard)
    }

    /// Reads if this thread may do so now; `None` if somebody writes or waits to.
    ///
    /// Never waits. A try that fails leaves nothing held. One that meets the very moment in which
    /// somebody tries another access, cleans or removes the file, may fail though it is free.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn try_read(&self) -> Result<Option<ReadGuard<'_>>, Error> {
        Ok(self.enter(Access::Shared, Wait::Never)?.map(ReadGuard))
    }

    /// Waits at most `timeout` to read; `None` when time is up.
    ///
    /// Zero behaves like [`try_read`](Self::try_read); a time too long to count is for ever.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn try_read_for(&self, timeout: Duration) -> Result<Option<ReadGuard<'_>>, Error> {
        Ok(self.enter(Access::Shared, Wait::at_most(timeout))?.map(ReadGuard))
    }

    /// Waits until this thread may write, then writes; meanwhile no new reader passes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Upgrade`] if this thread reads; and, for a file, if it cannot be made, opened or
    /// locked.
    pub fn write(&self) -> Result<WriteGuard<'_>, Error> {
        self.enter_untimed(Access::Exclusive).map(WriteGuard)
    }

    /// Writes if this thread may do so now; `None` if somebody reads or writes.
    ///
    /// Never waits, and keeps no reader out when it fails; otherwise as [`try_read`](Self::try_read).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn try_write(&self) -> Result<Option<WriteGuard<'_>>, Error> {
        Ok(self.enter(Access::Exclusive, Wait::Never)?.map(WriteGuard))
    }

    /// Waits at most `timeout` to write; `None` when time is up. Meanwhile no new reader passes.
    ///
    /// Zero behaves like [`try_write`](Self::try_write); a time too long to count is for ever.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn try_write_for(&self, timeout: Duration) -> Result<Option<WriteGuard<'_>>, Error> {
        Ok(self.enter(Access::Exclusive, Wait::at_most(timeout))?.map(WriteGuard))
    }

    /// Whether both are the same synchronizer.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Process(a), Kind::Process(b)) => a.is_same(b),
            (Kind::Anonymous(a), Kind::Anonymous(b)) => Arc::ptr_eq(a, b),
            (Kind::File(a), Kind::File(b)) => a.is_same(b),
            (Kind::Null, Kind::Null) => true,
            _ => false,
        }
    }

    fn enter_untimed(&self, access: Access) -> Result<Hold<'_>, Error> {
        loop {
            // A wait without a limit never ends with `None`.
            if let Some(hold) = self.enter(access, Wait::Forever)? {
                return Ok(hold);
            }
        }
    }

    fn enter(&self, access: Access, wait: Wait) -> Result<Option<Hold<'_>>, Error> {
        let entry = match &self.kind {
            Kind::Process(lock) => lock.value().enter(access, wait)?,
            Kind::Anonymous(lock) => lock.enter(access, wait)?,
            Kind::File(lock) => lock.value().enter(access, wait)?,
            Kind::Null => Entry::First,
        };
        Ok((entry != Entry::TimedOut).then(|| Hold::new(self)))
    }

    fn leave(&self) {
        match &self.kind {
            Kind::Process(lock) => lock.value().leave(),
            Kind::Anonymous(lock) => lock.leave(),
            Kind::File(lock) => lock.value().leave(),
            Kind::Null => {}
        }
    }
}
