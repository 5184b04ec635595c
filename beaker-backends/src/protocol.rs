//! Which way of locking the processes that share a store go by.
//
// Two programs that lock in different ways do not exclude each other, and neither would notice. So the
// directory of a store's locks has a file `protocol` that says how they lock, which is looked at before
// the first lock is taken. One that says more than this program knows refuses it. What says nothing, as
// after a power cut, is written anew.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use beaker_namespace::{Error, ErrorKind};

use crate::place;

const OPERATION: &str = "open the store";

const FILE: &str = "protocol";

/// What stands before the number.
const TITLE: &str = "beaker locks ";

/// It counts changes of which files are locked, in which order, and what they mean.
const NUMBER: u32 = 1;

/// Refuses a store whose locks, in `locks`, are taken in another way; notes ours if nothing is noted.
///
/// # Errors
///
/// [`ErrorKind::Config`] if a newer version noted another way; what the operating system says.
pub(crate) fn admit(locks: &Path) -> Result<(), Error> {
    let path = locks.join(FILE);
    match noted(&path).map_err(|error| Error::io(OPERATION, &path, error))? {
        Some(NUMBER) => Ok(()),
        Some(number) => Err(Error::new(ErrorKind::Config, OPERATION).with_detail(format!(
            "{}: another version locks this store in another way (protocol {number}, this program \
             knows {NUMBER}); use one version everywhere",
            path.display()
        ))),
        None => note(locks, &path).map_err(|error| Error::io(OPERATION, &path, error)),
    }
}

/// The number that is noted, if one is.
fn noted(path: &Path) -> io::Result<Option<u32>> {
    let mut text = String::new();
    match fs::File::open(path).and_then(|file| file.take(64).read_to_string(&mut text)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
        read => read.map(drop)?,
    }
    Ok(text.strip_prefix(TITLE).and_then(|number| number.trim_end().parse().ok()))
}

/// Everybody who writes it writes the same, at the same place: so nobody finds half of it, and more than
/// one may do it at a time.
fn note(locks: &Path, path: &Path) -> io::Result<()> {
    place::make_directory(locks)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let text = format!("{TITLE}{NUMBER}\n");
    let mut file = options.custom_flags(no_link).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f41_another_way_of_locking_is_refused_and_left_noted() {
        let dir = tempfile::tempdir().unwrap();
        let locks = dir.path().join("locks");
        admit(&locks).unwrap();
        admit(&locks).expect("the control: it is what was noted");
        let path = locks.join("protocol");
        assert_eq!(fs::read_to_string(&path).unwrap(), "beaker locks 1\n");
        for other in ["beaker locks 0\n", "beaker locks 2", "beaker locks 4294967295\n"] {
            fs::write(&path, other).unwrap();
            let error = admit(&locks).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{other}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
    }

    #[test]
    fn what_says_nothing_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("protocol");
        for spoilt in [&b""[..], b"beaker l", b"beaker locks ?", &[0xff; 100]] {
            fs::write(&path, spoilt).unwrap();
            admit(dir.path()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "beaker locks 1\n");
        }
    }
}
