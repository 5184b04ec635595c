use std::io;
use std::path::Path;

use crate::atomic_write::AtomicWrite;

/// Replaces the file at `path` by one that holds `bytes`.
///
/// Unlike Beaker's function of this name it writes to a temporary file of its own in the same
/// directory, so that several writers do not spoil each other's work, and removes it after a
/// failure. The file is readable and writable by its owner only, whatever the old one was. It
/// survives the end of the process; after a power cut it may be old, new or empty: see
/// [`safe_write_synced`].
///
/// # Concurrency
///
/// Readers see the old content or the new, never a mixture. Of several writers the last one wins.
///
/// # Errors
///
/// The operating system's. The old content is then still in place and no temporary file is left
/// behind. A process that is killed while writing leaves one, whose name begins with `.tmp-`.
pub fn safe_write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    written(path, bytes)?.commit()
}

/// As [`safe_write`], so that a power cut leaves the old content or the new.
///
/// The file is synced before it gets its name, and its directory after; it takes as long as the
/// disk needs.
///
/// # Errors
///
/// As [`safe_write`], but if only the sync of the directory fails the new content is in place.
pub fn safe_write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    written(path, bytes)?.commit_synced()
}

fn written(path: &Path, bytes: &[u8]) -> io::Result<AtomicWrite> {
    let mut write = AtomicWrite::new(path)?;
    write.write_all(bytes)?;
    Ok(write)
}
