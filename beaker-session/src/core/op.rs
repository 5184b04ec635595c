//! What the core asks of a store, and what it is told.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::Timestamp;

use super::unexpected;
use crate::record::{Record, Stored, Version};
use crate::store::{
    Created, Deleted, DeletedIf, Loaded, Member, Renamed, Renaming, SessionStore, Touched, Updated,
};
use crate::{Error, ErrorKind, RecordKey, SessionLock};

/// One call of a [`SessionStore`], or a wait, to be made by whoever drives a
/// [`SessionCore`](super::SessionCore), or for [`Sessions`](crate::Sessions).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Op {
    /// [`Sessions::lock`](crate::Sessions::lock): no call of a store. Under
    /// [`MergePolicy::Lock`](crate::MergePolicy::Lock) it comes before a load.
    Lock(RecordKey),
    /// [`SessionStore::load`].
    Load(RecordKey),
    /// [`SessionStore::load`], of the store of the system that is bridged to.
    LoadBridged(RecordKey),
    /// [`SessionStore::create`].
    Create {
        /// The new session's key.
        key: RecordKey,
        /// The session.
        record: Arc<Record>,
    },
    /// [`SessionStore::update`].
    Update {
        /// The session's key.
        key: RecordKey,
        /// The version that it must have.
        expected: Version,
        /// What it becomes.
        record: Arc<Record>,
    },
    /// [`SessionStore::touch`].
    Touch {
        /// The session's key.
        key: RecordKey,
        /// When it was used.
        accessed: Timestamp,
    },
    /// [`SessionStore::delete`].
    Delete(RecordKey),
    /// [`SessionStore::rename`].
    Rename {
        /// Where the session is.
        from: RecordKey,
        /// The version that it must have; `None` if it must be damaged.
        expected: Option<Version>,
        /// Where it goes.
        to: RecordKey,
        /// What it becomes.
        record: Arc<Record>,
        /// How long the old key answers that it was renewed.
        grace: Duration,
    },
    /// [`SessionStore::enroll`].
    Enroll {
        /// Whose session it is.
        subject: String,
        /// The session.
        member: Member,
    },
    /// [`SessionStore::epoch`].
    Epoch(String),
    /// [`SessionStore::delete_if`]. A core never asks for it.
    DeleteIf {
        /// The session's key.
        key: RecordKey,
        /// The version that it must have.
        expected: Version,
    },
    /// [`SessionStore::members`]. A core never asks for it.
    Members(String),
    /// [`SessionStore::raise_epoch`]. A core never asks for it.
    RaiseEpoch(String),
    /// [`SessionStore::sweep`]. A core never asks for it.
    Sweep,
}

/// What a store said to an [`Op`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Answer {
    /// To the wait for a lock: the core has it from now on, and gives it up when it has committed or is dropped.
    Locked(SessionLock),
    /// To a load, of either store.
    Loaded(Loaded),
    /// To a create.
    Created(Created),
    /// To an update.
    Updated(Updated),
    /// To a touch.
    Touched(Touched),
    /// To a delete.
    Deleted(Deleted),
    /// To a rename.
    Renamed(Renamed),
    /// To an enrolment.
    Enrolled,
    /// To the question for an epoch, or that it be raised.
    Epoch(u64),
    /// To the question for a user's sessions.
    Members(Vec<Member>),
    /// To a delete of one version.
    DeletedIf(DeletedIf),
    /// To a sweep: how many records it dropped.
    Swept(u64),
    /// The store failed.
    Failed(Error),
}

impl Op {
    /// Makes the call. `bridged` is the store of the system that is bridged to, if there is one. A
    /// [lock](Self::Lock) is no store's: that fails with [`Unsupported`](crate::ErrorKind::Unsupported).
    pub fn run(&self, store: &dyn SessionStore, bridged: Option<&dyn SessionStore>) -> Answer {
        let answer = match self {
            Self::Lock(_) => Err(no_store_s()),
            Self::Load(key) => store.load(key).map(Answer::Loaded),
            Self::LoadBridged(key) => {
                let loaded = bridged.map_or(Ok(Loaded::Absent), |bridged| bridged.load(key));
                loaded.map(Answer::Loaded)
            }
            Self::Create { key, record } => store.create(key, record).map(Answer::Created),
            Self::Update { key, expected, record } => {
                store.update(key, *expected, record).map(Answer::Updated)
            }
            Self::Touch { key, accessed } => store.touch(key, *accessed).map(Answer::Touched),
            Self::Delete(key) => store.delete(key).map(Answer::Deleted),
            Self::Rename { from, expected, to, record, grace } => {
                let expected = *expected;
                let renaming = Renaming { from, expected, to, record, grace: *grace };
                store.rename(&renaming).map(Answer::Renamed)
            }
            Self::Enroll { subject, member } => {
                store.enroll(subject, member).map(|()| Answer::Enrolled)
            }
            Self::DeleteIf { key, expected } => {
                store.delete_if(key, *expected).map(Answer::DeletedIf)
            }
            Self::Epoch(subject) => store.epoch(subject).map(Answer::Epoch),
            Self::Members(subject) => store.members(subject).map(Answer::Members),
            Self::RaiseEpoch(subject) => store.raise_epoch(subject).map(Answer::Epoch),
            Self::Sweep => store.sweep().map(Answer::Swept),
        };
        answer.unwrap_or_else(Answer::Failed)
    }
}

fn no_store_s() -> Error {
    Error::new(ErrorKind::Unsupported, "lock session")
        .with_detail("no store locks sessions: use Sessions::lock")
}

impl From<Result<SessionLock, Error>> for Answer {
    fn from(locked: Result<SessionLock, Error>) -> Self {
        locked.map_or_else(Self::Failed, Self::Locked)
    }
}

impl Answer {
    /// The record that the store has, if it says so.
    pub(crate) fn found(&self) -> Option<&Stored> {
        match self {
            Self::Loaded(Loaded::Present(found)) => Some(found),
            Self::Updated(Updated::Conflict(found)) => found.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn into_loaded(self) -> Result<Loaded, Error> {
        match self {
            Self::Loaded(loaded) => Ok(loaded),
            other => Err(other.into_failure()),
        }
    }

    pub(crate) fn into_created(self) -> Result<Created, Error> {
        match self {
            Self::Created(created) => Ok(created),
            other => Err(other.into_failure()),
        }
    }

    pub(crate) fn into_deleted(self) -> Result<Deleted, Error> {
        match self {
            Self::Deleted(deleted) => Ok(deleted),
            other => Err(other.into_failure()),
        }
    }

    pub(crate) fn into_swept(self) -> Result<u64, Error> {
        match self {
            Self::Swept(swept) => Ok(swept),
            other => Err(other.into_failure()),
        }
    }

    /// Why it is not the answer that was asked for.
    pub(crate) fn into_failure(self) -> Error {
        match self {
            Self::Failed(error) => error,
            _ => unexpected(),
        }
    }
}

/// What to do next.
#[derive(Debug, Clone)]
#[must_use = "a core that is not driven on does nothing"]
pub enum Step {
    /// Make this call, and hand in the answer.
    Ask(Op),
    /// Nothing: what was begun is done.
    Done,
}
