//! The file of a store that processes share, whose locks are waited for no longer than configured.
//
// redb locks the file's header for a moment when a read begins and when a write is committed, and waits
// for that without end: a process that is stopped with the lock in hand would stop all others, readers
// too, for as long as it is stopped. Here the wait ends with an error of kind `TimedOut`. A commit takes
// the lock more than once: if it is the last time that is not had, the commit may still come to count.
//
// The threads of a process queue for the header at a lock of redb's own before they come here. So the
// limit counts from when the operation began, which the thread knows: who has waited in the queue for
// one that gave up has waited himself, and tries once more.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use redb::backends::FileBackend;
use redb::{BackendError, Builder, Database, DatabaseError, StorageBackend};

use crate::place;

/// The longest pause between two looks at a lock. The first is the shortest, since the header is held
/// for microseconds by who runs.
const LONGEST_PAUSE: Duration = Duration::from_millis(1);
const SHORTEST_PAUSE: Duration = Duration::from_micros(20);

thread_local! {
    /// When the operation of this thread has waited for long enough.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// While it lives, this thread waits for locks until one moment, however many they are. One within
/// another ends no later than that.
pub(super) struct Limit {
    before: Option<Instant>,
}

impl Limit {
    pub(super) fn begin(timeout: Duration) -> Self {
        let before = DEADLINE.get();
        let end = Instant::now().checked_add(timeout);
        DEADLINE.set([before, end].into_iter().flatten().min());
        Self { before }
    }

    /// From here on until `end`, for ever without one: the thread works for others too, who have time left.
    pub(super) fn until(end: Option<Instant>) -> Self {
        Self { before: DEADLINE.replace(end) }
    }

    /// How much longer this thread may wait; `None` without a limit.
    pub(super) fn left() -> Option<Duration> {
        DEADLINE.get().map(|end| end.saturating_duration_since(Instant::now()))
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        DEADLINE.set(self.before);
    }
}

/// Opens the file at `path`, which is there; if it is empty, makes a database of it. `shared`: for many
/// processes, as `builder` says. With the file's device and inode: by the time that it is open, the path may lead to
/// another one.
pub(super) fn open(builder: &Builder, path: &Path, shared: bool) -> Result<Opened, DatabaseError> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let id = place::id(&file.metadata()?);
    let database = match shared {
        true => builder.create_with_backend(Bounded::new(file)?)?,
        false => builder.create_with_backend(FileBackend::new(file)?)?,
    };
    Ok((database, id))
}

/// Whether the file at `path` says that it is open, or was when its last process ended: the second bit of the byte
/// that follows the nine of redb's magic number.
pub(super) fn was_left_open(path: &Path) -> io::Result<bool> {
    let mut byte = [0];
    match File::open(path)?.read_exact_at(&mut byte, 9) {
        Ok(()) => Ok(byte[0] & 2 != 0),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// A database, and the device and the inode of its file.
pub(super) type Opened = (Database, (u64, u64));

/// redb's own backend for files, but for the two calls that wait.
#[derive(Debug)]
struct Bounded {
    file: FileBackend,
}

impl Bounded {
    fn new(file: File) -> Result<Self, DatabaseError> {
        Ok(Self { file: FileBackend::new(file)? })
    }
}

/// Tries until `lock` has it, or this thread has waited for long enough.
fn wait(mut lock: impl FnMut() -> Result<bool, BackendError>) -> Result<(), BackendError> {
    let mut pause = SHORTEST_PAUSE;
    loop {
        if lock()? {
            return Ok(());
        }
        let left = Limit::left();
        if left == Some(Duration::ZERO) {
            return Err(BackendError::Io(io::ErrorKind::TimedOut.into()));
        }
        thread::sleep(left.map_or(pause, |left| left.min(pause)));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl StorageBackend for Bounded {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        wait(|| self.file.try_lock_range(start, end))
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        wait(|| self.file.try_lock_shared_range(start, end))
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
