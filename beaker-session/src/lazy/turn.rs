//! A load that waits for its request's turn at the session.
//
// 1. What asks the store has the way to it, and runs to its end, also if the caller goes away, as each load does. The
//    wait for the lock is the caller's own: who goes away waits no more.
// 2. Who waits for the lock does not have the way: a logout and a commit beside it go on. They may end what is waited for,
//    so a load that comes back looks whether the lock is still asked for, and begins anew if it is not.
// 3. A request waits for a lock once: a second load would wait for what the first one is handed. It waits at the gate,
//    which the first one has until it comes back, and begins anew.

#[cfg(feature = "tokio")]
use std::future::poll_fn;

use beaker_sync::{KeyGuard, KeyLocks};

use super::{Goal, LazySession};
use crate::core::{Op, Step};
#[cfg(feature = "tokio")]
use crate::tasks::{blocking, to_its_end};
use crate::{Error, RecordKey, SessionLock};

/// What a request's loads pass one at a time to wait for a lock.
pub(super) type Gate = KeyLocks<()>;

/// A load that comes back from its wait for a lock.
struct Back {
    key: RecordKey,
    locked: Result<SessionLock, Error>,
    gate: KeyGuard<()>,
}

/// Why a load does not go on.
enum Stop {
    Loaded,
    /// Another request has the lock of this key.
    Before(RecordKey, KeyGuard<()>),
    /// Another load of this request waits for a lock.
    Behind(Gate),
}

/// What a load comes to.
enum Next {
    Ask(Op),
    Stop(Stop),
}

impl LazySession {
    pub(super) fn load_in_turn(&self) -> Result<(), Error> {
        let sessions = self.sessions();
        let (mut patience, mut back) = (sessions.patience()?, None);
        loop {
            match self.go(back.take())? {
                Stop::Loaded => return Ok(()),
                Stop::Before(key, gate) => {
                    let locked = sessions.wait_for_lock(&key, &mut patience);
                    back = Some(Back { key, locked, gate });
                }
                Stop::Behind(gate) => drop(patience.wait(&gate, ())?),
            }
        }
    }

    /// Goes on, by way of the store, until the load has ended or has to wait.
    fn go(&self, back: Option<Back>) -> Result<Stop, Error> {
        let _one_at_a_time = self.shared().driver.begin();
        let next = self.enter(back)?;
        self.go_on(next)
    }

    fn go_on(&self, mut next: Next) -> Result<Stop, Error> {
        let sessions = self.sessions();
        loop {
            match next {
                Next::Stop(stop) => return Ok(stop),
                Next::Ask(op) => {
                    let answer = sessions.ask(&op);
                    next = self.next(self.answer(op, answer, sessions.0.clock.coarse())?)?;
                }
            }
        }
    }

    /// Begins, or goes on with the lock that was waited for. The caller has the way.
    fn enter(&self, back: Option<Back>) -> Result<Next, Error> {
        let now = self.sessions().0.clock.coarse();
        if let Some(Back { key, locked, gate }) = back {
            if self.is_loaded() || self.core().awaits_lock(&key) {
                let step = self.answer(Op::Lock(key), locked.into(), now);
                drop(gate);
                return self.next(step?);
            }
            locked.map(drop)?;
        }
        if let Some(gate) = self.gate().filter(|gate| !gate.is_empty()) {
            return Ok(Next::Stop(if self.is_loaded() {
                Stop::Loaded
            } else {
                Stop::Behind(gate)
            }));
        }
        self.next(self.begin(Goal::Load, now)?)
    }

    /// Takes the locks that are free, until the store is to be asked.
    fn next(&self, mut step: Step) -> Result<Next, Error> {
        let sessions = self.sessions();
        loop {
            let key = match step {
                Step::Done => return Ok(Next::Stop(Stop::Loaded)),
                Step::Ask(Op::Lock(key)) => key,
                Step::Ask(op) => return Ok(Next::Ask(op)),
            };
            let Some(lock) = sessions.try_lock(&key)? else {
                return Ok(Next::Stop(self.stop_before(key)));
            };
            step = self.answer(Op::Lock(key), Ok(lock).into(), sessions.0.clock.coarse())?;
        }
    }

    fn stop_before(&self, key: RecordKey) -> Stop {
        let gate = self.state().gate.get_or_insert_with(Gate::new).clone();
        match gate.try_lock(()) {
            Some(passed) => Stop::Before(key, passed),
            // Another load has waited there, and leaves it in a moment.
            None => Stop::Behind(gate),
        }
    }

    fn gate(&self) -> Option<Gate> {
        self.state().gate.clone()
    }
}

#[cfg(feature = "tokio")]
impl LazySession {
    pub(crate) async fn load_in_turn_async(self) -> Result<(), Error> {
        let sessions = self.sessions();
        let (mut patience, mut back) = (sessions.patience()?, None);
        loop {
            match self.go_async(back.take()).await? {
                Stop::Loaded => return Ok(()),
                Stop::Before(key, gate) => {
                    let locked = sessions.wait_for_lock_async(&key, &mut patience).await;
                    back = Some(Back { key, locked, gate });
                }
                Stop::Behind(gate) => drop(patience.wait_async(&gate, ()).await?),
            }
        }
    }

    /// As [`go`](Self::go), in the way that suits a task.
    async fn go_async(&self, back: Option<Back>) -> Result<Stop, Error> {
        let sessions = self.sessions();
        if sessions.0.inline {
            return self.go(back);
        }
        let way = Way::begin(self).await;
        match self.enter(back)? {
            Next::Stop(stop) => Ok(stop),
            next if sessions.asynchronous().is_some() => to_its_end(way.go_in_task(next)).await,
            next => blocking(move || way.go_on(next)).await,
        }
    }
}

/// The way to the store, as [`Driving`](crate::driver::Driving), of somebody who changes threads.
#[cfg(feature = "tokio")]
struct Way(LazySession);

#[cfg(feature = "tokio")]
impl Way {
    async fn begin(lazy: &LazySession) -> Self {
        poll_fn(|context| lazy.shared().driver.poll_take(context)).await;
        Self(lazy.clone())
    }

    fn go_on(self, next: Next) -> Result<Stop, Error> {
        self.0.go_on(next)
    }

    async fn go_in_task(self, mut next: Next) -> Result<Stop, Error> {
        let sessions = self.0.sessions();
        loop {
            let op = match next {
                Next::Stop(stop) => return Ok(stop),
                Next::Ask(op) => op,
            };
            let answer = match sessions.asynchronous() {
                Some(store) => {
                    let answer = store.ask(&op).await;
                    sessions.tell(&op);
                    answer
                }
                None => sessions.ask(&op),
            };
            next = self.0.next(self.0.answer(op, answer, sessions.0.clock.coarse())?)?;
        }
    }
}

#[cfg(feature = "tokio")]
impl Drop for Way {
    fn drop(&mut self) {
        self.0.shared().driver.end();
    }
}
