// A turnstile before a lock file: while a writer of some process waits, no new reader passes it.
//
// The system lets a reader join readers although a writer waits, so readers that overlap without a
// gap would keep it waiting for ever. Therefore:
//
// 1. The gate is a lock file beside the other. A writer that has not got the lock at once holds the
//    gate exclusively while it waits for the lock, and removes it, under that hold, when it has the
//    lock or gives up. Writers queue at the gate. So it is there only while a writer waits.
// 2. A reader that finds a gate takes it shared and gives it back before it asks for the lock. It
//    passes one gate at most, and never holds one while it waits for something else: only writers
//    hold one, and wait for the readers inside alone.
// 3. A reader that looks before the gate is closed slips through once. That costs the writer one
//    reader's time; the reader's next turn finds the gate.
// 4. A killed writer's gate is free, so that everybody passes; the next writer that waits, or
//    `clean`, removes it.
// 5. The gate decides who waits, the lock who is inside. So a gate that cannot be made or opened (no
//    permission, a full disk) is done without: nobody fails for its sake.

use std::path::{Path, PathBuf};

use crate::{
    filesystem::NetworkPolicy,
    lock_file::{Existing, LockFile},
    request::{Access, Wait},
};

/// What a gate's name has after the digits of its lock file: digits too, so that `list` and `clean`
/// take it for the lock file that it is.
const SUFFIX: &str = "9a7e.lock";

/// The gate before one lock file.
#[derive(Debug)]
pub(super) struct Gate {
    path: PathBuf,
    network: NetworkPolicy,
}

impl Gate {
    /// The gate before the lock file at `lock`, whose name ends in `.lock`. Nothing is made.
    pub(super) fn before(lock: &Path, network: NetworkPolicy) -> Self {
        let mut name = lock.file_stem().unwrap_or_default().to_owned();
        name.push(SUFFIX);
        Self { path: lock.with_file_name(name), network }
    }

    /// Passes, for a reader; `false` if a writer that waits has not let it for all of `wait`.
    pub(super) fn pass(&self, wait: Wait) -> bool {
        let found = LockFile::existing(&self.path, Access::Shared, wait);
        !matches!(found, Ok(Existing::Held))
    }

    /// Keeps new readers out, for a writer.
    pub(super) fn close(&self, wait: Wait) -> Closing {
        match LockFile::acquire(&self.path, Access::Exclusive, wait, self.network) {
            Ok(Some(file)) => Closing::Closed(Closed(file)),
            Ok(None) => Closing::TimedOut,
            Err(_) => Closing::Failed,
        }
    }
}

/// What became of an attempt to close a gate.
#[derive(Debug)]
pub(super) enum Closing {
    Closed(Closed),
    /// Another writer kept it for all the time.
    TimedOut,
    /// There can be no gate.
    Failed,
}

/// A closed gate. It opens with the drop as well, which leaves the file.
#[derive(Debug)]
pub(super) struct Closed(LockFile);

impl Closed {
    /// Opens the gate and removes it. What cannot be removed is as free as a killed writer's.
    pub(super) fn open(self) {
        let _ = self.0.remove();
    }
}
