// How a file of sessions is shared with Python:
//
// 1. Python replaces the file by renaming another one over it, and so do we. So a reader sees the
//    old or the new one, and needs no lock; no lock file is made for an id that somebody guessed.
// 2. Python holds a lock file while it writes, and looks at the path of it only once. So we hold
//    the same one, and leave it where it is.
// 3. What is read before a write is read under that lock.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use beaker_namespace::compat::{
    EncodedPathOptions, FileNames, LockBackend, encoded_path, encoded_path_in, safe_write,
};
use beaker_sync::NetworkPolicy;

use super::lock::Locks;
use super::{BeakerId, PayloadLimits, pickled};
use crate::{Error, ErrorKind};

const READ: &str = "read Beaker's session";
const WRITE: &str = "write Beaker's session";

/// The sessions of type `file` in Beaker's `data_dir`: a file for each.
///
/// What is in a file is the text that a [`PayloadCodec`](super::PayloadCodec) makes.
///
/// Files are readable and writable by their owner only, so both programs must be of one user.
///
/// # Concurrency
///
/// A Python program may use the directory at the same time. Writers exclude each other by the lock
/// files that Beaker has, on this host; see [`lock_timeout`](Self::lock_timeout). Readers see the
/// old session or the new one.
///
/// # Examples
///
/// ```
/// use beaker_session::SystemEntropy;
/// use beaker_session::compat::{BeakerData, BeakerId, FileSessions, PayloadCodec};
///
/// # let dir = tempfile::tempdir()?;
/// let sessions = FileSessions::new(dir.path()); // the `data_dir` of Beaker's configuration
/// let codec = PayloadCodec::new();
/// let id = BeakerId::random(&SystemEntropy)?;
///
/// sessions.write(&id, &codec.encode(&BeakerData::from_iter([("n".to_owned(), 1.into())]))?)?;
/// let text = sessions.read(&id)?.ok_or("there is none")?;
/// assert_eq!(codec.decode(&text)?.get("n"), Some(&1.into()));
///
/// assert!(sessions.remove(&id)?);
/// assert_eq!(sessions.read(&id)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is read or written before it is asked for"]
pub struct FileSessions {
    directory: PathBuf,
    locks: Locks,
    limits: PayloadLimits,
}

/// What becomes of a session that was read under its lock.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// It stays as it is.
    Keep,
    /// This text takes its place.
    Replace(String),
    /// It goes.
    Remove,
}

impl FileSessions {
    /// The sessions in Beaker's `data_dir`. Nothing is made there before one is written.
    pub fn new(data_dir: impl AsRef<Path>) -> Self {
        let data_dir = data_dir.as_ref();
        Self {
            directory: data_dir.join("container_file"),
            locks: Locks::new(data_dir.join(LockBackend::File.lock_folder())),
            limits: PayloadLimits::new(),
        }
    }

    /// Where the files are, if Beaker's `file_dir` is set. Default: `container_file` in the data
    /// directory.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Where the lock files are, if Beaker's `lock_dir` is set. Default: `container_file_lock` in
    /// the data directory.
    pub fn lock_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.locks.directory = directory.into();
        self
    }

    /// How long a writer waits for another one. Default: 10 seconds; zero does not wait.
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

    /// The file of a session. It is below the directory, whatever the id is.
    ///
    /// # Errors
    ///
    /// [`Rejected`](ErrorKind::Rejected) if the id names no file, which none of [`BeakerId`]'s
    /// does.
    pub fn path(&self, id: &BeakerId) -> Result<PathBuf, Error> {
        let relative = encoded_path(&[id.expose_text()], &names())
            .map_err(|error| Error::new(ErrorKind::Rejected, READ).with_source(error))?;
        Ok(self.directory.join(relative))
    }

    /// The file that is locked while a session is written.
    pub fn lock_path(&self, id: &BeakerId) -> PathBuf {
        self.locks.path(id)
    }

    /// The text of a session; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if the file is not Beaker's,
    /// [`TooLarge`](ErrorKind::TooLarge) beyond the limits, [`Config`](ErrorKind::Config) if there
    /// is something else in the file's place, such as a link,
    /// [`Unavailable`](ErrorKind::Unavailable) for what the operating system says.
    pub fn read(&self, id: &BeakerId) -> Result<Option<String>, Error> {
        self.read_path(&self.path(id)?)
    }

    /// Puts the text of a session in place of what was there.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn write(&self, id: &BeakerId, text: &str) -> Result<(), Error> {
        self.locked(id, |path| self.write_path(id, path, text))
    }

    /// Removes a session, so that its id is worth nothing any more: Beaker itself leaves it.
    /// Returns whether there was one.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn remove(&self, id: &BeakerId) -> Result<bool, Error> {
        self.locked(id, remove_path)
    }

    /// Reads a session and changes it, while nobody else writes it.
    ///
    /// `decide` gets the text, or `None` if there is none. It runs once, on this thread, under
    /// Beaker's lock of the session: it must not use the session itself. What it returns beside
    /// the change is returned.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), that of `decide`, and [`Unavailable`](ErrorKind::Unavailable) if
    /// somebody keeps the lock for too long. What is stored is then as it was.
    pub fn update<T>(
        &self,
        id: &BeakerId,
        decide: impl FnOnce(Option<String>) -> Result<(Change, T), Error>,
    ) -> Result<T, Error> {
        self.update_found(id, |found| decide(found?))
    }

    /// As [`update`](Self::update), but `decide` gets the error of what is damaged as well.
    pub(super) fn update_found<T>(
        &self,
        id: &BeakerId,
        decide: impl FnOnce(Result<Option<String>, Error>) -> Result<(Change, T), Error>,
    ) -> Result<T, Error> {
        self.locked(id, |path| {
            let (change, answer) = decide(unless_unknown(self.read_path(path))?)?;
            match change {
                Change::Keep => {}
                Change::Replace(text) => self.write_path(id, path, &text)?,
                Change::Remove => {
                    remove_path(path)?;
                }
            }
            Ok(answer)
        })
    }

    fn locked<T>(
        &self,
        id: &BeakerId,
        work: impl FnOnce(&Path) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let path = self.path(id)?;
        self.locks.writing(WRITE, id, || work(&path))
    }

    fn read_path(&self, path: &Path) -> Result<Option<String>, Error> {
        let Some(bytes) = read_file(path, self.limits.max_pickle_bytes())? else { return Ok(None) };
        pickled::read_dict(&bytes, self.limits.text())
    }

    fn write_path(&self, id: &BeakerId, path: &Path, text: &str) -> Result<(), Error> {
        encoded_path_in(&self.directory, &[id.expose_text()], &names())
            .and_then(|_| safe_write(path, &pickled::write_dict(text)))
            .map_err(|error| io_error(WRITE, &self.directory, error))
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Replace(_) => "Replace(..)",
            Self::Remove => "Remove",
        })
    }
}

fn names() -> EncodedPathOptions {
    EncodedPathOptions::new().extension(".cache").file_names(FileNames::Plain)
}

/// The file's content, of at most `most` bytes; `None` if it is absent.
pub(super) fn read_file(path: &Path, most: u64) -> Result<Option<Vec<u8>>, Error> {
    let Some(file) = open_plain(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    // One more than may be read, to see that there is more.
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| io_error(READ, path.parent().unwrap_or(path), error))?;
    if bytes.len() as u64 > most {
        return Err(too_large());
    }
    Ok(Some(bytes))
}

/// The file, to be read; `None` if it is absent.
pub(super) fn open_plain(path: &Path) -> Result<Option<File>, Error> {
    if !is_plain(path)? {
        return Ok(None);
    }
    match File::open(path) {
        Err(error) if is_absent(&error) => Ok(None),
        // A path is the id of a session, so only its directory is named.
        file => {
            file.map(Some).map_err(|error| io_error(READ, path.parent().unwrap_or(path), error))
        }
    }
}

/// Whether there is a file. A pipe would never end, and a link may lead anywhere: they are refused.
pub(super) fn is_plain(path: &Path) -> Result<bool, Error> {
    let directory = path.parent().unwrap_or(path);
    match path.symlink_metadata() {
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(io_error(READ, directory, error)),
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(_) => Err(Error::new(ErrorKind::Config, READ).with_detail(format!(
            "in {} is something that is no plain file in a session's place; remove it",
            directory.display()
        ))),
    }
}

/// What was read, or the error of what is there and cannot be read, however often one tries. It fails
/// if nobody knows what is there.
pub(super) fn unless_unknown<T>(read: Result<T, Error>) -> Result<Result<T, Error>, Error> {
    use ErrorKind::{Codec, Corrupt, TooLarge};
    match read {
        Err(error) if !matches!(error.kind(), Corrupt | Codec | TooLarge) => Err(error),
        read => Ok(read),
    }
}

pub(super) fn too_large() -> Error {
    Error::new(ErrorKind::TooLarge, READ)
        .with_detail("its file is larger than `PayloadLimits::max_text_bytes`")
}

pub(super) fn remove_path(path: &Path) -> Result<bool, Error> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => {
            Err(io_error("remove Beaker's session", path.parent().unwrap_or(path), error))
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

pub(super) fn io_error(operation: &'static str, directory: &Path, error: io::Error) -> Error {
    let error = beaker_namespace::Error::io(operation, directory, error);
    Error::store(operation, error.clone()).with_detail(error.to_string())
}
