//! What was cleared, and is deleted behind whoever cleared it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::behind::behind;

/// So many files and directories are deleted by whoever clears: few are not worth a thread.
pub(super) const DELETED_AT_ONCE: usize = 32;

/// A directory of entries that nobody can reach any more.
///
/// What is left of it when the process ends is deleted by a sweep, of whichever process.
#[derive(Debug)]
pub(super) struct Trash(PathBuf);

impl Trash {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// Deletes at most [`DELETED_AT_ONCE`] files and directories, and gives back what is not empty then.
    pub(super) fn delete_a_little(self) -> Option<Self> {
        let mut left = DELETED_AT_ONCE;
        if delete_some(&self.0, &mut left) { None } else { Some(self) }
    }

    /// Deletes the rest on a thread of its own.
    pub(super) fn delete_behind(self) {
        behind(move || {
            // What remains of it, a sweep removes.
            let _ = fs::remove_dir_all(self.0);
        });
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// Deletes what is in `directory`, and then itself, as long as something is `left` to be deleted. Says
/// whether it is gone.
fn delete_some(directory: &Path, left: &mut usize) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return !directory.exists() };
    for entry in entries.flatten() {
        if *left == 0 {
            return false;
        }
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if !delete_some(&path, left) {
                return false;
            }
        } else {
            *left -= 1;
            // Another sweep may have been quicker.
            let _ = fs::remove_file(path);
        }
    }
    if *left == 0 {
        return false;
    }
    *left -= 1;
    fs::remove_dir(directory).is_ok() || !directory.exists()
}
