//! Creations that can outlive their call: how the call waits for one.
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
use std::pin::Pin;
use std::sync::{Weak, mpsc};
use std::thread;
use std::time::Duration;

use super::Policy;
use super::flow::Flow;
use super::outcome::Outcome;
use super::turn::{Before, Held, Stake};
use crate::policy::OnTimeout;
use crate::watch::Caller;
use crate::workers::{Room, Workers};
#[cfg(feature = "tokio")]
use crate::{Error, policy::OnCancel, runtime};

/// How long a call waits for a creation, and what for.
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
}

/// What became of a creation, as far as its call has waited.
pub(super) enum Came<T> {
    /// It ended with this.
    To(T),
    /// The call has something to serve at once, and did not wait.
    Unawaited,
    /// The time of the call was over.
    TooLate(Patience),
}

/// Runs `creation` on a thread of `workers`, in `room`, and waits for it; without patience not at all.
pub(super) fn on_worker<T: Send + 'static>(
    workers: &Workers,
    room: Room,
    patience: Option<Patience>,
    creation: impl FnOnce() -> T + Send + 'static,
) -> Came<T> {
    let (sender, receiver) = mpsc::channel::<thread::Result<T>>();
    // Who does not wait does not listen either, so that the workers count a panic.
    let listening = patience.map(|patience| (patience, receiver));
    let caller = Caller::here();
    let work = move || {
        let sent = sender.send(catch_unwind(AssertUnwindSafe(creation)));
        if let Err(mpsc::SendError(Err(panic))) = sent {
            // Nobody waits for it any more: the worker counts it.
            resume_unwind(panic);
        }
    };
    workers.spawn(room, move || caller.run(work));
    let Some((patience, receiver)) = listening else { return Came::Unawaited };
    // A worker always sends, so a channel that is closed does not come.
    let received = match patience.limit() {
        Some(limit) => receiver.recv_timeout(limit).ok(),
        None => receiver.recv().ok(),
    };
    match received {
        Some(Ok(answer)) => Came::To(answer),
        Some(Err(panic)) => resume_unwind(panic),
        None => Came::TooLate(patience),
    }
}

/// As [`on_worker`], as a task in `room`. A call that goes away takes its creation along, if `policy` hands
/// it over then.
#[cfg(feature = "tokio")]
pub(super) async fn in_task<T: Send + 'static>(
    policy: &Policy,
    room: Room,
    patience: Option<Patience>,
    // In its box from the beginning: it is large, and moved through all that follows.
    creation: Pin<Box<impl Future<Output = T> + Send + 'static>>,
) -> Result<Came<T>, Error> {
    let (sender, receiver) = tokio::sync::oneshot::channel::<thread::Result<T>>();
    let listening = patience.map(|patience| (patience, receiver));
    let work = async move {
        if let Err(Err(_panic)) = sender.send(runtime::Caught::new(creation).await) {
            room.count_panic();
        }
    };
    let task = runtime::spawn(Caller::here().wrap(work))?;
    let Some((patience, receiver)) = listening else { return Ok(Came::Unawaited) };
    let cancel = CancelGuard::new(policy, task);
    // A hard time-out that drops the creation is kept by the creation itself.
    let limit = match patience {
        Patience::Hard(_) if policy.on_timeout == OnTimeout::Drop => None,
        patience => patience.limit(),
    };
    let received = match limit {
        Some(limit) => runtime::timeout(limit, receiver).await,
        None => Some(receiver.await),
    };
    cancel.disarm();
    match received {
        Some(Ok(Ok(answer))) => Ok(Came::To(answer)),
        Some(Ok(Err(panic))) => resume_unwind(panic),
        Some(Err(_dropped)) => Err(Error::runtime_ended()),
        None => Ok(Came::TooLate(patience)),
    }
}

/// Drops a creation with its caller, if the policy hands it over then.
#[cfg(feature = "tokio")]
struct CancelGuard(Option<tokio::task::AbortHandle>);

#[cfg(feature = "tokio")]
impl CancelGuard {
    fn new(policy: &Policy, task: tokio::task::AbortHandle) -> Self {
        Self(Some(task).filter(|_| policy.on_cancel == OnCancel::HandOver))
    }

    fn disarm(mut self) {
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

impl<V: Clone + Send + Sync + 'static> Flow<'_, V> {
    /// Throws away what a creation will make that reached its hard time-out, if the policy says so: those
    /// who wait are told, who comes creates anew.
    pub(super) fn abandon(&self, stake: &Weak<Stake>) {
        if self.request.policy.on_timeout == OnTimeout::Drop
            && let Some(Held { leader, claim }) = stake.upgrade().and_then(|stake| stake.take())
        {
            drop(claim);
            self.failed(None, &leader);
            leader.finish(Outcome::TimedOut);
        }
    }
}
