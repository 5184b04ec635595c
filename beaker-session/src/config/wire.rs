//! How ids and whole sessions look in cookies: ours, and through the bridge another system's.

use std::fmt;
use std::time::Duration;

use beaker_namespace::Timestamp;
use beaker_sync::BiasedRwLock;

use crate::cookie::{
    CookieConfig, CookieLife, Refusal, SetCookie, Signer, Verified, candidates, check_size,
};
use crate::keys::KeyRing;
use crate::record::{CLOCK_SKEW, Record};
use crate::{Error, RecordKey, SessionId};

/// One system's cookies.
pub(crate) trait Wire: fmt::Debug + Send + Sync {
    /// The cookie's name.
    fn name(&self) -> &str;

    /// Shows `visit` the values that may be the session's, out of a request's `Cookie` headers: the
    /// first few, as a sibling host may have set others.
    fn candidates(&self, headers: &mut dyn Iterator<Item = &[u8]>, visit: &mut dyn FnMut(&[u8]));

    /// The id in a cookie's value, if it is one of ours.
    fn read(&self, value: &[u8], now: Timestamp) -> Result<Verified, Refusal>;

    /// The value for an id.
    fn write(&self, id: &SessionId) -> String;

    /// The key under which the store has the session of `id`.
    fn key(&self, id: &SessionId) -> RecordKey;

    /// The `Set-Cookie` header that gives the browser `value`.
    fn set(&self, value: String, attributes: &Attributes<'_>) -> Result<String, Error>;

    /// The header that takes the cookie away.
    fn remove(&self, attributes: &Attributes<'_>) -> String;

    /// Whether the cookie is sent anew when its session's life is prolonged; `own` is what the
    /// session has instead of the configured life.
    fn follows_session(&self, own: Option<CookieLife>) -> bool;

    /// Refuses a life of a session's own where its records have no place for one.
    fn may_last(&self, own: Option<CookieLife>) -> Result<(), Error>;

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
    /// How long the browser keeps it, if that is not as configured.
    pub(crate) own_life: Option<CookieLife>,
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

    /// What is in a value that we made, and whether its key is no longer the active one.
    fn open(&self, value: &[u8], now: Timestamp) -> Result<(Sealed, bool), Refusal>;

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

impl Sealed {
    /// A cookie-only session says itself when it ends; one from the future was made by a clock that
    /// is wrong.
    pub(crate) fn is_live(&self, now: Timestamp) -> Result<(), Refusal> {
        let latest = self.accessed.max(self.record.created);
        if latest.saturating_sub(CLOCK_SKEW) > now {
            return Err(Refusal::FromTheFuture);
        }
        match self.record.is_expired(self.accessed, now) {
            true => Err(Refusal::Expired),
            false => Ok(()),
        }
    }
}

/// Our own cookies.
#[derive(Debug)]
pub(crate) struct NativeWire {
    cookie: CookieConfig,
    /// Without keys an id is sent as it is: 128 random bits need no signature to be safe. It is
    /// hardly ever replaced, and then nothing stays of the old one.
    signer: Option<BiasedRwLock<Signer>>,
}

impl NativeWire {
    pub(crate) fn new(cookie: CookieConfig, ring: Option<&KeyRing>) -> Result<Self, Error> {
        cookie.validate()?;
        let signer = ring.map(|ring| Signer::new(ring, cookie.name()).map(BiasedRwLock::new));
        Ok(Self { signer: signer.transpose()?, cookie })
    }
}

impl Wire for NativeWire {
    fn name(&self) -> &str {
        self.cookie.name()
    }

    fn candidates(&self, headers: &mut dyn Iterator<Item = &[u8]>, visit: &mut dyn FnMut(&[u8])) {
        candidates(headers, self.cookie.name(), visit);
    }

    fn read(&self, value: &[u8], now: Timestamp) -> Result<Verified, Refusal> {
        match &self.signer {
            Some(signer) => signer.read().verify(value, now),
            None => {
                let id = SessionId::from_text(value).ok_or(Refusal::Malformed)?;
                Ok(Verified { id, outdated: false })
            }
        }
    }

    fn write(&self, id: &SessionId) -> String {
        match &self.signer {
            Some(signer) => signer.read().sign(id),
            None => id.expose_text(),
        }
    }

    fn key(&self, id: &SessionId) -> RecordKey {
        id.hashed()
    }

    fn set(&self, value: String, attributes: &Attributes<'_>) -> Result<String, Error> {
        check_size(self.cookie.name(), &value)?;
        let life = self
            .follows_session(attributes.own_life)
            .then(|| attributes.life.unwrap_or(Duration::MAX));
        let cookie = SetCookie::checked(&self.cookie, value, life);
        Ok(cookie.at(attributes.path, attributes.domain).to_string())
    }

    fn remove(&self, attributes: &Attributes<'_>) -> String {
        SetCookie::removal(&self.cookie).at(attributes.path, attributes.domain).to_string()
    }

    fn follows_session(&self, own: Option<CookieLife>) -> bool {
        own.unwrap_or(self.cookie.life) == CookieLife::Session
    }

    fn may_last(&self, _: Option<CookieLife>) -> Result<(), Error> {
        Ok(())
    }

    fn may_have(&self, path: Option<&str>, domain: Option<&str>) -> Result<(), Error> {
        self.cookie.may_have(path, domain)
    }

    fn set_keys(&self, ring: &KeyRing) -> Result<(), Error> {
        if let Some(signer) = &self.signer {
            let new = Signer::new(ring, self.cookie.name())?;
            *signer.write() = new;
        }
        Ok(())
    }
}
