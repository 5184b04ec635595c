//! What a caller changes by itself: it wins over creations that are running.
//
// An asynchronous store may have done its part when the future of a change is dropped. Then those who
// wait for a running creation are not told; but it is voided in the store, so they look again.

use beaker_namespace::{Key, Mark, Timestamp};

use super::Life;
use super::region::mark_now;
use super::store::Face;
use crate::creation::Created;
use crate::policy::Policy;
use crate::{Error, Invalidator, RemovalCause};

impl<V> Life<V> {
    pub(crate) async fn mark_tag(
        &self,
        face: Face,
        tag: &str,
        mark: fn(Timestamp) -> Mark,
    ) -> Result<(), Error> {
        let kind = mark_now(self.store(face), &*self.clock, tag, mark).await?;
        let by = Invalidator::Tag(tag.to_owned());
        self.tell(None, &RemovalCause::Invalidated { by, kind });
        Ok(())
    }
}

impl<V: Clone + Send + Sync + 'static> Life<V> {
    pub(crate) async fn set(
        &self,
        face: Face,
        key: &Key,
        created: Created<&V>,
        policy: &Policy,
    ) -> Result<(), Error> {
        let frame = self.frame(&created, policy, &[], self.clock.now());
        let entry = self.filled(frame, created.value)?;
        self.store(face).set(key, entry).await?;
        self.shared.flights.detach(key);
        self.shared.failures.forget(key);
        Ok(())
    }

    pub(crate) async fn remove(&self, face: Face, key: &Key) -> Result<bool, Error> {
        let removed = self.store(face).remove(key).await?;
        self.shared.flights.detach(key);
        self.shared.failures.forget(key);
        if removed {
            self.tell(Some(key), &RemovalCause::Removed);
        }
        Ok(removed)
    }

    pub(crate) async fn remove_many(&self, face: Face, keys: &[Key]) -> Result<u64, Error> {
        let removed = self.store(face).remove_many(keys).await?;
        for key in keys {
            self.shared.flights.detach(key);
            self.shared.failures.forget(key);
        }
        if removed > 0 {
            keys.iter().for_each(|key| self.tell(Some(key), &RemovalCause::Removed));
        }
        Ok(removed)
    }

    pub(crate) async fn clear(&self, face: Face) -> Result<(), Error> {
        self.store(face).clear().await?;
        self.shared.flights.detach_all();
        self.shared.failures.forget_all();
        self.tell(None, &RemovalCause::Cleared);
        Ok(())
    }
}
