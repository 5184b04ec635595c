//! How often each way of a call was taken.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened on the caches of one namespace in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CreationStats {
    /// Creations that gave a value.
    pub created: u64,
    /// Creations whose creator found the old value to be still right. They count as created too.
    pub unchanged: u64,
    /// Creations that gave an error, or that were thrown away at their hard time-out.
    pub failed: u64,
    /// Creations that took longer than a soft or hard time-out of the call that began them. Those
    /// that run on count as created or failed too, once they have ended.
    pub timed_out: u64,
    /// Calls that waited and got the value of another call's creation from it. Who finds that value
    /// in the store has a hit instead.
    pub joined: u64,
    /// Calls that got an expired value while it was made anew.
    pub stale: u64,
    /// Calls that got an expired value because it could not be made anew.
    pub fallbacks: u64,
    /// Creations that were begun before their value expired. They count as created or failed too.
    pub early: u64,
    /// Values that were made and could not be stored, because something invalidated them meanwhile.
    pub superseded: u64,
    /// Values that were made and could not be stored, because the store failed.
    pub unstored: u64,
    /// Creations that did not begin because the store failed: it gave no claim, or could not be read under
    /// it. Who got an old value instead has a fallback too.
    pub not_begun: u64,
    /// Panics of [removal listeners](crate::Cache::on_removal). Those of listeners that were given to
    /// the namespace itself are in [`Stats`](beaker_namespace::Stats::listener_panics).
    pub listener_panics: u64,
}

/// The fields of [`CreationStats`], counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Created,
    Unchanged,
    Failed,
    TimedOut,
    Joined,
    Stale,
    Fallbacks,
    Early,
    Superseded,
    Unstored,
    NotBegun,
    ListenerPanics,
}

impl Count {
    #[cfg(all(test, feature = "metrics"))]
    pub(crate) const ALL: [Self; 12] = [
        Self::Created,
        Self::Unchanged,
        Self::Failed,
        Self::TimedOut,
        Self::Joined,
        Self::Stale,
        Self::Fallbacks,
        Self::Early,
        Self::Superseded,
        Self::Unstored,
        Self::NotBegun,
        Self::ListenerPanics,
    ];
}

#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU64; Count::ListenerPanics as usize + 1]);

impl Counts {
    // Relaxed: each number stands for itself.
    pub(crate) fn add(&self, what: Count) {
        self.0[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> CreationStats {
        let of = |what: Count| self.0[what as usize].load(Ordering::Relaxed);
        CreationStats {
            created: of(Count::Created),
            unchanged: of(Count::Unchanged),
            failed: of(Count::Failed),
            timed_out: of(Count::TimedOut),
            joined: of(Count::Joined),
            stale: of(Count::Stale),
            fallbacks: of(Count::Fallbacks),
            early: of(Count::Early),
            superseded: of(Count::Superseded),
            unstored: of(Count::Unstored),
            not_begun: of(Count::NotBegun),
            listener_panics: of(Count::ListenerPanics),
        }
    }
}
