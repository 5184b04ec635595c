use std::path::Path;

use beaker_namespace::{Durability, Error};

use super::config::Settings;
use super::error::Fault;
use super::file::File;
use super::rows::{Changes, Rows};
use crate::batch::{Batches, Job};
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
        let locks = place::beside(path, ".locks");
        PROTOCOL.admit(&locks)?;
        let file = File::new(path, &locks, settings)?;
        // Whatever is wrong with the file is known now, not at the first use.
        file.read("open the store", |_| Ok(()))?;
        Ok(Self { file, batches: Batches::default(), sharing: Sharing::Host { locks }, settings })
    }

    /// Fails if `settings` are not those that the file was opened with.
    pub(super) fn agree(&self, settings: Settings) -> Result<(), Error> {
        if self.settings == settings { Ok(()) } else { Err(place::contradiction(self.file.path())) }
    }

    /// Keeps `jobs` together, and gives each its outcome.
    fn commit(&self, jobs: Vec<Job>) {
        let outcomes: Vec<_> = jobs.iter().map(|job| job.outcome.clone()).collect();
        let configured = jobs.iter().any(|job| job.sync == Sync::Configured);
        let durability = if configured { self.settings.durability } else { Durability::None };
        let results = self.file.write(durability, |rows| run(rows, jobs));
        let mut results = results.map(Vec::into_iter);
        for outcome in outcomes {
            *outcome.lock() = Some(match &mut results {
                Ok(results) => results.next().unwrap_or(Ok(())),
                Err(error) => Err(error.clone()),
            });
        }
    }
}

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
        self.file.read(READ, |rows| {
            let looked = look(rows);
            match rows.take_fault() {
                Some(fault) => Err(fault),
                None => looked.map_err(Fault::ours),
            }
        })
    }

    fn update(&self, change: Change, sync: Sync) -> Result<(), Error> {
        let timeout = self.settings.common.lock_timeout;
        let outcome = self.batches.submit(change, sync, timeout, |turn| {
            self.commit(turn.take());
            Ok(())
        });
        outcome.unwrap_or_else(|| Err(self.file.timeout("write to the store")))
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

    fn size_bytes(&self) -> Option<u64> {
        self.file.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::check_sharing;
    use crate::common::Common;

    #[test]
    fn writers_that_wait_together_share_a_commit_and_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { durability: Durability::None, common: Common::default() };
        let engine = DbmEngine::open(&dir.path().join("x.dbm"), settings).unwrap();
        check_sharing(&engine, &engine.batches, &engine.file.commits);
    }
}
