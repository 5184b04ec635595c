//! Files of Python's `dbm.dumb`: a list of keys and places, and the values.
//!
//! `x.dir` has a line for each key: the key as Python writes a text, then place and length of its
//! value in `x.dat`, as `'key', (512, 45)`. The file is in Latin-1, one character for each byte of
//! the key.

use std::path::Path;

use beaker_namespace::{Error, ErrorKind};
use bytes::Bytes;

use super::cache::{OPERATION, read_file};
use super::pickle::Budget;

/// The keys and values in the files `index` and `values`, in the order of the index.
pub(super) fn read(
    index: &Path,
    values: &Path,
    budget: &mut Budget,
) -> Result<Vec<(Vec<u8>, Bytes)>, Error> {
    let Some(lines) = read_file(index, budget)? else { return Ok(Vec::new()) };
    let values = read_file(values, budget)?.unwrap_or_default();
    let mut pairs = Vec::new();
    for (number, line) in lines.split(|&byte| byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let (key, at, len) = parse(line).ok_or_else(|| broken(index, number + 1))?;
        let end = at.checked_add(len).filter(|&end| end <= values.len());
        // A value behind the end of the file is a record that cannot be read, not a broken index.
        pairs.push((key, end.map(|end| values.slice(at..end)).unwrap_or_default()));
    }
    Ok(pairs)
}

fn broken(index: &Path, line: usize) -> Error {
    Error::new(ErrorKind::Corrupt, OPERATION)
        .with_detail(format!("line {line} of {} is not one of dbm.dumb", index.display()))
}

/// The key, the place and the length in `'key', (place, length)`.
fn parse(line: &[u8]) -> Option<(Vec<u8>, usize, usize)> {
    let line = line.trim_ascii();
    let open = line.iter().rposition(|&byte| byte == b'(')?;
    let (key, place) = line.split_at(open);
    let key = key.trim_ascii_end().strip_suffix(b",")?.trim_ascii_end();
    let place = std::str::from_utf8(place).ok()?.strip_prefix('(')?.strip_suffix(')')?;
    let (at, len) = place.split_once(',')?;
    let key = super::pickle::unquote(key)?;
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
