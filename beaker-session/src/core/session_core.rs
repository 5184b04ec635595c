//! A core with its settings, for whoever drives one.

use std::fmt;
use std::sync::Arc;

use beaker_namespace::Timestamp;

use super::{Answer, Core, Op, Outgoing, Step, unexpected};
use crate::Error;
use crate::config::Config;
use crate::cookie::CookieText;

/// The session of one request: Cookie headers, time and the store's answers go in; calls for the
/// store, Set-Cookie headers and cache headers come out.
///
/// The adapters drive one for you; drive it yourself to put sessions into another server, or to
/// play orders of events in a test:
///
/// ```
/// use beaker_session::{NamespaceStore, SessionCore, Sessions, Step};
/// # use beaker_namespace::{Clock, Stores, SystemClock};
///
/// let store = NamespaceStore::new(Stores::new().open(&"memory:".parse()?, "core example")?)?;
/// let sessions = Sessions::builder().with_store(store).build()?;
/// let mut core = SessionCore::new(sessions.config(), [&b"a=b"[..]]);
/// let mut step = core.begin_load(SystemClock.now())?;
/// while let Step::Ask(op) = step {
///     let answer = op.run(sessions.store(), None);
///     step = core.answer(answer, SystemClock.now())?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SessionCore {
    config: Arc<Config>,
    cookies: CookieText,
    core: Core,
    /// What the store was asked last.
    asked: Option<Op>,
}

impl SessionCore {
    /// The session that a request's `Cookie` headers name. Nothing is read yet.
    pub fn new<'h>(
        config: &Arc<Config>,
        cookie_headers: impl IntoIterator<Item = &'h [u8]>,
    ) -> Self {
        let (config, cookies) = (Arc::clone(config), CookieText::of(cookie_headers));
        Self { config, cookies, core: Core::default(), asked: None }
    }

    /// Begins to load the session, unless it is loaded.
    ///
    /// # Errors
    ///
    /// As the [outage](crate::OutagePolicy) and [corrupt](crate::CorruptPolicy) policies say: the
    /// load can be begun again. [`AlreadyCommitted`](crate::ErrorKind::AlreadyCommitted) if nobody
    /// loaded it before the commit: the response's header has gone without saying that it depends
    /// on the session.
    pub fn begin_load(&mut self, now: Timestamp) -> Result<Step, Error> {
        let step = self.core.begin_load(&self.config, &self.cookies, now);
        self.noting(step)
    }

    /// Begins to save what was changed, if anything was.
    ///
    /// # Errors
    ///
    /// [`Ended`](crate::ErrorKind::Ended) and [`Conflict`](crate::ErrorKind::Conflict) as said
    /// there, and those of the store. What could not be stored for a failure of the store is kept,
    /// and can be saved again.
    pub fn begin_save(&mut self, now: Timestamp) -> Result<Step, Error> {
        let step = self.core.begin_save(&self.config, now);
        self.noting(step)
    }

    /// As [`begin_save`](Self::begin_save), for the last time: later changes are refused. With
    /// `server_error` the policy for that decides what is saved.
    ///
    /// # Errors
    ///
    /// As [`begin_save`](Self::begin_save).
    pub fn begin_commit(&mut self, now: Timestamp, server_error: bool) -> Result<Step, Error> {
        let step = self.core.begin_commit(&self.config, now, server_error);
        self.noting(step)
    }

    /// Takes the store's answer to the last [`Step::Ask`].
    ///
    /// # Errors
    ///
    /// Those of what was begun.
    pub fn answer(&mut self, answer: Answer, now: Timestamp) -> Result<Step, Error> {
        let op = self.asked.take().ok_or_else(unexpected)?;
        let step = self.core.answer(&self.config, op, answer, now);
        self.noting(step)
    }

    fn noting(&mut self, step: Result<Step, Error>) -> Result<Step, Error> {
        if let Ok(Step::Ask(op)) = &step {
            self.asked = Some(op.clone());
        }
        step
    }

    /// What is to be added to the response, after a commit.
    pub fn outgoing(&self) -> &Outgoing {
        &self.core.outgoing
    }

    /// Whether somebody has looked into the session.
    pub fn is_open(&self) -> bool {
        self.core.is_open()
    }
}

impl fmt::Debug for SessionCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}
