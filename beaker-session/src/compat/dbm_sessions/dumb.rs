//! Files of Python's `dbm.dumb`.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use beaker_namespace::compat::{DumbPlace, read_dumb_dbm_index, safe_write};

use super::{READ, WRITE, with_suffix};
use crate::compat::file::{io_error, is_plain, open_plain, read_file, too_large, unless_unknown};
use crate::compat::{PayloadLimits, dbm};
use crate::{Error, ErrorKind};

/// Python begins values at multiples of this.
const BLOCK_BYTES: u64 = 512;

/// More than an index of one key ever takes.
const MAX_INDEX_BYTES: u64 = 4096;

pub(super) fn read(path: &Path, limits: PayloadLimits) -> Result<Option<String>, Error> {
    // Of a key that is there twice the last one counts.
    let mut places = places(path)?.into_iter();
    let Some((_, place)) = places.rfind(|(key, _)| key == dbm::KEY) else { return Ok(None) };
    // What else is in the file, lost blocks of Python's among it, is not looked at.
    if place.len() as u64 > limits.max_pickle_bytes() {
        return Err(too_large());
    }
    let mut value = vec![0; place.len()];
    let mut file = open_plain(&with_suffix(path, ".dat"))?.ok_or_else(cut_short)?;
    file.seek(SeekFrom::Start(place.start as u64)).map_err(|error| failed(READ, path, error))?;
    file.read_exact(&mut value).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => cut_short(),
        _ => failed(READ, path, error),
    })?;
    dbm::decode(&value, limits).map(Some)
}

/// Where the index says that values are.
fn places(path: &Path) -> Result<Vec<DumbPlace>, Error> {
    let index = read_file(&with_suffix(path, ".dir"), MAX_INDEX_BYTES)?.unwrap_or_default();
    read_dumb_dbm_index(&index)
        .map_err(|error| Error::new(ErrorKind::Corrupt, READ).with_source(error))
}

fn cut_short() -> Error {
    Error::new(ErrorKind::Corrupt, READ).with_detail("its file is shorter than its index says")
}

/// A path is the id of a session, so only its directory is named.
fn failed(operation: &'static str, path: &Path, error: io::Error) -> Error {
    io_error(operation, path.parent().unwrap_or(path), error)
}

/// Puts `value` where it does not touch the old one, and then the index in place.
pub(super) fn write(path: &Path, value: &[u8]) -> Result<(), Error> {
    let (index, values) = (with_suffix(path, ".dir"), with_suffix(path, ".dat"));
    let old = match unless_unknown(places(path))? {
        Ok(places) => places
            .into_iter()
            .map(|(_, place)| place)
            .reduce(|one, other| one.start.min(other.start)..one.end.max(other.end)),
        // Python may read it, so any part of the values may be one of its.
        Err(error) if error.kind() == ErrorKind::TooLarge => Some(0..usize::MAX),
        // It is replaced, and as long as it is there nobody reads a value.
        Err(_damaged) => None,
    };
    is_plain(&values)?;
    let fail = |error| failed(WRITE, path, error);
    let at = put(&values, value, old).map_err(fail)?;
    let line = format!("'session', ({at}, {})\n", value.len());
    safe_write(&index, line.as_bytes()).map_err(fail)
}

/// Writes `value` before the `old` one if there is room, else behind it. So no more than twice the
/// room of a session is used, however often it is written.
fn put(values: &Path, value: &[u8], old: Option<Range<usize>>) -> io::Result<u64> {
    let mut file = open(values)?;
    let at = match old {
        Some(old) if old.start < value.len() => {
            // An index may tell of more than there is.
            (old.end as u64).min(file.metadata()?.len()).next_multiple_of(BLOCK_BYTES)
        }
        _ => 0,
    };
    file.seek(SeekFrom::Start(at))?;
    file.write_all(value)?;
    if at > 0 {
        // Behind the new value is nothing that is needed.
        file.set_len(at + value.len() as u64)?;
    }
    Ok(at)
}

fn open(path: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
