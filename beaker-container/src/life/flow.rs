//! One call: it finds the value, waits for it, or leads its creation.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use beaker_namespace::{Claim, Key, Tags, Timestamp, Wait};
use beaker_syncdict::{FlightScope, Join, Leader, OwnedLeader, TryJoin};

use super::counts::Count;
use super::failures::Failure;
use super::mode::{Mode, ready};
use super::outcome::{Call, Made, Outcome};
use super::seen::{Found, Seen, ttl_left};
use super::turn::{Before, Held, Stake, Turn};
use super::{Life, Policy};
use crate::creation::{Created, Creation, Old};
use crate::policy::{OnCancel, OnTimeout};
#[cfg(feature = "tokio")]
use crate::runtime;
use crate::watch::{About, Span};
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

type Answer<V, E> = Result<Got<V>, CreateError<E>>;

impl<V: Clone + Send + Sync + 'static> Life<V> {
    /// The current value, or a new one by a creator that ends with the call, on this thread.
    pub(crate) fn obtain_on_thread<E, C>(&self, request: &Request, create: C) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> Result<Created<V>, E>,
    {
        let flow = Flow::new(self, request, Mode::Thread);
        match ready(flow.approach())? {
            Approach::Done(got) => Ok(got),
            Approach::Lead(turn) => {
                flow.check_in_place()?;
                flow.lead_on_thread(turn, create)
            }
        }
        .map(|got| self.told(&request.key, got))
    }

    /// The same in a task.
    #[cfg(feature = "tokio")]
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
        .map(|got| self.told(&request.key, got))
    }
}

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

impl<'a, V: Clone + Send + Sync + 'static> Flow<'a, V> {
    pub(super) fn new(life: &'a Life<V>, request: &'a Request, mode: Mode) -> Self {
        let call = Call { began: Instant::now(), wall: life.clock.coarse() };
        Self { life, request, mode, call }
    }

    /// Whether the policy asks for what only a creator can give that outlives the call.
    pub(super) fn check_in_place(&self) -> Result<(), Error> {
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

    pub(super) fn count(&self, what: Count) {
        self.life.shared.count(what);
        self.life.trace.counted(self.about(), what);
    }

    pub(super) fn about(&self) -> About<'_> {
        self.life.about(&self.request.key)
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
        self.store(|life, request| life.fresh(&request.key, &request.policy)).await
    }

    pub(super) async fn look(&self) -> Result<Found<V>, Error> {
        self.store(|life, request| life.look(&request.key, &request.policy)).await
    }

    /// Runs `call`, which may block; see [`Mode::store`].
    pub(super) async fn store<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Life<V>, &Request) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.mode.store(self.life, self.request, call).await
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
        Turn::new(leader, &self.life.shared.flights, before)
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
        let backs_off = failure.backs_off(now);
        match before {
            Before::Fresh(seen) if backs_off => return Err(Ok(self.life.got_fresh(seen))),
            Before::Old(seen) if backs_off && seen.serves.any() => {
                return Err(Ok(self.serve_old(seen, Source::Fallback)));
            }
            Before::Fresh(_) => return Ok(before),
            Before::Old(ref seen) if seen.serves.any() => return Ok(before),
            Before::Old(_) | Before::Nothing => {}
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
            let valid = self.store(move |life, _| life.is_valid(began, tags.as_ref()));
            if !valid.await? {
                return Ok(None);
            }
        }
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
        let wait =
            if before.serves_at_once() { Wait::Never } else { Wait::AtMost(self.remaining()) };
        let claimed = self.claim(wait).await.map_err(|error| Err(error.into()))?;
        let Some(claim) = claimed else {
            // Dropping the lead lets a waiter try in turn; each has its own deadline.
            drop(stake);
            let served = match before.serves_at_once() {
                true => self.serve(before, Source::Stale),
                false => self.serve_or(before, Error::timeout()),
            };
            return Err(served.map_err(CreateError::Cache));
        };
        if let Err(claim) = stake.put(claim) {
            drop(claim);
            let served = self.serve_or(before, Error::creation_timeout());
            return Err(served.map_err(CreateError::Cache));
        }
        let looked = self.look_again(before).await.map_err(|error| Err(error.into()))?;
        let before = looked.inspect_err(|_settled| {
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
                self.life.shared.learn(started.elapsed());
                let (got, outcome) = self.settle(created, began, claim).await;
                leader.finish(outcome);
                Ok(got)
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

    /// The look under the claim: what there is now, or how the call is settled by it.
    pub(super) async fn look_again<E>(
        &self,
        before: Before<V>,
    ) -> Result<Result<Before<V>, Answer<V, E>>, Error>
    where
        E: Clone + Send + Sync + 'static,
    {
        let before = match (self.look().await?, before) {
            (Found::Current(seen), Before::Fresh(early)) if seen.began <= early.began => {
                Before::Fresh(seen)
            }
            (Found::Current(seen), _) => return Ok(Err(Ok(self.life.got_fresh(seen)))),
            (Found::Old(seen), _) => Before::Old(seen),
            (Found::Absent, _) => Before::Nothing,
        };
        // Somebody may have failed since this call looked first.
        let before = self.after_failure(before);
        if let Ok(Before::Fresh(_)) = before {
            self.count(Count::Early);
        }
        Ok(before)
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
        match before {
            Before::Fresh(seen) => Ok(self.life.got_fresh(seen)),
            Before::Old(seen) if seen.serves.on_error => Ok(self.serve_old(seen, Source::Fallback)),
            _ => Err(CreateError::Create(error)),
        }
    }

    pub(super) async fn claim(&self, wait: Wait) -> Result<Option<Claim>, Error> {
        self.store(move |life, request| Ok(life.namespace.claim(&request.key, wait)?)).await
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
        failures.record(key, Failure::new(error, self.life.clock.coarse(), policy));
        // What was made or removed meanwhile is not under that failure. (Whoever detaches the flight
        // forgets the key's failure afterwards, so one of the two comes last.)
        if leader.is_detached() {
            failures.forget(key);
        }
    }
}
