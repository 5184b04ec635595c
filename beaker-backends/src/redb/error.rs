use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use beaker_namespace::{Error, ErrorKind};

/// What is to be done about the open file after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing: the file is fine.
    None,
    /// It must be opened anew: redb refuses everything after an error of the disk.
    Reopen,
    /// It is damaged, and must be set aside.
    SetAside,
}

/// An error of the driver, made ours.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: Error,
    pub(super) remedy: Remedy,
}

impl Fault {
    /// The only place where an error of redb becomes ours.
    pub(super) fn of(operation: &'static str, path: &Path, error: impl Into<redb::Error>) -> Self {
        let error = match error.into() {
            // What redb says of bytes that it does not expect, whoever wrote them.
            redb::Error::Io(error) if is_surprise(&error) => {
                return Self::unexpected(operation, path, error);
            }
            // A lock that another process holds. A commit that did not get it may have done a part of its work.
            redb::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Self { error: timeout(operation, path), remedy: Remedy::Reopen };
            }
            redb::Error::Io(error) => {
                return Self { error: Error::io(operation, path, error), remedy: Remedy::Reopen };
            }
            error => error,
        };
        let (kind, detail, remedy) = judge(&error);
        let error = Error::new(kind, operation)
            .with_detail(format!("{}: {detail}", path.display()))
            .with_source(error.to_string());
        Self { error, remedy }
    }

    /// The bytes are not what redb expects: damage if redb made the file, else it is somebody's.
    fn unexpected(operation: &'static str, path: &Path, error: io::Error) -> Self {
        if is_redb(path).unwrap_or(false) {
            let error = Error::new(ErrorKind::Corrupt, operation)
                .with_detail(format!("{}: it is damaged, and is set aside", path.display()))
                .with_source(error);
            return Self { error, remedy: Remedy::SetAside };
        }
        Self::ours(foreign(operation, path))
    }

    /// redb panicked: the file is damaged in a way that it does not expect.
    pub(super) fn panic(operation: &'static str, path: &Path) -> Self {
        Self {
            error: Error::new(ErrorKind::Corrupt, operation).with_detail(format!(
                "{}: redb panicked over it; it is damaged, and is set aside",
                path.display()
            )),
            remedy: Remedy::SetAside,
        }
    }

    /// An error of ours, which says nothing of the file.
    pub(super) fn ours(error: Error) -> Self {
        Self { error, remedy: Remedy::None }
    }
}

/// Another process kept the file for too long.
#[cold]
pub(super) fn timeout(operation: &'static str, path: &Path) -> Error {
    Error::new(ErrorKind::Timeout, operation).with_detail(format!(
        "another writer holds {} for too long; see whether its process is stopped",
        path.display()
    ))
}

/// Whether the bytes were not what redb expects, rather than out of reach.
fn is_surprise(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// What an error means to the caller and to the file.
fn judge(error: &redb::Error) -> (ErrorKind, &'static str, Remedy) {
    use redb::Error as E;
    match error {
        E::PreviousIo | E::DatabaseClosed | E::LockPoisoned(_) => (
            ErrorKind::Unavailable,
            "an earlier error of the disk; the next call opens it anew",
            Remedy::Reopen,
        ),
        // The table has a name of ours, was there when the file was opened, and is what we made it.
        E::Corrupted(_)
        | E::RepairAborted
        | E::TypeDefinitionChanged { .. }
        | E::TableTypeMismatch { .. }
        | E::TableIsMultimap(_)
        | E::TableIsNotMultimap(_)
        | E::TableDoesNotExist(_) => {
            (ErrorKind::Corrupt, "it is damaged, and is set aside", Remedy::SetAside)
        }
        E::UpgradeRequired(_) => (
            ErrorKind::Config,
            "another version of redb wrote it; move it away, or update this program",
            Remedy::None,
        ),
        E::LockProtocolMismatch => (
            ErrorKind::Config,
            "another process has it open with a version of redb that locks in another way; use the \
             same version everywhere",
            Remedy::None,
        ),
        E::ValueTooLarge(_) => (ErrorKind::TooLarge, "redb takes no more than 3 GiB", Remedy::None),
        _ => (ErrorKind::Unavailable, "the driver failed", Remedy::None),
    }
}

/// Whether the file at `path` begins as redb begins its files, as far as it is there, or as it leaves one
/// that it was killed over while it made it: its name comes last, and there are zeros until then.
fn is_redb(path: &Path) -> io::Result<bool> {
    let mut begin = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut begin)?;
    Ok([*b"redb", [0; 4]].iter().any(|magic| magic.starts_with(&begin)))
}

/// Fails if a file is at `path` that is not redb's: for who would make something beside it before he opens it.
pub(super) fn refuse_foreign(operation: &'static str, path: &Path) -> Result<(), Error> {
    match is_redb(path) {
        Ok(false) => Err(foreign(operation, path)),
        // What hinders this is in the way of who opens the file, too, and he says so.
        Ok(true) | Err(_) => Ok(()),
    }
}

fn foreign(operation: &'static str, path: &Path) -> Error {
    Error::new(ErrorKind::Config, operation).with_detail(format!(
        "{} is no redb file; move it away, or name another file",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    // F41: redb tells apart what locks as 4.5 does from what locks in another way.
    #[test]
    fn f41_another_way_of_locking_is_a_matter_of_configuration_and_no_damage() {
        let fault =
            Fault::of("open the store", Path::new("/a/file"), redb::Error::LockProtocolMismatch);
        assert_eq!((fault.error.kind(), fault.remedy), (ErrorKind::Config, Remedy::None));
        let text = fault.error.to_string();
        assert!(text.contains("/a/file") && text.contains("use the same version"), "{text}");
        let control = Fault::of("open the store", Path::new("/a/file"), redb::Error::PreviousIo);
        assert_eq!(control.remedy, Remedy::Reopen);
    }
}
