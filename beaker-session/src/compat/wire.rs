//! Beaker's cookies behind the sessions of this crate.

use beaker_namespace::Timestamp;

use super::cookie_header::{find_cookies, id_in};
use super::{BeakerCookie, BeakerId};
use crate::config::{Attributes, Wire};
use crate::cookie::{CookieLife, MAX_CANDIDATES, Refusal, Verified, check_size};
use crate::keys::KeyRing;
use crate::{Error, ErrorKind, RecordKey, SessionId};

/// Cookies as Beaker reads and writes them.
#[derive(Debug)]
pub(super) struct BeakerWire {
    cookie: BeakerCookie,
    key: fn(&SessionId) -> RecordKey,
}

impl BeakerWire {
    /// Before a store that is shared with Beaker, which keeps ids in plain sight.
    pub(super) fn shared(cookie: BeakerCookie) -> Self {
        Self { cookie, key: SessionId::plain }
    }

    /// Before a store of our own.
    pub(super) fn own(cookie: BeakerCookie) -> Self {
        Self { cookie, key: SessionId::hashed }
    }
}

impl Wire for BeakerWire {
    fn name(&self) -> &str {
        &self.cookie.name
    }

    fn candidates(&self, headers: &mut dyn Iterator<Item = &[u8]>, visit: &mut dyn FnMut(&[u8])) {
        let found = headers.flat_map(|header| find_cookies(header, &self.cookie.name));
        // Beaker's values have no `;`.
        let found: Vec<&[u8]> = found.filter(|value| !value.contains(&b';')).collect();
        // For Beaker the last one counts, so it is tried first.
        found.into_iter().rev().take(MAX_CANDIDATES).for_each(visit);
    }

    fn read(&self, value: &[u8], _: Timestamp) -> Result<Verified, Refusal> {
        const NO_FORM: Refusal = Refusal::Malformed;
        let value = std::str::from_utf8(value).map_err(|_opaque| NO_FORM)?;
        let id = id_in(value, self.cookie.signer.as_ref()).ok_or(Refusal::BadSignature)?;
        let id = BeakerId::parse(&id).map_err(|_opaque| NO_FORM)?;
        let id = SessionId::from_bytes(id.to_bytes().ok_or(NO_FORM)?);
        Ok(Verified { id, outdated: false })
    }

    fn write(&self, id: &SessionId) -> String {
        let id = BeakerId::from_bytes(*id.as_bytes());
        match &self.cookie.signer {
            Some(signer) => signer.sign(id.expose_text()),
            None => id.expose_text().to_owned(),
        }
    }

    fn key(&self, id: &SessionId) -> RecordKey {
        (self.key)(id)
    }

    fn set(&self, value: String, attributes: &Attributes<'_>) -> Result<String, Error> {
        check_size(&self.cookie.name, &value)?;
        let cookie = self.cookie.with_value(&value, attributes.path, attributes.domain)?;
        Ok(cookie.expires(self.cookie.end(attributes.now)).to_string())
    }

    fn remove(&self, attributes: &Attributes<'_>) -> String {
        // What was sent with this path and domain can be removed with them.
        let cookie = self.cookie.with_value("", attributes.path, attributes.domain);
        cookie
            .or_else(|_| self.cookie.with_value("", None, None))
            .map_or_else(|_| String::new(), |cookie| cookie.removed(attributes.now).to_string())
    }

    fn follows_session(&self, _: Option<CookieLife>) -> bool {
        false
    }

    fn may_last(&self, own: Option<CookieLife>) -> Result<(), Error> {
        match own {
            None => Ok(()),
            Some(_) => Err(Error::new(ErrorKind::Unsupported, "set cookie life")
                .with_detail("Beaker's records have no place for it; use BeakerCookie::expires")),
        }
    }

    fn may_have(&self, path: Option<&str>, domain: Option<&str>) -> Result<(), Error> {
        self.cookie.with_value("", path, domain).map(|_| ())
    }

    /// Beaker has one secret, which is not ours to change.
    fn set_keys(&self, _: &KeyRing) -> Result<(), Error> {
        Ok(())
    }
}
