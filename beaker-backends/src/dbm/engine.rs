use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use beaker_namespace::{Error, ErrorKind};
use gdbm_native::OpenOptions;

use super::config::Settings;
use super::deadline::Deadline;
use super::error::Fault;
use super::file::File;
use super::journal::Journal;
use super::rows::{Changes, Rows};
use crate::batch::{Batches, Job, Turn};
use crate::kv::{Change, Engine, Reader, Sharing, Sync};
use crate::place;
use crate::protocol::Protocol;

const READ: &str = "read from the store";

/// 2: a killed writer leaves a journal of version 2, which who knows 1 takes for spoilt. The locks are
/// those of 1.
const PROTOCOL: Protocol = Protocol { number: 2, since: 1 };

/// A GNU dbm file as an engine.
#[derive(Debug)]
pub(super) struct DbmEngine {
    file: File,
    batches: Batches,
    sharing: Sharing,
    settings: Settings,
}

impl DbmEngine {
    pub(super) fn open(path: &Path, settings: Settings) -> Result<Self, Error> {
        let locks = place::locks_of(path);
        if !locks.exists() {
            refuse_foreign("open the store", path)?;
        }
        PROTOCOL.admit(&locks)?;
        let file = File::new(path, &locks)?;
        // Whatever is wrong with the file is known now, not at the first use.
        let deadline = Deadline::after(settings.common.lock_timeout);
        file.look_over("open the store", deadline)?;
        Ok(Self { file, batches: Batches::default(), sharing: Sharing::Host { locks }, settings })
    }

    /// Fails if `settings` are not those that the file was opened with.
    pub(super) fn agree(&self, settings: Settings) -> Result<(), Error> {
        if self.settings == settings { Ok(()) } else { Err(place::contradiction(self.file.path())) }
    }

    /// Keeps together what waits, and gives each its outcome.
    fn commit(&self, turn: Turn<'_>, deadline: Deadline) -> Result<(), Error> {
        let mut outcomes = Vec::new();
        let results = self.file.write(deadline, |rows| {
            // Only now, since other processes may have been waited for: who came meanwhile has waited less.
            let jobs = turn.take();
            outcomes.extend(jobs.iter().map(|job| Arc::clone(&job.outcome)));
            let (results, changes) = run(rows, jobs)?;
            // Whatever they ask for: a change of one row may move what leads to any other, and only a
            // journal that is synced saves those from a power cut.
            Ok((results, changes, self.settings.durability))
        });
        let (mut results, failed) = match results {
            Ok(results) => (results.into_iter(), None),
            Err(error) => (Vec::new().into_iter(), Some(error)),
        };
        for outcome in outcomes {
            *outcome.lock() = Some(match &failed {
                None => results.next().unwrap_or(Ok(())),
                Some(error) => Err(error.clone()),
            });
        }
        failed.map_or(Ok(()), Err)
    }

    fn update_by(&self, change: Change, sync: Sync, deadline: Deadline) -> Result<(), Error> {
        let commit = |turn: Turn<'_>| self.commit(turn, deadline);
        let outcome = self.batches.submit(change, sync, deadline.left(), commit);
        outcome.unwrap_or_else(|| Err(self.file.timeout("write to the store")))
    }

    fn view_by(&self, look: Look<'_>, deadline: Deadline) -> Result<(), Error> {
        self.file.read(READ, deadline, |rows| {
            let looked = look(rows);
            match rows.take_fault() {
                Some(fault) => Err(fault),
                None => looked.map_err(Fault::ours),
            }
        })
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.settings.common.lock_timeout)
    }
}

/// Fails if a file is at `path` that is no GNU dbm's, so that no locks are made beside it. Nobody of this program uses
/// what has none, so it is looked at as it is; whatever else is wrong with it is found, and said, under the lock.
fn refuse_foreign(operation: &'static str, path: &Path) -> Result<(), Error> {
    let look = AssertUnwindSafe(|| OpenOptions::new().lock(false).open(path));
    let Ok(Err(error)) = catch_unwind(look) else { return Ok(()) };
    let error = Fault::of(operation, path, error).error;
    // What a killed writer of ours left is mended.
    let is_mended = Journal::of(path).is_there().unwrap_or(true);
    if error.kind() == ErrorKind::Config && !is_mended { Err(error) } else { Ok(()) }
}

/// What looks at the rows.
type Look<'a> = &'a mut dyn FnMut(&dyn Reader) -> Result<(), Error>;

/// Runs `jobs` one after another. An error of the driver is everybody's; one that a change found by
/// itself, before it wrote, is its own.
fn run(mut rows: Rows<'_>, jobs: Vec<Job>) -> Result<(Vec<Result<(), Error>>, Changes), Fault> {
    let mut results = Vec::with_capacity(jobs.len());
    for job in jobs {
        results.push((job.change)(&mut rows));
        if let Some(fault) = rows.take_fault() {
            return Err(fault);
        }
    }
    Ok((results, rows.into_changes()))
}

impl Engine for DbmEngine {
    fn view(&self, look: &mut dyn FnMut(&dyn Reader) -> Result<(), Error>) -> Result<(), Error> {
        self.view_by(look, self.deadline())
    }

    fn update(&self, change: Change, sync: Sync) -> Result<(), Error> {
        self.update_by(change, sync, self.deadline())
    }

    fn sharing(&self) -> &Sharing {
        &self.sharing
    }

    fn path(&self) -> &Path {
        self.file.path()
    }

    fn walks_straight(&self) -> bool {
        false
    }

    fn give_back(&self) -> Result<(), Error> {
        self.file.compact(self.deadline())
    }

    fn size_bytes(&self) -> Option<u64> {
        self.file.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use beaker_namespace::{Durability, ErrorKind};

    use super::*;
    use crate::batch::tests::{check_sharing, wait_until};
    use crate::common::Common;

    /// Long enough to be told from what waits for nothing, on a busy machine.
    const LOCK_TIMEOUT: Duration = Duration::from_secs(20);

    fn open(dir: &Path) -> DbmEngine {
        let common = Common { lock_timeout: LOCK_TIMEOUT, ..Common::default() };
        let settings = Settings { durability: Durability::None, common };
        DbmEngine::open(&dir.join("x.dbm"), settings).unwrap()
    }

    fn put(value: &'static [u8]) -> Change {
        Box::new(|writer| writer.put(b"k", value))
    }

    /// A change that says when it is under way, and waits until it is told to go on.
    fn held() -> (Change, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let ((begun, is_begun), (go, told)) = (mpsc::channel(), mpsc::channel());
        let change: Change = Box::new(move |writer| {
            begun.send(()).unwrap();
            told.recv().unwrap();
            writer.put(b"k", b"held")
        });
        (change, is_begun, go)
    }

    #[test]
    fn writers_that_wait_together_share_a_commit_and_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path());
        check_sharing(&engine, &engine.batches, &engine.file.commits);
    }

    /// A read and a write of `engine` that have waited for as long as they may.
    fn at_the_end_of_their_time(engine: &DbmEngine) -> [Option<ErrorKind>; 2] {
        let began = Instant::now();
        let read = engine.view_by(&mut |_| Ok(()), Deadline::after(Duration::ZERO));
        let write = engine.update_by(put(b"late"), Sync::Relaxed, Deadline::after(Duration::ZERO));
        assert!(began.elapsed() < LOCK_TIMEOUT / 2, "they waited once more");
        [read, write].map(|outcome| outcome.err().map(|error| error.kind()))
    }

    #[test]
    fn who_waited_for_his_turn_does_not_wait_as_long_again_for_a_process() {
        let dir = tempfile::tempdir().unwrap();
        // As two processes have it.
        let [engine, other] = [(); 2].map(|()| open(dir.path()));
        assert_eq!(at_the_end_of_their_time(&engine), [None; 2], "the control: nobody has it");
        let (change, is_begun, go) = held();
        thread::scope(|scope| {
            // Dropped if this fails, so that nobody waits for it.
            let go = go;
            let holds = scope.spawn(|| other.update(change, Sync::Relaxed));
            is_begun.recv().unwrap();
            assert_eq!(at_the_end_of_their_time(&engine), [Some(ErrorKind::Timeout); 2]);
            go.send(()).unwrap();
            holds.join().unwrap().unwrap();
        });
        // Nor for another program.
        let gnu = gdbm_native::OpenOptions::new().write(true).open(dir.path().join("x.dbm"));
        assert_eq!(at_the_end_of_their_time(&engine), [Some(ErrorKind::Timeout); 2]);
        drop(gnu);
        assert_eq!(at_the_end_of_their_time(&engine), [None; 2]);
    }

    #[test]
    fn who_waits_for_another_process_for_too_long_takes_nobody_with_him() {
        let dir = tempfile::tempdir().unwrap();
        let [engine, other] = [(); 2].map(|()| open(dir.path()));
        let (change, is_begun, go) = held();
        let outcomes = thread::scope(|scope| {
            let go = go;
            let holds = scope.spawn(|| other.update(change, Sync::Relaxed));
            is_begun.recv().unwrap();
            let hasty = Deadline::after(Duration::from_millis(400));
            let engine = &engine;
            let hasty = scope.spawn(move || engine.update_by(put(b"hasty"), Sync::Relaxed, hasty));
            wait_until(&engine.batches, 1);
            let patient = scope.spawn(|| engine.update(put(b"patient"), Sync::Relaxed));
            wait_until(&engine.batches, 2);
            let hasty = hasty.join().unwrap();
            go.send(()).unwrap();
            [hasty, holds.join().unwrap(), patient.join().unwrap()]
        });
        let kinds = outcomes.map(|outcome| outcome.err().map(|error| error.kind()));
        assert_eq!(kinds, [Some(ErrorKind::Timeout), None, None]);
        let mut found = Vec::new();
        engine.view(&mut |reader| reader.look(b"k", &mut |value| found = value.to_vec())).unwrap();
        assert_eq!(found, b"patient");
    }
}
