//! What a store of sessions does.

mod face;
mod member;
mod namespace;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{BoxFuture, Latency, Timestamp};

pub(crate) use self::face::Face;
pub use self::member::Member;
pub use self::namespace::NamespaceStore;
pub(crate) use self::namespace::{Amended, ready};
use crate::core::{Answer, Op};
use crate::record::{Record, Stored, Version};
use crate::{Error, ErrorKind, RecordKey};

/// Where sessions are kept: a map from [`RecordKey`] to [`Record`] in which each kind of write is
/// a call of its own, so that none can do what it was not meant to.
///
/// Methods block, as disks do; [`latency`](Self::latency) says whether a task may call them as
/// they are. [`NamespaceStore`] implements it over any [`Namespace`](beaker_namespace::Namespace),
/// and the suite in `testkit` holds any implementation to this page.
///
/// A store that fails is an error, never an absent session. Expired records may be returned or
/// not: the caller looks at their times.
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// Whether a call may wait for a disk or a network.
    fn latency(&self) -> Latency;

    /// Stores a new session. Never replaces one.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable), [`TooLarge`](ErrorKind::TooLarge).
    fn create(&self, key: &RecordKey, record: &Arc<Record>) -> Result<Created, Error>;

    /// The session under `key`.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable); [`Corrupt`](ErrorKind::Corrupt) if it cannot be
    /// read back, for whatever reason.
    fn load(&self, key: &RecordKey) -> Result<Loaded, Error>;

    /// Replaces the session under `key` if it still has the version `expected`. Never inserts:
    /// what was deleted stays so.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable), [`TooLarge`](ErrorKind::TooLarge);
    /// [`Corrupt`](ErrorKind::Corrupt) if what is there cannot be read back: it may be a session for others, so it is
    /// not taken for an absent one.
    fn update(
        &self,
        key: &RecordKey,
        expected: Version,
        record: &Arc<Record>,
    ) -> Result<Updated, Error>;

    /// Notes that the session was used at `accessed`, which prolongs its life. Never changes a
    /// value, inserts, or takes back what another call did meanwhile.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable); [`Corrupt`](ErrorKind::Corrupt) as [`update`](Self::update).
    fn touch(&self, key: &RecordKey, accessed: Timestamp) -> Result<Touched, Error>;

    /// Deletes the session, damaged or not, also if it was renewed to another key in the last moments: a
    /// logout wins over a renewal that runs beside it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable).
    fn delete(&self, key: &RecordKey) -> Result<Deleted, Error>;

    /// Moves the session to a new key if it still has the version `expected`, or is still damaged: the new
    /// one is stored first, and only then does the old one go. For `grace` the old key answers
    /// [`Renewed`](Loaded::Renewed), without data.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable), [`TooLarge`](ErrorKind::TooLarge); the old session
    /// is then as it was, or already moved.
    fn rename(&self, renaming: &Renaming<'_>) -> Result<Renamed, Error>;

    /// Lists `member` among the sessions of `subject`. To be called before that session is stored,
    /// so that whoever revokes all sessions misses none. One that is on the list until later stays on it until
    /// then: what shortens its life may not be stored. A list may forget a member that an hour after
    /// its last enrolment is not there, or is another subject's: what ends is not kept for ever.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if the store keeps no such lists.
    fn enroll(&self, subject: &str, member: &Member) -> Result<(), Error> {
        let _unused = (subject, member);
        Err(Error::new(ErrorKind::Unsupported, "list a user's sessions"))
    }

    /// Deletes the session under `key` if it still has the version `expected`, and follows no
    /// renewal: for whoever has looked at whose it is.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable); [`Unsupported`](ErrorKind::Unsupported) if the store
    /// keeps no lists, of which alone such sessions are ended.
    fn delete_if(&self, key: &RecordKey, expected: Version) -> Result<DeletedIf, Error> {
        let _unused = (key, expected);
        Err(Error::new(ErrorKind::Unsupported, "end a user's session"))
    }

    /// The sessions that were listed under `subject` and may still live.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if the store keeps no such lists.
    fn members(&self, subject: &str) -> Result<Vec<Member>, Error> {
        let _unused = subject;
        Err(Error::new(ErrorKind::Unsupported, "list a user's sessions"))
    }

    /// The number that cookie-only sessions of `subject` must have been made under; 0 at first.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if the store keeps none.
    fn epoch(&self, subject: &str) -> Result<u64, Error> {
        let _unused = subject;
        Err(Error::new(ErrorKind::Unsupported, "read a user's epoch"))
    }

    /// Ends all cookie-only sessions of `subject`: raises the number by one, and returns it.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if the store keeps none.
    fn raise_epoch(&self, subject: &str) -> Result<u64, Error> {
        let _unused = subject;
        Err(Error::new(ErrorKind::Unsupported, "raise a user's epoch"))
    }

    /// Drops what is expired, and says how many records that were.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable); the next sweep goes on.
    fn sweep(&self) -> Result<u64, Error> {
        Ok(0)
    }

    /// The same store for tasks, if it can be waited for without blocking.
    fn asynchronous(&self) -> Option<&dyn AsyncSessionStore> {
        None
    }
}

/// The calls of a [`SessionStore`] for tasks: what waits does not block.
///
/// [`NamespaceStore`] has it where its namespace has an
/// [asynchronous face](beaker_namespace::AsyncNamespace).
pub trait AsyncSessionStore: fmt::Debug + Send + Sync {
    /// Makes the call, as [`Op::run`] does. A store that does not know a call answers with an error of
    /// [`Unsupported`](ErrorKind::Unsupported). A load of a bridged session is none of this store's, and finds
    /// nothing.
    ///
    /// The future is polled within any runtime or none, and ends in bounded time.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the call was carried out or not; a [`Rename`](Op::Rename) may also have
    /// stored the session under its new key, of which nobody was told, and left the old one.
    fn ask<'a>(&'a self, op: &'a Op) -> BoxFuture<'a, Answer>;
}

const _: fn(&dyn SessionStore) = |_| (); // Fails to compile if the trait stops being object-safe.

/// What [`SessionStore::rename`] is told.
#[derive(Debug)]
pub struct Renaming<'a> {
    /// Where the session is.
    pub from: &'a RecordKey,
    /// The version that it must still have; `None` if it cannot be read back, and must still be there so.
    /// That nobody has deleted it meanwhile or moved it must be as sure as for a version.
    pub expected: Option<Version>,
    /// Where it goes.
    pub to: &'a RecordKey,
    /// What is stored there.
    pub record: &'a Arc<Record>,
    /// How long the old key answers that it was renewed.
    pub grace: Duration,
}

/// What came of a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Created {
    /// It is stored, with this version.
    Created(Version),
    /// The key is taken; nothing was changed.
    Exists,
}

/// What came of a load.
#[derive(Debug, Clone)]
#[must_use]
pub enum Loaded {
    /// The session.
    Present(Stored),
    /// There is none.
    Absent,
    /// It was moved to a new key a moment ago. The browser has been sent the new cookie, or is
    /// about to be.
    Renewed,
}

/// What came of an update.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Updated {
    /// It is stored, with this version.
    Updated(Version),
    /// Somebody else has changed it; nothing was changed. With what is there now, if the store has
    /// looked: it saves a load.
    Conflict(Option<Stored>),
    /// It is no longer there; nothing was stored.
    Absent,
}

/// What came of a touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Touched {
    /// The use is noted: the record of the version `from`, as it is, has the version `to` now.
    ///
    /// The two may be equal. Whoever has loaded another version than `from` has not seen this record,
    /// and may not update it by `to`.
    Touched {
        /// The version that the record had.
        from: Version,
        /// The version that it has.
        to: Version,
    },
    /// Somebody else wrote at the same moment, which notes a use as well.
    Superseded,
    /// It is no longer there; nothing was stored.
    Absent,
}

/// What came of a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Deleted {
    /// It is gone.
    Deleted,
    /// There was none.
    Absent,
}

/// What came of a delete of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum DeletedIf {
    /// It is gone.
    Deleted,
    /// Somebody else has changed it; nothing was changed.
    Conflict,
    /// There was none: it was deleted, or renamed.
    Absent,
}

/// What came of a rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Renamed {
    /// It is under the new key, with this version.
    Renamed(Version),
    /// Somebody else has changed it, or it is not damaged; it is where it was.
    Conflict,
    /// It is no longer there; nothing was stored.
    Absent,
    /// The new key is taken; it is where it was.
    Exists,
}

macro_rules! forward_session_store {
    ($($type:ident),*) => {$(
        impl<S: SessionStore + ?Sized> SessionStore for $type<S> {
            fn latency(&self) -> Latency { (**self).latency() }
            fn create(&self, key: &RecordKey, record: &Arc<Record>) -> Result<Created, Error> {
                (**self).create(key, record)
            }
            fn load(&self, key: &RecordKey) -> Result<Loaded, Error> { (**self).load(key) }
            fn update(
                &self,
                key: &RecordKey,
                expected: Version,
                record: &Arc<Record>,
            ) -> Result<Updated, Error> {
                (**self).update(key, expected, record)
            }
            fn touch(&self, key: &RecordKey, accessed: Timestamp) -> Result<Touched, Error> {
                (**self).touch(key, accessed)
            }
            fn delete(&self, key: &RecordKey) -> Result<Deleted, Error> { (**self).delete(key) }
            fn rename(&self, renaming: &Renaming<'_>) -> Result<Renamed, Error> {
                (**self).rename(renaming)
            }
            fn enroll(&self, subject: &str, member: &Member) -> Result<(), Error> {
                (**self).enroll(subject, member)
            }
            fn delete_if(&self, key: &RecordKey, expected: Version) -> Result<DeletedIf, Error> {
                (**self).delete_if(key, expected)
            }
            fn members(&self, subject: &str) -> Result<Vec<Member>, Error> {
                (**self).members(subject)
            }
            fn epoch(&self, subject: &str) -> Result<u64, Error> { (**self).epoch(subject) }
            fn raise_epoch(&self, subject: &str) -> Result<u64, Error> {
                (**self).raise_epoch(subject)
            }
            fn sweep(&self) -> Result<u64, Error> { (**self).sweep() }
            fn asynchronous(&self) -> Option<&dyn AsyncSessionStore> { (**self).asynchronous() }
        }
    )*};
}

forward_session_store!(Arc, Box);
