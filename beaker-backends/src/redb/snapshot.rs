//! One read transaction for many reads.
//
// To begin a transaction and to open the table in it costs redb about as much as a look-up. So:
// 1. Reads share a snapshot as long as this process has committed nothing since it was taken. Where
//    processes share the file, others commit too: there every read takes its own.
// 2. A write lets go of it before it begins, since a snapshot keeps the pages that it shows from
//    being used again.
// 3. A write lets go of it again after its commit, and before anybody is told of that: so who was
//    told finds what was written. The number tells a read that took its snapshot before the commit
//    and comes to keep it after.

use std::sync::Arc;

use parking_lot::RwLock;
use redb::ReadOnlyTable;

pub(super) type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

#[derive(Default)]
pub(super) struct Snapshot(RwLock<State>);

#[derive(Default)]
struct State {
    rows: Option<Arc<Rows>>,
    /// How often it was let go of.
    number: u64,
}

impl Snapshot {
    /// The rows as they are now; `take` begins a transaction.
    pub(super) fn rows<E>(&self, take: impl FnOnce() -> Result<Rows, E>) -> Result<Arc<Rows>, E> {
        let number = {
            let state = self.0.read();
            if let Some(rows) = &state.rows {
                return Ok(Arc::clone(rows));
            }
            state.number
        };
        let rows = Arc::new(take()?);
        let mut state = self.0.write();
        if state.number == number {
            state.rows = Some(Arc::clone(&rows));
        }
        Ok(rows)
    }

    /// Rules 2 and 3.
    pub(super) fn let_go(&self) {
        let gone = {
            let mut state = self.0.write();
            state.number += 1;
            state.rows.take()
        };
        drop(gone);
    }
}
