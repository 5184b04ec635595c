//! Which way of locking the processes that share a store go by.
//
// Two programs that lock in different ways do not exclude each other, and neither would notice. So the
// directory of a store's locks has a file `protocol` that says how they lock, which is looked at before
// the first lock is taken. One that says more than this program knows refuses it. What says nothing, as
// after a power cut, is written anew, and a number of which this program knows all is raised to its own.

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

/// The way of a kind of store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    /// Counts changes of which files are locked, in which order, and what they mean; and of what who dies
    /// with a lock held leaves to the next one.
    pub(crate) number: u32,
    /// The first number from which on this program knows all that is locked and left.
    pub(crate) since: u32,
}

impl Protocol {
    /// The way before there was another.
    #[cfg(feature = "redb")]
    pub(crate) const FIRST: Self = Self { number: 1, since: 1 };

    /// Refuses a store whose locks, in `locks`, are taken in another way; notes ours if nothing is noted,
    /// or less.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if another version noted another way; what the operating system says.
    pub(crate) fn admit(self, locks: &Path) -> Result<(), Error> {
        let path = locks.join(FILE);
        let Self { number, since } = self;
        match noted(&path).map_err(|error| Error::io(OPERATION, &path, error))? {
            Some(noted) if noted == number => Ok(()),
            Some(noted) if noted > number || noted < since => {
                Err(Error::new(ErrorKind::Config, OPERATION).with_detail(format!(
                    "{}: another version locks this store in another way (protocol {noted}, this \
                     program knows {number}); use one version everywhere",
                    path.display()
                )))
            }
            _ => note(locks, &path, number).map_err(|error| Error::io(OPERATION, &path, error)),
        }
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

/// Everybody who writes it writes as much, at the same place: so nobody finds half of it, and more than
/// one may do it at a time.
fn note(locks: &Path, path: &Path, number: u32) -> io::Result<()> {
    place::make_directory(locks)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let text = format!("{TITLE}{number}\n");
    let mut file = options.custom_flags(no_link).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Protocol = Protocol { number: 3, since: 2 };

    #[test]
    fn f41_another_way_of_locking_is_refused_and_left_noted() {
        let dir = tempfile::tempdir().unwrap();
        let locks = dir.path().join("locks");
        OURS.admit(&locks).unwrap();
        OURS.admit(&locks).expect("the control: it is what was noted");
        let path = locks.join("protocol");
        assert_eq!(fs::read_to_string(&path).unwrap(), "beaker locks 3\n");
        for other in ["beaker locks 1\n", "beaker locks 4", "beaker locks 4294967295\n"] {
            fs::write(&path, other).unwrap();
            let error = OURS.admit(&locks).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{other}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
    }

    #[test]
    fn what_says_nothing_or_less_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("protocol");
        let less = b"beaker locks 2\n";
        for spoilt in [&b""[..], b"beaker l", b"beaker locks ?", &[0xff; 100], less] {
            fs::write(&path, spoilt).unwrap();
            OURS.admit(dir.path()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "beaker locks 3\n");
        }
    }
}
