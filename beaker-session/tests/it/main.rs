//! Sessions over real stores, as their users have them.

mod browser;
mod model;
#[cfg(feature = "testkit")]
mod stores;
