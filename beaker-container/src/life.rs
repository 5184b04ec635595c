//! The life of a value: read, found stale, made anew once, stored unless invalidated.
//
// The rules, for one (namespace, key):
//
// 1. A current entry is returned; nothing else happens.
// 2. Otherwise the flight is joined. It is found by the namespace's identity, so every cache on
//    one namespace meets in it. One thread leads; the others wait, for a bounded time, or take the
//    stale value if the policy allows it.
// 3. The leader takes the namespace's claim: that is the host's lock where the store is shared
//    among processes. So a host sends one process to it, a process one thread.
// 4. The leader reads again, whether it came for an absent or for a stale value: somebody may have
//    made the value while it waited for the claim.
// 5. The new entry is stamped with the moment before the creator ran.
// 6. The store takes the entry only if nothing invalidated the claim. If something did, the leader
//    returns its own value, which is right for a call that began before, and the waiters look
//    again, since some of them may have come after.
//    Something may also be invalidated after the store took the entry and before the flight ends.
//    So a waiter takes the value only if its call began before the store was asked to take it: an
//    invalidation that had ended by then would have voided the claim. Nor does it take a value that
//    was expired when it called, because it took longer to make than it lives, or that is older than
//    its own start time. Otherwise it looks again; a creation that begins now suits all who wait.
// 7. A failed creation is shared: everybody who waited gets the error. A panic is its caller's
//    own: the flight passes to a waiter, who creates in turn.
// 8. A call counts as one hit or one miss in the store's counts: its first read counts, further
//    looks do not.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use beaker_namespace::{
    Claim, Clock, Entry, Fulfilled, Inspection, Key, Namespace, NamespaceId, Timestamp, Wait,
};
use beaker_syncdict::{Flights, Join, Leader, TryJoin, WeakRegistry};

use crate::policy::Times;
use crate::values::{Decoded, Values};
use crate::{CreateError, Error};

/// What a flight hands to those who waited.
#[derive(Clone)]
enum Outcome {
    /// The value, for those whom it suits.
    Made(Made),
    /// The creator's error, as an `Arc<E>`.
    Failed(Arc<dyn Any + Send + Sync>),
    /// Something was invalidated meanwhile: look again.
    LookAgain,
}

/// A value that a flight made.
#[derive(Clone)]
struct Made {
    /// As an `Arc<V>`.
    value: Arc<dyn Any + Send + Sync>,
    began: Timestamp,
    expires: Timestamp,
    /// The moment before the store was asked to take it: nothing had invalidated it by then.
    valid_at: Instant,
}

impl Made {
    fn suits(&self, call: &Call, times: &Times) -> bool {
        let in_time = call.wall <= self.began || call.wall < self.expires;
        in_time && call.began <= self.valid_at && times.has_started(self.began)
    }
}

/// When a call began.
struct Call {
    began: Instant,
    /// The same on the namespace's coarse clock.
    wall: Timestamp,
}

type KeyFlights = Flights<Key, Outcome>;

/// The flights of every namespace that somebody holds.
static FLIGHTS: LazyLock<WeakRegistry<NamespaceId, KeyFlights>> = LazyLock::new(WeakRegistry::weak);

/// One namespace and the values of type `V` in it.
pub(crate) struct Life<V> {
    pub(crate) namespace: Arc<dyn Namespace>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) values: Values<V>,
    pub(crate) weigher: Option<Weigher<V>>,
    pub(crate) reports: Reports,
    flights: Arc<KeyFlights>,
}

impl<V> Clone for Life<V> {
    fn clone(&self) -> Self {
        Self {
            namespace: Arc::clone(&self.namespace),
            clock: Arc::clone(&self.clock),
            values: self.values,
            weigher: self.weigher.clone(),
            reports: self.reports.clone(),
            flights: Arc::clone(&self.flights),
        }
    }
}

impl<V> fmt::Debug for Life<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Life").field(self.namespace.id()).finish()
    }
}

/// What a read found.
enum Found<V> {
    Current(V),
    /// Expired, and the policy lets it be served while it is made anew.
    Stale(V),
    Absent,
}

impl<V> Life<V> {
    pub(crate) fn new(namespace: Arc<dyn Namespace>, values: Values<V>) -> Self {
        let clock = Arc::clone(namespace.clock());
        let flights = FLIGHTS
            .get_or_create(namespace.id(), || Arc::new(Flights::new()))
            .unwrap_or_else(|_reentrant| Arc::new(Flights::new()));
        Self { namespace, clock, values, weigher: None, reports: Reports::default(), flights }
    }
}

impl<V: Clone + Send + Sync + 'static> Life<V> {
    /// The value, if it is current.
    #[inline]
    pub(crate) fn get(&self, key: &Key, times: &Times) -> Result<Option<V>, Error> {
        let mut found = None;
        self.namespace.read_with(key, &mut |entry| {
            let current = times.is_current(entry, || self.clock.coarse());
            if current {
                found = Some(self.values.value(entry));
            }
            current
        })?;
        match found {
            Some(Ok(Decoded::Value(value))) => Ok(Some(value)),
            Some(Err(error)) => Err(error),
            Some(Ok(Decoded::Foreign)) | None => Ok(None),
        }
    }

    pub(crate) fn set(
        &self,
        key: &Key,
        value: &V,
        times: &Times,
        ttl: Option<Duration>,
    ) -> Result<(), Error> {
        let entry = self.entry(times, value, self.clock.now(), ttl)?;
        self.namespace.set(key, entry)?;
        self.flights.detach(key);
        Ok(())
    }

    pub(crate) fn remove(&self, key: &Key) -> Result<bool, Error> {
        let removed = self.namespace.remove(key)?;
        self.flights.detach(key);
        Ok(removed)
    }

    pub(crate) fn clear(&self) -> Result<(), Error> {
        self.namespace.clear()?;
        self.flights.detach_all();
        Ok(())
    }

    /// The current value, or a new one. See the rules at the top of this file.
    #[inline]
    pub(crate) fn get_or_try_create<E>(
        &self,
        key: &Key,
        times: &Times,
        create: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        match self.get(key, times)? {
            Some(value) => Ok(value),
            None => self.get_or_try_create_slow(key, times, create),
        }
    }

    #[cold]
    fn get_or_try_create_slow<E>(
        &self,
        key: &Key,
        times: &Times,
        create: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        let call = Call { began: Instant::now(), wall: self.clock.coarse() };
        let deadline = call.began.checked_add(times.wait);
        let remaining = || match deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        };
        loop {
            let (leader, stale) = match self.look(key, times)? {
                Found::Current(value) => return Ok(value),
                Found::Stale(value) => match self.flights.try_join(key) {
                    TryJoin::Lead(leader) => (leader, Some(value)),
                    TryJoin::Busy => return Ok(value),
                    TryJoin::Reentrant => return Err(Error::reentrant().into()),
                },
                Found::Absent => match self.flights.join(key, Some(remaining())) {
                    Join::Lead(leader) => (leader, None),
                    Join::Joined(outcome) => match shared(&outcome, &call, times) {
                        Some(shared) => return shared.map_err(CreateError::Create),
                        None => continue,
                    },
                    Join::Reentrant => return Err(Error::reentrant().into()),
                    Join::TimedOut => return Err(Error::timeout().into()),
                },
            };
            return self.lead(key, times, leader, stale, remaining(), create);
        }
    }

    /// Reads on the precise clock, for the decision to create; counts neither hit nor miss.
    fn look(&self, key: &Key, times: &Times) -> Result<Found<V>, Error> {
        let Inspection::Present(entry) = self.namespace.inspect(key)? else {
            return Ok(Found::Absent);
        };
        let now = self.clock.now();
        let current = times.is_current(&entry, || now);
        if !current && !times.stale.allows(&entry, now, times.start_time) {
            return Ok(Found::Absent);
        }
        Ok(match self.values.value(&entry)? {
            Decoded::Value(value) if current => Found::Current(value),
            Decoded::Value(value) => Found::Stale(value),
            Decoded::Foreign => Found::Absent,
        })
    }

    fn lead<E>(
        &self,
        key: &Key,
        times: &Times,
        leader: Leader<'_, Key, Outcome>,
        stale: Option<V>,
        remaining: Duration,
        create: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        let wait = if stale.is_some() { Wait::Never } else { Wait::AtMost(remaining) };
        let Some(claim) = self.namespace.claim(key, wait).map_err(Error::from)? else {
            // Dropping the leader lets a waiter try in turn; each has its own deadline.
            return stale.ok_or_else(|| Error::timeout().into());
        };
        if let Found::Current(value) = self.look(key, times)? {
            // It is in the store, where those who wait find it unless it goes meanwhile.
            leader.finish(Outcome::LookAgain);
            return Ok(value);
        }
        let began = self.clock.now();
        match create() {
            Ok(value) => {
                leader.finish(self.fulfil(key, times, &value, began, claim));
                Ok(value)
            }
            Err(error) => {
                drop(claim);
                leader.finish(Outcome::Failed(Arc::new(error.clone())));
                Err(CreateError::Create(error))
            }
        }
    }

    /// Stores what was created, and says what the waiters get.
    ///
    /// A value that was made is never thrown away because the store fails: it is returned, the
    /// failure is counted and reported.
    fn fulfil(
        &self,
        key: &Key,
        times: &Times,
        value: &V,
        began: Timestamp,
        claim: Claim,
    ) -> Outcome {
        let entry = self.entry(times, value, began, times.ttl);
        let expires = times.ttl.map_or(Timestamp::NEVER, |ttl| began.saturating_add(ttl));
        let valid_at = Instant::now();
        match entry.and_then(|entry| Ok(self.namespace.fulfil(key, entry, claim)?)) {
            Ok(Fulfilled::Stored) => {}
            Ok(Fulfilled::Superseded) => return Outcome::LookAgain,
            Err(error) => self.reports.unstored(&error),
        }
        Outcome::Made(Made { value: Arc::new(value.clone()), began, expires, valid_at })
    }

    fn entry(
        &self,
        times: &Times,
        value: &V,
        began: Timestamp,
        ttl: Option<Duration>,
    ) -> Result<Entry, Error> {
        let payload = self.values.payload(value, self.namespace.capabilities())?;
        let entry = Entry::new(payload, began).ttl(ttl).grace(times.stale.grace());
        Ok(match &self.weigher {
            Some(Weigher(weigh)) => entry.cost(weigh(value)),
            None => entry,
        })
    }
}

/// What a waiter gets from a flight, unless it has to look again: because something was or may have
/// been invalidated, or because the leader's types are not the waiter's.
fn shared<V: Clone + 'static, E: Clone + 'static>(
    outcome: &Outcome,
    call: &Call,
    times: &Times,
) -> Option<Result<V, E>> {
    match outcome {
        Outcome::Made(made) if !made.suits(call, times) => None,
        Outcome::Made(made) => made.value.downcast_ref::<V>().cloned().map(Ok),
        Outcome::Failed(error) => error.downcast_ref::<E>().cloned().map(Err),
        Outcome::LookAgain => None,
    }
}

/// How much a value weighs in a store bounded by weight.
pub(crate) struct Weigher<V>(pub(crate) Arc<dyn Fn(&V) -> u32 + Send + Sync>);

impl<V> Clone for Weigher<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Who is told of values that were made but could not be stored.
#[derive(Clone, Default)]
pub(crate) struct Reports {
    unstored: Arc<AtomicU64>,
    listener: Option<Listener>,
}

/// Called with the error of a value that could not be stored.
pub(crate) type Listener = Arc<dyn Fn(&Error) + Send + Sync>;

impl Reports {
    pub(crate) fn to(listener: Listener) -> Self {
        Self { listener: Some(listener), ..Self::default() }
    }

    pub(crate) fn count(&self) -> u64 {
        self.unstored.load(Ordering::Relaxed)
    }

    fn unstored(&self, error: &Error) {
        self.unstored.fetch_add(1, Ordering::Relaxed);
        if let Some(listener) = &self.listener {
            listener(error);
        }
    }
}

#[cfg(test)]
mod tests;
