//! What containers and caches promise.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

#[cfg(feature = "tokio")]
mod asynchronous;
mod behind;
mod cache;
mod container;
mod expiry_vectors;
#[cfg(feature = "testkit")]
mod faults;
mod fetch;
mod harness;
mod manager;
mod many;
#[cfg(feature = "metrics")]
mod metering;
mod once;
mod outage;
mod panics;
mod policy;
mod regions;
mod removals;
mod semantics;
mod stale;
mod stats;
mod tags;
#[cfg(feature = "tokio")]
mod tasks;
#[cfg(feature = "tracing")]
mod tracing_events;
mod why;
