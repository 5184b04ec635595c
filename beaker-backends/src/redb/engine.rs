use std::ops::{Bound, ControlFlow, Deref};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use beaker_namespace::Error;
use parking_lot::Mutex;
use redb::{ReadableDatabase, ReadableTable, Table, WriteTransaction};

use super::backend::Limit;
use super::config::{RedbDurability, Settings};
use super::database::{Access, File, Open};
use super::error::{self, Fault};
use super::opening::ROWS;
use crate::batch::{Batches, Job, Outcome, Turn};
use crate::kv::{Change, Engine, Reader, Sharing, Sync, Visit, Writer};
use crate::place;
use crate::protocol::Protocol;

const READ: &str = "read from the store";
const WRITE: &str = "write to the store";

/// A redb file as an engine.
#[derive(Debug)]
pub(super) struct RedbEngine {
    file: File,
    batches: Batches,
    sharing: Sharing,
    settings: Settings,
    #[cfg(test)]
    commits: crate::batch::Commits,
}

impl RedbEngine {
    pub(super) fn open(path: &Path, settings: Settings) -> Result<Self, Error> {
        let sharing = match settings.shared {
            true => {
                let locks = place::locks_of(path);
                error::refuse_foreign("open the store", path)?;
                Protocol::FIRST.admit(&locks)?;
                Sharing::Host { locks }
            }
            false => Sharing::Process,
        };
        let file = File::open(path, settings)?;
        Ok(Self {
            file,
            batches: Batches::default(),
            sharing,
            settings,
            #[cfg(test)]
            commits: Default::default(),
        })
    }

    /// Fails if `settings` are not those that the file was opened with.
    pub(super) fn agree(&self, settings: Settings) -> Result<(), Error> {
        if self.settings == settings { Ok(()) } else { Err(place::contradiction(self.file.path())) }
    }

    /// Commits together what waits, and gives each its outcome.
    fn commit(&self, turn: Turn<'_>) -> Result<(), Error> {
        let mut outcomes = Vec::new();
        let run = |open: &Open| self.run(open, turn, &mut outcomes);
        let results = self.file.work(WRITE, Access::Write, run);
        for (number, outcome) in outcomes.iter().enumerate() {
            let result = match &results {
                Ok(results) => results.get(number).cloned().unwrap_or(Ok(())),
                Err(error) => Err(error.clone()),
            };
            *outcome.lock() = Some(result);
        }
        results.map(drop)
    }

    /// Runs what waits in one transaction, and says whose `outcomes` its results are. An error of redb is
    /// everybody's; one that a change found by itself, before it wrote, is its own.
    fn run(
        &self,
        open: &Open,
        turn: Turn<'_>,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Vec<Result<(), Error>>, Fault> {
        let fault = |error: redb::Error| Fault::of(WRITE, self.file.path(), error);
        open.snapshot.let_go();
        let mut write = self.file.begin_write(WRITE, &open.database)?;
        self.file.check_tables(WRITE, || write.list_tables())?;
        // Only now, since other processes may have been waited for: who came meanwhile has waited less.
        let jobs = turn.take();
        outcomes.extend(jobs.iter().map(|job| Arc::clone(&job.outcome)));
        let _limit = Limit::until(last_deadline(&jobs));
        let configured = jobs.iter().any(|job| job.sync == Sync::Configured);
        let durable = configured && self.settings.durability == RedbDurability::Immediate;
        if !durable && !self.settings.shared {
            let set = write.set_durability(redb::Durability::None);
            set.map_err(|error| fault(error.into()))?;
        }
        let (results, wrote) = self.change(&write, jobs)?;
        if wrote {
            let committed = write.commit();
            #[cfg(test)]
            self.commits.count();
            open.snapshot.let_go();
            committed.map_err(|error| fault(error.into()))?;
        } else {
            write.abort().map_err(|error| fault(error.into()))?;
        }
        Ok(results)
    }

    /// Runs `jobs` one after another. Their results, and whether they wrote anything.
    fn change(
        &self,
        write: &WriteTransaction,
        jobs: Vec<Job>,
    ) -> Result<(Vec<Result<(), Error>>, bool), Fault> {
        let table = write.open_table(ROWS);
        let mut table = table.map_err(|error| Fault::of(WRITE, self.file.path(), error))?;
        let mut rows = Rows::new(&mut table, self.file.path());
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            results.push((job.change)(&mut rows));
            if let Some(fault) = rows.fault.lock().take() {
                return Err(fault);
            }
        }
        Ok((results, rows.wrote))
    }

    fn update_within(&self, change: Change, sync: Sync, timeout: Duration) -> Result<(), Error> {
        // Who waits for his turn has waited already when it comes.
        let _limit = Limit::begin(timeout);
        let outcome = self.batches.submit(change, sync, timeout, |turn| self.commit(turn));
        outcome.unwrap_or_else(|| Err(self.file.timeout(WRITE)))
    }
}

/// When the last of `jobs` has waited for long enough; `None` if one never has. What is being committed can be
/// called off for nobody.
fn last_deadline(jobs: &[Job]) -> Option<Instant> {
    let deadlines: Option<Vec<_>> = jobs.iter().map(|job| job.deadline).collect();
    deadlines?.into_iter().max()
}

impl Engine for RedbEngine {
    fn view(&self, look: &mut dyn FnMut(&dyn Reader) -> Result<(), Error>) -> Result<(), Error> {
        self.file.work(READ, Access::Read, |open| {
            let fault = |error: redb::Error| Fault::of(READ, self.file.path(), error);
            let take = || {
                let read = open.database.begin_read().map_err(|error| fault(error.into()))?;
                match read.open_table(ROWS) {
                    Err(redb::TableError::TableDoesNotExist(name)) => {
                        self.file.check_tables(READ, || read.list_tables())?;
                        Err(fault(redb::Error::TableDoesNotExist(name)))
                    }
                    opened => opened.map_err(|error| fault(error.into())),
                }
            };
            let table = match self.settings.shared {
                true => Arc::new(take()?),
                false => open.snapshot.rows(take)?,
            };
            let rows = Rows::new(table, self.file.path());
            let looked = look(&rows);
            match rows.fault.into_inner() {
                Some(fault) => Err(fault),
                None => looked.map_err(Fault::ours),
            }
        })
    }

    fn update(&self, change: Change, sync: Sync) -> Result<(), Error> {
        self.update_within(change, sync, self.settings.common.lock_timeout)
    }

    fn sharing(&self) -> &Sharing {
        &self.sharing
    }

    fn path(&self) -> &Path {
        self.file.path()
    }

    /// The table's name says it; see `File::prepare`.
    fn knows_versions(&self) -> bool {
        true
    }

    fn size_bytes(&self) -> Option<u64> {
        self.file.len()
    }
}

/// The rows as one transaction sees them.
struct Rows<'a, T> {
    table: T,
    path: &'a Path,
    /// The first error of redb, for whoever has to mend the file.
    fault: Mutex<Option<Fault>>,
    wrote: bool,
}

impl<'a, T> Rows<'a, T> {
    fn new(table: T, path: &'a Path) -> Self {
        Self { table, path, fault: Mutex::new(None), wrote: false }
    }

    /// Notes an error of redb, and says the same to the caller.
    #[cold]
    fn note(&self, operation: &'static str, error: redb::StorageError) -> Error {
        let fault = Fault::of(operation, self.path, error);
        let error = fault.error.clone();
        self.fault.lock().get_or_insert(fault);
        error
    }
}

impl<T> Reader for Rows<'_, T>
where
    T: Deref<Target: ReadableTable<&'static [u8], &'static [u8]>>,
{
    fn look(&self, key: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        if let Some(found) = self.table.get(key).map_err(|error| self.note(READ, error))? {
            look(found.value());
        }
        Ok(())
    }

    fn walk(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let range = self.table.range::<&[u8]>((from, Bound::Unbounded));
        for row in range.map_err(|error| self.note(READ, error))? {
            let (key, value) = row.map_err(|error| self.note(READ, error))?;
            if !key.value().starts_with(prefix)
                || visit(key.value(), value.value()) == ControlFlow::Break(())
            {
                break;
            }
        }
        Ok(())
    }
}

impl Writer for Rows<'_, &mut Table<'_, &'static [u8], &'static [u8]>> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.wrote = true;
        let inserted = self.table.insert(key, value).map(drop);
        inserted.map_err(|error| self.note(WRITE, error))
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), Error> {
        self.wrote = true;
        let removed = self.table.remove(key).map(drop);
        removed.map_err(|error| self.note(WRITE, error))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use beaker_namespace::ErrorKind;

    use super::*;
    use crate::batch::tests::{check_sharing, wait_until};
    use crate::common::Common;

    fn open(dir: &Path, shared: bool) -> RedbEngine {
        let settings = Settings {
            durability: RedbDurability::Immediate,
            shared,
            cache_bytes: 1 << 20,
            common: Common::default(),
        };
        RedbEngine::open(&dir.join("cache.redb"), settings).unwrap()
    }

    fn put(value: &'static [u8]) -> Change {
        Box::new(|writer| writer.put(b"k", value))
    }

    fn found(engine: &RedbEngine) -> Vec<u8> {
        let mut found = Vec::new();
        engine.view(&mut |reader| reader.look(b"k", &mut |value| found = value.to_vec())).unwrap();
        found
    }

    #[test]
    fn writers_that_wait_together_share_a_commit_and_no_error() {
        for shared in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let engine = open(dir.path(), shared);
            check_sharing(&engine, &engine.batches, &engine.commits);
        }
    }

    #[test]
    fn who_waits_for_another_process_for_too_long_takes_nobody_with_him() {
        let dir = tempfile::tempdir().unwrap();
        // As two processes have it.
        let [engine, other] = [(); 2].map(|()| open(dir.path(), true));
        let outcomes = thread::scope(|scope| {
            let (sender, writes) = mpsc::channel();
            let (go, told) = mpsc::channel::<()>();
            let hold: Change = Box::new(move |writer| {
                sender.send(()).unwrap();
                told.recv().unwrap();
                writer.put(b"k", b"other")
            });
            let holds = scope.spawn(|| other.update(hold, Sync::Configured));
            writes.recv().unwrap();
            let update = |change, millis| {
                engine.update_within(change, Sync::Configured, Duration::from_millis(millis))
            };
            let hasty = scope.spawn(move || update(put(b"hasty"), 1_500));
            wait_until(&engine.batches, 1);
            let patient = scope.spawn(move || update(put(b"patient"), 60_000));
            wait_until(&engine.batches, 2);
            let hasty = hasty.join().unwrap();
            go.send(()).unwrap();
            [hasty, holds.join().unwrap(), patient.join().unwrap()]
        });
        let kinds = outcomes.map(|outcome| outcome.err().map(|error| error.kind()));
        assert_eq!(kinds, [Some(ErrorKind::Timeout), None, None]);
        assert_eq!(found(&engine), b"patient");
    }

    #[test]
    fn what_is_committed_together_has_the_time_of_the_most_patient() {
        let now = Instant::now();
        let limit = |seconds: &[Option<u64>]| {
            let job = |seconds: &Option<u64>| Job {
                change: put(b"v"),
                sync: Sync::Configured,
                deadline: seconds.map(|seconds| now + Duration::from_secs(seconds)),
                outcome: Outcome::default(),
            };
            let jobs: Vec<Job> = seconds.iter().map(job).collect();
            last_deadline(&jobs).map(|deadline| (deadline - now).as_secs())
        };
        assert_eq!(limit(&[Some(1), Some(60), Some(2)]), Some(60));
        assert_eq!(limit(&[Some(1), None]), None);
    }

    // F39
    #[test]
    fn a_newer_program_that_takes_a_shared_file_over_is_left_alone() {
        const NEWER: redb::TableDefinition<'_, &[u8], &[u8]> =
            redb::TableDefinition::new("beaker-3");
        let dir = tempfile::tempdir().unwrap();
        let [engine, other] = [(); 2].map(|()| open(dir.path(), true));
        engine.update(put(b"ours"), Sync::Configured).unwrap();
        assert_eq!(found(&engine), b"ours", "the control");
        let raise = |open: &Open| {
            let write = open.database.begin_write().unwrap();
            write.rename_table(ROWS, NEWER).unwrap();
            write.commit().unwrap();
            Ok(())
        };
        other.file.work(WRITE, Access::Write, raise).unwrap();
        for _ in 0..2 {
            let read = engine.view(&mut |_| panic!("there is nothing to look at"));
            for error in [read, engine.update(put(b"older"), Sync::Configured)] {
                let error = error.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(error.to_string().contains("update this one"), "{error}");
            }
        }
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap).collect();
        let aside = |name: &std::ffi::OsString| name.to_string_lossy().contains(".damaged-");
        assert!(!names.iter().any(|file| aside(&file.file_name())), "{names:?}");
        let look = |open: &Open| {
            let read = open.database.begin_read().unwrap();
            assert_eq!(read.list_tables().unwrap().count(), 1);
            let table = read.open_table(NEWER).unwrap();
            Ok(table.get(&b"k"[..]).unwrap().unwrap().value().to_vec())
        };
        assert_eq!(other.file.work(READ, Access::Read, look).unwrap(), b"ours");
    }
}
