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
// 5. A creation that can outlive the call takes what is led with it: see `batch/behind.rs`.

mod asking;
mod behind;
mod lead;

use std::future::Future;
use std::sync::OnceLock;

use beaker_namespace::{Key, Wait};

use self::asking::Asking;
#[cfg(feature = "tokio")]
pub(crate) use self::behind::AsTask;
pub(crate) use self::behind::OnWorker;
use super::Life;
use super::flow::{Flow, Request};
use super::mode::Mode;
use super::outcome::Call;
use super::seen::{Found, Seen};
use super::turn::{Before, Turn};
use crate::creation::Created;
use crate::policy::Policy;
use crate::{CreateError, Error, Got, Source};

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
}
