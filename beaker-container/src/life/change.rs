//! What a caller changes by itself: it wins over creations that are running.

use std::slice::from_ref;

use beaker_namespace::{Capability, Entry, Key, Mark, Timestamp};

use super::region::mark_now;
use super::{Life, Removal, Shared};
use crate::creation::Created;
use crate::policy::Policy;
use crate::{CLEARED, Error, Invalidation, Invalidator, RemovalCause};

/// What a caller changes.
#[derive(Clone, Copy)]
enum Changed<'a> {
    Keys(&'a [Key]),
    All,
}

/// While the store changes what is there, to be dropped when it has done so: nobody who comes then waits
/// any more for what was voided.
///
/// It does so also if the store failed, or if the future of the change was dropped: the store may have
/// done it all the same. If it did not, what comes next is made once more than it had to be.
#[must_use = "it is to be held while the store is asked"]
pub(super) struct Voids<'a> {
    shared: &'a Shared,
    changed: Changed<'a>,
}

impl Drop for Voids<'_> {
    fn drop(&mut self) {
        let Shared { flights, failures, .. } = self.shared;
        match self.changed {
            Changed::Keys(keys) => {
                for key in keys {
                    flights.detach(key);
                    failures.forget(key);
                }
            }
            Changed::All => {
                flights.detach_all();
                failures.forget_all();
            }
        }
    }
}

impl<V> Life<V> {
    pub(super) fn voids<'a>(&'a self, keys: &'a [Key]) -> Voids<'a> {
        Voids { shared: &self.shared, changed: Changed::Keys(keys) }
    }

    pub(super) fn voids_all(&self) -> Voids<'_> {
        Voids { shared: &self.shared, changed: Changed::All }
    }

    pub(crate) fn mark_tag(&self, tag: &str, mark: fn(Timestamp) -> Mark) -> Result<(), Error> {
        let kind = mark_now(&*self.clock, mark, |mark| Ok(self.namespace.mark(tag, mark)?))?;
        self.marked(tag, kind);
        Ok(())
    }

    pub(super) fn marked(&self, tag: &str, kind: Invalidation) {
        let by = Invalidator::Tag(tag.to_owned());
        let cause = &RemovalCause::Invalidated { by, kind };
        self.tell(Removal { key: None, cause, is_sure: true });
    }
}

impl<V: Clone + Send + Sync + 'static> Life<V> {
    pub(crate) fn set(
        &self,
        key: &Key,
        created: Created<&V>,
        policy: &Policy,
    ) -> Result<(), Error> {
        let entry = self.entry_of(&created, policy)?;
        let _voids = self.voids(from_ref(key));
        Ok(self.namespace.set(key, entry)?)
    }

    pub(crate) fn set_many(
        &self,
        values: Vec<(Key, Created<V>)>,
        policy: &Policy,
    ) -> Result<(), Error> {
        let entries = self.entries_of(values, policy)?;
        let keys = keys_of(&entries);
        let _voids = self.voids(&keys);
        Ok(self.namespace.set_many(entries)?)
    }

    pub(super) fn entries_of(
        &self,
        values: Vec<(Key, Created<V>)>,
        policy: &Policy,
    ) -> Result<Vec<(Key, Entry)>, Error> {
        let entry = |(key, created): (Key, Created<V>)| {
            self.entry_of(&created.as_ref(), policy).map(|entry| (key, entry))
        };
        values.into_iter().map(entry).collect()
    }

    /// What a caller stores by itself.
    pub(super) fn entry_of(&self, created: &Created<&V>, policy: &Policy) -> Result<Entry, Error> {
        let frame = self.frame(created, policy, &[], self.clock.now());
        self.filled(frame, created.value)
    }

    pub(crate) fn remove(&self, key: &Key) -> Result<bool, Error> {
        let voids = self.voids(from_ref(key));
        let removed = self.namespace.remove(key)?;
        drop(voids);
        self.removed(from_ref(key), u64::from(removed));
        Ok(removed)
    }

    pub(crate) fn remove_many(&self, keys: &[Key]) -> Result<u64, Error> {
        let voids = self.voids(keys);
        let removed = self.namespace.remove_many(keys)?;
        drop(voids);
        self.removed(keys, removed);
        Ok(removed)
    }

    /// Tells of all of `keys` if the store removed any, since it does not say which.
    pub(super) fn removed(&self, keys: &[Key], removed: u64) {
        if removed == 0 {
            return;
        }
        let is_sure = usize::try_from(removed) == Ok(keys.len());
        for key in keys {
            self.tell(Removal { key: Some(key), cause: &RemovalCause::Removed, is_sure });
        }
    }

    pub(crate) fn clear(&self) -> Result<(), Error> {
        let voids = self.voids_all();
        self.namespace.clear()?;
        drop(voids);
        if self.keeps_marks() {
            // It was cleared, whether or not the store can note when.
            let _noted = self.namespace.mark(CLEARED, Mark::hard(self.clock.now()));
        }
        self.cleared();
        Ok(())
    }

    pub(super) fn keeps_marks(&self) -> bool {
        self.namespace.capabilities().has(Capability::Marks)
    }

    pub(super) fn cleared(&self) {
        self.tell(Removal { key: None, cause: &RemovalCause::Cleared, is_sure: true });
    }
}

pub(super) fn keys_of(entries: &[(Key, Entry)]) -> Vec<Key> {
    entries.iter().map(|(key, _)| key.clone()).collect()
}
