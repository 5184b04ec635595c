//! Which version of this program wrote the store.
//
// The rules:
// 1. The row of the version is there before anything that an earlier version cannot read. So a store of
//    a higher version is refused, and what is in it stays as it is; and a record of a newer envelope in a
//    store of this version is no newer record but a flipped bit.
// 2. Versions 1 and 2 wrote no such row, and this one reads what they wrote. So where there is none the
//    store is known. It is written with the first namespace.
// 3. Where processes share the store a newer program may raise the version while this one has it open.
//    There every change looks first, and a read that finds something damaged looks too. The first change that
//    finds a lower version, or a namespace and no version, raises it, so that no earlier program goes on beside
//    this one.
// 4. The number stands there twice, once inverted. A row in which both do not fit is damaged, and says
//    nothing.
// 5. An engine that has versions of its own has no such row.
// 6. Version 4 has ledgers (see ledger.rs), so an engine without ledgers stays at version 3.

use beaker_namespace::{Error, ErrorKind};

use super::engine::{Engine, Reader, Writer, view};
use super::rows;

/// The version without ledgers.
const PLAIN: u32 = 3;

/// The version with ledgers.
const LEDGERS: u32 = 4;

/// The version that this program writes into `engine`.
fn current(engine: &dyn Engine) -> u32 {
    if engine.walks_straight() { PLAIN } else { LEDGERS }
}

/// What a store says of its version, if it is none that a newer program wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Current,
    Lower,
    /// It is new, or of a version that had no row.
    Unsaid,
}

/// Fails if a newer version wrote the store of `engine`, which `reader` shows.
///
/// # Errors
///
/// [`ErrorKind::Config`], and those of the store.
pub(super) fn check<R: Reader + ?Sized>(
    engine: &dyn Engine,
    reader: &R,
) -> Result<Standing, Error> {
    if engine.knows_versions() {
        return Ok(Standing::Current);
    }
    let mut found = None;
    reader.look(rows::VERSION, &mut |row| found = parse(row))?;
    match found {
        Some(version) if version > current(engine) => Err(newer(engine, version)),
        Some(version) if version < current(engine) => Ok(Standing::Lower),
        Some(_) => Ok(Standing::Current),
        None => Ok(Standing::Unsaid),
    }
}

/// [`check`], of the store as it is now.
///
/// # Errors
///
/// As [`check`].
pub(super) fn check_now(engine: &dyn Engine) -> Result<(), Error> {
    if engine.knows_versions() {
        return Ok(());
    }
    view(engine, |reader| check(engine, reader)).map(drop)
}

/// Notes the version, before the first namespace is made, or the first ledger of a namespace that an earlier
/// version made; and where a change found a lower one.
///
/// # Errors
///
/// Those of the store.
pub(super) fn note(engine: &dyn Engine, writer: &mut dyn Writer) -> Result<(), Error> {
    if engine.knows_versions() {
        Ok(())
    } else {
        writer.put(rows::VERSION, &row_of(current(engine)))
    }
}

fn row_of(version: u32) -> [u8; 8] {
    let mut row = [0; 8];
    row[..4].copy_from_slice(&version.to_le_bytes());
    row[4..].copy_from_slice(&(!version).to_le_bytes());
    row
}

fn parse(row: &[u8]) -> Option<u32> {
    let version = u32::from_le_bytes(*row.first_chunk()?);
    (*row == row_of(version)).then_some(version)
}

#[cold]
fn newer(engine: &dyn Engine, version: u32) -> Error {
    Error::new(ErrorKind::Config, "open the store").with_detail(format!(
        "a newer version of this program wrote {} (version {version}, this one knows {}); update \
         this one, or name another place",
        engine.path().display(),
        current(engine)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_row_says_nothing() {
        let row = row_of(LEDGERS);
        assert_eq!(parse(&row), Some(LEDGERS));
        for bit in 0..64 {
            let mut flipped = row;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&flipped), None, "bit {bit}");
        }
        for length in 0..row.len() {
            assert_eq!(parse(&row[..length]), None);
        }
    }
}
