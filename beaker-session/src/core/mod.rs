//! One request's session, as a state machine without input or output.
//
// 1. A core is driven: it says what to ask of the store (`Step::Ask`), is handed the answer, and
//    says the next. It never waits and knows no clock, so every order of events can be played to
//    it.
// 2. Nothing is asked before the session is looked into, and nothing is written but what was
//    changed. Of a new session in which nothing is left nothing is written.
// 3. What a request changes is kept as changes, not as a copy (see `data`). A save applies them to
//    the record that was loaded and writes that under its version. If somebody else was quicker,
//    it loads again, applies them to what is there now, and tries again.
// 4. An update never inserts: a session that is gone when it is to be saved stays gone (`Ended`),
//    and no cookie is sent, since the browser may have a newer one already.
// 5. A renewal stores the session under its new id first, and only then takes it from the old one.
//    The old id answers that it was renewed for a while: requests that were on their way with it
//    see no data, and set no cookie in place of the new one.
// 6. While a save is under way, what is changed meanwhile is kept apart, for the next one.
// 7. Under `MergePolicy::Lock` a core has the lock of the session that it is about to load, or has loaded, and never
//    another one beside it: so no two can wait for each other. It gives it up when a commit has ended, however that is.

mod counts;
mod draft;
mod load;
mod marks;
mod op;
mod open;
mod outgoing;
mod save;
mod seal;
mod session_core;
pub(crate) mod watch;

use std::fmt;

use beaker_namespace::{Key, Timestamp};

pub use self::counts::{Counters, Counts};
pub(crate) use self::draft::{Draft, Next};
use self::load::Load;
use self::marks::Marks;
pub use self::op::{Answer, Op, Step};
pub(crate) use self::open::Open;
pub use self::open::Origin;
pub use self::outgoing::Outgoing;
use self::save::Save;
pub use self::session_core::SessionCore;
use crate::config::{AccessPolicy, Config, MergePolicy, OutagePolicy, ServerErrorPolicy, Wire};
use crate::cookie::CookieText;
use crate::data::Changes;
use crate::record::Stored;
use crate::store::NamespaceStore;
use crate::{Error, ErrorKind, RecordKey, SessionId, SessionLock};

const END: &str = "end session";

/// A [`SessionCore`] whose settings and cookies are handed in with each call: sessions have them
/// already, and need not count one more who has.
#[derive(Default)]
pub(crate) struct Core {
    came: Came,
    marks: Marks,
    stage: Stage,
    task: Task,
    outgoing: Outgoing,
    last_key: LastKey,
    committed: bool,
    /// Of the session that is open, under [`MergePolicy::Lock`](crate::MergePolicy::Lock).
    lock: Option<SessionLock>,
}

/// Whose cookies were seen when the session was looked for.
#[derive(Debug, Clone, Copy, Default)]
struct Came {
    ours: bool,
    bridged: bool,
}

/// The key that was asked for last: a load and the save that follows it need the same one, and it
/// is a hash.
#[derive(Default)]
struct LastKey(Option<Known>);

struct Known {
    id: SessionId,
    key: RecordKey,
    /// As a namespace knows it.
    entry: Key,
}

impl LastKey {
    fn of(&mut self, wire: &dyn Wire, id: &SessionId) -> RecordKey {
        self.known(wire, id).key
    }

    fn entry_of(&mut self, wire: &dyn Wire, id: &SessionId) -> &Key {
        &self.known(wire, id).entry
    }

    fn known(&mut self, wire: &dyn Wire, id: &SessionId) -> &Known {
        if self.0.as_ref().is_some_and(|known| known.id != *id) {
            self.0 = None;
        }
        self.0.get_or_insert_with(|| {
            let key = wire.key(id);
            Known { id: *id, key, entry: key.entry_key() }
        })
    }
}

#[allow(clippy::large_enum_variant, reason = "a core is boxed as a whole")]
#[derive(Default)]
enum Stage {
    /// Nobody has looked into it.
    #[default]
    Untouched,
    /// It is loaded, or known to be new.
    Open(Open),
}

/// What is under way.
#[derive(Default)]
enum Task {
    #[default]
    Nothing,
    Load(Load),
    Save(Save),
}

impl Core {
    /// In its box from the start: a default one is made where it stays, and it is large to be moved.
    pub(crate) fn boxed(committed: bool) -> Box<Self> {
        let mut core = Box::<Self>::default();
        core.committed = committed;
        core
    }

    /// A core of a session that is there already and sends no cookie.
    pub(crate) fn opened(open: Open) -> Self {
        let mut core = Self::default();
        core.marks.know(open.base.as_ref());
        core.stage = Stage::Open(open);
        core.outgoing = Outgoing::without_cookies();
        core
    }

    /// As [`SessionCore::begin_load`], of the session that `cookies` name. If the store is one
    /// `in_memory`, it may be done at once.
    pub(crate) fn begin_load(
        &mut self,
        config: &Config,
        cookies: CookieText<'_>,
        in_memory: Option<&NamespaceStore>,
        now: Timestamp,
    ) -> Result<Step, Error> {
        if self.is_open() {
            return Ok(Step::Done);
        }
        self.refuse_late("load session")?;
        self.start_load(config, cookies, in_memory, now, false)
    }

    /// As [`SessionCore::begin_delete`], of the session that `cookies` name. If the store is one
    /// `in_memory`, it may be done at once.
    pub(crate) fn begin_delete(
        &mut self,
        config: &Config,
        cookies: CookieText<'_>,
        in_memory: Option<&NamespaceStore>,
        now: Timestamp,
    ) -> Result<Step, Error> {
        if self.is_open() {
            return self.end(Next::End).map(|()| Step::Done);
        }
        self.refuse_late(END)?;
        self.start_load(config, cookies, in_memory, now, true)
    }

    fn refuse_late(&self, operation: &'static str) -> Result<(), Error> {
        if self.committed {
            return Err(Error::new(ErrorKind::AlreadyCommitted, operation));
        }
        Ok(())
    }

    /// As [`SessionCore::begin_save`].
    pub(crate) fn begin_save(&mut self, config: &Config, now: Timestamp) -> Result<Step, Error> {
        let asks = self.save_asks(config, now);
        match &mut self.stage {
            Stage::Untouched => Ok(Step::Done),
            Stage::Open(open) if !asks && !open.reissue => {
                if self.committed && open.base.is_some() {
                    config.counts.add(|at| &at.touches_skipped);
                }
                Ok(Step::Done)
            }
            Stage::Open(open) => {
                open.begin_saving();
                self.task = Task::Save(Save::default());
                self.plan(config, now)
            }
        }
    }

    /// As [`SessionCore::begin_commit`].
    pub(crate) fn begin_commit(
        &mut self,
        config: &Config,
        now: Timestamp,
        server_error: bool,
    ) -> Result<Step, Error> {
        if !self.is_first_commit(config, server_error) {
            // The first one may have been dropped on its way.
            return self.then_unlock(Ok(Step::Done));
        }
        let step = self.begin_save(config, now);
        self.then_unlock(step)
    }

    /// Gives the session's lock up after the last step of a commit, whatever that is.
    fn then_unlock(&mut self, step: Result<Step, Error>) -> Result<Step, Error> {
        if self.committed && !matches!(step, Ok(Step::Ask(_))) {
            self.unlock();
        }
        step
    }

    /// Lets other requests of the session go on.
    pub(crate) fn unlock(&mut self) {
        self.lock = None;
        if let Task::Load(load) = &mut self.task {
            load.unlock();
        }
    }

    /// Whether there was no commit before; from here on changes are refused.
    pub(crate) fn is_first_commit(&mut self, config: &Config, server_error: bool) -> bool {
        if self.committed {
            return false;
        }
        self.committed = true;
        if let Stage::Open(open) = &mut self.stage
            && server_error
            && config.server_errors == ServerErrorPolicy::Discard
        {
            open.discard();
        }
        true
    }

    /// As [`SessionCore::answer`], to `op`.
    pub(crate) fn answer(
        &mut self,
        config: &Config,
        op: Op,
        answer: Answer,
        now: Timestamp,
    ) -> Result<Step, Error> {
        if self.is_open() && matches!(op, Op::Lock(_)) {
            // Another handle of the request has opened it meanwhile, to end it.
            return Ok(Step::Done);
        }
        let step = match &self.task {
            Task::Nothing => Err(unexpected()),
            Task::Load(_) => self.answer_load(config, answer, now),
            Task::Save(_) => self.answer_save(config, op, answer, now),
        };
        if step.is_err() {
            self.task = Task::Nothing;
            if let Stage::Open(open) = &mut self.stage {
                open.saving_failed();
            }
        }
        self.then_unlock(step)
    }

    /// What the save under way is to change, if that takes a migration of what the store is found to have.
    pub(crate) fn migrating(&self, config: &Config) -> Option<Changes> {
        let saving = self.open()?.saving.as_ref()?;
        let is_due = saving.changes.migrates() && config.merge != MergePolicy::LastWriterWins;
        is_due.then(|| saving.changes.clone())
    }

    /// Puts what was [migrating](Self::migrating) back.
    pub(crate) fn set_migrating(&mut self, changes: Changes) {
        if let Stage::Open(Open { saving: Some(saving), .. }) = &mut self.stage {
            saving.changes = changes;
        }
    }

    /// Whether somebody has looked into the session.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// Whether somebody has looked into the session, or tried to.
    #[cfg(any(feature = "tower", feature = "actix"))]
    pub(crate) fn is_touched(&self) -> bool {
        self.is_open() || self.outgoing.varies()
    }

    /// What is left of a commit's failure after the policies.
    pub(crate) fn committed(
        &mut self,
        config: &Config,
        saved: Result<(), Error>,
    ) -> Result<Outgoing, Error> {
        match saved {
            Err(error) if !self.is_passed_over(config, &error) => Err(error),
            _ => Ok(std::mem::take(&mut self.outgoing)),
        }
    }

    fn is_passed_over(&self, config: &Config, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::Ended => true,
            ErrorKind::Unavailable => config.outage != OutagePolicy::Fail,
            _ => false,
        }
    }

    /// Whether a save would ask the store; it may turn out that it would not.
    pub(crate) fn save_asks(&self, config: &Config, now: Timestamp) -> bool {
        let Stage::Open(open) = &self.stage else { return false };
        open.saving.is_some()
            || open.draft.is_dirty()
            || open.draft.next != Next::Keep
            || self.use_is_due(config, now)
    }

    /// Whether the use of a session that is there is to be noted. The end of a request is no use of its
    /// own where a save in its middle has noted one.
    fn use_is_due(&self, config: &Config, now: Timestamp) -> bool {
        let Stage::Open(open) = &self.stage else { return false };
        let is_due = |base: &Stored| config.access.is_due(base.accessed, now);
        let is_noted = self.committed && open.noted && config.access == AccessPolicy::EveryRequest;
        !is_noted && open.base.as_ref().is_some_and(is_due)
    }

    pub(crate) fn open(&self) -> Option<&Open> {
        match &self.stage {
            Stage::Untouched => None,
            Stage::Open(open) => Some(open),
        }
    }

    /// Ends the session; also one that was renewed by another request meanwhile.
    pub(crate) fn end(&mut self, next: Next) -> Result<(), Error> {
        self.refuse_late(END)?;
        let Stage::Open(open) = &mut self.stage else {
            return Err(Error::config("the session is not loaded"));
        };
        if open.origin == Origin::Unreachable {
            return Err(Error::new(ErrorKind::Unavailable, END));
        }
        open.draft = Draft { next, ..Draft::default() };
        Ok(())
    }

    /// The session, to be changed.
    pub(crate) fn open_mut(&mut self) -> Result<&mut Open, Error> {
        const OPERATION: &str = "change session";
        self.refuse_late(OPERATION)?;
        let Stage::Open(open) = &mut self.stage else {
            return Err(Error::config("the session is not loaded"));
        };
        open.may_change(OPERATION)?;
        Ok(open)
    }
}

pub(crate) fn unexpected() -> Error {
    Error::config("the answer belongs to no question of the session")
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCore")
            .field("open", &self.open())
            .field("committed", &self.committed)
            .finish_non_exhaustive()
    }
}
