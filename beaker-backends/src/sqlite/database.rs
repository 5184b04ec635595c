//! One database as this process has it open: its connections, and what is done when its file is damaged,
//! removed or replaced. The rules are in store.rs: 9, 10 and 11.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use beaker_namespace::{Error, ErrorKind};
use beaker_sync::process_id;
use parking_lot::Mutex;
use rusqlite::Connection;

use super::config::Settings;
use super::heal::{self, Verdict};
use super::identity::Identity;
use super::index::Index;
use super::kept::{Answer, Kept};
use super::pool::Pool;
use super::presence::Presence;
use super::schema::State;
use super::shelf::Shelf;
use super::writers::{WriterGuard, WriterLock};
use super::{connection, errors, registry};
use crate::place;

const OPEN: &str = "open the SQLite store";

/// How often a change opens the file that was put into the place of the one that it had open.
const RENEWALS: u32 = 4;

/// How long a database that says that it is damaged, and could not be set aside, is left alone.
const BETWEEN_HEALINGS: Duration = Duration::from_secs(10);

/// What came of a fault that says that the database is damaged.
enum Judged {
    /// It is set aside; what that means to whoever met it.
    Aside(Error),
    /// It is not ours.
    Refused(Error),
    Nothing,
}

pub(super) struct Database {
    path: PathBuf,
    locks: PathBuf,
    process: u32,
    pub(super) settings: Settings,
    pool: Pool,
    /// Ended after the connections of `pool` are closed: see `drop`.
    pub(super) kept: Kept,
    writer: WriterLock,
    presence: Presence,
    identity: Identity,
    /// When the database may be looked through again.
    next_healing: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("path", &self.path)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the database at the canonical path `path`, making it if it is absent.
    pub(super) fn open(path: &Path, settings: Settings) -> Result<Self, Error> {
        connection::check_library(rusqlite::version_number())?;
        settings.check()?;
        let locks = place::beside(path, ".locks");
        let timeout = settings.common.lock_timeout;
        let writer = WriterLock::open(locks.clone(), timeout)?;
        let presence = Presence::enter(locks.join("users.lock"), timeout)?;
        let database = Self {
            path: path.to_owned(),
            locks,
            process: process_id(),
            settings,
            pool: Pool::default(),
            kept: Kept::new(&settings),
            writer,
            presence,
            identity: Identity::new(path, settings.common.network),
            next_healing: Mutex::default(),
        };
        database.say_whether_alone(None)?;
        database.pool.add(Box::new(database.opened(None)?));
        Ok(database)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of the lock files.
    pub(super) fn locks(&self) -> &Path {
        &self.locks
    }

    /// Fails if this process is not the one that opened it.
    pub(super) fn check_process(&self) -> Result<(), Error> {
        if process_id() == self.process { Ok(()) } else { Err(registry::forked(&self.path)) }
    }

    /// Runs `look` on it; takes no lock.
    pub(super) fn read<T>(
        &self,
        operation: &'static str,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.check_process()?;
        let outcome = self.pool.with(|| self.connect(), look);
        outcome.map_err(|error| self.failed(operation, error))
    }

    /// Runs `work` on it as its only writer.
    pub(super) fn write<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.check_process()?;
        let writer = self.lock(operation)?;
        let outcome = self.pool.with(|| self.connect(), work);
        drop(writer);
        outcome.map_err(|error| self.failed(operation, error))
    }

    /// The same if nobody is writing now.
    pub(super) fn try_write<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        self.check_process()?;
        let Some(writer) = self.writer.try_lock_for_change(operation)? else { return Ok(None) };
        if !self.identity.is_here() {
            return Ok(None);
        }
        let outcome = self.pool.with(|| self.connect(), work);
        drop(writer);
        outcome.map(Some).map_err(|error| self.failed(operation, error))
    }

    /// What is kept of earlier reads, if that is what it has now: `find` finds so many entries on the
    /// shelf, or none.
    pub(super) fn find_kept<T>(
        &self,
        count: usize,
        find: impl FnOnce(&Shelf) -> Option<T>,
    ) -> Result<Answer<T>, Error> {
        if self.kept.rests() {
            return Ok(Answer::Ask(None));
        }
        self.check_process()?;
        Ok(self.kept.answer(count, || self.index(), find))
    }

    /// The index of the log, for what is kept.
    #[cold]
    fn index(&self) -> Option<Index> {
        let anchor = || connection::anchor(&self.path, &self.settings);
        // It counts as a connection in use while it is made.
        let anchor = self.pool.with(|| self.connect(), |_| anchor()).ok()??;
        Index::open(&self.path, anchor)
    }

    /// Says to the writers whether they need lock out other processes. This process has nothing open.
    fn say_whether_alone(&self, writer: Option<&WriterGuard<'_>>) -> Result<(), Error> {
        // While nobody comes in: whoever does after that takes it back.
        self.alone(writer, || self.say_alone(writer, true)).map(drop)
    }

    /// Runs `work` if no other process has the database open, and while none comes. This process has not.
    fn alone<T>(
        &self,
        writer: Option<&WriterGuard<'_>>,
        work: impl FnOnce() -> T,
    ) -> Result<Option<T>, Error> {
        let done = self.presence.alone(work);
        if !matches!(done, Ok(Some(_))) {
            // The attempt let go of the database for a moment, in which another may have said that it is alone.
            self.say_alone(writer, false);
        }
        done
    }

    fn say_alone(&self, writer: Option<&WriterGuard<'_>>, is_alone: bool) {
        match writer {
            Some(writer) => writer.say_alone(is_alone),
            None => self.writer.say_alone(is_alone),
        }
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = connection::connect(&self.path, &self.settings)?;
        connection::limit(&connection, &self.settings)?;
        Ok(connection)
    }

    /// The first connection, where this process has none: to the file that is there, or to one that is
    /// made. If it is damaged, and can be set aside, another one is made.
    fn opened(&self, writer: Option<&WriterGuard<'_>>) -> Result<Connection, Error> {
        self.look_at_the_log(writer)?;
        match self.first_connection(writer) {
            Err(error) if error.kind() == ErrorKind::Corrupt => match self.judge(OPEN, writer) {
                Judged::Aside(_) => self.first_connection(writer),
                Judged::Refused(error) => Err(error),
                Judged::Nothing => Err(error),
            },
            opened => opened,
        }
    }

    /// Sets the database aside if a killed process left it with a log that was damaged since.
    fn look_at_the_log(&self, writer: Option<&WriterGuard<'_>>) -> Result<(), Error> {
        // Who closes it leaves no index.
        if place::beside(&self.path, "-shm").exists() && self.presence.is_of_this_boot() {
            // What cannot be told is left to SQLite.
            let _verdict = self.alone(writer, || heal::judge_log(&self.path, &self.settings))?;
        }
        Ok(())
    }

    fn first_connection(&self, writer: Option<&WriterGuard<'_>>) -> Result<Connection, Error> {
        let fail = |error| errors::map(OPEN, &self.path, error);
        connection::make_file(&self.path)?;
        let found = self.identity.find().map_err(|error| Error::io(OPEN, &self.path, error))?;
        let first = connection::connect(&self.path, &self.settings).map_err(fail)?;
        connection::prepare(&first, &self.path, || match writer {
            Some(_) => Ok(None),
            None => self.writer.lock(OPEN).map(Some),
        })?;
        connection::limit(&first, &self.settings).map_err(fail)?;
        self.identity.set(found);
        self.presence.note_boot();
        Ok(first)
    }

    /// Sets the database aside if it is damaged and nobody else has it open. This process has not.
    fn judge(&self, operation: &'static str, writer: Option<&WriterGuard<'_>>) -> Judged {
        match self.alone(writer, || heal::judge(&self.path, &self.settings)) {
            Ok(Some(Ok(Verdict::Aside(aside)))) => {
                // Also if no other one can be made now.
                self.identity.forget();
                Judged::Aside(errors::aside(operation, &aside))
            }
            Ok(Some(Ok(Verdict::Foreign))) => {
                Judged::Refused(errors::foreign(operation, &self.path))
            }
            _ => Judged::Nothing,
        }
    }

    /// What a fault of SQLite's means to the caller. No connection of this thread's is in use.
    #[cold]
    fn failed(&self, operation: &'static str, error: rusqlite::Error) -> Error {
        let error = errors::map(operation, &self.path, error);
        if error.kind() != ErrorKind::Corrupt {
            return error;
        }
        // Its tables are not ours any more.
        if let Ok(State::Newer(version)) = self.pool.with(|| self.connect(), State::of) {
            return errors::newer(operation, &self.path, version);
        }
        if !self.may_heal() {
            return error;
        }
        // Before the pool is closed, here and in `renew`: who has it may be waiting for the pool. If it is not
        // to be had, the next one does not wait for it so soon.
        let Ok(writer) = self.writer.lock(operation) else { return error };
        let healed = self.pool.while_closed(self.settings.common.lock_timeout, || {
            if !self.identity.is_sure_to_be_here() {
                return None;
            }
            // What it keeps open too: to judge opens and closes the file, which frees all locks that this
            // process has on it.
            self.kept.retire();
            let Judged::Aside(healed) = self.judge(operation, Some(&writer)) else { return None };
            *self.next_healing.lock() = None;
            // If it fails, the next change tries again, and says so.
            Some((healed, self.first_connection(Some(&writer)).ok()))
        });
        let Some((healed, first)) = healed.flatten() else { return error };
        if let Some(first) = first {
            self.pool.add(Box::new(first));
        }
        healed
    }

    /// Fails if a newer version has migrated the database: then what cannot be read is no damage.
    #[cold]
    pub(super) fn refuse_newer(&self, operation: &'static str) -> Result<(), Error> {
        match self.read(operation, State::of)? {
            State::Newer(version) => Err(errors::newer(operation, &self.path, version)),
            State::Empty | State::Current | State::Older(_) | State::Foreign => Ok(()),
        }
    }

    /// Whether it is time to look whether the database is damaged; to look through it takes long.
    fn may_heal(&self) -> bool {
        let mut next = self.next_healing.lock();
        let now = Instant::now();
        let may = next.is_none_or(|next| next <= now);
        if may {
            *next = Some(now + BETWEEN_HEALINGS);
        }
        may
    }

    /// Opens the file that the path leads to now, or makes one.
    #[cold]
    fn renew(&self, mut writer: WriterGuard<'_>) -> Result<(), Error> {
        let renewed = self.pool.while_closed(self.settings.common.lock_timeout, || {
            if self.identity.is_sure_to_be_here() {
                return Ok(None);
            }
            self.kept.retire();
            // Whoever removed the database may have removed its directory too.
            writer.open_again(&self.writer)?;
            self.presence.enter_again()?;
            self.say_whether_alone(Some(&writer))?;
            self.opened(Some(&writer)).map(Some)
        });
        if let Some(first) = renewed.transpose()?.flatten() {
            self.pool.add(Box::new(first));
        }
        Ok(())
    }

    /// The writers' lock, of the file that is open.
    fn lock(&self, operation: &'static str) -> Result<WriterGuard<'_>, Error> {
        for _ in 0..RENEWALS {
            let writer = self.writer.lock_for_change(operation)?;
            if self.identity.is_here() {
                return Ok(writer);
            }
            self.renew(writer)?;
        }
        Err(Error::new(ErrorKind::Unavailable, operation).with_detail(format!(
            "{} is removed or replaced again and again, or is in use meanwhile",
            self.path.display()
        )))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.check_process().is_err() {
            // To close them here would take the parent's log away.
            self.pool.drain().into_iter().for_each(std::mem::forget);
            self.kept.forget();
            registry::inherited(&self.path);
            return;
        }
        drop(self.pool.drain());
        self.kept.close();
        self.presence.leave();
    }
}

#[cfg(test)]
impl Database {
    /// It is as in a process that was forked from the one that opened it.
    pub(super) fn inherit(&mut self) {
        self.process = self.process.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::config::SqliteConfig;
    use super::*;

    // Who has the lock may be waiting for a connection, and who sets the database aside has closed them all.
    #[test]
    fn a_damaged_database_stays_while_another_thread_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = std::fs::canonicalize(dir.path()).unwrap().join("cache.db");
        let settings = SqliteConfig::new(&path).lock_timeout(Duration::from_millis(100)).settings;
        drop(Database::open(&path, settings).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4_096..].fill(0x5a);
        std::fs::write(&path, bytes).unwrap();
        let database = Database::open(&path, settings).unwrap();
        let aside = || {
            let files = std::fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name());
            files.filter(|name| name.to_string_lossy().contains(".damaged-")).count()
        };
        let read = || {
            let count = "SELECT count(*) FROM entries";
            let read = |it: &Connection| it.query_row(count, [], |row| row.get::<_, i64>(0));
            database.read("read an entry", read)
        };
        let writer = database.lock("write an entry").unwrap();
        let met = std::thread::scope(|scope| scope.spawn(read).join().unwrap());
        assert_eq!(met.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(aside(), 0, "the writer's database is gone");
        drop(writer);
        assert_eq!(read().unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(aside(), 0, "it is too early");
        *database.next_healing.lock() = Some(Instant::now());
        let healed = read().unwrap_err();
        assert!(healed.to_string().contains("is set aside as"), "{healed}");
        assert_eq!((aside(), read().unwrap()), (1, 0));
    }

    // Locks of this system belong to open files, so the two are as two processes.
    #[test]
    fn who_comes_in_beside_one_that_was_alone_waits_for_its_write_and_both_lock_after_that() {
        let dir = tempfile::tempdir().unwrap();
        let path = std::fs::canonicalize(dir.path()).unwrap().join("cache.db");
        let settings = SqliteConfig::new(&path).settings;
        let one = Database::open(&path, settings).unwrap();
        let others = WriterLock::open(one.locks().to_owned(), Duration::ZERO).unwrap();
        let add = "INSERT INTO purge (ns) SELECT 1 + coalesce(max(ns), 0) FROM purge";
        let other = std::thread::scope(|scope| {
            let mut comes = None;
            let write = |connection: &Connection| {
                connection.execute_batch("BEGIN IMMEDIATE")?;
                assert!(others.lock("write").is_ok(), "it takes no lock among processes");
                comes = Some(scope.spawn(|| {
                    let other = Database::open(&path, settings).unwrap();
                    other.write("write", |connection| connection.execute_batch(add)).unwrap();
                    other
                }));
                while others.lock("write").is_ok() {
                    assert!(!comes.as_ref().unwrap().is_finished(), "it has not waited");
                    std::thread::yield_now();
                }
                connection.execute_batch(add)?;
                connection.execute_batch("COMMIT")
            };
            one.write("write", write).unwrap();
            comes.unwrap().join().unwrap()
        });
        let count = |it: &Connection| {
            it.query_row("SELECT group_concat(ns) FROM purge", [], |row| row.get::<_, String>(0))
        };
        assert_eq!(one.read("read", count).unwrap(), "1,2");
        for database in [&one, &other] {
            let _writes = database.lock("write").unwrap();
            assert!(others.lock("write").is_err());
        }
        drop((one, other));
        let again = Database::open(&path, settings).unwrap();
        let _writes = again.lock("write").unwrap();
        assert!(others.lock("write").is_ok(), "it is alone again");
    }

    // The attempt lets go of the database for a moment, in which another that comes in finds itself alone.
    #[test]
    fn who_tries_in_vain_to_be_alone_takes_back_that_another_said_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = std::fs::canonicalize(dir.path()).unwrap().join("cache.db");
        let settings = SqliteConfig::new(&path).settings;
        let [one, other] = [(); 2].map(|()| Database::open(&path, settings).unwrap());
        let others = WriterLock::open(one.locks().to_owned(), Duration::ZERO).unwrap();
        let locks = || {
            let _writes = one.lock("write").unwrap();
            others.lock("write").is_err()
        };
        for writer in [None, Some(())] {
            other.say_alone(None, true);
            assert!(!locks(), "the control");
            let writer = writer.map(|()| one.writer.lock("judge").unwrap());
            assert!(matches!(one.judge("judge", writer.as_ref()), Judged::Nothing));
            drop(writer);
            assert!(locks());
        }
    }

    // Its handle has its one name, and writes within the next 10 milliseconds would go into it.
    #[test]
    fn a_database_that_was_set_aside_is_not_here_though_no_other_one_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = std::fs::canonicalize(dir.path()).unwrap().join("cache.db");
        let settings = SqliteConfig::new(&path).settings;
        let database = Database::open(&path, settings).unwrap();
        drop(database.pool.drain());
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(5_000).unwrap();
        drop(file);
        database.identity.pretend_to_have_looked();
        assert!(database.identity.is_here(), "the control");
        assert!(matches!(database.judge("read an entry", None), Judged::Aside(_)));
        database.identity.pretend_to_have_looked();
        assert!(!database.identity.is_here());
    }

    /// What a read says that met damage.
    fn meets_damage(database: &Database) -> Error {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        let damage = |_: &Connection| Err(rusqlite::Error::SqliteFailure(code, None));
        database.read::<()>("read an entry", damage).unwrap_err()
    }

    #[test]
    fn behind_a_stopped_writer_one_who_meets_damage_waits_and_the_next_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = std::fs::canonicalize(dir.path()).unwrap().join("cache.db");
        let limit = Duration::from_millis(200);
        let settings = SqliteConfig::new(&path).lock_timeout(limit).settings;
        let database = Database::open(&path, settings).unwrap();
        let stopped = WriterLock::open(database.locks().to_owned(), limit).unwrap();
        let _writes = stopped.lock("write an entry").unwrap();
        let waited = || {
            let began = Instant::now();
            assert_eq!(meets_damage(&database).kind(), ErrorKind::Corrupt);
            began.elapsed() >= limit
        };
        assert_eq!([waited(), waited(), waited()], [true, false, false]);
    }

    // To judge it opens and closes the file, which frees the locks of a connection that is kept open; and SQLite,
    // which goes by its own book, would not take them again for those that come later.
    #[cfg(target_os = "linux")]
    #[test]
    fn after_a_suspicion_others_can_tell_that_it_is_open() {
        use super::super::identity::tests::locks;

        let dir = tempfile::tempdir().unwrap();
        let path = std::fs::canonicalize(dir.path()).unwrap().join("cache.db");
        let settings = SqliteConfig::new(&path).kept_reads_after(0).settings;
        let database = Database::open(&path, settings).unwrap();
        let read = || {
            let count = "SELECT count(*) FROM entries";
            database.read("read", |it| it.query_row(count, [], |row| row.get::<_, i64>(0))).unwrap()
        };
        read();
        assert_eq!(locks(&path), 1, "the control");
        assert!(database.find_kept(1, |_| Some(())).is_ok());
        assert!(database.kept.has_begun(), "a connection is kept open");
        meets_damage(&database);
        read();
        assert_eq!(locks(&path), 1);
        assert!(database.kept.rests(), "it is not opened again");
    }

    #[test]
    fn f43_a_forked_process_neither_closes_nor_opens_what_its_parent_had_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = std::fs::canonicalize(dir.path()).unwrap().join("cache.db");
        let settings = SqliteConfig::new(&path).settings;
        let log = place::beside(&path, "-wal");
        drop(Database::open(&path, settings).unwrap());
        assert!(!log.exists(), "the control: the last connection takes the log away");
        let mut inherited = Database::open(&path, settings).unwrap();
        inherited.inherit();
        drop(inherited);
        assert!(log.exists(), "it was closed");
        let error = registry::find_or_open(path, settings).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn a_library_that_may_corrupt_the_database_is_refused() {
        assert!(connection::check_library(3_051_003).is_ok());
        let error = connection::check_library(3_051_002).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("SQLite 3.51.2"), "{error}");
    }
}
