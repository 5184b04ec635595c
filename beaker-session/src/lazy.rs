//! The session of one request, until somebody looks into it.

use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::config::OutagePolicy;
use crate::core::{Outgoing, SessionCore, Step};
use crate::session::Session;
use crate::sessions::Sessions;
use crate::{Error, ErrorKind};

/// A request's session that touches the store only when it is used. Cheap to clone; clones are one
/// session.
///
/// A request that never [loads](Self::load) it reads nothing, writes nothing, and sets no cookie.
#[derive(Clone)]
pub struct LazySession(Arc<Shared>);

struct Shared {
    sessions: Sessions,
    core: Mutex<SessionCore>,
    /// Held from the beginning of a load or a save to its end, so that there is one at a time. The
    /// core is free meanwhile: reading and changing values waits for no disk.
    driver: Mutex<()>,
}

/// What is to be driven to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    Load,
    Save,
    Commit { server_error: bool },
}

impl LazySession {
    pub(crate) fn new(sessions: Sessions, core: SessionCore) -> Self {
        Self(Arc::new(Shared { sessions, core: Mutex::new(core), driver: Mutex::new(()) }))
    }

    /// Loads the session, unless it is loaded. A request without a cookie of ours asks no store.
    ///
    /// It blocks where the store does; in a task use [`load_async`](Self::load_async).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) and [`Corrupt`](ErrorKind::Corrupt), as the
    /// policies say: it can be tried again. [`AlreadyCommitted`](ErrorKind::AlreadyCommitted) if
    /// nobody has loaded it before the response's header went.
    pub fn load(&self) -> Result<Session, Error> {
        self.drive(Goal::Load)?;
        Ok(Session::new(self.clone()))
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
        let mut core = self.0.core.lock();
        match saved {
            Ok(()) => Ok(core.take_outgoing()),
            Err(error) if error.kind() == ErrorKind::Ended => Ok(core.take_outgoing()),
            Err(error)
                if error.kind() == ErrorKind::Unavailable
                    && core.config().outage != OutagePolicy::Fail =>
            {
                Ok(core.take_outgoing())
            }
            Err(error) => Err(error),
        }
    }

    /// Commits a session that nobody has looked into, and says whether it is one.
    #[cfg(any(feature = "tower", feature = "actix"))]
    pub(crate) fn commit_untouched(&self) -> bool {
        self.0.core.lock().commit_untouched()
    }

    /// Whether somebody has looked into the session.
    pub fn is_loaded(&self) -> bool {
        self.0.core.lock().is_open()
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, SessionCore> {
        self.0.core.lock()
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// Whether the store is asked on the way to `goal`.
    #[cfg(feature = "tokio")]
    pub(crate) fn asks_store(&self, goal: Goal) -> bool {
        if self.0.driver.is_locked() {
            // Somebody is on the way, and is waited for.
            return true;
        }
        let core = self.0.core.lock();
        match goal {
            Goal::Load => core.load_asks(),
            Goal::Save | Goal::Commit { .. } => core.save_asks(self.0.sessions.0.clock.coarse()),
        }
    }

    /// Goes to `goal`, from call to call of the store. Once begun it ends, on this thread.
    pub(crate) fn drive(&self, goal: Goal) -> Result<(), Error> {
        let Shared { sessions, core, driver } = &*self.0;
        let _one_at_a_time = driver.lock();
        let (store, bridged) = (sessions.store(), sessions.0.bridged.as_deref());
        let clock = &sessions.0.clock;
        // What is written has the precise time, at least of the beginning.
        let mut now = if let Goal::Load = goal { clock.coarse() } else { clock.now() };
        let mut step = match goal {
            Goal::Load => core.lock().begin_load(now)?,
            Goal::Save => core.lock().begin_save(now)?,
            Goal::Commit { server_error } => core.lock().begin_commit(now, server_error)?,
        };
        while let Step::Ask(op) = step {
            let answer = op.run(store, bridged);
            now = now.max(clock.coarse());
            step = core.lock().answer(answer, now)?;
        }
        Ok(())
    }
}

impl fmt::Debug for LazySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LazySession").field(&*self.0.core.lock()).finish()
    }
}
