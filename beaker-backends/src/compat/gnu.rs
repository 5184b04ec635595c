//! Files of GNU dbm, which Python's Beaker prefers where it is installed.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::Duration;

use beaker_namespace::compat::pickle::Budget;
use beaker_namespace::{Error, ErrorKind};
use bytes::Bytes;
use gdbm_native::OpenOptions;

use super::cache::OPERATION;

/// How long a program that has the file open for writing is waited for. Beaker's lock is held
/// already, so that is a program other than Beaker.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// The keys and values in the file at `path`.
pub(super) fn read(path: &Path, budget: &mut Budget) -> Result<Vec<(Vec<u8>, Bytes)>, Error> {
    let read = || read_all(path, budget);
    // gdbm-native means to report a damaged file as an error; should it panic, that is one too.
    panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(damaged(path)))
}

fn read_all(path: &Path, budget: &mut Budget) -> Result<Vec<(Vec<u8>, Bytes)>, Error> {
    let fail = |error| from_driver(path, error);
    let file = OpenOptions::new().lock_wait(LOCK_WAIT).open(path).map_err(fail)?;
    let mut pairs = Vec::new();
    for pair in file.iter::<Vec<u8>, Vec<u8>>() {
        let (key, value) = pair.map_err(fail)?;
        budget.take_input(key.len() + value.len())?;
        pairs.push((key, Bytes::from(value)));
    }
    Ok(pairs)
}

fn from_driver(path: &Path, error: gdbm_native::Error) -> Error {
    match error {
        gdbm_native::Error::Io(error) => Error::io(OPERATION, path, error),
        gdbm_native::Error::Locked => Error::new(ErrorKind::Timeout, OPERATION)
            .with_detail(format!("another program is writing {}", path.display())),
        gdbm_native::Error::BadMagic { .. } => Error::new(ErrorKind::Config, OPERATION)
            .with_detail(format!("{} is no file of dbm.gnu or dbm.dumb", path.display())),
        error => damaged(path).with_source(error),
    }
}

fn damaged(path: &Path) -> Error {
    Error::new(ErrorKind::Corrupt, OPERATION)
        .with_detail(format!("{} is damaged; gdbm's `recover` may help", path.display()))
}
