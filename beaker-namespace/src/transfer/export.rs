//! From a namespace to bytes.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::format::Writer;
use super::{BATCH_BYTES, BATCH_ENTRIES, WRITE, is_current, of_file};
use crate::atomic_write::AtomicWrite;
use crate::{Entry, Error, ErrorKind, Key, Listed, Namespace, Payload, Scan};

/// What an export did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Exported {
    /// Entries written.
    pub entries: u64,
    /// Entries left out, because they were expired or invalidated.
    pub left_out: u64,
}

/// Writes the current entries of `namespace` that `scan` lists, with all that they carry.
///
/// The stream is whole once this has returned; before that, a reader takes it for cut off. Values are
/// held 4 MiB at a time, or one at a time where they are larger. Writes are small: buffer them.
///
/// # Concurrency
///
/// No lock is held. An entry that is there from beginning to end is written once; one that comes,
/// goes or changes meanwhile is written as it was at some moment, or not at all.
///
/// # Errors
///
/// Those of the store; [`Unsupported`](crate::ErrorKind::Unsupported) if it lists no entries, or holds live
/// objects, which only this process has; of the operation [`WRITE`] if the stream fails.
pub fn export(
    namespace: &dyn Namespace,
    scan: Scan,
    to: &mut dyn Write,
) -> Result<Exported, Error> {
    let mut writer = Writer::start(to, namespace.id().name())?;
    let mut exported = Exported::default();
    let mut scan = scan.limit(BATCH_ENTRIES);
    loop {
        let page = namespace.scan(&scan)?;
        for batch in batches(&page.entries) {
            let keys: Vec<Key> = batch.iter().map(|listed| listed.key.clone()).collect();
            let entries = namespace.get_many(&keys)?;
            for (key, entry) in keys.iter().zip(entries) {
                // It may have gone since it was listed.
                let Some(entry) = entry else { continue };
                write_current(namespace, &mut writer, key, &entry, &mut exported)?;
            }
        }
        match page.next {
            Some(next) => scan = scan.after(next),
            None => break,
        }
    }
    writer.finish()?;
    Ok(exported)
}

/// As [`export`], into the file at `path`, which only its owner may read.
///
/// The file gets its name when it is whole and safe from a power cut. After an error what was there
/// before is still there.
///
/// # Errors
///
/// As [`export`]; those of the file name its path.
pub fn export_to_file(
    namespace: &dyn Namespace,
    scan: Scan,
    path: &Path,
) -> Result<Exported, Error> {
    let failed = |error: io::Error| Error::io(WRITE, path, error);
    let mut file = BufWriter::new(AtomicWrite::new(path).map_err(failed)?);
    let exported = export(namespace, scan, &mut file).map_err(|error| of_file(error, path))?;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.commit_synced().map_err(failed)?;
    Ok(exported)
}

fn write_current(
    namespace: &dyn Namespace,
    writer: &mut Writer<'_>,
    key: &Key,
    entry: &Entry,
    exported: &mut Exported,
) -> Result<(), Error> {
    if !is_current(namespace, entry, namespace.clock().now())? {
        exported.left_out += 1;
        return Ok(());
    }
    if let Payload::Object(_) = entry.payload() {
        return Err(Error::new(ErrorKind::Unsupported, "export a namespace").with_detail(
            "it holds live objects, which only this process has; export from a store of bytes",
        ));
    }
    exported.entries += 1;
    writer.record(key, entry)
}

/// The entries of a page in runs that are small enough to be read together.
fn batches(mut listed: &[Listed]) -> impl Iterator<Item = &[Listed]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |listed: &&Listed| {
            bytes += listed.size_bytes.unwrap_or(0);
            bytes <= BATCH_BYTES
        };
        let count = listed.iter().take_while(fits).count().max(1);
        let (batch, rest) = listed.split_at_checked(count)?;
        listed = rest;
        Some(batch)
    })
}
