//! How a change gets into the file.
//
// A row that is replaced by one of the same length stays where it is, and its value is written over the old
// one: nothing that leads to it changes, and it costs two system calls where gdbm-native makes five. The
// others go through gdbm-native, which may change the header, the directory and their buckets; of these the
// plan has images.
//
// The plan of a change follows from the change and from what the images hold. So who mends the file, and puts
// the images back first, comes to the same plan as the writer that was killed.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use gdbm_native::{CharSign, Gdbm};

use super::images::{Images, Parts};
use super::rows::Changes;

/// A row of changes: the hash of its key, the key, and the value, if it is put.
pub(super) type Hashed<'a> = (u32, &'a [u8], Option<&'a Bytes>);

/// Rows as they were before a write took them away.
pub(super) type Before<'a> = Vec<(&'a [u8], Option<Bytes>)>;

#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The file, where there are rows that stay in their places.
    in_place: Option<InPlace<'a>>,
    /// Rows for gdbm-native, in the order of their buckets.
    pub(super) others: Vec<Hashed<'a>>,
    /// The parts of the file that `others` may change.
    pub(super) images: Images,
}

#[derive(Debug)]
struct InPlace<'a> {
    file: File,
    rows: Vec<Row<'a>>,
    /// The values that are there, one after another.
    old: Vec<u8>,
}

/// A row that is written where it is.
#[derive(Debug)]
struct Row<'a> {
    key: &'a [u8],
    value: &'a [u8],
    /// Where the value begins in the file.
    at: u64,
    old: Range<usize>,
}

impl<'a> Plan<'a> {
    /// For `changes` of the file at `path`, which is open as `file`.
    ///
    /// # Errors
    ///
    /// Those of the driver, which may have to look how the file's writer hashed, and of the system.
    pub(super) fn make(
        file: &Gdbm,
        path: &Path,
        changes: &'a Changes,
    ) -> gdbm_native::Result<Self> {
        let rows = by_bucket(file, changes)?;
        let handle = File::options().read(true).write(true).open(path)?;
        let Some(mut parts) = Parts::read(file, &handle)? else {
            return Ok(Self::through_the_driver(rows));
        };
        let mut in_place = InPlace { file: handle, rows: Vec::new(), old: Vec::new() };
        let (mut others, mut buckets) = (Vec::new(), Vec::new());
        for row in rows {
            let bucket = parts.bucket(&in_place.file, row.0)?;
            if in_place.takes(row, parts.find(row.0, row.1)) {
                continue;
            }
            others.push(row);
            buckets.push(bucket);
        }
        buckets.dedup();
        let images = match others.is_empty() {
            true => Images::default(),
            false => parts.into_images(&in_place.file, &buckets)?,
        };
        let in_place = Some(in_place).filter(|some| !some.rows.is_empty());
        Ok(Self { in_place, others, images })
    }

    /// For a file that is made: all rows, by `file`.
    ///
    /// # Errors
    ///
    /// As [`make`](Self::make).
    pub(super) fn of_new(file: &Gdbm, changes: &'a Changes) -> gdbm_native::Result<Self> {
        by_bucket(file, changes).map(Self::through_the_driver)
    }

    fn through_the_driver(others: Vec<Hashed<'a>>) -> Self {
        Self { in_place: None, others, images: Images::default() }
    }

    /// Does the change to `file`, syncs and closes it. `before` gets what was there.
    ///
    /// # Errors
    ///
    /// Those of the driver and of the system.
    pub(super) fn carry_out(
        &self,
        mut file: Gdbm,
        before: &mut Before<'a>,
    ) -> gdbm_native::Result<()> {
        if let Some(in_place) = &self.in_place {
            in_place.write(before)?;
        }
        let mut driver_syncs = false;
        for &(_, key, value) in &self.others {
            // What `insert` does by itself; but if it fails half-way it does not say what was there.
            let old = file.remove(key)?.map(Bytes::from);
            driver_syncs |= old.is_some() || value.is_some();
            before.push((key, old));
            if let Some(value) = value {
                file.insert(key, &value[..])?;
            }
        }
        match &self.in_place {
            Some(in_place) if !driver_syncs => in_place.file.sync_data()?,
            _ => {}
        }
        file.close()
    }
}

impl<'a> InPlace<'a> {
    /// Takes `row` if the first of its places that has its key, which is where the driver finds it, has a value of
    /// the same length.
    fn takes(
        &mut self,
        (_, key, value): Hashed<'a>,
        places: impl Iterator<Item = (u64, usize)> + Clone,
    ) -> bool {
        let Some(value) = value else { return false };
        // Mostly there is one place, and its value tells without a look at its key.
        if !places.clone().any(|(_, old_len)| old_len == value.len()) {
            return false;
        }
        for (at, old_len) in places {
            let begin = self.old.len();
            let fits = old_len == value.len();
            match self.read(key, at, if fits { old_len } else { 0 }) {
                Ok(true) if fits => {
                    let old = begin..self.old.len();
                    self.rows.push(Row { key, value, at: at + key.len() as u64, old });
                    return true;
                }
                Ok(false) => {}
                // What cannot be read is the driver's to report.
                Ok(true) | Err(_) => return false,
            }
        }
        false
    }

    /// Whether the row at `at` is that of `key`; keeps so many bytes of its value then.
    fn read(&mut self, key: &[u8], at: u64, value_len: usize) -> io::Result<bool> {
        let begin = self.old.len();
        self.old.resize(begin + key.len() + value_len, 0);
        let read = self.file.read_exact_at(&mut self.old[begin..], at);
        if read.is_err() || !self.old[begin..].starts_with(key) {
            self.old.truncate(begin);
            return read.map(|()| false);
        }
        self.old.drain(begin..begin + key.len());
        Ok(true)
    }

    fn write(&self, before: &mut Before<'a>) -> io::Result<()> {
        for row in &self.rows {
            before.push((row.key, Some(Bytes::copy_from_slice(&self.old[row.old.clone()]))));
            self.file.write_all_at(row.value, row.at)?;
        }
        Ok(())
    }
}

/// The rows of `changes`, in the order of their buckets in `file`, which spares gdbm-native the search for
/// another one at each row.
fn by_bucket<'a>(file: &Gdbm, changes: &'a Changes) -> gdbm_native::Result<Vec<Hashed<'a>>> {
    let sign = match changes.keys().find(|key| !key.is_ascii()) {
        Some(key) => char_sign(file, key)?,
        None => CharSign::default(),
    };
    let place = |(key, value): (&'a Vec<u8>, &'a Option<Bytes>)| {
        (hash(sign, key), key.as_slice(), value.as_ref())
    };
    let mut rows: Vec<_> = changes.iter().map(place).collect();
    rows.sort_unstable_by_key(|(hash, ..)| *hash);
    Ok(rows)
}

/// How the writer of `file` hashed, for which it is looked through, beginning where `key` would be, which is not
/// ASCII.
pub(super) fn char_sign(file: &Gdbm, key: &[u8]) -> gdbm_native::Result<CharSign> {
    file.contains_key(key)?;
    Ok(file.char_sign().unwrap_or_default())
}

/// GNU dbm's hash of a key, of 31 bits: each byte is added, moved left by 5 bits more than the one
/// before it, modulo 24; a linear step ends it.
fn hash(sign: CharSign, key: &[u8]) -> u32 {
    const MASK: u32 = (1 << 31) - 1;
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
