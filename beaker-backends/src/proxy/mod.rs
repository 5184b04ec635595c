//! Proxies that wrap any namespace, and compose.
//!
//! Each takes a [`Namespace`](beaker_namespace::Namespace) (an `Arc<dyn Namespace>` too) and is one.
//!
//! | proxy | what it does | its [`id`](beaker_namespace::Namespace::id) |
//! |---|---|---|
//! | [`Prefixed`] | many namespaces in one | its own: other keys are other data |
//! | `Compressed` | long values take less room | its own: who reads past it finds another form |
//! | `Encrypted` | values are secret and cannot be forged | its own, also for another key ring |
//! | [`Metered`] | counts, and how long calls take | the inner's: the data are the same |
//! | [`Tiered`] | memory in front of a slower store | the lower's: the data are the same |
//!
//! Equal ids mean shared creations: callers of two namespaces of one id wait in one flight and get
//! one value. So a proxy has the inner's id if and only if both read the same values.
//!
//! # In tasks
//!
//! A proxy has an [asynchronous face](beaker_namespace::AsyncNamespace) exactly if the namespace inside
//! has one (`Tiered`: the lower one), with the same promises to who drops a future.
//!
//! # Order
//!
//! The outermost proxy sees a value first when it is written. So compress before you encrypt, as
//! `Compressed::new(Encrypted::new(store, ring))`: what is encrypted does not compress. Memory goes
//! in front of what is slow, as `Tiered::open(Compressed::new(file), …)`, and then holds values in
//! the clear. Prefixes go below memory: above it, they learn of another process's clear as late as
//! memory does.
//!
//! # Warning
//!
//! - Compressing what is then encrypted tells something of the value by its length. Do not put a
//!   secret and a text that a stranger chooses in one value.
//! - A proxy binds those who use it. What writes to the inner namespace directly writes values that
//!   the proxy finds damaged, and its memory may be out of date by the stated bound.
//!
//! # Examples
//!
//! ```
//! use beaker_backends::proxy::{Metered, Prefixed, Tiered};
//! use beaker_namespace::{
//!     Entry, FileConfig, FileNamespace, Key, MemoryConfig, Namespace, Payload,
//! };
//!
//! # let dir = tempfile::tempdir()?;
//! let file = FileNamespace::open("app", FileConfig::new(dir.path()))?;
//! let users = Metered::new(Tiered::open(Prefixed::new(file, "users"), MemoryConfig::new())?);
//! users.set(&Key::new(&7), Entry::new(Payload::raw("Ada"), users.clock().now()))?;
//! assert!(users.get(&Key::new(&7))?.is_some());
//! assert_eq!(users.snapshot().hits, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[macro_use]
mod inner;
#[cfg(any(feature = "compress", feature = "encrypt"))]
#[macro_use]
mod mapped;
mod latencies;
mod metered;
mod prefixed;
mod tiered;

#[cfg(feature = "compress")]
#[cfg_attr(docsrs, doc(cfg(feature = "compress")))]
mod compressed;
#[cfg(feature = "encrypt")]
#[cfg_attr(docsrs, doc(cfg(feature = "encrypt")))]
mod encrypted;
#[cfg(feature = "encrypt")]
#[cfg_attr(docsrs, doc(cfg(feature = "encrypt")))]
mod key_ring;

#[cfg(feature = "compress")]
#[cfg_attr(docsrs, doc(cfg(feature = "compress")))]
pub use self::compressed::Compressed;
#[cfg(feature = "encrypt")]
#[cfg_attr(docsrs, doc(cfg(feature = "encrypt")))]
pub use self::encrypted::Encrypted;
#[cfg(feature = "encrypt")]
#[cfg_attr(docsrs, doc(cfg(feature = "encrypt")))]
pub use self::key_ring::KeyRing;
pub use self::latencies::Latencies;
pub use self::metered::{Metered, Operation, Snapshot};
pub use self::prefixed::Prefixed;
pub use self::tiered::Tiered;
