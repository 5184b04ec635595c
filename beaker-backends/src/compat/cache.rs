use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use beaker_namespace::compat::pickle::{Budget, Limits};
use beaker_namespace::compat::{
    EncodedPathOptions, FileNames, LockBackend, encoded_path, read_dumb_dbm,
};
use beaker_namespace::{Error, ErrorKind};
use beaker_sync::{FileSynchronizerOptions, NetworkPolicy, Retention};
use bytes::Bytes;

use super::BeakerRecords;

pub(super) const OPERATION: &str = "read Beaker's cache";

/// How often a lock file may appear while files are read without it.
const ATTEMPTS: usize = 3;

/// The cache directory of a program that uses Python's Beaker, to read.
///
/// Nothing is written or made in it.
///
/// # Concurrency
///
/// A Python program may go on using the directory. A namespace is read under Beaker's own lock,
/// shared with other readers, for as long as its files take to read; see
/// [`lock_timeout`](Self::lock_timeout). That excludes every Beaker on this host that has the same
/// lock directory.
///
/// The lock file is not made: while it is absent no Beaker has used the namespace, and files are
/// read without it. If it appears meanwhile they are read again under it. A program that has another
/// lock directory, or that runs on another host, is not excluded: a file that it writes at that
/// moment reads as [`Corrupt`](ErrorKind::Corrupt), since Beaker writes in place.
#[derive(Debug, Clone)]
#[must_use = "nothing is read before `read` or `import`"]
pub struct BeakerCache {
    kind: LockBackend,
    directory: PathBuf,
    lock_directory: PathBuf,
    lock_timeout: Duration,
    file_names: FileNames,
    network: NetworkPolicy,
    limits: Limits,
}

impl BeakerCache {
    /// The caches of type `file` in Beaker's `data_dir`.
    pub fn file(data_dir: impl AsRef<Path>) -> Self {
        Self::new(data_dir.as_ref(), LockBackend::File, "container_file")
    }

    /// The caches of type `dbm` in Beaker's `data_dir`.
    ///
    /// Files of `dbm.dumb` and, with the feature `dbm`, of `dbm.gnu` are read; which it is, is seen
    /// from the files.
    pub fn dbm(data_dir: impl AsRef<Path>) -> Self {
        Self::new(data_dir.as_ref(), LockBackend::Dbm, "container_dbm")
    }

    fn new(data_dir: &Path, kind: LockBackend, folder: &str) -> Self {
        Self {
            kind,
            directory: data_dir.join(folder),
            lock_directory: data_dir.join(kind.lock_folder()),
            lock_timeout: Duration::from_secs(10),
            file_names: FileNames::Digest,
            network: NetworkPolicy::Refuse,
            limits: Limits::new(),
        }
    }

    /// Where the files are, if Beaker's `file_dir` or `dbm_dir` is set. Default: `container_file` or
    /// `container_dbm` in the data directory.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Where the lock files are, if Beaker's `lock_dir` is set. Default: `container_file_lock` or
    /// `container_dbm_lock` in the data directory.
    pub fn lock_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.lock_directory = directory.into();
        self
    }

    /// How long to wait for Beaker's lock. Default: 10 seconds; zero does not wait.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// How files are named: Beaker's `digest_filenames`. Default: [`FileNames::Digest`].
    pub fn file_names(mut self, file_names: FileNames) -> Self {
        self.file_names = file_names;
        self
    }

    /// What to do where locks may not work. Default: [`NetworkPolicy::Refuse`].
    pub fn network(mut self, policy: NetworkPolicy) -> Self {
        self.network = policy;
        self
    }

    /// How much one reading may take. Default: [`Limits::new`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads all records of `namespace`, expired or not; none if it was never written.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if a file cannot be read as Beaker's,
    /// [`TooLarge`](ErrorKind::TooLarge) beyond the [limits](Self::limits),
    /// [`Timeout`](ErrorKind::Timeout) if Beaker keeps its lock, [`Config`](ErrorKind::Config) for a
    /// name that leads out of the directory or a dbm file of a kind that cannot be read, and what
    /// the operating system says. One record that cannot be read is no error here.
    pub fn read(&self, namespace: &str) -> Result<BeakerRecords, Error> {
        match self.kind {
            LockBackend::Dbm => {
                let path = self.path_of(namespace, ".dbm")?;
                let pickles =
                    self.locked(namespace, || read_dbm(&path, &mut Budget::new(self.limits)))?;
                Ok(BeakerRecords::from_pickles(pickles, Budget::new(self.limits)))
            }
            _ => {
                let path = self.path_of(namespace, ".cache")?;
                let bytes =
                    self.locked(namespace, || read_file(&path, &mut Budget::new(self.limits)))?;
                let budget = Budget::new(self.limits);
                match bytes {
                    Some(bytes) => BeakerRecords::from_dict(bytes, budget)
                        .map_err(|error| at_path(&path, error)),
                    None => Ok(BeakerRecords::from_pickles(Vec::new(), budget)),
                }
            }
        }
    }

    fn path_of(&self, namespace: &str, extension: &str) -> Result<PathBuf, Error> {
        let options = EncodedPathOptions::new().extension(extension).file_names(self.file_names);
        let relative = encoded_path(&[namespace], &options)
            .map_err(|error| Error::new(ErrorKind::Config, OPERATION).with_source(error))?;
        Ok(self.directory.join(relative))
    }

    /// Runs `work` under Beaker's lock of `namespace`, if Beaker ever made one.
    fn locked<T>(&self, namespace: &str, work: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        let lock_file = beaker_sync::lock_path(&self.lock_directory, namespace);
        for _ in 0..ATTEMPTS {
            if exists(&lock_file)? {
                return self.under_lock(namespace, work);
            }
            let result = work();
            // Beaker makes the lock file before it touches the others. So if it is still absent,
            // nobody wrote meanwhile.
            if !exists(&lock_file)? {
                return result;
            }
        }
        Err(timeout(&lock_file))
    }

    fn under_lock<T>(
        &self,
        namespace: &str,
        work: impl Fn() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let fail = |error| Error::lock(OPERATION, error);
        let lock = FileSynchronizerOptions::new()
            // Beaker does not see that its lock file was replaced, so it must stay.
            .retention(Retention::Keep)
            .network(self.network)
            .open(namespace, &self.lock_directory)
            .map_err(fail)?;
        let guard = lock.try_read_for(self.lock_timeout).map_err(fail)?;
        let Some(_guard) = guard else {
            return Err(timeout(&beaker_sync::lock_path(&self.lock_directory, namespace)));
        };
        work()
    }
}

/// The keys and pickles of the dbm file at `path`, whichever kind it is.
fn read_dbm(path: &Path, budget: &mut Budget) -> Result<Vec<(Vec<u8>, Bytes)>, Error> {
    let [index, values] = [".dir", ".dat"].map(|suffix| with_suffix(path, suffix));
    if exists(&index)? && exists(&values)? {
        return read_dumb(&index, &values, budget);
    }
    if exists(path)? {
        return read_one_file(path, budget);
    }
    for suffix in [".dir", ".dat", ".pag", ".db"] {
        let other = with_suffix(path, suffix);
        if exists(&other)? {
            return Err(Error::new(ErrorKind::Config, OPERATION).with_detail(format!(
                "{} is of no dbm that can be read (dbm.gnu, dbm.dumb), or a part is missing",
                other.display()
            )));
        }
    }
    Ok(Vec::new())
}

/// The keys and pickles in the two files of a `dbm.dumb`.
fn read_dumb(
    index: &Path,
    values: &Path,
    budget: &mut Budget,
) -> Result<Vec<(Vec<u8>, Bytes)>, Error> {
    let lines = read_file(index, budget)?.unwrap_or_default();
    let values = read_file(values, budget)?.unwrap_or_default();
    read_dumb_dbm(&lines, &values).map_err(|error| at_path(index, error))
}

#[cfg(feature = "dbm")]
use super::gnu::read as read_one_file;

/// The dbm files that are one file need a library of their own.
#[cfg(not(feature = "dbm"))]
fn read_one_file(path: &Path, _: &mut Budget) -> Result<Vec<(Vec<u8>, Bytes)>, Error> {
    Err(Error::new(ErrorKind::Config, OPERATION).with_detail(format!(
        "{} is not a file of dbm.dumb; if it is one of dbm.gnu, enable the feature `dbm` of \
         beaker-backends",
        path.display()
    )))
}

/// The file's content; `None` if it is absent.
pub(super) fn read_file(path: &Path, budget: &mut Budget) -> Result<Option<Bytes>, Error> {
    let fail = |error| Error::io(OPERATION, path, error);
    let file = match File::open(path) {
        Err(error) if is_absent(&error) => return Ok(None),
        file => file.map_err(fail)?,
    };
    let most = budget.input_left();
    let mut bytes = Vec::new();
    // One more than may be read, to see that there is more.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
    budget.take_input(bytes.len()).map_err(|error| at_path(path, error))?;
    Ok(Some(bytes.into()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}

fn exists(path: &Path) -> Result<bool, Error> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(Error::io(OPERATION, path, error)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn timeout(lock_file: &Path) -> Error {
    Error::new(ErrorKind::Timeout, OPERATION).with_detail(format!(
        "somebody holds {}; stop the Python program, or wait longer",
        lock_file.display()
    ))
}

/// Says in which file it was.
fn at_path(path: &Path, error: Error) -> Error {
    let kind = error.kind();
    Error::new(kind, OPERATION)
        .with_detail(format!("{}: {error}", path.display()))
        .with_source(error)
}
