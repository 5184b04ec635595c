//! Locks by name, for the threads of one process and for all processes of one host.
//!
//! Not a lock between hosts. Tasks wait for [`KeyLocks`] and for [`Events`]: every other wait blocks its thread.
//! File locks are BSD `flock`s, so this crate is for Unix.
//!
//! ```
//! use std::time::Duration;
//! use beaker_sync::{NameLock, Synchronizer};
//! # let dir = tempfile::tempdir()?;
//!
//! let settings = NameLock::plain("settings")?;
//! let alone_in_this_process = settings.lock();
//!
//! let catalogue = Synchronizer::file("catalogue", dir.path())?;
//! let alone_on_this_host = catalogue.try_write_for(Duration::from_secs(1))?;
//! assert!(alone_on_this_host.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Index
//!
//! * [`NameLock`]: a mutex of this process, plain or recursive, found by its name.
//! * [`KeyLocks`]: mutexes of this process by keys of any type, for threads and tasks, in the order in which they come;
//!   [`KeyGuard`], [`KeyLockFuture`].
//! * [`Synchronizer`]: many readers or one writer, in the process, on a file, or nobody kept out;
//!   [`FileSynchronizerOptions`], [`Preference`], [`Retention`].
//! * [`BiasedRwLock`]: many readers or one writer of a value in memory that is hardly ever written;
//!   [`BiasedReadGuard`], [`BiasedWriteGuard`].
//! * [`Events`]: who waits for what may happen to a key is told, threads and tasks; [`Listener`].
//! * [`CreationLock`]: the host-wide right to create one thing.
//! * [`lock_path`], [`lock_state`], [`holders`], [`list`], [`clean`]: the files of a lock directory.
//! * [`Filesystem`], [`NetworkPolicy`]: where file locks can be relied on.
//! * [`process_id`]: the number of this process, quick to ask for.
//! * [`Error`], [`ErrorKind`].
//!
//! There are no features: nothing here is optional.

#![deny(unsafe_code)]

#[cfg(not(unix))]
compile_error!("beaker-sync locks files with flock, which this platform does not have");

mod biased;
mod clean;
mod creation;
mod error;
mod events;
mod filesystem;
mod flock;
mod holders;
mod key_locks;
mod lock_file;
mod name_lock;
mod primitive;
mod process_id;
mod registry;
mod request;
mod synchronizer;

pub use crate::{
    biased::{BiasedReadGuard, BiasedRwLock, BiasedWriteGuard},
    clean::{CleanReport, LockFileStatus, LockState, clean, list, lock_state},
    creation::{CreationGuard, CreationLock},
    error::{Error, ErrorKind},
    events::{Events, Listener},
    filesystem::{Filesystem, FilesystemClass, NetworkPolicy},
    holders::holders,
    key_locks::{KeyGuard, KeyLockFuture, KeyLocks},
    lock_file::lock_path,
    name_lock::{NameGuard, NameLock},
    process_id::process_id,
    synchronizer::{
        FileSynchronizerOptions, Preference, ReadGuard, Retention, Synchronizer, WriteGuard,
    },
};

#[cfg(beaker_loom)]
#[doc(hidden)]
pub use crate::{
    biased::models as biased_models, events::models as events_models,
    key_locks::fault as key_lock_faults, registry::models as registry_models,
};

/// A result whose error is this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
