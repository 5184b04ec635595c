//! One call whose creation can outlive it: see `behind.rs`.

use std::sync::Weak;

use super::Life;
use super::behind::{Came, Patience, on_worker};
use super::counts::Count;
use super::flow::{Answer, Approach, Flow, Request};
use super::mode::{Mode, ready};
use super::turn::{Before, Stake, Turn};
use crate::creation::{Created, Creation};
use crate::{CreateError, Error, Got, Source};

impl<V: Clone + Send + Sync + 'static> Life<V> {
    /// The current value, or a new one by a creator that can outlive the call, on a worker thread.
    pub(crate) fn obtain_on_worker<E, C>(&self, request: Request, create: C) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> Result<Created<V>, E> + Send + 'static,
    {
        let flow = Flow::new(self, &request, Mode::Thread);
        let answer = match ready(flow.approach())? {
            Approach::Done(got) => Ok(got),
            Approach::Lead(turn) => flow.lead_on_worker(turn, create),
        };
        answer.map(|got| self.told(&request.key, got))
    }

    /// The same in a task.
    #[cfg(feature = "tokio")]
    pub(crate) async fn obtain_in_task<E, C, F>(&self, request: Request, create: C) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> F + Send + 'static,
        F: Future<Output = Result<Created<V>, E>> + Send + 'static,
    {
        let flow = Flow::new(self, &request, Mode::Task);
        let answer = match flow.approach().await? {
            Approach::Done(got) => Ok(got),
            Approach::Lead(turn) => flow.lead_in_task(turn, create).await,
        };
        answer.map(|got| self.told(&request.key, got))
    }
}

impl<V: Clone + Send + Sync + 'static> Flow<'_, V> {
    fn lead_on_worker<E, C>(&self, turn: Turn<V>, create: C) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> Result<Created<V>, E> + Send + 'static,
    {
        let workers = self.life.workers();
        let Some(room) = workers.room() else {
            return match turn.before {
                Before::Fresh(seen) => Ok(self.life.got_fresh(seen)),
                Before::Old(_) | Before::Nothing => self.lead_on_thread(turn, create),
            };
        };
        let (before, stake) = (turn.before.clone(), turn.watched());
        let (life, request, call) = (self.life.clone(), self.request.clone(), self.call.clone());
        let creation = move || {
            turn.stake.adopt();
            let flow = Flow { life: &life, request: &request, mode: Mode::Thread, call };
            flow.lead_on_thread(turn, create)
        };
        let came = on_worker(&workers, room, self.patience_for(&before), creation);
        self.after(came, before, &stake)
    }

    #[cfg(feature = "tokio")]
    async fn lead_in_task<E, C, F>(&self, turn: Turn<V>, create: C) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> F + Send + 'static,
        F: Future<Output = Result<Created<V>, E>> + Send + 'static,
    {
        let Some(room) = self.life.workers().room() else {
            return match turn.before {
                Before::Fresh(seen) => Ok(self.life.got_fresh(seen)),
                Before::Old(_) | Before::Nothing => self.lead(turn, create).await,
            };
        };
        let (before, stake) = (turn.before.clone(), turn.watched());
        let (life, request, call) = (self.life.clone(), self.request.clone(), self.call.clone());
        let creation = Box::pin(async move {
            let flow = Flow { life: &life, request: &request, mode: Mode::Task, call };
            flow.lead(turn, create).await
        });
        let patience = self.patience_for(&before);
        let came = super::behind::in_task(&self.request.policy, room, patience, creation).await?;
        self.after(came, before, &stake)
    }

    /// How long the call waits for its own creation; not at all if it has something to serve.
    fn patience_for(&self, before: &Before<V>) -> Option<Patience> {
        (!before.serves_at_once()).then(|| Patience::of(&self.request.policy, before))
    }

    /// What the call gets.
    fn after<E>(
        &self,
        came: Came<Answer<V, E>>,
        before: Before<V>,
        stake: &Weak<Stake>,
    ) -> Answer<V, E> {
        match came {
            Came::To(answer) => answer,
            Came::Unawaited => Ok(self.serve(before, Source::Stale)?),
            Came::TooLate(patience) => {
                self.give_up(before, patience, stake).map_err(CreateError::Cache)
            }
        }
    }

    /// What the call gets when its own creation takes too long.
    fn give_up(
        &self,
        before: Before<V>,
        patience: Patience,
        stake: &Weak<Stake>,
    ) -> Result<Got<V>, Error> {
        self.count(Count::TimedOut);
        if let Patience::Soft(_) = patience {
            return self.serve(before, Source::Stale);
        }
        self.abandon(stake);
        self.serve_or(before, Error::creation_timeout())
    }
}
