//! Many keys in one call.
//
// 1. What is current is read in one call of the store. So is what the looks have to see: of all that is
//    missing before anything is led, if that can serve the caller, and of all that is claimed.
// 2. Of the rest, every key that nobody leads is led, without waiting for any: so two batches, or a
//    batch and a call, never wait for each other with a lead in hand. What is current but due to be made
//    anew early, and led by nobody, is led too.
// 3. What is led is created by one call of the creator, and its flights end before anything is
//    waited for. A claim that another process holds is not waited for either: its key is left.
// 4. Only then the keys that others create are waited for, one by one. If that passes the lead to
//    this call it begins anew from 2, with the keys that are still missing.
// 5. A creation that can outlive the call takes what is led with it: see `batch_behind.rs`.

use std::any::Any;
use std::future::Future;
use std::mem;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use beaker_namespace::{Key, Wait};
use beaker_syncdict::{FlightScope, TryJoin};

use super::Life;
use super::flow::{Approach, Flow, Request};
use super::mode::Mode;
use super::outcome::{Call, Outcome};
use super::seen::{Found, Seen};
use super::settle::Moments;
use super::turn::{Before, Held, Stake, Turn};
use crate::creation::Created;
use crate::policy::{Policy, Stale};
use crate::{CreateError, Error, ErrorKind, Got, Source};

/// A key that is led, with the claim on it.
struct Claimed<V> {
    index: usize,
    stake: Arc<Stake>,
    scope: FlightScope,
    before: Before<V>,
}

/// What asking for one key came to, without waiting.
enum AtOnce<V> {
    Done(Got<V>),
    Lead(Turn<V>),
    Busy,
}

/// Keys that are led, by their places.
pub(crate) type Turns<V> = Vec<(usize, Turn<V>)>;

/// What leading some keys came to.
pub(crate) struct Led<V> {
    /// Which values there are now.
    pub(super) values: Vec<(usize, Got<V>)>,
    /// The keys that another process creates.
    pub(super) contended: Vec<usize>,
}

impl<V> Default for Led<V> {
    fn default() -> Self {
        Self { values: Vec::new(), contended: Vec::new() }
    }
}

pub(crate) type LedOr<V, E> = Result<Led<V>, CreateError<E>>;

/// All the keys of one call for many, and how it asks for them.
pub(crate) struct Batch<'a, V> {
    pub(super) life: &'a Life<V>,
    /// No two are of one key, and all are of one policy.
    pub(super) requests: &'a [Request],
    pub(super) policy: Policy,
    pub(super) mode: Mode,
    /// One call for all of them: they share its time to wait.
    pub(super) call: OnceLock<Call>,
}

impl<V: Clone + Send + Sync + 'static> Life<V> {
    /// A value for each request, in their order. No two requests may be of one key. `lead` creates what
    /// is led: [`Batch::lead`], or what goes on behind the call.
    pub(crate) async fn obtain_many<E, L>(
        &self,
        requests: &[Request],
        policy: &Policy,
        mode: Mode,
        mut lead: L,
    ) -> Result<Vec<Got<V>>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
        L: LeadMany<V, E>,
    {
        let call = OnceLock::from(Call::now(&*self.clock));
        let batch = Batch { life: self, requests, policy: *policy, mode, call };
        let mut asking = Asking::begin(&batch).await?;
        while asking.go_on(&mut lead).await?.is_continue() {}
        Ok(asking.values.into_iter().flatten().collect())
    }
}

/// What creates the keys that are led.
pub(crate) trait LeadMany<V, E> {
    fn lead(
        &mut self,
        batch: &Batch<'_, V>,
        turns: Turns<V>,
        wait: Wait,
    ) -> impl Future<Output = LedOr<V, E>>;
}

/// Creates in the call, by a creator that ends with it: what `.0` gives for places.
pub(crate) struct InPlace<C>(pub(crate) C);

impl<V, E, C, F> LeadMany<V, E> for InPlace<C>
where
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
    C: FnMut(Vec<usize>) -> F,
    F: Future<Output = Result<Vec<Created<V>>, E>>,
{
    async fn lead(&mut self, batch: &Batch<'_, V>, turns: Turns<V>, wait: Wait) -> LedOr<V, E> {
        let Some((first, turn)) = turns.first() else { return Ok(Led::default()) };
        let (flow, overdue) = (batch.flow(*first), batch.flow(*first).overdue(&turn.before));
        let led = batch.lead(turns, wait, &mut self.0).await;
        flow.count_if(overdue);
        led
    }
}

/// How far one call for many keys has come.
struct Asking<'a, V> {
    batch: &'a Batch<'a, V>,
    /// What there is so far.
    values: Vec<Option<Got<V>>>,
    /// The keys that another process creates.
    contended: Vec<bool>,
    /// What is current, and this call's turn to make anew early.
    early: Turns<V>,
    /// Whether anything was done since the first read.
    looked: bool,
}

/// What asking for all that is missing came to.
struct Asked<V> {
    turns: Turns<V>,
    /// The first key that somebody else creates.
    busy: Option<usize>,
}

impl<'a, V: Clone + Send + Sync + 'static> Asking<'a, V> {
    /// The first read, in one call of the store.
    async fn begin(batch: &'a Batch<'a, V>) -> Result<Self, Error> {
        let found = batch.read().await?;
        let count = found.len();
        let mut asking = Self {
            batch,
            values: Vec::with_capacity(count),
            contended: vec![false; count],
            early: Vec::new(),
            looked: false,
        };
        for (index, seen) in found.into_iter().enumerate() {
            let value = match seen.map(|seen| batch.flow(index).hit(seen)) {
                None => None,
                Some(Approach::Done(got)) => Some(got),
                Some(Approach::Lead(turn)) => {
                    asking.early.push((index, turn));
                    None
                }
            };
            asking.values.push(value);
        }
        Ok(asking)
    }

    /// Creates all that nobody else creates, or else waits for one key; until nothing is missing.
    async fn go_on<E, L>(&mut self, lead: &mut L) -> Result<ControlFlow<()>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
        L: LeadMany<V, E>,
    {
        let Asked { turns, busy } = self.ask_for_missing().await?;
        if !turns.is_empty() {
            let led = lead.lead(self.batch, turns, Wait::Never).await?;
            self.take(led);
            return Ok(ControlFlow::Continue(()));
        }
        let Some(index) = busy else { return Ok(ControlFlow::Break(())) };
        let flow = self.batch.flow(index);
        match flow.approach().await? {
            Approach::Done(got) => self.values[index] = Some(flow.told(got)),
            Approach::Lead(turn) => {
                let got = self.lead_one(index, turn, lead).await?;
                self.values[index] = Some(got);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn take(&mut self, led: Led<V>) {
        for (index, got) in led.values {
            self.values[index] = Some(got);
        }
        for index in led.contended {
            self.contended[index] = true;
        }
    }

    /// Leads what nobody leads of all that is missing, without waiting for any.
    async fn ask_for_missing<E>(&mut self) -> Result<Asked<V>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        let mut turns = mem::take(&mut self.early);
        let is_led = |index: usize| turns.iter().any(|(led, _)| *led == index);
        let missing = (0..self.values.len()).filter(|&index| self.values[index].is_none());
        let (contended, wanted): (Vec<_>, Vec<_>) =
            missing.filter(|&index| !is_led(index)).partition(|&index| self.contended[index]);
        let mut busy = contended.first().copied();
        for (index, found) in wanted.iter().copied().zip(self.look_first(&wanted).await?) {
            let flow = self.batch.flow(index);
            match flow.approach_at_once(found)? {
                AtOnce::Done(got) => self.values[index] = Some(flow.told(got)),
                AtOnce::Lead(turn) => turns.push((index, turn)),
                AtOnce::Busy => busy = busy.or(Some(index)),
            }
        }
        Ok(Asked { turns, busy })
    }

    /// The looks before anything is led. The first read is enough where nothing that it passed over can
    /// be served.
    async fn look_first(&mut self, wanted: &[usize]) -> Result<Vec<Found<V>>, Error> {
        let was_read_just_now = !mem::replace(&mut self.looked, true);
        if was_read_just_now && self.batch.policy.stale == Stale::Never {
            return Ok(wanted.iter().map(|_| Found::Absent).collect());
        }
        self.batch.look(wanted).await
    }

    /// Creates the value of a key that was waited for.
    async fn lead_one<E, L>(
        &self,
        index: usize,
        turn: Turn<V>,
        lead: &mut L,
    ) -> Result<Got<V>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
        L: LeadMany<V, E>,
    {
        let flow = self.batch.flow(index);
        let before = turn.before.clone();
        let wait = match before.serves_at_once() {
            true => Wait::Never,
            false => Wait::AtMost(flow.remaining()),
        };
        let led = lead.lead(self.batch, vec![(index, turn)], wait).await?;
        Ok(match led.values.into_iter().next() {
            Some((_, got)) => got,
            None => flow.told(flow.serve_or(before, Error::timeout())?),
        })
    }
}

impl<V: Clone + Send + Sync + 'static> Batch<'_, V> {
    pub(super) fn flow(&self, index: usize) -> Flow<'_, V> {
        let (life, call) = (self.life, self.call.clone());
        Flow { life, request: &self.requests[index], mode: self.mode, call }
    }

    fn keys(&self, places: impl Iterator<Item = usize>) -> Vec<Key> {
        places.map(|index| self.requests[index].key.clone()).collect()
    }

    async fn read(&self) -> Result<Vec<Option<Seen<V>>>, Error> {
        let keys = self.keys(0..self.requests.len());
        self.mode
            .store(
                self.life,
                &keys,
                self.policy,
                |life, keys, policy| life.seen_many(keys, &policy),
                async |life: &Life<V>, keys: &Vec<Key>, policy: Policy| {
                    life.seen_many_async(keys, &policy).await
                },
            )
            .await
    }

    /// Looks at keys, in one call of the store.
    async fn look(&self, places: &[usize]) -> Result<Vec<Found<V>>, Error> {
        let keys = self.keys(places.iter().copied());
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.mode
            .store(
                self.life,
                &keys,
                self.policy,
                |life, keys, policy| life.look_many(keys, &policy),
                async |life: &Life<V>, keys: &Vec<Key>, policy: Policy| {
                    life.look_many_async(keys, &policy).await
                },
            )
            .await
    }

    /// Creates what is led, by one call of `create`, and says which values there are now.
    pub(super) async fn lead<E, C, F>(
        &self,
        turns: Turns<V>,
        wait: Wait,
        create: &mut C,
    ) -> LedOr<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnMut(Vec<usize>) -> F,
        F: Future<Output = Result<Vec<Created<V>>, E>>,
    {
        let (claimed, mut led) = self.claim_all(turns, wait).await?;
        let Some(first) = claimed.first() else { return Ok(led) };
        let first = self.flow(first.index);
        let (began, started) = (self.life.clock.now(), Instant::now());
        let places: Vec<usize> = claimed.iter().map(|one| one.index).collect();
        let (cache, mode) = (self.life.namespace.id(), self.mode);
        let span = self.life.trace.creation_of_many(cache, places.len(), mode);
        let scopes = claimed.iter().map(|one| one.scope).collect();
        let creating =
            Working { scopes, work: Box::pin(span.wrap(async move { create(places).await })) };
        match first.in_time(creating).await {
            Some(Ok(created)) if created.len() == claimed.len() => {
                let made = Moments { began, ended: Instant::now() };
                self.life.shared.learn(made.ended.saturating_duration_since(started));
                for (one, created) in claimed.into_iter().zip(created) {
                    led.values.push(self.settle(one, created, made).await?);
                }
                Ok(led)
            }
            Some(Ok(created)) => Err(wrong_number(created.len(), claimed.len()).into()),
            Some(Err(error)) => {
                led.values.extend(self.fail(claimed, Failed::Error(error))?);
                Ok(led)
            }
            None => {
                led.values.extend(self.fail(claimed, Failed::Time)?);
                Ok(led)
            }
        }
    }

    /// Claims the keys that are led. Those that another process creates, and those that have become
    /// current, are led no more; the second are among the values.
    async fn claim_all<E: Clone + Send + Sync + 'static>(
        &self,
        turns: Turns<V>,
        wait: Wait,
    ) -> Result<(Vec<Claimed<V>>, Led<V>), CreateError<E>> {
        let (mut held, mut led) = (Vec::new(), Led::default());
        for (index, turn) in turns {
            let flow = self.flow(index);
            let Turn { stake, scope, before } = turn;
            let Some(claim) = flow.claim(wait).await? else {
                drop(stake);
                match before.serves_at_once() {
                    true => led.values.push((index, flow.served(before)?)),
                    false => led.contended.push(index),
                }
                continue;
            };
            match stake.put(claim) {
                Ok(()) => held.push(Claimed { index, stake, scope, before }),
                Err(claim) => {
                    drop(claim);
                    let served = flow.serve_or(before, Error::creation_timeout())?;
                    led.values.push((index, flow.told(served)));
                }
            }
        }
        let places: Vec<usize> = held.iter().map(|one| one.index).collect();
        let looked = self.look(&places).await?;
        let mut claimed = Vec::with_capacity(held.len());
        for (one, found) in held.into_iter().zip(looked) {
            let flow = self.flow(one.index);
            match flow.under_claim(found, one.before) {
                Ok(before) => claimed.push(Claimed { before, ..one }),
                Err(settled) => {
                    if let Some(Held { leader, .. }) = one.stake.take() {
                        leader.finish(Outcome::LookAgain);
                    }
                    led.values.push((one.index, flow.told(settled?)));
                }
            }
        }
        Ok((claimed, led))
    }

    async fn settle(
        &self,
        one: Claimed<V>,
        created: Created<V>,
        made: Moments,
    ) -> Result<(usize, Got<V>), Error> {
        let Claimed { index, stake, before, .. } = one;
        let flow = self.flow(index);
        Ok((
            index,
            match stake.take() {
                Some(Held { leader, claim: Some(claim) }) => {
                    flow.settle(created, made, claim, leader).await
                }
                // The call gave it up: it was told so, and who came since then creates anew.
                _ => flow.told(flow.serve_or(before, Error::creation_timeout())?),
            },
        ))
    }

    /// All who wait get the error. The call gets the old values if the policy allows that and there
    /// is one for each key.
    fn fail<E>(
        &self,
        claimed: Vec<Claimed<V>>,
        failed: Failed<E>,
    ) -> Result<Vec<(usize, Got<V>)>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        let shared: Option<Arc<dyn Any + Send + Sync>> = match &failed {
            Failed::Error(error) => Some(Arc::new(error.clone())),
            Failed::Time => None,
        };
        let mut served = Vec::new();
        let mut lacking = false;
        for Claimed { index, stake, before, .. } in claimed {
            let flow = self.flow(index);
            if let Some(Held { leader, claim }) = stake.take() {
                drop(claim);
                flow.failed(shared.clone(), &leader);
                leader.finish(shared.clone().map_or(Outcome::TimedOut, Outcome::Failed));
            }
            match flow.instead(before) {
                Some(got) => served.push((index, got)),
                None => lacking = true,
            }
        }
        match failed {
            _ if !lacking => Ok(served
                .into_iter()
                .map(|(index, got)| (index, self.flow(index).told(got)))
                .collect()),
            Failed::Error(error) => Err(CreateError::Create(error)),
            Failed::Time => Err(Error::creation_timeout().into()),
        }
    }
}

/// How a creation failed.
enum Failed<E> {
    Error(E),
    /// It reached its hard time-out, and was dropped.
    Time,
}

/// Work for several flights at a time, which is told of re-entry into each of them.
struct Working<F> {
    scopes: Vec<FlightScope>,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for Working<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut entered: Vec<_> = self.scopes.iter().map(|scope| scope.enter()).collect();
        let polled = self.work.as_mut().poll(context);
        // The last one first, as they lie on their stack.
        while entered.pop().is_some() {}
        polled
    }
}

impl<V: Clone + Send + Sync + 'static> Flow<'_, V> {
    /// What a call got for the key, counted.
    pub(super) fn told(&self, got: Got<V>) -> Got<V> {
        self.life.told(&self.request.key, got)
    }

    /// What may be served at once.
    pub(super) fn served(&self, before: Before<V>) -> Result<Got<V>, Error> {
        Ok(self.told(self.serve(before, Source::Stale)?))
    }

    /// As [`approach`](Self::approach) after a look, without waiting for anybody.
    fn approach_at_once<E>(&self, found: Found<V>) -> Result<AtOnce<V>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        let before = match found {
            Found::Current(seen) => return Ok(AtOnce::Done(self.life.got_fresh(seen))),
            Found::Old(seen) => Before::Old(seen),
            Found::Absent => Before::Nothing,
        };
        let before = match self.after_failure(before) {
            Ok(before) => before,
            Err(settled) => return settled.map(AtOnce::Done),
        };
        match self.mode.try_join(&self.life.shared.flights, &self.request.key) {
            TryJoin::Lead(leader) => Ok(AtOnce::Lead(self.turn(leader, before))),
            TryJoin::Busy if before.serves_at_once() => {
                Ok(AtOnce::Done(self.serve(before, Source::Stale)?))
            }
            TryJoin::Busy => Ok(AtOnce::Busy),
            TryJoin::Reentrant => Err(Error::reentrant().into()),
        }
    }
}

fn wrong_number(given: usize, asked: usize) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("the creator was asked for {asked} values and gave {given}; give one for each key"),
    )
}
