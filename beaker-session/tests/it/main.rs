//! Sessions over real stores, as their users have them.

mod attacks;
mod browser;
mod lazy;
mod model;
mod session;
mod site;
#[cfg(feature = "testkit")]
mod stores;
