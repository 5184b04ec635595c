//! How ids and whole sessions look in cookies: ours, and through the bridge another system's.

use std::fmt;
use std::time::Duration;

use beaker_namespace::Timestamp;
use parking_lot::RwLock;

use crate::cookie::{
    Candidates, CookieConfig, CookieLife, SetCookie, Signer, Verified, check_size,
};
use crate::keys::KeyRing;
use crate::record::Record;
use crate::{Error, RecordKey, SessionId};

/// One system's cookies.
pub(crate) trait Wire: fmt::Debug + Send + Sync {
    /// The values that may be the session's, out of a request's `Cookie` headers.
    fn candidates(&self, headers: &mut dyn Iterator<Item = &[u8]>) -> Candidates;

    /// The id in a cookie's value, if it is one of ours.
    fn read(&self, value: &[u8]) -> Option<Verified>;

    /// The value for an id.
    fn write(&self, id: &SessionId) -> String;

    /// The key under which the store has the session of `id`.
    fn key(&self, id: &SessionId) -> RecordKey;

    /// The `Set-Cookie` header that gives the browser `value`.
    fn set(&self, value: String, attributes: &Attributes<'_>) -> Result<String, Error>;

    /// The header that takes the cookie away.
    fn remove(&self, attributes: &Attributes<'_>) -> String;

    /// Whether the cookie is sent anew when its session's life is prolonged.
    fn follows_session(&self) -> bool;

    /// Refuses a path or domain that the cookie cannot have.
    fn may_have(&self, path: Option<&str>, domain: Option<&str>) -> Result<(), Error>;

    /// Changes the secrets.
    fn set_keys(&self, ring: &KeyRing) -> Result<(), Error>;
}

/// What a cookie has of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attributes<'a> {
    pub(crate) path: Option<&'a str>,
    pub(crate) domain: Option<&'a str>,
    /// How long its session lives from now; `None` is for ever.
    pub(crate) life: Option<Duration>,
    #[cfg_attr(
        not(feature = "beaker-compat"),
        allow(dead_code, reason = "our own cookies say how long, and not until when")
    )]
    pub(crate) now: Timestamp,
}

/// A whole session in a cookie.
pub(crate) trait Sealer: fmt::Debug + Send + Sync {
    /// The cookie's value. Its size is not checked.
    fn seal(&self, sealed: &Sealed) -> Result<String, Error>;

    /// What is in a value that we made, or `None`; and whether its key is no longer the active one.
    fn open(&self, value: &[u8]) -> Option<(Sealed, bool)>;

    /// Changes the secrets.
    fn set_keys(&self, ring: &KeyRing) -> Result<(), Error>;
}

/// What is in the cookie of a cookie-only session.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sealed {
    pub(crate) id: SessionId,
    pub(crate) record: Record,
    pub(crate) accessed: Timestamp,
    pub(crate) epoch: u64,
}

/// Our own cookies.
#[derive(Debug)]
pub(crate) struct NativeWire {
    cookie: CookieConfig,
    /// Without keys an id is sent as it is: 128 random bits need no signature to be safe.
    signer: Option<RwLock<Signer>>,
}

impl NativeWire {
    pub(crate) fn new(cookie: CookieConfig, ring: Option<&KeyRing>) -> Result<Self, Error> {
        cookie.validate()?;
        let signer = ring.map(|ring| Signer::new(ring, cookie.name()).map(RwLock::new));
        Ok(Self { signer: signer.transpose()?, cookie })
    }
}

impl Wire for NativeWire {
    fn candidates(&self, headers: &mut dyn Iterator<Item = &[u8]>) -> Candidates {
        Candidates::find(headers, self.cookie.name())
    }

    fn read(&self, value: &[u8]) -> Option<Verified> {
        match &self.signer {
            Some(signer) => signer.read().verify(value),
            None => SessionId::from_text(value).map(|id| Verified { id, outdated: false }),
        }
    }

    fn write(&self, id: &SessionId) -> String {
        self.signer.as_ref().map_or_else(|| id.expose_text(), |signer| signer.read().sign(id))
    }

    fn key(&self, id: &SessionId) -> RecordKey {
        id.hashed()
    }

    fn set(&self, value: String, attributes: &Attributes<'_>) -> Result<String, Error> {
        check_size(self.cookie.name(), &value)?;
        let life = (self.cookie.life == CookieLife::Session)
            .then(|| attributes.life.unwrap_or(Duration::MAX));
        let cookie = SetCookie::checked(&self.cookie, value, life);
        Ok(cookie.at(attributes.path, attributes.domain).to_string())
    }

    fn remove(&self, attributes: &Attributes<'_>) -> String {
        SetCookie::removal(&self.cookie).at(attributes.path, attributes.domain).to_string()
    }

    fn follows_session(&self) -> bool {
        self.cookie.life == CookieLife::Session
    }

    fn may_have(&self, path: Option<&str>, domain: Option<&str>) -> Result<(), Error> {
        self.cookie.may_have(path, domain)
    }

    fn set_keys(&self, ring: &KeyRing) -> Result<(), Error> {
        if let Some(signer) = &self.signer {
            *signer.write() = Signer::new(ring, self.cookie.name())?;
        }
        Ok(())
    }
}
