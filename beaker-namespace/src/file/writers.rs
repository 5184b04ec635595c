use std::time::{Duration, Instant};

use beaker_sync::{FileSynchronizerOptions, NetworkPolicy, Retention, Synchronizer, WriteGuard};

use super::layout::Layout;
use super::lock_error;
use crate::{Error, ErrorKind};

/// The number of locks that share the keys of a namespace among them.
pub(super) const STRIPES: usize = 16;

/// The short locks under which a namespace is changed. No user code runs and no value is written
/// while one is held: only checks, a rename or an unlink, and a mark. (A durable write also syncs.)
///
/// Who takes several takes them in the order of their numbers.
#[derive(Debug)]
pub(super) struct Writers {
    stripes: Vec<Synchronizer>,
    timeout: Duration,
}

impl Writers {
    pub(super) fn open(
        layout: &Layout,
        timeout: Duration,
        network: NetworkPolicy,
    ) -> Result<Self, Error> {
        let options = FileSynchronizerOptions::new().network(network).retention(Retention::Keep);
        let stripes = (0..STRIPES)
            .map(|stripe| options.open(&format!("writer {stripe}"), layout.writers()))
            .collect::<Result<_, _>>()
            .map_err(|error| lock_error("open the file store", error))?;
        Ok(Self { stripes, timeout })
    }

    /// Waits for the lock of `stripe`, at most as long as configured.
    pub(super) fn lock(&self, stripe: usize) -> Result<WriteGuard<'_>, Error> {
        lock_for(&self.stripes[stripe % STRIPES], self.timeout)
    }

    /// The lock of `stripe`, if it is free now.
    pub(super) fn try_lock(&self, stripe: usize) -> Result<Option<WriteGuard<'_>>, Error> {
        self.stripes[stripe % STRIPES]
            .try_write()
            .map_err(|error| lock_error("lock for writing", error))
    }

    /// Waits for all locks, at most as long as configured for all together.
    pub(super) fn lock_all(&self) -> Result<Vec<WriteGuard<'_>>, Error> {
        let began = Instant::now();
        let left = || self.timeout.saturating_sub(began.elapsed());
        self.stripes.iter().map(|stripe| lock_for(stripe, left())).collect()
    }
}

fn lock_for(stripe: &Synchronizer, timeout: Duration) -> Result<WriteGuard<'_>, Error> {
    let guard =
        stripe.try_write_for(timeout).map_err(|error| lock_error("lock for writing", error))?;
    guard.ok_or_else(|| {
        let path = stripe.path().unwrap_or(std::path::Path::new("a lock file"));
        Error::new(ErrorKind::Timeout, "lock for writing").with_detail(format!(
            "another process holds {} for too long; see whether it is stopped",
            path.display()
        ))
    })
}
