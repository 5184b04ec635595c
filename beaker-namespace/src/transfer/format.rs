//! The stream of an export.
//
// Version 1, little-endian:
//
//   bytes
//       4  magic "BEKX"
//       1  version
//       3  zero
//       4  length of the namespace's name
//          the name, UTF-8
//       8  XXH3-64 of all of the above
//
//   then for each entry:
//       4  length of the record, not zero
//          the record: an envelope of that namespace; see `envelope.rs`
//
//   and at the end:
//       4  zero
//       8  number of records
//       8  XXH3-64 of all of the above, from the beginning
//
// Each record is right by itself, so it may be stored before the rest is read. The end says that none
// is missing, doubled or out of place.

use std::hash::Hasher;
use std::io::{self, Read, Write};

use bytes::Bytes;
use twox_hash::XxHash3_64;

use super::{READ, WRITE};
use crate::{Entry, Error, ErrorKind, Key, envelope};

const MAGIC: [u8; 4] = *b"BEKX";
const VERSION: u8 = 1;

/// The longest name of a namespace, in bytes.
const MAX_NAME_BYTES: u32 = 64 * 1024;

/// The longest record, in bytes: value, key, tags and 64 bytes. More is refused before it is read.
pub const MAX_RECORD_BYTES: u32 = (1 << 30) + (1 << 20);

/// Writes an export. Without [`finish`](Self::finish) it is an unfinished one, which no reader takes
/// for whole.
pub(super) struct Writer<'a> {
    to: &'a mut dyn Write,
    namespace: &'a str,
    checksum: XxHash3_64,
    records: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn start(to: &'a mut dyn Write, namespace: &'a str) -> Result<Self, Error> {
        let length = u32::try_from(namespace.len()).ok().filter(|&bytes| bytes <= MAX_NAME_BYTES);
        let length = length.ok_or_else(|| {
            Error::new(ErrorKind::TooLarge, WRITE)
                .with_detail(format!("the namespace's name has more than {MAX_NAME_BYTES} bytes"))
        })?;
        let mut writer = Self { to, namespace, checksum: XxHash3_64::new(), records: 0 };
        writer.write(&MAGIC)?;
        writer.write(&[VERSION, 0, 0, 0])?;
        writer.write(&length.to_le_bytes())?;
        writer.write(namespace.as_bytes())?;
        writer.write_checksum()?;
        Ok(writer)
    }

    pub(super) fn record(&mut self, key: &Key, entry: &Entry) -> Result<(), Error> {
        let record = envelope::encode(self.namespace, key, entry)?;
        let length = u32::try_from(record.len()).ok().filter(|&bytes| bytes <= MAX_RECORD_BYTES);
        let length = length.ok_or_else(|| {
            Error::new(ErrorKind::TooLarge, WRITE)
                .with_detail(format!("an entry has more than {MAX_RECORD_BYTES} bytes"))
        })?;
        self.records += 1;
        self.write(&length.to_le_bytes())?;
        self.write(&record)
    }

    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.write(&[0; 4])?;
        self.write(&self.records.to_le_bytes())?;
        self.write_checksum()?;
        self.to.flush().map_err(cannot_write)
    }

    fn write_checksum(&mut self) -> Result<(), Error> {
        self.write(&self.checksum.finish().to_le_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.checksum.write(bytes);
        self.to.write_all(bytes).map_err(cannot_write)
    }
}

/// Reads an export; every record that it gives is as it was written.
pub(super) struct Reader<'a> {
    from: &'a mut dyn Read,
    namespace: String,
    checksum: XxHash3_64,
    records: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn start(from: &'a mut dyn Read) -> Result<Self, Error> {
        let namespace = String::new();
        let mut reader = Self { from, namespace, checksum: XxHash3_64::new(), records: 0 };
        let [magic, version, length] = [reader.read()?, reader.read()?, reader.read::<4>()?];
        if magic != MAGIC {
            return Err(corrupt("it does not begin as an export"));
        }
        if version[0] > VERSION {
            return Err(newer());
        }
        let length = u32::from_le_bytes(length);
        if version != [VERSION, 0, 0, 0] || length > MAX_NAME_BYTES {
            return Err(corrupt("its beginning is damaged"));
        }
        let name = reader.read_long(length)?;
        reader.check("its beginning is damaged")?;
        reader.namespace =
            String::from_utf8(name).map_err(|_| corrupt("its beginning is damaged"))?;
        Ok(reader)
    }

    /// The next entry; `None` at the end, once it is sure that nothing is missing.
    pub(super) fn next(&mut self) -> Result<Option<(Key, Entry)>, Error> {
        let length = u32::from_le_bytes(self.read()?);
        if length == 0 {
            return self.end().map(|()| None);
        }
        if length > MAX_RECORD_BYTES {
            return Err(corrupt("the length of a record is damaged"));
        }
        let record = Bytes::from(self.read_long(length)?);
        self.records += 1;
        match envelope::decode_any(&self.namespace, &record) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::Config => Err(newer().with_source(error)),
            Err(error) => Err(corrupt("a record is damaged").with_source(error)),
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        if u64::from_le_bytes(self.read()?) != self.records {
            return Err(corrupt("records are missing"));
        }
        self.check("it is damaged")?;
        let mut more = Vec::new();
        self.from.take(1).read_to_end(&mut more).map_err(cannot_read)?;
        if more.is_empty() { Ok(()) } else { Err(corrupt("there is something after its end")) }
    }

    /// Reads a checksum, which must be that of all that was read before.
    fn check(&mut self, otherwise: &'static str) -> Result<(), Error> {
        let expected = self.checksum.finish();
        let found = u64::from_le_bytes(self.read()?);
        if found == expected { Ok(()) } else { Err(corrupt(otherwise)) }
    }

    fn read<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes).map_err(cannot_read)?;
        self.checksum.write(&bytes);
        Ok(bytes)
    }

    /// Reads `length` bytes. A length that lies takes no more memory than the stream has bytes.
    fn read_long(&mut self, length: u32) -> Result<Vec<u8>, Error> {
        const AT_ONCE: usize = 64 * 1024;
        let mut bytes = Vec::with_capacity((length as usize).min(AT_ONCE));
        self.from.take(u64::from(length)).read_to_end(&mut bytes).map_err(cannot_read)?;
        if bytes.len() < length as usize {
            return Err(corrupt("it is cut off"));
        }
        self.checksum.write(&bytes);
        Ok(bytes)
    }
}

pub(super) fn cannot_write(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, WRITE).with_detail("its target failed").with_source(error)
}

fn cannot_read(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => corrupt("it is cut off"),
        _ => Error::new(ErrorKind::Unavailable, READ)
            .with_detail("its source failed")
            .with_source(error),
    }
}

fn newer() -> Error {
    Error::new(ErrorKind::Config, READ).with_detail("a newer version wrote it; update this program")
}

fn corrupt(reason: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, READ).with_detail(format!("{reason}; export it again"))
}
