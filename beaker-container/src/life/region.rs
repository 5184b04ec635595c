//! Regions, and marks by which what has a name is invalidated.

use std::sync::Arc;

use beaker_namespace::{Clock, Mark, Namespace, Timestamp};

use super::Shared;
use super::store::{Face, Store};
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
    pub(crate) async fn mark(&self, face: Face, mark: fn(Timestamp) -> Mark) -> Result<(), Error> {
        let kind = mark_now(self.store(face), &**self.marks.clock(), &self.name, mark).await?;
        watch::region_invalidated(&self.name, kind);
        let by = Invalidator::Region((*self.name).to_owned());
        self.shared.listeners.tell(None, &RemovalCause::Invalidated { by, kind });
        Ok(())
    }
}

/// Marks `name`, says how, and sees the clock move on: what begins after this call has a later stamp
/// than the mark, also where the two are less than a microsecond apart.
pub(super) async fn mark_now(
    store: Store<'_>,
    clock: &dyn Clock,
    name: &str,
    mark: fn(Timestamp) -> Mark,
) -> Result<Invalidation, Error> {
    /// A clock that stands still, as those of tests do, is not waited for.
    const LOOKS: u32 = 1_000;
    let at = clock.now();
    let mark = mark(at);
    store.mark(name, mark).await?;
    for _ in 0..LOOKS {
        if clock.now() > at {
            break;
        }
        std::hint::spin_loop();
    }
    Ok(if mark.gone_until().is_some() { Invalidation::Hard } else { Invalidation::Soft })
}
