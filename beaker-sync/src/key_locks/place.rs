use std::{task::Waker, time::Instant};

use super::fault::{Fault, has};
use crate::primitive::{Condvar, Mutex};

/// The place of one who waits.
#[derive(Debug)]
pub(super) struct Place {
    state: Mutex<State>,
    handed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the lock was handed to this place. It stays so.
    is_handed: bool,
    /// The waker of a task that has looked and was not handed it.
    waker: Option<Waker>,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::default()), handed: Condvar::new() }
    }

    /// Waits, as a thread, until the lock is handed over; `false` if `deadline` passes first.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        let mut is_over = false;
        while !state.is_handed && !is_over {
            (state, is_over) = match deadline {
                None => (self.handed.wait(state), false),
                Some(deadline) => self.handed.wait_until(state, deadline),
            };
        }
        state.is_handed
    }

    /// Looks, for a task, whether the lock was handed over; leaves `waker` there if it was not.
    pub(super) fn poll(&self, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut state = self.state.lock();
        if state.is_handed {
            return true;
        }
        if has(Fault::WakerLeftLate) {
            drop(state);
            state = self.state.lock();
        }
        let older = state.waker.replace(waker);
        drop(state);
        drop(older);
        false
    }

    pub(super) fn hand_over(&self) {
        let mut state = self.state.lock();
        state.is_handed = true;
        let waker = state.waker.take();
        drop(state);
        if has(Fault::SilentHandOver) {
            return;
        }
        self.handed.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
