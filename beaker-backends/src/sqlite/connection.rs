use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use beaker_namespace::{Durability, Error, ErrorKind};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::Access;

use super::config::Settings;
use super::schema::{self, State};
use super::writers::WriterGuard;
use super::{errors, row};

const OPERATION: &str = "open the SQLite store";

/// 3.51.3 mends the reset of the log, which could corrupt a database that two connections wrote to.
const MIN_LIBRARY: i32 = 3_051_003;

/// Statements that a connection keeps prepared; there are fewer.
const STATEMENTS: usize = 64;

/// The log is copied into the database when it has this many pages.
///
/// A page that was written several times is copied once, and each copy waits for the disk, so the more the
/// better. SQLite's default is 1,000. The bound is the first part of the log's index, which lists 4,062 pages: in
/// a longer log each read looks through two parts. Some room is left, since whoever writes meanwhile waits for
/// the copy, and who finds the log of a killed process reads all of it.
const LOG_PAGES: u64 = 3_000;

/// The most that is kept on disk for the log between its uses, in bytes: [`LOG_PAGES`] of 4 KiB, with their
/// headers and what the last write goes beyond. If it were less, the log would be cut and grow again each time.
const LOG_BYTES: u64 = 12 * 1024 * 1024;

/// The most for the log in a database whose size is limited, in bytes.
const CAPPED_LOG_BYTES: u64 = 4 * 1024 * 1024;

/// What `max_bytes` means in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cap {
    /// The most pages of the database's file.
    pub(super) pages: u64,
    /// The log is copied into the database when it has this many bytes.
    pub(super) log_bytes: u64,
}

impl Cap {
    pub(super) fn of(max_bytes: u64, page_bytes: u64) -> Self {
        let log_bytes = Self::log_part(max_bytes);
        // The index of the log is a file of 32 KiB for each 4,000 pages in it.
        let index_bytes = 64 * 1024;
        let pages = max_bytes.saturating_sub(log_bytes + index_bytes) / page_bytes;
        Self { pages, log_bytes }
    }

    /// What is kept of `max_bytes` for the log.
    pub(super) fn log_part(max_bytes: u64) -> u64 {
        (max_bytes / 8).min(CAPPED_LOG_BYTES)
    }
}

/// Refuses a library that may corrupt the database.
pub(super) fn check_library(version: i32) -> Result<(), Error> {
    if version >= MIN_LIBRARY {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, OPERATION).with_detail(format!(
        "this program is linked with SQLite {}.{}.{}, which may corrupt a database with several \
         writers; link 3.51.3 or newer",
        version / 1_000_000,
        version / 1_000 % 1_000,
        version % 1_000
    )))
}

/// Makes an empty file for this user alone, if there is none, and checks that it may be used.
///
/// A file that is there is not opened: to close it would free SQLite's locks on it.
pub(super) fn make_file(path: &Path) -> Result<(), Error> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let checked = match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK).map_err(io::Error::from)
        }
        made => made.map(drop),
    };
    checked.map_err(|error| Error::io(OPERATION, path, error))
}

/// Opens a connection of this store's kind.
pub(super) fn connect(path: &Path, settings: &Settings) -> rusqlite::Result<Connection> {
    // Not shared by threads, and the path is no URI.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(settings.common.lock_timeout)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans that do not depend on what is bound. Otherwise SQLite prepares some statements again at
    // each use, for it might find a better plan; that took six times as long as the read itself.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let longest = row::sqlite_limit(settings.common.max_value_bytes);
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest)?;
    let synchronous = match settings.durability {
        Durability::Durable => "FULL",
        _ => "NORMAL",
    };
    // A negative number is KiB.
    let cache_kib = i64::try_from(settings.cache_bytes / 1024).unwrap_or(i64::MAX);
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF;
         PRAGMA recursive_triggers = ON; PRAGMA cache_size = -{cache_kib};",
    ))?;
    Ok(connection)
}

/// A connection that has the database open in WAL mode, to keep others from changing that; `None` if it
/// is not in WAL mode.
pub(super) fn anchor(path: &Path, settings: &Settings) -> rusqlite::Result<Option<Connection>> {
    let connection = connect(path, settings)?;
    // It opens the log, and with it takes the locks that it holds from then on, when it reads.
    connection.pragma_query_value(None, "user_version", |_| Ok(()))?;
    Ok(is_wal(&connection)?.then_some(connection))
}

/// Keeps the database and its log below the limit, if there is one, in what `connection` writes.
pub(super) fn limit(connection: &Connection, settings: &Settings) -> rusqlite::Result<()> {
    let page_bytes =
        connection.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))?;
    let page_bytes = page_bytes.unsigned_abs().max(512);
    let Some(max_bytes) = settings.max_bytes else {
        // Another program may have made the pages larger.
        let pages = LOG_PAGES.min(LOG_BYTES / page_bytes);
        return connection.execute_batch(&format!(
            "PRAGMA wal_autocheckpoint = {pages}; PRAGMA journal_size_limit = {LOG_BYTES}"
        ));
    };
    let cap = Cap::of(max_bytes, page_bytes);
    connection.execute_batch(&format!(
        "PRAGMA max_page_count = {}; PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = {}",
        cap.pages,
        cap.log_bytes / page_bytes / 2,
        cap.log_bytes
    ))
}

/// Makes the tables, or brings them to the present version, if they are not.
///
/// An existing database of this version, with what is in it now, is opened without waiting for its writers. For the
/// others `lock` takes their lock, unless the caller has it.
pub(super) fn prepare<'a>(
    connection: &Connection,
    path: &Path,
    lock: impl FnOnce() -> Result<Option<WriterGuard<'a>>, Error>,
) -> Result<(), Error> {
    let fail = |error| errors::map(OPERATION, path, error);
    let state = State::of(connection).map_err(fail)?;
    if state == State::Current && is_wal(connection).map_err(fail)? && !has_tagged(connection) {
        return Ok(());
    }
    refuse_foreign(state, path)?;
    let _writer = lock()?;
    let state = State::of(connection).map_err(fail)?;
    refuse_foreign(state, path)?;
    // Before the first table is made, or it has no effect.
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL").map_err(fail)?;
    if !set_wal(connection).map_err(fail)? {
        return Err(Error::new(ErrorKind::Config, OPERATION).with_detail(format!(
            "{} cannot be put in WAL mode; use a local file system",
            path.display()
        )));
    }
    let migrated = match state {
        State::Empty => schema::migrate(connection, 0),
        State::Older(version) => schema::migrate(connection, version),
        State::Current if has_tagged(connection) => schema::migrate(connection, schema::VERSION),

        State::Current | State::Newer(_) | State::Foreign => Ok(()),
    };
    migrated.map_err(fail)
}

/// As [`schema::has_tagged`]. Tables that cannot be read are met by whoever uses them.
fn has_tagged(connection: &Connection) -> bool {
    schema::has_tagged(connection).unwrap_or(false)
}

fn is_wal(connection: &Connection) -> rusqlite::Result<bool> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    Ok(mode == "wal")
}

fn set_wal(connection: &Connection) -> rusqlite::Result<bool> {
    let set = "PRAGMA journal_mode = WAL";
    connection.query_row(set, [], |row| row.get::<_, String>(0)).map(|mode| mode == "wal")
}

fn refuse_foreign(state: State, path: &Path) -> Result<(), Error> {
    match state {
        State::Empty | State::Current | State::Older(_) => Ok(()),
        State::Newer(version) => Err(errors::newer(OPERATION, path, version)),
        State::Foreign => Err(Error::new(ErrorKind::Config, OPERATION).with_detail(format!(
            "{}: another program's database; use another path",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::SqliteConfig;
    use super::super::store::Store;
    use super::*;

    #[test]
    fn a_connection_is_as_the_documentation_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let config = SqliteConfig::new(&path).cache_bytes(3 * 1024 * 1024);
        let durable = config.clone().durability(Durability::Durable);
        drop(Store::open(&path, config.settings).unwrap());
        for (settings, synchronous) in [(config.settings, 1), (durable.settings, 2)] {
            let connection = connect(&path, &settings).unwrap();
            let number = |pragma| {
                connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap()
            };
            assert_eq!(number("synchronous"), synchronous, "1 is NORMAL, and 2 is FULL");
            assert_eq!(number("mmap_size"), 0);
            assert_eq!(number("cache_size"), -3 * 1024);
            assert_eq!(number("trusted_schema"), 0);
        }
    }

    fn has_tagged_column(connection: &Connection) -> bool {
        schema::has_tagged(connection).unwrap()
    }

    #[test]
    fn of_two_that_find_the_column_of_before_one_drops_it_and_both_open_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let settings = SqliteConfig::new(&path).settings;
        drop(Store::open(&path, settings).unwrap());
        let [one, other] = [(); 2].map(|()| connect(&path, &settings).unwrap());
        one.execute_batch("ALTER TABLE entries ADD COLUMN tagged INTEGER NOT NULL DEFAULT 0")
            .unwrap();
        let mut waited = false;
        prepare(&one, &path, || {
            prepare(&other, &path, || Ok(None)).unwrap();
            assert!(!has_tagged_column(&other));
            waited = true;
            Ok(None)
        })
        .unwrap();
        assert!(waited, "the control: it found the column before it had the lock");
        assert!(!has_tagged_column(&one));
        prepare(&one, &path, || panic!("nobody waits for writers where it is gone")).unwrap();
    }

    #[test]
    fn the_log_ends_within_the_first_part_of_its_index_and_is_not_cut_for_its_length() {
        let dir = tempfile::tempdir().unwrap();
        for (page_bytes, pages) in [(512, 3_000), (4096, 3_000), (65_536, 192)] {
            let path = dir.path().join(format!("{page_bytes}.db"));
            let made = Connection::open(&path).unwrap();
            let table = format!("PRAGMA page_size = {page_bytes}; CREATE TABLE t (a)");
            made.execute_batch(&table).unwrap();
            let settings = SqliteConfig::new(&path).settings;
            let connection = connect(&path, &settings).unwrap();
            limit(&connection, &settings).unwrap();
            let number = |pragma| {
                connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap()
            };
            assert_eq!(number("wal_autocheckpoint"), pages, "pages of {page_bytes} bytes");
            assert_eq!(number("journal_size_limit"), 12 << 20);
        }
        // The log has a header, and so has each page in it.
        let longest = |pages| 32 + pages * (24 + 4096);
        assert!((longest(LOG_PAGES)..=longest(3_100)).contains(&LOG_BYTES));
    }
}
