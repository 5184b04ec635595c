//! What containers and caches promise.

mod cache;
mod container;
mod expiry_vectors;
mod harness;
mod manager;
mod once;
mod stale;
