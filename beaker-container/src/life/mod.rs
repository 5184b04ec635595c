//! The life of a value: read, found stale, made anew once, stored unless invalidated.
//
// The rules, for one (namespace, key):
//
// 1. A current entry is returned; nothing else happens. An entry is current if it is fresh, began
//    at or after the start time, and began after every mark of its tags and its region.
// 2. Otherwise the flight is joined. It is found by the namespace's identity, so every cache on
//    one namespace meets in it, threads and tasks alike. One leads; the others wait, for a bounded
//    time, or take the stale value if the policy allows it.
// 3. The leader takes the namespace's claim: that is the host's lock where the store is shared
//    among processes. So a host sends one process to it, a process one thread or task.
// 4. The leader reads again, whether it came for an absent or for a stale value: somebody may have
//    made the value while it waited for the claim.
// 5. The new entry is stamped with the moment before the creator ran.
// 6. The store takes the entry only if nothing invalidated the claim. If something did, the leader
//    returns its own value, which is right for a call that began before, and the waiters look
//    again, since some of them may have come after. (A mark voids no claim: whoever reads the entry
//    sees by its stamp that it began before the mark. So does a waiter.)
//    Something may also be invalidated after the store took the entry and before the flight ends.
//    So a waiter takes the value only if its call began before the store was asked to take it: an
//    invalidation that had ended by then would have voided the claim. Nor does it take a value that
//    was expired when it called, because it took longer to make than it lives, or that is older than
//    its own start time. Otherwise it looks again; a creation that begins now suits all who wait.
// 7. A failed creation is shared: everybody who waited gets the error, or the old value if the
//    policy allows that on an error. It is remembered as long as the policy says, and meanwhile
//    nobody tries again. A panic is its caller's own: the flight passes to a waiter, who creates in
//    turn.
// 8. A creation that can outlive its call moves to a worker or a task with its flight, its claim
//    and all that it needs; what began as the caller's goes on behind it by the same rules.
// 9. A call counts as one hit or one miss in the store's counts: its first read counts, further
//    looks do not.

// Who creates is called by how far it has come:
//
// | name | what it is |
// |---|---|
// | `Leader`, `OwnedLeader` of beaker-syncdict | the lead of a flight, to be finished or passed on |
// | `Turn` | the right to create that a call came to: its stake, and what there was before |
// | `Stake` | what a creation and its call share while it runs: whoever takes it decides how it ends |
// | `Held` | what is in a stake until it is taken: the lead and, once there is one, the claim |
// | `Begun`, in a batch `Claimed` | a creation under its claim, whose second look found nothing |
// | `Led` | what leading the keys of a batch came to |

mod batch;
mod behind;
mod change;
mod counts;
mod failures;
mod flow;
mod hit;
#[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "there are no tasks"))]
mod in_task;
mod lead;
mod left;
mod listeners;
mod look;
mod mode;
mod outcome;
mod pace;
mod region;
mod reports;
mod seen;
mod settle;
mod shared;
mod spawned;
#[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "there are no tasks"))]
mod store;
mod turn;

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use beaker_namespace::{
    Clock, Entry, Inspection, Key, MemoryNamespace, Namespace, Payload, Timestamp,
};

use self::left::Remembered;
use self::listeners::Listening;
use self::seen::Seen;
use crate::creation::Created;
use crate::policy::{ChosenTtl, Policy};
use crate::values::{Decoded, Values};
use crate::watch::{About, Trace};
use crate::workers::Workers;
use crate::{Error, Got, Source, Why};

#[cfg(feature = "tokio")]
pub(crate) use self::batch::AsTask;
pub(crate) use self::batch::{InPlace, OnWorker};
pub(crate) use self::counts::Count;
pub use self::counts::CreationStats;
pub(crate) use self::flow::Request;
pub(crate) use self::listeners::{Listener, Removal};
pub(crate) use self::mode::{Mode, ready};
pub use self::region::REGIONS;
pub(crate) use self::region::Region;
pub(crate) use self::reports::Reports;
pub(crate) use self::shared::Shared;
#[cfg(feature = "tokio")]
pub(crate) use self::store::Place;

/// One namespace and the values of type `V` in it.
pub(crate) struct Life<V> {
    pub(crate) namespace: Arc<dyn Namespace>,
    /// The same, if it is in this process's memory: for hits that are not timed.
    memory: Option<Arc<MemoryNamespace>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) values: Values<V>,
    pub(crate) weigher: Option<Weigher<V>>,
    /// What is served where nothing can be made and nothing old is there.
    pub(crate) default_value: Option<Arc<V>>,
    pub(crate) reports: Reports,
    pub(crate) workers: Option<Workers>,
    pub(crate) region: Option<Region>,
    pub(crate) trace: Trace,
    times_reads: bool,
    listening: Vec<Listening>,
    remembered: Option<Remembered>,
    shared: Arc<Shared>,
}

impl<V> Clone for Life<V> {
    fn clone(&self) -> Self {
        Self {
            namespace: Arc::clone(&self.namespace),
            memory: self.memory.clone(),
            clock: Arc::clone(&self.clock),
            values: self.values,
            weigher: self.weigher.clone(),
            default_value: self.default_value.clone(),
            reports: self.reports.clone(),
            workers: self.workers.clone(),
            region: self.region.clone(),
            trace: self.trace,
            times_reads: self.times_reads,
            listening: self.listening.clone(),
            remembered: self.remembered.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<V> fmt::Debug for Life<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Life").field(self.namespace.id()).finish()
    }
}

impl<V> Life<V> {
    pub(crate) fn new(namespace: Arc<dyn Namespace>, values: Values<V>) -> Self {
        Self {
            clock: Arc::clone(namespace.clock()),
            shared: Shared::of(&namespace),
            memory: namespace.in_memory(),
            namespace,
            values,
            weigher: None,
            default_value: None,
            reports: Reports::default(),
            workers: None,
            region: None,
            trace: Trace::default(),
            times_reads: false,
            listening: Vec::new(),
            remembered: None,
        }
    }

    /// The same settings on another namespace. The region's marks stay with the region's store.
    pub(crate) fn on(&self, namespace: Arc<dyn Namespace>) -> Self {
        let shared = Shared::of(&namespace);
        // One that the cache makes by itself goes along.
        let region =
            self.region.clone().map(|region| match region.marks.id() == self.namespace.id() {
                true => Region::new(&region.name, Arc::clone(&namespace)),
                false => region,
            });
        let on = |listening: &Listening| listening.on(&shared, &*namespace, region.as_ref());
        let listening = self.listening.iter().map(on).collect();
        let remembered = self.remembered.as_ref();
        let remembered = remembered.map(|it| it.on(&shared, &*namespace, region.as_ref()));
        let clock = Arc::clone(namespace.clock());
        let memory = namespace.in_memory().filter(|_| !self.times_reads);
        Self { clock, listening, remembered, region, shared, memory, namespace, ..self.clone() }
    }

    pub(crate) fn time_reads(&mut self) {
        self.times_reads = true;
        // So that hits take the way on which they are timed, and others need not ask.
        self.memory = None;
    }

    /// What `read` finds, timed if that is asked for.
    fn timed<T>(
        &self,
        read: impl FnOnce() -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        if !self.times_reads {
            return read();
        }
        let began = Instant::now();
        let found = read()?;
        self.shared.meter.read(found.is_some(), began.elapsed());
        Ok(found)
    }

    /// As [`timed`](Self::timed), for a store that is waited for.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "there are no tasks"))]
    async fn timed_async<T>(
        &self,
        read: impl Future<Output = Result<Option<T>, Error>>,
    ) -> Result<Option<T>, Error> {
        if !self.times_reads {
            return read.await;
        }
        let began = Instant::now();
        let found = read.await?;
        self.shared.meter.read(found.is_some(), began.elapsed());
        Ok(found)
    }

    /// The same with another default value.
    pub(crate) fn with_default_value(&self, value: V) -> Self {
        Self { default_value: Some(Arc::new(value)), ..self.clone() }
    }

    fn about<'a>(&'a self, key: &'a Key) -> About<'a> {
        About { cache: self.namespace.id(), key }
    }

    /// What a call got, counted now that it gets it.
    fn told(&self, key: &Key, got: Got<V>) -> Got<V> {
        let what = match got.source {
            Source::Joined => Count::Joined,
            Source::Stale => Count::Stale,
            Source::Fallback => Count::Fallbacks,
            Source::Fresh | Source::Created | Source::Unchanged | Source::Bypassed => return got,
        };
        self.shared.count(what);
        self.trace.counted(self.about(key), what);
        got
    }

    pub(crate) fn listen(&mut self, listener: Arc<Listener>) {
        let region = self.region.as_ref();
        self.listening.push(Listening::begin(listener, &self.shared, &*self.namespace, region));
    }

    pub(crate) fn remember(&mut self, most: NonZeroUsize) {
        let region = self.region.as_ref();
        self.remembered = Some(Remembered::begin(most, &self.shared, &*self.namespace, region));
    }

    /// Tells of what left by a caller's doing, or was invalidated.
    fn tell(&self, removal: Removal<'_>) {
        let Removal { key, cause, .. } = removal;
        self.trace.removed(self.namespace.id(), key, cause);
        self.shared.meter.invalidated(cause);
        self.shared.listeners.tell(removal);
    }

    pub(crate) fn creation_stats(&self) -> CreationStats {
        self.shared.counts.stats()
    }

    pub(crate) fn is_creating(&self, key: &Key) -> bool {
        self.shared.flights.is_flying(key)
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn creating(&self) -> usize {
        self.shared.flights.len()
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn waiting(&self, key: &Key) -> usize {
        self.shared.flights.waiting(key)
    }

    /// Who works behind callers.
    fn workers(&self) -> Workers {
        self.workers.clone().unwrap_or_else(Workers::shared)
    }
}

impl<V: Clone + Send + Sync + 'static> Life<V> {
    pub(crate) fn why(&self, key: &Key, policy: &Policy) -> Result<Why, Error> {
        let inspection = self.namespace.inspect(key)?;
        let region = self.region.as_ref().map(|region| (&*region.name, &*region.marks));
        let now = self.namespace.clock().now();
        let why = Why::of(&*self.namespace, &inspection, region, now, |entry| self.reads(entry))?;
        Ok(self.explain(key, why, &inspection, policy, now))
    }

    /// What this reader knows beside the store.
    fn explain(
        &self,
        key: &Key,
        why: Why,
        inspection: &Inspection,
        policy: &Policy,
        now: Timestamp,
    ) -> Why {
        let why = unless_outdated(why, inspection, policy);
        match &self.remembered {
            Some(remembered) => remembered.explain(key, why, now),
            None => why,
        }
    }

    /// Whether this reader makes sense of the entry.
    fn reads(&self, entry: &Entry) -> bool {
        matches!(self.values.value(entry), Ok(Decoded::Value(_)))
    }

    /// What `fetch` says of a value that is current.
    fn got_fresh(&self, seen: Seen<V>) -> Got<V> {
        let now = self.clock.coarse();
        seen.got(Source::Fresh, now)
    }

    /// The time to live that the creator chose, or that the policy gives to such a value.
    fn chosen_ttl(&self, created: &Created<&V>, policy: &Policy) -> ChosenTtl {
        let negative = || policy.negative_ttl.filter(|_| self.values.is_absent(created.value));
        created.ttl.or_else(negative)
    }

    /// The entry of a value that began to be made then, without the value.
    fn frame(
        &self,
        created: &Created<&V>,
        policy: &Policy,
        more_tags: &[String],
        began: Timestamp,
    ) -> Entry {
        let (expires, dies) = policy.times_of(self.chosen_ttl(created, policy), began);
        let mut entry = Entry::new(Payload::raw(Vec::new()), began).times(expires, dies);
        if let Some(cost) = created.cost {
            entry = entry.cost(cost);
        } else if let Some(Weigher(weigh)) = &self.weigher {
            entry = entry.cost(weigh(created.value));
        }
        if !created.tags.is_empty() || !more_tags.is_empty() {
            let mut tags = [&created.tags[..], more_tags].concat();
            tags.sort_unstable();
            tags.dedup();
            entry = entry.tags(tags);
        }
        if created.etag.is_some() {
            entry = entry.etag(created.etag.clone());
        }
        entry
    }

    /// `frame` with the value in it.
    fn filled(&self, frame: Entry, value: &V) -> Result<Entry, Error> {
        let payload = self.values.payload(value, self.namespace.capabilities())?;
        Ok(frame.with_payload(payload))
    }
}

fn unless_outdated(why: Why, inspection: &Inspection, policy: &Policy) -> Why {
    match (&why, inspection) {
        (Why::Fresh { .. }, Inspection::Present(entry)) if !policy.has_started(entry.began()) => {
            Why::Outdated
        }
        _ => why,
    }
}

/// How much a value weighs in a store bounded by weight.
pub(crate) struct Weigher<V>(pub(crate) Arc<dyn Fn(&V) -> u32 + Send + Sync>);

impl<V> Clone for Weigher<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod races;
#[cfg(test)]
mod tests;
