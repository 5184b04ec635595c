//! Sessions over real stores, as their users have them.

#[cfg(feature = "testkit")]
mod stores;
