//! What a write is about to do, for whoever comes after it if it is killed.
//
// The journal of `x.dbm` is `x.dbm-journal`. It is there while a write changes the file, and whole
// whenever it is there: it gets its name when it is written. It lists rows, in a length and a sum:
//
//   8     "BKRDBMJ2"
//   8     the XXH3-64 sum of what follows
//   8, 4  the length of the file before the write, and the number of its parts kept here
//   parts 8: where it begins; 4: its length; its bytes
//   rows  4: length of the key, 4: length of the value or all ones for a row to be deleted; the key;
//         the value
//
// Numbers are little-endian. Version 1 begins with "BKRDBMJ1" and has the FNV-1a sum, which goes byte by
// byte; it is read too, since a killed writer may have left one.
//
// The digit is not under these sums, and a bit of it may be flipped. So what version it is says the sum that fits;
// the digit is asked only where none does, and a higher one is a newer version's. A version to come has another
// sum, as one that begins with the magic, or it would be taken for this one with a flipped bit.
//
// It is written as a draft in `x.dbm.locks`, where no other store's file is. Earlier versions had that in
// `x.dbm-journal-draft`, where another store may be.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use beaker_namespace::{Durability, Error, ErrorKind};
use twox_hash::XxHash3_64;

use super::images::Images;
use super::rows::Changes;
use crate::place;

const MAGIC: &[u8; 8] = b"BKRDBMJ2";
/// What the magic of every version begins with; a digit comes after it.
const MAGIC_OF_ANY: &[u8; 7] = b"BKRDBMJ";

/// The magic and the sum.
const HEAD_BYTES: usize = 16;

/// What a part or a row takes beside its bytes.
const AROUND_PART_BYTES: usize = 12;
const AROUND_ROW_BYTES: usize = 8;

/// The length of the value of a row to be deleted.
const DELETED: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// Where it is written before it gets its name.
    draft: PathBuf,
}

/// What was found under the name of the journal.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    Nothing,
    /// What the file was, and what is to be done to it.
    Write(Images, Changes),
    /// A journal that a power cut spoilt: nobody knows what was under way.
    Spoilt,
    /// A newer version of this program wrote it.
    Newer,
    /// It is no journal but a GNU dbm file: another store has that name.
    Store,
}

impl Journal {
    /// That of the file at `path`.
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: place::beside(path, "-journal"),
            draft: place::locks_of(path).join("journal-draft"),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_there(&self) -> io::Result<bool> {
        match fs::symlink_metadata(&self.path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes down `rows`, where there is no journal.
    ///
    /// Fails with `AlreadyExists`, and leaves what is there, if something has come under its name since that was
    /// looked at: a store that is called so.
    pub(super) fn write(
        &self,
        images: &Images,
        rows: &Changes,
        durability: Durability,
    ) -> io::Result<()> {
        self.write_by(place::name, images, rows, durability)
    }

    /// Writes down `rows`, in the place of the journal that is there.
    pub(super) fn replace(
        &self,
        images: &Images,
        rows: &Changes,
        durability: Durability,
    ) -> io::Result<()> {
        self.write_by(|draft, path| fs::rename(draft, path), images, rows, durability)
    }

    fn write_by(
        &self,
        name: impl FnOnce(&Path, &Path) -> io::Result<()>,
        images: &Images,
        rows: &Changes,
        durability: Durability,
    ) -> io::Result<()> {
        let synced = durability == Durability::Durable;
        let bytes = encode(images, rows)?;
        let mut file = self.new_draft()?;
        let mut written = file.write_all(&bytes);
        if synced {
            written = written.and_then(|()| file.sync_data());
        }
        written
            .and_then(|()| name(&self.draft, &self.path))
            // It would take room on a full disk.
            .inspect_err(|_| drop(fs::remove_file(&self.draft)))?;
        if synced { place::sync_directory_of(&self.path) } else { Ok(()) }
    }

    fn new_draft(&self) -> io::Result<fs::File> {
        match place::new_file(&self.draft) {
            // Somebody removed its directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.draft.parent().map_or(Ok(()), place::make_directory)?;
                place::new_file(&self.draft)
            }
            made => made,
        }
    }

    pub(super) fn read(&self) -> io::Result<Found> {
        let mut file = match fs::File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(MAGIC.len() as u64).read_to_end(&mut bytes)?;
        // A store that has its name may be long.
        if bytes.starts_with(MAGIC_OF_ANY) {
            file.read_to_end(&mut bytes)?;
        }
        Ok(found(&bytes))
    }

    /// It is [`Found::Newer`].
    #[cold]
    pub(super) fn newer(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::Config, operation).with_detail(format!(
            "a newer version of this program was killed in a write, and left {}; update this program",
            self.path.display()
        ))
    }

    /// It is [`Found::Store`].
    #[cold]
    pub(super) fn store(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::Config, operation).with_detail(format!(
            "{} is a GNU dbm file, and where the journal of this one is to be; give one of them another name",
            self.path.display()
        ))
    }

    /// Removes the draft that a killed writer of an earlier version left, if what is there begins as one. Nobody
    /// writes meanwhile.
    pub(super) fn drop_old_draft(&self) -> io::Result<()> {
        let old = place::beside(&self.path, "-draft");
        if !fs::symlink_metadata(&old).is_ok_and(|found| found.is_file()) {
            return Ok(());
        }
        let mut begin = Vec::new();
        fs::File::open(&old)?.take(MAGIC_OF_ANY.len() as u64).read_to_end(&mut begin)?;
        if begin == MAGIC_OF_ANY { fs::remove_file(old) } else { Ok(()) }
    }

    /// Ends the write. If a power cut undoes this, what the journal says is done once more, which changes
    /// nothing: the file is as this write left it, since the next one syncs the directory, and so the end of
    /// this one, before it touches the file.
    pub(super) fn clear(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn encode(images: &Images, rows: &Changes) -> io::Result<Vec<u8>> {
    let length = |bytes: &[u8]| {
        u32::try_from(bytes.len())
            .ok()
            .filter(|&length| length != DELETED)
            .ok_or(io::ErrorKind::FileTooLarge)
    };
    let mut bytes = Vec::with_capacity(room(images, rows));
    bytes.extend([&MAGIC[..], &[0; 8]].concat());
    bytes.extend(images.length.to_le_bytes());
    bytes.extend((images.blocks.len() as u32).to_le_bytes());
    for (at, block) in &images.blocks {
        bytes.extend(at.to_le_bytes());
        bytes.extend(length(block)?.to_le_bytes());
        bytes.extend_from_slice(block);
    }
    for (key, value) in rows {
        bytes.extend(length(key)?.to_le_bytes());
        bytes.extend(value.as_deref().map_or(Ok(DELETED), length)?.to_le_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    let sum = XxHash3_64::oneshot(&bytes[HEAD_BYTES..]);
    bytes[MAGIC.len()..HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// The length of the journal.
fn room(images: &Images, rows: &Changes) -> usize {
    let parts = images.blocks.iter().map(|(_, block)| AROUND_PART_BYTES + block.len());
    let rows = rows.iter().map(|(key, value)| {
        AROUND_ROW_BYTES + key.len() + value.as_ref().map_or(0, |value| value.len())
    });
    HEAD_BYTES + AROUND_PART_BYTES + parts.sum::<usize>() + rows.sum::<usize>()
}

fn found(bytes: &[u8]) -> Found {
    match decode(bytes) {
        Some(write) => write,
        None if is_newer(bytes) => Found::Newer,
        None if is_store(bytes) => Found::Store,
        None => Found::Spoilt,
    }
}

/// Whether it has the magic of a version to come.
fn is_newer(bytes: &[u8]) -> bool {
    let digit = bytes.strip_prefix(MAGIC_OF_ANY).and_then(<[u8]>::first);
    digit.is_some_and(|digit| digit.is_ascii_digit() && *digit > MAGIC[MAGIC.len() - 1])
}

/// Whether it begins as a GNU dbm file: with a number of four bytes, in one order or the other, whose last byte
/// says which kind it is.
fn is_store(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x13, 0x57, 0x9a])
        || bytes.get(1..).is_some_and(|rest| rest.starts_with(&[0x9a, 0x57, 0x13]))
}

fn decode(bytes: &[u8]) -> Option<Found> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (expected, mut rest) = rest.split_first_chunk::<8>()?;
    let expected = u64::from_le_bytes(*expected);
    let fits = || expected == XxHash3_64::oneshot(rest) || expected == fnv_1a(rest);
    if !magic.starts_with(MAGIC_OF_ANY) || !fits() {
        return None;
    }
    let mut images = Images { length: take_place(&mut rest)?, blocks: Vec::new() };
    for _ in 0..take_length(&mut rest)? {
        let at = take_place(&mut rest)?;
        let len = take_length(&mut rest)?;
        images.blocks.push((at, take(&mut rest, len)?.to_vec()));
    }
    let mut rows = Changes::new();
    while !rest.is_empty() {
        let key_len = take_length(&mut rest)?;
        let value_len = take_length(&mut rest)?;
        let key = take(&mut rest, key_len)?.to_vec();
        let value = match value_len {
            DELETED => None,
            len => Some(take(&mut rest, len)?.to_vec().into()),
        };
        rows.insert(key, value);
    }
    Some(Found::Write(images, rows))
}

fn take_length(rest: &mut &[u8]) -> Option<u32> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_le_bytes(*length))
}

fn take_place(rest: &mut &[u8]) -> Option<u64> {
    let (place, after) = rest.split_first_chunk::<8>()?;
    *rest = after;
    Some(u64::from_le_bytes(*place))
}

fn take<'a>(rest: &mut &'a [u8], len: u32) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    *rest = after;
    Some(taken)
}

/// FNV-1a, 64 bits.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Changes {
        Changes::from([
            (b"put".to_vec(), Some(vec![1; 300].into())),
            (b"empty".to_vec(), Some(Vec::new().into())),
            (b"deleted".to_vec(), None),
        ])
    }

    fn images() -> Images {
        Images { length: 4_096, blocks: vec![(0, vec![7; 100]), (2_048, Vec::new())] }
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        for durability in [Durability::None, Durability::Durable] {
            let journal = Journal::of(&dir.path().join("x.dbm"));
            assert_eq!(journal.read().unwrap(), Found::Nothing);
            assert!(!journal.is_there().unwrap());
            journal.write(&images(), &rows(), durability).unwrap();
            assert!(journal.is_there().unwrap());
            assert_eq!(journal.read().unwrap(), Found::Write(images(), rows()));
            journal.replace(&Images::default(), &Changes::new(), durability).unwrap();
            assert_eq!(journal.read().unwrap(), Found::Write(Images::default(), Changes::new()));
            let taken = journal.write(&images(), &rows(), durability).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(journal.read().unwrap(), Found::Write(Images::default(), Changes::new()));
            journal.clear().unwrap();
            journal.clear().unwrap();
            let locks = dir.path().join("x.dbm.locks");
            assert_eq!(fs::read_dir(&locks).unwrap().count(), 0, "nothing is left");
            fs::remove_dir(locks).unwrap();
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
        }
    }

    /// As version 1 wrote it.
    fn of_version_1(mut journal: Vec<u8>) -> Vec<u8> {
        let sum = fnv_1a(&journal[HEAD_BYTES..]);
        journal[..HEAD_BYTES].copy_from_slice(&[*b"BKRDBMJ1", sum.to_le_bytes()].concat());
        journal
    }

    /// As version 3 may write it: the magic is under the sum too.
    fn of_version_3() -> Vec<u8> {
        let mut journal = encode(&images(), &rows()).unwrap();
        journal[..8].copy_from_slice(b"BKRDBMJ3");
        let sum = XxHash3_64::oneshot(&[&journal[..8], &journal[HEAD_BYTES..]].concat());
        journal[8..HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
        journal
    }

    #[test]
    fn a_journal_of_any_version_that_is_cut_or_changed_is_spoilt() {
        let current = encode(&images(), &rows()).unwrap();
        assert_eq!(current.len(), room(&images(), &rows()));
        for whole in [of_version_1(current.clone()), current] {
            assert_eq!(found(&whole), Found::Write(images(), rows()));
            for end in 0..whole.len() {
                assert_eq!(found(&whole[..end]), Found::Spoilt, "{end} bytes");
                let mut changed = whole.clone();
                changed[end] ^= 1;
                let is_digit = end == MAGIC_OF_ANY.len();
                let expected =
                    if is_digit { Found::Write(images(), rows()) } else { Found::Spoilt };
                assert_eq!(found(&changed), expected, "byte {end}");
            }
        }
    }

    #[test]
    fn f39_a_flipped_bit_in_the_digit_makes_no_newer_version_and_a_newer_one_is_known() {
        let current = encode(&images(), &rows()).unwrap();
        for whole in [of_version_1(current.clone()), current] {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[MAGIC_OF_ANY.len()] ^= 1 << bit;
                assert_eq!(found(&flipped), Found::Write(images(), rows()), "bit {bit}");
            }
        }
        let newer = of_version_3();
        assert_eq!(found(&newer), Found::Newer);
        for bit in 0..8 * newer.len() {
            let mut flipped = newer.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let found = found(&flipped);
            assert!(matches!(found, Found::Newer | Found::Spoilt), "bit {bit}: {found:?}");
        }
    }
}
