//! One call: it finds the value, waits for it, or leads its creation.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use beaker_namespace::{Key, Latency, Tags, Timestamp};
use beaker_syncdict::{Join, Leader, TryJoin};

use super::behind::Patience;
use super::counts::Count;
use super::mode::{Mode, ready};
use super::outcome::{Call, Made, Outcome};
use super::seen::{Found, Seen, ttl_left};
use super::turn::{Before, Turn};
use super::{Life, Policy};
use crate::creation::{Created, Creation};
use crate::policy::{OnTimeout, Stale};
use crate::watch::About;
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

    /// Nothing that is there now can be served: the look under the claim is enough.
    fn has_looked_enough(&self) -> bool {
        self.policy.stale == Stale::Never
    }
}

/// One call on its way.
pub(super) struct Flow<'a, V> {
    pub(super) life: &'a Life<V>,
    pub(super) request: &'a Request,
    pub(super) mode: Mode,
    /// When it began, as far as that matters: see [`Flow::call`].
    pub(super) call: OnceLock<Call>,
}

/// What a call found when it came.
enum First<V> {
    Hit(Seen<V>),
    Miss(Found<V>),
}

/// What there is to do once the store was read and the flight was asked for.
pub(super) enum Approach<V> {
    Done(Got<V>),
    Lead(Turn<V>),
}

pub(super) type Answer<V, E> = Result<Got<V>, CreateError<E>>;

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
                let overdue = flow.overdue(&turn.before);
                let answer = flow.lead_on_thread(turn, create);
                flow.count_if(overdue);
                answer
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
                let overdue = flow.overdue(&turn.before);
                let answer = flow.lead(turn, create).await;
                flow.count_if(overdue);
                answer
            }
        }
        .map(|got| self.told(&request.key, got))
    }
}

impl<'a, V: Clone + Send + Sync + 'static> Flow<'a, V> {
    pub(super) fn new(life: &'a Life<V>, request: &'a Request, mode: Mode) -> Self {
        let flow = Self { life, request, mode, call: OnceLock::new() };
        if life.namespace.latency() != Latency::Inline {
            flow.call();
        }
        flow
    }

    /// When the call began; on a store that answers at once, when it first had something to wait for.
    ///
    /// Most calls there wait for nothing, and need not know. Those that do are more strict than they
    /// must be: what suits a call that began later suits them.
    pub(super) fn call(&self) -> &Call {
        self.call.get_or_init(|| Call::now(&*self.life.clock))
    }

    /// Whether a creation can be dropped at its hard time-out.
    pub(super) fn can_drop(&self) -> bool {
        self.mode != Mode::Thread && self.request.policy.on_timeout == OnTimeout::Drop
    }

    /// When a creation that runs in this call, and cannot be cut short, is overdue.
    pub(super) fn overdue(&self, before: &Before<V>) -> Option<Instant> {
        let limit = Patience::of(&self.request.policy, before).limit()?;
        // One that is dropped in time is counted there.
        if self.can_drop() { None } else { Instant::now().checked_add(limit) }
    }

    /// Counts the creation that ended now, if it was `overdue`.
    pub(super) fn count_if(&self, overdue: Option<Instant>) {
        if overdue.is_some_and(|overdue| Instant::now() > overdue) {
            self.count(Count::TimedOut);
        }
    }

    pub(super) fn remaining(&self) -> Duration {
        self.left_of(self.request.policy.wait)
    }

    /// What is left of a time that began with the call.
    fn left_of(&self, time: Duration) -> Duration {
        match self.call().began.checked_add(time) {
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
        let mut looked = match self.first_look().await? {
            First::Hit(seen) => return Ok(self.hit(seen)),
            First::Miss(found) => Some(found),
        };
        loop {
            let found = match looked.take() {
                Some(found) => found,
                None => self.look().await?,
            };
            let before = match found {
                Found::Current(seen) => return Ok(Approach::Done(self.life.got_fresh(seen))),
                Found::Old(seen) => Before::Old(seen),
                Found::Absent => Before::Nothing,
            };
            let before = match self.after_failure(before) {
                Ok(before) => before,
                Err(settled) => return settled.map(Approach::Done),
            };
            match self.mode.try_join(&self.life.shared.flights, &self.request.key) {
                TryJoin::Lead(leader) => return Ok(Approach::Lead(self.turn(leader, before))),
                TryJoin::Busy if before.serves_at_once() => {
                    return Ok(Approach::Done(self.serve(before, Source::Stale)?));
                }
                TryJoin::Busy => {}
                TryJoin::Reentrant => return Err(Error::reentrant().into()),
            }
            let wait = self.patience(&before);
            match self.mode.join(&self.life.shared.flights, &self.request.key, wait).await {
                Join::Lead(leader) => return Ok(Approach::Lead(self.turn(leader, before))),
                Join::Joined(outcome) => match self.share(outcome, before).await? {
                    Some(got) => return Ok(Approach::Done(got)),
                    None => continue,
                },
                Join::Reentrant => return Err(Error::reentrant().into()),
                Join::TimedOut => return Ok(Approach::Done(self.gave_up_waiting(before)?)),
            }
        }
    }

    /// The read that counts, if it was not had, and the look that decides: one call of the store's.
    async fn first_look(&self) -> Result<First<V>, Error> {
        let block = |life: &Life<V>, request: &Request, ()| {
            let Request { key, policy, looked, .. } = request;
            if !looked && let Some(seen) = life.timed(|| life.fresh(key, policy))? {
                return Ok(First::Hit(seen));
            }
            if request.has_looked_enough() {
                return Ok(First::Miss(Found::Absent));
            }
            life.look(key, policy).map(First::Miss)
        };
        let wait = async |life: &Life<V>, request: &Request, ()| {
            let Request { key, policy, looked, .. } = request;
            if !looked && let Some(seen) = life.timed_async(life.fresh_async(key, policy)).await? {
                return Ok(First::Hit(seen));
            }
            if request.has_looked_enough() {
                return Ok(First::Miss(Found::Absent));
            }
            life.look_async(key, policy).await.map(First::Miss)
        };
        self.store((), block, wait).await
    }

    pub(super) async fn look(&self) -> Result<Found<V>, Error> {
        self.store(
            (),
            |life, request, ()| life.look(&request.key, &request.policy),
            async |life: &Life<V>, request: &Request, ()| {
                life.look_async(&request.key, &request.policy).await
            },
        )
        .await
    }

    /// Calls the store; see [`Mode::store`].
    pub(super) async fn store<I: Send + 'static, T: Send + 'static>(
        &self,
        input: I,
        block: impl FnOnce(&Life<V>, &Request, I) -> Result<T, Error> + Send + 'static,
        wait: impl AsyncFnOnce(&Life<V>, &Request, I) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.mode.store(self.life, self.request, input, block, wait).await
    }

    /// A hit, and whether it is this call's turn to make it anew early.
    pub(super) fn hit(&self, seen: Seen<V>) -> Approach<V> {
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
        if !self.life.shared.failures.any() {
            return Ok(before);
        }
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
        if backs_off && let Some(got) = self.default_value() {
            return Err(Ok(got));
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
        match Patience::of(&self.request.policy, before) {
            Patience::Endless => remaining,
            Patience::Soft(soft) => remaining.min(soft),
            Patience::Hard(hard) => remaining.min(self.left_of(hard)),
        }
    }

    /// What a call gets that waited for another's creation as long as it may: at a time-out it is served
    /// as the leader is.
    fn gave_up_waiting(&self, before: Before<V>) -> Result<Got<V>, Error> {
        if self.remaining().is_zero() {
            return self.serve_or(before, Error::timeout());
        }
        match Patience::of(&self.request.policy, &before) {
            Patience::Soft(_) => self.serve(before, Source::Stale),
            Patience::Hard(_) | Patience::Endless => {
                self.serve_or(before, Error::creation_timeout())
            }
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
            Outcome::Failed(error) => match (self.instead(before), error.downcast_ref::<E>()) {
                (Some(got), _) => Ok(Some(got)),
                (None, Some(error)) => Err(CreateError::Create(error.clone())),
                (None, None) => Ok(None),
            },
            Outcome::TimedOut => Ok(Some(self.serve_or(before, Error::creation_timeout())?)),
            Outcome::LookAgain => Ok(None),
        }
    }

    async fn take(&self, made: Made) -> Result<Option<Got<V>>, Error> {
        if !made.suits(self.call(), &self.request.policy) {
            return Ok(None);
        }
        let Some(value) = made.value.downcast_ref::<V>().cloned() else { return Ok(None) };
        if made.tags.is_some() || self.life.region.is_some() {
            let Made { began, tags, .. } = made.clone();
            let valid = self.store(
                (began, tags),
                |life, _, (began, tags)| life.is_valid(began, tags.as_ref()),
                async |life: &Life<V>, _: &Request, (began, tags): (Timestamp, Option<Tags>)| {
                    life.is_valid_async(began, tags.as_ref()).await
                },
            );
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
            Before::Old(_) | Before::Nothing => self.default_value().ok_or(error),
        }
    }
}
