use std::io;
use std::path::Path;

use crate::atomic_write::AtomicWrite;

/// What a finished write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process. After a power cut the file may be old, new or empty.
    Process,
    /// A power cut: the file is synced before and its directory after it gets its name.
    PowerCut,
}

/// Replaces the file at `path` by one that holds `bytes`.
///
/// Unlike Beaker's function of this name it writes to a temporary file of its own in the same
/// directory, so that several writers do not spoil each other's work, removes it after a failure,
/// and can sync. The file is readable and writable by its owner only, whatever the old one was.
///
/// # Concurrency
///
/// Readers see the old content or the new, never a mixture. Of several writers the last one wins.
///
/// # Errors
///
/// The operating system's. The old content is then still in place (unless only the last step, the
/// sync of the directory, failed) and no temporary file is left behind. A process that is killed
/// while writing leaves one, whose name begins with `.tmp-`.
pub fn safe_write(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let mut write = AtomicWrite::new(path)?;
    write.write_all(bytes)?;
    match durability {
        Durability::Process => write.commit(),
        Durability::PowerCut => write.commit_synced(),
    }
}
