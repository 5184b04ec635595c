//! Room for a write, taken before it begins: a dbm file that finds none in the middle is broken.

use std::fs::File;
use std::io;
use std::path::Path;

use gdbm_native::Gdbm;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::error::Fault;
use super::plan::Hashed;

const OPERATION: &str = "write to the store";

/// The bytes of a file's header and of what it may need besides rows, in blocks.
const SPARE_BLOCKS: u64 = 4;

/// Reserves, behind the end of `file` at `path`, as much as the driver may need at most for `rows`.
pub(super) fn reserve(file: &Gdbm, path: &Path, rows: &[Hashed<'_>]) -> Result<(), Fault> {
    let fail = |error| Fault::io(OPERATION, path, error);
    let handle = File::options().write(true).open(path).map_err(fail)?;
    let length = handle.metadata().map_err(fail)?.len();
    let most = most_needed(file, rows);
    // Beyond this limit nothing can be written, within the file neither.
    if getrlimit(Resource::Fsize).current.is_some_and(|limit| length.saturating_add(most) > limit) {
        return Err(fail(io::ErrorKind::FileTooLarge.into()));
    }
    if rows.is_empty() {
        return Ok(());
    }
    // The length stays as it is: to GNU dbm a longer file is a broken one.
    match rustix::fs::fallocate(&handle, FallocateFlags::KEEP_SIZE, length, most) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        // What was freed within the file will do for little.
        Err(_) if fits_within(file, rows) => Ok(()),
        Err(error) => Err(fail(error.into())),
    }
}

/// The bytes that the file may grow by.
fn most_needed(file: &Gdbm, rows: &[Hashed<'_>]) -> u64 {
    let block = u64::from(file.block_size());
    let directory = 8_u64 << file.dir_depth();
    let puts = rows.iter().filter_map(|&(_, key, value)| Some((key, value?)));
    // Each row that is put may begin a block, and may split a bucket.
    let rows = puts.map(|(key, value)| {
        let bytes = (key.len() + value.len()) as u64;
        bytes.next_multiple_of(block) + block + u64::from(file.bucket_size())
    });
    rows.sum::<u64>() + 2 * directory + SPARE_BLOCKS * block
}

/// Whether there is far more free space in the file than `rows` take. Reads all of its buckets.
fn fits_within(file: &Gdbm, rows: &[Hashed<'_>]) -> bool {
    let bytes: usize =
        rows.iter().map(|(_, key, value)| value.map_or(0, |value| key.len() + value.len())).sum();
    let free = || file.verify().map_or(0, |report| report.free_bytes);
    bytes == 0 || free() / 4 > bytes as u64
}
