//! Everything about this crate that can be said from outside, a module for each public type.

mod flights;
mod support;
