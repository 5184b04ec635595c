//! Reads Python pickles that hold plain data, and never builds an object.
//!
//! See [`beaker_namespace::compat::pickle`], where this is.

pub use beaker_namespace::compat::pickle::{Limits, MAX_DEPTH, Value, read, read_within};
