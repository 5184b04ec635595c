//! What the stores of keys and bytes have in common: namespaces, claims, expiry, tags and listings,
//! over an [`Engine`] that keeps bytes under bytes.
//
// One engine holds all namespaces of a file. See `rows.rs` for what is under which key.
//
// The rules:
// 1. Everything that changes the store is one `Change`, which the engine runs alone, all or nothing.
//    Reads see the state before a change or after it.
// 2. A namespace is the row of its name: its id, under which its entries are, and its epoch.
//    `clear` gives the name a new id, so it takes as long for a million entries as for one. What was
//    under the old id is purged bit by bit, by writes and by `sweep`.
// 3. A claim notes the id and the epoch of its beginning, and a token. `fulfil` stores only if all
//    three still stand, in the change that stores. What sets or removes a key takes its token away,
//    in the change that does so; `clear` changes the id; removing a tag changes the epoch, since a
//    running creation may bring the tag back: this voids more claims than it must.
// 4. Claims begin in a change too. Otherwise one could begin while a set is under way, read the old
//    value, and store it over the new one.
// 5. Where processes share the store, the tokens are in it, and who creates a key holds a lock file
//    of the key's (`beaker_sync::CreationLock`). Else tokens are in memory, and a claim writes
//    nothing.
// 6. Reads change nothing. What is dead or damaged is left for writes and `sweep` to drop. The
//    exception is a damaged mark; see marks.rs. Writes look for the dead part by part, and for few of them as
//    long as none can be dead; see round.rs. Where a walk reads all rows, the namespace's row says when there
//    may be something to drop, and how many claims there are; see ledger.rs.
// 7. What a newer version wrote is refused, and never taken for damage; see version.rs.

mod arrivals;
mod claims;
mod engine;
mod ledger;
mod marks;
mod namespace;
mod pass;
mod place;
mod round;
mod rows;
mod space;
mod sweep;
mod version;

#[cfg(test)]
mod tests;

pub(crate) use self::engine::{Change, Engine, Reader, Sharing, Sync, Visit, Writer};
pub(crate) use self::namespace::{KvNamespace, find_or_open, forward_to_kv};
