use std::path::{Path, PathBuf};

use super::encoded_path::sha1_hex;
use super::storage_key::{bytes_repr, storage_key};

/// Which of Beaker's stores a lock belongs to; it decides the folder below the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockBackend {
    /// One pickle a namespace: `container_file_lock`.
    File,
    /// One dbm file a namespace: `container_dbm_lock`.
    Dbm,
}

impl LockBackend {
    /// Returns the folder of the locks below the data directory, used when no lock directory is
    /// configured.
    pub fn lock_folder(self) -> &'static str {
        match self {
            Self::File => "container_file_lock",
            Self::Dbm => "container_dbm_lock",
        }
    }
}

/// Returns where, below a lock directory, Beaker locks `identifier`.
///
/// The name is always the SHA-1 digest, in two levels of directories, with extension `.lock`.
///
/// # Examples
///
/// ```
/// use beaker_namespace::compat::lock_path;
///
/// let path = lock_path("8dbb92fcd9e16dc9d89dc124b8b7c547");
/// assert_eq!(path.to_str(), Some("d/d2/d24a2fe5daa71d192342501b6e15d8a7cc588705.lock"));
/// ```
pub fn lock_path(identifier: &str) -> PathBuf {
    let name = sha1_hex(identifier);
    Path::new(&name[..1]).join(&name[..2]).join(format!("{name}.lock"))
}

/// Returns the file, below the data directory, that is locked around every access to `namespace`.
pub fn access_lock_path(backend: LockBackend, namespace: &str) -> PathBuf {
    Path::new(backend.lock_folder()).join(lock_path(namespace))
}

/// Returns the file, below the data directory, that is locked while the value of `key` is made.
///
/// `key` is the key as the caller of a cache gave it.
pub fn creation_lock_path(backend: LockBackend, namespace: &str, key: &str) -> PathBuf {
    let identifier = creation_lock_identifier(backend, namespace, key);
    Path::new(backend.lock_folder()).join(lock_path(&identifier))
}

/// Returns the identifier whose [`lock_path`] is held while the value of `key` is made.
///
/// It contains Python's notation for the [`storage_key`] as a bytes object. The file and the dbm
/// store have the same identifiers, so that with one lock directory for both a file cache and a
/// dbm cache of one name wait for each other.
///
/// # Examples
///
/// ```
/// use beaker_namespace::compat::{LockBackend, creation_lock_identifier};
///
/// let identifier = creation_lock_identifier(LockBackend::File, "ns", "é");
/// assert_eq!(identifier, r"dbmcontainer/funclock/ns/b'\\xe9'");
/// ```
pub fn creation_lock_identifier(backend: LockBackend, namespace: &str, key: &str) -> String {
    let prefix = match backend {
        LockBackend::File | LockBackend::Dbm => "dbmcontainer/funclock",
    };
    format!("{prefix}/{namespace}/{}", bytes_repr(storage_key(key).as_bytes()))
}
