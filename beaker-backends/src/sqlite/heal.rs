//! What becomes of a database that is damaged as a whole: it is set aside, and the store goes on with a
//! new one.
//
// 1. A fault of SQLite's that says so is only a suspicion. The database is set aside if it says that it is
//    ours, if nobody else has it open, and if SQLite, asked to look through all of it by a new connection,
//    finds a fault again. Then it gets another name, and is not deleted.
// 2. That nobody of this program has it open is known by presence.rs; of other programs, such as the tool,
//    by the lock that SQLite has on a database in WAL mode as long as it is open. Whoever had it open
//    would go on with a file that nobody else sees, and with the log of another.
// 3. The log goes first. If this process dies in between, the database is there without it, and as damaged
//    as before; a new one beside the old log would be taken for what the log belongs to.
// 4. All this is done while this process has no connection to it: to close any descriptor of the file
//    frees the locks of all of them.
// 5. A log that falls short of what was committed to it (log.rs) is damage too, though what SQLite takes of
//    it is sound: it is what the database was at some earlier time.
// 6. To look takes a while, in which the tool may come. So it is asked twice whether anybody has it open.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};

use super::config::Settings;
use super::schema::{self, State};
use super::{connection, errors, log};
use crate::place;

/// The bytes of a database's file that SQLite locks.
const LOCKED: std::ops::Range<u64> = 0x4000_0000..0x4000_0200;

/// What a database of SQLite's begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Where it says whose it is.
const OWNER_AT: usize = 68;

/// Where it says by which version of SQLite's format it is written, and read.
const FORMAT_AT: usize = 18;

/// For how long the log may be looked at however short others wait: they need not wait at all, and it is to be
/// looked at all the same.
const LOOK_AT_LEAST: Duration = Duration::from_millis(100);

/// What came of a suspicion.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is damaged, and has this name now.
    Aside(PathBuf),
    /// It is damaged, or was not looked at, and others have it open.
    InUse,
    /// Nothing was found, or it could not be told.
    Unproven,
    /// It does not say that it is ours.
    Foreign,
}

/// Sets the database at `path` aside if it is damaged. The caller has nothing open, and no other process
/// of this program has.
pub(super) fn judge(path: &Path, settings: &Settings) -> io::Result<Verdict> {
    let is_damaged = |head: &[u8]| is_of_another_format(head) || is_damaged(path, settings);
    judge_by(path, is_damaged, is_locked)
}

/// The same if its log falls short of what was committed; no more is looked at, and that no longer than half
/// of the time for which others wait to open it, or [`LOOK_AT_LEAST`].
pub(super) fn judge_log(path: &Path, settings: &Settings) -> io::Result<Verdict> {
    let limit = look_limit(settings);
    judge_by(path, |_| log::falls_short(path, limit).unwrap_or(false), is_locked)
}

fn look_limit(settings: &Settings) -> Duration {
    (settings.common.lock_timeout / 2).max(LOOK_AT_LEAST)
}

fn judge_by(
    path: &Path,
    is_damaged: impl FnOnce(&[u8]) -> bool,
    mut is_locked: impl FnMut(&fs::File) -> io::Result<bool>,
) -> io::Result<Verdict> {
    let file = fs::File::open(path)?;
    let mut head = [0; OWNER_AT + 4];
    let read = file.read_at(&mut head, 0)?;
    let head = &head[..read];
    if !is_ours(head) {
        return Ok(Verdict::Foreign);
    }
    if is_locked(&file)? {
        return Ok(Verdict::InUse);
    }
    if !is_damaged(head) {
        return Ok(Verdict::Unproven);
    }
    // Rule 6.
    if is_locked(&file)? {
        return Ok(Verdict::InUse);
    }
    set_aside(path).map(Verdict::Aside)
}

/// Whether it says that it is a database of ours, as far as it is there.
fn is_ours(head: &[u8]) -> bool {
    let begins = head.iter().zip(MAGIC).all(|(byte, magic)| byte == magic);
    let owner = head.get(OWNER_AT..OWNER_AT + 4);
    begins && owner.is_none_or(|owner| owner == schema::APPLICATION_ID.to_be_bytes())
}

/// Whether it says that an SQLite to come reads it, or writes it: no one has, for one has not been since 2010.
fn is_of_another_format(head: &[u8]) -> bool {
    head.get(FORMAT_AT..FORMAT_AT + 2).is_some_and(|formats| formats.iter().any(|it| *it > 2))
}

/// Whether another process has it open by SQLite.
fn is_locked(file: &fs::File) -> io::Result<bool> {
    let whole = Flock {
        start: LOCKED.start,
        length: LOCKED.end - LOCKED.start,
        pid: None,
        typ: FlockType::WriteLock,
        offset_type: FlockOffsetType::Set,
    };
    Ok(fcntl_getlk(file, &whole)?.is_some())
}

/// Whether SQLite finds a fault in it. If that takes longer than anybody waits for a lock it is not known,
/// and so not said.
fn is_damaged(path: &Path, settings: &Settings) -> bool {
    let connection = match connection::connect(path, settings) {
        Ok(connection) => connection,
        Err(error) => return says_damaged(&error),
    };
    within(settings.common.lock_timeout, &connection, || match is_whole(&connection) {
        Ok(whole) => !whole,
        Err(error) => says_damaged(&error),
    })
}

/// Whether `error` is about what is in the database.
fn says_damaged(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseCorrupt, NotADatabase};
    let code = error.sqlite_error_code();
    matches!(code, Some(DatabaseCorrupt | NotADatabase)) || errors::does_not_fit(error)
}

/// Interrupts `connection` if `work` takes too long.
fn within<T>(limit: Duration, connection: &Connection, work: impl FnOnce() -> T) -> T {
    let interrupt = connection.get_interrupt_handle();
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        scope.spawn(move || {
            if is_done.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                interrupt.interrupt();
            }
        });
        let outcome = work();
        drop(done);
        outcome
    })
}

fn is_whole(connection: &Connection) -> rusqlite::Result<bool> {
    match State::of(connection)? {
        State::Empty | State::Newer(_) | State::Foreign => return Ok(true),
        State::Current => connection.execute_batch(schema::USES_ALL)?,
        State::Older(_) => {}
    }
    let fault: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok(fault == "ok")
}

/// Rule 3.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = place::name_aside(path);
    for ending in ["-wal", "-shm", ""] {
        match fs::rename(place::beside(path, ending), place::beside(&aside, ending)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !ending.is_empty() => {}
            renamed => renamed?,
        }
    }
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::super::config::SqliteConfig;
    use super::super::store::Store;
    use super::*;

    /// A closed database of ours.
    fn made(dir: &Path) -> (PathBuf, Settings) {
        let path = dir.join("cache.db");
        let settings = SqliteConfig::new(&path).settings;
        drop(Store::open(&path, settings).unwrap());
        (path, settings)
    }

    fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).unwrap();
        how(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_good_database_stays_whatever_was_suspected() {
        let dir = tempfile::tempdir().unwrap();
        let (path, settings) = made(dir.path());
        let before = fs::read(&path).unwrap();
        assert_eq!(judge(&path, &settings).unwrap(), Verdict::Unproven);
        assert_eq!(fs::read(&path).unwrap(), before);
        // What cannot be looked through in the time that there is stays too, damaged or not.
        change(&path, |bytes| bytes[4_096..].fill(0x5a));
        let connection = connection::connect(&path, &settings).unwrap();
        let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
                       SELECT count(*) FROM n";
        let outcome = within(Duration::from_millis(5), &connection, || {
            connection.query_row(endless, [], |row| row.get::<_, i64>(0))
        });
        assert!(!says_damaged(&outcome.unwrap_err()));
    }

    #[test]
    fn damage_anywhere_is_set_aside_with_its_log() {
        let damages: [fn(&Path); 6] = [
            |path| change(path, |bytes| bytes[4_096..].fill(0x5a)),
            |path| change(path, |bytes| bytes.truncate(5_000)),
            |path| change(path, |bytes| bytes.truncate(20)),
            |path| change(path, |bytes| bytes[FORMAT_AT] ^= 4),
            |path| {
                let connection = Connection::open(path).unwrap();
                connection.execute_batch("DROP TABLE claims").unwrap();
            },
            |path| {
                let connection = Connection::open(path).unwrap();
                connection.execute_batch("ALTER TABLE marks RENAME record TO recorz").unwrap();
            },
        ];
        for (number, damage) in damages.into_iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let (path, settings) = made(dir.path());
            damage(&path);
            fs::write(place::beside(&path, "-wal"), "").unwrap();
            let verdict = judge(&path, &settings).unwrap();
            let Verdict::Aside(aside) = verdict else { panic!("damage {number}: {verdict:?}") };
            assert!(aside.exists() && !path.exists(), "damage {number}");
            assert!(!place::beside(&path, "-wal").exists(), "damage {number}");
        }
    }

    #[test]
    fn the_log_is_looked_at_for_half_of_the_time_that_others_wait_and_also_if_they_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = made(dir.path());
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("INSERT INTO purge (ns) VALUES (1), (2)").unwrap();
        // As a process leaves it that is killed, and what came later is damaged.
        let left = tempfile::tempdir().unwrap();
        let copy = left.path().join("cache.db");
        for ending in ["", "-wal", "-shm"] {
            fs::copy(place::beside(&path, ending), place::beside(&copy, ending)).unwrap();
        }
        change(&place::beside(&copy, "-wal"), |log| log.truncate(4_000));
        let config = SqliteConfig::new(&copy).lock_timeout(Duration::ZERO);
        let verdict = judge_log(&copy, &config.settings).unwrap();
        assert!(matches!(verdict, Verdict::Aside(_)), "{verdict:?}");
        let limit = |timeout| look_limit(&config.clone().lock_timeout(timeout).settings);
        assert_eq!(limit(Duration::from_secs(10)), Duration::from_secs(5));
        assert_eq!(limit(Duration::ZERO), LOOK_AT_LEAST);
    }

    #[test]
    fn what_somebody_has_opened_by_the_time_that_it_is_found_damaged_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = made(dir.path());
        for (number, answers) in [[true, true], [false, true], [false, false]].iter().enumerate() {
            let mut answers = answers.iter().copied();
            let is_locked = |_: &fs::File| Ok(answers.next().expect("it is asked twice"));
            let verdict = judge_by(&path, |_| true, is_locked).unwrap();
            assert_eq!(verdict == Verdict::InUse, number < 2, "{number}: {verdict:?}");
            assert_eq!(path.exists(), number < 2, "{number}");
        }
    }

    #[test]
    fn what_does_not_say_that_it_is_ours_is_left() {
        let others: [fn(&mut Vec<u8>); 3] = [
            |bytes| bytes[OWNER_AT] ^= 1,
            |bytes| bytes[0] ^= 1,
            |bytes| *bytes = b"Dear reader, ".repeat(500),
        ];
        for (number, other) in others.into_iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let (path, settings) = made(dir.path());
            change(&path, |bytes| {
                bytes[5_000..].fill(0x5a);
                other(bytes);
            });
            let before = fs::read(&path).unwrap();
            assert_eq!(judge(&path, &settings).unwrap(), Verdict::Foreign, "{number}");
            assert_eq!(fs::read(&path).unwrap(), before);
        }
    }
}
