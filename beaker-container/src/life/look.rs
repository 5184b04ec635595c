//! What a caller reads: the counted read of a hit, and the looks by which a creation is decided.

use beaker_namespace::{Condition, Entry, Inspection, Key, Mark, Tags, Timestamp};

use super::Life;
use super::mode::ready;
use super::seen::{Found, Seen, Serves, Validity};
use super::store::Face;
use crate::Error;
use crate::policy::Policy;
use crate::values::Decoded;

impl<V> Life<V> {
    /// What the marks of the tags and of the region say about an entry that `began` then.
    async fn validity(
        &self,
        face: Face,
        began: Timestamp,
        tags: Option<&Tags>,
    ) -> Result<Validity, Error> {
        let mut mark = match tags {
            Some(tags) => self.store(face).marks(tags).await?,
            None => Mark::default(),
        };
        if let Some(region) = &self.region {
            mark = mark.merge(region.store(face).marks(&[&*region.name]).await?);
        }
        Ok(Validity::of(mark, began))
    }

    /// As [`holds`](Self::holds), on this thread.
    pub(crate) fn is_valid(&self, began: Timestamp, tags: Option<&Tags>) -> Result<bool, Error> {
        let unmarked = tags.is_none() && self.region.is_none();
        Ok(unmarked || ready(self.holds(Face::Blocking, began, tags))?)
    }

    /// Whether no mark invalidated an entry that `began` then.
    pub(super) async fn holds(
        &self,
        face: Face,
        began: Timestamp,
        tags: Option<&Tags>,
    ) -> Result<bool, Error> {
        let unmarked = tags.is_none() && self.region.is_none();
        Ok(unmarked || self.validity(face, began, tags).await? == Validity::Valid)
    }
}

impl<V: Clone + Send + Sync + 'static> Life<V> {
    /// [`get`](Self::get) by either face.
    pub(crate) async fn current(
        &self,
        face: Face,
        key: &Key,
        policy: &Policy,
    ) -> Result<Option<V>, Error> {
        Ok(self.fresh(face, key, policy).await?.map(|seen| seen.value))
    }

    /// As [`current`](Self::current), with what else is known of it; a read counts as use.
    pub(super) async fn fresh(
        &self,
        face: Face,
        key: &Key,
        policy: &Policy,
    ) -> Result<Option<Seen<V>>, Error> {
        let mut found = None;
        let mut used = None;
        let mut serve = |entry: &Entry| {
            let now = self.clock.coarse();
            let current = policy.is_current(entry, || now);
            if current {
                used = policy.used(entry, now);
                let seen = |value| Seen::new(value, entry, Serves::default());
                found = Some(self.values.value(entry).map(|decoded| match decoded {
                    Decoded::Value(value) => Some(seen(value)),
                    Decoded::Foreign => None,
                }));
            }
            current
        };
        self.store(face).read_with(key, &mut serve).await?;
        let Some(seen) = found.transpose()?.flatten() else { return Ok(None) };
        if !self.holds(face, seen.began, seen.tags.as_ref()).await? {
            return Ok(None);
        }
        if let Some(entry) = used {
            self.write_use(face, key, entry).await;
        }
        Ok(Some(seen))
    }

    /// Writes back that an entry was read, unless somebody changes or makes it just now.
    async fn write_use(&self, face: Face, key: &Key, entry: Entry) {
        if self.shared.flights.is_flying(key) {
            return;
        }
        let unchanged = Condition::Generation(entry.generation());
        // A value that was read is served whether or not the store can note it.
        let _best_effort = self.store(face).set_if(key, entry, unchanged).await;
    }

    /// Reads on the precise clock, for the decision to create; counts neither hit nor miss.
    pub(super) async fn look(
        &self,
        face: Face,
        key: &Key,
        policy: &Policy,
    ) -> Result<Found<V>, Error> {
        let Inspection::Present(entry) = self.store(face).inspect(key).await? else {
            return Ok(Found::Absent);
        };
        let now = self.clock.now();
        let tags = entry.shared_tags();
        let validity = match (&tags, &self.region) {
            (None, None) => Validity::Valid,
            _ => self.validity(face, entry.began(), tags.as_ref()).await?,
        };
        let fresh = policy.is_current(&entry, || now);
        let servable = policy.may_serve_old(&entry, now);
        let serves = match validity {
            Validity::Gone => return Ok(Found::Absent),
            Validity::Valid if fresh => {
                return Ok(match self.values.value(&entry)? {
                    Decoded::Value(value) => {
                        Found::Current(Seen::new(value, &entry, Serves::default()))
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
        Ok(match self.values.value(&entry) {
            Ok(Decoded::Value(value)) => Found::Old(Seen::new(value, &entry, serves)),
            Ok(Decoded::Foreign) | Err(_) => Found::Absent,
        })
    }
}
