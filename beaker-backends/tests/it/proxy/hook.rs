//! A namespace that lets something happen in the midst of a call.

use std::fmt;
use std::sync::Mutex;

use beaker_namespace::{Claim, Entry, Error, Fulfilled, Key, Namespace, Wait, forward_namespace};

/// Where in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// The entry was read and is not yet returned.
    AfterGet,
    /// As `AfterGet`, for many keys.
    AfterGetMany,
    BeforeClaim,
    BeforeSet,
    BeforeFulfil,
    /// The value is set and the call has not returned.
    AfterSet,
}

type Plan = (Point, Box<dyn FnOnce() + Send>);

/// Does what the inner namespace does, and runs what was planned at a point, once.
pub(super) struct Hook<N> {
    inner: N,
    plan: Mutex<Option<Plan>>,
}

impl<N> Hook<N> {
    pub(super) fn new(inner: N) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    pub(super) fn inner(&self) -> &N {
        &self.inner
    }

    /// Runs `what` the next time that a call is at `point`.
    pub(super) fn at(&self, point: Point, what: impl FnOnce() + Send + 'static) {
        *self.plan.lock().unwrap() = Some((point, Box::new(what)));
    }

    fn reach(&self, point: Point) {
        let what = {
            let mut plan = self.plan.lock().unwrap();
            let here = plan.as_ref().is_some_and(|(planned, _)| *planned == point);
            if here { plan.take() } else { None }
        };
        if let Some((_, what)) = what {
            what();
        }
    }
}

impl<N: fmt::Debug> fmt::Debug for Hook<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<N: Namespace> Namespace for Hook<N> {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, latency, clock, remove, clear, stats, set_if, scan, remove_tag,
        mark, marks, sweep, inspect,
    );

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let found = self.inner.get(key);
        self.reach(Point::AfterGet);
        found
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        let found = self.inner.get_many(keys);
        self.reach(Point::AfterGetMany);
        found
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        self.reach(Point::BeforeSet);
        let set = self.inner.set(key, entry);
        self.reach(Point::AfterSet);
        set
    }

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        self.reach(Point::BeforeClaim);
        self.inner.claim(key, wait)
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        self.reach(Point::BeforeFulfil);
        self.inner.fulfil(key, entry, claim)
    }
}
