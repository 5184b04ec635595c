//! Batches whose creation can outlive their call: see `behind.rs`, whose rules hold.
//
// What is led moves with its creation, all of one creator call together. The call is served at once only
// if each of its keys can be; and at a soft time-out only then.

#[cfg(feature = "tokio")]
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Weak, mpsc};
use std::thread;

use beaker_namespace::Wait;

use super::Life;
use super::batch::{Batch, LeadMany, Led, LedOr, Turns};
#[cfg(feature = "tokio")]
use super::behind::CancelGuard;
use super::behind::Patience;
use super::counts::Count;
use super::flow::Request;
use super::mode::{Mode, ready};
use super::outcome::Outcome;
use super::turn::{Before, Held, Stake};
use crate::creation::Created;
use crate::policy::OnTimeout;
use crate::watch::Caller;
use crate::{CreateError, Error};
#[cfg(feature = "tokio")]
use crate::{runtime, workers::Room};

type Sent<V, E> = thread::Result<LedOr<V, E>>;

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
        let behind = Behind::of(batch, &turns);
        let Some(room) = batch.life.workers().room() else {
            let (mut led, turns) = batch.without_early(turns);
            let made = batch.lead(turns, wait, &mut now(&*self.create)).await?;
            led.values.extend(made.values);
            led.contended.extend(made.contended);
            return Ok(led);
        };
        let (sender, receiver) = mpsc::channel::<Sent<V, E>>();
        // Who does not wait does not listen either, so that the workers count a panic.
        let receiver = (!behind.serves_at_once()).then_some(receiver);
        let moved = Moved::of(batch, &self.requests);
        let create = Arc::clone(&self.create);
        let caller = Caller::here();
        let work = move || {
            turns.iter().for_each(|(_, turn)| turn.stake.adopt());
            let lead = || ready(moved.batch(Mode::Thread).lead(turns, wait, &mut now(&*create)));
            if let Err(mpsc::SendError(Err(panic))) =
                sender.send(catch_unwind(AssertUnwindSafe(lead)))
            {
                // Nobody waits for it any more: the worker counts it.
                resume_unwind(panic);
            }
        };
        batch.life.workers().spawn(room, move || caller.run(work));
        let Some(receiver) = receiver else { return Ok(behind.served(batch)?) };
        let patience = behind.patience(batch);
        match patience.receive(&receiver) {
            Some(Ok(answer)) => answer,
            Some(Err(panic)) => resume_unwind(panic),
            None => behind.give_up(batch, patience).map_err(CreateError::Cache),
        }
    }
}

/// A creator whose values are there when it returns.
fn now<T>(create: &impl Fn(Vec<usize>) -> T) -> impl FnMut(Vec<usize>) -> std::future::Ready<T> {
    |places| std::future::ready(create(places))
}

/// What goes with a creation.
struct Moved<V> {
    life: Life<V>,
    requests: Arc<Vec<Request>>,
    policy: crate::Policy,
    call: std::sync::OnceLock<super::outcome::Call>,
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
    fn of(_batch: &Batch<'_, V>, turns: &Turns<V>) -> Self {
        Self {
            before: turns.iter().map(|(index, turn)| (*index, turn.before.clone())).collect(),
            stakes: turns.iter().map(|(_, turn)| turn.watched()).collect(),
        }
    }

    fn serves_at_once(&self) -> bool {
        self.before.iter().all(|(_, before)| before.serves_at_once())
    }

    fn served(self, batch: &Batch<'_, V>) -> Result<Led<V>, Error> {
        let mut led = Led::default();
        for (index, before) in self.before {
            led.values.push((index, batch.flow(index).served(before)?));
        }
        Ok(led)
    }

    /// How long the call waits: to a soft time-out only if it is served there with all of its keys.
    fn patience(&self, batch: &Batch<'_, V>) -> Patience {
        let serves = |before: &Before<V>| match before {
            Before::Fresh(_) => true,
            Before::Old(seen) => seen.serves.any(),
            Before::Nothing => false,
        };
        Patience::new(&batch.policy, self.before.iter().all(|(_, before)| serves(before)))
    }

    /// What the call gets when its creation takes too long.
    fn give_up(self, batch: &Batch<'_, V>, patience: Patience) -> Result<Led<V>, Error> {
        if let Some((first, _)) = self.before.first() {
            batch.flow(*first).count(Count::TimedOut);
        }
        if let Patience::Soft(_) = patience {
            return self.served(batch);
        }
        if batch.policy.on_timeout == OnTimeout::Drop {
            for ((index, _), stake) in self.before.iter().zip(&self.stakes) {
                let taken = stake.upgrade().and_then(|stake| stake.take());
                let Some(Held { leader, claim }) = taken else { continue };
                // It makes nothing any more: those who wait are told so, who comes creates anew.
                drop(claim);
                batch.flow(*index).failed(None, &leader);
                leader.finish(Outcome::TimedOut);
            }
        }
        let mut led = Led::default();
        for (index, before) in self.before {
            let flow = batch.flow(index);
            led.values.push((index, flow.told(flow.serve_or(before, Error::creation_timeout())?)));
        }
        Ok(led)
    }
}

impl<V: Clone + Send + Sync + 'static> Batch<'_, V> {
    /// Leaves early refreshes to later calls: their values, and what is left to lead.
    fn without_early(&self, turns: Turns<V>) -> (Led<V>, Turns<V>) {
        let mut led = Led::default();
        let mut left = Vec::with_capacity(turns.len());
        for (index, turn) in turns {
            match turn.before {
                Before::Fresh(seen) => led.values.push((index, self.life.got_fresh(seen))),
                Before::Old(_) | Before::Nothing => left.push((index, turn)),
            }
        }
        (led, left)
    }
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
        let behind = Behind::of(batch, &turns);
        let Some(room) = batch.life.workers().room() else {
            let (mut led, turns) = batch.without_early(turns);
            let made = batch.lead(turns, wait, &mut |places| (self.create)(places)).await?;
            led.values.extend(made.values);
            led.contended.extend(made.contended);
            return Ok(led);
        };
        let (sender, receiver) = tokio::sync::oneshot::channel::<Sent<V, E>>();
        // Who does not wait does not listen either, so that the workers count a panic.
        let receiver = (!behind.serves_at_once()).then_some(receiver);
        let moved = Moved::of(batch, &self.requests);
        let create = Arc::clone(&self.create);
        let led = led_as_task(moved, turns, wait, create, sender, room);
        let task = runtime::spawn(Caller::here().wrap(led))?;
        let Some(receiver) = receiver else { return Ok(behind.served(batch)?) };
        let cancel = CancelGuard::new(&batch.policy, task);
        // A hard time-out that drops the creation is kept by the creation itself.
        let patience = match behind.patience(batch) {
            Patience::Hard(_) if batch.policy.on_timeout == OnTimeout::Drop => Patience::Endless,
            patience => patience,
        };
        let received = match patience.limit() {
            Some(limit) => runtime::timeout(limit, receiver).await,
            None => Some(receiver.await),
        };
        cancel.disarm();
        match received {
            Some(Ok(Ok(answer))) => answer,
            Some(Ok(Err(panic))) => resume_unwind(panic),
            Some(Err(_dropped)) => Err(Error::runtime_ended().into()),
            None => behind.give_up(batch, patience).map_err(CreateError::Cache),
        }
    }
}

/// A creation of many as a task of its own.
#[cfg(feature = "tokio")]
async fn led_as_task<V, E, C, F>(
    moved: Moved<V>,
    turns: Turns<V>,
    wait: Wait,
    create: Arc<C>,
    sender: tokio::sync::oneshot::Sender<Sent<V, E>>,
    room: Room,
) where
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
    C: Fn(Vec<usize>) -> F + Send + Sync,
    F: Future<Output = Result<Vec<Created<V>>, E>> + Send,
{
    let batch = moved.batch(Mode::Task);
    let mut create = |places| create(places);
    let answer = runtime::Caught::new(batch.lead(turns, wait, &mut create)).await;
    if let Err(Err(_panic)) = sender.send(answer) {
        room.count_panic();
    }
}
