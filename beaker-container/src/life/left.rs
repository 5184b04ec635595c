//! What left lately, for those who ask why there is nothing.
//
// Stores keep nothing of what has left. So a process that is asked to remembers it itself, as it is told: the
// last removals, up to a bound, the oldest forgotten first. It costs a reader nothing, and a removal what a
// listener costs.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;

use beaker_namespace::{Clock, Key, Namespace, Scope, Timestamp};
use parking_lot::Mutex;

use super::{Listener, Listening, Region, Shared};
use crate::{RemovalCause, Why};

/// What left one namespace since this was begun, as far as this process knows.
#[derive(Clone)]
pub(crate) struct Remembered {
    left: Arc<Left>,
    _listening: Listening,
}

#[derive(Debug)]
struct Left {
    most: NonZeroUsize,
    began: Timestamp,
    /// Whether nothing leaves of which this is not told.
    is_told_of_all: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_key: HashMap<Key, Departed>,
    /// By number, the oldest first; those that left again later are in it twice.
    order: VecDeque<(u64, Key)>,
    number: u64,
    has_forgotten: bool,
}

#[derive(Debug, Clone)]
struct Departed {
    number: u64,
    cause: RemovalCause,
    at: Timestamp,
}

impl Remembered {
    pub(super) fn begin(
        most: NonZeroUsize,
        shared: &Arc<Shared>,
        namespace: &dyn Namespace,
        region: Option<&Region>,
    ) -> Self {
        let clock = Arc::clone(namespace.clock());
        let left = Arc::new(Left {
            most,
            began: clock.now(),
            is_told_of_all: namespace.scope() == Scope::Process,
            state: Mutex::default(),
        });
        let notes = Arc::clone(&left);
        let listener: Arc<Listener> = Arc::new(move |key: Option<&Key>, cause: &RemovalCause| {
            // Of what is replaced there is something; and what has no key leaves a mark.
            if let Some(key) = key.filter(|_| *cause != RemovalCause::Replaced) {
                notes.note(key, cause, &*clock);
            }
        });
        Self { left, _listening: Listening::begin(listener, shared, namespace, region) }
    }

    /// The same on another namespace, of which it knows nothing yet.
    pub(super) fn on(
        &self,
        shared: &Arc<Shared>,
        namespace: &dyn Namespace,
        region: Option<&Region>,
    ) -> Self {
        Self::begin(self.left.most, shared, namespace, region)
    }

    /// Says more of a key under which there is nothing.
    pub(super) fn explain(&self, key: &Key, why: Why, now: Timestamp) -> Why {
        let ago = |at: Timestamp| now.saturating_duration_since(at);
        let state = self.left.state.lock();
        match (why, state.by_key.get(key)) {
            // What was there before has left by the clearing or before it.
            (Why::Cleared { since }, Some(left)) if ago(left.at) > since => Why::Cleared { since },
            (Why::Absent | Why::Cleared { .. }, Some(left)) => {
                Why::Left { cause: left.cause.clone(), since: ago(left.at) }
            }
            (Why::Absent, None) if self.left.is_told_of_all && !state.has_forgotten => {
                Why::NotSeen { since: ago(self.left.began) }
            }
            (why, _) => why,
        }
    }
}

impl Left {
    fn note(&self, key: &Key, cause: &RemovalCause, clock: &dyn Clock) {
        let mut state = self.state.lock();
        state.number += 1;
        let number = state.number;
        let departed = Departed { number, cause: cause.clone(), at: clock.now() };
        state.by_key.insert(key.clone(), departed);
        state.order.push_back((number, key.clone()));
        while state.order.len() > self.most.get() {
            let Some((number, key)) = state.order.pop_front() else { break };
            if state.by_key.get(&key).is_some_and(|left| left.number == number) {
                state.by_key.remove(&key);
                state.has_forgotten = true;
            }
        }
    }
}
