// Rules of the store:
//
// 1. Every change is decided by what is there at that moment, under the lock of the layout.
// 2. The version of a session is a hash of its text. So a write by Python is seen as one by us is:
//    the version that was read is no longer there.
// 3. What is there and cannot be read back is damaged, whatever the reason: not Beaker's, beyond the limits, or
//    of values that have no place here. Nobody goes on with it, and a logout ends it.
// 4. A renewed session leaves a record without values under its old id, so that a logout with the
//    old id ends the new one too. Python takes it for a session without values.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Clock, Latency, SystemClock, Timestamp};
use sha2::{Digest, Sha256};

use super::file::{Change, unless_unknown};
use super::record::{Content, Defaults, from_beaker, renewed, to_beaker, touch};
use super::{BeakerCookie, BeakerId, FileSessions, PayloadCodec};
use crate::record::{Record, Stored, Version};
use crate::store::{Created, Deleted, Loaded, Renamed, Renaming, SessionStore, Touched, Updated};
use crate::{Error, ErrorKind, RecordKey, SessionId};

const OPERATION: &str = "use Beaker's session";

/// How many renewals in a row a delete follows.
const MAX_RENEWALS: usize = 8;

/// Where the texts of Beaker's sessions are kept: [`FileSessions`], or what you make of
/// [`redis`](super::redis) or [`memcached`](super::memcached) and a client of yours.
///
/// It is object-safe, blocking and shared by threads.
pub trait TextStore: fmt::Debug + Send + Sync + 'static {
    /// Whether a call may wait for a disk or a network.
    fn latency(&self) -> Latency;

    /// The text of a session; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable), never `None` for it. Of what is there and cannot be read
    /// back [`Corrupt`](ErrorKind::Corrupt), [`TooLarge`](ErrorKind::TooLarge) or
    /// [`Codec`](ErrorKind::Codec): [`BeakerStore`] takes each for damage.
    fn read(&self, id: &BeakerId) -> Result<Option<String>, Error>;

    /// Reads a session and changes it, so that nobody else writes it in between: under a lock, or
    /// by beginning again if somebody did.
    ///
    /// `decide` gets what [`read`](Self::read) gives, and so its error if the session is damaged:
    /// only then can it be replaced or removed. Other errors may be given to it or returned at once.
    /// It may be called any number of times; the last call counts.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), but for a session that is damaged, and that of `decide`, after which
    /// nothing is changed.
    fn update(
        &self,
        id: &BeakerId,
        decide: &mut dyn FnMut(Result<Option<String>, Error>) -> Result<Change, Error>,
    ) -> Result<(), Error>;
}

const _: fn(&dyn TextStore) = |_| (); // Fails to compile if the trait stops being object-safe.

impl<T: TextStore + ?Sized> TextStore for Arc<T> {
    fn latency(&self) -> Latency {
        (**self).latency()
    }

    fn read(&self, id: &BeakerId) -> Result<Option<String>, Error> {
        (**self).read(id)
    }

    fn update(
        &self,
        id: &BeakerId,
        decide: &mut dyn FnMut(Result<Option<String>, Error>) -> Result<Change, Error>,
    ) -> Result<(), Error> {
        (**self).update(id, decide)
    }
}

impl TextStore for FileSessions {
    fn latency(&self) -> Latency {
        Latency::Blocking
    }

    fn read(&self, id: &BeakerId) -> Result<Option<String>, Error> {
        self.read(id)
    }

    fn update(
        &self,
        id: &BeakerId,
        decide: &mut dyn FnMut(Result<Option<String>, Error>) -> Result<Change, Error>,
    ) -> Result<(), Error> {
        self.update_found(id, |found| Ok((decide(found)?, ())))
    }
}

/// Beaker's sessions as a [`SessionStore`], under ids in plain sight, as Beaker has them.
///
/// A Python program may use them at the same time. What one stores the other loads, and what this
/// store deletes is gone for both; but Beaker writes a session back that was deleted while it had
/// it loaded, and takes back what another request changed meanwhile. No list of a user's sessions
/// is kept.
///
/// Give it to [`Builder::as_beaker`](crate::Builder::as_beaker) or
/// [`Builder::reading_beaker`](crate::Builder::reading_beaker).
#[derive(Debug, Clone)]
pub struct BeakerStore {
    texts: Arc<dyn TextStore>,
    codec: PayloadCodec,
    defaults: Defaults,
    clock: Arc<dyn Clock>,
}

impl BeakerStore {
    /// Sessions in `texts`, in the form of `codec`.
    pub fn new(texts: impl TextStore, codec: PayloadCodec) -> Self {
        Self {
            texts: Arc::new(texts),
            codec,
            defaults: Defaults::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Beaker's `timeout`: how long a session that Python made lives without being used. Default:
    /// for ever.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.defaults.timeout = timeout;
        self
    }

    /// For tests: the time. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What a session's path and domain are compared with, to see whether they are its own.
    pub(super) fn for_cookie(mut self, cookie: &BeakerCookie) -> Self {
        (self.defaults.path, self.defaults.domain) = cookie.place();
        self
    }

    /// Leaves out the path and domain of a session's cookie.
    pub(super) fn without_cookie(mut self) -> Self {
        self.defaults.keeps_cookie = false;
        self
    }

    fn content(&self, found: Found<'_>) -> Result<Option<Content>, Error> {
        let Some(text) = found.map_err(damaged)? else { return Ok(None) };
        let data = self.codec.decode(text).map_err(damaged)?;
        if data.is_empty() {
            return Ok(None);
        }
        let now = self.clock.now();
        Ok(match from_beaker(data, &self.defaults)? {
            Content::Session { record, accessed, .. } if record.is_expired(accessed, now) => None,
            Content::Renewed { until, .. } if until <= now => None,
            content => Some(content),
        })
    }

    fn encode(&self, record: &Record) -> Result<(String, Version), Error> {
        let text = self.codec.encode(&to_beaker(record, record.written(), 0)?)?;
        let version = version(&text);
        Ok((text, version))
    }

    /// Decides a change once for each time that the text is read. Of a text that is there and cannot
    /// be read `decide` gets the error; nothing is decided of one that may be there.
    fn change<T>(
        &self,
        id: &BeakerId,
        mut decide: impl FnMut(Found<'_>) -> Result<(Change, T), Error>,
    ) -> Result<T, Error> {
        let mut outcome = None;
        self.texts.update(id, &mut |found| {
            let found = unless_unknown(found)?;
            let text = found.as_ref().map(Option::as_deref).map_err(Error::clone);
            let (change, answer) = decide(text)?;
            outcome = Some(answer);
            Ok(change)
        })?;
        outcome.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, OPERATION)
                .with_detail("the store of texts did not ask what to change")
        })
    }

    /// Puts `change` in place of the session if it has the version `expected`, or cannot be read and
    /// none is expected.
    fn exchange(
        &self,
        id: &BeakerId,
        expected: Option<Version>,
        change: &Change,
    ) -> Result<Exchanged, Error> {
        self.change(id, |text| {
            let found = match (self.content(text.clone()), expected) {
                (Err(error), None) if error.kind() == ErrorKind::Corrupt => {
                    return Ok((change.clone(), Exchanged::Done));
                }
                (found, _) => found?,
            };
            Ok(match (text, found) {
                (Ok(Some(text)), Some(Content::Session { .. }))
                    if Some(version(text)) == expected =>
                {
                    (change.clone(), Exchanged::Done)
                }
                (_, Some(Content::Session { .. })) => (Change::Keep, Exchanged::Conflict),
                _ => (Change::Keep, Exchanged::Absent),
            })
        })
    }
}

/// What a layout has of a session: its text, nothing, or the error of what is damaged.
type Found<'t> = Result<Option<&'t str>, Error>;

enum Exchanged {
    Done,
    Conflict,
    Absent,
}

impl SessionStore for BeakerStore {
    fn latency(&self) -> Latency {
        self.texts.latency()
    }

    fn create(&self, key: &RecordKey, record: &Arc<Record>) -> Result<Created, Error> {
        let (new, version) = self.encode(record)?;
        self.change(&id_of(key)?, |text| {
            Ok(match text {
                Ok(None) => (Change::Replace(new.clone()), Created::Created(version)),
                Ok(Some(_)) | Err(_) => (Change::Keep, Created::Exists),
            })
        })
    }

    fn load(&self, key: &RecordKey) -> Result<Loaded, Error> {
        let text = self.texts.read(&id_of(key)?).map_err(damaged)?;
        Ok(match (self.content(Ok(text.as_deref()))?, text) {
            (Some(Content::Session { record, accessed, .. }), Some(text)) => {
                let record = Arc::new(record);
                Loaded::Present(Stored { record, version: version(&text), accessed })
            }
            (Some(Content::Renewed { .. }), _) => Loaded::Renewed,
            _ => Loaded::Absent,
        })
    }

    fn update(
        &self,
        key: &RecordKey,
        expected: Version,
        record: &Arc<Record>,
    ) -> Result<Updated, Error> {
        let (text, version) = self.encode(record)?;
        let exchanged = self.exchange(&id_of(key)?, Some(expected), &Change::Replace(text))?;
        Ok(match exchanged {
            Exchanged::Done => Updated::Updated(version),
            Exchanged::Conflict => Updated::Conflict(None),
            Exchanged::Absent => Updated::Absent,
        })
    }

    fn touch(&self, key: &RecordKey, accessed: Timestamp) -> Result<Touched, Error> {
        self.change(&id_of(key)?, |text| {
            let content = self.content(text.clone())?;
            let (Some(text), Some(Content::Session { .. })) = (text?, content) else {
                return Ok((Change::Keep, Touched::Absent));
            };
            let from = version(text);
            let mut data = self.codec.decode(text)?;
            touch(&mut data, accessed)?;
            let text = self.codec.encode(&data)?;
            let to = version(&text);
            Ok((Change::Replace(text), Touched::Touched { from, to }))
        })
    }

    fn delete(&self, key: &RecordKey) -> Result<Deleted, Error> {
        let mut outcome = Deleted::Absent;
        let mut next = Some(id_of(key)?);
        for _ in 0..MAX_RENEWALS {
            let Some(id) = next.take() else { break };
            next = self
                .change(&id, |text| {
                    // What cannot be read is deleted all the same.
                    Ok(match (text.clone(), self.content(text)) {
                        (Ok(None), _) => (Change::Keep, None),
                        (_, Ok(Some(Content::Renewed { to, .. }))) => (Change::Keep, Some(to)),
                        (_, Ok(None)) => (Change::Remove, None),
                        _ => {
                            outcome = Deleted::Deleted;
                            (Change::Remove, None)
                        }
                    })
                })?
                .map(|to| BeakerId::from_bytes(*to.as_bytes()));
        }
        Ok(outcome)
    }

    fn rename(&self, renaming: &Renaming<'_>) -> Result<Renamed, Error> {
        let (from, to) = (id_of(renaming.from)?, id_of(renaming.to)?);
        let Created::Created(version) = self.create(renaming.to, renaming.record)? else {
            return Ok(Renamed::Exists);
        };
        let now = self.clock.now();
        let new_id = renaming.to.plain_id().ok_or_else(no_plain_id)?;
        let mark = renewed(new_id, now, now.saturating_add(renaming.grace))?;
        let mark = Change::Replace(self.codec.encode(&mark)?);
        let exchanged = self.exchange(&from, renaming.expected, &mark);
        if !matches!(exchanged, Ok(Exchanged::Done)) {
            // Nobody knows the new id yet.
            self.change(&to, |_| Ok((Change::Remove, ())))?;
        }
        Ok(match exchanged? {
            Exchanged::Done => Renamed::Renamed(version),
            Exchanged::Conflict => Renamed::Conflict,
            Exchanged::Absent => Renamed::Absent,
        })
    }
}

fn id_of(key: &RecordKey) -> Result<BeakerId, Error> {
    let id: &SessionId = key.plain_id().ok_or_else(no_plain_id)?;
    Ok(BeakerId::from_bytes(*id.as_bytes()))
}

/// An error of reading as the store of sessions has it.
fn damaged(error: Error) -> Error {
    match error.kind() {
        ErrorKind::TooLarge | ErrorKind::Codec => Error::new(ErrorKind::Corrupt, OPERATION)
            .with_detail(error.to_string())
            .with_source(error),
        _ => error,
    }
}

fn no_plain_id() -> Error {
    Error::new(ErrorKind::Config, OPERATION).with_detail(
        "Beaker keeps sessions under their ids, and was asked for a hash: use `Builder::as_beaker`",
    )
}

fn version(text: &str) -> Version {
    let digest = Sha256::digest(text.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    Version(u64::from_le_bytes(first))
}
