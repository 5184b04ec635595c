use std::path::Path;

use beaker_namespace::{Error, ErrorKind};
use rusqlite::ErrorCode;

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
        Some(ErrorCode::DatabaseCorrupt) => (
            ErrorKind::Corrupt,
            "damaged; stop what uses it, then move it away with its `-wal` and `-shm`",
        ),
        Some(
            ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::AuthorizationForStatementDenied,
        ) => (ErrorKind::Denied, "make it and its directory writable"),
        Some(ErrorCode::TooBig) => (ErrorKind::TooLarge, "SQLite takes no record of this size"),
        _ => (ErrorKind::Unavailable, "SQLite reported a fault"),
    };
    // What SQLite says names tables and columns, never what is in them.
    Error::new(kind, operation)
        .with_detail(format!("{}: {fix} ({error})", path.display()))
        .with_source(error)
}

/// Whether there was no space, on the disk or below the limit.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}
