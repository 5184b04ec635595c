//! What containers and caches promise.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod cache;
mod container;
mod expiry_vectors;
mod harness;
mod manager;
mod once;
mod panics;
mod stale;
#[cfg(feature = "tokio")]
mod tasks;
