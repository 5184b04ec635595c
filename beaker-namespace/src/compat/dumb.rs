//! Files of Python's `dbm.dumb`: a list of keys and places, and the values.
//!
//! `x.dir` has a line for each key: the key as Python writes a text, then place and length of its
//! value in `x.dat`, as `'key', (512, 45)`. The file is in Latin-1, one character for each byte of
//! the key.

use std::ops::Range;

use bytes::Bytes;

use super::pickle;
use crate::{Error, ErrorKind};

/// Returns the keys and values of a file of Python's `dbm.dumb`, in the order of its index.
///
/// `index` is what `x.dir` holds and `values` what `x.dat` holds. A value that lies behind the end of
/// `values` comes empty: it is a record that cannot be read, and hides no other.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if a line of the index is not one that Python writes.
///
/// # Examples
///
/// ```
/// use beaker_namespace::compat::read_dumb_dbm;
///
/// let pairs = read_dumb_dbm(b"'session', (0, 2)\n", &b"N."[..].into())?;
/// assert_eq!(pairs, [(b"session".to_vec(), b"N."[..].into())]);
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
pub fn read_dumb_dbm(index: &[u8], values: &Bytes) -> Result<Vec<(Vec<u8>, Bytes)>, Error> {
    let places = read_dumb_dbm_index(index)?;
    let slice = |place: Range<usize>| match place.end <= values.len() {
        true => values.slice(place),
        false => Bytes::new(),
    };
    Ok(places.into_iter().map(|(key, place)| (key, slice(place))).collect())
}

/// A key of a file of Python's `dbm.dumb`, and the place of its value in `x.dat`.
pub type DumbPlace = (Vec<u8>, Range<usize>);

/// Returns the keys of a file of Python's `dbm.dumb`, each with the place of its value in `x.dat`,
/// in the order of its index. Whether `x.dat` is that long is not known here.
///
/// # Errors
///
/// As [`read_dumb_dbm`].
pub fn read_dumb_dbm_index(index: &[u8]) -> Result<Vec<DumbPlace>, Error> {
    let lines = index.split(|&byte| byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let place = |(number, line): (usize, &[u8])| {
        let (key, at, len) = parse(line).ok_or_else(|| broken(number + 1))?;
        // Of a place that no file has, nothing is there.
        Ok((key, at..at.saturating_add(len)))
    };
    lines.map(place).collect()
}

fn broken(line: usize) -> Error {
    Error::new(ErrorKind::Corrupt, "read a file of dbm.dumb")
        .with_detail(format!("line {line} of the index is not one of dbm.dumb"))
}

/// The key, the place and the length in `'key', (place, length)`.
fn parse(line: &[u8]) -> Option<(Vec<u8>, usize, usize)> {
    let line = line.trim_ascii();
    let open = line.iter().rposition(|&byte| byte == b'(')?;
    let (key, place) = line.split_at(open);
    let key = key.trim_ascii_end().strip_suffix(b",")?.trim_ascii_end();
    let place = std::str::from_utf8(place).ok()?.strip_prefix('(')?.strip_suffix(')')?;
    let (at, len) = place.split_once(',')?;
    let key = pickle::unquote(key)?;
    Some((key, at.trim().parse().ok()?, len.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_python_writes_it() {
        assert_eq!(parse(b"'4NT0', (0, 78)"), Some((b"4NT0".to_vec(), 0, 78)));
        assert_eq!(parse(br"'caf\\xe9', (512, 45)"), Some((br"caf\xe9".to_vec(), 512, 45)));
        assert_eq!(parse(b"\"it's\", (1, 2)"), Some((b"it's".to_vec(), 1, 2)));
        assert_eq!(parse(b"'a, (1, 2)', (3, 4)\r"), Some((b"a, (1, 2)".to_vec(), 3, 4)));
        assert_eq!(parse(b"'\xe9\\x80\\x00', (0, 1)"), Some((vec![0xe9, 0x80, 0], 0, 1)));
    }

    #[test]
    fn a_line_that_python_would_not_write_is_refused() {
        for line in ["'a'", "'a', 1, 2", "'a' (1, 2)", "a, (1, 2)", "'a', (-1, 2)", "'a', (1)"] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }
}
