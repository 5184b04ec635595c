// The index of the log (`cache.db-shm`), of which this reads the first bytes. Their layout is part of
// SQLite's file format ("WAL-mode File Format", section 2), and is what its own readers go by:
//
//   0    the header: version, 4 bytes unused, count of changes, whether it was written, byte order,
//        page size, frames in the log, pages of the database, running checksum of the frames, the
//        log's two salts, checksum of the header
//   48   the header once more
//   96   what checkpoints need
//   136  the page in the log's first frame
//
// 1. Who commits, in whatever process, writes the second copy of the header, then the first one, before
//    the commit returns; a reader takes the content that the header names. So while the header is the
//    same nothing new can be seen by anybody. A header with two copies that differ is being written, or
//    its writer died, and is no moment.
// 2. A header does not come back with another content. The salts belong to one log, which only grows;
//    a log that begins anew has others, and so has one that is emptied. A header that was destroyed is
//    made again from the log, with the same salts, frames and checksum, or more of them.
// 3. One header has no salts: that of a log that was empty when its index was made. It could be made
//    once more after the log was written and emptied, if a process dies while it writes the header of an
//    emptied log. So it is a moment only while no frame was ever noted in the index. (That note is cleared
//    for an instant when a log begins: who looks just then, and never since that death, is misled.)
// 4. All that holds as long as a connection of ours has the database open: its locks keep others from
//    leaving WAL mode, deleting the log and emptying the index.
// 5. To close any descriptor of a file frees all locks that this process has on it, and SQLite's locks
//    are on this file. So ours is closed only when the file has no name any more: SQLite removes it when
//    no connection, of no process, has the database open. Until then it is kept for whoever opens
//    the database next.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::place;

/// The bytes of one copy of the header.
const HEADER_BYTES: usize = 48;

/// Where the page of the first frame is.
const FIRST_PAGE_AT: usize = 136;

const READ_BYTES: usize = FIRST_PAGE_AT + 4;

/// The version of the index that SQLite has written since there is one.
const FORMAT: u32 = 3_007_000;

/// The indexes that this process has opened and could not yet close (rule 5).
static OPENED: Mutex<Vec<Arc<File>>> = Mutex::new(Vec::new());

/// A moment in the life of a database; between two that are equal nothing was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment([u8; HEADER_BYTES]);

impl Moment {
    fn of(bytes: &[u8; READ_BYTES]) -> Option<Self> {
        let (first, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let (second, _) = rest.split_first_chunk::<HEADER_BYTES>()?;
        let number = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let written = first == second && first[12] == 1 && number(0)? == FORMAT;
        let named = number(32)? != 0 || number(36)? != 0;
        (written && (named || number(FIRST_PAGE_AT)? == 0)).then_some(Self(*first))
    }

    /// The count of commits (SQLite's `iChange`), which wraps, and begins anew when a header is made from the
    /// log.
    pub(super) fn commits(self) -> u32 {
        let [.., a, b, c, d] = *self.0.first_chunk::<12>().unwrap_or(&[0; 12]);
        u32::from_ne_bytes([a, b, c, d])
    }
}

/// The index of one database's log.
#[derive(Debug)]
pub(super) struct Index {
    /// Keeps the database open (rule 4), whatever becomes of the others. Nobody uses it. `None` once it
    /// was let go, and there are no more moments.
    anchor: Mutex<Option<Connection>>,
    file: Arc<File>,
}

impl Index {
    /// The index of the database at `path`, which `anchor` has open in WAL mode; `None` if it cannot be
    /// read.
    pub(super) fn open(path: &Path, anchor: Connection) -> Option<Self> {
        let file = open_file(&place::beside(path, "-shm")).ok()?;
        Some(Self { anchor: Mutex::new(Some(anchor)), file })
    }

    /// The moment that it is; `None` if that cannot be told.
    ///
    /// What other processes write through their mappings is seen by a read at once, since both are the
    /// same pages of the kernel: so it is on Linux, on every local file system.
    pub(super) fn moment(&self) -> Option<Moment> {
        let mut bytes = [0; READ_BYTES];
        let read = self.file.read_at(&mut bytes, 0).ok()?;
        if read < READ_BYTES { None } else { Moment::of(&bytes) }
    }

    /// Lets the database be closed; who asks for a moment after that is told of one that may not hold.
    pub(super) fn let_go(&self) {
        let anchor = self.anchor.lock().take();
        drop(anchor);
    }

    /// Ends its use, after all other connections of the store have been closed.
    pub(super) fn close(self) {
        drop(self);
        close_unnamed(&mut OPENED.lock());
    }
}

/// Opens the file at `path` to be read, or finds it among those that are open.
fn open_file(path: &Path) -> io::Result<Arc<File>> {
    let mut opened = OPENED.lock();
    close_unnamed(&mut opened);
    let there = identity(&path.symlink_metadata()?);
    let is_there = |file: &Arc<File>| file.metadata().is_ok_and(|it| identity(&it) == there);
    if let Some(file) = opened.iter().find(|file| is_there(file)) {
        return Ok(Arc::clone(file));
    }
    let mut options = OpenOptions::new();
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let file = Arc::new(options.read(true).custom_flags(no_link).open(path)?);
    // Before anything can fail: from here on it must not be closed.
    opened.push(Arc::clone(&file));
    // Another file than the one that SQLite has is of no use.
    if is_there(&file) { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Closes those that nobody uses and nobody can have locks on.
fn close_unnamed(opened: &mut Vec<Arc<File>>) {
    let has_name = |file: &File| file.metadata().map_or(true, |it| it.nlink() > 0);
    opened.retain(|file| Arc::strong_count(file) > 1 || has_name(file));
}

#[cfg(test)]
impl Moment {
    pub(super) fn with_commits(commits: u32) -> Self {
        let mut bytes = [0; HEADER_BYTES];
        bytes[8..12].copy_from_slice(&commits.to_ne_bytes());
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of an index whose log has `salt`, and `page` in its first frame.
    fn bytes(salt: u32, page: u32) -> [u8; READ_BYTES] {
        let mut bytes = [0; READ_BYTES];
        for copy in [0, HEADER_BYTES] {
            bytes[copy..copy + 4].copy_from_slice(&FORMAT.to_ne_bytes());
            bytes[copy + 12] = 1;
            bytes[copy + 36..copy + 40].copy_from_slice(&salt.to_ne_bytes());
        }
        bytes[FIRST_PAGE_AT..].copy_from_slice(&page.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_header_that_is_being_written_is_no_moment() {
        let whole = bytes(7, 1);
        assert!(Moment::of(&whole).is_some());
        for at in 0..2 * HEADER_BYTES {
            let mut torn = whole;
            torn[at] ^= 1;
            assert_eq!(Moment::of(&torn), None, "byte {at}");
        }
        assert_eq!(Moment::of(&[0; READ_BYTES]), None);
    }

    #[test]
    fn a_log_without_a_name_is_a_moment_only_before_its_first_frame() {
        assert!(Moment::of(&bytes(0, 0)).is_some());
        assert_eq!(Moment::of(&bytes(0, 1)), None);
        assert!(Moment::of(&bytes(1, 1)).is_some());
    }

    #[test]
    fn an_index_of_another_format_is_not_understood() {
        let mut newer = bytes(7, 1);
        newer[0] ^= 1;
        newer[HEADER_BYTES] ^= 1;
        assert_eq!(Moment::of(&newer), None);
    }

    #[test]
    fn a_file_is_opened_once_and_closed_when_it_has_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db-shm");
        std::fs::write(&path, [0; READ_BYTES]).unwrap();
        let (one, other) = (open_file(&path).unwrap(), open_file(&path).unwrap());
        assert!(Arc::ptr_eq(&one, &other));
        let place = identity(&one.metadata().unwrap());
        let is_open =
            || OPENED.lock().iter().filter(|it| identity(&it.metadata().unwrap()) == place).count();
        drop((one, other));
        close_unnamed(&mut OPENED.lock());
        assert_eq!(is_open(), 1, "it has its name yet");
        let again = open_file(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        close_unnamed(&mut OPENED.lock());
        assert_eq!(is_open(), 1, "it is in use");
        drop(again);
        close_unnamed(&mut OPENED.lock());
        assert_eq!(is_open(), 0);
    }
}
