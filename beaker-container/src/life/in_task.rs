//! What `look.rs` and `change.rs` do, in a task that waits for the store.
//
// A store may have done its part when the future of a change is dropped, or do it a little later. So a
// dropped change voids what runs in this process as one does that has ended; see `Voids`.

use std::slice::from_ref;

use beaker_namespace::{Clock, Condition, Entry, Inspection, Key, Mark, Tags, Timestamp};

use super::Life;
use super::region::{kind_of, see_past};
use super::seen::{Found, Seen, Validity};
use super::store::Store;
use crate::creation::Created;
use crate::policy::Policy;
use crate::{Error, Invalidation};

impl<V> Life<V> {
    async fn validity_async(
        &self,
        began: Timestamp,
        tags: Option<&Tags>,
    ) -> Result<Validity, Error> {
        let mut mark = match tags {
            Some(tags) => self.store().marks(tags).await?,
            None => Mark::default(),
        };
        if let Some(region) = &self.region {
            mark = mark.merge(region.store().marks(&[&*region.name]).await?);
        }
        Ok(Validity::of(mark, began))
    }

    pub(super) async fn is_valid_async(
        &self,
        began: Timestamp,
        tags: Option<&Tags>,
    ) -> Result<bool, Error> {
        let unmarked = self.is_unmarked(tags);
        Ok(unmarked || self.validity_async(began, tags).await? == Validity::Valid)
    }

    pub(crate) async fn mark_tag_async(
        &self,
        tag: &str,
        mark: fn(Timestamp) -> Mark,
    ) -> Result<(), Error> {
        let kind = mark_now_async(self.store(), &*self.clock, tag, mark).await?;
        self.marked(tag, kind);
        Ok(())
    }
}

impl<V: Clone + Send + Sync + 'static> Life<V> {
    pub(crate) async fn get_async(&self, key: &Key, policy: &Policy) -> Result<Option<V>, Error> {
        Ok(self.fresh_async(key, policy).await?.map(|seen| seen.value))
    }

    pub(super) async fn fresh_async(
        &self,
        key: &Key,
        policy: &Policy,
    ) -> Result<Option<Seen<V>>, Error> {
        let Some(entry) = self.store().get(key).await? else { return Ok(None) };
        let mut used = None;
        let found = self.read(&entry, policy, &mut used);
        let Some(seen) = found.transpose()?.flatten() else { return Ok(None) };
        if !self.is_valid_async(seen.began, seen.tags.as_ref()).await? {
            return Ok(None);
        }
        if let Some(entry) = used {
            self.write_use_async(key, entry).await;
        }
        Ok(Some(seen))
    }

    async fn write_use_async(&self, key: &Key, entry: Entry) {
        if self.shared.flights.is_flying(key) {
            return;
        }
        let unchanged = Condition::Generation(entry.generation());
        let _best_effort = self.store().set_if(key, entry, unchanged).await;
    }

    pub(super) async fn look_async(&self, key: &Key, policy: &Policy) -> Result<Found<V>, Error> {
        let Inspection::Present(entry) = self.store().inspect(key).await? else {
            return Ok(Found::Absent);
        };
        let now = self.clock.now();
        let tags = entry.shared_tags();
        let validity = match self.is_unmarked(tags.as_ref()) {
            true => Validity::Valid,
            false => self.validity_async(entry.began(), tags.as_ref()).await?,
        };
        self.judge(&entry, validity, policy, now)
    }

    pub(crate) async fn get_many_async(
        &self,
        keys: &[Key],
        policy: &Policy,
    ) -> Result<Vec<Option<V>>, Error> {
        let mut values = Vec::with_capacity(keys.len());
        if policy.watches_hits() {
            for key in keys {
                values.push(self.get_async(key, policy).await?);
            }
            return Ok(values);
        }
        let now = self.clock.now();
        for entry in self.store().get_many(keys).await? {
            let mut value = None;
            if let Some(entry) = entry.filter(|entry| policy.is_current(entry, || now)) {
                let tags = entry.shared_tags();
                if self.is_valid_async(entry.began(), tags.as_ref()).await? {
                    value = self.value_in(&entry)?;
                }
            }
            values.push(value);
        }
        Ok(values)
    }

    pub(crate) async fn set_async(
        &self,
        key: &Key,
        created: Created<&V>,
        policy: &Policy,
    ) -> Result<(), Error> {
        let entry = self.entry_of(&created, policy)?;
        let _voids = self.voids(from_ref(key));
        Ok(self.store().set(key, entry).await?)
    }

    pub(crate) async fn remove_async(&self, key: &Key) -> Result<bool, Error> {
        let voids = self.voids(from_ref(key));
        let removed = self.store().remove(key).await?;
        drop(voids);
        self.removed(from_ref(key), removed);
        Ok(removed)
    }

    pub(crate) async fn remove_many_async(&self, keys: &[Key]) -> Result<u64, Error> {
        let voids = self.voids(keys);
        let removed = self.store().remove_many(keys).await?;
        drop(voids);
        self.removed(keys, removed > 0);
        Ok(removed)
    }

    pub(crate) async fn clear_async(&self) -> Result<(), Error> {
        let voids = self.voids_all();
        self.store().clear().await?;
        drop(voids);
        self.cleared();
        Ok(())
    }
}

/// As [`mark_now`](super::region::mark_now), of `name` in a store that is waited for.
pub(super) async fn mark_now_async(
    store: Store<'_>,
    clock: &dyn Clock,
    name: &str,
    mark: fn(Timestamp) -> Mark,
) -> Result<Invalidation, Error> {
    let at = clock.now();
    let mark = mark(at);
    store.mark(name, mark).await?;
    see_past(clock, at);
    Ok(kind_of(mark))
}
