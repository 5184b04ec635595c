//! The `beaker` command, driven as its users drive it.

mod entries;
mod failures;
mod help;
mod keys;
mod listing;
mod locks;
mod once;
mod replay;
mod signals;
mod stale;
mod storm;
mod support;
mod timeout;
