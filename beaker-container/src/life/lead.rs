//! The one that creates: claim, second look, creator, end of the flight.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use beaker_namespace::{Claim, Key, Scope, Tags, Timestamp, Wait};
use beaker_syncdict::{FlightScope, OwnedLeader};

use super::Life;
use super::counts::Count;
use super::failures::Failure;
use super::flow::{Answer, Flow, Request};
use super::mode::ready;
use super::outcome::Outcome;
use super::seen::{Found, Seen};
use super::settle::Moments;
use super::turn::{Before, Held, Stake, Turn};
use crate::creation::{Created, Creation, Old};
#[cfg(feature = "tokio")]
use crate::runtime;
use crate::watch::Span;
use crate::{CreateError, Error, Got, Source};

/// A creation that runs.
struct Begun<V> {
    stake: Arc<Stake>,
    before: Before<V>,
    began: Timestamp,
    started: Instant,
}

/// What its creator is told, and as whose its work is known.
struct Task<V> {
    creation: Creation<V>,
    scope: FlightScope,
    span: Span,
}

impl<V> Task<V> {
    async fn run<T, F: Future<Output = T>>(self, create: impl FnOnce(Creation<V>) -> F) -> T {
        let Self { creation, scope, span } = self;
        scope.wrap(span.wrap(async move { create(creation).await })).await
    }
}

impl<V: Clone + Send + Sync + 'static> Flow<'_, V> {
    /// Creates in a task, under the claim.
    #[cfg(feature = "tokio")]
    pub(super) async fn lead<E, C, F>(&self, turn: Turn<V>, create: C) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> F,
        F: Future<Output = Result<Created<V>, E>>,
    {
        let (begun, task) = match self.begin(turn).await {
            Ok(begun) => begun,
            Err(settled) => return settled,
        };
        let created = self.in_time(task.run(create)).await;
        self.end(begun, created).await
    }

    /// As [`lead`](Self::lead), on this thread. A creator that leads to another creation finds
    /// little of this one on the stack: that is why it does not run within a future of ours.
    pub(super) fn lead_on_thread<E, C>(&self, turn: Turn<V>, create: C) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> Result<Created<V>, E>,
    {
        let (begun, task) = match ready(self.begin(turn)) {
            Ok(begun) => begun,
            Err(settled) => return settled,
        };
        let created = ready(task.run(|creation| std::future::ready(create(creation))));
        ready(self.end(begun, Some(created)))
    }

    /// Takes the claim and looks again: what a creator is told, or how the call is settled.
    async fn begin<E>(&self, turn: Turn<V>) -> Result<(Begun<V>, Task<V>), Answer<V, E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        let Turn { stake, scope, before } = turn;
        // Within a process nobody else holds a claim while this call leads.
        let has_rivals = self.life.namespace.scope() != Scope::Process;
        let wait = match has_rivals && !before.serves_at_once() {
            true => Wait::AtMost(self.remaining()),
            false => Wait::Never,
        };
        // Wherever this returns, dropping the stake lets a waiter try in turn; each has its own deadline.
        let claim = match self.claim(wait).await {
            Ok(Some(claim)) => claim,
            Ok(None) => {
                let served = match before.serves_at_once() {
                    true => self.serve(before, Source::Stale),
                    false => self.serve_or(before, Error::timeout()),
                };
                return Err(served.map_err(CreateError::Cache));
            }
            Err(error) => return Err(self.not_begun(before, error).map_err(CreateError::Cache)),
        };
        if let Err(claim) = stake.put(claim) {
            drop(claim);
            let served = self.serve_or(before, Error::creation_timeout());
            return Err(served.map_err(CreateError::Cache));
        }
        let found = match self.look().await {
            Ok(found) => found,
            Err(error) => return Err(self.not_begun(before, error).map_err(CreateError::Cache)),
        };
        let before = self.under_claim(found, before).inspect_err(|_settled| {
            // Those who wait find for themselves what this call found.
            if let Some(Held { leader, .. }) = stake.take() {
                leader.finish(Outcome::LookAgain);
            }
        })?;
        let (began, started) = (self.life.clock.now(), Instant::now());
        let creation = Creation { old: self.old(&before) };
        let span = self.life.trace.creation(self.about(), self.mode, before.purpose());
        let task = Task { creation, scope, span };
        Ok((Begun { stake, before, began, started }, task))
    }

    /// Keeps what was created, or not, and tells those who wait. `None` if it was dropped at its
    /// hard time-out.
    async fn end<E>(&self, begun: Begun<V>, created: Option<Result<Created<V>, E>>) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
    {
        let Begun { stake, before, began, started } = begun;
        let Some(Held { leader, claim: Some(claim) }) = stake.take() else {
            // The call gave it up: it was told so, and who came since then creates anew.
            return Ok(self.serve_or(before, Error::creation_timeout())?);
        };
        match created {
            Some(Ok(created)) => {
                let made = Moments { began, ended: Instant::now() };
                self.life.shared.learn(made.ended.saturating_duration_since(started));
                Ok(self.settle(created, made, claim, leader).await)
            }
            Some(Err(error)) => self.fail(error, before, leader, claim),
            None => {
                drop(claim);
                self.failed(None, &leader);
                leader.finish(Outcome::TimedOut);
                Ok(self.serve_or(before, Error::creation_timeout())?)
            }
        }
    }

    /// What a call gets if the store failed before its creator could run: what may be served although
    /// nothing was made, and else the error.
    ///
    /// Without the claim the creator does not run: nothing would keep others from running theirs at the
    /// same time, and that may be what the store was chosen for.
    #[cold]
    pub(super) fn not_begun(&self, before: Before<V>, error: Error) -> Result<Got<V>, Error> {
        self.count(Count::NotBegun);
        self.life.trace.not_begun(self.about(), &error);
        let served = self.serve_or(before, error.clone())?;
        self.life.reports.not_begun(&error);
        Ok(served)
    }

    /// What a look under the claim is to what there was before.
    pub(super) fn under_claim<E>(
        &self,
        found: Found<V>,
        before: Before<V>,
    ) -> Result<Before<V>, Answer<V, E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        let before = match (found, before) {
            (Found::Current(seen), Before::Fresh(early)) if seen.began <= early.began => {
                Before::Fresh(seen)
            }
            (Found::Current(seen), _) => return Err(Ok(self.life.got_fresh(seen))),
            (Found::Old(seen), _) => Before::Old(seen),
            (Found::Absent, _) => Before::Nothing,
        };
        // Somebody may have failed since this call looked first.
        let before = self.after_failure(before);
        if let Ok(Before::Fresh(_)) = before {
            self.count(Count::Early);
        }
        before
    }

    /// All who wait get the error, and so does this call if nothing may be served instead.
    fn fail<E>(
        &self,
        error: E,
        before: Before<V>,
        leader: OwnedLeader<Key, Outcome>,
        claim: Claim,
    ) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
    {
        drop(claim);
        let shared: Arc<dyn Any + Send + Sync> = Arc::new(error.clone());
        self.failed(Some(Arc::clone(&shared)), &leader);
        leader.finish(Outcome::Failed(shared));
        self.instead(before).ok_or(CreateError::Create(error))
    }

    /// What is served instead of what could not be made.
    pub(super) fn instead(&self, before: Before<V>) -> Option<Got<V>> {
        match before {
            Before::Fresh(seen) => Some(self.life.got_fresh(seen)),
            Before::Old(seen) if seen.serves.on_error => {
                Some(self.serve_old(seen, Source::Fallback))
            }
            Before::Old(_) | Before::Nothing => self.default_value(),
        }
    }

    /// What the cache or the call gives where there is nothing else; it is not stored.
    pub(super) fn default_value(&self) -> Option<Got<V>> {
        let value = V::clone(self.life.default_value.as_ref()?);
        let (age, ttl) = (Duration::ZERO, Some(Duration::ZERO));
        Some(Got { value, source: Source::Fallback, age, ttl, stored: false })
    }

    pub(super) async fn claim(&self, wait: Wait) -> Result<Option<Claim>, Error> {
        self.store(
            wait,
            |life, request, wait| Ok(life.namespace.claim(&request.key, wait)?),
            async |life: &Life<V>, request: &Request, wait| {
                Ok(life.store().claim(&request.key, wait).await?)
            },
        )
        .await
    }

    fn old(&self, before: &Before<V>) -> Option<Old<V>> {
        let (Before::Fresh(seen) | Before::Old(seen)) = before else { return None };
        let Seen { value, began, etag, tags, .. } = seen.clone();
        let age = self.life.clock.coarse().saturating_duration_since(began);
        let tags = tags.map_or_else(Vec::new, |tags: Tags| tags.to_vec());
        Some(Old { value, age, etag, tags })
    }

    /// The creation's result; `None` if it was dropped because it reached its hard time-out.
    pub(super) async fn in_time<T>(&self, creating: impl Future<Output = T>) -> Option<T> {
        match self.request.policy.hard_timeout {
            #[cfg(feature = "tokio")]
            Some(limit) if self.can_drop() => {
                let in_time = runtime::timeout(limit, creating).await;
                if in_time.is_none() {
                    self.count(Count::TimedOut);
                }
                in_time
            }
            _ => Some(creating.await),
        }
    }

    pub(super) fn failed(
        &self,
        error: Option<Arc<dyn Any + Send + Sync>>,
        leader: &OwnedLeader<Key, Outcome>,
    ) {
        self.count(Count::Failed);
        let Request { key, policy, .. } = self.request;
        let failures = &self.life.shared.failures;
        // On the clock by which it is judged: by the precise one it would lie ahead of that for up
        // to a tick, and not count.
        let falls_back = self.life.default_value.is_some();
        let now = self.life.clock.coarse();
        failures.record(key, Failure::new(error, now, policy, falls_back));
        // What was made or removed meanwhile is not under that failure. (Whoever detaches the flight
        // forgets the key's failure afterwards, so one of the two comes last.)
        if leader.is_detached() {
            failures.forget(key);
        }
    }
}
