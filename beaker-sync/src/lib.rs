//! Named locks, reader/writer synchronizers and file locks.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(unix))]
compile_error!("beaker-sync locks files with flock, which this platform does not have");

mod clean;
mod creation;
mod error;
mod filesystem;
mod flock;
mod lock_file;
mod name_lock;
mod primitive;
mod registry;
mod request;
mod synchronizer;

pub use crate::{
    clean::{CleanReport, LockFileStatus, LockState, clean, list, lock_state},
    creation::{CreationGuard, CreationLock},
    error::{Error, ErrorKind},
    filesystem::{Filesystem, FilesystemClass, NetworkPolicy},
    lock_file::lock_path,
    name_lock::{NameGuard, NameLock},
    synchronizer::{FileSynchronizerOptions, ReadGuard, Retention, Synchronizer, WriteGuard},
};

/// A result whose error is this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
