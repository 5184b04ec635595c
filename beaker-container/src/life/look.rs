//! What a caller reads: the counted read of a hit, and the looks by which a creation is decided.

use beaker_namespace::{Condition, Entry, Inspection, Key, Mark, Tags, Timestamp};

use super::Life;
use super::seen::{Found, Seen, Serves, Validity};
use crate::Error;
use crate::policy::Policy;
use crate::values::Decoded;

impl<V> Life<V> {
    /// Whether no mark can be meant for an entry with `tags`.
    pub(super) fn is_unmarked(&self, tags: Option<&Tags>) -> bool {
        tags.is_none() && self.region.is_none()
    }

    /// What the marks of the tags and of the region say about an entry that `began` then.
    fn validity(&self, began: Timestamp, tags: Option<&Tags>) -> Result<Validity, Error> {
        let mut mark = match tags {
            Some(tags) => self.namespace.marks(&mut tags.iter().map(String::as_str))?,
            None => Mark::default(),
        };
        if let Some(region) = &self.region {
            mark = mark.merge(region.marks.marks(&mut std::iter::once(&*region.name))?);
        }
        Ok(Validity::of(mark, began))
    }

    pub(crate) fn is_valid(&self, began: Timestamp, tags: Option<&Tags>) -> Result<bool, Error> {
        Ok(self.is_unmarked(tags) || self.validity(began, tags)? == Validity::Valid)
    }
}

impl<V: Clone + Send + Sync + 'static> Life<V> {
    /// As [`get`](Self::get), with what else is known of it; a read counts as use.
    pub(super) fn fresh(&self, key: &Key, policy: &Policy) -> Result<Option<Seen<V>>, Error> {
        let mut found = None;
        let mut used = None;
        self.namespace.read_with(key, &mut |entry| {
            found = self.read(entry, policy, &mut used);
            found.is_some()
        })?;
        let Some(seen) = found.transpose()?.flatten() else { return Ok(None) };
        if !self.is_valid(seen.began, seen.tags.as_ref())? {
            return Ok(None);
        }
        if let Some(entry) = used {
            self.write_use(key, entry);
        }
        Ok(Some(seen))
    }

    /// What a read found that is current by its times, nothing in it if it was written for another type;
    /// and in `used` what to write back, because a read lengthens its life.
    #[inline]
    pub(super) fn read(
        &self,
        entry: &Entry,
        policy: &Policy,
        used: &mut Option<Entry>,
    ) -> Option<Result<Option<Seen<V>>, Error>> {
        let now = self.clock.coarse();
        if !policy.is_current(entry, || now) {
            return None;
        }
        *used = policy.used(entry, now);
        Some(self.values.value(entry).map(|decoded| match decoded {
            Decoded::Value(value) => Some(Seen::new(value, entry, Serves::default())),
            Decoded::Foreign => None,
        }))
    }

    /// Writes back that an entry was read, unless somebody changes or makes it just now.
    fn write_use(&self, key: &Key, entry: Entry) {
        if self.shared.flights.is_flying(key) {
            return;
        }
        let unchanged = Condition::Generation(entry.generation());
        // A value that was read is served whether or not the store can note it.
        let _best_effort = self.namespace.set_if(key, entry, unchanged);
    }

    /// Reads on the precise clock, for the decision to create; counts neither hit nor miss.
    pub(super) fn look(&self, key: &Key, policy: &Policy) -> Result<Found<V>, Error> {
        let Inspection::Present(entry) = self.namespace.inspect(key)? else {
            return Ok(Found::Absent);
        };
        let now = self.clock.now();
        let tags = entry.shared_tags();
        let validity = match self.is_unmarked(tags.as_ref()) {
            true => Validity::Valid,
            false => self.validity(entry.began(), tags.as_ref())?,
        };
        self.judge(&entry, validity, policy, now)
    }

    /// [`look`](Self::look) for many keys, in their order.
    pub(super) fn look_many(&self, keys: &[Key], policy: &Policy) -> Result<Vec<Found<V>>, Error> {
        keys.iter().map(|key| self.look(key, policy)).collect()
    }

    /// What an entry is to the decision to create.
    pub(super) fn judge(
        &self,
        entry: &Entry,
        validity: Validity,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Found<V>, Error> {
        let fresh = policy.is_current(entry, || now);
        let servable = policy.may_serve_old(entry, now);
        let serves = match validity {
            Validity::Gone => return Ok(Found::Absent),
            Validity::Valid if fresh => {
                return Ok(match self.values.value(entry)? {
                    Decoded::Value(value) => {
                        Found::Current(Seen::new(value, entry, Serves::default()))
                    }
                    Decoded::Foreign => Found::Absent,
                });
            }
            Validity::Valid => Serves::new(policy, servable),
            Validity::Expired(at) => {
                let in_time = now.saturating_duration_since(at) < policy.stale.max_age();
                Serves::new(policy, servable && in_time)
            }
        };
        Ok(match self.values.value(entry) {
            Ok(Decoded::Value(value)) => Found::Old(Seen::new(value, entry, serves)),
            Ok(Decoded::Foreign) | Err(_) => Found::Absent,
        })
    }

    /// What is current under `keys`, in their order, with what else is known of it.
    pub(super) fn seen_many(
        &self,
        keys: &[Key],
        policy: &Policy,
    ) -> Result<Vec<Option<Seen<V>>>, Error> {
        if policy.watches_hits() {
            return keys.iter().map(|key| self.fresh(key, policy)).collect();
        }
        let now = self.clock.now();
        let current = |entry: Entry| {
            let tags = entry.shared_tags();
            if !policy.is_current(&entry, || now) || !self.is_valid(entry.began(), tags.as_ref())? {
                return Ok(None);
            }
            let value = self.value_in(&entry)?;
            Ok(value.map(|value| Seen::new(value, &entry, Serves::default())))
        };
        let entries = self.namespace.get_many(keys)?.into_iter();
        entries.map(|entry| entry.map_or(Ok(None), current)).collect()
    }

    /// The current values under `keys`, in their order.
    pub(crate) fn get_many(&self, keys: &[Key], policy: &Policy) -> Result<Vec<Option<V>>, Error> {
        if policy.watches_hits() {
            return keys.iter().map(|key| self.get(key, policy)).collect();
        }
        let now = self.clock.now();
        let current = |entry: Entry| {
            let tags = entry.shared_tags();
            if !policy.is_current(&entry, || now) || !self.is_valid(entry.began(), tags.as_ref())? {
                return Ok(None);
            }
            self.value_in(&entry)
        };
        let entries = self.namespace.get_many(keys)?.into_iter();
        entries.map(|entry| entry.map_or(Ok(None), current)).collect()
    }

    /// The value of an entry, if it was written for this type.
    pub(super) fn value_in(&self, entry: &Entry) -> Result<Option<V>, Error> {
        Ok(match self.values.value(entry)? {
            Decoded::Value(value) => Some(value),
            Decoded::Foreign => None,
        })
    }
}
