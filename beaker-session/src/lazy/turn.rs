//! A load that waits, in a task, for its request's turn at the session.
//
// 1. What asks the store runs to its end, also if the caller goes away, as each load does. The wait for the lock is the
//    caller's own: who goes away waits no more.
// 2. Both are made by whoever has the way to the store, and hand it to each other. So a request has one load at a time: a
//    second one would wait for what the first one has.

use super::{Goal, LazySession};
use crate::core::{Op, Step};
use crate::tasks::{blocking, to_its_end};
use crate::{Error, RecordKey};

impl LazySession {
    pub(crate) async fn load_in_turn(self) -> Result<(), Error> {
        let Some(mut way) = Way::of(&self) else {
            // A thread may wait for who is on the way.
            return blocking(move || self.drive(Goal::Load)).await;
        };
        let mut step = self.begin(Goal::Load, self.sessions().0.clock.coarse())?;
        while let Step::Ask(op) = step {
            (way, step) = match op {
                Op::Lock(key) => way.wait(key).await?,
                op => way.ask(op).await?,
            };
        }
        Ok(())
    }
}

/// The way to the store, as [`Driving`](crate::driver::Driving), of somebody who changes threads.
struct Way(LazySession);

impl Way {
    /// The way of `lazy`, if nobody is on it.
    fn of(lazy: &LazySession) -> Option<Self> {
        lazy.shared().driver.try_take().then(|| Self(lazy.clone()))
    }

    /// Waits for the lock, and says what comes next.
    async fn wait(self, key: RecordKey) -> Result<(Self, Step), Error> {
        let sessions = self.0.sessions();
        let locked = sessions.lock_async(&key).await;
        let step = self.0.answer(Op::Lock(key), locked.into(), sessions.0.clock.coarse())?;
        Ok((self, step))
    }

    /// Asks the store, in the way that suits a task, until the load has ended or comes to a lock.
    async fn ask(self, op: Op) -> Result<(Self, Step), Error> {
        let sessions = self.0.sessions();
        if sessions.0.inline {
            return self.go(op);
        }
        if sessions.asynchronous().is_some() {
            return to_its_end(self.go_in_task(op)).await;
        }
        blocking(move || self.go(op)).await
    }

    fn go(self, op: Op) -> Result<(Self, Step), Error> {
        let sessions = self.0.sessions();
        let mut next = op;
        loop {
            let answer = sessions.ask(&next);
            match self.0.answer(next, answer, sessions.0.clock.coarse())? {
                Step::Ask(op) if !matches!(op, Op::Lock(_)) => next = op,
                step => return Ok((self, step)),
            }
        }
    }

    async fn go_in_task(self, op: Op) -> Result<(Self, Step), Error> {
        let sessions = self.0.sessions();
        let mut next = op;
        loop {
            let answer = match sessions.asynchronous() {
                Some(store) => {
                    let answer = store.ask(&next).await;
                    sessions.tell(&next);
                    answer
                }
                None => sessions.ask(&next),
            };
            match self.0.answer(next, answer, sessions.0.clock.coarse())? {
                Step::Ask(op) if !matches!(op, Op::Lock(_)) => next = op,
                step => return Ok((self, step)),
            }
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.0.shared().driver.end();
    }
}
