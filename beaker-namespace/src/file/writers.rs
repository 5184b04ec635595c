use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use beaker_sync::{
    FileSynchronizerOptions, NetworkPolicy, Preference, Retention, Synchronizer, WriteGuard,
};

use super::layout::Layout;
use crate::{Error, ErrorKind, Wait};

/// The number of locks that share the keys of a namespace among them.
pub(super) const STRIPES: usize = 16;

/// The short locks under which a namespace is changed. No user code runs and no value is written
/// while one is held: only checks, a rename or an unlink, and a mark. (A durable write also syncs.)
///
/// Who takes several takes them in the order of their numbers.
///
/// A stripe is opened when it is first used: most processes read.
#[derive(Debug)]
pub(super) struct Writers {
    stripes: [OnceLock<Synchronizer>; STRIPES],
    dir: PathBuf,
    options: FileSynchronizerOptions,
    timeout: Duration,
}

impl Writers {
    pub(super) fn new(layout: &Layout, timeout: Duration, network: NetworkPolicy) -> Self {
        // Nobody reads these locks, so no reader need be kept out for a writer that waits.
        let options = FileSynchronizerOptions::new()
            .network(network)
            .retention(Retention::Keep)
            .preference(Preference::Nobody);
        Self { stripes: Default::default(), dir: layout.writers(), options, timeout }
    }

    /// Waits for the lock of `stripe`, at most as long as configured.
    pub(super) fn lock(&self, stripe: usize) -> Result<WriteGuard<'_>, Error> {
        lock_for(self.stripe(stripe)?, self.timeout)
    }

    /// Waits for the lock of `stripe`, at most for `wait` and as long as configured; `None` if it was the
    /// first that was over.
    pub(super) fn lock_within(
        &self,
        stripe: usize,
        wait: Wait,
    ) -> Result<Option<WriteGuard<'_>>, Error> {
        match wait {
            Wait::Never => self.try_lock(stripe),
            Wait::AtMost(limit) if limit < self.timeout => {
                let guard = self.stripe(stripe)?.try_write_for(limit);
                guard.map_err(|error| Error::lock("lock for writing", error))
            }
            Wait::AtMost(_) | Wait::Forever => self.lock(stripe).map(Some),
        }
    }

    /// The lock of `stripe`, if it is free now.
    pub(super) fn try_lock(&self, stripe: usize) -> Result<Option<WriteGuard<'_>>, Error> {
        self.stripe(stripe)?.try_write().map_err(|error| Error::lock("lock for writing", error))
    }

    /// Waits for all locks, at most as long as configured for all together.
    pub(super) fn lock_all(&self) -> Result<Vec<WriteGuard<'_>>, Error> {
        let began = Instant::now();
        let left = || self.timeout.saturating_sub(began.elapsed());
        (0..STRIPES).map(|stripe| lock_for(self.stripe(stripe)?, left())).collect()
    }

    fn stripe(&self, stripe: usize) -> Result<&Synchronizer, Error> {
        let stripe = stripe % STRIPES;
        let slot = &self.stripes[stripe];
        if let Some(open) = slot.get() {
            return Ok(open);
        }
        // Whoever else opens it meanwhile gets the same lock, which is found by its file.
        let opened = self.options.open(&format!("writer {stripe}"), &self.dir);
        let opened = opened.map_err(|error| Error::lock("open the writers' locks", error))?;
        Ok(slot.get_or_init(|| opened))
    }
}

fn lock_for(stripe: &Synchronizer, timeout: Duration) -> Result<WriteGuard<'_>, Error> {
    let guard =
        stripe.try_write_for(timeout).map_err(|error| Error::lock("lock for writing", error))?;
    guard.ok_or_else(|| {
        let path = stripe.path().unwrap_or(std::path::Path::new("a lock file"));
        Error::new(ErrorKind::Timeout, "lock for writing").with_detail(format!(
            "another process holds {} for too long; see whether it is stopped",
            path.display()
        ))
    })
}
