//! The stores and proxies of this crate, each held to the suite that every store passes.

#[cfg(feature = "compat")]
mod compat;
#[cfg(feature = "dbm")]
mod dbm;
mod faults;
mod proxy;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "sled")]
mod sled;
#[cfg(feature = "sqlite")]
mod sqlite;
