//! Caching for Rust: every value made once, per process and per host.
//!
//! This crate is the face of the library: it re-exports the small crates that do the work, and has
//! no code of its own. Take one of them alone if that is all you need.
//!
//! ```
//! use std::time::Duration;
//! use beaker_cache::Cache;
//!
//! let squares = Cache::<u64, u64>::open("memory:", "squares")?.with_ttl(Duration::from_secs(60));
//! assert_eq!(squares.get_or_create(&12, || 12 * 12)?, 144);
//! # Ok::<(), beaker_cache::Error>(())
//! ```
//!
//! # What is here
//!
//! - From [`container`]: [`Cache`], [`CacheManager`], [`Container`], [`ContainerContext`],
//!   [`config`], [`regions`]; [`Policy`], [`Stale`], [`OnCancel`], [`OnTimeout`]; of one call
//!   [`Fetch`], [`Creation`], [`Old`], [`Created`], [`Got`], [`Source`]; [`Workers`]; to see inside
//!   [`Why`], [`CreationStats`], [`RemovalCause`].
//! - With the feature `macros`, `#[cached]`: a function whose results are kept. With `sessions` beside it,
//!   `#[derive(SessionData)]` of `session`.
//! - From [`namespace`]: [`Namespace`], [`Key`], [`Entry`], the clocks and the stores.
//! - From [`syncdict`]: [`SyncDict`], [`WeakRegistry`], [`Flights`].
//! - From [`sync`]: [`NameLock`], [`Synchronizer`], [`CreationLock`].
//! - With a feature of a store, `backends`: call its `install` when the program starts, and
//!   `Cache::open` knows the store's URLs.
//!
//! # Features
//!
//! | feature | default | what appears | cost |
//! |---|---|---|---|
//! | `json` | yes | values as JSON | serde_json |
//! | `macros` | yes | `#[cached]`; with `sessions`, `#[derive(SessionData)]` | syn |
//! | `msgpack` | yes | values as MessagePack | rmp-serde |
//! | `toml` | yes | `config::Config::from_toml` | toml |
//! | `tokio` | no | the asynchronous face of [`Cache`] | tokio |
//! | `tracing` | no | spans round creations, events off the way of a hit | tracing |
//! | `metrics` | no | numbers, `publish_metrics` | metrics |
//! | `sqlite` | no | `backends`, the store `sqlite:` | SQLite itself, a C compiler |
//! | `redb` | no | `backends`, the store `redb:` | redb |
//! | `sled` | no | `backends`, the store `sled:`, legacy | sled, dormant |
//! | `dbm` | no | `backends`, the store `dbm:` | gdbm-native |
//! | `sessions` | no | `session`: web sessions, on the same stores | hmac, sha2, chacha20poly1305 |
//! | `axum` | no | the same as a tower layer, with extractors | `sessions`, tokio, axum-core |
//! | `actix` | no | the same as a middleware of actix-web | `sessions`, tokio, actix-web |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "sqlite", feature = "redb", feature = "sled", feature = "dbm"))]
#[cfg_attr(
    docsrs,
    doc(cfg(any(feature = "sqlite", feature = "redb", feature = "sled", feature = "dbm")))
)]
pub use beaker_backends as backends;
pub use beaker_container as container;
pub use beaker_namespace as namespace;
#[cfg(feature = "sessions")]
#[cfg_attr(docsrs, doc(cfg(feature = "sessions")))]
pub use beaker_session as session;
pub use beaker_sync as sync;
pub use beaker_syncdict as syncdict;

#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use beaker_container::publish_metrics;
pub use beaker_container::{
    Cache, CacheManager, CacheStatus, Container, ContainerContext, CreateError, Created, Creation,
    CreationStats, Enabled, Error, ErrorKind, Fetch, FetchMany, Got, Invalidation, Invalidator,
    Old, OnCancel, OnTimeout, Policy, RemovalCause, Source, Stale, Why, Workers, config, regions,
};
#[cfg(feature = "macros")]
#[cfg_attr(docsrs, doc(cfg(feature = "macros")))]
pub use beaker_macros::cached;
pub use beaker_namespace::{
    Clock, Codec, Entry, FileConfig, FileNamespace, FromKey, Key, KeyBuilder, ManualClock,
    MemoryConfig, MemoryNamespace, Namespace, NullNamespace, Payload, Scope, StoreUrl, Stores,
    SystemClock, Timestamp, ToKey,
};
pub use beaker_sync::{CreationLock, NameLock, Synchronizer};
pub use beaker_syncdict::{Flights, SyncDict, WeakRegistry};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// ```
/// use beaker_cache::session::SessionData;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Default, SessionData)]
/// #[session(version = 1, crate = ::beaker_cache::session)]
/// struct Visit {
///     #[session(was = "hits", before = 1)]
///     pages: u32,
/// }
///
/// let mut values = [("hits".to_owned(), 41.into())].into();
/// Visit::migrate(0, &mut values);
/// assert_eq!(values["pages"], 41);
/// ```
#[cfg(all(doctest, feature = "macros", feature = "sessions"))]
struct Derived;

// What the project's page shows is durable by SQLite.
#[cfg(all(doctest, feature = "macros", feature = "sqlite"))]
#[doc = include_str!("../../README.md")]
struct Project;
