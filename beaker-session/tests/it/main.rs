//! Sessions over real stores, as their users have them.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod attacks;
mod browser;
#[cfg(feature = "beaker-compat")]
mod compat;
mod lazy;
mod model;
mod session;
mod site;
#[cfg(feature = "testkit")]
mod stores;
#[cfg(feature = "tracing")]
mod tracing;
