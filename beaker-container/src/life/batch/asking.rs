//! How far one call for many keys has come.

use std::mem;
use std::ops::ControlFlow;

use beaker_namespace::Wait;
use beaker_syncdict::TryJoin;

use super::{Batch, LeadMany, Led, Turns};
use crate::life::flow::{Approach, Flow};
use crate::life::seen::Found;
use crate::life::turn::{Before, Turn};
use crate::policy::Stale;
use crate::{CreateError, Error, Got, Source};

/// One call for many keys.
pub(super) struct Asking<'a, V> {
    batch: &'a Batch<'a, V>,
    /// What there is so far.
    pub(super) values: Vec<Option<Got<V>>>,
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
    pub(super) async fn begin(batch: &'a Batch<'a, V>) -> Result<Self, Error> {
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
    pub(super) async fn go_on<E, L>(
        &mut self,
        lead: &mut L,
    ) -> Result<ControlFlow<()>, CreateError<E>>
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

/// What asking for one key came to, without waiting.
enum AtOnce<V> {
    Done(Got<V>),
    Lead(Turn<V>),
    Busy,
}

impl<V: Clone + Send + Sync + 'static> Flow<'_, V> {
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
