use std::fs::File;
use std::path::PathBuf;

use beaker_sync::{CreationGuard, CreationLock, NetworkPolicy};

use super::directories::Directories;
use super::layout::{Layout, Place};
use super::record::FileId;
use crate::{Error, Wait};

// What voids a claim, and how its holder sees it:
// 1. The key is set or removed: whoever does it marks the claim's lock file.
// 2. The namespace is cleared: `clear` puts a new directory in the place of `entries`. The claim
//    has the directory of its beginning open, so no new one can have its inode.
// 3. A tag is removed: whoever does it marks the lock files of all running claims, since their values
//    may carry the tag.
// 4. Somebody removes the namespace's directory: either the lock file or `entries` is another one.
// All is looked at under the key's writer lock, under which 1 and 2 are done.

/// What a claim on one key of one namespace holds.
#[derive(Debug)]
pub(super) struct FileClaim {
    guard: CreationGuard,
    path: PathBuf,
    /// `None` if somebody removed it at once.
    file: Option<FileId>,
    entries: FileId,
    _pin: File,
}

impl FileClaim {
    /// Takes the right; `None` if somebody else kept it for all of `wait`.
    pub(super) fn take(
        lock: &CreationLock,
        directories: &Directories,
        wait: Wait,
    ) -> Result<Option<Self>, Error> {
        let guard = match wait {
            Wait::Never => lock.try_lock(),
            Wait::AtMost(limit) => lock.try_lock_for(limit),
            Wait::Forever => lock.lock().map(Some),
        };
        let Some(guard) = guard.map_err(|error| Error::lock("claim a key", error))? else {
            return Ok(None);
        };
        let pin = directories.open_entries()?;
        let entries = FileId::of(
            &pin.metadata().map_err(|error| Error::io("claim a key", lock.path(), error))?,
        );
        let path = lock.path().to_owned();
        let file = FileId::at(&path).ok();
        Ok(Some(Self { guard, path, file, entries, _pin: pin }))
    }

    /// Whether it is a claim on the key whose lock is `lock`.
    pub(super) fn is_on(&self, lock: &CreationLock) -> bool {
        self.path == lock.path()
    }

    /// Whether something invalidated what is being created.
    pub(super) fn is_void(&self, layout: &Layout) -> Result<bool, Error> {
        let same_entries = FileId::at(layout.entries()).is_ok_and(|id| id == self.entries);
        let same_file = FileId::at(&self.path).is_ok_and(|id| Some(id) == self.file);
        if !same_entries || !same_file {
            return Ok(true);
        }
        self.guard.is_superseded().map_err(|error| Error::lock("fulfil a claim", error))
    }
}

/// The lock on creating what is at `place`.
pub(super) fn lock_of(layout: &Layout, place: &Place, network: NetworkPolicy) -> CreationLock {
    CreationLock::at(layout.claim(place)).network(network)
}

/// Voids every running claim of the namespace.
pub(super) fn void_all(layout: &Layout, network: NetworkPolicy) -> Result<(), Error> {
    let running = beaker_sync::list(layout.claims());
    for claim in running.map_err(|error| Error::lock("void a claim", error))? {
        void(&CreationLock::at(claim.path).network(network))?;
    }
    Ok(())
}

/// Voids the claim on `lock`'s key, if there is one.
pub(super) fn void(lock: &CreationLock) -> Result<(), Error> {
    lock.supersede().map(drop).map_err(|error| Error::lock("void a claim", error))
}
