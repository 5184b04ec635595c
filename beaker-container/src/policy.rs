//! What a caller decides about time: how long a value lives, and who waits for whom.

use std::time::Duration;

use beaker_namespace::{Entry, Timestamp};

/// What is done with an expired value while it is made anew.
///
/// Staleness is a stated policy: nothing expired is ever served without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Stale {
    /// An expired value is never served: who comes meanwhile waits for the new one.
    #[default]
    Never,
    /// One caller makes the new value; the others get the old one at once, as long as it expired
    /// no longer than `max_age` ago. [`Duration::MAX`] is what Python's Beaker does.
    WhileRefreshing {
        /// How long after its expiry a value may still be served. The store keeps it that long.
        max_age: Duration,
    },
}

impl Stale {
    pub(crate) fn grace(self) -> Duration {
        match self {
            Self::Never => Duration::ZERO,
            Self::WhileRefreshing { max_age } => max_age,
        }
    }

    /// Whether this policy lets `entry` be served at `now` although it is not current.
    pub(crate) fn allows(
        self,
        entry: &Entry,
        now: Timestamp,
        start_time: Option<Timestamp>,
    ) -> bool {
        let Self::WhileRefreshing { max_age } = self else { return false };
        let outdated = start_time.is_some_and(|start| entry.began() < start);
        match entry.staleness(now) {
            Some(stale_for) => stale_for < max_age,
            // Fresh by itself, and only older than the start time.
            None => outdated && entry.is_fresh(now),
        }
    }
}

/// The times of one container or cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) ttl: Option<Duration>,
    pub(crate) stale: Stale,
    pub(crate) start_time: Option<Timestamp>,
    pub(crate) wait: Duration,
}

impl Times {
    /// How long a caller waits for somebody else's creation, if nothing else is said.
    pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(30);

    pub(crate) const fn new() -> Self {
        Self { ttl: None, stale: Stale::Never, start_time: None, wait: Self::DEFAULT_WAIT }
    }

    /// Whether what `began` then is no older than the start time.
    pub(crate) fn has_started(&self, began: Timestamp) -> bool {
        self.start_time.is_none_or(|start| began >= start)
    }

    /// Whether `entry` needs no re-creation at `now`.
    #[inline]
    pub(crate) fn is_current(&self, entry: &Entry, now: impl FnOnce() -> Timestamp) -> bool {
        self.has_started(entry.began()) && (entry.expires().is_never() || entry.is_fresh(now()))
    }
}
