//! A site's sessions.

mod asks;
mod builder;
mod collector;
mod devices;
mod ends;
mod locks;
mod no_store;

use std::fmt;
use std::sync::Arc;

use beaker_namespace::Clock;
use beaker_sync::{Events, KeyLocks};

#[cfg(feature = "tokio")]
pub(crate) use self::asks::Asks;
pub use self::builder::Builder;
pub use self::collector::Collector;
pub use self::devices::Device;
pub(crate) use self::ends::End;
pub use self::locks::SessionLock;
use self::no_store::NoStore;
use crate::config::Config;
use crate::cookie::{CookieHeaders, Refusal};
use crate::core::{Answer, Core, Counts, Op, Open};
use crate::keys::KeyRing;
use crate::lazy::LazySession;
use crate::session::Session;
#[cfg(feature = "tokio")]
use crate::store::AsyncSessionStore;
use crate::store::{NamespaceStore, SessionStore, ready};
use crate::{Error, RecordKey, SessionId};

/// The sessions of a site: settings, secrets and the store. Cheap to clone.
///
/// # Examples
///
/// ```
/// use beaker_namespace::Stores;
/// use beaker_session::Sessions;
///
/// let store = Stores::new().open(&"memory:".parse()?, "sessions")?;
/// let sessions = Sessions::builder().with_namespace(store).build()?;
///
/// // The first request has no cookie.
/// let request = sessions.begin([]);
/// request.load()?.insert("name", "Ada")?;
/// let headers = request.commit()?;
/// let cookie = headers.set_cookies().next().unwrap_or_default().to_owned();
///
/// // The browser sends it back with the next one.
/// let pair = cookie.split(';').next().unwrap_or_default();
/// let request = sessions.begin([pair.as_bytes()]);
/// assert_eq!(request.load()?.get::<String>("name")?.as_deref(), Some("Ada"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Sessions(pub(crate) Arc<Inner>);

/// Not in the cache line of its own count, which each request writes: threads that read the settings
/// would wait for that.
#[repr(align(128))]
pub(crate) struct Inner {
    pub(crate) config: Arc<Config>,
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) bridged: Option<Arc<dyn SessionStore>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The store, if sessions lie in memory there.
    pub(crate) in_memory: Option<Arc<NamespaceStore>>,
    /// Whether no call of a store may block.
    pub(crate) inline: bool,
    /// Who waits for the end of a session. Not here: those who wait write it often.
    pub(crate) ends: Box<Events<End>>,
    /// Under [`MergePolicy::Lock`](crate::MergePolicy::Lock), by the hashes of ids.
    locks: Option<KeyLocks<RecordKey>>,
}

impl Sessions {
    /// Settings, with defaults for all but the place where sessions are kept.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The session that a request's `Cookie` headers name. Nothing is read until it is
    /// [loaded](LazySession::load).
    pub fn begin<'h>(&self, cookie_headers: impl IntoIterator<Item = &'h [u8]>) -> LazySession {
        LazySession::new(self.clone(), &CookieHeaders::of(cookie_headers))
    }

    /// The session with this id, apart from any request: it sends no cookie, and is saved by
    /// [`Session::save`]. `None` if there is none or it is over.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where sessions are kept in their cookies. Those of
    /// the store.
    pub fn get_by_id(&self, id: &SessionId) -> Result<Option<Session>, Error> {
        ready(self.blocking().get_by_id(id))
    }

    /// The same settings and clock, and no store: what would ask one is told so.
    pub(crate) fn without_store(&self) -> Self {
        let Inner { config, clock, .. } = &*self.0;
        Self(Arc::new(Inner {
            config: Arc::clone(config),
            store: Arc::new(NoStore::Driven),
            bridged: None,
            clock: Arc::clone(clock),
            in_memory: None,
            inline: true,
            ends: Box::default(),
            locks: None,
        }))
    }

    pub(crate) fn detached(&self, open: Open) -> Session {
        Session::new(LazySession::opened(self.clone(), Core::opened(open)))
    }

    pub(crate) fn ask(&self, op: &Op) -> Answer {
        match op {
            Op::Lock(key) => self.lock(key).into(),
            op => {
                let answer = op.run(self.store(), self.0.bridged.as_deref());
                self.tell(op);
                answer
            }
        }
    }

    /// The store for tasks, if every call on the way to a load or a save can be waited for by it.
    #[cfg(feature = "tokio")]
    pub(crate) fn asynchronous(&self) -> Option<&dyn AsyncSessionStore> {
        if self.0.bridged.is_some() {
            return None;
        }
        self.0.store.asynchronous()
    }

    /// Uses other secrets from now on, without a restart. What the retired ones of `keys` made is
    /// still accepted: cookies, and the tokens of forms. Those that are not in `keys` are wiped from
    /// memory. Sessions that were built without keys stay so.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if the ring has a secret twice; the old ones then stay.
    pub fn set_keys(&self, keys: &KeyRing) -> Result<(), Error> {
        let config = &self.0.config;
        // The first of them says whether the ring is good.
        config.id_keys.set_keys(keys)?;
        config.wire.set_keys(keys)?;
        config.sealer.as_ref().map_or(Ok(()), |sealer| sealer.set_keys(keys))
    }

    /// Drops expired sessions from the store, and says how many. Stores also do this bit by bit
    /// while they are used.
    ///
    /// # Errors
    ///
    /// Those of the store; the next sweep goes on.
    pub fn sweep(&self) -> Result<u64, Error> {
        ready(self.blocking().sweep())
    }

    /// Ends the session under `key`, as [`Device::key`] and [`Session::key`] give it. One that is
    /// kept in its cookie ends if there is a store [for that](Builder::with_epochs), which keeps
    /// the key for good then: how long its copies live is not known here. Where the session is at hand,
    /// [`Session::delete`] leaves a mark that goes when they are dead.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn revoke(&self, key: &RecordKey) -> Result<(), Error> {
        ready(self.blocking().end(key)).map(drop)
    }

    /// Says of each cookie of the session's name in a request's `Cookie` headers whether it is one
    /// that would be looked up, or why it is refused. For whoever wonders why a visitor is logged
    /// out; with the feature `tracing` the same is told as it happens.
    ///
    /// The store is not asked, so whether the session is still there is not said.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_session::{Refusal, Sessions};
    ///
    /// # let store = beaker_namespace::Stores::new().open(&"memory:".parse()?, "explain example")?;
    /// let sessions = Sessions::builder().with_namespace(store).build()?;
    /// let header = "a=b; __Host-id=cut-off";
    /// assert_eq!(sessions.explain([header.as_bytes()]), [Err(Refusal::Malformed)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain<'h>(
        &self,
        cookie_headers: impl IntoIterator<Item = &'h [u8]>,
    ) -> Vec<Result<(), Refusal>> {
        let Inner { config, clock, .. } = &*self.0;
        let (now, mut found) = (clock.now(), Vec::new());
        config.wire.candidates(&mut cookie_headers.into_iter(), &mut |value| {
            found.push(match &config.sealer {
                Some(sealer) => sealer.open(value, now).and_then(|(sealed, _)| sealed.is_live(now)),
                None => config.wire.read(value, now).map(drop),
            });
        });
        found
    }

    /// What was counted since the sessions were built.
    pub fn counts(&self) -> Counts {
        self.0.config.counts.read()
    }

    /// The settings.
    pub fn config(&self) -> &Arc<Config> {
        &self.0.config
    }

    /// The store: what answers to a [`SessionCore`](crate::SessionCore) that you drive yourself.
    pub fn store(&self) -> &dyn SessionStore {
        self.0.store.as_ref()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("config", &self.0.config)
            .field("store", &self.0.store)
            .finish_non_exhaustive()
    }
}
