//! Many keys in one call.
//
// 1. What is current is read in one call of the store. So is what the looks have to see: of all that is
//    missing before anything is led, if that can serve the caller, and of all that is claimed.
// 2. Of the rest, every key that nobody leads is led, without waiting for any: so two batches, or a
//    batch and a call, never wait for each other with a lead in hand.
// 3. What is led is created by one call of the creator, and its flights end before anything is
//    waited for. A claim that another process holds is not waited for either: its key is left.
// 4. Only then the keys that others create are waited for, one by one. If that passes the lead to
//    this call it begins anew from 2, with the keys that are still missing.

use std::any::Any;
use std::future::Future;
use std::mem;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use beaker_namespace::{Claim, Key, Wait};
use beaker_syncdict::{FlightScope, OwnedLeader, TryJoin};

use super::flow::{Approach, Flow, Request};
use super::mode::Mode;
use super::outcome::{Call, Outcome};
use super::seen::Found;
use super::settle::Moments;
use super::turn::{Before, Held, Turn};
use super::{Life, Policy};
use crate::creation::Created;
use crate::policy::Stale;
use crate::{CreateError, Error, ErrorKind, Got, Source};

/// A key that is led, with the claim on it.
struct Claimed<V> {
    index: usize,
    leader: OwnedLeader<Key, Outcome>,
    before: Before<V>,
    claim: Claim,
}

/// What asking for one key came to, without waiting.
enum AtOnce<V> {
    Done(Got<V>),
    Lead(Turn<V>),
    Busy,
}

impl<V: Clone + Send + Sync + 'static> Life<V> {
    /// A value for each request, in their order. No two requests may be of one key. `create` makes
    /// the values at the given places.
    pub(crate) async fn obtain_many<E, C, F>(
        &self,
        requests: &[Request],
        policy: &Policy,
        mode: Mode,
        mut create: C,
    ) -> Result<Vec<V>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
        C: FnMut(Vec<usize>) -> F,
        F: Future<Output = Result<Vec<Created<V>>, E>>,
    {
        // One call for all of them: they share its time to wait.
        let call = OnceLock::from(Call::now(&*self.clock));
        let flow = |request| Flow { life: self, request, mode, call: call.clone() };
        let flows: Vec<_> = requests.iter().map(flow).collect();
        let values = self.read_many(requests, policy, mode).await?;
        let contended = vec![false; flows.len()];
        let (policy, looked) = (*policy, false);
        let mut batch =
            Batch { life: self, flows: &flows, mode, policy, values, contended, looked };
        while batch.go_on(&mut create).await?.is_continue() {}
        Ok(batch.values.into_iter().flatten().collect())
    }

    /// The first read, in one call of the store.
    async fn read_many(
        &self,
        requests: &[Request],
        policy: &Policy,
        mode: Mode,
    ) -> Result<Vec<Option<V>>, Error> {
        let keys: Vec<Key> = requests.iter().map(|request| request.key.clone()).collect();
        mode.store(
            self,
            &keys,
            *policy,
            |life, keys, policy| life.get_many(keys, &policy),
            async |life: &Self, keys: &Vec<Key>, policy: Policy| {
                life.get_many_async(keys, &policy).await
            },
        )
        .await
    }
}

/// One call for many keys.
struct Batch<'a, V> {
    life: &'a Life<V>,
    flows: &'a [Flow<'a, V>],
    mode: Mode,
    policy: Policy,
    /// What there is so far.
    values: Vec<Option<V>>,
    /// The keys that another process creates.
    contended: Vec<bool>,
    /// Whether anything was done since the first read.
    looked: bool,
}

/// What asking for all that is missing came to.
struct Asked<V> {
    turns: Vec<(usize, Turn<V>)>,
    /// The first key that somebody else creates.
    busy: Option<usize>,
}

impl<V: Clone + Send + Sync + 'static> Batch<'_, V> {
    /// Creates all that nobody else creates, or else waits for one key; until nothing is missing.
    async fn go_on<E, C, F>(&mut self, create: &mut C) -> Result<ControlFlow<()>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
        C: FnMut(Vec<usize>) -> F,
        F: Future<Output = Result<Vec<Created<V>>, E>>,
    {
        let Asked { turns, busy } = self.ask_for_missing().await?;
        if let Some((first, _)) = turns.first() {
            self.flows[*first].check_in_place()?;
            for (index, value) in self.lead(turns, Wait::Never, create).await? {
                self.values[index] = Some(value);
            }
            return Ok(ControlFlow::Continue(()));
        }
        let Some(index) = busy else { return Ok(ControlFlow::Break(())) };
        let value = match self.flows[index].approach().await? {
            Approach::Done(got) => self.flows[index].told(got),
            Approach::Lead(turn) => self.lead_one(index, turn, create).await?,
        };
        self.values[index] = Some(value);
        Ok(ControlFlow::Continue(()))
    }

    /// Leads what nobody leads of all that is missing, without waiting for any.
    async fn ask_for_missing<E>(&mut self) -> Result<Asked<V>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        let missing = (0..self.flows.len()).filter(|&index| self.values[index].is_none());
        let (contended, wanted): (Vec<_>, Vec<_>) =
            missing.partition(|&index| self.contended[index]);
        let (mut turns, mut busy) = (Vec::new(), contended.first().copied());
        for (index, found) in wanted.iter().copied().zip(self.look_first(&wanted).await?) {
            let flow = &self.flows[index];
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
        if was_read_just_now && self.policy.stale == Stale::Never {
            return Ok(wanted.iter().map(|_| Found::Absent).collect());
        }
        self.look(wanted).await
    }

    /// Looks at keys, in one call of the store.
    async fn look(&self, places: &[usize]) -> Result<Vec<Found<V>>, Error> {
        let keys: Vec<Key> =
            places.iter().map(|&index| self.flows[index].request.key.clone()).collect();
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

    /// Creates the value of a key that was waited for.
    async fn lead_one<E, C, F>(
        &mut self,
        index: usize,
        turn: Turn<V>,
        create: &mut C,
    ) -> Result<V, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
        C: FnMut(Vec<usize>) -> F,
        F: Future<Output = Result<Vec<Created<V>>, E>>,
    {
        let flow = &self.flows[index];
        flow.check_in_place()?;
        let before = turn.before.clone();
        let wait = match before.serves_at_once() {
            true => Wait::Never,
            false => Wait::AtMost(flow.remaining()),
        };
        let led = self.lead(vec![(index, turn)], wait, create).await?;
        Ok(match led.into_iter().next() {
            Some((_, value)) => value,
            None => flow.told(flow.serve_or(before, Error::timeout())?),
        })
    }

    /// Creates what is led, by one call of `create`, and says which values there are now.
    async fn lead<E, C, F>(
        &mut self,
        turns: Vec<(usize, Turn<V>)>,
        wait: Wait,
        create: &mut C,
    ) -> Result<Vec<(usize, V)>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
        C: FnMut(Vec<usize>) -> F,
        F: Future<Output = Result<Vec<Created<V>>, E>>,
    {
        let (claimed, mut values) = self.claim_all(turns, wait).await?;
        let Some(first) = claimed.first() else { return Ok(values) };
        let first = &self.flows[first.index];
        let (began, started) = (self.life.clock.now(), Instant::now());
        let places: Vec<usize> = claimed.iter().map(|one| one.index).collect();
        let (cache, mode) = (self.life.namespace.id(), first.mode);
        let span = self.life.trace.creation_of_many(cache, places.len(), mode);
        let scopes = claimed.iter().map(|one| one.leader.scope()).collect();
        let creating =
            Working { scopes, work: Box::pin(span.wrap(async move { create(places).await })) };
        match first.in_time(creating).await {
            Some(Ok(created)) if created.len() == claimed.len() => {
                let made = Moments { began, ended: Instant::now() };
                self.life.shared.learn(made.ended.saturating_duration_since(started));
                for (one, created) in claimed.into_iter().zip(created) {
                    values.push(self.settle(one, created, made).await);
                }
                Ok(values)
            }
            Some(Ok(created)) => Err(wrong_number(created.len(), claimed.len()).into()),
            Some(Err(error)) => {
                values.extend(self.fail(claimed, Failed::Error(error))?);
                Ok(values)
            }
            None => {
                values.extend(self.fail(claimed, Failed::Time)?);
                Ok(values)
            }
        }
    }

    /// Claims the keys that are led. Those that another process creates, and those that have become
    /// current, are led no more; the second are among the values.
    async fn claim_all<E: Clone + Send + Sync + 'static>(
        &mut self,
        turns: Vec<(usize, Turn<V>)>,
        wait: Wait,
    ) -> Result<(Vec<Claimed<V>>, Vec<(usize, V)>), CreateError<E>> {
        let (mut held, mut values) = (Vec::new(), Vec::new());
        for (index, turn) in turns {
            let flow = &self.flows[index];
            let Turn { stake, before, .. } = turn;
            let Some(claim) = flow.claim(wait).await? else {
                drop(stake);
                match before.serves_at_once() {
                    true => values.push((index, flow.served(before)?)),
                    false => self.contended[index] = true,
                }
                continue;
            };
            held.push((index, stake, before, claim));
        }
        let places: Vec<usize> = held.iter().map(|(index, ..)| *index).collect();
        let looked = self.look(&places).await?;
        let mut claimed = Vec::with_capacity(held.len());
        for ((index, stake, before, claim), found) in held.into_iter().zip(looked) {
            let flow = &self.flows[index];
            let settled = flow.under_claim(found, before);
            let Some(Held { leader, .. }) = stake.take() else { continue };
            match settled {
                Ok(before) => claimed.push(Claimed { index, leader, before, claim }),
                Err(settled) => {
                    leader.finish(Outcome::LookAgain);
                    values.push((index, flow.told(settled?)));
                }
            }
        }
        Ok((claimed, values))
    }

    async fn settle(&self, one: Claimed<V>, created: Created<V>, made: Moments) -> (usize, V) {
        let Claimed { index, leader, claim, .. } = one;
        let got = self.flows[index].settle(created, made, claim, leader).await;
        (index, got.value)
    }

    /// All who wait get the error. The call gets the old values if the policy allows that and there
    /// is one for each key.
    fn fail<E>(
        &self,
        claimed: Vec<Claimed<V>>,
        failed: Failed<E>,
    ) -> Result<Vec<(usize, V)>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        let shared: Option<Arc<dyn Any + Send + Sync>> = match &failed {
            Failed::Error(error) => Some(Arc::new(error.clone())),
            Failed::Time => None,
        };
        let mut served = Vec::new();
        let mut lacking = false;
        for Claimed { index, leader, before, claim } in claimed {
            let flow = &self.flows[index];
            drop(claim);
            flow.failed(shared.clone(), &leader);
            leader.finish(shared.clone().map_or(Outcome::TimedOut, Outcome::Failed));
            match before {
                Before::Old(seen) if seen.serves.on_error => {
                    served.push((index, flow.serve_old(seen, Source::Fallback)));
                }
                _ => lacking = true,
            }
        }
        match failed {
            _ if !lacking => Ok(served
                .into_iter()
                .map(|(index, got)| (index, self.flows[index].told(got)))
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
    fn told(&self, got: Got<V>) -> V {
        self.life.told(&self.request.key, got).value
    }

    /// What may be served at once.
    fn served(&self, before: Before<V>) -> Result<V, Error> {
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
