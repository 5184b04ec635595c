use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Error,
    lock_file::{Existing, LockFile},
    request::Access,
};

/// The fewest hexadecimal digits of a lock file's name: 128 bits.
const FEWEST_DIGITS: usize = 32;

/// The most bytes in a lock file: a mark of [`CreationLock::supersede`](crate::CreationLock::supersede).
const MOST_BYTES: u64 = 1;

/// Whether a lock file is there, and held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockState {
    /// There is no file, so nobody holds it.
    Absent,
    /// There is a file, and nobody holds it: a kill left it, or it is kept.
    Free,
    /// One or more read.
    Shared,
    /// Somebody writes or creates.
    Exclusive,
    /// The file may not be examined.
    Unknown,
}

/// One file of a lock directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockFileStatus {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was held when it was looked at.
    pub state: LockState,
}

/// What [`clean`] did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CleanReport {
    /// How many files nobody held; they are gone.
    pub removed: usize,
    /// How many files somebody held; they are as they were.
    pub in_use: usize,
    /// What could not be examined or removed.
    pub failed: Vec<Error>,
}

/// Whether the lock file at `path` is there and held.
///
/// Never waits, and makes nothing. To find out, the lock is taken for a moment; a *try* of somebody
/// else that meets this moment fails.
///
/// # Errors
///
/// The file cannot be opened or locked.
pub fn lock_state(path: impl AsRef<Path>) -> Result<LockState, Error> {
    let path = path.as_ref();
    for (access, meaning) in
        [(Access::Shared, LockState::Exclusive), (Access::Exclusive, LockState::Shared)]
    {
        match LockFile::try_existing(path, access)? {
            Existing::Absent => return Ok(LockState::Absent),
            Existing::Held => return Ok(meaning),
            Existing::Locked(probe) => drop(probe),
        }
    }
    Ok(LockState::Free)
}

/// Lists the lock files below `dir` and whether they are held, in the order of their paths.
///
/// A lock file is an ordinary file of at most one byte whose name is at least 32 lower-case
/// hexadecimal digits and `.lock`; everything else is passed over, links too. Each is looked at as
/// by [`lock_state`].
///
/// # Errors
///
/// A directory cannot be read. One that is absent has no files.
pub fn list(dir: impl AsRef<Path>) -> Result<Vec<LockFileStatus>, Error> {
    let mut found = Vec::new();
    for_each_lock_file(dir.as_ref(), |path| {
        match lock_state(&path).unwrap_or(LockState::Unknown) {
            LockState::Absent => {}
            state => found.push(LockFileStatus { path, state }),
        }
    })?;
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Removes the lock files below `dir` that nobody holds: those that a kill left behind.
///
/// What counts as a lock file is said at [`list`]. Directories stay.
///
/// # Concurrency
///
/// Safe while others lock, wait and clean, if they use this crate: each file is removed under its
/// lock, and whoever waited for it finds out. A *try* of somebody else that meets this moment fails.
/// Not safe while Python's Beaker uses the directory, which does not look.
///
/// # Errors
///
/// A directory cannot be read. One that is absent is clean. What fails on one file is in the report.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// let left_behind = beaker_sync::lock_path(dir.path(), "thing");
/// std::fs::create_dir_all(left_behind.parent().unwrap())?;
/// std::fs::write(&left_behind, "")?;
/// let report = beaker_sync::clean(dir.path())?;
/// assert_eq!((report.removed, report.in_use), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn clean(dir: impl AsRef<Path>) -> Result<CleanReport, Error> {
    let mut report = CleanReport::default();
    for_each_lock_file(dir.as_ref(), |path| match remove_if_free(&path) {
        Ok(LockState::Free) => report.removed += 1,
        Ok(LockState::Absent) => {}
        Ok(_) => report.in_use += 1,
        Err(error) => report.failed.push(error),
    })?;
    Ok(report)
}

/// Removes the file if nobody holds it; returns what it was.
fn remove_if_free(path: &Path) -> Result<LockState, Error> {
    match LockFile::try_existing(path, Access::Exclusive)? {
        Existing::Absent => Ok(LockState::Absent),
        Existing::Held => Ok(LockState::Exclusive),
        Existing::Locked(file) => file.remove().map(|()| LockState::Free),
    }
}

/// Calls `visit` with each lock file below `root`.
fn for_each_lock_file(root: &Path, mut visit: impl FnMut(PathBuf)) -> Result<(), Error> {
    let mut directories = vec![root.to_owned()];
    while let Some(dir) = directories.pop() {
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(|e| Error::io("cannot list", &dir, e))?,
        };
        for entry in entries {
            let entry = entry.map_err(|e| Error::io("cannot list", &dir, e))?;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                Ok(kind) if kind.is_file() && is_lock_file(&entry) => visit(entry.path()),
                _ => {}
            }
        }
    }
    Ok(())
}

fn is_lock_file(entry: &fs::DirEntry) -> bool {
    has_lock_name(&entry.file_name())
        && entry.metadata().is_ok_and(|metadata| metadata.len() <= MOST_BYTES)
}

fn has_lock_name(name: &OsStr) -> bool {
    let digits = name.to_str().and_then(|name| name.strip_suffix(".lock"));
    digits.is_some_and(|digits| {
        digits.len() >= FEWEST_DIGITS
            && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}
