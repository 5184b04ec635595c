//! Entries that leave a namespace by the store's own doing.

use std::fmt;

use crate::Key;

/// Why an entry left, when no caller asked for its removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Departure {
    /// There was no room for it, or there was for another.
    Evicted,
    /// Its time was over.
    Expired,
    /// Another value was stored under its key, or was to be stored and is heavier than the bound.
    Replaced,
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
        })
    }
}

/// Is told the key of each entry that left, and why; see
/// [`Namespace::on_departure`](crate::Namespace::on_departure).
pub type OnDeparture = dyn Fn(&Key, Departure) + Send + Sync;
