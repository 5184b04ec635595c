//! Single flight: work that runs once for all who ask for it at the same time.

#![forbid(unsafe_code)]

mod flight_table;
mod flights;
mod primitive;
mod raw_leader;
mod shards;
mod waiters;

pub use crate::flights::{Flights, Join, Leader, TryJoin};
