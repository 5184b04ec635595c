use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::{Error, ErrorKind};
use parking_lot::{Mutex, MutexGuard};
use rustix::fs::{FlockOperation, SeekFrom};
use rustix::io::Errno;

// The rules:
// 1. Two locks: `writer.lock`, of whoever writes, and `next.lock`, of whoever is next in line. Who finds
//    somebody writing takes the second one, says so by the first byte of its file, waits for the first one,
//    takes the byte back, and then gives the second one back.
// 2. Who comes looks at the byte first, and goes into line too if it says that somebody is there. So from
//    then on nobody who comes later, nor who has just written, comes before the one in line, who waits for one
//    write at most (and for those that had looked before). Nobody waits: one look, and one lock.
// 3. Among those who are not in line yet there is no order. Each of their waits is as long as one write,
//    and bounded as a whole.
// 4. Locks of the system are free when their holder dies, and the byte stays: who comes next finds the line
//    free, and takes the byte back. One that is stopped while it is next in line keeps the line, though nobody
//    writes: so who was not let into line for a while does without it.
// 5. That `next.lock` has two bytes says that one process has the database open, and no other (presence.rs). It
//    needs the lock among its threads only, and takes no other. The length is asked for, and not a byte, because
//    nothing is told sooner by a system. Whoever comes in beside it cuts the file before its own first write, and
//    so does who tried in vain to be alone. A write that had looked before that is not waited for here: SQLite's
//    own lock sees to it. Who dies alone leaves the length, and who comes in alone after that says it too.
//    Programs of before said it by the second byte, and say that they are not alone by a 0 there: then it has two
//    bytes as well, and who knows the length only takes itself for alone beside them. Writes come in no order then,
//    and one that is to wait for nobody may wait for SQLite's lock, up to `lock_timeout`.

/// The first pause of a wait for another process.
const FIRST_PAUSE: Duration = Duration::from_micros(30);

/// The longest pause; it bounds how late a freed lock is noticed.
const LONGEST_PAUSE: Duration = Duration::from_micros(500);

/// The longest pause of who is next in line: nobody but it looks so often.
const LONGEST_PAUSE_IN_LINE: Duration = Duration::from_micros(120);

/// How long somebody may be next in line, many times what a write takes, before others go past it.
const LONGEST_IN_LINE: Duration = Duration::from_millis(100);

/// The lock around each write transaction: first among this process's threads, then, by `flock`,
/// among processes.
///
/// SQLite's own lock would do, but a wait for it has no order and was seen to last seconds. This one
/// is for order and limits alone: what is right in the database does not depend on it, so nobody
/// minds if somebody removes its files.
#[derive(Debug)]
pub(super) struct WriterLock {
    files: Mutex<Files>,
    dir: PathBuf,
    timeout: Duration,
}

#[derive(Debug)]
struct Files {
    writer: File,
    next: File,
}

impl Files {
    fn open(dir: &Path) -> Result<Self, Error> {
        let open = |name| {
            let path = dir.join(name);
            create(&path).map_err(|error| Error::io("open the SQLite store", &path, error))
        };
        Ok(Self { writer: open(WRITER)?, next: open(NEXT)? })
    }

    /// If it cannot be said, who is alone takes a lock that it could do without, or writes beside one that was
    /// alone come in no order; SQLite keeps them apart.
    fn say_alone(&self, is_alone: bool) {
        if is_alone_by(&self.next) != is_alone {
            let _unsaid = self.next.set_len(if is_alone { ALONE_BYTES } else { SHARED_BYTES });
        }
    }
}

const WRITER: &str = "writer.lock";
const NEXT: &str = "next.lock";

impl WriterLock {
    /// The lock by files in the directory `dir`, which are made, with it, if they are absent.
    pub(super) fn open(dir: PathBuf, timeout: Duration) -> Result<Self, Error> {
        let files = Mutex::new(Files::open(&dir)?);
        Ok(Self { files, dir, timeout })
    }

    /// Waits for the lock, at most as long as configured.
    pub(super) fn lock(&self, operation: &'static str) -> Result<WriterGuard<'_>, Error> {
        self.lock_by(operation, false)
    }

    /// The same for a change, which SQLite's own lock keeps apart from those of others: it takes none among processes
    /// if this one is alone.
    pub(super) fn lock_for_change(
        &self,
        operation: &'static str,
    ) -> Result<WriterGuard<'_>, Error> {
        self.lock_by(operation, true)
    }

    fn lock_by(
        &self,
        operation: &'static str,
        alone_is_enough: bool,
    ) -> Result<WriterGuard<'_>, Error> {
        // Most find it free, and need no clock.
        let (files, wait) = match self.files.try_lock() {
            Some(files) => (files, None),
            None => {
                let wait = self.wait(operation);
                let Some(files) = self.files.try_lock_for(self.timeout) else {
                    return Err(self.timed_out(operation, "a thread of this process"));
                };
                (files, Some(wait))
            }
        };
        if alone_is_enough && is_alone_by(&files.next) {
            return Ok(WriterGuard { files, is_locked: false });
        }
        let wait = wait.unwrap_or_else(|| self.wait(operation));
        if is_somebody_in_line_by(&files.next) || !wait.flock(&files.writer)? {
            wait.behind_others(&files)?;
        }
        Ok(WriterGuard { files, is_locked: true })
    }

    /// As [`lock_for_change`](Self::lock_for_change), if it is free now and nobody is in line for it.
    pub(super) fn try_lock_for_change(
        &self,
        operation: &'static str,
    ) -> Result<Option<WriterGuard<'_>>, Error> {
        let Some(files) = self.files.try_lock() else { return Ok(None) };
        if is_alone_by(&files.next) {
            return Ok(Some(WriterGuard { files, is_locked: false }));
        }
        let wait = self.wait(operation);
        let mut in_line = None;
        if is_somebody_in_line_by(&files.next) {
            // Unless it has died.
            let Some(alone) = wait.try_line(&files.next)? else { return Ok(None) };
            in_line = Some(alone);
        }
        let locked = wait.flock(&files.writer)?;
        drop(in_line);
        Ok(locked.then(|| WriterGuard { files, is_locked: true }))
    }

    /// Says whether this process is the only one that has the database open (rule 5).
    pub(super) fn say_alone(&self, is_alone: bool) {
        self.files.lock().say_alone(is_alone);
    }

    /// A wait that begins now.
    fn wait(&self, operation: &'static str) -> Wait<'_> {
        Wait { lock: self, operation, began: Instant::now() }
    }

    #[cold]
    fn timed_out(&self, operation: &'static str, holder: &str) -> Error {
        Error::new(ErrorKind::Timeout, operation).with_detail(format!(
            "{holder} holds {} for too long; see whether it is stopped",
            self.dir.join(WRITER).display()
        ))
    }
}

/// One wait of one thread, which has the files.
struct Wait<'a> {
    lock: &'a WriterLock,
    operation: &'static str,
    began: Instant,
}

impl Wait<'_> {
    /// Waits in line.
    #[cold]
    fn behind_others(&self, files: &Files) -> Result<(), Error> {
        let Some(mut in_line) = self.for_line(&files.next)? else {
            return self.for_lock(&files.writer, LONGEST_PAUSE);
        };
        in_line.say();
        self.for_lock(&files.writer, LONGEST_PAUSE_IN_LINE)
    }

    /// Waits to be next in line; `None` if somebody else is for too long (rule 4).
    fn for_line<'f>(&self, next: &'f File) -> Result<Option<InLine<'f>>, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(in_line) = self.try_line(next)? {
                return Ok(Some(in_line));
            }
            let limit = self.lock.timeout.min(LONGEST_IN_LINE);
            let left = limit.saturating_sub(self.began.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn try_line<'f>(&self, next: &'f File) -> Result<Option<InLine<'f>>, Error> {
        // Not `then_some`: one that is made and dropped would take back what another has said.
        Ok(self.flock(next)?.then(|| InLine(next)))
    }

    /// Waits until nobody writes.
    fn for_lock(&self, writer: &File, longest_pause: Duration) -> Result<(), Error> {
        let mut pause = FIRST_PAUSE;
        while !self.flock(writer)? {
            let left = self.lock.timeout.saturating_sub(self.began.elapsed());
            if left.is_zero() {
                return Err(self.lock.timed_out(self.operation, "another process"));
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(longest_pause);
        }
        Ok(())
    }

    fn flock(&self, file: &File) -> Result<bool, Error> {
        let lock = || rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive);
        match rustix::io::retry_on_intr(lock) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(Error::io(self.operation, &self.lock.dir.join(WRITER), error.into())),
        }
    }
}

/// Proof that nobody else is next in line.
struct InLine<'a>(&'a File);

impl InLine<'_> {
    /// Says that somebody is. If that cannot be written, as on a full disk, others may come first.
    fn say(&mut self) {
        let _unsaid = self.0.write_all_at(&[1], IN_LINE_AT);
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        // What an earlier one could not take back is taken back too.
        if is_somebody_in_line_by(self.0) {
            let _said = self.0.write_all_at(&[0], IN_LINE_AT);
        }
        unlock(self.0);
    }
}

/// The byte of `next.lock` that says whether somebody is in line (rule 2): it is 0, or not there, if nobody is.
const IN_LINE_AT: u64 = 0;

/// How long `next.lock` is if one process has the database open (rule 5). It is no shorter than what it says of the
/// line.
const ALONE_BYTES: u64 = 2;

/// How long it is at most if it is not known that there is one only.
const SHARED_BYTES: u64 = 1;

/// Whether `next.lock` says that somebody is in line. If it cannot be read, the locks tell.
fn is_somebody_in_line_by(next: &File) -> bool {
    let mut byte = [0];
    next.read_at(&mut byte, IN_LINE_AT).is_err() || byte != [0]
}

/// Whether `next.lock` says that one process has the database open, and no other.
fn is_alone_by(next: &File) -> bool {
    // The place in the file that this sets is nobody's: all else reads and writes at a place of its own.
    rustix::fs::seek(next, SeekFrom::End(0)) == Ok(ALONE_BYTES)
}

/// Proof that nobody else writes; dropping it lets the next one in.
#[must_use = "the lock is freed as soon as the guard is dropped"]
#[derive(Debug)]
pub(super) struct WriterGuard<'a> {
    files: MutexGuard<'a, Files>,
    /// Whether among processes too.
    is_locked: bool,
}

impl WriterGuard<'_> {
    /// Goes over to the files that are there now, which may be others, and waits until nobody writes by them.
    /// After an error it keeps nobody out.
    pub(super) fn open_again(&mut self, lock: &WriterLock) -> Result<(), Error> {
        let files = Files::open(&lock.dir)?;
        self.unlock();
        *self.files = files;
        lock.wait("open the SQLite store").for_lock(&self.files.writer, LONGEST_PAUSE)?;
        self.is_locked = true;
        Ok(())
    }

    /// As [`WriterLock::say_alone`].
    pub(super) fn say_alone(&self, is_alone: bool) {
        self.files.say_alone(is_alone);
    }

    fn unlock(&mut self) {
        if std::mem::take(&mut self.is_locked) {
            unlock(&self.files.writer);
        }
    }
}

impl Drop for WriterGuard<'_> {
    fn drop(&mut self) {
        self.unlock();
    }
}

/// An unlock and not a close, for the sake of children that share the open file. It cannot fail for a
/// descriptor that is open.
pub(super) fn unlock(file: &File) {
    let _ = rustix::io::retry_on_intr(|| rustix::fs::flock(file, FlockOperation::Unlock));
}

/// Opens the lock file at `path`, which is made, with its directory, if it is absent.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_writes_keeps_the_others_out_for_their_timeout() {
        let dir = tempfile::tempdir().unwrap();
        let limit = Duration::from_millis(20);
        let lock = WriterLock::open(dir.path().join("locks"), limit).unwrap();
        let guard = lock.lock("write").unwrap();
        assert!(lock.try_lock_for_change("write").unwrap().is_none());
        thread::scope(|scope| {
            let waiter = scope.spawn(|| lock.lock("write").unwrap_err());
            assert_eq!(waiter.join().unwrap().kind(), ErrorKind::Timeout);
        });
        drop(guard);
        assert!(lock.try_lock_for_change("write").unwrap().is_some());
    }

    #[test]
    fn another_process_is_kept_out_too() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = (open(dir.path(), 20), open(dir.path(), 20));
        let guard = ours.lock("write").unwrap();
        let error = theirs.lock("write").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("another process holds"), "{error}");
        drop(guard);
        assert!(theirs.lock("write").is_ok());
    }

    #[test]
    fn a_timeout_of_zero_takes_what_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let lock = WriterLock::open(dir.path().to_owned(), Duration::ZERO).unwrap();
        assert!(lock.lock("write").is_ok());
    }

    // Locks of this system belong to open files, so two of them in one process are as two processes.

    /// The lock as another process has it.
    fn open(dir: &Path, limit_ms: u64) -> WriterLock {
        WriterLock::open(dir.to_owned(), Duration::from_millis(limit_ms)).unwrap()
    }

    fn take(path: &Path) -> Option<File> {
        let file = create(path).unwrap();
        let lock = FlockOperation::NonBlockingLockExclusive;
        rustix::fs::flock(&file, lock).is_ok().then_some(file)
    }

    /// Says that somebody is in line, as somebody would who is.
    fn say_somebody_is_in_line(next: &File) {
        next.write_all_at(&[1], IN_LINE_AT).unwrap();
    }

    fn is_said(dir: &Path) -> bool {
        is_somebody_in_line_by(&create(&dir.join(NEXT)).unwrap())
    }

    fn wait_for_one_in_line(dir: &Path) {
        while !is_said(dir) {
            thread::yield_now();
        }
    }

    #[test]
    fn nobody_comes_before_the_one_in_line_neither_a_newcomer_nor_who_has_just_written() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..50 {
            let [first, waiter, newcomer] = [(); 3].map(|()| open(dir.path(), 20_000));
            let order = Mutex::new(Vec::new());
            let held = first.lock("write").unwrap();
            let comes = |lock: &WriterLock, name| {
                let guard = lock.lock("write").unwrap();
                order.lock().push(name);
                drop(guard);
            };
            thread::scope(|scope| {
                scope.spawn(|| comes(&waiter, "waiter"));
                wait_for_one_in_line(dir.path());
                assert!(newcomer.try_lock_for_change("write").unwrap().is_none());
                scope.spawn(|| comes(&newcomer, "another"));
                drop(held);
                comes(&first, "another");
            });
            assert_eq!(*order.lock(), ["waiter", "another", "another"], "round {round}");
        }
    }

    #[test]
    fn who_dies_in_line_or_while_it_writes_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let lock = open(dir.path(), 20_000);
        let [writer, next] = [WRITER, NEXT].map(|name| take(&dir.path().join(name)).unwrap());
        say_somebody_is_in_line(&next);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| lock.lock("write").map(drop));
            // The system closes the files of a process that is killed.
            drop(next);
            drop(writer);
            waiter.join().unwrap().unwrap();
        });
        assert!(!is_said(dir.path()), "all who come would go into line");
    }

    #[test]
    fn what_was_said_by_one_who_died_in_line_keeps_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let lock = open(dir.path(), 20_000);
        let died = create(&dir.path().join(NEXT)).unwrap();
        say_somebody_is_in_line(&died);
        assert!(lock.try_lock_for_change("write").unwrap().is_some());
        assert!(!is_said(dir.path()));
        say_somebody_is_in_line(&died);
        drop(lock.lock("write").unwrap());
        assert!(!is_said(dir.path()));
    }

    #[test]
    fn whoever_has_to_wait_says_so_until_it_writes() {
        let dir = tempfile::tempdir().unwrap();
        let [first, waiter] = [(); 2].map(|()| open(dir.path(), 20_000));
        let held = first.lock("write").unwrap();
        assert!(!is_said(dir.path()), "nobody waits");
        thread::scope(|scope| {
            let waits = scope.spawn(|| drop(waiter.lock("write").unwrap()));
            wait_for_one_in_line(dir.path());
            drop(held);
            waits.join().unwrap();
        });
        assert!(!is_said(dir.path()));
        let impatient = open(dir.path(), 1);
        let held = first.lock("write").unwrap();
        assert_eq!(impatient.lock("write").unwrap_err().kind(), ErrorKind::Timeout);
        assert!(!is_said(dir.path()), "who has gone is not there");
        drop(held);
    }

    #[test]
    fn who_is_stopped_in_line_is_passed_by_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let lock = open(dir.path(), 20_000);
        let stopped = take(&dir.path().join(NEXT)).unwrap();
        say_somebody_is_in_line(&stopped);
        let began = Instant::now();
        drop(lock.lock("write").unwrap());
        let took = began.elapsed();
        assert!((LONGEST_IN_LINE..20 * LONGEST_IN_LINE).contains(&took), "{took:?}");
        assert!(
            lock.try_lock_for_change("write").unwrap().is_none(),
            "who need not write does not"
        );
    }

    #[test]
    fn who_is_alone_takes_no_lock_among_processes_until_another_comes_in() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| open(dir.path(), 20));
        let is_locked = || take(&dir.path().join(WRITER)).is_none();
        let locks = |guard: WriterGuard<'_>| (is_locked(), drop(guard), is_locked());
        assert_eq!(
            locks(one.lock_for_change("write").unwrap()),
            (true, (), false),
            "it is not known"
        );
        one.say_alone(true);
        assert_eq!(locks(one.lock_for_change("write").unwrap()), (false, (), false));
        assert_eq!(locks(one.try_lock_for_change("write").unwrap().unwrap()), (false, (), false));
        assert_eq!(locks(one.lock("write").unwrap()), (true, (), false), "who needs it has it");
        let again = one.lock_for_change("write").unwrap();
        assert!(one.try_lock_for_change("write").unwrap().is_none(), "its threads take turns");
        drop(again);
        other.say_alone(false);
        assert_eq!(locks(one.lock_for_change("write").unwrap()), (true, (), false));
        let guard = one.try_lock_for_change("write").unwrap().unwrap();
        assert!(other.try_lock_for_change("write").unwrap().is_none());
        drop(guard);
    }
}
