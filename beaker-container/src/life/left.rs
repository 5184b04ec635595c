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

use super::{Listener, Listening, Region, Removal, Shared};
use crate::{RemovalCause, Why};

/// What left one namespace since this was begun, as far as this process knows.
#[derive(Clone)]
pub(crate) struct Remembered {
    left: Arc<Left>,
    /// Whether nothing leaves of which this is not told.
    is_told_of_all: bool,
    _listening: Listening,
}

#[derive(Debug)]
struct Left {
    most: NonZeroUsize,
    began: Timestamp,
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
    /// `None` if it is not known whether it was there then.
    cause: Option<RemovalCause>,
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
        let left = Arc::new(Left { most, began: clock.now(), state: Mutex::default() });
        let notes = Arc::clone(&left);
        let listener: Arc<Listener> = Arc::new(move |removal: Removal<'_>| {
            let Removal { key, cause, is_sure } = removal;
            // Of what is replaced there is something; and what has no key leaves a mark.
            if let Some(key) = key.filter(|_| *cause != RemovalCause::Replaced) {
                notes.note(key, is_sure.then(|| cause.clone()), &*clock);
            }
        });
        let listening = Listening::begin(listener, shared, namespace, region);
        let is_told_of_all = listening.hears_the_store && namespace.scope() == Scope::Process;
        Self { left, is_told_of_all, _listening: listening }
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
            (Why::Absent | Why::Cleared { .. }, Some(Departed { cause: Some(cause), at, .. })) => {
                Why::Left { cause: cause.clone(), since: ago(*at) }
            }
            (Why::Absent, None) if self.is_told_of_all && !state.has_forgotten => {
                Why::NotSeen { since: ago(self.left.began) }
            }
            (why, _) => why,
        }
    }
}

impl Left {
    fn note(&self, key: &Key, cause: Option<RemovalCause>, clock: &dyn Clock) {
        let at = clock.now();
        let mut state = self.state.lock();
        state.number += 1;
        let number = state.number;
        let departed = Departed { number, cause, at };
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
