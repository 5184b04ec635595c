//! The session of one request, until somebody looks into it.

mod ahead;
mod turn;

use std::fmt;

use beaker_namespace::Timestamp;
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use triomphe::{Arc, HeaderSlice};

use self::turn::Gate;
use crate::Error;
use crate::config::Config;
use crate::cookie::{CookieHeaders, CookieText, Form};
use crate::core::{Answer, Core, Op, Outgoing, Step};
use crate::driver::Driver;
use crate::session::Session;
use crate::sessions::Sessions;
#[cfg(feature = "tokio")]
use crate::store::AsyncSessionStore;
use crate::store::NamespaceStore;

/// A request's session that touches the store only when it is used. Cheap to clone; clones are one
/// session.
///
/// A request that never [loads](Self::load) it reads nothing, writes nothing, and sets no cookie.
#[derive(Clone)]
pub struct LazySession(Arc<HeaderSlice<Shared, [u8]>>);

/// Behind it, in the same memory, lie the cookies: a request that does not look into its session pays for
/// this one allocation. Nobody holds it weakly, so its end is one count the less.
struct Shared {
    sessions: Sessions,
    cookies: Form,
    state: Mutex<State>,
    /// Held from the beginning of a load or a save to its end, so that there is one at a time. The
    /// core is free meanwhile: reading and changing values waits for no disk.
    driver: Driver,
}

impl Shared {
    /// With one header.
    fn new(sessions: Sessions) -> Self {
        let state = State { committed: false, core: None, gate: None };
        Self { sessions, cookies: Form::One, state: Mutex::new(state), driver: Driver::new() }
    }
}

struct State {
    /// Whether the response went without anybody having looked into the session.
    committed: bool,
    /// Made when it is needed first.
    core: Option<Box<Core>>,
    /// Held by the load that waits for its turn; made by the first one that does.
    gate: Option<Gate>,
}

/// What is to be driven to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    Load,
    Delete,
    Save,
    Commit { server_error: bool },
}

impl Goal {
    /// Whether somebody else's request may have to be waited for on the way.
    pub(crate) fn takes_turns(self, config: &Config) -> bool {
        matches!(self, Self::Load) && config.merge.locks()
    }

    /// Whether it may come between a load and its answer, also where the store makes nobody wait: a load that takes
    /// turns is no single step there.
    fn crosses_loads(self, config: &Config) -> bool {
        matches!(self, Self::Delete) && config.merge.locks()
    }
}

impl LazySession {
    /// The session that `cookies` name. They are copied, and not read yet.
    pub(crate) fn new(sessions: Sessions, cookies: &CookieHeaders<'_>) -> Self {
        let mut lazy = Self(Arc::from_header_and_slice(Shared::new(sessions), cookies.bytes()));
        // Where it stays: what was written a moment ago is waited for when it is moved.
        if !matches!(cookies, CookieHeaders::One(_))
            && let Some(HeaderSlice { header, .. }) = Arc::get_mut(&mut lazy.0)
        {
            header.cookies = cookies.form();
        }
        lazy
    }

    /// A session that is loaded already.
    pub(crate) fn opened(sessions: Sessions, core: Core) -> Self {
        let mut lazy = Self::new(sessions, &CookieHeaders::NONE);
        if let Some(HeaderSlice { header, .. }) = Arc::get_mut(&mut lazy.0) {
            header.state.get_mut().core = Some(Box::new(core));
        }
        lazy
    }

    fn shared(&self) -> &Shared {
        &self.0.header
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared().state.lock()
    }

    fn cookies(&self) -> CookieText<'_> {
        CookieText { form: &self.0.header.cookies, bytes: &self.0.slice }
    }

    /// Loads the session, unless it is loaded. A request without a cookie of ours asks no store.
    ///
    /// It blocks where the store does, and while it waits for [its turn](crate::MergePolicy::Lock); in a task use
    /// [`load_async`](Self::load_async).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) and [`Corrupt`](crate::ErrorKind::Corrupt), as
    /// the policies say, and [`Busy`](crate::ErrorKind::Busy) if its turn does not come: it can be tried again.
    /// [`AlreadyCommitted`](crate::ErrorKind::AlreadyCommitted) if nobody has loaded it before the
    /// response's header went.
    pub fn load(&self) -> Result<Session, Error> {
        self.drive(Goal::Load)?;
        Ok(Session::new(self.clone()))
    }

    /// Ends the session, as [`Session::delete`] does, whether it was loaded or not: for a handler that logs a
    /// visitor out. It is loaded to know what there is to end, so that one whose record is damaged ends
    /// too: no [policy](crate::CorruptPolicy) is asked, the record is deleted by its id, and the browser is
    /// told to forget the cookie of the configured path and domain. Where several cookies have the name, what is
    /// damaged or was renewed among them ends too, up to the first session that is found. It waits for no other
    /// request of the session, also under [`MergePolicy::Lock`](crate::MergePolicy::Lock).
    ///
    /// It blocks where the store does; in a task use [`delete_async`](Self::delete_async).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the store cannot be reached, under each
    /// [policy](crate::OutagePolicy): it can be tried again, but by a request that `Anonymous` has
    /// let [load](Self::load) its session as one that is not there.
    /// [`AlreadyCommitted`](crate::ErrorKind::AlreadyCommitted) once the response's header has gone.
    pub fn delete(&self) -> Result<(), Error> {
        self.drive(Goal::Delete)
    }

    /// Saves what was changed, for the last time, and gives what is to be added to the response.
    /// Later changes are refused.
    ///
    /// A session that another request has ended meanwhile is not saved, and that is no error here:
    /// the response stands, sets no cookie, and [`Counts::refused`](crate::Counts::refused) counts
    /// it.
    ///
    /// It blocks where the store does; in a task use [`commit_async`](Self::commit_async).
    ///
    /// # Errors
    ///
    /// Those of [`Session::save`], but for that one; the outage policy may let those of the store
    /// pass.
    pub fn commit(&self) -> Result<Outgoing, Error> {
        self.commit_as(false)
    }

    /// As [`commit`](Self::commit), for a response that is a server error.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit).
    pub fn commit_failed(&self) -> Result<Outgoing, Error> {
        self.commit_as(true)
    }

    pub(crate) fn commit_as(&self, server_error: bool) -> Result<Outgoing, Error> {
        let saved = self.drive(Goal::Commit { server_error });
        self.committed(saved)
    }

    /// What is left of a commit's failure after the policies.
    pub(crate) fn committed(&self, saved: Result<(), Error>) -> Result<Outgoing, Error> {
        self.core().committed(self.sessions().config(), saved)
    }

    /// Whether this is the only handle, and nobody has looked into the session: then nobody will.
    #[cfg(feature = "tower")]
    #[inline]
    pub(crate) fn was_left_alone(&mut self) -> bool {
        Arc::get_mut(&mut self.0).is_some_and(|shared| shared.header.state.get_mut().core.is_none())
    }

    /// Commits as far as a task may, which waits for nothing.
    #[cfg(any(feature = "tower", feature = "actix"))]
    pub(crate) fn commit_in_task(&mut self, server_error: bool) -> InTask {
        // Most often the handler's handles are gone by now: then it needs no lock.
        if let Some(HeaderSlice { header, slice }) = Arc::get_mut(&mut self.0) {
            let Shared { sessions, cookies: form, state, .. } = header;
            let cookies = CookieText { form, bytes: slice };
            return state.get_mut().commit_in_task(sessions, cookies, server_error);
        }
        let mut state = self.state();
        if self.shared().driver.is_busy() {
            // Somebody is on the way to the store, and is waited for.
            return InTask::Blocks;
        }
        state.commit_in_task(self.sessions(), self.cookies(), server_error)
    }

    /// Whether somebody has looked into the session.
    pub fn is_loaded(&self) -> bool {
        self.state().core.as_ref().is_some_and(|core| core.is_open())
    }

    pub(crate) fn core(&self) -> MappedMutexGuard<'_, Core> {
        MutexGuard::map(self.state(), State::core)
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.shared().sessions
    }

    /// Begins to go to `goal`, for whoever asks the store.
    pub(crate) fn begin(&self, goal: Goal, now: Timestamp) -> Result<Step, Error> {
        self.state().begin(self.sessions(), self.cookies(), goal, now)
    }

    /// Goes on with the store's answer to `op`.
    pub(crate) fn answer(&self, op: Op, answer: Answer, now: Timestamp) -> Result<Step, Error> {
        self.migrate_ahead(&answer);
        self.core().answer(self.sessions().config(), op, answer, now)
    }

    /// Whether the store is asked on the way to `goal`.
    #[cfg(feature = "tokio")]
    pub(crate) fn asks_store(&self, goal: Goal) -> bool {
        if self.shared().driver.is_busy() {
            // Somebody is on the way, and is waited for.
            return true;
        }
        let mut state = self.state();
        match goal {
            Goal::Load | Goal::Delete => state.load_asks(self.sessions(), self.cookies()),
            Goal::Save | Goal::Commit { .. } => {
                state.core().save_asks(self.sessions().config(), self.sessions().0.clock.coarse())
            }
        }
    }

    /// Goes to `goal`, from call to call of the store. Once begun it ends, on this thread.
    pub(crate) fn drive(&self, goal: Goal) -> Result<(), Error> {
        let Shared { sessions, driver, .. } = self.shared();
        let config = sessions.config();
        if goal.takes_turns(config) {
            return self.load_in_turn();
        }
        if sessions.0.inline && !goal.crosses_loads(config) {
            let mut state = self.state();
            if !state.migrates() {
                return state.drive(sessions, self.cookies(), goal);
            }
        }
        let _one_at_a_time = driver.begin();
        let mut now = sessions.0.clock.coarse();
        let mut step = self.state().begin(sessions, self.cookies(), goal, now)?;
        while let Step::Ask(op) = step {
            let answer = sessions.ask(&op);
            now = now.max(sessions.0.clock.coarse());
            step = self.answer(op, answer, now)?;
        }
        Ok(())
    }

    /// As [`drive`](Self::drive), in a task that waits for `store`.
    #[cfg(feature = "tokio")]
    pub(crate) async fn drive_by(
        &self,
        store: &dyn AsyncSessionStore,
        goal: Goal,
    ) -> Result<(), Error> {
        let Shared { sessions, driver, .. } = self.shared();
        let _one_at_a_time = driver.begin_async().await;
        let mut now = sessions.0.clock.coarse();
        let mut step = self.state().begin(sessions, self.cookies(), goal, now)?;
        while let Step::Ask(op) = step {
            let answer = store.ask(&op).await;
            sessions.tell(&op);
            now = now.max(sessions.0.clock.coarse());
            step = self.answer(op, answer, now)?;
        }
        Ok(())
    }
}

/// What came of a commit in a task.
#[cfg(any(feature = "tower", feature = "actix"))]
pub(crate) enum InTask {
    /// Nobody has looked into the session.
    Untouched,
    Committed(Result<Outgoing, Error>),
    /// The store is to be asked, and that may block, or a function of the program is to be called.
    Blocks,
}

impl State {
    fn core(&mut self) -> &mut Core {
        let committed = self.committed;
        self.core.get_or_insert_with(|| Core::boxed(committed))
    }

    #[cfg(feature = "tokio")]
    fn load_asks(&self, sessions: &Sessions, cookies: CookieText<'_>) -> bool {
        let is_open = self.core.as_ref().is_some_and(|core| core.is_open());
        !is_open && sessions.config().finds_any(cookies)
    }

    fn begin(
        &mut self,
        sessions: &Sessions,
        cookies: CookieText<'_>,
        goal: Goal,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let (core, config) = (self.core(), sessions.config());
        match goal {
            Goal::Load => core.begin_load(config, cookies, None, now),
            Goal::Delete => core.begin_delete(config, cookies, None, now),
            Goal::Save => core.begin_save(config, now),
            Goal::Commit { server_error } => core.begin_commit(config, now, server_error),
        }
    }

    /// As [`begin`](Self::begin), for sessions that lie in `store`: most often that is all.
    fn begin_in(
        &mut self,
        store: &NamespaceStore,
        config: &Config,
        cookies: CookieText<'_>,
        goal: Goal,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let core = self.core();
        match goal {
            Goal::Load => core.begin_load(config, cookies, Some(store), now),
            Goal::Delete => core.begin_delete(config, cookies, Some(store), now),
            Goal::Commit { server_error } if !core.is_first_commit(config, server_error) => {
                Ok(Step::Done)
            }
            Goal::Save | Goal::Commit { .. } => core.save_in_place(config, store, now),
        }
    }

    /// As [`LazySession::drive`], for a store that makes nobody wait.
    fn drive(
        &mut self,
        sessions: &Sessions,
        cookies: CookieText<'_>,
        goal: Goal,
    ) -> Result<(), Error> {
        // No time worth asking for passes meanwhile.
        let now = sessions.0.clock.coarse();
        let mut step = match &sessions.0.in_memory {
            Some(store) => self.begin_in(store, sessions.config(), cookies, goal, now)?,
            None => self.begin(sessions, cookies, goal, now)?,
        };
        while let Step::Ask(op) = step {
            let answer = sessions.ask(&op);
            step = self.core().answer(sessions.config(), op, answer, now)?;
        }
        Ok(())
    }

    #[cfg(any(feature = "tower", feature = "actix"))]
    fn commit_in_task(
        &mut self,
        sessions: &Sessions,
        cookies: CookieText<'_>,
        server_error: bool,
    ) -> InTask {
        if !self.core.as_ref().is_some_and(|core| core.is_touched()) {
            self.committed = true;
            return InTask::Untouched;
        }
        // Asked first: a store in memory then costs a commit no look at the clock.
        let may_wait = !sessions.0.inline || self.migrates();
        if may_wait && self.core().save_asks(sessions.config(), sessions.0.clock.coarse()) {
            return InTask::Blocks;
        }
        let saved = self.drive(sessions, cookies, Goal::Commit { server_error });
        InTask::Committed(self.core().committed(sessions.config(), saved))
    }
}

impl fmt::Debug for LazySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_tuple("LazySession").field(&state.core).finish()
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use beaker_namespace::{MemoryConfig, MemoryNamespace};

    use super::*;

    #[test]
    fn the_future_of_a_load_is_small_since_each_handler_s_holds_one() {
        let namespace = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
        let sessions = Sessions::builder().with_namespace(namespace).build().unwrap();
        let lazy = sessions.begin([]);
        let bytes = size_of_val(&lazy.load_async());
        assert!(bytes <= 64, "{bytes} bytes");
    }

    #[test]
    #[cfg(any(feature = "tower", feature = "actix"))]
    fn a_handle_that_is_gone_was_seen_if_it_was_used() {
        let namespace = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
        let sessions = Sessions::builder().with_namespace(namespace).build().unwrap();
        let (mut used, mut unused) = (sessions.begin([]), sessions.begin([]));
        drop(unused.clone());
        #[cfg(feature = "tower")]
        assert!(unused.was_left_alone());
        assert!(matches!(unused.commit_in_task(false), InTask::Untouched));
        let handle = used.clone();
        std::thread::scope(|scope| scope.spawn(move || handle.load().map(drop)).join())
            .unwrap()
            .unwrap();
        #[cfg(feature = "tower")]
        {
            assert!(!used.was_left_alone());
            let _handle = unused.clone();
            assert!(!unused.was_left_alone(), "it may be looked into yet");
        }
        let InTask::Committed(Ok(outgoing)) = used.commit_in_task(false) else {
            panic!("it was loaded");
        };
        assert!(outgoing.varies());
    }
}
