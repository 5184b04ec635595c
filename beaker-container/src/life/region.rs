//! Regions, and marks by which what has a name is invalidated.

use std::sync::Arc;

use beaker_namespace::{Clock, Mark, Namespace, Timestamp};

#[cfg(feature = "tokio")]
use super::in_task::mark_now_async;
use super::{Removal, Shared};
use crate::{Error, Invalidation, Invalidator, RemovalCause, watch};

/// The namespace in which the marks of regions are kept, beside the caches of their store: a region is
/// marked there under its name.
pub const REGIONS: &str = "beaker regions";

/// The region that a cache belongs to, and where its marks are kept.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub(crate) name: Arc<str>,
    pub(crate) marks: Arc<dyn Namespace>,
    pub(super) shared: Arc<Shared>,
}

impl Region {
    pub(crate) fn new(name: &str, marks: Arc<dyn Namespace>) -> Self {
        Self { name: name.into(), shared: Shared::of(&marks), marks }
    }

    /// Invalidates what the region holds.
    pub(crate) fn mark(&self, mark: fn(Timestamp) -> Mark) -> Result<(), Error> {
        let clock = &**self.marks.clock();
        let kind = mark_now(clock, mark, |mark| Ok(self.marks.mark(&self.name, mark)?))?;
        self.marked(kind);
        Ok(())
    }

    #[cfg(feature = "tokio")]
    pub(crate) async fn mark_async(&self, mark: fn(Timestamp) -> Mark) -> Result<(), Error> {
        let clock = &**self.marks.clock();
        let kind = mark_now_async(self.store(), clock, &self.name, mark).await?;
        self.marked(kind);
        Ok(())
    }

    fn marked(&self, kind: Invalidation) {
        watch::region_invalidated(&self.name, kind);
        let by = Invalidator::Region((*self.name).to_owned());
        let cause = RemovalCause::Invalidated { by, kind };
        self.shared.meter.invalidated(&cause);
        self.shared.listeners.tell(Removal { key: None, cause: &cause, is_sure: true });
    }
}

/// Makes a mark of now by `keep`, says how it is, and sees the clock move on: what begins after this
/// call has a later stamp than the mark, also where the two are less than a microsecond apart.
pub(super) fn mark_now(
    clock: &dyn Clock,
    mark: fn(Timestamp) -> Mark,
    keep: impl FnOnce(Mark) -> Result<Mark, Error>,
) -> Result<Invalidation, Error> {
    let at = clock.now();
    let mark = mark(at);
    keep(mark)?;
    see_past(clock, at);
    Ok(kind_of(mark))
}

/// Waits for a moment after `at`.
pub(super) fn see_past(clock: &dyn Clock, at: Timestamp) {
    /// A clock that stands still, as those of tests do, is not waited for.
    const LOOKS: u32 = 1_000;
    for _ in 0..LOOKS {
        if clock.now() > at {
            break;
        }
        std::hint::spin_loop();
    }
}

pub(super) fn kind_of(mark: Mark) -> Invalidation {
    if mark.gone_until().is_some() { Invalidation::Hard } else { Invalidation::Soft }
}
