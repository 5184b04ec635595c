//! The sessions of type `dbm`: a file, or a pair of files, for each.
//!
//! Keys, values and paths only. `DbmSessions` (feature `beaker-dbm`) reads and writes the files
//! themselves, of `dbm.gnu` and of `dbm.dumb`, under Beaker's locks. Without it, files of `dbm.dumb`
//! are read here; for those of `dbm.gnu` take any reader of that format, and give [`decode`] what
//! is under [`KEY`].

use std::path::PathBuf;

use beaker_namespace::compat::{EncodedPathOptions, FileNames, encoded_path, read_dumb_dbm};
use bytes::Bytes;

use super::{BeakerId, PayloadLimits, pickled};
use crate::{Error, ErrorKind};

const READ: &str = "read Beaker's session";

/// The key of the session in its file.
pub const KEY: &[u8] = pickled::SESSION.as_bytes();

/// The file of a session, below Beaker's `data_dir`. A `dbm.dumb` adds `.dir` and `.dat`.
///
/// # Errors
///
/// [`Rejected`](ErrorKind::Rejected) if the id names no file, which none of [`BeakerId`]'s does.
pub fn path(id: &BeakerId) -> Result<PathBuf, Error> {
    let relative = encoded_path(&[id.expose_text()], &names())
        .map_err(|error| Error::new(ErrorKind::Rejected, READ).with_source(error))?;
    Ok(PathBuf::from("container_dbm").join(relative))
}

/// The value for the text of a session, to be put under [`KEY`].
pub fn encode(text: &str) -> Vec<u8> {
    pickled::write_text(text)
}

/// The text of the session in a value that is under [`KEY`].
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if it is not Beaker's, [`TooLarge`](ErrorKind::TooLarge) beyond
/// the limits.
pub fn decode(value: &[u8], limits: PayloadLimits) -> Result<String, Error> {
    pickled::read_text(value, limits.text())
}

/// The text of the session in a `dbm.dumb`, whose `.dir` and `.dat` hold `index` and `values`;
/// `None` if there is none. Read both under Beaker's lock: it writes them in place.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_dumb(
    index: &[u8],
    values: &[u8],
    limits: PayloadLimits,
) -> Result<Option<String>, Error> {
    if values.len() as u64 > limits.max_pickle_bytes() {
        return Err(Error::new(ErrorKind::TooLarge, READ)
            .with_detail("its file is larger than `PayloadLimits::max_text_bytes`"));
    }
    let pairs = read_dumb_dbm(index, &Bytes::copy_from_slice(values))
        .map_err(|error| Error::new(ErrorKind::Corrupt, READ).with_source(error))?;
    // Of a key that is there twice the last one counts.
    let found = pairs.into_iter().rfind(|(key, _)| key == KEY);
    found.map(|(_, value)| decode(&value, limits)).transpose()
}

pub(super) fn names() -> EncodedPathOptions {
    EncodedPathOptions::new().extension(".dbm").file_names(FileNames::Plain)
}
