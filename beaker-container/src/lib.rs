//! One key's life: expiry, creation once, staleness and failure as policies; and the typed cache over it.
//!
//! A value is made **once**: in this process by one flight per key, and on a store shared by
//! processes once on the host. An invalidation wins over a creation that is running. A stale value
//! is served only if the policy says so.
//!
//! This crate knows nothing of concrete stores: it works on any
//! [`Namespace`](beaker_namespace::Namespace).
//!
//! ```
//! use std::time::Duration;
//! use beaker_container::Cache;
//!
//! # let dir = tempfile::tempdir()?;
//! # let url = format!("file://{}", dir.path().display());
//! # let url = url.as_str(); // such as "file:///var/cache/app"
//! let pages = Cache::<(String, u32), String>::open(url, "pages")?
//!     .with_ttl(Duration::from_secs(600));
//!
//! let page = pages.get_or_create(&("news".to_owned(), 1), || "<h1>News</h1>".to_owned())?;
//! assert_eq!(page, "<h1>News</h1>");
//! assert!(pages.remove(&("news".to_owned(), 1))?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is here
//!
//! - [`Cache`]: the values of one namespace, by key. [`Fetch`], [`FetchMany`], [`Got`]: one call, and what
//!   happened.
//! - [`Policy`], [`Stale`]: what is decided about a value's life. [`Creation`], [`Created`]: what a
//!   creator is told and what it decides. [`Workers`]: who creates behind callers.
//! - [`Why`]: what is under a key.
//! - [`RemovalCause`], [`CreationStats`]: seeing inside.
//! - [`Container`]: one key of a namespace, with the way to make its value.
//! - [`CacheManager`], [`config`]: caches by name and region, configured from code, texts, TOML,
//!   the environment or a URL. [`ContainerContext`]: stores opened once.
//! - [`Stale`]: what is done with expired values.
//! - [`regions`]: the configuration of `#[cached]` functions, which `beaker-macros` makes.
//! - [`compat`]: the keys of Python's Beaker for decorated calls.
//!
//! # Seeing inside
//!
//! - [`Cache::stats`] has what the store counts: hits, misses, evictions, sizes.
//!   [`Cache::creation_stats`] has the rest. [`Cache::why`] says what is under one key.
//! - [`Cache::on_removal`] tells of values that leave.
//! - With the feature `metrics` the same numbers go to the program's recorder: `publish_metrics`.
//! - With the feature `tracing`, under the target `beaker`: the span `beaker.create` round each
//!   creation (`cache`, `key`, `mode`: `thread` or `task`, `why`: `miss`, `expired` or `early`),
//!   `beaker.create_many` round that of a batch (`cache`, `keys`, `mode`); events for creations that
//!   failed, timed out or were shared, for old values that are served, for values not stored, for
//!   removals and invalidations. A plain hit tells nothing. Warnings are what somebody should look
//!   at. Values are never shown; keys are, unless `Cache::with_redacted_keys` is asked for.
//!
//! # Features
//!
//! | feature | default | what appears | cost |
//! |---|---|---|---|
//! | `json` | yes | values as JSON | serde_json |
//! | `msgpack` | yes | values as MessagePack | rmp-serde |
//! | `toml` | yes | `config::Config::from_toml` | toml |
//! | `tokio` | no | the asynchronous face of [`Cache`] and [`Fetch`], which calls a store by its own where it has [one](beaker_namespace::AsyncNamespace) | tokio: `rt`, `sync`, `time` |
//! | `tracing` | no | spans round creations, events off the way of a hit, `Cache::with_redacted_keys` | tracing |
//! | `metrics` | no | counters, gauges and a histogram, `publish_metrics` | metrics |
//! | `testkit` | no | `testkit`: stampedes for tests | none |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod absent;
mod cache;
mod container;
mod context;
mod creation;
mod error;
mod fetch;
mod fetch_many;
mod got;
mod life;
mod manager;
mod policy;
mod removal;
#[cfg(feature = "tokio")]
mod runtime;
mod values;
mod watch;
mod why;
mod workers;

pub mod compat;
pub mod config;
#[doc(hidden)]
pub mod function;
pub mod regions;
#[cfg(feature = "testkit")]
#[cfg_attr(docsrs, doc(cfg(feature = "testkit")))]
pub mod testkit;

pub use self::cache::{Cache, Enabled};
pub use self::container::Container;
pub use self::context::ContainerContext;
pub use self::creation::{Created, Creation, Old};
pub use self::error::{CreateError, Error, ErrorKind};
pub use self::fetch::Fetch;
pub use self::fetch_many::FetchMany;
pub use self::got::{CacheStatus, Got, Source};
pub use self::life::{CreationStats, REGIONS};
pub use self::manager::CacheManager;
pub use self::policy::{OnCancel, OnTimeout, Policy, Stale};
pub use self::removal::RemovalCause;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use self::watch::publish_metrics;
pub use self::why::{CLEARED, Invalidation, Invalidator, Why};
pub use self::workers::Workers;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
