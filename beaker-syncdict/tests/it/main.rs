//! Everything about this crate that can be said from outside, a module for each public type.
//!
//! Names that begin with `dict`, `d` or `f` and a number say which behaviour of Beaker's
//! dictionary, which defect of it, or which fault they are about.

#![allow(clippy::unwrap_used, reason = "an unwrap in a test is an assertion")]

mod creation;
mod flights;
mod lru;
mod model;
mod owned;
mod panics;
mod scopes;
mod support;
mod sync_dict;
mod tasks;
mod weak;
