//! What is done in each of the cases that others leave to chance.

use std::time::Duration;

use beaker_namespace::Timestamp;

/// When the use of a session is noted, which prolongs its idle time. Only a request that looks
/// into its session uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessPolicy {
    /// Only writes count.
    Never,
    /// Each request that looks into the session, by one small write.
    EveryRequest,
    /// As that, but no more often than this. The default, with one minute: a session then ends up
    /// to a minute early.
    AtMostEvery(Duration),
}

impl AccessPolicy {
    pub(crate) fn is_due(self, accessed: Timestamp, now: Timestamp) -> bool {
        match self {
            Self::Never => false,
            Self::EveryRequest => true,
            Self::AtMostEvery(every) => now.saturating_duration_since(accessed) >= every,
        }
    }
}

/// What is done when two requests have changed one session at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergePolicy {
    /// Value by value: what either changed is changed, of a value that both changed the later
    /// request's stays; counters, lists and sets get the changes of both. The default.
    ThreeWayPerKey,
    /// The whole session as the later request leaves it. The earlier one's changes are lost.
    LastWriterWins,
    /// The later request fails with [`Conflict`](crate::ErrorKind::Conflict).
    Fail,
}

/// What is done when the store cannot be reached. In no case is a session taken for empty and
/// stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutagePolicy {
    /// Loading and saving fail; the middleware answers 503 if a save fails. The default.
    Fail,
    /// Loading fails, but where the session was loaded and only the save fails, the response goes
    /// out as it is. What was changed is lost.
    ReadOnly,
    /// The visitor is treated as one without a session: reads are empty, changes are an error, and
    /// nothing is stored nor sent as a cookie.
    Anonymous,
}

/// What is done with a stored session that cannot be read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorruptPolicy {
    /// The visitor gets a new session. The damaged record stays as it is. The default.
    Fresh,
    /// Loading fails with [`Corrupt`](crate::ErrorKind::Corrupt).
    Fail,
}

/// What is done with a session's changes when the handler answers with a server error (5xx).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerErrorPolicy {
    /// Changes and renewals are dropped, as if the request had not been; the end of a session
    /// holds all the same. The default.
    Discard,
    /// They are saved, as with any other response.
    Save,
}
