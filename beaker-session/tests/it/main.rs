//! Sessions over real stores, as their users have them.

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
