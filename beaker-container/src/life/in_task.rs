//! What `look.rs` and `change.rs` do, in a task that waits for the store.
//
// A store may have done its part when the future of a change is dropped, or do it a little later. So a
// dropped change voids what runs in this process as one does that has ended; see `Voids`.

use std::collections::HashMap;
use std::slice::from_ref;

use beaker_namespace::{Clock, Condition, Entry, Inspection, Key, Mark, Tags, Timestamp};

use super::Life;
use super::change::keys_of;
use super::region::{Region, kind_of, see_past};
use super::seen::{Found, Seen, Validity};
use super::store::Store;
use crate::creation::Created;
use crate::policy::Policy;
use crate::why::Asked;
use crate::{CLEARED, Error, Invalidation, Why};

/// The marks of a life that entries are held against, each asked for at most once: after the entries were
/// read, so that a mark that was made before is not missed.
struct Marks<'a, V> {
    life: &'a Life<V>,
    of_tags: HashMap<Vec<String>, Mark>,
    of_region: Option<Mark>,
}

impl<'a, V> Marks<'a, V> {
    fn new(life: &'a Life<V>) -> Self {
        Self { life, of_tags: HashMap::new(), of_region: None }
    }

    /// What they say about an entry that `began` then.
    async fn validity(&mut self, began: Timestamp, tags: Option<&Tags>) -> Result<Validity, Error> {
        let mut mark = Mark::default();
        if let Some(tags) = tags {
            mark = self.of_tags(tags).await?;
        }
        if let Some(region) = &self.life.region {
            mark = mark.merge(self.of_region(region).await?);
        }
        Ok(Validity::of(mark, began))
    }

    async fn of_tags(&mut self, tags: &Tags) -> Result<Mark, Error> {
        if let Some(mark) = self.of_tags.get(&tags[..]) {
            return Ok(*mark);
        }
        let mark = self.life.store().marks(tags).await?;
        self.of_tags.insert(tags.to_vec(), mark);
        Ok(mark)
    }

    async fn of_region(&mut self, region: &Region) -> Result<Mark, Error> {
        if let Some(mark) = self.of_region {
            return Ok(mark);
        }
        let mark = region.store().marks(&[&*region.name]).await?;
        self.of_region = Some(mark);
        Ok(mark)
    }
}

impl<V> Life<V> {
    pub(super) async fn is_valid_async(
        &self,
        began: Timestamp,
        tags: Option<&Tags>,
    ) -> Result<bool, Error> {
        Ok(Marks::new(self).validity(began, tags).await? == Validity::Valid)
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
        let seen = self.timed_async(self.fresh_async(key, policy)).await?;
        Ok(seen.map(|seen| seen.value))
    }

    pub(super) async fn fresh_async(
        &self,
        key: &Key,
        policy: &Policy,
    ) -> Result<Option<Seen<V>>, Error> {
        let Some(entry) = self.store().get(key).await? else { return Ok(None) };
        self.seen(key, &entry, policy, &mut Marks::new(self)).await
    }

    /// What a read of `key` found, if it is current.
    async fn seen(
        &self,
        key: &Key,
        entry: &Entry,
        policy: &Policy,
        marks: &mut Marks<'_, V>,
    ) -> Result<Option<Seen<V>>, Error> {
        let mut used = None;
        let found = self.read(entry, policy, &mut used);
        let Some(seen) = found.transpose()?.flatten() else { return Ok(None) };
        if marks.validity(seen.began, seen.tags.as_ref()).await? != Validity::Valid {
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
        let found = self.store().inspect(key).await?;
        self.found(found, policy, &mut Marks::new(self)).await
    }

    /// As [`look_many`](Self::look_many), in one call of the store, and one for each mark.
    pub(super) async fn look_many_async(
        &self,
        keys: &[Key],
        policy: &Policy,
    ) -> Result<Vec<Found<V>>, Error> {
        let mut marks = Marks::new(self);
        let mut looked = Vec::with_capacity(keys.len());
        for found in self.store().inspect_many(keys).await? {
            looked.push(self.found(found, policy, &mut marks).await?);
        }
        Ok(looked)
    }

    async fn found(
        &self,
        found: Inspection,
        policy: &Policy,
        marks: &mut Marks<'_, V>,
    ) -> Result<Found<V>, Error> {
        let Inspection::Present(entry) = found else { return Ok(Found::Absent) };
        let now = self.clock.now();
        let validity = marks.validity(entry.began(), entry.shared_tags().as_ref()).await?;
        self.judge(&entry, validity, policy, now)
    }

    /// As [`get_many`](Self::get_many), in one call of the store, and one for each mark.
    pub(crate) async fn get_many_async(
        &self,
        keys: &[Key],
        policy: &Policy,
    ) -> Result<Vec<Option<V>>, Error> {
        let seen = self.seen_many_async(keys, policy).await?;
        Ok(seen.into_iter().map(|seen| seen.map(|seen| seen.value)).collect())
    }

    /// As [`seen_many`](Self::seen_many), in one call of the store, and one for each mark.
    pub(super) async fn seen_many_async(
        &self,
        keys: &[Key],
        policy: &Policy,
    ) -> Result<Vec<Option<Seen<V>>>, Error> {
        let mut marks = Marks::new(self);
        let mut found = Vec::with_capacity(keys.len());
        for (key, entry) in keys.iter().zip(self.store().get_many(keys).await?) {
            found.push(match entry {
                Some(entry) => self.seen(key, &entry, policy, &mut marks).await?,
                None => None,
            });
        }
        Ok(found)
    }

    pub(crate) async fn why_async(&self, key: &Key, policy: &Policy) -> Result<Why, Error> {
        let inspection = self.store().inspect(key).await?;
        let region = self.region.as_ref();
        let mut marks = Vec::new();
        let name = region.map(|region| &*region.name);
        for asked in Asked::about(&inspection, name, self.keeps_marks()) {
            let of = match (&asked, region) {
                (Asked::Region(_), Some(region)) => region.store(),
                _ => self.store(),
            };
            let mark = of.marks(&[asked.name()]).await?;
            marks.push((asked, mark));
        }
        let now = self.namespace.clock().now();
        let why = Why::judge(&inspection, &marks, now, |entry| self.reads(entry));
        Ok(self.explain(key, why, &inspection, policy, now))
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

    pub(crate) async fn set_many_async(
        &self,
        values: Vec<(Key, Created<V>)>,
        policy: &Policy,
    ) -> Result<(), Error> {
        let entries = self.entries_of(values, policy)?;
        let keys = keys_of(&entries);
        let _voids = self.voids(&keys);
        Ok(self.store().set_many(entries).await?)
    }

    pub(crate) async fn remove_async(&self, key: &Key) -> Result<bool, Error> {
        let voids = self.voids(from_ref(key));
        let removed = self.store().remove(key).await?;
        drop(voids);
        self.removed(from_ref(key), u64::from(removed));
        Ok(removed)
    }

    pub(crate) async fn remove_many_async(&self, keys: &[Key]) -> Result<u64, Error> {
        let voids = self.voids(keys);
        let removed = self.store().remove_many(keys).await?;
        drop(voids);
        self.removed(keys, removed);
        Ok(removed)
    }

    pub(crate) async fn clear_async(&self) -> Result<(), Error> {
        let voids = self.voids_all();
        self.store().clear().await?;
        drop(voids);
        if self.keeps_marks() {
            let _noted = self.store().mark(CLEARED, Mark::hard(self.clock.now())).await;
        }
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
