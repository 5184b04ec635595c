//! Cached functions and the regions of the process, which these tests change one at a time.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod errors;
mod harness;
mod many;
mod reconfigure;
mod spawned;
mod tasks;
mod times;
