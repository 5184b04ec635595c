use std::{
    error::Error as StdError,
    fmt, io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

/// Why a lock operation failed.
///
/// The text names the file, if there is one, and what to do. [`kind`](Self::kind) is for programs.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    path: Option<PathBuf>,
    source: Option<io::Error>,
}

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// This thread reads and asked to write; drop its read guards first.
    Upgrade,
    /// This thread writes and asked to read; drop its write guards first.
    Downgrade,
    /// The name is in use with other settings; use one kind and one setting for one name.
    Conflict,
    /// The file would lie on a network or unknown file system; choose a local directory, or allow it.
    NetworkFilesystem,
    /// The file system has no file locks, or has run out of them; choose another directory.
    Unsupported,
    /// The file or its directory may not be used; mend its owner, its mode or its place.
    Denied,
    /// The operating system refused for another reason; the source says which.
    Io,
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The file or directory that was worked on.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// An error without a file.
    pub(crate) fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self { kind, operation, path: None, source: None }
    }

    /// An error about `path` that the operating system did not report.
    pub(crate) fn at(kind: ErrorKind, operation: &'static str, path: &Path) -> Self {
        Self { kind, operation, path: Some(path.to_owned()), source: None }
    }

    /// Makes the operating system's error ours. The only place that does so.
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        let kind = classify(&source);
        Self { kind, operation, path: Some(path.to_owned()), source: Some(source) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        if let Some(path) = &self.path {
            write!(f, " {}", path.display())?;
        }
        match advice(self.kind) {
            Some(advice) => write!(f, ": {advice}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// The fix that an error's text ends with.
fn advice(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Upgrade => Some("this thread reads it; drop its read guards first"),
        ErrorKind::Downgrade => Some("this thread writes it; drop its write guards first"),
        ErrorKind::Conflict => Some("it is in use with other settings; use the same ones"),
        ErrorKind::NetworkFilesystem => {
            Some("not a known local file system; use a local directory or allow it explicitly")
        }
        ErrorKind::Unsupported => {
            Some("the file system cannot lock files; use a directory on another one")
        }
        ErrorKind::Denied => {
            Some("check its owner and mode, and that it is neither read-only nor a symbolic link")
        }
        ErrorKind::Io => None,
    }
}

/// Sorts the operating system's errors by what the caller can do.
fn classify(error: &io::Error) -> ErrorKind {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match errno {
        Some(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => ErrorKind::Unsupported,
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::LOOP) => ErrorKind::Denied,
        _ => ErrorKind::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(errno: Errno) -> ErrorKind {
        Error::io("cannot lock", Path::new("/x"), errno.into()).kind()
    }

    #[test]
    fn f8_a_file_system_without_locks_is_its_own_kind() {
        for errno in [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOSYS] {
            assert_eq!(kind_of(errno), ErrorKind::Unsupported, "{errno:?}");
        }
    }

    #[test]
    fn what_the_user_must_permit_is_denied_and_the_rest_is_io() {
        for errno in [Errno::ACCESS, Errno::PERM, Errno::ROFS, Errno::LOOP] {
            assert_eq!(kind_of(errno), ErrorKind::Denied, "{errno:?}");
        }
        for errno in [Errno::NOSPC, Errno::MFILE, Errno::NOTDIR, Errno::IO] {
            assert_eq!(kind_of(errno), ErrorKind::Io, "{errno:?}");
        }
    }

    #[test]
    fn text_names_the_path_and_the_fix_but_not_the_source() {
        let error = Error::io("cannot lock", Path::new("/x/y.lock"), Errno::NOLCK.into());
        assert_eq!(
            error.to_string(),
            "cannot lock /x/y.lock: the file system cannot lock files; use a directory on another one"
        );
        assert!(error.source().is_some());
        assert_eq!(error.path(), Some(Path::new("/x/y.lock")));
    }

    #[test]
    fn errors_cross_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
    }
}
