//! Why a value left a cache.

use std::fmt;

use beaker_namespace::Departure;

use crate::{Invalidation, Invalidator};

/// Why a value left, or is not served any more; see [`Cache::on_removal`](crate::Cache::on_removal).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemovalCause {
    /// The store had no room for it.
    Evicted,
    /// Its time was over, and so was the time for which it may be served stale: the store dropped
    /// it.
    Expired,
    /// Another value was stored under its key.
    Replaced,
    /// It was removed by its key.
    Removed,
    /// The namespace was cleared. Told once, without a key.
    Cleared,
    /// A tag or a region was invalidated. Told once, without a key; the values leave later.
    Invalidated {
        /// By what.
        by: Invalidator,
        /// Whether they may still be served stale.
        kind: Invalidation,
    },
}

impl fmt::Display for RemovalCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
            Self::Removed => "removed",
            Self::Cleared => "cleared",
            Self::Invalidated { by: Invalidator::Tag(_), .. } => "invalidated by a tag",
            Self::Invalidated { by: Invalidator::Region(_), .. } => "invalidated by the region",
        })
    }
}

impl RemovalCause {
    pub(crate) const fn of(departure: Departure) -> Self {
        match departure {
            Departure::Expired => Self::Expired,
            Departure::Replaced => Self::Replaced,
            _ => Self::Evicted,
        }
    }
}
