//! What a caller changes by itself: it wins over creations that are running.

use beaker_namespace::{Entry, Key, Mark, Timestamp};

use super::Life;
use super::region::mark_now;
use crate::creation::Created;
use crate::policy::Policy;
use crate::{Error, Invalidation, Invalidator, RemovalCause};

impl<V> Life<V> {
    pub(crate) fn mark_tag(&self, tag: &str, mark: fn(Timestamp) -> Mark) -> Result<(), Error> {
        let kind = mark_now(&*self.clock, mark, |mark| Ok(self.namespace.mark(tag, mark)?))?;
        self.marked(tag, kind);
        Ok(())
    }

    pub(super) fn marked(&self, tag: &str, kind: Invalidation) {
        let by = Invalidator::Tag(tag.to_owned());
        self.tell(None, &RemovalCause::Invalidated { by, kind });
    }
}

impl<V: Clone + Send + Sync + 'static> Life<V> {
    pub(crate) fn set(
        &self,
        key: &Key,
        created: Created<&V>,
        policy: &Policy,
    ) -> Result<(), Error> {
        self.namespace.set(key, self.entry_of(&created, policy)?)?;
        self.void(key);
        Ok(())
    }

    /// What a caller stores by itself.
    pub(super) fn entry_of(&self, created: &Created<&V>, policy: &Policy) -> Result<Entry, Error> {
        let frame = self.frame(created, policy, &[], self.clock.now());
        self.filled(frame, created.value)
    }

    /// Nobody waits any more for what was voided.
    pub(super) fn void(&self, key: &Key) {
        self.shared.flights.detach(key);
        self.shared.failures.forget(key);
    }

    pub(crate) fn remove(&self, key: &Key) -> Result<bool, Error> {
        let removed = self.namespace.remove(key)?;
        self.removed(std::slice::from_ref(key), removed);
        Ok(removed)
    }

    pub(crate) fn remove_many(&self, keys: &[Key]) -> Result<u64, Error> {
        let removed = self.namespace.remove_many(keys)?;
        self.removed(keys, removed > 0);
        Ok(removed)
    }

    pub(super) fn removed(&self, keys: &[Key], any: bool) {
        keys.iter().for_each(|key| self.void(key));
        if any {
            keys.iter().for_each(|key| self.tell(Some(key), &RemovalCause::Removed));
        }
    }

    pub(crate) fn clear(&self) -> Result<(), Error> {
        self.namespace.clear()?;
        self.cleared();
        Ok(())
    }

    pub(super) fn cleared(&self) {
        self.shared.flights.detach_all();
        self.shared.failures.forget_all();
        self.tell(None, &RemovalCause::Cleared);
    }
}
