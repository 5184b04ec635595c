//! Beaker's sessions in cookies behind the sessions of this crate.

use beaker_namespace::Timestamp;
use sha2::{Digest, Sha256};

use super::record::{Content, Defaults, from_beaker, to_beaker};
use super::{BeakerData, BeakerId, CookieSession};
use crate::config::{Sealed, Sealer};
use crate::cookie::Refusal;
use crate::keys::KeyRing;
use crate::{Error, SessionId};

/// Whole sessions in cookies, as Beaker reads and writes them.
#[derive(Debug)]
pub(super) struct BeakerSealer {
    pub(super) sessions: CookieSession,
    pub(super) defaults: Defaults,
}

impl Sealer for BeakerSealer {
    fn seal(&self, sealed: &Sealed) -> Result<String, Error> {
        let mut data = to_beaker(&sealed.record, sealed.accessed, sealed.epoch)?;
        data.set_id(BeakerId::from_bytes(*sealed.id.as_bytes()).expose_text());
        self.sessions.seal(&data)
    }

    fn open(&self, value: &[u8], _: Timestamp) -> Result<(Sealed, bool), Refusal> {
        const NO_FORM: Refusal = Refusal::Malformed;
        let value = std::str::from_utf8(value).map_err(|_opaque| NO_FORM)?;
        let data = self.sessions.open(value).map_err(|_opaque| Refusal::BadSignature)?;
        let data = data.ok_or(NO_FORM)?;
        let id = id_of(&data, value);
        match from_beaker(data, &self.defaults).map_err(|_opaque| NO_FORM)? {
            Content::Session { record, accessed, epoch } => {
                Ok((Sealed { id, record, accessed, epoch }, false))
            }
            Content::Renewed { .. } => Err(NO_FORM),
        }
    }

    /// Beaker has one pair of keys, which is not ours to change.
    fn set_keys(&self, _: &KeyRing) -> Result<(), Error> {
        Ok(())
    }
}

/// The id inside; of a session that has none or one of its own kind, a hash of its cookie.
fn id_of(data: &BeakerData, value: &str) -> SessionId {
    let id = data.id().and_then(|id| BeakerId::parse(id).ok()).and_then(|id| id.to_bytes());
    SessionId::from_bytes(id.unwrap_or_else(|| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest(value.as_bytes())[..16]);
        bytes
    }))
}
