use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::{Bound, ControlFlow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use beaker_namespace::{Error, ErrorKind};
use beaker_sync::process_id;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use sled::{Batch, Db};

use super::config::Settings;
use crate::kv::{Change, Engine, Reader, Sharing, Sync, Visit, Writer};
use crate::{owner, place};

const READ: &str = "read from the store";
const WRITE: &str = "write to the store";

/// Where sled keeps long values. It is made first.
const BLOBS: &str = "blobs";

/// The kind of an error over a damaged store, and what is said of it.
const DAMAGED: (ErrorKind, &str) = (ErrorKind::Corrupt, "it is damaged, and is set aside");

/// A sled directory as an engine.
//
// sled's own transactions cannot list, so a change works on an overlay, under one lock for all
// writers, and is then applied as one batch.
pub(super) struct SledEngine {
    path: PathBuf,
    settings: Settings,
    opened_by: u32,
    /// Work on the store holds it shared; who sets it aside holds it alone.
    state: RwLock<Option<Open>>,
    writer: Mutex<()>,
    /// Who looks at the store holds it shared, and who puts a change in place alone: sled has no snapshots.
    view: RwLock<()>,
    /// How often the store was opened.
    openings: AtomicU64,
}

/// The store that is open, and the device and inode of its file: a write looks whether that is still there,
/// since it would be lost with one that somebody removed.
struct Open {
    db: Db,
    id: Option<(u64, u64)>,
    /// Which opening of this process's it is.
    number: u64,
}

impl fmt::Debug for SledEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledEngine").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SledEngine {
    pub(super) fn open(path: &Path, settings: Settings) -> Result<Self, Error> {
        let engine = Self {
            path: path.to_owned(),
            settings,
            opened_by: process_id(),
            state: RwLock::new(None),
            writer: Mutex::new(()),
            view: RwLock::new(()),
            openings: AtomicU64::new(0),
        };
        let opened = engine.open_now()?;
        *engine.state.write() = Some(opened);
        Ok(engine)
    }

    /// Fails if `settings` are not those that the directory was opened with.
    pub(super) fn agree(&self, settings: Settings) -> Result<(), Error> {
        if self.settings == settings { Ok(()) } else { Err(place::contradiction(&self.path)) }
    }

    /// Works on the open store; sets it aside after damage.
    fn work<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Db) -> Result<T, Error>,
    ) -> Result<T, Error> {
        place::check_process(self.opened_by)?;
        let mut state = self.state.read();
        if state.is_none() {
            drop(state);
            self.reopen()?;
            state = self.state.read();
        }
        let Some(open) = &*state else { return Err(self.vanishes(operation)) };
        let number = open.number;
        let worked = self.guarded(operation, || work(&open.db));
        drop(state);
        worked.inspect_err(|error| self.remedy(error, number))
    }

    /// Does what `error` asks for to the store that was open as `number`. Somebody else may have met the same
    /// and done it: what is open now is not what was damaged.
    fn remedy(&self, error: &Error, number: u64) {
        match error.kind() {
            ErrorKind::Corrupt => self.close(number, Then::MoveAway),
            // After an error of the disk sled refuses everything.
            ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::Denied => {
                self.close(number, Then::Reopen);
            }
            _ => {}
        }
    }

    /// Closes the store if its file is not there any more, or another one is.
    fn look_after_the_file(&self) {
        let is_there = |open: &Open| open.id.is_some() && open.id == self.id();
        let gone = self.state.read().as_ref().filter(|open| !is_there(open)).map(|it| it.number);
        if let Some(number) = gone {
            self.close(number, Then::Reopen);
        }
    }

    fn id(&self) -> Option<(u64, u64)> {
        place::id_of(&self.path.join("db")).ok()
    }

    fn reopen(&self) -> Result<(), Error> {
        let mut state = self.state.write();
        if state.is_none() {
            *state = Some(self.open_now()?);
        }
        Ok(())
    }

    /// Calls sled, and makes a panic in it an error.
    fn guarded<T>(
        &self,
        operation: &'static str,
        call: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        // What a panic leaves half done is closed and set aside.
        catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_: Box<dyn Any + Send>| {
            Err(Error::new(ErrorKind::Corrupt, operation).with_detail(format!(
                "{}: sled panicked over it; it is damaged, and is set aside",
                self.path.display()
            )))
        })
    }

    fn open_now(&self) -> Result<Open, Error> {
        match self.guarded("open the store", || self.try_open()) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.move_away()?;
                self.guarded("open the store", || self.try_open())
            }
            opened => opened,
        }
    }

    fn try_open(&self) -> Result<Open, Error> {
        self.refuse_foreign("open the store")?;
        self.make_files().map_err(|error| Error::io("open the store", &self.path, error))?;
        match self.open_when_closed() {
            Ok(db) => {
                owner::sign(&self.path);
                let number = self.openings.fetch_add(1, Ordering::Relaxed);
                Ok(Open { db, id: self.id(), number })
            }
            Err(error) if is_held(&error) => Err(owner::held(
                &self.path,
                "close it there, or use a store that processes share, such as `sqlite:`",
            )),
            Err(error) => Err(self.ours("open the store", error)),
        }
    }

    /// Fails if somebody else keeps something in the directory, as a store of files does. Nothing was made yet.
    fn refuse_foreign(&self, operation: &'static str) -> Result<(), Error> {
        if is_foreign(&self.path).map_err(|error| Error::io(operation, &self.path, error))? {
            return Err(Error::new(ErrorKind::Config, operation).with_detail(format!(
                "{} has something else than a sled store in it; name another directory",
                self.path.display()
            )));
        }
        Ok(())
    }

    /// Makes what sled is going to keep keys and values in, for this user alone.
    fn make_files(&self) -> io::Result<()> {
        place::make_directory(&self.path.join(BLOBS))?;
        place::make_file(&self.path.join("db"))
    }

    /// sled's threads keep the directory locked for a moment after it was closed, so if it was this
    /// process that had it last, that moment is waited for.
    fn open_when_closed(&self) -> sled::Result<Db> {
        let began = Instant::now();
        loop {
            let config =
                sled::Config::new().path(&self.path).cache_capacity(self.settings.cache_bytes);
            match config.open() {
                Err(error)
                    if is_held(&error)
                        && owner::holder(&self.path) == Some(std::process::id())
                        && began.elapsed() < self.settings.common.lock_timeout =>
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                opened => return opened,
            }
        }
    }

    /// Closes the store that is open as `number`, for the next call to open it.
    fn close(&self, number: u64, then: Then) {
        let mut state = self.state.write();
        let Some(open) = state.take_if(|open| open.number == number) else { return };
        close(Some(open.db));
        if then == Then::MoveAway {
            // If it cannot be moved, the next call meets it again and says so.
            let _next_time = self.move_away();
        }
    }

    fn move_away(&self) -> Result<(), Error> {
        place::set_aside(&self.path)
            .map(drop)
            .map_err(|error| Error::io("set a damaged store aside", &self.path, error))
    }

    #[cold]
    fn vanishes(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::Unavailable, operation)
            .with_detail(format!("{} does not stay open", self.path.display()))
    }

    /// The only place where an error of sled becomes ours.
    fn ours(&self, operation: &'static str, error: sled::Error) -> Error {
        let (kind, detail) = match error {
            // A file of it says that there is more in it than is.
            sled::Error::Io(ref error) if error.kind() == io::ErrorKind::UnexpectedEof => DAMAGED,
            sled::Error::Io(error) => return Error::io(operation, &self.path, error),
            sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => DAMAGED,
            sled::Error::Unsupported(_) => {
                (ErrorKind::Config, "another version of sled wrote it, or another program")
            }
            sled::Error::CollectionNotFound(_) => (ErrorKind::Unavailable, "it was removed"),
        };
        Error::new(kind, operation)
            .with_detail(format!("{}: {detail}", self.path.display()))
            .with_source(error.to_string())
    }
}

impl Engine for SledEngine {
    fn view(&self, look: &mut dyn FnMut(&dyn Reader) -> Result<(), Error>) -> Result<(), Error> {
        self.work(READ, |db| {
            let _still = self.view.read();
            look(&Rows { engine: self, db, written: BTreeMap::new() })
        })
    }

    fn update(&self, change: Change, _sync: Sync) -> Result<(), Error> {
        let Some(_writer) = self.writer.try_lock_for(self.settings.common.lock_timeout) else {
            return Err(Error::new(ErrorKind::Timeout, WRITE)
                .with_detail(format!("other writers hold {} for too long", self.path.display())));
        };
        place::check_process(self.opened_by)?;
        self.look_after_the_file();
        self.work(WRITE, |db| {
            let mut rows = Rows { engine: self, db, written: BTreeMap::new() };
            change(&mut rows)?;
            let mut batch = Batch::default();
            for (key, value) in rows.written {
                match value {
                    Some(value) => batch.insert(key, &value[..]),
                    None => batch.remove(key),
                }
            }
            let _alone = self.view.write();
            db.apply_batch(batch).map_err(|error| self.ours(WRITE, error))
        })
    }

    fn sharing(&self) -> &Sharing {
        &Sharing::Process
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn size_bytes(&self) -> Option<u64> {
        self.work(READ, |db| db.size_on_disk().map_err(|error| self.ours(READ, error))).ok()
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        let db = self.state.get_mut().take().map(|open| open.db);
        match place::check_process(self.opened_by) {
            Ok(()) => close(db),
            // sled would write what its parent writes, and wait for threads that are not there.
            Err(_) => std::mem::forget(db),
        }
    }
}

/// Closing a damaged store may panic: that must not reach who lets go of it.
fn close(db: Option<Db>) {
    let _closed = catch_unwind(AssertUnwindSafe(|| {
        // sled does not wait for its own threads when it is dropped, and was seen to lose rows.
        db.map(|db| db.flush())
    }));
}

/// Whether there is something in the directory at `dir`, and neither of the files that sled is known by. Of one that it
/// was killed over while it was made there may be no more than what is made first; at the root of a file system is
/// what that keeps there.
fn is_foreign(dir: &Path) -> io::Result<bool> {
    if ["db", "conf"].iter().any(|name| dir.join(name).is_file()) {
        return Ok(false);
    }
    match std::fs::read_dir(dir) {
        Ok(mut entries) => entries.try_fold(false, |found, entry| {
            let name = entry?.file_name();
            let is_passed_over = [BLOBS, "lost+found"].iter().any(|other| name == **other)
                || name.as_encoded_bytes().starts_with(b".");
            Ok(found || !is_passed_over)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether somebody has the directory. sled has no kind of error for this.
fn is_held(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// What becomes of a store that is closed after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It is opened anew as it is.
    Reopen,
    /// It is damaged, and set aside.
    MoveAway,
}

/// The store, and over it what a change has written so far.
struct Rows<'a> {
    engine: &'a SledEngine,
    db: &'a Db,
    written: BTreeMap<Vec<u8>, Option<Bytes>>,
}

impl Reader for Rows<'_> {
    fn look(&self, key: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        if let Some(written) = self.written.get(key) {
            written.iter().for_each(|value| look(value));
            return Ok(());
        }
        let found = self.db.get(key).map_err(|error| self.engine.ours(READ, error))?;
        found.iter().for_each(|value| look(value));
        Ok(())
    }

    fn walk(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        let range = (after.map_or(Bound::Included(prefix), Bound::Excluded), Bound::Unbounded);
        let ours = |key: &[u8]| key.starts_with(prefix);
        let mut written =
            self.written.range::<[u8], _>(range).take_while(|(key, _)| ours(key)).peekable();
        for row in self.db.range::<&[u8], _>(range) {
            let (key, value) = row.map_err(|error| self.engine.ours(READ, error))?;
            if !ours(&key) {
                break;
            }
            // What was written comes first, and in the place of what it replaces.
            while let Some((before, new)) = written.next_if(|(written, _)| ***written < *key) {
                if show(before, new, visit) == ControlFlow::Break(()) {
                    return Ok(());
                }
            }
            let shown = match written.next_if(|(written, _)| ***written == *key) {
                Some((key, new)) => show(key, new, visit),
                None => visit(&key, &value),
            };
            if shown == ControlFlow::Break(()) {
                return Ok(());
            }
        }
        for (key, new) in written {
            if show(key, new, visit) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

/// Shows what was written under `key`, unless it was removed.
fn show(key: &[u8], value: &Option<Bytes>, visit: &mut Visit<'_>) -> ControlFlow<()> {
    match value {
        Some(value) => visit(key, value),
        None => ControlFlow::Continue(()),
    }
}

impl Writer for Rows<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.written.insert(key.to_vec(), Some(Bytes::copy_from_slice(value)));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), Error> {
        self.written.insert(key.to_vec(), None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use beaker_sync::NetworkPolicy;

    use super::*;
    use crate::common::Common;

    fn open(path: &Path) -> SledEngine {
        let common = Common {
            lock_timeout: Duration::from_secs(20),
            max_value_bytes: 1 << 20,
            network: NetworkPolicy::Allow,
        };
        SledEngine::open(path, Settings { cache_bytes: 1 << 20, common }).unwrap()
    }

    fn put(engine: &SledEngine) {
        let put = Box::new(|writer: &mut dyn Writer| writer.put(b"k", b"v"));
        engine.update(put, Sync::Configured).unwrap();
    }

    fn has_it(engine: &SledEngine) -> bool {
        let mut found = false;
        engine.view(&mut |reader| reader.look(b"k", &mut |value| found = value == b"v")).unwrap();
        found
    }

    #[test]
    fn of_two_who_meet_damage_the_second_leaves_the_store_that_the_first_one_made() {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(&dir.path().join("store"));
        let aside = || {
            let names = std::fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name());
            names.filter(|name| name.to_string_lossy().contains(".damaged-")).count()
        };
        let damage = || Error::new(ErrorKind::Corrupt, "use the store");
        // The second one has met the damage, and not yet done anything about it.
        let second = engine.state.read().as_ref().unwrap().number;
        let first: Result<(), _> = engine.work("use the store", |_| Err(damage()));
        assert_eq!(first.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(aside(), 1, "the control");
        put(&engine);
        engine.remedy(&damage(), second);
        assert!(has_it(&engine), "what was acknowledged is lost");
        assert_eq!(aside(), 1);
        // Nor is it closed for an error of a disk that was another's.
        let open = || engine.state.read().as_ref().map(|open| open.number);
        let now = open();
        engine.remedy(&Error::new(ErrorKind::Full, "use the store"), second);
        assert_eq!(open(), now);
    }
}
