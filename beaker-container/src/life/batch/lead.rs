//! What a batch leads: one call of its creator for all of it.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use beaker_namespace::Wait;
use beaker_syncdict::FlightScope;

use super::{Batch, Led, LedOr, Turns};
use crate::creation::Created;
use crate::life::outcome::Outcome;
use crate::life::settle::Moments;
use crate::life::turn::{Before, Held, Stake, Turn};
use crate::{CreateError, Error, ErrorKind, Got};

/// A key that is led, with the claim on it.
struct Claimed<V> {
    index: usize,
    stake: Arc<Stake>,
    scope: FlightScope,
    before: Before<V>,
}

impl<V: Clone + Send + Sync + 'static> Batch<'_, V> {
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
        let mut failed: Option<Error> = None;
        for (index, turn) in turns {
            let flow = self.flow(index);
            let Turn { stake, scope, before } = turn;
            // A stake that is not kept passes the lead on.
            let claimed = match &failed {
                // Each call of a store that fails may take its whole time-out.
                Some(error) => Err(error.clone()),
                None => flow.claim(wait).await,
            };
            let claim = match claimed {
                Ok(Some(claim)) => claim,
                Ok(None) if before.serves_at_once() => {
                    led.values.push((index, flow.served(before)?));
                    continue;
                }
                Ok(None) => {
                    led.contended.push(index);
                    continue;
                }
                Err(error) => {
                    failed = Some(error.clone());
                    led.values.push((index, flow.told(flow.not_begun(before, error)?)));
                    continue;
                }
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
        let claimed = self.look_again(held, &mut led).await?;
        Ok((claimed, led))
    }

    /// The look under the claims. What is settled by it goes to the values of `led`.
    async fn look_again<E: Clone + Send + Sync + 'static>(
        &self,
        held: Vec<Claimed<V>>,
        led: &mut Led<V>,
    ) -> Result<Vec<Claimed<V>>, CreateError<E>> {
        let places: Vec<usize> = held.iter().map(|one| one.index).collect();
        let looked = match self.look(&places).await {
            Ok(looked) => looked,
            Err(error) => {
                for Claimed { index, before, .. } in held {
                    let flow = self.flow(index);
                    led.values.push((index, flow.told(flow.not_begun(before, error.clone())?)));
                }
                return Ok(Vec::new());
            }
        };
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
        Ok(claimed)
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

fn wrong_number(given: usize, asked: usize) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("the creator was asked for {asked} values and gave {given}; give one for each key"),
    )
}
