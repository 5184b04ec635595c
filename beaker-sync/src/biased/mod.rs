//! A reader/writer lock whose readers write nothing that they share, while nobody writes.
//
// BRAVO, by Dave Dice and Alex Kogan ("BRAVO: Biased Locking for Reader-Writer Locks", USENIX ATC 2019),
// with two changes. A reader is known by the seat of its thread (`seat.rs`), not by a place in a table
// that it must win. And the fence costs the writer a system call and the reader nothing (`fence.rs`).
//
// All rests on this, for one lock:
//   reader: reads `open`, a pass | sits down (writes the pass into its seat) | fence | reads `open` again: if it
//           is the same pass, it may read
//   writer: holds the lock below | clears `open` | fence | waits for every seat that has the pass
// One of the two sees what the other did. A reader that finds another pass or none rises, and takes the lock
// below. Only a reader who holds that one opens again, so nobody writes meanwhile. No two openings of any
// locks have the same pass, so a guard that was forgotten stands in the way of its own lock alone.

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
