//! What is done in each of the cases that others leave to chance.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::Timestamp;

use crate::{Data, Error, RecordKey};

/// When the use of a session is noted, which prolongs its idle time. Only a request that looks
/// into its session uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessPolicy {
    /// Only writes count.
    Never,
    /// Each request that looks into the session, by one small write unless it stores something anyway.
    EveryRequest,
    /// As that, but no more often than this. The default, with one minute: a session then ends up
    /// to a minute early.
    AtMostEvery(Duration),
}

impl AccessPolicy {
    pub(crate) fn is_due(self, accessed: Timestamp, now: Timestamp) -> bool {
        match self {
            Self::Never => false,
            Self::EveryRequest => true,
            Self::AtMostEvery(every) => now.saturating_duration_since(accessed) >= every,
        }
    }
}

/// What is done when two requests use one session at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergePolicy {
    /// Value by value: what either changed is changed, of a value that both changed the later
    /// request's stays; counters, lists and sets get the changes of both. The default.
    ThreeWayPerKey,
    /// The whole session as the later request leaves it. The earlier one's changes are lost.
    LastWriterWins,
    /// The later request fails with [`Conflict`](crate::ErrorKind::Conflict).
    Fail,
    /// One request of a session at a time: for handlers that must not run twice at once, since they do more than
    /// change their session. The others wait for their turn, in the order in which they came.
    ///
    /// A request takes its session's lock when it loads it, and has it until its commit has ended, before its header
    /// goes out, or until the last handle of its session is dropped, by a panic or since the client has gone. The next
    /// one loads what it has written. A request that does not look into its session waits for nobody; so does
    /// [`LazySession::delete`](crate::LazySession::delete), by which a visitor logs out whatever hangs, and so do
    /// [revocations](crate::Sessions::revoke): the others then find no session, or are not saved.
    /// [`Session::unlock`](crate::Session::unlock) gives the lock up early.
    ///
    /// # What it does not do
    ///
    /// It is for the requests of one process that go by the handles of one [`Sessions`](crate::Sessions). Those of
    /// other processes run at the same time, and what they have changed is merged as by
    /// [`ThreeWayPerKey`](Self::ThreeWayPerKey); so is what is saved by sessions that are apart from a request
    /// ([`detach`](crate::Session::detach), [`get_by_id`](crate::Sessions::get_by_id)), which take no lock. Requests
    /// without a session, as a visitor's first ones, have nothing to wait by. Who waited for a request that has renewed
    /// the session's id finds none under the old one. Behind a bridge that only reads, who waited with the other system's
    /// cookie finds that one's session as it was, and begins a second one of ours: what the first request has written is
    /// under an id that the later one was not sent. Sessions that are kept in their cookies
    /// cannot have it, as the later request would not be sent what the earlier one has written.
    ///
    /// A handler that asks its own site with its visitor's cookie waits for itself, and is told so as any other.
    ///
    /// A forked process has a copy of the locks: a session that a request on another thread had at the fork stays locked
    /// in the child, where its loads fail with [`Busy`](crate::ErrorKind::Busy). Fork before requests are served, or build
    /// the child its own [`Sessions`](crate::Sessions).
    Lock {
        /// How long a load waits at most, from its first wait on; then it fails with
        /// [`Busy`](crate::ErrorKind::Busy). Zero does not wait: of two requests the later one fails at once. A time
        /// too long to count is for ever.
        wait: Duration,
    },
}

impl MergePolicy {
    /// [`Lock`](Self::Lock) with a wait of ten seconds: longer than a handler should take, and shorter than browsers and
    /// proxies wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_session::{MergePolicy, Sessions};
    ///
    /// let store = beaker_namespace::Stores::new().open(&"memory:".parse()?, "turns example")?;
    /// let builder = Sessions::builder().with_namespace(store);
    /// let sessions = builder.with_merge(MergePolicy::lock()).build()?;
    /// # let _unused = sessions;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn lock() -> Self {
        Self::Lock { wait: Duration::from_secs(10) }
    }

    pub(crate) fn locks(self) -> bool {
        matches!(self, Self::Lock { .. })
    }

    /// Whether what others have changed meanwhile is kept, value by value.
    pub(crate) fn merges(self) -> bool {
        match self {
            Self::ThreeWayPerKey | Self::Lock { .. } => true,
            Self::LastWriterWins | Self::Fail => false,
        }
    }
}

/// What is done when the store cannot be reached. In no case is a session taken for empty and
/// stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutagePolicy {
    /// Loading and saving fail; the middleware answers 503 if a save fails. Where there is nothing to
    /// save and only the use of the session could not be noted, the response goes out all the same, and
    /// [`Counts::outages`](crate::Counts::outages) counts it. The default.
    Fail,
    /// Loading fails, but where the session was loaded and only the save fails, the response goes
    /// out as it is. What was changed is lost.
    ReadOnly,
    /// The visitor is treated as one without a session: reads are empty, changes are an error, and
    /// nothing is stored nor sent as a cookie.
    Anonymous,
}

/// What is done with a stored session that cannot be read back: bytes that are not as they were
/// written, a record that was moved here from another key, one that does not decrypt, one of a format that
/// this program does not know, one that is longer than the store reads since its `max_value_bytes` was lowered; of a
/// session of Python's Beaker also one beyond the limits, or of values that have no place in JSON.
///
/// In each case it is counted in [`Counts::corrupt`](crate::Counts::corrupt), and warned of with the feature
/// `tracing`.
///
/// The record stays where it is, and the policy is asked by each request that comes with its cookie, until a
/// sweep of the store drops it. What is encrypted or compressed stays until it expires, since another
/// program may have the key; so does a record whose JSON is at fault, or that is too long.
///
/// If it is met only when a session is saved that was loaded, as another program has written it meanwhile with a key that
/// is not known here, the save fails with [`Corrupt`](crate::ErrorKind::Corrupt) and replaces nothing. Where nothing is to be
/// saved and only the use of the session was to be noted, the response goes out. The next load asks the policy.
///
/// A logout ends it under each of these policies: [`Session::delete`](crate::Session::delete) and
/// [`invalidate`](crate::Session::invalidate) delete the damaged record by its id, and where loading fails
/// [`LazySession::delete`](crate::LazySession::delete) does.
///
/// The mark that a session has ended can be damaged too: of one that is all in its cookie, or of another
/// system's. It says that the session has ended all the same. Whoever meets it makes a good one in its place, and has
/// no session; under `Fail`, or where the function of `Custom` says so, loading fails once. Values are not
/// taken: nobody goes on with what has ended. If the good mark cannot be stored, that is an outage. A mark that the store
/// has whole, and of which only the content cannot be read, as one of a newer program, is left as it is: it stays for as
/// long as it was made for, no sweep drops it, and each load that meets it is as the first.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CorruptPolicy {
    /// The visitor gets a new session, under a new id. The default.
    Fresh,
    /// Loading fails with [`Corrupt`](crate::ErrorKind::Corrupt): at each request, until the record is deleted or
    /// a sweep drops it. So without sweeps (see [`Collector`](crate::Collector)) that may be for good.
    Fail,
    /// It is asked each time; see [`custom`](Self::custom).
    Custom(Rescue),
}

/// What a custom [`CorruptPolicy`] makes of one session.
#[derive(Debug)]
#[non_exhaustive]
pub enum Rescued {
    /// As [`CorruptPolicy::Fresh`].
    Fresh,
    /// As [`CorruptPolicy::Fail`].
    Failed,
    /// The visitor goes on with these values, in a session of the configured time-outs that is
    /// stored under a new id at the first write, in the damaged record's place: as of a session that was
    /// renewed nobody has anything of the old id any more. If that fails so does the save, and can be tried again.
    Values(Data),
}

/// The function behind [`CorruptPolicy::Custom`].
#[derive(Clone)]
pub struct Rescue(Arc<RescueFn>);

type RescueFn = dyn Fn(&RecordKey, &Error) -> Rescued + Send + Sync;

impl CorruptPolicy {
    /// Asks `rescue`, with the key of the damaged record and the store's error: to restore it from
    /// a copy, to tell somebody, or to decide by the error.
    ///
    /// It runs in the request, at each load of that session, and must not use that request's
    /// session. If it blocks, so does the load.
    ///
    /// # Concurrency
    ///
    /// Of requests that come with one damaged session at the same time, the first that saves goes on; the save of
    /// another fails with [`Ended`](crate::ErrorKind::Ended) and sends no cookie, as beside a renewal, so the browser
    /// keeps the one cookie. A logout wins over a rescue beside it, whichever is first. If the record turns
    /// out to be good, since another program has its key or it was restored, the changes are made in that. Of
    /// another system's sessions, which are only read, each request makes one of its own.
    ///
    /// So it is however long a rescue stands still, and beside a sweep that drops the damaged record, after which the
    /// save fails with `Ended`.
    ///
    /// Where a rescued session went is known for the grace of renewals, and for 60 seconds at least. A logout by the old
    /// cookie that deletes later does not find it, as after any renewal: because it came later; or because it came
    /// before, and stood still for as long beside the rescue, be it before its delete looked at the damaged record or
    /// between that look and its write. The old cookie opens nothing then, and the rescued session goes on under its
    /// own.
    ///
    /// The mark of a renewal, which is there for the grace, gives no values; but one that the store itself cannot read back
    /// looks as any damaged record does, and the function is asked.
    ///
    /// A namespace of your own that does not say which damage it met (by
    /// [`Damage::fingerprint`](beaker_namespace::Damage::fingerprint)) sets a limit: there a rescue that stands still for more
    /// than 60 seconds between its last look at the record and its write, or a sweep just then, may outlive a logout beside
    /// it. All stores of this project say it.
    ///
    /// A rescued session has no subject, label or limits of its own; where it is to have them call
    /// [`set_subject`](crate::Session::set_subject) again.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_session::{CorruptPolicy, Data, Rescued, Sessions};
    ///
    /// # let store = beaker_namespace::Stores::new().open(&"memory:".parse()?, "rescue example")?;
    /// let sessions = Sessions::builder()
    ///     .with_namespace(store)
    ///     .with_corrupt(CorruptPolicy::custom(|_key, _error| {
    ///         Rescued::Values(Data::from([("notice".to_owned(), "we lost your cart".into())]))
    ///     }))
    ///     .build()?;
    /// # let _unused = sessions;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn custom(rescue: impl Fn(&RecordKey, &Error) -> Rescued + Send + Sync + 'static) -> Self {
        Self::Custom(Rescue(Arc::new(rescue)))
    }

    pub(crate) fn rescue(&self, key: &RecordKey, error: &Error) -> Rescued {
        match self {
            Self::Fresh => Rescued::Fresh,
            Self::Fail => Rescued::Failed,
            Self::Custom(Rescue(rescue)) => rescue(key, error),
        }
    }
}

impl fmt::Debug for Rescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rescue(..)")
    }
}

/// Whether a new session may be made; see [`Builder::with_admission`](crate::Builder::with_admission).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Admit,
    /// It may not: the save fails with [`NotAdmitted`](crate::ErrorKind::NotAdmitted).
    Refuse,
}

/// The hook that is asked before a new session is made.
pub(crate) struct AdmissionHook(Box<dyn Fn(Timestamp) -> Admission + Send + Sync>);

impl AdmissionHook {
    pub(crate) fn new(hook: impl Fn(Timestamp) -> Admission + Send + Sync + 'static) -> Self {
        Self(Box::new(hook))
    }

    pub(crate) fn ask(&self, now: Timestamp) -> Admission {
        (self.0)(now)
    }
}

/// What is done with a session's changes when the handler answers with a server error (5xx).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerErrorPolicy {
    /// Changes and renewals are dropped, as if the request had not been; the end of a session
    /// holds all the same. The default.
    Discard,
    /// They are saved, as with any other response.
    Save,
}
