//! The singleton map: "exists and valid ? get : create", once for each key.

#![forbid(unsafe_code)]

mod bulk;
mod creation;
mod error;
mod flight_table;
mod flights;
mod primitive;
mod raw_leader;
mod shards;
mod storage;
mod sync_dict;
mod waiters;

pub use crate::error::{CreateError, Reentrant};
pub use crate::flights::{Flights, Join, Leader, TryJoin};
pub use crate::storage::{Lru, Storage, Strong, Weak};
pub use crate::sync_dict::{SyncDict, WeakRegistry};

/// What the model tests need to build a fault in. Not part of the crate's face.
#[cfg(beaker_loom)]
#[doc(hidden)]
pub mod model {
    pub use crate::primitive::{Sabotage, with_sabotage};
}
