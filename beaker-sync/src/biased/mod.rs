//! A reader/writer lock whose readers write nothing that they share, while nobody writes.
//
// BRAVO, by Dave Dice and Alex Kogan ("BRAVO: Biased Locking for Reader-Writer Locks", USENIX ATC 2019),
// with two changes. A reader is known by the seat of its thread (`seat.rs`), not by a place in a table
// that it must win. And the fence costs the writer a system call and the reader nothing (`fence.rs`).
//
// All rests on this, for one lock:
//   reader: sits down (writes the lock's address into its seat) | fence | reads if the lock is `open`
//   writer: holds the lock below | closes `open` | fence | waits for every seat that has the address
// One of the two sees what the other did. A reader that finds the lock closed rises, and takes the lock
// below. Only a reader who holds that one opens again, so nobody writes meanwhile.

mod fence;
mod guard;
mod lock;
#[cfg(beaker_loom)]
pub mod models;
mod seat;
#[cfg(all(test, not(beaker_loom)))]
mod tests;

pub use self::{
    guard::{BiasedReadGuard, BiasedWriteGuard},
    lock::BiasedRwLock,
};
