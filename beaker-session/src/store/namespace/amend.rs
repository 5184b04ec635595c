//! An update of a session that lies in memory, in its place.

use std::sync::Arc;

use beaker_namespace::{Amending, Key, Replaced, Timestamp};

use super::{NamespaceStore, accessed, times};
use crate::data::Changes;
use crate::record::{Record, Stored, Version};

/// Who has a record that one request holds, and no other: it, and the namespace twice.
const HOLDERS: usize = 3;

/// What came of an update in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amended {
    /// Nothing was done. An update says why.
    Not,
    /// The record that was seen was changed.
    Seen,
    /// Another request had changed the record meanwhile, and what that left was changed.
    Merged,
}

impl NamespaceStore {
    /// Whether [`amend`](Self::amend) may do anything.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Makes `changes` in the session under `key` as of `now`, if it still is what `base` has, or if it has become
    /// another record that `merges`, asked with when that was last used; `base` has then what it
    /// became. `merges` is asked under the lock of a part of the memory.
    ///
    /// A record that nobody else holds is changed where it lies. Others go on with the one that they
    /// hold, which never changes.
    pub(crate) fn amend(
        &self,
        key: &Key,
        base: &mut Option<Stored>,
        changes: &Changes,
        now: Timestamp,
        merges: impl FnOnce(&Record, Timestamp) -> bool,
    ) -> Amended {
        let (Some(memory), Some(seen)) = (&self.memory, base.as_ref()) else { return Amended::Not };
        let change = |record: &mut Record| {
            record.written = now;
            changes.apply_to(&mut record.values);
        };
        // What is to be copied is copied before the lock is taken, if that can be told by then.
        let is_shared = Arc::strong_count(&seen.record) > HOLDERS;
        let mut copy = is_shared.then(|| changed(&seen.record, change));
        // Dropped when the lock is free.
        let (mut left, mut left_base) = (None, None);
        let mut outcome = Amended::Not;
        let version = memory.amend(key, |mut entry| {
            let seen = base.as_ref()?;
            let is_seen = entry.generation() == seen.version.0;
            let life = if is_seen {
                // Under the version of another record only where the last writer wins: then by an update.
                if !std::ptr::addr_eq(Arc::as_ptr(entry.object()), Arc::as_ptr(&seen.record)) {
                    return None;
                }
                times(&seen.record, now)
            } else {
                let record = entry.object().downcast_ref::<Record>()?;
                if !merges(record, accessed(entry.expires(), record)) {
                    return None;
                }
                times(record, now)
            };
            let record = if let Some(copy) = copy.take_if(|_| is_seen) {
                left_base = base.take();
                left = Some(entry.replace(Arc::clone(&copy) as _));
                copy
            } else {
                if is_seen {
                    // Let go of, as nobody else may have what is changed where it lies. Never the last hold.
                    *base = None;
                }
                left_base = base.take();
                // Never `None`, with which `base` would be lost: what is there is the record that was seen, or
                // was just looked at as one.
                let (record, replaced) = amend_object(&mut entry, change)?;
                left = replaced;
                record
            };
            // Here, as what is dropped after it may panic: whoever goes on has a session still.
            *base = Some(Stored { accessed: now, version: Version(entry.generation()), record });
            outcome = if is_seen { Amended::Seen } else { Amended::Merged };
            Some(life)
        });
        if let (Some(version), Some(base)) = (version, base) {
            base.version = Version(version);
        }
        outcome
    }
}

/// Changes the record of `entry` where it lies, or a copy of it if somebody else has it. `None` if it has
/// none.
fn amend_object(
    entry: &mut Amending<'_>,
    change: impl Fn(&mut Record),
) -> Option<(Arc<Record>, Option<Replaced>)> {
    if let Some(record) = entry.get_mut().and_then(|object| object.downcast_mut()) {
        change(record);
        return Some((Arc::clone(entry.object()).downcast().ok()?, None));
    }
    let copy = changed(entry.object().downcast_ref()?, change);
    let replaced = entry.replace(Arc::clone(&copy) as _);
    Some((copy, Some(replaced)))
}

fn changed(record: &Record, change: impl Fn(&mut Record)) -> Arc<Record> {
    let mut copy = record.clone();
    change(&mut copy);
    Arc::new(copy)
}
