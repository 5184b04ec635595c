//! The `beaker` command, driven as its users drive it.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[cfg(not(feature = "sqlite"))]
mod default_files;
#[cfg(feature = "sqlite")]
mod default_store;
mod entries;
mod failures;
mod help;
mod invalidate;
mod keys;
mod listing;
mod locks;
mod once;
mod readme;
mod replay;
mod signals;
mod stale;
mod start;
mod stopped;
mod storm;
mod support;
mod timeout;
mod transfer;
