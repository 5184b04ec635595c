//! Creations that can outlive their call.
//
// 1. The call approaches as every call does. If it is to lead, the creation moves to a worker (a
//    thread, or a task) with its flight, and the call waits for it like for a stranger's, with the
//    time-outs of its policy.
// 2. A call that has something to serve at once does not wait at all.
// 3. Without room among the workers the creation runs in the call, as one that cannot outlive it
//    would; an early refresh is left to a later call.
// 4. A panic of the creator reaches the call that waits for it, or is counted by the workers.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
#[cfg(feature = "tokio")]
use std::sync::OnceLock;
use std::sync::{Weak, mpsc};
use std::thread;
use std::time::Duration;

use super::counts::Count;
use super::flow::{Approach, Flow, Request};
use super::mode::{Mode, ready};
#[cfg(feature = "tokio")]
use super::outcome::Call;
use super::outcome::Outcome;
#[cfg(feature = "tokio")]
use super::turn::Turn;
use super::turn::{Before, Held, Stake};
use super::{Life, Policy};
use crate::creation::{Created, Creation};
use crate::policy::OnTimeout;
use crate::watch::Caller;
use crate::{CreateError, Error, Got, Source};
#[cfg(feature = "tokio")]
use crate::{policy::OnCancel, runtime, workers::Room};

type Answer<V, E> = Result<Got<V>, CreateError<E>>;

/// What a worker sends to the call that waits for it.
type Sent<V, E> = thread::Result<Answer<V, E>>;

impl<V: Clone + Send + Sync + 'static> Life<V> {
    /// The current value, or a new one by a creator that can outlive the call, on a worker thread.
    pub(crate) fn obtain_on_worker<E, C>(&self, request: Request, create: C) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> Result<Created<V>, E> + Send + 'static,
    {
        let key = request.key.clone();
        self.on_worker(request, create).map(|got| self.told(&key, got))
    }

    fn on_worker<E, C>(&self, request: Request, create: C) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> Result<Created<V>, E> + Send + 'static,
    {
        let flow = Flow::new(self, &request, Mode::Thread);
        let turn = match ready(flow.approach())? {
            Approach::Done(got) => return Ok(got),
            Approach::Lead(turn) => turn,
        };
        let before = turn.before.clone();
        let workers = self.workers();
        let Some(room) = workers.room() else {
            return match before {
                Before::Fresh(_) => Ok(flow.serve(before, Source::Fresh)?),
                Before::Old(_) | Before::Nothing => flow.lead_on_thread(turn, create),
            };
        };
        let stake = turn.watched();
        let (sender, receiver) = mpsc::channel::<Sent<V, E>>();
        // Who does not wait does not listen either, so that the workers count a panic.
        let receiver = (!before.serves_at_once()).then_some(receiver);
        let (life, moved, call) = (self.clone(), request.clone(), flow.call.clone());
        let caller = Caller::here();
        let work = move || {
            turn.stake.adopt();
            let flow = Flow { life: &life, request: &moved, mode: Mode::Thread, call };
            let answer = catch_unwind(AssertUnwindSafe(|| flow.lead_on_thread(turn, create)));
            if let Err(mpsc::SendError(Err(panic))) = sender.send(answer) {
                // Nobody waits for it any more: the worker counts it.
                resume_unwind(panic);
            }
        };
        workers.spawn(room, move || caller.run(work));
        let Some(receiver) = receiver else { return Ok(flow.serve(before, Source::Stale)?) };
        let patience = Patience::of(&request.policy, &before);
        match patience.receive(&receiver) {
            Some(Ok(answer)) => answer,
            Some(Err(panic)) => resume_unwind(panic),
            None => flow.give_up(before, patience, &stake).map_err(CreateError::Cache),
        }
    }
}

/// How long a call waits for its own creation, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Endless,
    /// Then the old value is served.
    Soft(Duration),
    /// Then it is an error.
    Hard(Duration),
}

impl Patience {
    pub(super) fn of<V>(policy: &Policy, before: &Before<V>) -> Self {
        Self::new(policy, matches!(before, Before::Old(seen) if seen.serves.any()))
    }

    /// `serves`: there is an old value that may be served.
    pub(super) fn new(policy: &Policy, serves: bool) -> Self {
        match (policy.soft_timeout.filter(|_| serves), policy.hard_timeout) {
            (Some(soft), Some(hard)) if soft <= hard => Self::Soft(soft),
            (_, Some(hard)) => Self::Hard(hard),
            (Some(soft), None) => Self::Soft(soft),
            (None, None) => Self::Endless,
        }
    }

    pub(super) fn limit(self) -> Option<Duration> {
        match self {
            Self::Endless => None,
            Self::Soft(limit) | Self::Hard(limit) => Some(limit),
        }
    }

    /// `None` when the time is over. A worker always sends, so a channel that is closed does not
    /// come.
    pub(super) fn receive<T>(self, receiver: &mpsc::Receiver<T>) -> Option<T> {
        match self.limit() {
            Some(limit) => receiver.recv_timeout(limit).ok(),
            None => receiver.recv().ok(),
        }
    }
}

impl<V: Clone + Send + Sync + 'static> Flow<'_, V> {
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
        if self.request.policy.on_timeout == OnTimeout::Drop
            && let Some(Held { leader, claim }) = stake.upgrade().and_then(|stake| stake.take())
        {
            // It makes nothing any more: those who wait are told so, who comes creates anew.
            drop(claim);
            self.failed(None, &leader);
            leader.finish(Outcome::TimedOut);
        }
        self.serve_or(before, Error::creation_timeout())
    }
}

#[cfg(feature = "tokio")]
impl<V: Clone + Send + Sync + 'static> Life<V> {
    /// The current value, or a new one by a creator that can outlive the call, in a task.
    pub(crate) async fn obtain_in_task<E, C, F>(&self, request: Request, create: C) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> F + Send + 'static,
        F: Future<Output = Result<Created<V>, E>> + Send + 'static,
    {
        let key = request.key.clone();
        self.in_task(request, create).await.map(|got| self.told(&key, got))
    }

    async fn in_task<E, C, F>(&self, request: Request, create: C) -> Answer<V, E>
    where
        E: Clone + Send + Sync + 'static,
        C: FnOnce(Creation<V>) -> F + Send + 'static,
        F: Future<Output = Result<Created<V>, E>> + Send + 'static,
    {
        let flow = Flow::new(self, &request, Mode::Task);
        let turn = match flow.approach().await? {
            Approach::Done(got) => return Ok(got),
            Approach::Lead(turn) => turn,
        };
        let before = turn.before.clone();
        let Some(room) = self.workers().room() else {
            if let Before::Fresh(_) = before {
                return Ok(flow.serve(before, Source::Fresh)?);
            }
            return flow.lead(turn, create).await;
        };
        let stake = turn.watched();
        let (sender, receiver) = tokio::sync::oneshot::channel::<Sent<V, E>>();
        // Who does not wait does not listen either, so that the workers count a panic.
        let receiver = (!before.serves_at_once()).then_some(receiver);
        let (life, moved, call) = (self.clone(), request.clone(), flow.call.clone());
        let task = runtime::spawn(
            Caller::here().wrap(led(life, moved, call, turn, create, sender, room)),
        )?;
        let Some(receiver) = receiver else { return Ok(flow.serve(before, Source::Stale)?) };
        let cancel = CancelGuard::new(&request.policy, task);
        // A hard time-out that drops the creation is kept by the creation itself.
        let patience = match Patience::of(&request.policy, &before) {
            Patience::Hard(_) if request.policy.on_timeout == OnTimeout::Drop => Patience::Endless,
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
            None => flow.give_up(before, patience, &stake).map_err(CreateError::Cache),
        }
    }
}

/// A creation as a task of its own.
#[cfg(feature = "tokio")]
async fn led<V, E, C, F>(
    life: Life<V>,
    request: Request,
    call: OnceLock<Call>,
    turn: Turn<V>,
    create: C,
    sender: tokio::sync::oneshot::Sender<Sent<V, E>>,
    room: Room,
) where
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
    C: FnOnce(Creation<V>) -> F,
    F: Future<Output = Result<Created<V>, E>>,
{
    let flow = Flow { life: &life, request: &request, mode: Mode::Task, call };
    let answer = runtime::Caught::new(flow.lead(turn, create)).await;
    if let Err(Err(_panic)) = sender.send(answer) {
        room.count_panic();
    }
}

/// Drops a creation with its caller, if the policy hands it over then.
#[cfg(feature = "tokio")]
pub(super) struct CancelGuard(Option<tokio::task::AbortHandle>);

#[cfg(feature = "tokio")]
impl CancelGuard {
    pub(super) fn new(policy: &Policy, task: tokio::task::AbortHandle) -> Self {
        Self(Some(task).filter(|_| policy.on_cancel == OnCancel::HandOver))
    }

    pub(super) fn disarm(mut self) {
        self.0 = None;
    }
}

#[cfg(feature = "tokio")]
impl Drop for CancelGuard {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
