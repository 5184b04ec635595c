//! What is made of an id under a key: the secret of a session's forms, and its name in a log.

use std::fmt;

use beaker_namespace::Timestamp;
use beaker_sync::BiasedRwLock;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::{BlockMac, KeyRing, Purpose, PurposeKeys};
use crate::id::ID_BYTES;
use crate::{Error, SessionId};

type IdMac = BlockMac<ID_BYTES>;

/// The keys that hash ids for other places than the store.
pub(crate) struct IdKeys {
    cookie_name: String,
    /// Whether they come from a ring, and change with it.
    derived: bool,
    forms: BiasedRwLock<PurposeKeys<IdMac>>,
    #[cfg(feature = "tracing")]
    log: BiasedRwLock<PurposeKeys<IdMac>>,
}

impl IdKeys {
    /// Without a ring the key of forms is a fixed one: one that only this process knows would void
    /// all forms at a restart, and ids are secret and random enough by themselves.
    pub(crate) fn new(ring: Option<&KeyRing>, cookie_name: &str) -> Result<Self, Error> {
        let forms = match ring {
            Some(ring) => derived(ring, Purpose::Forms, cookie_name)?,
            None => PurposeKeys::fixed(IdMac::new(b"beaker-session forms without key")),
        };
        Ok(Self {
            cookie_name: cookie_name.to_owned(),
            derived: ring.is_some(),
            forms: BiasedRwLock::new(forms),
            #[cfg(feature = "tracing")]
            log: BiasedRwLock::new(match ring {
                Some(ring) => derived(ring, Purpose::Log, cookie_name)?,
                None => PurposeKeys::fixed(IdMac::new(&*drawn()?)),
            }),
        })
    }

    pub(crate) fn set_keys(&self, ring: &KeyRing) -> Result<(), Error> {
        if self.derived {
            let forms = derived(ring, Purpose::Forms, &self.cookie_name)?;
            #[cfg(feature = "tracing")]
            {
                *self.log.write() = derived(ring, Purpose::Log, &self.cookie_name)?;
            }
            *self.forms.write() = forms;
        }
        Ok(())
    }

    /// The secret of the forms of the session `id`.
    pub(crate) fn form_secret(&self, id: &SessionId) -> Option<Zeroizing<[u8; 32]>> {
        let keys = self.forms.read();
        keys.active().map(|(_, key)| Zeroizing::new(key.sign(id.as_bytes())))
    }

    /// Whether `secret` is that of the session's forms, under any key that is accepted at `now`. It
    /// takes the same time wherever a difference is, and under whichever key it is good.
    pub(crate) fn is_form_secret(&self, id: &SessionId, secret: &[u8; 32], now: Timestamp) -> bool {
        let keys = self.forms.read();
        let compared = keys.accepted(now).map(|key| {
            let good = Zeroizing::new(key.sign(id.as_bytes()));
            good[..].ct_eq(&secret[..])
        });
        compared.fold(Choice::from(0), |any, this| any | this).into()
    }

    /// What `id` is called in a log: two events of one session have the same name, which says
    /// nothing about the id. With a ring it is the same in every process.
    #[cfg(feature = "tracing")]
    pub(crate) fn log_name(&self, id: &SessionId) -> u32 {
        let keys = self.log.read();
        let hash = keys.active().map(|(_, key)| key.sign(id.as_bytes()));
        let [a, b, c, d, ..] = hash.unwrap_or_default();
        u32::from_be_bytes([a, b, c, d])
    }
}

fn derived(ring: &KeyRing, purpose: Purpose, name: &str) -> Result<PurposeKeys<IdMac>, Error> {
    PurposeKeys::derive(ring, purpose, name, IdMac::new)
}

/// A key of this process alone.
#[cfg(feature = "tracing")]
fn drawn() -> Result<Zeroizing<[u8; 32]>, Error> {
    crate::entropy::draw(&crate::SystemEntropy).map(Zeroizing::new)
}

impl fmt::Debug for IdKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdKeys").field("derived", &self.derived).finish_non_exhaustive()
    }
}
