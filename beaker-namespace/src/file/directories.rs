use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::Durability;
use super::format;
use super::layout::{Layout, Place};
use crate::{Error, ErrorKind};

/// How often a directory that vanishes is made again within one operation.
pub(super) const ATTEMPTS: usize = 16;

/// Makes the directories of one namespace, at first and whenever somebody removed them.
#[derive(Debug)]
pub(super) struct Directories {
    pub(super) layout: Layout,
    name: Box<str>,
    durability: Durability,
}

impl Directories {
    pub(super) fn new(layout: Layout, name: &str, durability: Durability) -> Self {
        Self { layout, name: name.into(), durability }
    }

    /// Makes what is absent, and checks first that the namespace's directory is ours.
    pub(super) fn prepare(&self) -> Result<(), Error> {
        self.make(self.layout.root())?;
        format::admit(&self.layout.format(), &self.name)?;
        self.make(self.layout.entries())
    }

    /// Makes the directory of `place`.
    pub(super) fn prepare_leaf(&self, place: &Place) -> Result<(), Error> {
        self.prepare()?;
        self.make(parent(place.path()))
    }

    /// Makes the directory of the marks.
    pub(super) fn prepare_marks(&self) -> Result<(), Error> {
        self.prepare()?;
        self.make(self.layout.marks())
    }

    /// The directory of all entries, made again if it is absent.
    pub(super) fn open_entries(&self) -> Result<File, Error> {
        for _ in 0..ATTEMPTS {
            match File::open(self.layout.entries()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.prepare()?,
                opened => {
                    return opened.map_err(|error| {
                        Error::io("open the entries", self.layout.entries(), error)
                    });
                }
            }
        }
        Err(vanishes(self.layout.entries()))
    }

    /// Moves all entries to a new place, which is returned, and makes an empty directory for them.
    /// `None` if there was nothing.
    pub(super) fn replace_entries(&self) -> Result<Option<std::path::PathBuf>, Error> {
        let (entries, trash) = (self.layout.entries(), self.layout.new_trash());
        match fs::rename(entries, &trash) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("clear the namespace", entries, error)),
        }
        self.sync(self.layout.root())?;
        // If this fails the next write makes the directory; the clearing itself is done.
        let _ = self.make(entries);
        Ok(Some(trash))
    }

    /// Makes a change of the directory `path` survive a power cut, if that is configured.
    pub(super) fn sync(&self, path: &Path) -> Result<(), Error> {
        match self.durability {
            Durability::None => Ok(()),
            Durability::Durable => File::open(path)
                .and_then(|directory| directory.sync_all())
                .map_err(|error| Error::io("sync the directory", path, error)),
        }
    }

    fn make(&self, path: &Path) -> Result<(), Error> {
        if path.is_dir() {
            return Ok(());
        }
        settle(path, DirBuilder::new().recursive(true).mode(0o700).create(path))?;
        // The new directory, and the four above it that may be new too: the entries, the
        // namespace, the store, and what the store lies in.
        path.ancestors().skip(1).take(4).try_for_each(|above| self.sync(above))
    }
}

/// What making the directory `path` came to.
///
/// If another one was there, or above it, and `clear` took that away meanwhile, there is none now and
/// no error: the caller, who is about to use it, meets that and tries again.
fn settle(path: &Path, made: io::Result<()>) -> Result<(), Error> {
    match made {
        Err(error) if is_race(&error) && !path.exists() => Ok(()),
        made => made.map_err(|error| Error::io("make the directory", path, error)),
    }
}

fn is_race(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound)
}

/// Somebody removes the directory as often as it is made.
#[cold]
pub(super) fn vanishes(path: &Path) -> Error {
    Error::new(ErrorKind::Unavailable, "make the directory")
        .with_detail(format!("{} is removed again and again", path.display()))
}

/// The directory of `path`.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_went_while_it_was_made_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        for kind in [io::ErrorKind::AlreadyExists, io::ErrorKind::NotFound] {
            assert!(settle(&dir.path().join("gone"), Err(kind.into())).is_ok());
        }
        let file = dir.path().join("file");
        File::create(&file).unwrap();
        let error = settle(&file, Err(io::ErrorKind::AlreadyExists.into())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "something else is in its place");
    }
}
