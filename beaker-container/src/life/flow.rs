//! One call: it finds the value, waits for it, or leads its creation.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use beaker_namespace::{Claim, Fulfilled, Key, Tags, Timestamp, Wait};
use beaker_syncdict::{Join, Leader, OwnedLeader, TryJoin};

use super::counts::Count;
use super::failures::Failure;
use super::mode::Mode;
use super::outcome::{Call, Made, Outcome};
use super::seen::{Found, Seen, ttl_left};
use super::{Life, Policy};
use crate::creation::{Created, Creation, Old};
use crate::policy::{OnCancel, OnTimeout};
#[cfg(feature = "tokio")]
use crate::runtime;
use crate::{CreateError, Error, Got, Source};

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) key: Key,
    pub(crate) policy: Policy,
    /// Tags for the value if it is made, beside those that its creator gives it.
    pub(crate) tags: Vec<String>,
    /// Whether the read that counts was had already.
    pub(crate) looked: bool,
}

impl Request {
    pub(crate) const fn new(key: Key, policy: Policy) -> Self {
        Self { key, policy, tags: Vec::new(), looked: false }
    }

    /// After a read that found nothing.
    pub(crate) const fn after_miss(key: Key, policy: Policy) -> Self {
        Self { key, policy, tags: Vec::new(), looked: true }
    }
}

/// One call on its way.
pub(super) struct Flow<'a, V> {
    pub(super) life: &'a Life<V>,
    pub(super) request: &'a Request,
    pub(super) mode: Mode,
    pub(super) call: Call,
}

/// What there is to do once the store was read and the flight was asked for.
pub(super) enum Approach<V> {
    Done(Got<V>),
    Lead(Turn<V>),
}

/// The right to create, and what there was before.
pub(super) struct Turn<V> {
    pub(super) leader: OwnedLeader<Key, Outcome>,
    pub(super) before: Before<V>,
    /// Set when the caller threw the creation away.
    pub(super) abandoned: Arc<AtomicBool>,
}

/// What there was before a creation.
#[derive(Clone)]
pub(super) enum Before<V> {
    /// A value that is fresh, and made anew early.
    Fresh(Seen<V>),
    Old(Seen<V>),
    Nothing,
}

impl<V> Before<V> {
    pub(super) fn serves_at_once(&self) -> bool {
        match self {
            Self::Fresh(_) => true,
            Self::Old(seen) => seen.serves.while_refreshing,
            Self::Nothing => false,
        }
    }
}

type Answer<V, E> = Result<Got<V>, CreateError<E>>;

impl<V: Clone + Send + Sync + 'static> Life<V> {
    /// The current value, or a new one by a creator that ends with the call.
    pub(crate) async fn obtain<E, C, F>(
        &self,
        request: &Request,
        mode: Mode,
        create: C,
    ) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> F,
        F: Future<Output = Result<Created<V>, E>>,
    {
        let flow = Flow::new(self, request, mode);
        match flow.approach().await? {
            Approach::Done(got) => Ok(got),
            Approach::Lead(turn) => {
                flow.check_in_place()?;
                flow.lead(turn, create).await
            }
        }
    }
}

impl<'a, V: Clone + Send + Sync + 'static> Flow<'a, V> {
    pub(super) fn new(life: &'a Life<V>, request: &'a Request, mode: Mode) -> Self {
        let call = Call { began: Instant::now(), wall: life.clock.coarse() };
        Self { life, request, mode, call }
    }

    /// Whether the policy asks for what only a creator can give that outlives the call.
    fn check_in_place(&self) -> Result<(), Error> {
        let policy = &self.request.policy;
        let wanted = match policy {
            Policy { soft_timeout: Some(_), .. } => "a soft time-out",
            Policy { hard_timeout: Some(_), .. } if !self.can_drop() => "a hard time-out",
            Policy { on_cancel: OnCancel::Detach, .. } if self.mode != Mode::Thread => {
                "a creation that runs on when its caller goes away"
            }
            _ => return Ok(()),
        };
        Err(Error::needs_spawn(wanted))
    }

    /// Whether a creation can be dropped at its hard time-out.
    fn can_drop(&self) -> bool {
        self.mode != Mode::Thread && self.request.policy.on_timeout == OnTimeout::Drop
    }

    pub(super) fn remaining(&self) -> Duration {
        match self.call.began.checked_add(self.request.policy.wait) {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        }
    }

    fn count(&self, what: Count) {
        self.life.shared.counts.add(what);
    }

    /// Reads and joins until there is a value, an error, or the lead.
    pub(super) async fn approach<E>(&self) -> Result<Approach<V>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        if !self.request.looked
            && let Some(seen) = self.first_look().await?
        {
            return Ok(self.hit(seen));
        }
        loop {
            let before = match self.look().await? {
                Found::Current(seen) => return Ok(Approach::Done(self.life.got_fresh(seen))),
                Found::Old(seen) => Before::Old(seen),
                Found::Absent => Before::Nothing,
            };
            let before = match self.after_failure(before) {
                Ok(before) => before,
                Err(settled) => return settled.map(Approach::Done),
            };
            if before.serves_at_once() {
                return match self.mode.try_join(&self.life.shared.flights, &self.request.key) {
                    TryJoin::Lead(leader) => Ok(Approach::Lead(self.turn(leader, before))),
                    TryJoin::Busy => Ok(Approach::Done(self.serve(before, Source::Stale)?)),
                    TryJoin::Reentrant => Err(Error::reentrant().into()),
                };
            }
            let wait = self.patience(&before);
            match self.mode.join(&self.life.shared.flights, &self.request.key, wait).await {
                Join::Lead(leader) => return Ok(Approach::Lead(self.turn(leader, before))),
                Join::Joined(outcome) => match self.share(outcome, before).await? {
                    Some(got) => return Ok(Approach::Done(got)),
                    None => continue,
                },
                Join::Reentrant => return Err(Error::reentrant().into()),
                Join::TimedOut => {
                    return Ok(Approach::Done(self.serve_or(before, Error::timeout())?));
                }
            }
        }
    }

    /// The read that counts.
    async fn first_look(&self) -> Result<Option<Seen<V>>, Error> {
        let Request { key, policy, .. } = self.request.clone();
        self.mode.store(self.life, move |life| life.fresh(&key, &policy)).await
    }

    pub(super) async fn look(&self) -> Result<Found<V>, Error> {
        let Request { key, policy, .. } = self.request.clone();
        self.mode.store(self.life, move |life| life.look(&key, &policy)).await
    }

    /// A hit, and whether it is this call's turn to make it anew early.
    fn hit(&self, seen: Seen<V>) -> Approach<V> {
        let Request { key, policy, .. } = self.request;
        let shared = &self.life.shared;
        let now = self.life.clock.coarse();
        if policy.watches_hits()
            && shared.pace.is_due(policy, seen.began, seen.expires, now)
            && !shared.failures.recent(key, now).is_some_and(|failure| failure.backs_off(now))
            && let TryJoin::Lead(leader) = self.mode.try_join(&shared.flights, key)
        {
            return Approach::Lead(self.turn(leader, Before::Fresh(seen)));
        }
        Approach::Done(self.life.got_fresh(seen))
    }

    pub(super) fn turn(&self, leader: Leader<'_, Key, Outcome>, before: Before<V>) -> Turn<V> {
        let leader = leader.into_owned(&self.life.shared.flights);
        Turn { leader, before, abandoned: Arc::default() }
    }

    /// What a recent failure leaves to do: nothing, or the call is settled by it.
    pub(super) fn after_failure<E>(&self, before: Before<V>) -> Result<Before<V>, Answer<V, E>>
    where
        E: Clone + 'static,
    {
        let now = self.life.clock.coarse();
        let Some(failure) = self.life.shared.failures.recent(&self.request.key, now) else {
            return Ok(before);
        };
        if let Before::Old(seen) = &before
            && seen.serves.any()
        {
            if failure.backs_off(now) {
                return Err(Ok(self.serve_old(seen.clone(), Source::Fallback)));
            }
            return Ok(before);
        }
        match &failure.error {
            Some(error) if failure.is_told(now) => match error.downcast_ref::<E>() {
                Some(error) => Err(Err(CreateError::Create(error.clone()))),
                None => Ok(before),
            },
            None if failure.is_told(now) => Err(Err(Error::creation_timeout().into())),
            _ => Ok(before),
        }
    }

    /// How long this call waits for another's creation.
    fn patience(&self, before: &Before<V>) -> Duration {
        let remaining = self.remaining();
        match (before, self.request.policy.soft_timeout) {
            (Before::Old(seen), Some(soft)) if seen.serves.any() => remaining.min(soft),
            _ => remaining,
        }
    }

    /// What another's outcome is to this call; `None` if it has to look again: because something
    /// was or may have been invalidated, or because the leader's types are not its own.
    async fn share<E>(
        &self,
        outcome: Outcome,
        before: Before<V>,
    ) -> Result<Option<Got<V>>, CreateError<E>>
    where
        E: Clone + 'static,
    {
        match outcome {
            Outcome::Made(made) => Ok(self.take(made).await?),
            Outcome::Failed(error) => match (before, error.downcast_ref::<E>()) {
                (Before::Old(seen), _) if seen.serves.on_error => {
                    Ok(Some(self.serve_old(seen, Source::Fallback)))
                }
                (_, Some(error)) => Err(CreateError::Create(error.clone())),
                (_, None) => Ok(None),
            },
            Outcome::TimedOut => Ok(Some(self.serve_or(before, Error::creation_timeout())?)),
            Outcome::LookAgain => Ok(None),
        }
    }

    async fn take(&self, made: Made) -> Result<Option<Got<V>>, Error> {
        if !made.suits(&self.call, &self.request.policy) {
            return Ok(None);
        }
        let Some(value) = made.value.downcast_ref::<V>().cloned() else { return Ok(None) };
        if made.tags.is_some() || self.life.region.is_some() {
            let Made { began, tags, .. } = made.clone();
            let valid = self.mode.store(self.life, move |life| life.is_valid(began, tags.as_ref()));
            if !valid.await? {
                return Ok(None);
            }
        }
        self.count(Count::Joined);
        let now = self.life.clock.coarse();
        Ok(Some(Got {
            value,
            source: Source::Joined,
            age: now.saturating_duration_since(made.began),
            ttl: ttl_left(made.expires, now),
            stored: made.stored,
        }))
    }

    pub(super) fn serve_old(&self, seen: Seen<V>, source: Source) -> Got<V> {
        self.count(if source == Source::Stale { Count::Stale } else { Count::Fallbacks });
        seen.got(source, self.life.clock.coarse())
    }

    /// What there was before, which is fresh or which the policy lets be served.
    pub(super) fn serve(&self, before: Before<V>, source: Source) -> Result<Got<V>, Error> {
        match before {
            Before::Fresh(seen) => Ok(self.life.got_fresh(seen)),
            Before::Old(seen) => Ok(self.serve_old(seen, source)),
            Before::Nothing => Err(Error::timeout()),
        }
    }

    /// What there was before, if it may be served although a creation failed; else `error`.
    pub(super) fn serve_or(&self, before: Before<V>, error: Error) -> Result<Got<V>, Error> {
        match before {
            Before::Fresh(seen) => Ok(self.life.got_fresh(seen)),
            Before::Old(seen) if seen.serves.any() => Ok(self.serve_old(seen, Source::Fallback)),
            Before::Old(_) | Before::Nothing => Err(error),
        }
    }

    /// Creates, under the claim.
    pub(super) async fn lead<E, C, F>(&self, turn: Turn<V>, create: C) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> F,
        F: Future<Output = Result<Created<V>, E>>,
    {
        let Turn { leader, before, abandoned } = turn;
        let wait =
            if before.serves_at_once() { Wait::Never } else { Wait::AtMost(self.remaining()) };
        let Some(claim) = self.claim(wait).await? else {
            // Dropping the leader lets a waiter try in turn; each has its own deadline.
            drop(leader);
            return match before {
                before if before.serves_at_once() => Ok(self.serve(before, Source::Stale)?),
                before => Ok(self.serve_or(before, Error::timeout())?),
            };
        };
        let before = match (self.look().await?, before) {
            (Found::Current(seen), Before::Fresh(early)) if seen.began <= early.began => {
                self.count(Count::Early);
                Before::Fresh(seen)
            }
            (Found::Current(seen), _) => {
                // It is in the store, where those who wait find it unless it goes meanwhile.
                leader.finish(Outcome::LookAgain);
                return Ok(self.life.got_fresh(seen));
            }
            (Found::Old(seen), _) => Before::Old(seen),
            (Found::Absent, _) => Before::Nothing,
        };
        let (began, started) = (self.life.clock.now(), Instant::now());
        let creation = Creation { old: self.old(&before) };
        let scope = leader.scope();
        let created = self.in_time(scope.wrap(async move { create(creation).await })).await;
        let created = if abandoned.load(Ordering::Acquire) { None } else { created };
        match created {
            Some(Ok(created)) => {
                self.life.shared.pace.learn(started.elapsed());
                let (got, outcome) = self.settle(created, began, claim).await;
                leader.finish(outcome);
                Ok(got)
            }
            Some(Err(error)) => {
                drop(claim);
                let shared: Arc<dyn Any + Send + Sync> = Arc::new(error.clone());
                self.failed(Some(Arc::clone(&shared)));
                leader.finish(Outcome::Failed(shared));
                match before {
                    Before::Fresh(seen) => Ok(self.life.got_fresh(seen)),
                    Before::Old(seen) if seen.serves.on_error => {
                        Ok(self.serve_old(seen, Source::Fallback))
                    }
                    _ => Err(CreateError::Create(error)),
                }
            }
            None => {
                drop(claim);
                self.failed(None);
                leader.finish(Outcome::TimedOut);
                Ok(self.serve_or(before, Error::creation_timeout())?)
            }
        }
    }

    pub(super) async fn claim(&self, wait: Wait) -> Result<Option<Claim>, Error> {
        let key = self.request.key.clone();
        let claim = move |life: &Life<V>| Ok(life.namespace.claim(&key, wait)?);
        self.mode.store(self.life, claim).await
    }

    fn old(&self, before: &Before<V>) -> Option<Old<V>> {
        let (Before::Fresh(seen) | Before::Old(seen)) = before else { return None };
        let Seen { value, began, etag, tags, .. } = seen.clone();
        let age = self.life.clock.coarse().saturating_duration_since(began);
        let tags = tags.map_or_else(Vec::new, |tags: Tags| tags.to_vec());
        Some(Old { value, age, etag, tags })
    }

    /// The creation's result; `None` if it was dropped because it reached its hard time-out.
    async fn in_time<T>(&self, creating: impl Future<Output = T>) -> Option<T> {
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

    pub(super) fn failed(&self, error: Option<Arc<dyn Any + Send + Sync>>) {
        self.count(Count::Failed);
        let failure = Failure::new(error, self.life.clock.now(), &self.request.policy);
        self.life.shared.failures.record(&self.request.key, failure);
    }

    /// Stores what was created, and says what the caller and the waiters get.
    ///
    /// A value that was made is never thrown away because the store fails: it is returned, the
    /// failure is counted and reported.
    pub(super) async fn settle(
        &self,
        created: Created<V>,
        began: Timestamp,
        claim: Claim,
    ) -> (Got<V>, Outcome) {
        self.life.shared.failures.forget(&self.request.key);
        self.count(Count::Created);
        let source = match created.unchanged {
            true => {
                self.count(Count::Unchanged);
                Source::Unchanged
            }
            false => Source::Created,
        };
        let entry =
            self.life.entry(&created.as_ref(), &self.request.policy, &self.request.tags, began);
        let (expires, tags) = match &entry {
            Ok(entry) => (entry.expires(), entry.shared_tags()),
            Err(_) => {
                let ttl = self.life.chosen_ttl(&created.as_ref());
                (self.request.policy.times_of(ttl, began).0, None)
            }
        };
        let valid_at = Instant::now();
        let stored = match entry {
            Ok(_) if !created.stored => {
                drop(claim);
                Ok(None)
            }
            Ok(entry) => {
                let key = self.request.key.clone();
                let fulfil = move |life: &Life<V>| Ok(life.namespace.fulfil(&key, entry, claim)?);
                self.mode.store(self.life, fulfil).await.map(Some)
            }
            Err(error) => Err(error),
        };
        let superseded = matches!(stored, Ok(Some(Fulfilled::Superseded)));
        let is_stored = matches!(stored, Ok(Some(Fulfilled::Stored)));
        if superseded {
            self.count(Count::Superseded);
        }
        if let Err(error) = stored {
            self.life.reports.unstored(&error);
        }
        let outcome = match superseded {
            true => Outcome::LookAgain,
            false => Outcome::Made(Made {
                value: Arc::new(created.value.clone()),
                began,
                expires,
                valid_at,
                tags,
                stored: is_stored,
            }),
        };
        let now = self.life.clock.now();
        let got = Got {
            value: created.value,
            source,
            age: now.saturating_duration_since(began),
            ttl: ttl_left(expires, now),
            stored: is_stored,
        };
        (got, outcome)
    }
}
