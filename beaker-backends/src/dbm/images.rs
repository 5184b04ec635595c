//! The parts of the file that lead to its rows, as they were before a write.
//
// A dbm file begins with its header, which says where the directory is; an entry of the directory,
// chosen by the first bits of a key's hash, says where the bucket of the key is; the bucket says
// where the rows are. What gdbm-native writes besides these lies in space that was free, or that the
// rows had which the write replaces.
//
// Only files of the common kind (little-endian, places of 64 bits) are looked into. For others there
// are no images, and a killed writer costs more.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use gdbm_native::{CharSign, Endian, Gdbm, Layout};

use super::rows::Changes;

/// Where the header says where the directory is, and how long it is.
const DIRECTORY_AT: usize = 8;
const DIRECTORY_BYTES_AT: usize = 16;

/// The bits of a hash.
const HASH_BITS: u32 = 31;

/// Parts of the file, and its length. Nothing at all for a file that was not there.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Images {
    pub(super) length: u64,
    /// Where each part begins, and its bytes.
    pub(super) blocks: Vec<(u64, Vec<u8>)>,
}

impl Images {
    /// The parts of the file at `path`, open as `file`, that a change of the rows with these `hashes` may
    /// change.
    pub(super) fn take(
        file: &Gdbm,
        path: &Path,
        hashes: impl Iterator<Item = u32>,
    ) -> io::Result<Self> {
        if file.endian() != Endian::Little || file.layout() == Layout::Off32 {
            return Ok(Self::default());
        }
        let handle = File::open(path)?;
        let read = |at: u64, len: u64| {
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
            handle.read_exact_at(&mut bytes, at).map(|()| (at, bytes))
        };
        let header = read(0, file.block_size().into())?;
        let at = number(&header.1, DIRECTORY_AT, 8);
        // gdbm-native has checked that it is within the file.
        let directory = read(at, number(&header.1, DIRECTORY_BYTES_AT, 4))?;
        let bucket = |hash: u32| {
            let entry = hash >> HASH_BITS.saturating_sub(file.dir_depth());
            number(&directory.1, entry as usize * 8, 8)
        };
        let mut buckets: Vec<u64> = hashes.map(bucket).collect();
        buckets.sort_unstable();
        buckets.dedup();
        let mut blocks = vec![header, directory];
        for bucket in buckets {
            blocks.push(read(bucket, file.bucket_size().into())?);
        }
        Ok(Self { length: handle.metadata()?.len(), blocks })
    }

    /// Puts them back into the file at `path`.
    pub(super) fn restore(&self, path: &Path) -> io::Result<()> {
        if self.blocks.is_empty() {
            return Ok(());
        }
        let handle = match File::options().write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            handle => handle?,
        };
        for (at, bytes) in &self.blocks {
            handle.write_all_at(bytes, *at)?;
        }
        handle.set_len(self.length)
    }
}

/// A row of changes: the hash of its key, the key, and the value, if it is put.
pub(super) type Hashed<'a> = (u32, &'a [u8], Option<&'a Bytes>);

/// The rows of `changes`, in the order of their buckets in `file`.
///
/// # Errors
///
/// Those of the driver, which may have to look how the file's writer hashed.
pub(super) fn by_bucket<'a>(
    file: &Gdbm,
    changes: &'a Changes,
) -> gdbm_native::Result<Vec<Hashed<'a>>> {
    if let Some(key) = changes.keys().find(|key| !key.is_ascii()) {
        file.contains_key(key)?;
    }
    let sign = file.char_sign().unwrap_or_default();
    let place = |(key, value): (&'a Vec<u8>, &'a Option<Bytes>)| {
        (hash(sign, key), key.as_slice(), value.as_ref())
    };
    let mut rows: Vec<_> = changes.iter().map(place).collect();
    rows.sort_unstable_by_key(|(hash, ..)| *hash);
    Ok(rows)
}

/// The little-endian number of `len` bytes at `at`; zero where there is none.
fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let bytes = bytes.get(at..at.saturating_add(len)).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, &byte| (number << 8) | u64::from(byte))
}

/// GNU dbm's hash of a key, of 31 bits: each byte is added, moved left by 5 bits more than the one
/// before it, modulo 24; a linear step ends it.
fn hash(sign: CharSign, key: &[u8]) -> u32 {
    const MASK: u32 = (1 << HASH_BITS) - 1;
    let mut value = (key.len() as u32).wrapping_mul(0x238F_13AF);
    for (index, &byte) in key.iter().enumerate() {
        let byte = match sign {
            CharSign::Signed => i32::from(byte as i8) as u32,
            CharSign::Unsigned => byte.into(),
        };
        value = value.wrapping_add(byte << (index * 5 % 24)) & MASK;
    }
    value.wrapping_mul(1_103_515_243).wrapping_add(12_345) & MASK
}
