//! From settings to working sessions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Clock, Latency, Namespace, SystemClock, Timestamp};
use beaker_sync::KeyLocks;

use super::{Inner, NoStore, Sessions};
use crate::Error;
use crate::config::{
    AccessPolicy, Admission, AdmissionHook, Bridge, Config, CorruptPolicy, MergePolicy, NativeWire,
    OutagePolicy, Sealer, ServerErrorPolicy, Wire,
};
use crate::cookie::{CookieConfig, Encrypted, Readable};
use crate::core::Counters;
use crate::entropy::{Entropy, SystemEntropy};
use crate::keys::{IdKeys, KeyRing};
use crate::session::SitePolicy;
use crate::store::{NamespaceStore, SessionStore};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a session is kept.
#[derive(Debug)]
enum Form {
    InStore(Arc<dyn SessionStore>),
    InMemory(Arc<NamespaceStore>),
    Encrypted,
    Readable,
}

/// Settings of a site's sessions; see [`Sessions::builder`].
#[must_use = "a builder does nothing until it is built"]
pub struct Builder {
    form: Option<Form>,
    misfit: Option<Error>,
    cookie: CookieConfig,
    keys: Option<KeyRing>,
    epochs: Option<Arc<dyn SessionStore>>,
    pub(crate) wire: Option<Arc<dyn Wire>>,
    pub(crate) sealer: Option<Arc<dyn Sealer>>,
    pub(crate) bridge: Option<Bridge>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    idle: Option<Duration>,
    absolute: Option<Duration>,
    access: AccessPolicy,
    merge: MergePolicy,
    outage: OutagePolicy,
    corrupt: CorruptPolicy,
    server_errors: ServerErrorPolicy,
    admission: Option<AdmissionHook>,
    sites: SitePolicy,
    max_bytes: usize,
    grace: Duration,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            form: None,
            misfit: None,
            cookie: CookieConfig::new(),
            keys: None,
            epochs: None,
            wire: None,
            sealer: None,
            bridge: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            idle: Some(DAY),
            absolute: Some(14 * DAY),
            access: AccessPolicy::AtMostEvery(Duration::from_secs(60)),
            merge: MergePolicy::ThreeWayPerKey,
            outage: OutagePolicy::Fail,
            corrupt: CorruptPolicy::Fresh,
            server_errors: ServerErrorPolicy::Discard,
            admission: None,
            sites: SitePolicy::Any,
            max_bytes: 64 * 1024,
            grace: Duration::from_secs(60),
        }
    }

    /// Keeps sessions in `namespace`, which should be theirs alone. What it cannot do is an error of
    /// [`build`](Self::build).
    pub fn with_namespace(mut self, namespace: Arc<dyn Namespace>) -> Self {
        self.clock = Arc::clone(namespace.clock());
        match NamespaceStore::new(namespace) {
            Ok(store) if store.is_in_memory() => {
                Self { form: Some(Form::InMemory(Arc::new(store))), ..self }
            }
            Ok(store) => self.with_store(store),
            Err(error) => Self { misfit: Some(error), ..self },
        }
    }

    /// Keeps sessions in `store`.
    pub fn with_store(mut self, store: impl SessionStore) -> Self {
        self.form = Some(Form::InStore(Arc::new(store)));
        self
    }

    /// Keeps each session whole in its cookie, encrypted (XChaCha20-Poly1305). Needs
    /// [`with_keys`](Self::with_keys).
    ///
    /// There is no store that could forget it: until its time-outs, an older copy of the cookie
    /// brings back what was in it, also after a logout. [`with_epochs`](Self::with_epochs) makes a
    /// logout hold. And of two requests at the same time the later response's
    /// cookie stays.
    pub fn in_encrypted_cookies(mut self) -> Self {
        self.form = Some(Form::Encrypted);
        self
    }

    /// As [`in_encrypted_cookies`](Self::in_encrypted_cookies), but only signed (HMAC-SHA256):
    /// whoever has the cookie can read the session.
    pub fn in_readable_cookies(mut self) -> Self {
        self.form = Some(Form::Readable);
        self
    }

    /// Lets `store` remember which cookie-only sessions are over: those that logged out or were
    /// [revoked](Sessions::revoke), the old ids of those that were renewed, and all that a
    /// [subject](crate::Session::set_subject) had when [all were revoked](Sessions::revoke_all). A
    /// copy of such a cookie opens nothing any more.
    ///
    /// Costs one read for each request that looks into such a session, two if it has a subject,
    /// and one write for each logout and renewal, which is kept a day longer than the session
    /// could have lived: by its absolute time-out, or, without one, by its idle one, which is in the cookie
    /// too. Of a session without either it is kept for good, as nothing else ends its copies; so is what
    /// [`Sessions::revoke`] writes, which is told a key and not how long its session lives; so is that of a
    /// session whose [limits were set](crate::Session::set_limits) when it had a cookie already, since one of before may
    /// live longer than the last one says; and so is one that was damaged and is made anew. Limits that are set in the
    /// request that makes or [renews](crate::Session::renew) the session, as a login does, cost nothing.
    pub fn with_epochs(mut self, store: impl SessionStore) -> Self {
        self.epochs = Some(Arc::new(store));
        self
    }

    /// Signs ids, or encrypts sessions, with these secrets. Default for sessions in a store: ids
    /// are not signed, which 128 random bits do not need; with a signature a forged cookie costs
    /// no look-up.
    pub fn with_keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Default: [`CookieConfig::new`].
    pub fn with_cookie(mut self, cookie: CookieConfig) -> Self {
        self.cookie = cookie;
        self
    }

    /// How long a session lives without being used; `None` is for ever. Default: one day.
    pub fn with_idle(mut self, idle: Option<Duration>) -> Self {
        self.idle = idle;
        self
    }

    /// How long a session lives at most; `None` is for ever. A renewal does not lengthen it.
    /// Default: 14 days.
    pub fn with_absolute(mut self, absolute: Option<Duration>) -> Self {
        self.absolute = absolute;
        self
    }

    /// When a use prolongs the idle time. Default: at most once a minute.
    pub fn with_access(mut self, access: AccessPolicy) -> Self {
        self.access = access;
        self
    }

    /// What two requests at the same time come to. Default: [`MergePolicy::ThreeWayPerKey`], a merge by value.
    pub fn with_merge(mut self, merge: MergePolicy) -> Self {
        self.merge = merge;
        self
    }

    /// Default: [`OutagePolicy::Fail`].
    pub fn with_outage(mut self, outage: OutagePolicy) -> Self {
        self.outage = outage;
        self
    }

    /// Default: [`CorruptPolicy::Fresh`].
    pub fn with_corrupt(mut self, corrupt: CorruptPolicy) -> Self {
        self.corrupt = corrupt;
        self
    }

    /// Default: [`ServerErrorPolicy::Discard`].
    pub fn with_server_errors(mut self, server_errors: ServerErrorPolicy) -> Self {
        self.server_errors = server_errors;
        self
    }

    /// Which requests of other sites `SessionLayer` and `SessionMiddleware` refuse. Default:
    /// [`SitePolicy::Any`], none.
    pub fn with_sites(mut self, sites: SitePolicy) -> Self {
        self.sites = sites;
        self
    }

    /// Asks `hook`, with the time, before each new session is made: so a flood of visitors can be
    /// kept from filling the store. A refusal fails the save with
    /// [`NotAdmitted`](crate::ErrorKind::NotAdmitted), for which the middleware answers 429.
    /// Default: all are admitted.
    ///
    /// The hook runs in the request, while its session is locked: it should only count. It does not
    /// know who asks; refuse single clients in front of the sessions.
    ///
    /// # Examples
    ///
    /// At most a hundred in a second:
    ///
    /// ```
    /// use std::sync::Mutex;
    /// use beaker_session::{Admission, Sessions};
    ///
    /// # let store = beaker_namespace::Stores::new().open(&"memory:".parse()?, "hook example")?;
    /// let made = Mutex::new((0, 0)); // the second, and how many in it
    /// let sessions = Sessions::builder()
    ///     .with_namespace(store)
    ///     .with_admission(move |now| {
    ///         let Ok(mut made) = made.lock() else { return Admission::Refuse };
    ///         let second = now.as_micros() / 1_000_000;
    ///         if made.0 != second {
    ///             *made = (second, 0);
    ///         }
    ///         made.1 += 1;
    ///         if made.1 <= 100 { Admission::Admit } else { Admission::Refuse }
    ///     })
    ///     .build()?;
    /// # let _unused = sessions;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_admission(
        mut self,
        hook: impl Fn(Timestamp) -> Admission + Send + Sync + 'static,
    ) -> Self {
        self.admission = Some(AdmissionHook::new(hook));
        self
    }

    /// About as many bytes as a session's values, subject and label may take as JSON; what is larger is
    /// not saved, with [`TooLarge`](crate::ErrorKind::TooLarge). Default: 65,536.
    pub fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// How long the old id of a renewed session is known to be that. Requests that are on their
    /// way with it see no data, but set no cookie either. Default: one minute, which it is at least where
    /// a damaged session was [rescued](crate::CorruptPolicy::custom).
    pub fn with_renewal_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// For tests: the time. Default: the namespace's, or the system's.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// For tests: the source of ids and nonces. Default: the operating system's.
    pub fn with_entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// The sessions.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for settings that contradict each other (cookie-only sessions have no
    /// [`MergePolicy::Lock`]), for a cookie
    /// that browsers would drop, and without a place to keep sessions;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a store that cannot keep them;
    /// [`Entropy`](crate::ErrorKind::Entropy) if the system gives no random bytes.
    pub fn build(mut self) -> Result<Sessions, Error> {
        if let Some(misfit) = self.misfit.take() {
            return Err(misfit);
        }
        let sealer = match self.sealer.take() {
            Some(sealer) => Some(sealer),
            None => self.native_sealer()?,
        };
        if sealer.is_some() && self.merge.locks() {
            return Err(Error::config(
                "sessions in cookies cannot be locked, since a request that waited comes with the cookie \
                 that it was sent with; keep them in a store",
            ));
        }
        let epochs = self.epochs.is_some();
        let in_memory = match &self.form {
            Some(Form::InMemory(store)) => Some(Arc::clone(store)),
            _ => None,
        };
        let store: Arc<dyn SessionStore> = match (self.form.take(), self.epochs.take()) {
            (Some(Form::InStore(store)), None) => store,
            (Some(Form::InMemory(store)), None) => store,
            (Some(Form::InStore(_) | Form::InMemory(_)), Some(_)) => {
                return Err(Error::config("epochs are for sessions that are kept in cookies"));
            }
            (_, Some(store)) => store,
            (_, None) if sealer.is_some() => Arc::new(NoStore::InCookies),
            (_, None) => {
                return Err(Error::config(
                    "there is no place to keep sessions: use with_namespace, with_store or \
                     in_encrypted_cookies",
                ));
            }
        };
        let bridged = self.bridge.as_ref().and_then(Bridge::store);
        let clock = Arc::clone(&self.clock);
        let config = Arc::new(self.into_config(sealer, epochs)?);
        let inline = store.latency() == Latency::Inline && bridged.is_none();
        let ends = Box::default();
        let locks = config.merge.locks().then(KeyLocks::new);
        let inner = Inner { config, store, in_memory, bridged, clock, inline, ends, locks };
        Ok(Sessions(Arc::new(inner)))
    }

    fn native_sealer(&self) -> Result<Option<Arc<dyn Sealer>>, Error> {
        let keys = || {
            self.keys
                .as_ref()
                .ok_or_else(|| Error::config("sessions in cookies need a secret: use with_keys"))
        };
        let name = self.cookie.name();
        Ok(match self.form {
            Some(Form::Encrypted) => {
                let entropy = Arc::clone(&self.entropy);
                Some(Arc::new(Encrypted::new(keys()?, name, entropy)?))
            }
            Some(Form::Readable) => Some(Arc::new(Readable::new(keys()?, name)?)),
            _ => None,
        })
    }

    fn into_config(self, sealer: Option<Arc<dyn Sealer>>, epochs: bool) -> Result<Config, Error> {
        if self.idle == Some(Duration::ZERO) || self.absolute == Some(Duration::ZERO) {
            return Err(Error::config("a time-out of zero ends every session; None is for ever"));
        }
        let wire = match self.wire {
            Some(wire) => wire,
            None => Arc::new(NativeWire::new(self.cookie, self.keys.as_ref())?),
        };
        let id_keys = IdKeys::new(self.keys.as_ref(), wire.name())?;
        Ok(Config {
            wire,
            sealer,
            bridge: self.bridge,
            id_keys,
            entropy: self.entropy,
            idle: self.idle,
            absolute: self.absolute,
            access: self.access,
            merge: self.merge,
            outage: self.outage,
            corrupt: self.corrupt,
            server_errors: self.server_errors,
            admission: self.admission,
            sites: self.sites,
            max_bytes: self.max_bytes,
            grace: self.grace,
            epochs,
            counts: Counters::default(),
        })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("form", &self.form)
            .field("cookie", &self.cookie)
            .finish_non_exhaustive()
    }
}
