//! An update of a session that lies in memory, in its place.

use std::sync::Arc;

use beaker_namespace::{Key, Timestamp};

use super::{NamespaceStore, times};
use crate::data::Changes;
use crate::record::{Record, Stored, Version};

impl NamespaceStore {
    /// Whether [`amend`](Self::amend) may do anything.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Makes `changes` in the session under `key` as of `now`, if it still is what `base` has; `base` has
    /// then what it became. Nothing is done else: an update says why.
    ///
    /// A record that nobody else holds is changed where it lies. Others go on with the one that they
    /// hold, which never changes.
    pub(crate) fn amend(
        &self,
        key: &Key,
        base: &mut Option<Stored>,
        changes: &Changes,
        now: Timestamp,
    ) -> bool {
        let (Some(memory), Some(seen)) = (&self.memory, base.as_ref()) else { return false };
        let version = seen.version.0;
        let (expires, dies) = times(&seen.record, now);
        // Dropped when the lock is free.
        let mut left = None;
        let mut new = None;
        let amended = memory.amend(key, version, expires, dies, |object| {
            if !object.is::<Record>() {
                return;
            }
            drop(base.take());
            let change = |record: &mut Record| {
                record.written = now;
                changes.apply_to(&mut record.values);
            };
            match Arc::get_mut(object).and_then(|object| object.downcast_mut::<Record>()) {
                Some(record) => change(record),
                None => {
                    let Some(mut record) = object.downcast_ref::<Record>().cloned() else { return };
                    change(&mut record);
                    left = Some(std::mem::replace(object, Arc::new(record)));
                }
            }
            new = Arc::clone(object).downcast::<Record>().ok();
        });
        let (Some(version), Some(record)) = (amended, new) else { return false };
        *base = Some(Stored { accessed: now, version: Version(version), record });
        true
    }
}
