//! From bytes to a namespace.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use super::format::Reader;
use super::{BATCH_BYTES, BATCH_ENTRIES, READ, is_current, of_file};
use crate::{Condition, ConditionalSet, Entry, Error, Key, Namespace};

/// What an import does with a key that has an entry already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// The imported entry takes its place.
    #[default]
    Replace,
    /// The entry stays, expired or not, until it is dead; the imported one is not stored.
    Keep,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Imported {
    /// Entries stored.
    pub entries: u64,
    /// Entries not stored, because their keys had one.
    pub kept: u64,
    /// Entries left out, because they were expired or invalidated.
    pub left_out: u64,
}

/// Stores the entries of an export, whichever namespace of whichever store they come from.
///
/// They keep their times, so none lives longer than it would have. To store one is a
/// [`set`](Namespace::set) like any other, or a [`set_if`](Namespace::set_if): running claims on its
/// key are voided.
///
/// Each record is checked before it is stored, but the stream is known to be whole only at its end:
/// after an error what came before the damage may be stored, and all of it is right.
/// [`import_from_file`] looks first.
///
/// # Errors
///
/// Those of the store, such as a value beyond its limit; [`Unsupported`](crate::ErrorKind::Unsupported) for
/// [`Existing::Keep`] on a store that does not write on a condition. Of the operation [`READ`] if the
/// stream fails: [`Corrupt`](crate::ErrorKind::Corrupt) if it was changed or cut off,
/// [`Config`](crate::ErrorKind::Config) if a newer version wrote it.
pub fn import(
    namespace: &dyn Namespace,
    existing: Existing,
    from: &mut dyn Read,
) -> Result<Imported, Error> {
    let mut reader = Reader::start(from)?;
    let mut imported = Imported::default();
    let mut batch = Batch::default();
    while let Some((key, entry)) = reader.next()? {
        if !is_current(namespace, &entry, namespace.clock().now())? {
            imported.left_out += 1;
            continue;
        }
        batch.add(key, entry);
        if batch.is_full() {
            batch.store(namespace, existing, &mut imported)?;
        }
    }
    if !batch.entries.is_empty() {
        batch.store(namespace, existing, &mut imported)?;
    }
    Ok(imported)
}

/// As [`import`], from the file at `path`, which is checked from beginning to end before anything is
/// stored.
///
/// # Errors
///
/// As [`import`]; those of the file name its path. A file that is damaged stores nothing.
pub fn import_from_file(
    namespace: &dyn Namespace,
    existing: Existing,
    path: &Path,
) -> Result<Imported, Error> {
    let failed = |error: io::Error| Error::io(READ, path, error);
    let mut file = File::open(path).map_err(failed)?;
    check(&mut BufReader::new(&file)).map_err(|error| of_file(error, path))?;
    file.rewind().map_err(failed)?;
    import(namespace, existing, &mut BufReader::new(file)).map_err(|error| of_file(error, path))
}

/// Reads an export to its end.
fn check(from: &mut dyn Read) -> Result<(), Error> {
    let mut reader = Reader::start(from)?;
    while reader.next()?.is_some() {}
    Ok(())
}

/// Entries to be stored together.
#[derive(Default)]
struct Batch {
    entries: Vec<(Key, Entry)>,
    bytes: u64,
}

impl Batch {
    fn add(&mut self, key: Key, entry: Entry) {
        self.bytes += entry.payload().len_bytes().unwrap_or(0) as u64;
        self.entries.push((key, entry));
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= BATCH_ENTRIES || self.bytes >= BATCH_BYTES
    }

    /// Stores all, and is empty afterwards.
    fn store(
        &mut self,
        namespace: &dyn Namespace,
        existing: Existing,
        imported: &mut Imported,
    ) -> Result<(), Error> {
        let Self { entries, .. } = std::mem::take(self);
        match existing {
            Existing::Replace => {
                let count = entries.len() as u64;
                namespace.set_many(entries)?;
                imported.entries += count;
            }
            Existing::Keep => {
                for (key, entry) in entries {
                    match namespace.set_if(&key, entry, Condition::Absent)? {
                        ConditionalSet::Stored { .. } => imported.entries += 1,
                        ConditionalSet::Conflict => imported.kept += 1,
                    }
                }
            }
        }
        Ok(())
    }
}
