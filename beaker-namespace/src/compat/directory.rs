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
    six_times(|| fs::create_dir_all(path))
}

fn six_times(mut make: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    for _ in 1..ATTEMPTS {
        if make().is_ok() {
            return Ok(());
        }
    }
    make()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How making a directory ends that fails `failures` times, and after how many attempts.
    fn making(failures: u32) -> (Result<(), String>, u32) {
        let mut attempts = 0;
        let made = six_times(|| {
            attempts += 1;
            if attempts > failures { Ok(()) } else { Err(io::Error::other(attempts.to_string())) }
        });
        (made.map_err(|error| error.to_string()), attempts)
    }

    #[test]
    fn util_4_an_error_surfaces_after_the_sixth_failed_attempt() {
        assert_eq!(making(0), (Ok(()), 1));
        assert_eq!(making(5), (Ok(()), 6));
        assert_eq!(making(6), (Err("6".to_owned()), 6));
        assert_eq!(making(100), (Err("6".to_owned()), 6));
    }
}
