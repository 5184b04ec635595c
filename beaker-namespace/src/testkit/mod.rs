//! For the tests of a store: the conformance suite, and a store that fails on demand.
//!
//! [`conformance`] holds a store against what [`Namespace`](crate::Namespace) promises. The cases
//! that need a [`Capability`](crate::Capability) the store lacks are skipped, and said so.
//! [`FaultStore`] makes the n-th operation fail, and [`for_each_operation`] repeats a piece of work
//! with a fault at each of its operations in turn.
//! [`conformance_on_damage`] holds a store that tells one damaged entry from another to that.
//! [`conformance_asynchronous`] runs the suite by the [asynchronous face](crate::AsyncNamespace) of a store, and
//! [`AsyncStore`] gives any store one.
//!
//! # Examples
//!
//! ```
//! use beaker_namespace::{FileConfig, FileNamespace, testkit};
//!
//! # let dir = tempfile::tempdir()?;
//! let report = testkit::conformance("file", |name, clock| {
//!     FileNamespace::open(name, FileConfig::new(dir.path()).clock(clock))
//! });
//! println!("{report}");
//! # Ok::<(), std::io::Error>(())
//! ```

mod async_store;
mod bench;
mod block_on;
mod cases;
mod damage;
mod fault_store;
mod suite;

pub use self::async_store::AsyncStore;
pub use self::block_on::{BlockOn, conformance_asynchronous};
pub use self::damage::conformance_on_damage;
pub use self::fault_store::{Fault, FaultStore, for_each_operation};
pub use self::suite::{Failure, Report, conformance, run, run_where};
