// Many readers or one writer among the threads of all processes of the host.
//
// 1. A thread first enters the lock of this process, then locks the file through a descriptor of
//    its own; it leaves in the opposite order. So the rules for threads (re-entry, errors instead
//    of upgrades, a waiting writer keeps new readers out) are those of the process's lock, and the
//    file says who may pass among processes.
// 2. A thread that fails to get the file leaves the process's lock again.
// 3. The file is removed, unless it is to be kept, with the last handle of this process, if no
//    other process holds it at that moment.

use std::path::{Path, PathBuf};

use crate::{
    Error,
    filesystem::NetworkPolicy,
    lock_file::{Existing, LockFile},
    primitive::{Mutex, ThreadId, thread_id},
    request::{Access, Wait},
    synchronizer::{
        options::{FileSynchronizerOptions, Retention},
        process::{Entry, ProcessLock},
    },
};

/// A reader/writer lock on one path.
#[derive(Debug)]
pub(super) struct FileLock {
    process: ProcessLock,
    path: PathBuf,
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
        Self { process: ProcessLock::new(), path, options, held }
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
        let network: NetworkPolicy = self.options.network;
        match LockFile::acquire(&self.path, access, wait, network) {
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
