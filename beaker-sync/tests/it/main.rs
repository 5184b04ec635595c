//! One binary for all tests of the public face; one module for each type.

#![allow(missing_docs, reason = "tests document themselves by their names")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod child;
mod clean;
mod creation;
mod file_synchronizer;
mod key_locks;
mod name_lock;
mod processes;
mod storm;
mod synchronizer;
mod turnstile;
