//! The keys of one purpose, derived from each secret of a ring.

use std::fmt;

use beaker_namespace::Timestamp;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{KeyRing, Purpose, SecretKey};
use crate::cookie::Refusal;
use crate::{Error, text64};

/// The number of a key: what a cookie names it by. Not secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyId(pub(crate) [u8; 3]);

impl KeyId {
    pub(crate) const TEXT_LEN: usize = 4;

    pub(crate) fn from_text(text: &[u8]) -> Option<Self> {
        text64::decode_exact(text).map(Self)
    }

    fn of(secret: &SecretKey) -> Result<Self, Error> {
        let mut id = [0; 3];
        expand(secret, &[b"key number"], &mut id)?;
        Ok(Self(id))
    }
}

/// What `K` is made of, for each secret; the first is the active one.
pub(crate) struct PurposeKeys<K> {
    keys: Vec<Held<K>>,
}

struct Held<K> {
    id: KeyId,
    key: K,
    /// From when on nothing that it made is accepted.
    until: Timestamp,
}

impl<K> PurposeKeys<K> {
    /// Derives 32 bytes for `purpose` and `name` from each secret, and makes a key of them.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if two secrets of the ring are the same.
    pub(crate) fn derive(
        ring: &KeyRing,
        purpose: Purpose,
        name: &str,
        make: impl Fn(&[u8; 32]) -> K,
    ) -> Result<Self, Error> {
        // With room for all from the start: a table that grows leaves a copy that nobody wipes.
        let mut keys: Vec<Held<K>> = Vec::with_capacity(ring.secrets().count());
        for (secret, until) in ring.secrets() {
            let id = KeyId::of(secret)?;
            if keys.iter().any(|held| held.id == id) {
                return Err(Error::config("the key ring has the same secret twice"));
            }
            let mut bytes = Zeroizing::new([0; 32]);
            expand(secret, &[purpose.label(), b"\0", name.as_bytes()], &mut bytes[..])?;
            keys.push(Held { id, key: make(&bytes), until });
        }
        Ok(Self { keys })
    }

    /// One key that comes from no secret.
    pub(crate) fn fixed(key: K) -> Self {
        Self { keys: vec![Held { id: KeyId([0; 3]), key, until: Timestamp::NEVER }] }
    }

    pub(crate) fn active(&self) -> Option<(KeyId, &K)> {
        self.keys.first().map(|held| (held.id, &held.key))
    }

    /// The key of that number, and whether it is the active one.
    pub(crate) fn find(&self, id: KeyId, now: Timestamp) -> Result<(&K, bool), Refusal> {
        let position = self.keys.iter().position(|held| held.id == id);
        let position = position.ok_or(Refusal::UnknownKey)?;
        let held = &self.keys[position];
        if position > 0 && held.until <= now {
            return Err(Refusal::RetiredKey);
        }
        Ok((&held.key, position == 0))
    }

    /// The keys whose things are accepted.
    pub(crate) fn accepted(&self, now: Timestamp) -> impl Iterator<Item = &K> {
        self.keys.iter().filter(move |held| now < held.until).map(|held| &held.key)
    }
}

impl<K> fmt::Debug for PurposeKeys<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PurposeKeys").field("count", &self.keys.len()).finish_non_exhaustive()
    }
}

fn expand(secret: &SecretKey, info: &[&[u8]], bytes: &mut [u8]) -> Result<(), Error> {
    let prefix: &[u8] = b"beaker-session 1\0";
    let parts: Vec<&[u8]> = std::iter::once(prefix).chain(info.iter().copied()).collect();
    Hkdf::<Sha256>::new(None, &secret.0)
        .expand_multi_info(&parts, bytes)
        .map_err(|_too_long| Error::config("a derived key is too long"))
}
