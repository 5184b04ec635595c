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
        let seen_version = seen.version;
        let (expires, dies) = times(&seen.record, now);
        // Dropped when the lock is free.
        let mut left = None;
        let mut is_changed = false;
        let amended = memory.amend(key, seen_version.0, expires, dies, |object| {
            // Under the version of another record only where the last writer wins: then by an update.
            let is_same = |seen: &mut Stored| {
                std::ptr::addr_eq(Arc::as_ptr(object), Arc::as_ptr(&seen.record))
            };
            if base.take_if(is_same).is_none() {
                return;
            }
            let change = |record: &mut Record| {
                record.written = now;
                changes.apply_to(&mut record.values);
            };
            if let Some(record) = Arc::get_mut(object).and_then(|object| object.downcast_mut()) {
                change(record);
            } else if let Some(mut record) = object.downcast_ref::<Record>().cloned() {
                change(&mut record);
                left = Some(std::mem::replace(object, Arc::new(record)));
            }
            // Here, as what is dropped after it may panic: whoever goes on has a session still.
            let record = Arc::clone(object).downcast().ok();
            *base = record.map(|record| Stored { accessed: now, version: seen_version, record });
            is_changed = true;
        });
        let (Some(version), true, Some(base)) = (amended, is_changed, base) else { return false };
        base.version = Version(version);
        true
    }
}
