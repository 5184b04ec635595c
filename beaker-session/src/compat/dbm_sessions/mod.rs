// How the files of a session are shared with Python:
//
// 1. Python reads them under a shared lock and writes them in place under an exclusive one, both on
//    the lock file of the session's id. So do we; but of an id that has no file no lock file is
//    made, since somebody may have guessed it.
// 2. What is read before a write is read under the lock of the write.
// 3. A program may end in the middle of its write. So we never write over what is there: the new
//    value is complete before one renaming puts it in the place of the old one.

mod dumb;
mod gnu;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use beaker_namespace::Latency;
use beaker_namespace::compat::{LockBackend, encoded_path, encoded_path_in};
use beaker_sync::NetworkPolicy;

use super::file::{io_error, remove_path, unless_unknown};
use super::lock::Locks;
use super::{BeakerId, Change, PayloadLimits, TextStore, dbm};
use crate::{Error, ErrorKind};

const READ: &str = "read Beaker's session";
const WRITE: &str = "write Beaker's session";

/// What a dbm library may add to the name of a file; the first is the whole of GNU's.
const SUFFIXES: [&str; 6] = ["", ".dir", ".dat", ".bak", ".db", ".pag"];

/// The sessions of type `dbm` in Beaker's `data_dir`: a file of GNU dbm, or a pair of files of
/// Python's `dbm.dumb`, for each.
///
/// What is under a session's key is the text that a [`PayloadCodec`](super::PayloadCodec) makes. A
/// session that is there keeps the format it has; a new one gets that of [`format`](Self::format).
///
/// Files are readable and writable by their owner only, so both programs must be of one user.
///
/// # Concurrency
///
/// A Python program may use the directory at the same time. Readers and writers exclude each other
/// by the lock files that Beaker has, on this host; see [`lock_timeout`](Self::lock_timeout). A
/// program of ours that ends in the middle of a write leaves the old session; Python's may not.
///
/// # Examples
///
/// ```
/// use beaker_session::Sessions;
/// use beaker_session::compat::{BeakerCookie, BeakerStore, DbmSessions, PayloadCodec};
///
/// # let dir = tempfile::tempdir()?;
/// let texts = DbmSessions::new(dir.path()); // the `data_dir` of Beaker's configuration
/// let store = BeakerStore::new(texts, PayloadCodec::new());
/// let cookie = BeakerCookie::new("sid")?.secret("the secret")?;
/// let sessions = Sessions::builder().as_beaker(cookie, store)?.build()?;
/// # let _ = sessions;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is read or written before it is asked for"]
pub struct DbmSessions {
    directory: PathBuf,
    locks: Locks,
    limits: PayloadLimits,
    format: DbmFormat,
}

/// Which of Python's dbm modules a new file is for: Beaker's `dbmmodule`.
///
/// A Python that has GNU dbm does not see files of `dbm.dumb`, nor one that has not the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[doc(alias = "dbmmodule")]
pub enum DbmFormat {
    /// `dbm.gnu`, which Beaker takes where Python has it.
    #[default]
    Gnu,
    /// `dbm.dumb`, which every Python has.
    Dumb,
}

impl DbmSessions {
    /// The sessions in Beaker's `data_dir`. Nothing is made there before one is written.
    pub fn new(data_dir: impl AsRef<Path>) -> Self {
        let data_dir = data_dir.as_ref();
        Self {
            directory: data_dir.join("container_dbm"),
            locks: Locks::new(data_dir.join(LockBackend::Dbm.lock_folder())),
            limits: PayloadLimits::new(),
            format: DbmFormat::Gnu,
        }
    }

    /// Where the files are, if Beaker's `dbm_dir` is set. Default: `container_dbm` in the data
    /// directory.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Where the lock files are, if Beaker's `lock_dir` is set. Default: `container_dbm_lock` in
    /// the data directory.
    pub fn lock_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.locks.directory = directory.into();
        self
    }

    /// How long one waits for another program. Default: 10 seconds; zero does not wait.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.locks.timeout = timeout;
        self
    }

    /// What to do where locks may not work. Default: [`NetworkPolicy::Refuse`].
    pub fn network(mut self, policy: NetworkPolicy) -> Self {
        self.locks.network = policy;
        self
    }

    /// How large a session may be. Default: [`PayloadLimits::new`].
    pub fn limits(mut self, limits: PayloadLimits) -> Self {
        self.limits = limits;
        self
    }

    /// What files of new sessions are. Default: [`DbmFormat::Gnu`].
    pub fn format(mut self, format: DbmFormat) -> Self {
        self.format = format;
        self
    }

    /// The file of a session, to which `dbm.dumb` adds `.dir` and `.dat`.
    ///
    /// # Errors
    ///
    /// [`Rejected`](ErrorKind::Rejected) if the id names no file, which none of [`BeakerId`]'s
    /// does.
    pub fn path(&self, id: &BeakerId) -> Result<PathBuf, Error> {
        let relative = encoded_path(&[id.expose_text()], &dbm::names())
            .map_err(|error| Error::new(ErrorKind::Rejected, READ).with_source(error))?;
        Ok(self.directory.join(relative))
    }

    /// The file that is locked while a session is read or written.
    pub fn lock_path(&self, id: &BeakerId) -> PathBuf {
        self.locks.path(id)
    }

    fn read_path(&self, path: &Path) -> Result<Option<String>, Error> {
        match found(path) {
            None => Ok(None),
            Some(DbmFormat::Gnu) => gnu::read(path, self.limits),
            Some(DbmFormat::Dumb) => dumb::read(path, self.limits),
        }
    }

    fn write_path(&self, id: &BeakerId, path: &Path, text: &str) -> Result<(), Error> {
        encoded_path_in(&self.directory, &[id.expose_text()], &dbm::names())
            .map_err(|error| io_error(WRITE, &self.directory, error))?;
        let value = dbm::encode(text);
        match found(path).unwrap_or(self.format) {
            DbmFormat::Gnu => gnu::write(path, &value),
            DbmFormat::Dumb => dumb::write(path, &value),
        }
    }
}

impl TextStore for DbmSessions {
    fn latency(&self) -> Latency {
        Latency::Blocking
    }

    fn read(&self, id: &BeakerId) -> Result<Option<String>, Error> {
        let path = self.path(id)?;
        if found(&path).is_none() {
            return Ok(None);
        }
        self.locks.reading(READ, id, || self.read_path(&path))
    }

    fn update(
        &self,
        id: &BeakerId,
        decide: &mut dyn FnMut(Result<Option<String>, Error>) -> Result<Change, Error>,
    ) -> Result<(), Error> {
        let path = self.path(id)?;
        self.locks.writing(WRITE, id, || match decide(unless_unknown(self.read_path(&path))?)? {
            Change::Keep => Ok(()),
            Change::Replace(text) => self.write_path(id, &path, &text),
            Change::Remove => SUFFIXES
                .into_iter()
                .try_for_each(|suffix| remove_path(&with_suffix(&path, suffix)).map(|_| ())),
        })
    }
}

/// The format of the session's file; `None` if there is none.
fn found(path: &Path) -> Option<DbmFormat> {
    let is_there = |suffix| with_suffix(path, suffix).symlink_metadata().is_ok();
    match (is_there(""), is_there(".dir")) {
        (true, _) => Some(DbmFormat::Gnu),
        (false, true) => Some(DbmFormat::Dumb),
        (false, false) => None,
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
