//! What Python's Beaker calls its files, locks and keys, for programs that share a directory with it.
//!
//! Everything here follows Beaker 1.14 to the byte, its weaknesses included, because two programs
//! exclude each other only if they lock the same file. The stores of this crate do not use these
//! names; a new program should not either: different identifiers can share one
//! ([`encoded_path`] lists how).
//!
//! - names: [`encoded_path`], [`encoded_path_in`], [`lock_path`], [`access_lock_path`],
//!   [`creation_lock_path`], [`creation_lock_identifier`]
//! - keys: [`storage_key`], [`sha1_hex`]
//! - files: [`verify_directory`], [`safe_write`], [`safe_write_synced`]
//! - what is in them: [`pickle`], which reads plain data only, and [`read_dumb_dbm`]

mod directory;
mod dumb;
mod encoded_path;
mod lock_path;
mod safe_write;
mod storage_key;

pub mod pickle;

pub use directory::verify_directory;
pub use dumb::{DumbPlace, read_dumb_dbm, read_dumb_dbm_index};
pub use encoded_path::{
    EncodedPathOptions, FileNames, UnsafePath, encoded_path, encoded_path_in, sha1_hex,
};
pub use lock_path::{
    LockBackend, access_lock_path, creation_lock_identifier, creation_lock_path, lock_path,
};
pub use safe_write::{safe_write, safe_write_synced};
pub use storage_key::storage_key;
