//! Stores for Beaker's namespaces: SQLite, redb, sled and GNU dbm, and proxies around any store.
//!
//! Each store is one feature, opened from a URL or from typed options, and passes the same suite.
//! This crate knows nothing of caches and sessions: those take any namespace.
//!
//! [`install`] makes the schemes of the enabled features known to everything that opens a store by
//! its URL; [`stores`] gives them in a table of one's own.
//!
//! ```
//! use beaker_namespace::Stores;
//!
//! beaker_backends::install();
//! # #[cfg(feature = "sqlite")] {
//! # let dir = tempfile::tempdir()?;
//! # let url = format!("sqlite://{}/cache.db", dir.path().display());
//! let users = Stores::new().open(&url.parse()?, "users")?; // url: "sqlite:///var/cache/app.db"
//! assert_eq!(users.id().name(), "users");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what appears | cost |
//! |---|---|---|---|
//! | `sqlite` | no | `sqlite:///path/file.db` | rusqlite with SQLite itself; a C compiler |
//! | `redb` | no | `redb:///path/file.redb` | redb |
//! | `sled` | no | `sled:///path/dir`; legacy | sled, dormant, with dormant dependencies |
//! | `dbm` | no | `dbm:///path/file.dbm` | gdbm-native |
//! | `compat` | no | readers for what Python's Beaker wrote | none |
//! | `compress` | no | the proxy `Compressed` | lz4_flex |
//! | `encrypt` | no | the proxy `Encrypted` | chacha20poly1305, getrandom |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "redb", feature = "dbm"))]
mod batch;
#[cfg(any(feature = "sqlite", feature = "redb", feature = "sled", feature = "dbm"))]
mod boot;
#[cfg(any(feature = "sqlite", feature = "redb", feature = "sled", feature = "dbm"))]
mod common;
#[cfg(any(feature = "redb", feature = "sled", feature = "dbm"))]
mod kv;
#[cfg(any(feature = "redb", feature = "sled"))]
mod owner;
#[cfg(any(feature = "sqlite", feature = "redb", feature = "sled", feature = "dbm"))]
mod place;
#[cfg(any(feature = "redb", feature = "dbm"))]
mod protocol;
mod registry;

#[cfg(feature = "compat")]
#[cfg_attr(docsrs, doc(cfg(feature = "compat")))]
pub mod compat;
#[cfg(feature = "dbm")]
#[cfg_attr(docsrs, doc(cfg(feature = "dbm")))]
pub mod dbm;
pub mod proxy;
#[cfg(feature = "redb")]
#[cfg_attr(docsrs, doc(cfg(feature = "redb")))]
pub mod redb;
#[cfg(feature = "sled")]
#[cfg_attr(docsrs, doc(cfg(feature = "sled")))]
pub mod sled;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod sqlite;

pub use self::registry::{install, stores};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
