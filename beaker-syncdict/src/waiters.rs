//! The people who wait for one flight.
//
// Rules:
// 1. `Waiters` exists only once somebody waits; a flight without waiters allocates nothing.
// 2. Lock order: a shard's lock may be held when `state` is taken, never the other way round.
//    No user code runs under `state`: an outcome is shared as an `Arc` and cloned outside.
// 3. `waiting` counts those who entered and have not left. They enter under the shard's exclusive
//    lock, so that a leader who gives up (under the same lock) either sees them or is gone before.
// 4. A phase stays until somebody acts on it; nobody relies on being parked at the right moment.
//    `Baton` is taken by exactly one: whoever sees it first sets it back to `Flying`. A waiter
//    whose time is over looks at the phase once more and takes a baton rather than lose it.
// 5. An entry of a waiter is one number in `waiting`; one who gives up takes it back, so time-outs
//    leave nothing.
//
// Async callers fit in later without a change outside this file: `State` gets a queue of
// `(ticket, Waker)`. `publish` and `disperse` wake all of it. `offer` wakes the oldest waker if
// there is one and a thread otherwise. `poll` looks at the phase exactly as `wait` does (rule 4
// makes the order of registering and looking harmless), and a future that is dropped leaves like
// a waiter whose time is over, except that it passes a baton on instead of taking it. A task has
// no thread, so its flight names no leading thread (see `Flight::leader`) and finds re-entry by a
// task-local instead.

use std::sync::Arc;
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

impl<T> Waiters<T> {
    pub(crate) fn new() -> Self {
        let state = State { waiting: 0, phase: Phase::Flying };
        Self { state: Mutex::new(state), changed: Condvar::default() }
    }

    /// Counts the caller in; it must call [`wait`](Self::wait) next.
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

    /// Offers the lead to the waiters; `false` if there are none.
    pub(crate) fn offer(&self) -> bool {
        let mut state = self.state.lock();
        if state.waiting == 0 {
            return false;
        }
        state.phase = Phase::Baton;
        drop(state);
        if !sabotaged(Sabotage::SilentHandOver) {
            self.changed.notify_one();
        }
        true
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
        self.state.lock().phase = phase;
        self.changed.notify_all();
    }
}

/// Takes the value out of its last owner's hands, or clones it.
pub(crate) fn unshare<T: Clone>(shared: Arc<T>) -> T {
    Arc::try_unwrap(shared).unwrap_or_else(|shared| T::clone(&shared))
}
