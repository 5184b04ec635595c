//! Sessions over real stores, as their users have them.

mod browser;
mod model;
#[cfg(feature = "beaker-compat")]
mod compat;
#[cfg(feature = "testkit")]
mod stores;
