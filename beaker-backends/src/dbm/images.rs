//! The parts of the file that lead to its rows, as they were before a write.
//
// A dbm file begins with its header, which says where the directory is; an entry of the directory,
// chosen by the first bits of a key's hash, says where the bucket of the key is; the bucket says
// where the rows are. What gdbm-native writes besides these lies in space that was free, or that the
// rows had which the write replaces.
//
// Only files of the common kinds (little-endian, places of 64 bits) are looked into. For others there
// are no images, and a killed writer costs more.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use gdbm_native::{Endian, Gdbm, Layout};

/// Where the header says where the directory is, how long it is, how many rows a bucket has room for, and
/// where the file ends.
const DIRECTORY_AT: usize = 8;
const DIRECTORY_BYTES_AT: usize = 16;
const BUCKET_ROWS_AT: usize = 28;
const END_AT: usize = 32;

/// The bits of a hash.
const HASH_BITS: u32 = 31;

/// What a bucket has of each row: the hash, or all ones where there is no row; the first four bytes of the
/// key; where the row is; the lengths of its key and of its value.
const ROW_BYTES: usize = 24;
const KEY_START_AT: usize = 4;
const PLACE_AT: usize = 8;
const KEY_BYTES_AT: usize = 16;
const VALUE_BYTES_AT: usize = 20;
const NO_ROW: u64 = 0xFFFF_FFFF;

/// Parts of the file, and its length. Nothing at all for a file of which nothing is changed by the driver.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Images {
    pub(super) length: u64,
    /// Where each part begins, and its bytes.
    pub(super) blocks: Vec<(u64, Vec<u8>)>,
}

impl Images {
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

/// What of an open file leads to rows.
#[derive(Debug)]
pub(super) struct Parts {
    header: Vec<u8>,
    directory: (u64, Vec<u8>),
    directory_bits: u32,
    bucket_bytes: u64,
    /// Where a bucket begins to tell of its rows.
    rows_at: usize,
    /// The buckets that were looked at, in the order of their hashes.
    buckets: Vec<(u64, Vec<u8>)>,
}

impl Parts {
    /// Reads header and directory of `file`, which is open as `handle` too; `None` if it is of a kind that is
    /// not looked into.
    pub(super) fn read(file: &Gdbm, handle: &File) -> io::Result<Option<Self>> {
        let rows_at = match (file.endian(), file.layout()) {
            (Endian::Little, Layout::Off64Align8) => 112,
            (Endian::Little, Layout::Off64Align4) => 84,
            _ => return Ok(None),
        };
        let header = read(handle, 0, file.block_size().into())?;
        // gdbm-native has checked that it is within the file.
        let at = long(&header, DIRECTORY_AT);
        let directory = (at, read(handle, at, short(&header, DIRECTORY_BYTES_AT))?);
        Ok(Some(Self {
            header,
            directory,
            directory_bits: file.dir_depth(),
            bucket_bytes: file.bucket_size().into(),
            rows_at,
            buckets: Vec::new(),
        }))
    }

    /// Reads the bucket of keys with this hash, which is not less than the one before, and says where it is.
    pub(super) fn bucket(&mut self, handle: &File, hash: u32) -> io::Result<u64> {
        let entry = hash >> HASH_BITS.saturating_sub(self.directory_bits);
        let at = long(&self.directory.1, entry as usize * 8);
        if self.buckets.last().is_none_or(|(last, _)| *last != at) {
            self.buckets.push((at, read(handle, at, self.bucket_bytes)?));
        }
        Ok(at)
    }

    /// Where the rows are that may be that of `key`, whose hash this is, and the lengths of their values; in the
    /// bucket that was read last, in the order in which they are looked for, up to one that is not within the
    /// file. What the driver would not take for the key's row, since a bit is flipped, is not among them: it
    /// would be written and never read.
    pub(super) fn find<'a>(
        &'a self,
        hash: u32,
        key: &'a [u8],
    ) -> impl Iterator<Item = (u64, usize)> + Clone + 'a {
        let rows = short(&self.header, BUCKET_ROWS_AT) as usize;
        let end = long(&self.header, END_AT);
        let bucket = self.buckets.last().map_or(&[][..], |(_, bytes)| bytes);
        let rows_at = self.rows_at;
        let row = move |slot: usize| {
            let at = rows_at + (hash as usize + slot) % rows * ROW_BYTES;
            bucket.get(at..at + ROW_BYTES).filter(|row| short(row, 0) != NO_ROW)
        };
        let is_it = move |row: &&[u8]| {
            short(row, 0) == u64::from(hash)
                && short(row, KEY_BYTES_AT) == key.len() as u64
                && row[KEY_START_AT..PLACE_AT].iter().zip(key).all(|(there, byte)| there == byte)
        };
        (0..rows).map_while(row).filter(is_it).map_while(move |row| {
            let (place, value_len) = (long(row, PLACE_AT), short(row, VALUE_BYTES_AT));
            let last = place.checked_add(key.len() as u64 + value_len)?;
            (last <= end).then_some((place, value_len as usize))
        })
    }

    /// The header, the directory, and those of the buckets that are at `places`, which are in the order in
    /// which they were read.
    pub(super) fn into_images(self, handle: &File, places: &[u64]) -> io::Result<Images> {
        let mut blocks = vec![(0, self.header), self.directory];
        let mut places = places.iter().peekable();
        let wanted = self.buckets.into_iter().filter(|(at, _)| places.next_if_eq(&at).is_some());
        blocks.extend(wanted);
        Ok(Images { length: handle.metadata()?.len(), blocks })
    }
}

fn read(handle: &File, at: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    handle.read_exact_at(&mut bytes, at).map(|()| bytes)
}

/// The little-endian number of four bytes at `at`; zero where there is none.
fn short(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes).into())
}

/// The little-endian number of eight bytes at `at`; zero where there is none.
fn long(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
