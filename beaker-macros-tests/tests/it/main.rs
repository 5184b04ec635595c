//! What `#[cached]` promises, on functions in no region.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod by_serde;
mod calls;
mod generics;
mod keys;
mod many;
mod methods;
mod once;
mod readme;
mod shapes;
mod tags;
mod tasks;
mod ui;
