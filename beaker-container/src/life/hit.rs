//! The way of a hit.
//
// 1. In memory, a hit that has nothing to see to but its value is compiled into the caller, and hands
//    nothing on in memory: see `memory/read.rs` of `beaker-namespace`. Whatever else there may be
//    (another store, a region, tags, a policy that watches hits) goes by functions that are not
//    inlined, and get the key as a copy.
// 2. Nothing of it reads a clock for an entry that does not expire.

use beaker_namespace::{Entry, Found, Key, Serve, Tags, Timestamp};

use super::Life;
use super::flow::Request;
use crate::creation::Created;
use crate::policy::Policy;
use crate::values::{Decoded, Values};
use crate::{CreateError, Error, Got};

impl<V: Clone + Send + Sync + 'static> Life<V> {
    /// The value, if it is current.
    // Always inlined, and the key handed on as a copy: see `memory/read.rs` of `beaker-namespace`.
    #[inline(always)]
    pub(crate) fn get(&self, key: &Key, policy: &Policy) -> Result<Option<V>, Error> {
        let Some(memory) = self.memory.as_ref().filter(|_| !self.checks_hits(policy)) else {
            return self.get_slow(key.clone(), policy);
        };
        // What is not plain goes past the result, which so stays in registers.
        let mut other = None;
        let found = memory.read_by(key, Plain { values: &self.values, policy, other: &mut other });
        match found {
            None => Ok(None),
            Some(None) => self.value_of(other),
            Some(plain) => Ok(plain),
        }
    }

    /// Whether the value is not all that a hit has to see to.
    #[inline(always)]
    fn checks_hits(&self, policy: &Policy) -> bool {
        policy.watches_hits() || self.region.is_some()
    }

    /// [`get`](Self::get) on any store, by any policy.
    #[inline(never)]
    fn get_slow(&self, key: Key, policy: &Policy) -> Result<Option<V>, Error> {
        self.timed(|| self.get_untimed(key, policy))
    }

    fn get_untimed(&self, key: Key, policy: &Policy) -> Result<Option<V>, Error> {
        if policy.watches_hits() {
            return Ok(self.fresh(&key, policy)?.map(|seen| seen.value));
        }
        let mut found = None;
        self.namespace.read_with(&key, &mut |entry| {
            let current = policy.is_current(entry, || self.clock.coarse());
            found = current.then(|| (self.values.value(entry), entry.began(), entry.shared_tags()));
            current
        })?;
        let Some((value, began, tags)) = found else { return Ok(None) };
        self.checked(value?, began, tags.as_ref())
    }

    /// The value of an entry whose times allow it.
    #[inline(never)]
    fn value_of(&self, entry: Option<Entry>) -> Result<Option<V>, Error> {
        let Some(entry) = entry else { return Ok(None) };
        self.checked(self.values.value(&entry)?, entry.began(), entry.shared_tags().as_ref())
    }

    /// What was decoded, if it is of this type and no mark says otherwise.
    fn checked(
        &self,
        decoded: Decoded<V>,
        began: Timestamp,
        tags: Option<&Tags>,
    ) -> Result<Option<V>, Error> {
        match decoded {
            Decoded::Value(value) => Ok(self.is_valid(began, tags)?.then_some(value)),
            Decoded::Foreign => Ok(None),
        }
    }

    /// The current value, or a new one, on this thread. See the rules at the top of this file.
    #[inline(always)]
    pub(crate) fn get_or_try_create<E>(
        &self,
        key: &Key,
        policy: &Policy,
        create: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        if !policy.watches_hits()
            && let Some(value) = self.get(key, policy)?
        {
            return Ok(value);
        }
        self.create_on_thread(key.clone(), policy, create)
    }

    #[cold]
    fn create_on_thread<E>(
        &self,
        key: Key,
        policy: &Policy,
        create: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        let request = match policy.watches_hits() {
            true => Request::new(key, *policy),
            false => Request::after_miss(key, *policy),
        };
        self.obtain_on_thread(&request, |_| create().map(Created::new)).map(Got::into_value)
    }
}

/// Takes the value of an entry that is current, if it is all that there is to serve; else the entry goes
/// to `other`.
struct Plain<'a, V> {
    values: &'a Values<V>,
    policy: &'a Policy,
    other: &'a mut Option<Entry>,
}

impl<V: Clone + Send + Sync + 'static> Serve<Option<V>> for Plain<'_, V> {
    #[inline(always)]
    fn serve(self, found: Found<'_>) -> Option<Option<V>> {
        if !self.policy.is_current_in_memory(found) {
            return None;
        }
        let plain = found.object().and_then(|object| self.values.of_object(object));
        if plain.is_none() {
            put_copy(found.entry(), self.other);
        }
        Some(plain)
    }
}

#[inline(never)]
fn put_copy(entry: &Entry, to: &mut Option<Entry>) {
    *to = Some(entry.clone());
}
