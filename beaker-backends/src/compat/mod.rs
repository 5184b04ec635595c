//! Readers for what Python's Beaker wrote, so that a cache survives the move from Python to Rust.
//!
//! [`BeakerCache`] reads the cache directory of Beaker 1.14 (and the older forms of its records):
//! the kinds `file` and `dbm`. Nothing in that directory is written. [`pickle`] reads the pickles
//! in it as plain data; a pickle that holds anything else is refused, record by record.
//!
//! Keys are Beaker's own: [`beaker_namespace::compat`] makes them.
//!
//! # Examples
//!
//! A record made by Python's Beaker, read, and imported into a store of this workspace with the
//! time that is left to it:
//!
//! ```
//! use beaker_backends::compat::{BeakerCache, BeakerRecord};
//! use beaker_namespace::{Codec, Key, MemoryConfig, MemoryNamespace, Namespace};
//! # use beaker_namespace::compat::{EncodedPathOptions, encoded_path_in};
//! # let dir = tempfile::tempdir()?;
//! # let options = EncodedPathOptions::new().extension(".cache");
//! # let path = encoded_path_in(&dir.path().join("container_file"), &["users"], &options)?;
//! # std::fs::write(path, b"\x80\x04}C\x03ada(GA\xd9\0\0\0\0\0\0NK\x2at\x73.")?;
//! let cache = BeakerCache::file(dir.path()); // the `data_dir` of Beaker's configuration
//! let records: Vec<BeakerRecord> = cache.read("users")?.collect();
//! assert_eq!(records[0].key(), "ada");
//! assert_eq!(records[0].entry()?.value().as_i64(), Some(42));
//!
//! let users = MemoryNamespace::anonymous(MemoryConfig::new())?;
//! let report = cache.import("users", &*users, |key, value| {
//!     Ok(Some((Key::new(key), Codec::Json.encode(value)?)))
//! })?;
//! assert_eq!((report.imported, report.expired), (1, 0));
//! assert!(users.get(&Key::new("ada"))?.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
#[cfg(feature = "dbm")]
mod gnu;
mod import;
mod key;
mod record;

pub mod pickle;

pub use self::cache::BeakerCache;
pub use self::import::ImportReport;
pub use self::pickle::Value;
pub use self::record::{BeakerEntry, BeakerRecord, BeakerRecords};
