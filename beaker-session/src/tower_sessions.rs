//! Our stores for users of tower-sessions.
//
// 1. Its trait has no versions: of two requests at the same time the later one's whole record
//    stays. What the trait does allow to tell is whether a session is still there, and that is
//    told: a save replaces and never inserts.
// 2. A record is kept as one of ours, under the same hash of the same 128 bits. So a site can
//    later go on with our own layer, and its visitors keep their sessions.

use std::sync::Arc;

use async_trait::async_trait;
use beaker_namespace::{Clock, Namespace, Timestamp};
use time::OffsetDateTime;
use tower_sessions_core::session::{Id, Record as Theirs};
use tower_sessions_core::session_store::{Error as TheirError, Result as TheirResult};
use tower_sessions_core::{ExpiredDeletion, SessionStore as TheirStore};

use crate::core::{Answer, Op};
use crate::record::Record;
use crate::store::{Created, Face, Loaded, NamespaceStore, Updated};
use crate::tasks::call_store;
use crate::{Error, ErrorKind, RecordKey, SessionId};

/// How often a save is tried against others, and how many ids are drawn for a new session.
const TRIES: usize = 64;

/// A store for tower-sessions, in any namespace that keeps what it is given. Cheap to clone.
///
/// What it does beyond others: a session that was logged out is not brought back by a request that
/// still runs; its save is an error, which tower-sessions answers with 500. Ids are hashed before
/// the store sees them. What tower-sessions does itself stays: of two requests that change one
/// session at the same time the later one wins whole, and `cycle_id` deletes before it stores. Our own
/// [layer](crate::Sessions) does neither. A record that cannot be read back is no session, as their trait knows
/// nothing in between.
///
/// Do not make it the cache of a `CachingSessionStore`: that one fills its cache by saves, and
/// these never insert. As the store behind a cache it is fine.
///
/// # Examples
///
/// ```
/// use beaker_session::tower_sessions::NamespaceSessions;
/// use tower_sessions::SessionManagerLayer;
///
/// let namespace = beaker_namespace::Stores::new().open(&"memory:".parse()?, "tower-sessions")?;
/// let layer = SessionManagerLayer::new(NamespaceSessions::new(namespace)?);
/// # let _unused = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct NamespaceSessions {
    store: Arc<NamespaceStore>,
    clock: Arc<dyn Clock>,
}

impl NamespaceSessions {
    /// Keeps sessions in `namespace`, which should be theirs alone.
    ///
    /// # Errors
    ///
    /// As [`NamespaceStore::new`].
    pub fn new(namespace: Arc<dyn Namespace>) -> Result<Self, Error> {
        let clock = Arc::clone(namespace.clock());
        Ok(Self { store: Arc::new(NamespaceStore::new(namespace)?), clock })
    }

    async fn call<T, F>(&self, call: impl FnOnce(Calls) -> F + Send + 'static) -> TheirResult<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let store = Arc::clone(&self.store);
        let called = call_store(&*self.store, move |face| call(Calls { store, face }));
        called.await.map_err(to_theirs)
    }

    fn to_ours(&self, record: &Theirs) -> Record {
        let data = record.data.iter().map(|(name, value)| (name.clone(), value.clone()));
        let end = to_timestamp(record.expiry_date);
        Record::new(self.clock.now()).with_limits(None, Some(end)).with_data(data.collect())
    }
}

/// The store by one of its faces.
struct Calls {
    store: Arc<NamespaceStore>,
    face: Face,
}

impl Calls {
    async fn ask(&self, op: Op) -> Answer {
        self.face.ask(&*self.store, &op).await
    }

    /// Stores a new session, under its id or, if that is taken, under one that is given back.
    async fn create_any(&self, mut id: Id, record: Arc<Record>) -> Result<Id, Error> {
        for _ in 0..TRIES {
            let create = Op::Create { key: key_of(id), record: Arc::clone(&record) };
            if let Created::Created(_) = self.ask(create).await.into_created()? {
                return Ok(id);
            }
            id = Id::default();
        }
        Err(Error::new(ErrorKind::Entropy, "create session")
            .with_detail("the random source gives ids that are taken"))
    }

    async fn replace(&self, id: Id, record: Record) -> Result<(), Error> {
        const OPERATION: &str = "save session";
        let (key, mut record) = (key_of(id), Arc::new(record));
        for _ in 0..TRIES {
            let Loaded::Present(stored) = self.load(id).await? else {
                return Err(Error::new(ErrorKind::Ended, OPERATION));
            };
            Arc::make_mut(&mut record).set_created(stored.record.created());
            let (expected, record) = (stored.version, Arc::clone(&record));
            match self.ask(Op::Update { key, expected, record }).await {
                Answer::Updated(Updated::Updated(_)) => return Ok(()),
                Answer::Updated(Updated::Absent) => {
                    return Err(Error::new(ErrorKind::Ended, OPERATION));
                }
                Answer::Updated(Updated::Conflict(_)) => {}
                other => return Err(other.into_failure()),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, OPERATION).with_detail("others keep changing it"))
    }

    async fn load(&self, id: Id) -> Result<Loaded, Error> {
        self.ask(Op::Load(key_of(id))).await.into_loaded()
    }

    async fn delete(&self, id: Id) -> Result<(), Error> {
        self.ask(Op::Delete(key_of(id))).await.into_deleted().map(drop)
    }

    async fn sweep(&self) -> Result<(), Error> {
        self.ask(Op::Sweep).await.into_swept().map(drop)
    }
}

#[async_trait]
impl TheirStore for NamespaceSessions {
    /// Inserts; on a taken id draws another one.
    async fn create(&self, record: &mut Theirs) -> TheirResult<()> {
        let (id, ours) = (record.id, Arc::new(self.to_ours(record)));
        let create = move |calls: Calls| async move { calls.create_any(id, ours).await };
        record.id = self.call(create).await?;
        Ok(())
    }

    /// Replaces; never inserts.
    async fn save(&self, record: &Theirs) -> TheirResult<()> {
        let (id, ours) = (record.id, self.to_ours(record));
        self.call(move |calls| async move { calls.replace(id, ours).await }).await
    }

    async fn load(&self, id: &Id) -> TheirResult<Option<Theirs>> {
        let id = *id;
        let load = move |calls: Calls| async move {
            match calls.load(id).await {
                // An error would be the answer for as long as the browser has the cookie.
                Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Loaded::Absent),
                loaded => loaded,
            }
        };
        let Loaded::Present(stored) = self.call(load).await? else { return Ok(None) };
        if stored.record.is_expired(stored.accessed, self.clock.now()) {
            return Ok(None);
        }
        let data = stored.record.data().into_iter();
        let expiry_date = to_date(stored.record.expires(stored.accessed));
        Ok(Some(Theirs { id, data: data.collect(), expiry_date }))
    }

    async fn delete(&self, id: &Id) -> TheirResult<()> {
        let id = *id;
        self.call(move |calls| async move { calls.delete(id).await }).await
    }
}

#[async_trait]
impl ExpiredDeletion for NamespaceSessions {
    async fn delete_expired(&self) -> TheirResult<()> {
        self.call(|calls| async move { calls.sweep().await }).await
    }
}

/// The key that our own sessions have for the same bits.
fn key_of(id: Id) -> RecordKey {
    SessionId::from_bytes(id.0.to_le_bytes()).hashed()
}

/// A date outside of what microseconds of 64 bits hold is taken for the nearest that is not.
fn to_timestamp(date: OffsetDateTime) -> Timestamp {
    let micros = date.unix_timestamp_nanos() / 1_000;
    let last = i128::from(i64::MAX);
    Timestamp::from_micros(i64::try_from(micros.clamp(-last, last)).unwrap_or(i64::MAX))
}

fn to_date(time: Timestamp) -> OffsetDateTime {
    let nanos = i128::from(time.as_micros()) * 1_000;
    // "For ever" is after the last date that their type holds.
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(LAST_DATE)
}

const LAST_DATE: OffsetDateTime = time::PrimitiveDateTime::MAX.assume_utc();

fn to_theirs(error: Error) -> TheirError {
    match error.kind() {
        ErrorKind::Corrupt => TheirError::Decode(error.to_string()),
        ErrorKind::Codec | ErrorKind::TooLarge => TheirError::Encode(error.to_string()),
        _ => TheirError::Backend(error.to_string()),
    }
}
