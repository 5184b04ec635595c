// Many readers or one writer among the threads of all processes of the host.
//
// 1. A thread first enters the lock of this process, then locks the file through a descriptor of
//    its own; it leaves in the opposite order. So the rules for threads (re-entry, errors instead
//    of upgrades, a waiting writer keeps new readers out) are those of the process's lock, and the
//    file says who may pass among processes.
// 2. A thread that fails to get the file leaves the process's lock again.
// 3. Between the two it passes the gate, which a writer of any process closes while it waits.
// 4. The file is removed, unless it is to be kept, with the last handle of this process, if no
//    other process holds it at that moment.

use std::path::{Path, PathBuf};

use crate::{
    Error,
    lock_file::{Existing, LockFile},
    primitive::{Mutex, ThreadId, thread_id},
    request::{Access, Wait},
    synchronizer::{
        gate::{Closing, Gate},
        options::{FileSynchronizerOptions, Preference, Retention},
        process::{Entry, ProcessLock},
    },
};

/// A reader/writer lock on one path.
#[derive(Debug)]
pub(super) struct FileLock {
    process: ProcessLock,
    path: PathBuf,
    gate: Gate,
    options: FileSynchronizerOptions,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    /// The locked descriptor of each thread inside.
    files: Vec<(ThreadId, LockFile)>,
    /// Whether a file may be there because of this object.
    used: bool,
}

impl FileLock {
    pub(super) fn new(path: PathBuf, options: FileSynchronizerOptions) -> Self {
        let held = Mutex::new(Held { files: Vec::new(), used: false });
        let gate = Gate::before(&path, options.network);
        Self { process: ProcessLock::new(), path, gate, options, held }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn options(&self) -> FileSynchronizerOptions {
        self.options
    }

    pub(super) fn enter(&self, access: Access, wait: Wait) -> Result<Entry, Error> {
        let entry = self.process.enter(access, wait)?;
        if entry != Entry::First {
            return Ok(entry);
        }
        self.held.lock().used = true;
        match self.lock_file(access, wait) {
            Ok(Some(file)) => {
                self.held.lock().files.push((thread_id(), file));
                Ok(Entry::First)
            }
            Ok(None) => {
                self.process.leave();
                Ok(Entry::TimedOut)
            }
            Err(error) => {
                self.process.leave();
                Err(error)
            }
        }
    }

    pub(super) fn leave(&self) {
        if self.process.leaves_next() {
            drop(self.take_file());
        }
        self.process.leave();
    }

    /// The locked file; `None` when time is up.
    fn lock_file(&self, access: Access, wait: Wait) -> Result<Option<LockFile>, Error> {
        match (self.options.preference, access) {
            (Preference::Nobody, _) => self.acquire(access, wait),
            (Preference::Writers, Access::Shared) if !self.gate.pass(wait) => Ok(None),
            (Preference::Writers, Access::Shared) => self.acquire(access, wait),
            (Preference::Writers, Access::Exclusive) => self.lock_file_to_write(wait),
        }
    }

    fn lock_file_to_write(&self, wait: Wait) -> Result<Option<LockFile>, Error> {
        let locked = self.acquire(Access::Exclusive, Wait::Never)?;
        if locked.is_some() || matches!(wait, Wait::Never) {
            return Ok(locked);
        }
        match self.gate.close(wait) {
            Closing::TimedOut => Ok(None),
            Closing::Failed => self.acquire(Access::Exclusive, wait),
            Closing::Closed(closed) => {
                let locked = self.acquire(Access::Exclusive, wait);
                closed.open();
                locked
            }
        }
    }

    fn acquire(&self, access: Access, wait: Wait) -> Result<Option<LockFile>, Error> {
        LockFile::acquire(&self.path, access, wait, self.options.network)
    }

    fn take_file(&self) -> Option<LockFile> {
        let thread = thread_id();
        let files = &mut self.held.lock().files;
        let at = files.iter().position(|(owner, _)| *owner == thread)?;
        Some(files.swap_remove(at).1)
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if self.options.retention == Retention::Keep || !self.held.lock().used {
            return;
        }
        // Whoever holds the file now, or cannot be asked, leaves it to the next or to `clean`.
        if let Ok(Existing::Locked(file)) = LockFile::try_existing(&self.path, Access::Exclusive) {
            let _ = file.remove();
        }
    }
}
