// A lock file: opened, locked, and known to be the file that others find under its path.
//
// 1. Whoever takes a lock compares, once he has it, the file he has with the file under the path.
//    If they differ, somebody removed the file meanwhile, and the lock excludes nobody: try again.
// 2. Only who holds a file exclusively, and has found it under the path, may remove it.
//
// By 1 and 2 no two hold a path at once, whatever is removed when. Removing without the comparison
// was seen to let in two holders at every turn.

use std::{
    fs::{self, DirBuilder, File, Metadata},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};
use sha1::{Digest, Sha1};

use crate::{
    Error, ErrorKind,
    filesystem::{self, NetworkPolicy},
    flock,
    process_id::process_id,
    request::{Access, Wait},
};

/// How often a directory that vanishes is made again within one attempt to open a file in it.
const DIRECTORY_ATTEMPTS: usize = 16;

/// How often a file may turn out to be another one before the file system is not believed any more.
///
/// Each time somebody else has held the lock, so this is not reached by contention; it ends, after a
/// second or so, what would be an endless loop on a file system without stable inode numbers.
const MOST_REPLACEMENTS: usize = 100_000;

/// The path of `identifier`'s lock file in `lock_dir`: `<h0>/<h0h1>/<sha1 in hex>.lock`.
///
/// `h0` and `h1` are the first two digits. Python's Beaker uses the same path for the same
/// identifier. Nothing is made on disk.
///
/// # Examples
///
/// ```
/// let path = beaker_sync::lock_path("/locks", "abc");
/// assert_eq!(path.to_str(), Some("/locks/a/a9/a9993e364706816aba3e25717850c26c9cd0d89d.lock"));
/// ```
pub fn lock_path(lock_dir: impl AsRef<Path>, identifier: &str) -> PathBuf {
    let digest = hex(&Sha1::digest(identifier.as_bytes()));
    let mut path = lock_dir.as_ref().join(&digest[..1]);
    path.push(&digest[..2]);
    path.push(format!("{digest}.lock"));
    path
}

/// A locked lock file. Dropping it unlocks, and leaves the file.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: File,
    path: PathBuf,
    /// The process that locked it.
    locked_by: u32,
}

impl LockFile {
    /// Locks the file at `path`, making it and its directories if they are absent.
    ///
    /// `None` when time is up; nothing is held then.
    pub(crate) fn acquire(
        path: &Path,
        access: Access,
        wait: Wait,
        network: NetworkPolicy,
    ) -> Result<Option<Self>, Error> {
        for _ in 0..MOST_REPLACEMENTS {
            let file = open_or_create(path, access, network)?;
            let Some(lock) = Self::lock(file, path, access, wait)? else { return Ok(None) };
            if lock.is_current()? {
                return Ok(Some(lock));
            }
        }
        Err(Error::at(ErrorKind::Unsupported, "no file stays the same under", path))
    }

    /// Locks the file at `path` if it is there and nobody keeps it from that; makes nothing.
    pub(crate) fn try_existing(path: &Path, access: Access) -> Result<Existing, Error> {
        Self::existing(path, access, Wait::Never)
    }

    /// Locks the file at `path` if it is there and nobody keeps it from that for `wait`; makes
    /// nothing.
    pub(crate) fn existing(path: &Path, access: Access, wait: Wait) -> Result<Existing, Error> {
        let Some(file) = open_existing(path, OFlags::RDONLY)? else {
            return Ok(Existing::Absent);
        };
        match Self::lock(file, path, access, wait)? {
            None => Ok(Existing::Held),
            Some(lock) if lock.is_current()? => Ok(Existing::Locked(lock)),
            Some(_) => Ok(Existing::Absent),
        }
    }

    /// The number of bytes in the locked file.
    pub(crate) fn len(&self) -> Result<u64, Error> {
        self.metadata().map(|metadata| metadata.len())
    }

    /// Empties the locked file.
    pub(crate) fn truncate(&self) -> Result<(), Error> {
        self.file.set_len(0).map_err(|e| Error::io("cannot empty", &self.path, e))
    }

    /// Removes the file, if the path still leads to it, and unlocks. The lock must be exclusive.
    pub(crate) fn remove(self) -> Result<(), Error> {
        if self.is_inherited() || !self.is_current()? {
            return Ok(());
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("cannot remove", &self.path, error))
            }
            _ => Ok(()),
        }
    }

    fn lock(file: File, path: &Path, access: Access, wait: Wait) -> Result<Option<Self>, Error> {
        let locked =
            flock::acquire(&file, access, wait).map_err(|e| Error::io("cannot lock", path, e))?;
        let locked_by = process_id();
        Ok(locked.then(|| Self { file, path: path.to_owned(), locked_by }))
    }

    /// Whether this is the copy of a process that was forked from the holder. It shares the open
    /// file, so to unlock it would end the holder's lock.
    fn is_inherited(&self) -> bool {
        self.locked_by != process_id()
    }

    /// Whether the path still leads to the locked file.
    pub(crate) fn is_current(&self) -> Result<bool, Error> {
        let held = self.metadata()?;
        match fs::symlink_metadata(&self.path) {
            Ok(found) => Ok(is_same_file(&held, &found)),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(Error::io("cannot examine", &self.path, error)),
        }
    }

    fn metadata(&self) -> Result<Metadata, Error> {
        self.file.metadata().map_err(|e| Error::io("cannot examine", &self.path, e))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if self.is_inherited() {
            return;
        }
        // An explicit unlock, for the sake of children that share the open file. If it fails, the
        // close that follows is all that is left to do.
        let _ = flock::unlock(&self.file);
    }
}

/// What was found under the path of a lock file.
#[derive(Debug)]
pub(crate) enum Existing {
    /// No file.
    Absent,
    /// A file that somebody else holds.
    Held,
    /// A file that nobody held; it is held now.
    Locked(LockFile),
}

/// Opens the file at `path` if there is one. Symbolic links are refused.
pub(crate) fn open_existing(path: &Path, flags: OFlags) -> Result<Option<File>, Error> {
    match open(path, flags) {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(Error::io("cannot open lock file", path, error)),
    }
}

/// Makes `dir` and its parents, readable by this user alone, where they are absent.
pub(crate) fn create_dir(dir: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| Error::io("cannot make directory", dir, e))
}

fn open_or_create(path: &Path, access: Access, network: NetworkPolicy) -> Result<File, Error> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    // To share a lock it is enough to be allowed to read, as for Beaker's own lock files.
    let mode = match access {
        Access::Shared => OFlags::RDONLY,
        Access::Exclusive => OFlags::RDWR,
    };
    let mut attempts = 0;
    loop {
        // Before the open, so that nothing is left behind where nothing will be locked.
        filesystem::check(dir, network)?;
        match open(path, mode | OFlags::CREATE) {
            Ok(file) => return Ok(file),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && attempts < DIRECTORY_ATTEMPTS =>
            {
                attempts += 1;
                create_dir(dir)?;
            }
            Err(error) => return Err(Error::io("cannot open lock file", path, error)),
        }
    }
}

/// Opens without following a link that somebody may have laid there, and without waiting on a pipe.
fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, mode))?;
    Ok(File::from(file))
}

fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// Held while descriptors can be inherited, so that only the child meant for one gets it.
    static INHERITING: std::sync::Mutex<()> = std::sync::Mutex::new(());

    /// A process that shares the open file of `file`, as a forked child does: a duplicate of the
    /// descriptor that survives exec. `fork` itself would need unsafe code.
    fn inherit(file: &File) -> Inheritor {
        let duplicate = rustix::io::dup(file).unwrap();
        let flags = rustix::io::fcntl_getfd(&duplicate).unwrap();
        assert!(!flags.contains(rustix::io::FdFlags::CLOEXEC));
        Inheritor(Command::new("sleep").arg("60").spawn().unwrap())
    }

    /// Ends with the test, if not before.
    struct Inheritor(Child);

    impl Drop for Inheritor {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    fn acquire(path: &Path) -> Option<LockFile> {
        LockFile::acquire(path, Access::Exclusive, Wait::Never, NetworkPolicy::Refuse).unwrap()
    }

    #[test]
    fn f6_a_lock_is_free_when_dropped_though_a_child_shares_the_open_file() {
        let _alone = INHERITING.lock();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        for removed in [false, true] {
            let lock = acquire(&path).unwrap();
            let child = inherit(&lock.file);
            assert!(acquire(&path).is_none());
            if removed {
                lock.remove().unwrap()
            } else {
                drop(lock)
            }
            assert!(acquire(&path).is_some(), "free while the child lives");
            drop(child);
        }
    }

    /// What the explicit unlock is for: without it the lock lasts as long as the child.
    #[test]
    fn f6_control_a_close_without_an_unlock_leaves_the_lock_with_the_child() {
        let _alone = INHERITING.lock();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let file = File::create(&path).unwrap();
        assert!(flock::acquire(&file, Access::Exclusive, Wait::Never).unwrap());
        let child = inherit(&file);
        drop(file);
        assert!(acquire(&path).is_none(), "held while the child lives");
        drop(child);
        assert!(acquire(&path).is_some(), "free when the child is gone");
    }

    #[test]
    fn what_a_forked_process_inherits_it_neither_unlocks_nor_removes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let lock = acquire(&path).unwrap();
        let inherited = || LockFile {
            file: lock.file.try_clone().unwrap(),
            path: path.clone(),
            locked_by: lock.locked_by.wrapping_add(1),
        };
        drop(inherited());
        assert!(acquire(&path).is_none(), "dropped");
        inherited().remove().unwrap();
        assert!(acquire(&path).is_none() && path.exists(), "removed");
        drop(lock);
        assert!(acquire(&path).is_some());
    }

    #[test]
    fn a_lock_in_the_working_directory_needs_no_directory_in_its_path() {
        let name = format!("beaker-sync-test-{}.lock", std::process::id());
        acquire(Path::new(&name)).unwrap().remove().unwrap();
        assert!(!Path::new(&name).exists());
    }
}
