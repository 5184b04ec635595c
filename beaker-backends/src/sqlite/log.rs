//! Whether the log that a killed process left has all that was committed to it.
//
// Who opens a database after its last process was killed reads the log from its beginning, up to the first
// frame that is not right. That is what a power cut asks for, which may have torn the end of the log. But if
// a bit of it has flipped, or a part of it is gone, what was committed behind that place is gone too, and
// what it replaced, removed or marked is back: values that are whole, and old. So:
//
// 1. The index of the log (index.rs) says how many frames were committed. A writer that commits writes the
//    frames first and the index last, and one that empties the log or begins it anew writes the index
//    first. So what the index says is in the log at every moment at which a process can be killed.
// 2. It is known of an index of this boot only. After a power cut both files are as they happened to come to
//    the disk: such a log is taken as far as it goes. Presence.rs notes the boot, once SQLite has made the
//    index anew.
// 3. It is looked at before SQLite opens the database, which makes the index anew from what it finds, and
//    while nobody has it open: heal.rs sees to that.
// 4. A log whose header is right and has other salts than the index is not the one that the index is of, and
//    nothing is said of it.
// 5. Of a log that is gone, or empty, nothing is said either: tools that keep the index in their own memory
//    (`locking_mode=EXCLUSIVE`) take the log into the database and leave the index of before.
// 6. Nobody else can open the database meanwhile, so it is given up after a while, and nothing is said. And the tool
//    may: so what falls short does only if the index says the same after that.
//
// Their layout is part of SQLite's file format ("The Write-Ahead Log", "WAL-mode File Format").

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::place;

/// The bytes of one copy of the index's header, of which there are two.
const INDEX_BYTES: usize = 48;

/// How many of them its sum is of.
const SUMMED_BYTES: usize = 40;

const LOG_HEADER_BYTES: usize = 32;

const FRAME_HEADER_BYTES: usize = 24;

/// What a log begins with; the last bit says that the words in its sums are big-endian.
const MAGIC: u32 = 0x377f_0682;

/// The version of the log that SQLite has written since there is one.
const FORMAT: u32 = 3_007_000;

/// What the index says of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Committed {
    frames: u32,
    salts: [u8; 8],
}

/// Whether frames are missing or changed that were committed to the log of the database at `path`, if there is
/// one with anything in it. The caller has nothing open, nobody else has, and the index is of this boot.
///
/// It fails if that is not known after `limit`.
pub(super) fn falls_short(path: &Path, limit: Duration) -> io::Result<bool> {
    falls_short_by(path, limit, |log| Ok(BufReader::with_capacity(1 << 16, File::open(log)?)))
}

fn falls_short_by<R: Read>(
    path: &Path,
    limit: Duration,
    open: impl FnOnce(&Path) -> io::Result<R>,
) -> io::Result<bool> {
    let until = Instant::now() + limit;
    let index = place::beside(path, "-shm");
    let Some(committed) = committed(&index)?.filter(|committed| committed.frames > 0) else {
        return Ok(false);
    };
    let is_short = match open(&place::beside(path, "-wal")) {
        Ok(mut log) => is_short(&mut log, committed, until)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    Ok(is_short && self::committed(&index)? == Some(committed))
}

/// What the index at `path` says; `None` if it says nothing.
fn committed(path: &Path) -> io::Result<Option<Committed>> {
    let mut copies = [0; 2 * INDEX_BYTES];
    match File::open(path).and_then(|mut index| index.read_exact(&mut copies)) {
        Err(error) if is_absent(&error) => return Ok(None),
        read => read?,
    }
    // The second copy is written first. Of a writer that was killed in between either is true.
    let (first, second) = copies.split_at(INDEX_BYTES);
    Ok([second, first].into_iter().find_map(read_index))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
}

fn read_index(bytes: &[u8]) -> Option<Committed> {
    let number = |at: usize| word(bytes, at, cfg!(target_endian = "big"));
    let sum = sum([0, 0], bytes.get(..SUMMED_BYTES)?, cfg!(target_endian = "big"));
    let is_whole = number(0)? == FORMAT && sum == [number(40)?, number(44)?];
    let salts = *bytes.get(32..)?.first_chunk()?;
    is_whole.then_some(Committed { frames: number(16)?, salts })
}

/// Whether `log` ends, or is not right, before the last frame that was committed.
fn is_short(log: &mut impl Read, committed: Committed, until: Instant) -> io::Result<bool> {
    let mut header = Vec::with_capacity(LOG_HEADER_BYTES);
    match log.take(LOG_HEADER_BYTES as u64).read_to_end(&mut header)? {
        0 => return Ok(false),
        LOG_HEADER_BYTES => {}
        _ => return Ok(true),
    }
    let Some((page_bytes, big, mut sums)) = read_header(&header) else { return Ok(true) };
    if header[16..24] != committed.salts {
        return Ok(false);
    }
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
    for _ in 0..committed.frames {
        if Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if !fill(log, &mut frame)? || !is_next(&frame, &committed.salts, big, &mut sums) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The bytes of a page, whether the sums are of big-endian words, and the first one.
fn read_header(header: &[u8]) -> Option<(usize, bool, [u32; 2])> {
    let number = |at| word(header, at, true);
    let big = number(0)? & 1 == 1;
    let page_bytes = number(8)?;
    let sums = sum([0, 0], header.get(..24)?, big);
    let is_whole = number(0)? & !1 == MAGIC
        && number(4)? == FORMAT
        && page_bytes.is_power_of_two()
        && (512..=65_536).contains(&page_bytes)
        && sums == [number(24)?, number(28)?];
    is_whole.then_some((page_bytes as usize, big, sums))
}

/// Whether SQLite would take `frame` for the one after those that `sums` is of.
fn is_next(frame: &[u8], salts: &[u8; 8], big: bool, sums: &mut [u32; 2]) -> bool {
    let (head, page) = frame.split_at(FRAME_HEADER_BYTES);
    *sums = sum(sum(*sums, &head[..8], big), page, big);
    let said = [word(head, 16, true), word(head, 20, true)];
    head[..4] != [0; 4] && head[8..16] == *salts && said == sums.map(Some)
}

/// Fills `bytes`; says whether there were as many.
fn fill(log: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// Goes on with SQLite's sum over the words of `bytes`, whose count is even.
fn sum([mut one, mut two]: [u32; 2], bytes: &[u8], big: bool) -> [u32; 2] {
    for pair in bytes.chunks_exact(8) {
        let [first, second] = [0, 4].map(|at| word(pair, at, big).unwrap_or_default());
        one = one.wrapping_add(first).wrapping_add(two);
        two = two.wrapping_add(second).wrapping_add(one);
    }
    [one, two]
}

fn word(bytes: &[u8], at: usize, big: bool) -> Option<u32> {
    let word = *bytes.get(at..)?.first_chunk()?;
    Some(if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use rusqlite::Connection;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A database in WAL mode whose connection is still open, and copies of it.
    struct Made {
        dir: tempfile::TempDir,
        connection: Connection,
    }

    impl Made {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let connection = Connection::open(dir.path().join("cache.db")).unwrap();
            let set = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
                       CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(9000));";
            connection.execute_batch(set).unwrap();
            Self { dir, connection }
        }

        /// What a process would leave that is killed now.
        fn left(&self) -> (tempfile::TempDir, PathBuf) {
            let copy = tempfile::tempdir().unwrap();
            for file in fs::read_dir(self.dir.path()).unwrap().map(Result::unwrap) {
                fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
            }
            let path = copy.path().join("cache.db");
            (copy, path)
        }
    }

    fn change(path: &Path, ending: &str, how: impl FnOnce(&mut Vec<u8>)) {
        let path = place::beside(path, ending);
        let mut bytes = fs::read(&path).unwrap();
        how(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn what_a_killed_process_leaves_is_whole_at_every_moment() {
        let made = Made::new();
        let whole = || assert!(!falls_short(&made.left().1, LONG).unwrap());
        whole();
        for statement in [
            "INSERT INTO t VALUES (2)",
            "BEGIN; INSERT INTO t VALUES (zeroblob(100000))",
            "ROLLBACK",
            "PRAGMA wal_checkpoint(PASSIVE)",
            "INSERT INTO t VALUES (3)",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "INSERT INTO t VALUES (4)",
            "PRAGMA wal_checkpoint(RESTART)",
            "INSERT INTO t VALUES (5)",
        ] {
            made.connection.execute_batch(statement).unwrap();
            whole();
        }
        // What was not committed is not missed, and neither is a torn end of it.
        let (_dir, path) = made.left();
        change(&path, "-wal", |log| log.extend([7; 5_000]));
        assert!(!falls_short(&path, LONG).unwrap());
        // Opened and closed, it has neither.
        Connection::open(&path).unwrap().query_row("SELECT 1 FROM t", [], |_| Ok(())).unwrap();
        assert!(!place::beside(&path, "-shm").exists());
        assert!(!falls_short(&path, LONG).unwrap());
    }

    #[test]
    fn a_log_that_is_changed_or_cut_anywhere_falls_short() {
        let made = Made::new();
        let (_dir, path) = made.left();
        let whole = fs::read(place::beside(&path, "-wal")).unwrap();
        for at in (0..whole.len()).step_by(997).chain(0..LOG_HEADER_BYTES + FRAME_HEADER_BYTES) {
            change(&path, "-wal", |log| log[at] ^= 1);
            assert!(falls_short(&path, LONG).unwrap(), "byte {at}");
            change(&path, "-wal", |log| *log = whole[..at].to_vec());
            assert_eq!(falls_short(&path, LONG).unwrap(), at > 0, "{at} bytes");
            change(&path, "-wal", |log| log.clone_from(&whole));
        }
        assert!(!falls_short(&path, LONG).unwrap(), "the control");
    }

    #[test]
    fn a_log_that_another_program_has_taken_into_the_database_is_not_missed() {
        let made = Made::new();
        let (_dir, path) = made.left();
        let index = fs::read(place::beside(&path, "-shm")).unwrap();
        let tool = Connection::open(&path).unwrap();
        tool.execute_batch("PRAGMA locking_mode = EXCLUSIVE; INSERT INTO t VALUES (2)").unwrap();
        tool.close().unwrap();
        fs::write(place::beside(&path, "-shm"), index).unwrap();
        assert!(!place::beside(&path, "-wal").exists());
        assert!(!falls_short(&path, LONG).unwrap());
    }

    #[test]
    fn an_index_that_is_damaged_says_nothing_unless_its_other_copy_does() {
        let made = Made::new();
        let (_dir, path) = made.left();
        change(&path, "-wal", |log| log.truncate(5_000));
        for at in 0..INDEX_BYTES {
            change(&path, "-shm", |index| index[at] ^= 1);
            assert!(falls_short(&path, LONG).unwrap(), "byte {at} of the first copy");
            change(&path, "-shm", |index| index[INDEX_BYTES + at] ^= 1);
            assert!(!falls_short(&path, LONG).unwrap(), "byte {at} of both copies");
            change(&path, "-shm", |index| {
                index[at] ^= 1;
                index[INDEX_BYTES + at] ^= 1;
            });
        }
        change(&path, "-shm", |index| index.truncate(3));
        assert!(!falls_short(&path, LONG).unwrap());
    }

    #[test]
    fn another_log_than_the_one_that_the_index_is_of_is_let_be() {
        let (made, other) = (Made::new(), Made::new());
        let ((_one, path), (_two, other)) = (made.left(), other.left());
        fs::copy(place::beside(&other, "-wal"), place::beside(&path, "-wal")).unwrap();
        assert!(!falls_short(&path, LONG).unwrap());
    }

    #[test]
    fn a_log_that_takes_too_long_to_read_is_not_said_to_fall_short() {
        let made = Made::new();
        let (_dir, path) = made.left();
        change(&path, "-wal", |log| log.truncate(5_000));
        let error = falls_short(&path, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(falls_short(&path, LONG).unwrap(), "the control");
    }

    #[test]
    fn a_log_that_somebody_takes_into_the_database_while_it_is_read_is_let_be() {
        let made = Made::new();
        for comes in [false, true] {
            let (_dir, path) = made.left();
            change(&path, "-wal", |log| log.truncate(5_000));
            let log = fs::read(place::beside(&path, "-wal")).unwrap();
            let open = |_: &Path| {
                if comes {
                    let tool = Connection::open(&path).unwrap();
                    tool.execute_batch("CREATE TABLE other (a)").unwrap();
                }
                Ok(io::Cursor::new(log))
            };
            assert_eq!(falls_short_by(&path, LONG, open).unwrap(), !comes);
        }
    }
}
