//! The singleton map: "exists and valid ? get : create", once for each key.
//!
//! Of all threads that miss a key at the same time one runs the creator; the others wait and get
//! its value, or its error. Creators of different keys run side by side. This crate knows nothing
//! of time, of stores outside the process, or of locks between processes: a cache puts those
//! around it.
//!
//! ```
//! use std::sync::Arc;
//!
//! use beaker_syncdict::{CreateError, Reentrant, SyncDict};
//!
//! let pools: SyncDict<String, Arc<Vec<u8>>> = SyncDict::new();
//! let pool = pools.get_or_create("db", || Arc::new(vec![1, 2, 3]))?;
//! assert!(Arc::ptr_eq(&pool, &pools.get_or_create("db", || unreachable!("it is there"))?));
//!
//! // One that does not pass the check is made anew.
//! let larger = pools.get_or_create_if("db", |pool| pool.len() > 3, || Arc::new(vec![0; 8]))?;
//! assert_eq!(larger.len(), 8);
//!
//! // A failing creator has run once for all who waited, and nothing is stored.
//! let failed = pools.get_or_try_create("down", || Err::<Arc<_>, _>("no route"));
//! assert_eq!(failed, Err(CreateError::Create("no route")));
//! # Ok::<(), Reentrant>(())
//! ```
//!
//! # Types
//!
//! - [`SyncDict`]: the map. Its last parameter is the kind of storage: [`Strong`], [`Weak`] or
//!   [`Lru`] (together [`Storage`]).
//! - [`WeakRegistry`]: the weak kind by its own name.
//! - [`Flights`]: the single flight alone, for what keeps its values elsewhere, for threads and
//!   for tasks of any async runtime; [`Join`], [`TryJoin`], [`JoinFuture`] and [`Leader`] belong to
//!   it.
//! - [`OwnedLeader`]: a leader that outlives its caller.
//! - [`FlightScope`], [`ScopeGuard`], [`Scoped`]: which code works for which flight, so that it is
//!   told when it would wait for itself.
//! - [`CreateError`], [`Reentrant`]: why a creation gave no value.
//!
//! Beaker also has a `ThreadLocal` holder of one value for each thread; in Rust that is
//! [`std::thread_local!`] with a [`Cell`](std::cell::Cell) or [`RefCell`](std::cell::RefCell):
//! `set` is its put, `get` and `take` its get and remove, an [`Option`] inside its has.
//!
//! # Features
//!
//! None. The crate is pure Rust and has no unsafe code of its own.

#![forbid(unsafe_code)]

mod bulk;
mod creation;
mod error;
mod flight_scope;
mod flight_table;
mod flights;
mod join_future;
mod leader;
mod primitive;
mod raw_leader;
mod shards;
mod storage;
mod sync_dict;
mod waiters;

pub use crate::error::{CreateError, Reentrant};
pub use crate::flight_scope::{FlightScope, ScopeGuard, Scoped};
pub use crate::flights::{Flights, Join, TryJoin};
pub use crate::join_future::JoinFuture;
pub use crate::leader::{Leader, OwnedLeader};
pub use crate::storage::{Lru, Storage, Strong, Weak};
pub use crate::sync_dict::{SyncDict, WeakRegistry};

/// What the model tests need to build a fault in. Not part of the crate's face.
#[cfg(any(beaker_loom, beaker_shuttle))]
#[doc(hidden)]
pub mod model {
    pub use crate::primitive::{Sabotage, with_sabotage};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
