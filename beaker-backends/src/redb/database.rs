//! The open file, and what happens to it after an error.
//
// The rules:
// 1. Work on the file holds `state` shared; who closes, opens or sets aside the file holds it alone.
//    So nobody works on a file that is being set aside, and redb sees one opener at a time.
// 2. A panic of redb is caught where it is called, and counts as damage.
// 3. Each write looks first whether the path still leads to the file that is open: somebody may have removed
//    it, and the write would be lost with it. Where processes share the file, reads look too: another
//    process may have set it aside, and working on would split the store.
// 4. Two processes may meet the same damage. Who sets the file aside looks, under a lock, whether the path still
//    leads to the one that was damaged: else it would take away what the other one has made since.
// 5. A file is made under another name, with the same lock, and gets its own when it is complete: see `opening.rs`.
// 6. A shared file whose last process was killed is looked through before it is opened: see `look.rs`.

use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use beaker_namespace::{Error, ErrorKind};
use beaker_sync::{
    BiasedReadGuard, BiasedRwLock, CreationGuard, CreationLock, lock_path, process_id,
};
use redb::Database;

use super::backend::Limit;
use super::config::Settings;
use super::error::{self, Fault, Remedy};
use super::snapshot::Snapshot;
use crate::place;
use crate::place::id_of;

/// How long to wait between two attempts at something that another process holds.
pub(super) const PAUSE: Duration = Duration::from_millis(1);

const OPEN: &str = "open the store";

/// What is going to be done to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) settings: Settings,
    /// The process that opened it.
    opened_by: u32,
    /// Written only when the file is opened or closed, so readers pass.
    state: BiasedRwLock<Option<Open>>,
}

pub(super) struct Open {
    // Before the database, which is closed when nobody has it any more.
    pub(super) snapshot: Snapshot,
    pub(super) database: Database,
    /// Device and inode of the file.
    pub(super) id: (u64, u64),
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").field("id", &self.id).finish_non_exhaustive()
    }
}

impl File {
    /// Opens the file at the canonical `path`, making it if it is absent.
    pub(super) fn open(path: &Path, settings: Settings) -> Result<Self, Error> {
        let file = Self {
            path: path.to_owned(),
            settings,
            opened_by: process_id(),
            state: BiasedRwLock::new(None),
        };
        file.look_through(OPEN)?;
        let limit = Limit::begin(settings.common.lock_timeout);
        drop(file.opened(OPEN, Access::Read)?);
        drop(limit);
        Ok(file)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Works on the open file. Sees to it afterwards that a file with a fault is not used again.
    pub(super) fn work<T>(
        &self,
        operation: &'static str,
        access: Access,
        work: impl FnOnce(&Open) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        place::check_process(self.opened_by)?;
        // Who reads a file that is open in this process alone waits for nobody, and need not know the time.
        let waits = self.settings.shared || access == Access::Write;
        let _limit = waits.then(|| Limit::begin(self.settings.common.lock_timeout));
        let state = self.opened(operation, access)?;
        let Some(open) = &*state else { return Err(self.vanishes(operation)) };
        let id = open.id;
        let result = self.guarded(operation, || work(open));
        drop(state);
        result.map_err(|fault| self.remedy(fault, id))
    }

    /// Calls redb, and makes a panic in it a fault.
    pub(super) fn guarded<T>(
        &self,
        operation: &'static str,
        call: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        // What a panic leaves half done is closed and set aside.
        catch_unwind(AssertUnwindSafe(call))
            .unwrap_or_else(|_: Box<dyn Any + Send>| Err(Fault::panic(operation, &self.path)))
    }

    /// The file, opened now if it is not.
    fn opened(
        &self,
        operation: &'static str,
        access: Access,
    ) -> Result<BiasedReadGuard<'_, Option<Open>>, Error> {
        for _ in 0..2 {
            let state = self.state.read();
            match &*state {
                Some(open) if self.is_current(open, access) => return Ok(state),
                _ => drop(state),
            }
            let _limit = Limit::begin(self.settings.common.lock_timeout);
            let mut state = self.state.write();
            if !state.as_ref().is_some_and(|open| self.is_current(open, access)) {
                close(state.take());
                *state = Some(self.open_now(operation)?);
            }
        }
        Ok(self.state.read())
    }

    /// Rule 3.
    fn is_current(&self, open: &Open, access: Access) -> bool {
        let looks = self.settings.shared || access == Access::Write;
        !looks || id_of(&self.path).is_ok_and(|id| id == open.id)
    }

    fn open_now(&self, operation: &'static str) -> Result<Open, Error> {
        // Before it is opened: what is damaged is this one, and not what another process puts in its place.
        let id = id_of(&self.path).ok();
        let first = match self.guarded(operation, || self.try_open(operation)) {
            Ok(open) => return Ok(open),
            Err(fault) => fault,
        };
        if first.remedy != Remedy::SetAside {
            return Err(first.error);
        }
        if let Some(id) = id {
            self.move_away(id)?;
        }
        self.guarded(operation, || self.try_open(operation)).map_err(|fault| fault.error)
    }

    /// Begins a write, waiting for other processes at most as long as configured.
    pub(super) fn begin_write(
        &self,
        operation: &'static str,
        database: &Database,
    ) -> Result<redb::WriteTransaction, Fault> {
        loop {
            match database.try_begin_write() {
                Ok(write) => return Ok(write),
                Err(redb::TransactionError::WouldBlock) => {
                    if Limit::left() == Some(Duration::ZERO) {
                        return Err(Fault::ours(self.timeout(operation)));
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(Fault::of(operation, &self.path, error)),
            }
        }
    }

    /// Another writer kept it for too long.
    #[cold]
    pub(super) fn timeout(&self, operation: &'static str) -> Error {
        error::timeout(operation, &self.path)
    }

    /// Does what `fault` asks for to the file that was open as `id`, unless somebody has done it.
    fn remedy(&self, fault: Fault, id: (u64, u64)) -> Error {
        if fault.remedy == Remedy::None {
            return fault.error;
        }
        let mut state = self.state.write();
        if state.as_ref().is_some_and(|open| open.id == id) {
            close(state.take());
            if fault.remedy == Remedy::SetAside {
                // If it cannot be moved, the next call meets it again and says so.
                let _next_time = self.move_away(id);
            }
        }
        fault.error
    }

    /// Rule 4.
    pub(super) fn move_away(&self, id: (u64, u64)) -> Result<(), Error> {
        const OPERATION: &str = "set a damaged file aside";
        let _alone = self.alone(OPERATION)?;
        if !id_of(&self.path).is_ok_and(|now| now == id) {
            return Ok(());
        }
        place::set_aside(&self.path)
            .map(drop)
            .map_err(|error| Error::io(OPERATION, &self.path, error))
    }

    /// The right to put a file in this one's place, or to take it away.
    pub(super) fn alone(&self, operation: &'static str) -> Result<CreationGuard, Error> {
        let within = Limit::left().unwrap_or(self.settings.common.lock_timeout);
        self.lock("set aside", within, operation)?.ok_or_else(|| self.timeout(operation))
    }

    /// The lock of that name, unless another process keeps it for longer.
    pub(super) fn lock(
        &self,
        name: &str,
        within: Duration,
        operation: &'static str,
    ) -> Result<Option<CreationGuard>, Error> {
        let lock = lock_path(place::locks_of(&self.path), name);
        let lock = CreationLock::at(lock).network(self.settings.common.network);
        lock.try_lock_for(within).map_err(|error| Error::lock(operation, error))
    }

    #[cold]
    fn vanishes(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::Unavailable, operation)
            .with_detail(format!("{} does not stay open", self.path.display()))
    }

    pub(super) fn len(&self) -> Option<u64> {
        fs::metadata(&self.path).ok().map(|metadata| metadata.len())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let open = self.state.get_mut().take();
        match place::check_process(self.opened_by) {
            Ok(()) => {
                // To close it commits, for which another process may not let it.
                let _limit = Limit::begin(self.settings.common.lock_timeout);
                close(open);
            }
            // redb would write to its parent's file, and free its parent's lock.
            Err(_) => std::mem::forget(open),
        }
    }
}

/// Closing a damaged file may panic: that must not reach who lets go of it.
fn close(open: Option<Open>) {
    let _closed = catch_unwind(AssertUnwindSafe(|| drop(open)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::Common;
    use crate::redb::RedbDurability;

    const SETTINGS: Settings = Settings {
        durability: RedbDurability::None,
        shared: false,
        cache_bytes: 1 << 20,
        common: Common {
            lock_timeout: Duration::from_secs(20),
            max_value_bytes: 1 << 20,
            network: beaker_sync::NetworkPolicy::Allow,
        },
    };

    fn aside(dir: &Path) -> usize {
        let names = fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().contains(".damaged-")).count()
    }

    #[test]
    fn of_two_processes_that_meet_damage_the_second_leaves_the_file_that_the_first_one_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.redb");
        // As two processes have them.
        let [one, other] =
            [(); 2].map(|()| File::open(&path, Settings { shared: true, ..SETTINGS }).unwrap());
        let damaged = id_of(&path).unwrap();
        let use_it = |file: &File| file.work("use the store", Access::Write, |_| Ok(()));
        one.work("use the store", Access::Write, |_| -> Result<(), _> { panic!("as it might") })
            .unwrap_err();
        assert_eq!(aside(dir.path()), 1, "the control");
        use_it(&one).unwrap();
        let made = id_of(&path).unwrap();
        // The other one met it too, and comes to set it aside only now.
        other.move_away(damaged).unwrap();
        assert_eq!((aside(dir.path()), id_of(&path).unwrap()), (1, made));
        use_it(&other).unwrap();
        assert_eq!(other.state.read().as_ref().map(|open| open.id), Some(made));
        assert_eq!(aside(dir.path()), 1);
    }

    #[test]
    fn a_driver_that_panics_is_an_error_and_its_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.redb");
        let file = File::open(&path, SETTINGS).unwrap();
        let aside = || aside(dir.path());
        for access in [Access::Read, Access::Write] {
            let before = aside();
            let panicked: Result<(), _> =
                file.work("use the store", access, |_| panic!("as the driver might"));
            let error = panicked.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains("redb panicked over it"), "{error}");
            assert_eq!(aside(), before + 1);
            // The control: the next call works on another file.
            file.work("use the store", access, |_| Ok(())).unwrap();
            assert_eq!(aside(), before + 1);
        }
    }
}
