use std::io;
use std::path::Path;

use beaker_namespace::{Error, ErrorKind};

/// An error of the driver, made ours.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: Error,
    /// Whether the file is damaged, and must be mended before it is used again.
    pub(super) damage: bool,
}

impl Fault {
    /// The only place where an error of gdbm-native becomes ours.
    pub(super) fn of(operation: &'static str, path: &Path, error: gdbm_native::Error) -> Self {
        use gdbm_native::Error as Driver;
        let (kind, detail) = match error {
            Driver::Io(error) => return Self::io(operation, path, error),
            Driver::Locked => (
                ErrorKind::Timeout,
                "another program has it open; close it there, or see whether that is stopped",
            ),
            Driver::BadMagic { .. } => {
                (ErrorKind::Config, "it is no GNU dbm file; move it away, or name another file")
            }
            Driver::BadNumsyncVersion { .. } => {
                (ErrorKind::Config, "a newer GNU dbm wrote it; update, or name another file")
            }
            Driver::RecordTooLarge { .. } => {
                (ErrorKind::TooLarge, "a key and its value may have 2 GiB")
            }
            Driver::FileTooLarge { .. } | Driver::DirectoryOverflow { .. } => {
                (ErrorKind::Full, "it cannot grow any further; remove entries")
            }
            Driver::ReadOnly => (ErrorKind::Denied, "it is read-only"),
            Driver::Inconsistent | Driver::KeyExists { .. } => {
                (ErrorKind::Unavailable, "an earlier error spoilt this write")
            }
            _ => (ErrorKind::Corrupt, "it is damaged"),
        };
        let fault = Error::new(kind, operation)
            .with_detail(format!("{}: {detail}", path.display()))
            // Not the error itself, which may hold a key.
            .with_source(reason(&error));
        Self { error: fault, damage: kind == ErrorKind::Corrupt }
    }

    pub(super) fn io(operation: &'static str, path: &Path, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::IsADirectory {
            let detail = format!("{} is a directory; name a file", path.display());
            return Self::ours(Error::new(ErrorKind::Config, operation).with_detail(detail));
        }
        // The file says that more is in it than is.
        let damage =
            matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData);
        if !damage {
            return Self::ours(Error::io(operation, path, error));
        }
        let detail = format!("{}: it is damaged", path.display());
        let error =
            Error::new(ErrorKind::Corrupt, operation).with_detail(detail).with_source(error);
        Self { error, damage }
    }

    /// gdbm-native panicked: the file is damaged in a way that it does not expect.
    pub(super) fn panic(operation: &'static str, path: &Path) -> Self {
        let detail = format!("{}: gdbm-native panicked over it; it is damaged", path.display());
        Self { error: Error::new(ErrorKind::Corrupt, operation).with_detail(detail), damage: true }
    }

    /// An error of ours, which says nothing of the file.
    pub(super) fn ours(error: Error) -> Self {
        Self { error, damage: false }
    }
}

fn reason(error: &gdbm_native::Error) -> String {
    match error {
        gdbm_native::Error::KeyExists { .. } => "the key exists".to_owned(),
        error => error.to_string(),
    }
}
