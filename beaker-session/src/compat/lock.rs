use std::path::PathBuf;
use std::time::Duration;

use beaker_sync::{FileSynchronizerOptions, NetworkPolicy, Retention, Synchronizer};

use super::BeakerId;
use crate::{Error, ErrorKind};

/// The lock files that Beaker has for sessions: one for each, which stays where it is, since Python
/// looks at its path only once.
#[derive(Debug, Clone)]
pub(super) struct Locks {
    pub(super) directory: PathBuf,
    pub(super) timeout: Duration,
    pub(super) network: NetworkPolicy,
}

impl Locks {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, timeout: Duration::from_secs(10), network: NetworkPolicy::Refuse }
    }

    pub(super) fn path(&self, id: &BeakerId) -> PathBuf {
        beaker_sync::lock_path(&self.directory, id.expose_text())
    }

    /// Does `work` while nobody else reads or writes the session.
    pub(super) fn writing<T>(
        &self,
        operation: &'static str,
        id: &BeakerId,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let lock = self.open(operation, id)?;
        match lock.try_write_for(self.timeout).map_err(failed(operation))? {
            Some(_guard) => work(),
            None => Err(kept(operation)),
        }
    }

    /// Does `work` while nobody writes the session.
    #[cfg(feature = "beaker-dbm")]
    pub(super) fn reading<T>(
        &self,
        operation: &'static str,
        id: &BeakerId,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let lock = self.open(operation, id)?;
        match lock.try_read_for(self.timeout).map_err(failed(operation))? {
            Some(_guard) => work(),
            None => Err(kept(operation)),
        }
    }

    fn open(&self, operation: &'static str, id: &BeakerId) -> Result<Synchronizer, Error> {
        FileSynchronizerOptions::new()
            .retention(Retention::Keep)
            .network(self.network)
            .open(id.expose_text(), &self.directory)
            .map_err(failed(operation))
    }
}

fn failed(operation: &'static str) -> impl Fn(beaker_sync::Error) -> Error {
    move |error| Error::store(operation, beaker_namespace::Error::lock(operation, error))
}

fn kept(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation).with_detail(
        "another program keeps the lock of the session; wait longer, or look who holds it",
    )
}
