//! Why a cookie opens no session.

use std::fmt;

/// Why a cookie of the session's name opened no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// It has not the form that this site's cookies have: it was cut, or made by something else.
    Malformed,
    /// No key of the ring made it: the key was dropped, or another site's keys did.
    UnknownKey,
    /// Its key was retired, and the time until which it was accepted is over.
    RetiredKey,
    /// It was changed, or made for a cookie of another name or form.
    BadSignature,
    /// Its session's time is over.
    Expired,
    /// It says that it was made in the future: a clock is wrong.
    FromTheFuture,
    /// Its session was ended: by a logout, or with all of its user's.
    Revoked,
    /// The store has no such session: it was ended or swept, or never there.
    NotThere,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is not in this site's form",
            Self::UnknownKey => "its key is not in the ring",
            Self::RetiredKey => "its key was retired",
            Self::BadSignature => "its signature is not good",
            Self::Expired => "its session has expired",
            Self::FromTheFuture => "it was made in the future",
            Self::Revoked => "its session was ended",
            Self::NotThere => "its session is not there",
        })
    }
}
