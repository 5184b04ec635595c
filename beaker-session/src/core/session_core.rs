//! A core with its settings, for whoever drives one.

use std::fmt;

use beaker_namespace::Timestamp;

use super::{Answer, Op, Outgoing, Step, unexpected};
use crate::lazy::{Goal, LazySession};
use crate::{Error, Session, Sessions};

/// The session of one request: Cookie headers, time and the store's answers go in; calls for the
/// store, Set-Cookie headers and cache headers come out.
///
/// The adapters drive one for you; drive it yourself to put sessions into another server, or to
/// play orders of events in a test:
///
/// ```
/// use beaker_session::{SessionCore, Sessions, Step};
/// # use beaker_namespace::{Clock, Stores, SystemClock};
///
/// let store = Stores::new().open(&"memory:".parse()?, "core example")?;
/// let sessions = Sessions::builder().with_namespace(store).build()?;
/// let mut core = SessionCore::new(&sessions, [&b"a=b"[..]]);
///
/// // What is asked can be answered by any store, at any time, in any way.
/// let drive = |core: &mut SessionCore, mut step: Step| {
///     while let Step::Ask(op) = step {
///         step = core.answer(op.run(sessions.store(), None), SystemClock.now())?;
///     }
///     Ok::<(), beaker_session::Error>(())
/// };
/// let step = core.begin_load(SystemClock.now())?;
/// drive(&mut core, step)?;
/// core.session().ok_or("it is loaded")?.insert("name", "Ada")?;
///
/// let step = core.begin_commit(SystemClock.now(), false)?;
/// let saved = drive(&mut core, step);
/// assert_eq!(core.finish(saved)?.set_cookies().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Under [`MergePolicy::Lock`](crate::MergePolicy::Lock) it also asks for the lock of each session that it is about to
/// load, by [`Op::Lock`]: the answer is what [`Sessions::lock`] gives, and the core has the lock until its commit has
/// ended or it is dropped.
pub struct SessionCore {
    lazy: LazySession,
    /// What the store was asked last.
    asked: Option<Op>,
}

impl SessionCore {
    /// The session that a request's `Cookie` headers name. Nothing is read yet. Of `sessions` it keeps the
    /// settings; it has no store, whatever is done with it.
    pub fn new<'h>(
        sessions: &Sessions,
        cookie_headers: impl IntoIterator<Item = &'h [u8]>,
    ) -> Self {
        Self { lazy: sessions.without_store().begin(cookie_headers), asked: None }
    }

    /// Begins to load the session, unless it is loaded.
    ///
    /// # Errors
    ///
    /// As the [outage](crate::OutagePolicy) and [corrupt](crate::CorruptPolicy) policies say, and
    /// [`Busy`](crate::ErrorKind::Busy) if that is what came of a wait for a lock: the load can be begun again.
    /// [`AlreadyCommitted`](crate::ErrorKind::AlreadyCommitted) if nobody loaded it before the commit: the
    /// response's header has gone without saying that it depends on the session.
    pub fn begin_load(&mut self, now: Timestamp) -> Result<Step, Error> {
        self.begin(Goal::Load, now)
    }

    /// The session, to be read and changed; `None` before it is loaded. What would ask a store by itself, as
    /// its own [`save`](Session::save), fails with [`Unsupported`](crate::ErrorKind::Unsupported): use
    /// [`begin_save`](Self::begin_save).
    pub fn session(&self) -> Option<Session> {
        self.is_open().then(|| Session::new(self.lazy.clone()))
    }

    /// Begins to end the session, loaded or not; see [`LazySession::delete`].
    ///
    /// # Errors
    ///
    /// As [`LazySession::delete`].
    pub fn begin_delete(&mut self, now: Timestamp) -> Result<Step, Error> {
        self.begin(Goal::Delete, now)
    }

    /// Begins to save what was changed, if anything was.
    ///
    /// # Errors
    ///
    /// [`Ended`](crate::ErrorKind::Ended) and [`Conflict`](crate::ErrorKind::Conflict) as said
    /// there, and those of the store. What could not be stored for a failure of the store is kept,
    /// and can be saved again.
    pub fn begin_save(&mut self, now: Timestamp) -> Result<Step, Error> {
        self.begin(Goal::Save, now)
    }

    /// As [`begin_save`](Self::begin_save), for the last time: later changes are refused. With
    /// `server_error` the policy for that decides what is saved.
    ///
    /// # Errors
    ///
    /// As [`begin_save`](Self::begin_save).
    pub fn begin_commit(&mut self, now: Timestamp, server_error: bool) -> Result<Step, Error> {
        self.begin(Goal::Commit { server_error }, now)
    }

    fn begin(&mut self, goal: Goal, now: Timestamp) -> Result<Step, Error> {
        let step = self.lazy.begin(goal, now);
        self.noting(step)
    }

    /// Takes the store's answer to the last [`Step::Ask`].
    ///
    /// # Errors
    ///
    /// Those of what was begun.
    pub fn answer(&mut self, answer: Answer, now: Timestamp) -> Result<Step, Error> {
        let op = self.asked.take().ok_or_else(unexpected)?;
        let step = self.lazy.answer(op, answer, now);
        self.noting(step)
    }

    fn noting(&mut self, step: Result<Step, Error>) -> Result<Step, Error> {
        if let Ok(Step::Ask(op)) = &step {
            self.asked = Some(op.clone());
        }
        step
    }

    /// What is to be added to the response, after a commit that came to `saved`.
    ///
    /// # Errors
    ///
    /// What is left of a failure after the policies, as [`LazySession::commit`] says.
    pub fn finish(self, saved: Result<(), Error>) -> Result<Outgoing, Error> {
        self.lazy.committed(saved)
    }

    /// Whether somebody has looked into the session.
    pub fn is_open(&self) -> bool {
        self.lazy.is_loaded()
    }
}

impl fmt::Debug for SessionCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lazy.core().fmt(f)
    }
}
