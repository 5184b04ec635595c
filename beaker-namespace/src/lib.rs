//! Namespaces that hold values: the [`Namespace`] trait, the checked [`Entry`], and the memory, file
//! and null stores.
//!
//! A namespace is one named set of entries in a store, shared by name within a process or across
//! processes. It knows when an entry is stale and when it dies, and it hands out the right to
//! create a value. It does not run creators: that is the part of `beaker-container`.
//!
//! ```
//! use std::time::Duration;
//! use beaker_namespace::{Entry, Key, Payload, Stores};
//!
//! let users = Stores::new().open(&"memory:".parse()?, "users")?;
//! let entry = Entry::new(Payload::raw("Ada"), users.clock().now())
//!     .ttl(Some(Duration::from_secs(60)));
//! users.set(&Key::new(&("user", 1)), entry)?;
//!
//! let entry = users.get(&Key::new(&("user", 1)))?.expect("it was just set");
//! assert!(entry.is_fresh(users.clock().now()));
//! # Ok::<(), beaker_namespace::Error>(())
//! ```
//!
//! # What is here
//!
//! - [`Namespace`]: what every store does. [`MemoryNamespace`], [`FileNamespace`],
//!   [`NullNamespace`]: the stores of this crate.
//! - [`AsyncNamespace`]: the second face of a store that can be waited for without blocking.
//! - [`Key`], [`Entry`], [`Payload`]: what a store keeps. [`Codec`] and [`envelope`]: how that
//!   looks as bytes.
//! - [`Lookup`]: a read that tells a damaged entry from an absent one.
//! - [`Mark`]: what invalidates many entries at once.
//! - [`transfer`]: the entries of a namespace as one file, and back.
//! - [`Departure`]: what a listener is told of entries that leave.
//! - [`Counts`]: counting, for a store of one's own.
//! - [`Clock`], [`Timestamp`]: time that tests move by hand.
//! - [`Stores`], [`StoreUrl`]: from `file:///dir` to an open namespace.
//! - [`compat`]: the file names and paths of Python's Beaker. [`base64`]: base64 with an
//!   alternative alphabet.
//!
//! # Features
//!
//! | feature | default | what appears | cost |
//! |---|---|---|---|
//! | `json` | yes | [`Codec::Json`] | serde_json |
//! | `msgpack` | yes | [`Codec::MessagePack`] | rmp-serde |
//! | `testkit` | no | `testkit`: the conformance suite, a fault-injecting store and one with an asynchronous face | none |

#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod asynchronous;
mod atomic_write;
mod behind;
mod capability;
mod claim;
mod codec;
mod condition;
mod counts;
mod damage;
mod departure;
mod entry;
mod error;
mod forward;
mod generation;
mod key;
mod lookup;
mod mark;
mod namespace;
mod null;
mod second;
mod stores;
mod time;
mod url;

pub mod base64;
pub mod compat;
pub mod envelope;
mod file;
mod memory;
#[cfg(feature = "testkit")]
#[cfg_attr(docsrs, doc(cfg(feature = "testkit")))]
pub mod testkit;
pub mod transfer;

pub use self::asynchronous::{AsyncNamespace, BoxFuture};
pub use self::capability::{Capabilities, Capability, Latency, Scope};
pub use self::claim::Claim;
pub use self::codec::{Codec, CodecId};
pub use self::condition::{Condition, ConditionalSet};
pub use self::counts::{Count, Counts};
pub use self::damage::{Damage, Fingerprint};
pub use self::departure::{Departure, OnDeparture};
pub use self::entry::{CLOCK_TOLERANCE, Entry, Payload, Tags};
pub use self::error::{Error, ErrorKind};
pub use self::file::{Durability, FileConfig, FileNamespace};
pub use self::generation::new_generation;
pub use self::key::{FromKey, Key, KeyBuilder, ParseKeyError, ToKey};
pub use self::lookup::Lookup;
pub use self::mark::Mark;
pub use self::memory::{Amending, Found, MemoryConfig, MemoryNamespace, Replaced, Serve};
pub use self::namespace::{
    Cursor, Fulfilled, Inspection, Listed, Namespace, NamespaceId, Page, Scan, Stats, Swept, Wait,
};
pub use self::null::NullNamespace;
pub use self::stores::{Opener, Stores};
pub use self::time::{Clock, ManualClock, SystemClock, Timestamp};
pub use self::url::{StoreUrl, UrlOptions};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
