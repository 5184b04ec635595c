use std::path::Path;

use crate::{Error, NetworkPolicy, Synchronizer};

/// What becomes of a lock file that nobody in this process uses any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Retention {
    /// Remove it, unless another process holds it.
    ///
    /// Safe among programs that use this crate. Not beside Python's Beaker, which does not look
    /// whether the file that it locked is still the one under the path.
    #[default]
    Remove,
    /// Leave it. For directories that are shared with Python's Beaker.
    Keep,
}

/// Whom a file synchronizer prefers when readers and writers of several processes want it.
///
/// The threads of one process prefer writers, whatever is chosen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Preference {
    /// Writers: one that waits keeps new readers of all processes out.
    ///
    /// While it waits, a second file lies beside the lock file. A reader looks for that file first,
    /// which costs it one system call.
    #[default]
    Writers,
    /// Nobody: the operating system decides, and readers that overlap without a gap keep a writer
    /// waiting for ever. For files that are only written.
    ///
    /// Who chooses this neither keeps others out by waiting nor minds those who do.
    Nobody,
}

/// How a file synchronizer treats its file.
///
/// # Examples
///
/// ```
/// use beaker_sync::{FileSynchronizerOptions, Retention};
/// # let dir = tempfile::tempdir()?;
/// let options = FileSynchronizerOptions::new().retention(Retention::Keep);
/// let shared_with_python = options.open("namespace", dir.path())?;
/// drop(shared_with_python.write()?);
/// drop(shared_with_python);
/// assert!(beaker_sync::lock_path(dir.path(), "namespace").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[must_use = "options do nothing until they are opened"]
pub struct FileSynchronizerOptions {
    pub(super) retention: Retention,
    pub(super) network: NetworkPolicy,
    pub(super) preference: Preference,
}

impl FileSynchronizerOptions {
    /// Removes its file, refuses network file systems, and prefers writers.
    pub const fn new() -> Self {
        Self {
            retention: Retention::Remove,
            network: NetworkPolicy::Refuse,
            preference: Preference::Writers,
        }
    }

    /// What becomes of the lock file. Default: [`Retention::Remove`].
    pub const fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// What to do on a network file system. Default: [`NetworkPolicy::Refuse`].
    pub const fn network(mut self, policy: NetworkPolicy) -> Self {
        self.network = policy;
        self
    }

    /// Whom to prefer between processes. Default: [`Preference::Writers`].
    pub const fn preference(mut self, preference: Preference) -> Self {
        self.preference = preference;
        self
    }

    /// The synchronizer of `identifier` in `lock_dir`, as [`Synchronizer::file`].
    ///
    /// # Errors
    ///
    /// As [`Synchronizer::file`], and [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) while it
    /// is in use with other options.
    pub fn open(self, identifier: &str, lock_dir: impl AsRef<Path>) -> Result<Synchronizer, Error> {
        Synchronizer::file_with(identifier, lock_dir.as_ref(), self)
    }
}
