use std::ops::{Bound, ControlFlow, Deref};
use std::path::Path;
use std::sync::Arc;

use beaker_namespace::Error;
use parking_lot::Mutex;
use redb::{ReadableDatabase, ReadableTable, Table};

use super::backend::Limit;
use super::config::{RedbDurability, Settings};
use super::database::{Access, File, Open, ROWS};
use super::error::Fault;
use crate::batch::{Batches, Job};
use crate::kv::{Change, Engine, Reader, Sharing, Sync, Visit, Writer};
use crate::{place, protocol};

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
                let locks = place::beside(path, ".locks");
                protocol::admit(&locks)?;
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

    /// Commits `jobs` together, and gives each its outcome.
    fn commit(&self, jobs: Vec<Job>) {
        let outcomes: Vec<_> = jobs.iter().map(|job| job.outcome.clone()).collect();
        let results = self.file.work(WRITE, Access::Write, |open| self.run(open, jobs));
        let mut results = results.map(Vec::into_iter);
        for outcome in outcomes {
            *outcome.lock() = Some(match &mut results {
                Ok(results) => results.next().unwrap_or(Ok(())),
                Err(error) => Err(error.clone()),
            });
        }
    }

    /// Runs `jobs` in one transaction. An error of redb is everybody's; one that a change found by
    /// itself, before it wrote, is its own.
    fn run(&self, open: &Open, jobs: Vec<Job>) -> Result<Vec<Result<(), Error>>, Fault> {
        let fault = |error: redb::Error| Fault::of(WRITE, self.file.path(), error);
        let configured = jobs.iter().any(|job| job.sync == Sync::Configured);
        open.snapshot.let_go();
        let mut write = self.file.begin_write(WRITE, &open.database)?;
        let durable = configured && self.settings.durability == RedbDurability::Immediate;
        if !durable && !self.settings.shared {
            let set = write.set_durability(redb::Durability::None);
            set.map_err(|error| fault(error.into()))?;
        }
        let mut results = Vec::with_capacity(jobs.len());
        let wrote = {
            let mut table = write.open_table(ROWS).map_err(|error| fault(error.into()))?;
            let mut rows = Rows::new(&mut table, self.file.path());
            for job in jobs {
                results.push((job.change)(&mut rows));
                if let Some(fault) = rows.fault.lock().take() {
                    return Err(fault);
                }
            }
            rows.wrote
        };
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
}

impl Engine for RedbEngine {
    fn view(&self, look: &mut dyn FnMut(&dyn Reader) -> Result<(), Error>) -> Result<(), Error> {
        self.file.work(READ, Access::Read, |open| {
            let fault = |error: redb::Error| Fault::of(READ, self.file.path(), error);
            let take = || {
                let read = open.database.begin_read().map_err(|error| fault(error.into()))?;
                read.open_table(ROWS).map_err(|error| fault(error.into()))
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
        let timeout = self.settings.common.lock_timeout;
        // Who waits for his turn has waited already when it comes.
        let _limit = Limit::begin(timeout);
        let outcome = self.batches.submit(change, sync, timeout, |jobs| self.commit(jobs));
        outcome.unwrap_or_else(|| Err(self.file.timeout(WRITE)))
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
    use super::*;
    use crate::batch::tests::check_sharing;
    use crate::common::Common;

    #[test]
    fn writers_that_wait_together_share_a_commit_and_no_error() {
        for shared in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let settings = Settings {
                durability: RedbDurability::Immediate,
                shared,
                cache_bytes: 1 << 20,
                common: Common::default(),
            };
            let engine = RedbEngine::open(&dir.path().join("cache.redb"), settings).unwrap();
            check_sharing(&engine, &engine.batches, &engine.commits);
        }
    }
}
