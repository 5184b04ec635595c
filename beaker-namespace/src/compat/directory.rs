use std::fs;
use std::io;
use std::path::Path;

/// How often making a directory is tried before the error is reported.
const ATTEMPTS: usize = 6;

/// Makes the directory at `path` with its parents; one that is there already is fine.
///
/// # Concurrency
///
/// Any number of threads and processes may make overlapping directories at once, and one that is
/// removed while it is made is made again, up to six times.
///
/// # Errors
///
/// The operating system's error of the sixth attempt: no permission, a file in the way, no space.
pub fn verify_directory(path: &Path) -> io::Result<()> {
    for _ in 1..ATTEMPTS {
        if fs::create_dir_all(path).is_ok() {
            return Ok(());
        }
    }
    fs::create_dir_all(path)
}
