//! Several processes at work on one file store, which is what a claim, a mark and a store shared by
//! processes are for.
//!
//! The process of the test tells the others, line by line, when to go on. What has `storm` in its
//! name runs the longer the more `BEAKER_STORM_SECS` says.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod abba;
mod batch;
mod children;
#[cfg(feature = "tokio")]
mod heartbeat;
#[cfg(feature = "tokio")]
mod herd;
mod log;
mod regions;
mod stopped;
