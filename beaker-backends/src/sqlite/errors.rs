use std::path::Path;

use beaker_namespace::{Error, ErrorKind};
use rusqlite::{ErrorCode, ffi};
use rustix::fs::Access;

use super::schema::VERSION;

const DAMAGED: &str = "damaged; who has it open alone sets it aside, so stop the others, or move it \
                       away with its `-wal` and `-shm` when all are stopped";

/// What a caller can do about `error`, which SQLite reported of the database at `path`.
pub(super) fn map(operation: &'static str, path: &Path, error: rusqlite::Error) -> Error {
    let (kind, fix) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Timeout, "another program has it locked; see whether it is stopped")
        }
        Some(ErrorCode::DiskFull) => (ErrorKind::Full, "free space there"),
        Some(ErrorCode::NotADatabase) => {
            (ErrorKind::Corrupt, "not an SQLite database; use another path, or move the file away")
        }
        Some(ErrorCode::DatabaseCorrupt) => (ErrorKind::Corrupt, DAMAGED),
        // It says that only a newer version of SQLite writes it.
        Some(ErrorCode::ReadOnly) if is_writable(path) => (ErrorKind::Corrupt, DAMAGED),
        Some(
            ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::AuthorizationForStatementDenied,
        ) => (ErrorKind::Denied, "make it and its directory writable"),
        _ if does_not_fit(&error) => (ErrorKind::Corrupt, DAMAGED),
        Some(ErrorCode::TooBig) => (ErrorKind::TooLarge, "SQLite takes no record of this size"),
        _ => (ErrorKind::Unavailable, "SQLite reported a fault"),
    };
    // What SQLite says names tables and columns, never what is in them. It is told here, and not as the source:
    // some of it is the way out, which has to be in the text itself.
    Error::new(kind, operation).with_detail(format!("{}: {fix} ({error})", path.display()))
}

/// Whether a statement of ours, or a column, is wrong: only if the tables are not those that we made, or
/// hold what we never put there.
pub(super) fn does_not_fit(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqlInputError,
        Utf8Error,
    };
    let strange = matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | SqlInputError { .. }
            | Utf8Error(..)
    );
    strange || error.sqlite_error_code() == Some(ErrorCode::Unknown)
}

fn is_writable(path: &Path) -> bool {
    let dir = path.parent().unwrap_or(path);
    [path, dir].into_iter().all(|path| rustix::fs::access(path, Access::WRITE_OK).is_ok())
}

/// There is no space below the limit, since somebody reads for so long that the log cannot be emptied.
pub(super) fn kept_by_a_reader() -> rusqlite::Error {
    let detail = "or end what reads it: a read that goes on keeps its log from being emptied";
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), Some(detail.to_owned()))
}

/// Whether there was no space, on the disk or below the limit.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// The database was damaged, and is at `aside` now.
pub(super) fn aside(operation: &'static str, aside: &Path) -> Error {
    Error::new(ErrorKind::Corrupt, operation).with_detail(format!(
        "the database was damaged, and is set aside as {}; the store goes on with a new one",
        aside.display()
    ))
}

/// The database at `path` has the schema `version`, which this program does not know.
pub(super) fn newer(operation: &'static str, path: &Path, version: i32) -> Error {
    Error::new(ErrorKind::Config, operation).with_detail(format!(
        "{}: a newer version wrote it (schema {version}, this program knows {VERSION}); update this \
         program or use another path",
        path.display()
    ))
}

/// The file at `path` is not what we made, or does not say so any more.
pub(super) fn foreign(operation: &'static str, path: &Path) -> Error {
    Error::new(ErrorKind::Config, operation).with_detail(format!(
        "{} is no SQLite database of this program's; use another path, or move the file away",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn what_sqlite_says_is_told_once() {
        let said = "the words of SQLite";
        for told in [Some(said.to_owned()), None] {
            let code = ffi::Error::new(ffi::SQLITE_FULL);
            let words = told.clone().unwrap_or_else(|| code.to_string());
            let fault = rusqlite::Error::SqliteFailure(code, told);
            let error = map("write an entry", Path::new("/a/cache.db"), fault);
            assert_eq!(error.kind(), ErrorKind::Full);
            assert!(error.to_string().contains(&words), "{error}");
            assert!(error.to_string().contains("/a/cache.db: free space there"), "{error}");
            let mut below = error.source();
            while let Some(source) = below {
                assert!(!error.to_string().contains(&source.to_string()), "{error}: {source}");
                below = source.source();
            }
        }
    }
}
