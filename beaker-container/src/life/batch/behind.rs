//! Batches whose creation can outlive their call: see `life/behind.rs`, whose rules hold.
//
// What is led moves with its creation, all of one creator call together. The call is served at once only
// if each of its keys can be; and at a soft time-out only then.

use std::future::Ready;
use std::sync::{Arc, OnceLock, Weak};

use beaker_namespace::Wait;

use super::{Batch, LeadMany, Led, LedOr, Turns};
use crate::creation::Created;
use crate::life::Life;
#[cfg(feature = "tokio")]
use crate::life::behind::in_task;
use crate::life::behind::{Came, Patience, on_worker};
use crate::life::counts::Count;
use crate::life::flow::Request;
use crate::life::mode::{Mode, ready};
use crate::life::outcome::Call;
use crate::life::turn::{Before, Stake};
use crate::policy::Policy;
use crate::{CreateError, Error};

/// Creates on a worker thread.
pub(crate) struct OnWorker<C> {
    pub(crate) requests: Arc<Vec<Request>>,
    pub(crate) create: Arc<C>,
}

impl<V, E, C> LeadMany<V, E> for OnWorker<C>
where
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
    C: Fn(Vec<usize>) -> Result<Vec<Created<V>>, E> + Send + Sync + 'static,
{
    async fn lead(&mut self, batch: &Batch<'_, V>, turns: Turns<V>, wait: Wait) -> LedOr<V, E> {
        let workers = batch.life.workers();
        let Some(room) = workers.room() else {
            return batch.lead_here(turns, wait, &mut now(&*self.create)).await;
        };
        let behind = Behind::of(&turns);
        let (moved, create) = (Moved::of(batch, &self.requests), Arc::clone(&self.create));
        let creation = move || {
            turns.iter().for_each(|(_, turn)| turn.stake.adopt());
            ready(moved.batch(Mode::Thread).lead(turns, wait, &mut now(&*create)))
        };
        let came = on_worker(&workers, room, behind.patience(&batch.policy), creation);
        behind.after(came, batch)
    }
}

/// A creator whose values are there when it returns.
fn now<T>(create: &impl Fn(Vec<usize>) -> T) -> impl FnMut(Vec<usize>) -> Ready<T> {
    |places| std::future::ready(create(places))
}

/// Creates as a task.
#[cfg(feature = "tokio")]
pub(crate) struct AsTask<C> {
    pub(crate) requests: Arc<Vec<Request>>,
    pub(crate) create: Arc<C>,
}

#[cfg(feature = "tokio")]
impl<V, E, C, F> LeadMany<V, E> for AsTask<C>
where
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
    C: Fn(Vec<usize>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Vec<Created<V>>, E>> + Send + 'static,
{
    async fn lead(&mut self, batch: &Batch<'_, V>, turns: Turns<V>, wait: Wait) -> LedOr<V, E> {
        let Some(room) = batch.life.workers().room() else {
            return batch.lead_here(turns, wait, &mut |places| (self.create)(places)).await;
        };
        let behind = Behind::of(&turns);
        let (moved, create) = (Moved::of(batch, &self.requests), Arc::clone(&self.create));
        let creation = Box::pin(async move {
            let batch = moved.batch(Mode::Task);
            batch.lead(turns, wait, &mut |places| create(places)).await
        });
        let patience = behind.patience(&batch.policy);
        let came = in_task(&batch.policy, room, patience, creation).await?;
        behind.after(came, batch)
    }
}

impl<V: Clone + Send + Sync + 'static> Batch<'_, V> {
    /// Without room for it: creates in the call, and leaves early refreshes to later calls.
    async fn lead_here<E, C, F>(&self, turns: Turns<V>, wait: Wait, create: &mut C) -> LedOr<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnMut(Vec<usize>) -> F,
        F: Future<Output = Result<Vec<Created<V>>, E>>,
    {
        let mut fresh = Vec::new();
        let mut left = Vec::with_capacity(turns.len());
        for (index, turn) in turns {
            match turn.before {
                Before::Fresh(seen) => fresh.push((index, self.life.got_fresh(seen))),
                Before::Old(_) | Before::Nothing => left.push((index, turn)),
            }
        }
        let mut led = self.lead(left, wait, create).await?;
        led.values.extend(fresh);
        Ok(led)
    }
}

/// What goes with a creation.
struct Moved<V> {
    life: Life<V>,
    requests: Arc<Vec<Request>>,
    policy: Policy,
    call: OnceLock<Call>,
}

impl<V: Clone + Send + Sync + 'static> Moved<V> {
    fn of(batch: &Batch<'_, V>, requests: &Arc<Vec<Request>>) -> Self {
        let (life, requests) = (batch.life.clone(), Arc::clone(requests));
        Self { life, requests, policy: batch.policy, call: batch.call.clone() }
    }

    fn batch(&self, mode: Mode) -> Batch<'_, V> {
        let Self { life, requests, policy, call } = self;
        Batch { life, requests, policy: *policy, mode, call: call.clone() }
    }
}

/// What a call knows of its creation that runs behind it.
struct Behind<V> {
    before: Vec<(usize, Before<V>)>,
    stakes: Vec<Weak<Stake>>,
}

impl<V: Clone + Send + Sync + 'static> Behind<V> {
    fn of(turns: &Turns<V>) -> Self {
        Self {
            before: turns.iter().map(|(index, turn)| (*index, turn.before.clone())).collect(),
            stakes: turns.iter().map(|(_, turn)| turn.watched()).collect(),
        }
    }

    /// How long the call waits: not at all if each of its keys can be served, and to a soft time-out only if
    /// each can be served there.
    fn patience(&self, policy: &Policy) -> Option<Patience> {
        if self.before.iter().all(|(_, before)| before.serves_at_once()) {
            return None;
        }
        let serves = |before: &Before<V>| match before {
            Before::Fresh(_) => true,
            Before::Old(seen) => seen.serves.any(),
            Before::Nothing => false,
        };
        Some(Patience::new(policy, self.before.iter().all(|(_, before)| serves(before))))
    }

    /// What the call gets.
    fn after<E>(self, came: Came<LedOr<V, E>>, batch: &Batch<'_, V>) -> LedOr<V, E> {
        match came {
            Came::To(answer) => answer,
            Came::Unawaited => Ok(self.served(batch)?),
            Came::TooLate(patience) => self.give_up(batch, patience).map_err(CreateError::Cache),
        }
    }

    fn served(self, batch: &Batch<'_, V>) -> Result<Led<V>, Error> {
        let mut led = Led::default();
        for (index, before) in self.before {
            led.values.push((index, batch.flow(index).served(before)?));
        }
        Ok(led)
    }

    /// What the call gets when its creation takes too long.
    fn give_up(self, batch: &Batch<'_, V>, patience: Patience) -> Result<Led<V>, Error> {
        if let Some((first, _)) = self.before.first() {
            batch.flow(*first).count(Count::TimedOut);
        }
        if let Patience::Soft(_) = patience {
            return self.served(batch);
        }
        for ((index, _), stake) in self.before.iter().zip(&self.stakes) {
            batch.flow(*index).abandon(stake);
        }
        let mut led = Led::default();
        for (index, before) in self.before {
            let flow = batch.flow(index);
            led.values.push((index, flow.told(flow.serve_or(before, Error::creation_timeout())?)));
        }
        Ok(led)
    }
}
