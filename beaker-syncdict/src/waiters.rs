//! The people who wait for one flight: threads, and tasks that left a waker.
//
// Rules:
// 1. `Waiters` exists only once somebody waits; a flight without waiters allocates nothing.
// 2. Lock order: a shard's lock may be held when `state` is taken, never the other way round.
//    No user code runs under `state`: an outcome is shared as an `Arc` and cloned outside, a waker
//    is cloned before and dropped after. Nor is a waker woken under a shard's lock, since waking
//    may poll or drop another future at once: `offer` gives the wakers back.
// 3. `waiting` counts those who entered and have not left. They enter under the shard's exclusive
//    lock, so that a leader who gives up (under the same lock) either sees them or is gone before.
// 4. A phase stays until somebody acts on it; nobody relies on being parked, or on having left a
//    waker, at the right moment. `Baton` is taken by exactly one: whoever sees it first sets it
//    back to `Flying`. It is offered to all tasks and to one thread. A thread is sure to look; a
//    task may never be polled again, and must not keep the lead from the others.
// 5. Who gives up leaves nothing: a thread takes its number in `waiting` back, a task that and its
//    waker. A thread whose time is over looks at the phase once more and takes a baton rather than
//    lose it. A task that is dropped leaves the baton to the others, who were all told of it; the
//    last one takes it and hands it back (`Left::WithBaton`), for the flight to be ended.
// 6. A task looks at the phase and leaves its waker in one go, under `state`.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use crate::primitive::{Condvar, Mutex, MutexGuard, Sabotage, sabotaged};

#[derive(Debug)]
pub(crate) struct Waiters<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: usize,
    phase: Phase<T>,
    /// The wakers of the tasks that have looked and found nothing, by ticket. A tree gives the
    /// memory of those who leave back.
    tasks: BTreeMap<Ticket, Waker>,
    next_ticket: u64,
}

#[derive(Debug)]
enum Phase<T> {
    /// Somebody leads.
    Flying,
    /// The leader gave up; one of the waiters is to lead.
    Baton,
    /// The flight ended without an outcome; everybody begins anew.
    Dispersed,
    /// The outcome.
    Landed(Arc<T>),
}

/// What a wait came to.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    Landed(Arc<T>),
    Baton,
    Dispersed,
    TimedOut,
}

/// The place of one task's waker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// How a task left that did not wait to the end.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Left {
    /// The flight goes on without it.
    Alone,
    /// The lead was on offer and nobody else waits: the caller has it now, and must pass it on.
    WithBaton,
}

impl<T> Waiters<T> {
    pub(crate) fn new() -> Self {
        let (phase, tasks) = (Phase::Flying, BTreeMap::new());
        let state = State { waiting: 0, phase, tasks, next_ticket: 0 };
        Self { state: Mutex::new(state), changed: Condvar::default() }
    }

    /// Counts the caller in; it must call [`wait`](Self::wait) or [`poll`](Self::poll) next.
    pub(crate) fn enter(&self) {
        self.state.lock().waiting += 1;
    }

    pub(crate) fn count(&self) -> usize {
        self.state.lock().waiting
    }

    /// Waits until the flight lands, disperses, or needs this caller to lead it.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Waited<T> {
        let mut state = self.state.lock();
        let mut in_time = true;
        loop {
            if let Some(waited) = Self::leave(&mut state) {
                return waited;
            }
            if !in_time {
                state.waiting -= 1;
                return Waited::TimedOut;
            }
            (state, in_time) = self.changed.wait(state, deadline);
        }
    }

    /// Looks once, for a task; leaves `waker` there if there is nothing to leave for.
    ///
    /// `ticket` is the task's own, given by the first call.
    pub(crate) fn poll(&self, ticket: &mut Option<Ticket>, waker: &Waker) -> Option<Waited<T>> {
        let waker = waker.clone();
        let mut state = self.state.lock();
        if let Some(waited) = Self::leave(&mut state) {
            let _mine = ticket.and_then(|ticket| state.tasks.remove(&ticket));
            drop(state);
            return Some(waited);
        }
        if sabotaged(Sabotage::WakerLeftLate) {
            drop(state);
            state = self.state.lock();
        }
        let ticket = *ticket.get_or_insert_with(|| state.ticket());
        let _older = state.tasks.insert(ticket, waker);
        drop(state);
        None
    }

    /// Counts a task out that is dropped before its wait has ended.
    pub(crate) fn withdraw(&self, ticket: Option<Ticket>) -> Left {
        let mut state = self.state.lock();
        state.waiting -= 1;
        let _mine = ticket.and_then(|ticket| state.tasks.remove(&ticket));
        let last = state.waiting == 0 && matches!(state.phase, Phase::Baton);
        if last {
            state.phase = Phase::Flying;
        }
        drop(state);
        if last { Left::WithBaton } else { Left::Alone }
    }

    /// Counts the caller out if there is something to leave for.
    fn leave(state: &mut MutexGuard<'_, State<T>>) -> Option<Waited<T>> {
        let waited = match &state.phase {
            Phase::Flying => return None,
            Phase::Baton => Waited::Baton,
            Phase::Dispersed => Waited::Dispersed,
            Phase::Landed(outcome) => Waited::Landed(Arc::clone(outcome)),
        };
        if matches!(waited, Waited::Baton) && !sabotaged(Sabotage::LeadTakenTwice) {
            state.phase = Phase::Flying;
        }
        state.waiting -= 1;
        Some(waited)
    }

    /// Offers the lead to the waiters; `None` if there are none.
    ///
    /// The caller wakes the tasks once it holds no lock.
    pub(crate) fn offer(&self) -> Option<Wakers> {
        let mut state = self.state.lock();
        if state.waiting == 0 {
            return None;
        }
        state.phase = Phase::Baton;
        let tasks = mem::take(&mut state.tasks);
        drop(state);
        if sabotaged(Sabotage::SilentHandOver) {
            return Some(Wakers(BTreeMap::new()));
        }
        self.changed.notify_one();
        Some(Wakers(tasks))
    }

    /// Hands the outcome to everybody who waits, and back to the caller to clone from.
    pub(crate) fn publish(&self, outcome: T) -> Arc<T> {
        let outcome = Arc::new(outcome);
        self.end(Phase::Landed(Arc::clone(&outcome)));
        outcome
    }

    /// Sends everybody who waits back to the beginning.
    pub(crate) fn disperse(&self) {
        self.end(Phase::Dispersed);
    }

    fn end(&self, phase: Phase<T>) {
        let mut state = self.state.lock();
        state.phase = phase;
        let wakers = Wakers(mem::take(&mut state.tasks));
        drop(state);
        self.changed.notify_all();
        wakers.wake();
    }
}

impl<T> State<T> {
    fn ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }
}

/// Tasks to be woken, by a caller that holds no lock.
#[derive(Debug)]
#[must_use = "they wait to be woken"]
pub(crate) struct Wakers(BTreeMap<Ticket, Waker>);

impl Wakers {
    /// Wakes all, the oldest first.
    pub(crate) fn wake(mut self) {
        self.wake_each();
    }

    fn wake_each(&mut self) {
        while let Some((_, waker)) = self.0.pop_first() {
            waker.wake();
        }
    }
}

impl Drop for Wakers {
    /// Wakes those who are left when one of them panicked.
    fn drop(&mut self) {
        self.wake_each();
    }
}

/// Takes the value out of its last owner's hands, or clones it.
pub(crate) fn unshare<T: Clone>(shared: Arc<T>) -> T {
    Arc::try_unwrap(shared).unwrap_or_else(|shared| T::clone(&shared))
}
