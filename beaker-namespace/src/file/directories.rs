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

    /// Makes what is absent, and checks that the namespace's directory is ours.
    pub(super) fn prepare(&self) -> Result<(), Error> {
        self.make(self.layout.entries())?;
        format::admit(&self.layout.format(), &self.name)
    }

    /// Makes the directory of `place`.
    pub(super) fn prepare_leaf(&self, place: &Place) -> Result<(), Error> {
        self.prepare()?;
        self.make(parent(place.path()))
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
        match DirBuilder::new().recursive(true).mode(0o700).create(path) {
            Ok(()) => {}
            // It was there, or what is above it, and `clear` took it away: the caller, who is about
            // to use it, meets that and tries again.
            Err(error) if is_race(&error) && !path.exists() => return Ok(()),
            Err(error) => return Err(Error::io("make the directory", path, error)),
        }
        // The new directory, and the four above it that may be new too: the entries, the
        // namespace, the store, and what the store lies in.
        path.ancestors().skip(1).take(4).try_for_each(|above| self.sync(above))
    }
}

/// Whether a directory may not have been made because another one went meanwhile.
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
