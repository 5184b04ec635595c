//! What can go wrong in a namespace, and what a caller can do about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::Capability;

/// Why a namespace operation failed.
///
/// Prints the operation, the place and the fix; never a value or a key. Cheap to clone, so that
/// everybody who waited for one creation can have it.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
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
    /// The store could not be reached or answered with a fault; a retry may help.
    Unavailable,
    /// A wait reached its limit; a retry may help, or a longer limit.
    Timeout,
    /// The store is full; free space, then retry.
    Full,
    /// The operating system refused access; fix the permissions.
    Denied,
    /// The configuration is wrong or contradicts that of another holder; fix it.
    Config,
    /// The stored bytes cannot be read back; a retry cannot help.
    Corrupt,
    /// The value cannot be encoded, or the stored bytes are of another type.
    Codec,
    /// A key or a value is larger than the store's limit.
    TooLarge,
    /// The store cannot do this; ask its [`Capabilities`](crate::Capabilities) first.
    Unsupported,
}

impl ErrorKind {
    const fn phrase(self) -> &'static str {
        match self {
            Self::Unavailable => "the store is unavailable",
            Self::Timeout => "the wait timed out",
            Self::Full => "the store is full",
            Self::Denied => "access was denied",
            Self::Config => "the configuration is wrong",
            Self::Corrupt => "the stored bytes are corrupt",
            Self::Codec => "the value cannot be encoded or decoded",
            Self::TooLarge => "the key or value is too large",
            Self::Unsupported => "the store does not support this",
        }
    }
}

impl Error {
    /// An error of `kind` in `operation` (a verb phrase such as `"read entry"`).
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self(Arc::new(Inner { kind, operation, detail: None, source: None }))
    }

    /// Says what exactly was wrong and how to mend it. Must not hold keys or values.
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

    /// Maps an error of the operating system, naming the path.
    pub fn io(operation: &'static str, path: &Path, error: io::Error) -> Self {
        let (kind, fix) = match error.kind() {
            io::ErrorKind::PermissionDenied => (ErrorKind::Denied, ": make it accessible"),
            io::ErrorKind::ReadOnlyFilesystem => (ErrorKind::Denied, ": it is read-only"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (ErrorKind::Full, ": free space there")
            }
            io::ErrorKind::FileTooLarge => (ErrorKind::Full, ": the file size limit is reached"),
            io::ErrorKind::NotADirectory => {
                (ErrorKind::Config, ": a part of it is not a directory")
            }
            io::ErrorKind::IsADirectory => (ErrorKind::Config, ": it is a directory"),
            _ => (ErrorKind::Unavailable, ""),
        };
        Self::new(kind, operation)
            .with_detail(format!("{}{fix}", path.display()))
            .with_source(error)
    }

    /// Names the file that it is of, before what is said already.
    #[must_use]
    pub(crate) fn at(mut self, path: &Path) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        let reason = inner.detail.as_deref().unwrap_or(inner.kind.phrase());
        inner.detail = Some(format!("{}: {reason}", path.display()).into());
        self
    }

    /// Maps an error of a file lock.
    pub fn lock(operation: &'static str, error: beaker_sync::Error) -> Self {
        use beaker_sync::ErrorKind as Lock;
        let full = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        let kind = match error.kind() {
            Lock::Denied => ErrorKind::Denied,
            Lock::NetworkFilesystem | Lock::Unsupported | Lock::Conflict => ErrorKind::Config,
            _ if source.is_some_and(full) => ErrorKind::Full,
            _ => ErrorKind::Unavailable,
        };
        // What the lock says is told here, so below it is only what the operating system said.
        let mapped = Self::new(kind, operation).with_detail(error.to_string());
        match source {
            Some(source) => mapped.with_source(copy_of(source)),
            None => mapped,
        }
    }

    /// The call needs a capability that the store lacks.
    pub fn unsupported(operation: &'static str, capability: Capability) -> Self {
        Self::new(ErrorKind::Unsupported, operation)
            .with_detail(format!("this store lacks the capability `{capability:?}`"))
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

/// The same once more.
fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.0.detail.as_deref().unwrap_or(self.0.kind.phrase());
        write!(f, "cannot {}: {reason}", self.0.operation)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("detail", &self.0.detail)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

const _: fn() = || {
    fn assert<T: Send + Sync + 'static>() {}
    assert::<Error>();
};

#[cfg(test)]
mod tests {
    use beaker_sync::CreationLock;

    use super::*;

    #[test]
    fn an_error_of_a_lock_tells_each_reason_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("a file");
        let lock = CreationLock::at(file.join("x.lock"));
        let error = Error::lock("claim a key", lock.try_lock().expect_err("no directory"));
        let place = file.display().to_string();
        assert!(error.to_string().starts_with("cannot claim a key: "), "{error}");
        assert!(error.to_string().contains(&place), "{error}");
        let below = error.source().expect("what the operating system said");
        let system = below.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        assert_eq!(system, Some(rustix::io::Errno::NOTDIR.raw_os_error()));
        assert!(!error.to_string().contains(&below.to_string()), "{error}: {below}");
        assert!(below.source().is_none());
    }
}
