//! Secret keys, and the ring of those in use.
//
// 1. A secret is never used as it is. For each purpose and cookie name a key of its own comes from
//    it by HKDF-SHA256 (RFC 5869), so what is made for one purpose or name says nothing to
//    another.
// 2. A key's number is derived too, so it needs no setting and is the same in every process.
// 3. New things are made with the active key. What a retired key made is accepted until the key is
//    dropped from the ring or its time is over, and made anew with the active one when it is next
//    sent.

mod block;
mod derived;
mod ids;

use std::fmt;

use beaker_namespace::Timestamp;
use zeroize::{ZeroizeOnDrop, Zeroizing};

pub(crate) use self::block::{BlockMac, sha256};
pub(crate) use self::derived::{KeyId, PurposeKeys};
pub(crate) use self::ids::IdKeys;
use crate::entropy::{Entropy, SystemEntropy, draw};
use crate::{Error, text64};

/// A secret from which all other keys are derived.
///
/// Wiped from memory when dropped, and never printed.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<Box<[u8]>>);

impl SecretKey {
    /// Fewest bytes of a secret.
    pub const MIN_BYTES: usize = 32;

    /// A new secret from the operating system. Keep its [text](Self::expose_text) where your
    /// program's other secrets are: with a new one at each start, everybody is logged out by a
    /// restart.
    ///
    /// # Errors
    ///
    /// [`Entropy`](crate::ErrorKind::Entropy) if the system gives no random bytes.
    pub fn generate() -> Result<Self, Error> {
        Self::draw(&SystemEntropy)
    }

    pub(crate) fn draw(entropy: &dyn Entropy) -> Result<Self, Error> {
        Self::from_bytes(&Zeroizing::new(draw::<{ Self::MIN_BYTES }>(entropy)?)[..])
    }

    /// A secret from random bytes that you keep.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for fewer than 32 bytes, or for bytes that were
    /// plainly not drawn at random: with fewer than 8 different values among them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() < Self::MIN_BYTES {
            let detail = format!(
                "the secret has {} bytes and needs {}; make one with SecretKey::generate",
                bytes.len(),
                Self::MIN_BYTES
            );
            return Err(Error::config(detail));
        }
        let mut seen = [false; 256];
        bytes.iter().for_each(|byte| seen[usize::from(*byte)] = true);
        if seen.iter().filter(|seen| **seen).count() < 8 {
            return Err(Error::config(
                "the secret is not random; make one with SecretKey::generate",
            ));
        }
        Ok(Self(Zeroizing::new(bytes.into())))
    }

    /// Reads what [`expose_text`](Self::expose_text) wrote.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if it is not that.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let bytes = text64::decode(text.trim().as_bytes()).map(Zeroizing::new);
        let bytes = bytes.ok_or_else(|| Error::config("the secret is not URL-safe base64"))?;
        Self::from_bytes(&bytes)
    }

    /// The secret as URL-safe base64, to be kept in a safe place.
    pub fn expose_text(&self) -> Zeroizing<String> {
        Zeroizing::new(text64::encode(&self.0[..]))
    }
}

impl ZeroizeOnDrop for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// What a key is derived for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// Signatures of ids.
    SignId,
    /// Whole sessions in encrypted cookies.
    EncryptSession,
    /// Signatures of whole sessions in readable cookies.
    SignSession,
    /// The secrets of forms.
    Forms,
    /// What ids are called in logs.
    #[cfg(any(test, feature = "tracing"))]
    Log,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::SignId => b"sign id",
            Self::EncryptSession => b"encrypt session",
            Self::SignSession => b"sign session",
            Self::Forms => b"forms",
            #[cfg(any(test, feature = "tracing"))]
            Self::Log => b"log",
        }
    }
}

/// The secrets in use: one makes new cookies, all of them read cookies.
///
/// To change the secret without logging anybody out, make the new one active and keep the old one
/// in the ring for as long as a session may live: `KeyRing::new(new).with_retired(old)`. Each
/// cookie names its key by a number that is derived from it, and is sent anew under the active key
/// when it is next used. The tokens of forms that are open hold for as long, and are not made anew.
///
/// Where several processes serve one site, let all of them know the new secret as a retired one
/// before the first makes it active.
#[derive(Debug, Clone)]
pub struct KeyRing {
    active: SecretKey,
    retired: Vec<(SecretKey, Timestamp)>,
}

impl KeyRing {
    /// A ring of one.
    pub fn new(active: SecretKey) -> Self {
        Self { active, retired: Vec::new() }
    }

    /// Also accepts what `key` made.
    #[must_use]
    pub fn with_retired(self, key: SecretKey) -> Self {
        self.with_retired_until(key, Timestamp::NEVER)
    }

    /// As [`with_retired`](Self::with_retired), until that moment by the site's clock: from then on
    /// it is as if the key had been dropped from the ring. It is wiped from memory when the ring is
    /// replaced.
    #[must_use]
    pub fn with_retired_until(mut self, key: SecretKey, until: Timestamp) -> Self {
        self.retired.push((key, until));
        self
    }

    /// Each secret, and until when what it made is accepted; the active one first.
    fn secrets(&self) -> impl Iterator<Item = (&SecretKey, Timestamp)> {
        let retired = self.retired.iter().map(|(key, until)| (key, *until));
        std::iter::once((&self.active, Timestamp::NEVER)).chain(retired)
    }
}

// Whatever holds a key wipes it when it is dropped: fails to compile if a dependency's feature for
// that is off. (What an `Hmac` and an `Hkdf` keep are two states of a `Sha256`.) Not in a test, since the
// packages that only tests use turn the features on.
const _: fn() = || {
    fn is_wiped<T: ZeroizeOnDrop>() {}
    is_wiped::<SecretKey>();
    is_wiped::<BlockMac<16>>();
    is_wiped::<chacha20poly1305::XChaCha20Poly1305>();
    is_wiped::<sha2::Sha256>();
};

#[cfg(test)]
mod tests;
