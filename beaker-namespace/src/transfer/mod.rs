//! Warm starts: the entries of a namespace as one stream of bytes, and back.
//!
//! [`export`] writes what a namespace holds, with all times, tags, entity tags, codecs and costs;
//! [`import`] stores it in a namespace of any store. A program that starts with an import has a
//! filled cache at once.
//!
//! Nothing lives longer by it: an entry keeps the moments at which it began, expires and dies. What is
//! expired, or invalidated by a [mark](crate::Mark), is left out, on both ways. An invalidation that
//! comes after the export holds in the store that it was made in, since it is judged by when an entry
//! began; another store knows nothing of it. [`clear`](Namespace::clear) leaves no mark: who clears a
//! namespace and then imports an old export has its entries again.
//!
//! What was changed on the way is never taken for a value: every record has a checksum over its
//! namespace's name, its key and all that it says, and so has the stream. The format stands in
//! `docs/design.md`.
//!
//! # Examples
//!
//! ```
//! use beaker_namespace::{Entry, Key, Namespace, Payload, Scan, Stores};
//! use beaker_namespace::transfer::{self, Existing};
//!
//! let stores = Stores::new();
//! let old = stores.open(&"memory:".parse()?, "old")?;
//! old.set(&Key::new("a"), Entry::new(Payload::raw("1"), old.clock().now()))?;
//!
//! let mut bytes = Vec::new();
//! assert_eq!(transfer::export(&*old, Scan::new(), &mut bytes)?.entries, 1);
//!
//! let new = stores.open(&"memory:".parse()?, "new")?;
//! assert_eq!(transfer::import(&*new, Existing::Replace, &mut &bytes[..])?.entries, 1);
//! assert!(new.get(&Key::new("a"))?.is_some());
//! # Ok::<(), beaker_namespace::Error>(())
//! ```

mod export;
mod format;
mod import;

use std::path::Path;

pub use self::export::{Exported, export, export_to_file};
pub use self::format::MAX_RECORD_BYTES;
pub use self::import::{Existing, Imported, import, import_from_file};
use crate::{Entry, Error, Namespace, Timestamp};

/// Entries that are read or stored together, at most.
const BATCH_ENTRIES: usize = 256;

/// Bytes of values that are read or stored together, unless one value alone has more.
const BATCH_BYTES: u64 = 4 << 20;

/// The operation of an error of the stream that is written, rather than of the namespace.
pub const WRITE: &str = "write an export";

/// The operation of an error of the stream that is read, rather than of the namespace.
pub const READ: &str = "read an export";

/// Whether a reader would get `entry` from `namespace` at `now`.
fn is_current(namespace: &dyn Namespace, entry: &Entry, now: Timestamp) -> Result<bool, Error> {
    if !entry.is_fresh(now) {
        return Ok(false);
    }
    let tags = entry.tag_list();
    if tags.is_empty() {
        return Ok(true);
    }
    Ok(!namespace.marks(&mut tags.iter().map(String::as_str))?.invalidates(entry.began()))
}

/// The error with the name of the file, if it is the file's and not the namespace's.
fn of_file(error: Error, path: &Path) -> Error {
    if [READ, WRITE].contains(&error.operation()) { error.at(path) } else { error }
}
