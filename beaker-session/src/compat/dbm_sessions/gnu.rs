//! Files of GNU dbm.

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use gdbm_native::OpenOptions;

use super::{READ, WRITE};
use crate::compat::file::{io_error, is_plain, remove_path, too_large};
use crate::compat::{PayloadLimits, dbm};
use crate::{Entropy, Error, ErrorKind, SystemEntropy};

/// How long a program that has the file open for writing is waited for. Beaker's lock is held
/// already, so that is a program other than Beaker.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// More of a file than the value: its header, its directory, its buckets.
const AROUND_BYTES: u64 = 1 << 20;

pub(super) fn read(path: &Path, limits: PayloadLimits) -> Result<Option<String>, Error> {
    if !is_plain(path)? {
        return Ok(None);
    }
    let metadata = path.metadata().map_err(|error| io_error(READ, folder(path), error))?;
    if metadata.len() > limits.max_pickle_bytes().saturating_add(AROUND_BYTES) {
        return Err(too_large());
    }
    if metadata.len() == 0 {
        return Ok(None);
    }
    let value = guarded(READ, path, || {
        OpenOptions::new().lock_wait(LOCK_WAIT).open(path)?.get::<_, Vec<u8>>(dbm::KEY)
    })?;
    value.map(|value| dbm::decode(&value, limits)).transpose()
}

/// Makes a new file beside the old one, and puts it in its place.
pub(super) fn write(path: &Path, value: &[u8]) -> Result<(), Error> {
    let new = beside(path)?;
    let made = guarded(WRITE, path, || {
        let mut file = OpenOptions::new().create(true).mode(0o600).open(&new)?;
        file.insert(dbm::KEY, value)?;
        file.close()
    });
    let placed = made.and_then(|()| {
        fs::rename(&new, path).map_err(|error| io_error(WRITE, folder(path), error))
    });
    if placed.is_err() {
        // The first error is the one to tell.
        let _ = remove_path(&new);
    }
    placed
}

/// A name that nobody else has.
fn beside(path: &Path) -> Result<PathBuf, Error> {
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random)?;
    Ok(path.with_file_name(format!(".tmp-{:016x}", u64::from_le_bytes(random))))
}

/// Does `work`; gdbm-native means to report a damaged file as an error, and should it panic, that
/// is one too.
fn guarded<T>(
    operation: &'static str,
    path: &Path,
    work: impl FnOnce() -> Result<T, gdbm_native::Error>,
) -> Result<T, Error> {
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| from_driver(operation, path, error)),
        Err(_) => Err(damaged(operation, path)),
    }
}

fn from_driver(operation: &'static str, path: &Path, error: gdbm_native::Error) -> Error {
    match error {
        // It was cut short.
        gdbm_native::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            damaged(operation, path).with_source(error)
        }
        gdbm_native::Error::Io(error) => io_error(operation, folder(path), error),
        gdbm_native::Error::Locked => Error::new(ErrorKind::Unavailable, operation)
            .with_detail("a program other than Beaker keeps the session's file open"),
        error => damaged(operation, path).with_source(error),
    }
}

fn damaged(operation: &'static str, path: &Path) -> Error {
    Error::new(ErrorKind::Corrupt, operation).with_detail(format!(
        "a session's file in {} is no file of GNU dbm, or damaged; gdbm's `recover` may help",
        folder(path).display()
    ))
}

/// A path is the id of a session, so only its directory is named.
fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}
