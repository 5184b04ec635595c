//! What can go wrong when a value is read or made.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use beaker_namespace::ErrorKind as StoreErrorKind;

/// Why a value could not be read, made or stored. Never prints keys or values.
/// Cheap to clone.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    detail: String,
    source: Option<beaker_namespace::Error>,
}

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store failed; its own error, the [`source`](StdError::source), says what helps.
    Store(StoreErrorKind),
    /// Somebody else has been making the value, or writing to the store, for longer than the wait;
    /// retry, or wait longer.
    Timeout,
    /// The creator asked for the very value it was making; make it from something else.
    Reentrant,
    /// There is no current value and no creator.
    Missing,
    /// The namespace holds a live object of another type under this key; give the caches different
    /// names.
    WrongType,
    /// The creation took longer than the hard time-out; retry later, or allow it more time.
    CreationTimeout,
    /// The asynchronous runtime cannot run it any more, or the system gives no thread.
    Runtime,
    /// The configuration is wrong; fix it.
    Config,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, detail: detail.into(), source: None }))
    }

    pub(crate) fn timeout() -> Self {
        Self::new(
            ErrorKind::Timeout,
            "the value is being made elsewhere for longer than the wait; raise `wait` or retry",
        )
    }

    pub(crate) fn creation_timeout() -> Self {
        Self::new(
            ErrorKind::CreationTimeout,
            "the creation took longer than the hard time-out; retry later, or raise `hard_timeout`",
        )
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn runtime_ended() -> Self {
        Self::new(ErrorKind::Runtime, "the runtime is shutting down; start another")
    }

    /// The policy asks for what a creator cannot give that ends with the call.
    pub(crate) fn needs_spawn(wanted: &str) -> Self {
        Self::new(
            ErrorKind::Config,
            format!(
                "{wanted} needs a creator that can outlive the call: use `fetch(key).spawn(...)` \
                 or `spawn_async`, or take it out of the call's policy"
            ),
        )
    }

    pub(crate) fn reentrant() -> Self {
        Self::new(ErrorKind::Reentrant, "the creator asked for the value it was making")
    }

    pub(crate) fn missing() -> Self {
        Self::new(ErrorKind::Missing, "there is no current value, and no creator to make one")
    }

    pub(crate) fn wrong_type(wanted: &'static str) -> Self {
        Self::new(
            ErrorKind::WrongType,
            format!("the object stored there is no {wanted}; give the caches different names"),
        )
    }

    /// The arguments of a call are no key.
    pub(crate) fn no_key(source: beaker_namespace::Error) -> Self {
        let kind = ErrorKind::Store(source.kind());
        let detail = "the arguments make no key by serde".to_owned();
        Self(Arc::new(Inner { kind, detail, source: Some(source) }))
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl From<beaker_namespace::Error> for Error {
    fn from(source: beaker_namespace::Error) -> Self {
        let kind = match source.kind() {
            StoreErrorKind::Config => ErrorKind::Config,
            StoreErrorKind::Timeout => ErrorKind::Timeout,
            kind => ErrorKind::Store(kind),
        };
        Self(Arc::new(Inner { kind, detail: "the store failed".to_owned(), source: Some(source) }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("detail", &self.0.detail)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

/// Why `get_or_try_create` gave no value.
#[derive(Debug, Clone)]
pub enum CreateError<E> {
    /// The creator failed; this is its own error.
    Create(E),
    /// The cache failed.
    Cache(Error),
}

impl<E: fmt::Display> fmt::Display for CreateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(error) => error.fmt(f),
            Self::Cache(error) => error.fmt(f),
        }
    }
}

impl<E: StdError> StdError for CreateError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Create(error) => error.source(),
            Self::Cache(error) => error.source(),
        }
    }
}

impl<E> From<Error> for CreateError<E> {
    fn from(error: Error) -> Self {
        Self::Cache(error)
    }
}

impl CreateError<std::convert::Infallible> {
    /// The cache's error, where the creator cannot fail.
    pub fn into_cache_error(self) -> Error {
        match self {
            Self::Create(never) => match never {},
            Self::Cache(error) => error,
        }
    }
}
