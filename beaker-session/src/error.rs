//! What can go wrong, and what a caller can do about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Why a session operation failed.
///
/// Prints no id, key or value. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Error(Arc<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    detail: Option<Box<str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store could not be reached or failed; a retry may help. Nothing was taken for empty.
    Unavailable,
    /// Another request changed the session, and the policy is not to merge; repeat the request.
    Conflict,
    /// Another request had the session for longer than [`Lock`](crate::MergePolicy::Lock) waits; try again later. If it
    /// does not pass, look for a handler that does not end, or that asks its own site with its visitor's cookie.
    Busy,
    /// The session was ended (logged out, revoked, renewed or expired) since it was loaded, so what
    /// was changed is not stored; start again from the current cookie.
    Ended,
    /// The response's header has gone, so a change could not reach the browser or the store any
    /// more; make it earlier, or use [`Session::detach`](crate::Session::detach).
    AlreadyCommitted,
    /// The session or its cookie would be larger than its limit; keep less in it.
    TooLarge,
    /// A value cannot be encoded, or is of another type than was asked for.
    Codec,
    /// The stored record cannot be read back; a retry cannot help.
    Corrupt,
    /// The cookie was refused: not signed by a key of ours, or not in its one proper form.
    Rejected,
    /// The site's own [hook](crate::Builder::with_admission) refused a new session; try again
    /// later.
    NotAdmitted,
    /// The configuration or an argument is wrong; fix it.
    Config,
    /// The operating system gave no random bytes; nothing was made.
    Entropy,
    /// The store cannot do this.
    Unsupported,
}

impl ErrorKind {
    const fn phrase(self) -> &'static str {
        match self {
            Self::Unavailable => "the session store is unavailable",
            Self::Conflict => "another request changed the session",
            Self::Busy => "another request had the session for too long",
            Self::Ended => "the session was ended meanwhile",
            Self::AlreadyCommitted => "the response has gone, the session can no longer change",
            Self::TooLarge => "the session is too large",
            Self::Codec => "the value cannot be encoded or decoded",
            Self::Corrupt => "the stored session is corrupt",
            Self::Rejected => "the cookie was refused",
            Self::NotAdmitted => "too many sessions are being made",
            Self::Config => "the configuration is wrong",
            Self::Entropy => "the operating system gave no random bytes",
            Self::Unsupported => "the store does not support this",
        }
    }
}

impl Error {
    /// An error of `kind` in `operation` (a verb phrase such as `"load session"`).
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self(Arc::new(Inner { kind, operation, detail: None, source: None }))
    }

    /// Says what exactly was wrong and how to mend it. Must not hold ids, keys or values.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).detail = Some(detail.into().into_boxed_str());
        self
    }

    /// Keeps the error of a lower layer as the [`source`](StdError::source).
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Arc::make_mut(&mut self.0).source = Some(source.into().into());
        self
    }

    /// Maps an error of the namespace below.
    pub(crate) fn store(operation: &'static str, error: beaker_namespace::Error) -> Self {
        use beaker_namespace::ErrorKind as Store;
        let kind = match error.kind() {
            Store::Corrupt | Store::Codec => ErrorKind::Corrupt,
            Store::TooLarge => ErrorKind::TooLarge,
            Store::Config => ErrorKind::Config,
            Store::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, operation).with_source(error)
    }

    pub(crate) fn config(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, "configure sessions").with_detail(detail)
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, as a verb phrase.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.0.detail.as_deref().unwrap_or(self.0.kind.phrase());
        write!(f, "cannot {}: {reason}", self.0.operation)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_failed_and_why() {
        let plain = Error::new(ErrorKind::Ended, "save session");
        assert_eq!(plain.to_string(), "cannot save session: the session was ended meanwhile");
        let detailed = plain.with_detail("it was renewed");
        assert_eq!(detailed.to_string(), "cannot save session: it was renewed");
    }

    #[test]
    fn a_store_that_fails_is_unavailable_and_a_damaged_record_is_corrupt() {
        let kind = |kind| {
            Error::store("load session", beaker_namespace::Error::new(kind, "read entry")).kind()
        };
        assert_eq!(kind(beaker_namespace::ErrorKind::Timeout), ErrorKind::Unavailable);
        assert_eq!(kind(beaker_namespace::ErrorKind::Full), ErrorKind::Unavailable);
        assert_eq!(kind(beaker_namespace::ErrorKind::Corrupt), ErrorKind::Corrupt);
    }
}
