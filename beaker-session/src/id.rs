//! Session ids, and the keys under which stores keep sessions.

use std::fmt;

use beaker_namespace::Key;

use crate::entropy::{Entropy, draw};
use crate::keys::sha256;
use crate::{Error, ErrorKind, text64};

/// Bytes of an id.
pub(crate) const ID_BYTES: usize = 16;

/// Bytes of the hash that a store sees; with the key's own framing just what a [`Key`] holds
/// inline.
const HASH_BYTES: usize = 24;

/// The secret name of one session: 128 random bits from the operating system.
///
/// Who knows it is that visitor, so neither `Debug` nor `Display` shows it. A store never sees it
/// either, only its [`RecordKey`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; ID_BYTES]);

impl SessionId {
    /// Characters of the text form.
    pub const TEXT_LEN: usize = 22;

    pub(crate) fn random(entropy: &dyn Entropy) -> Result<Self, Error> {
        draw(entropy).map(Self)
    }

    /// An id from its bytes, as a bridge to another system has them.
    pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes. Keep them as secret as a password.
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }

    /// The text form: 22 characters of URL-safe base64. Keep it as secret as a password.
    pub fn expose_text(&self) -> String {
        text64::encode(self.0)
    }

    /// Reads the text form. Each id has one: other lengths, alphabets or trailing bits are none.
    ///
    /// # Errors
    ///
    /// [`Rejected`](ErrorKind::Rejected), without the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::from_text(text.as_bytes())
            .ok_or_else(|| Error::new(ErrorKind::Rejected, "read session id"))
    }

    /// As [`parse`](Self::parse).
    pub(crate) fn from_text(text: &[u8]) -> Option<Self> {
        text64::decode_exact(text).map(Self)
    }

    /// The key under which our own stores keep it: a hash, so that a store's dump opens no session.
    pub fn hashed(&self) -> RecordKey {
        self.hash(b"beaker-session record key 1")
    }

    /// The key of the mark that says that another system's session was ended here.
    pub(crate) fn end_mark(&self) -> RecordKey {
        self.hash(b"beaker-session ended elsewhere 1")
    }

    fn hash<const N: usize>(&self, label: &[u8; N]) -> RecordKey {
        let mut hash = [0; HASH_BYTES];
        hash.copy_from_slice(&sha256(label, &self.0)[..HASH_BYTES]);
        RecordKey(Repr::Hashed(hash))
    }

    /// The id itself as the key: only where a store is shared with a system that keeps ids plain.
    pub fn plain(&self) -> RecordKey {
        RecordKey(Repr::Plain(*self))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// The name under which a store keeps a session.
///
/// For our own stores it is a hash of the id: it finds the session, and cannot be turned into a
/// cookie. So it may be shown to the session's owner, for example to choose which device to sign
/// out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey(Repr);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Repr {
    Hashed([u8; HASH_BYTES]),
    Plain(SessionId),
}

impl RecordKey {
    /// The hash as text, 32 characters of URL-safe base64; `None` if the key is a plain id, which
    /// is not for showing.
    pub fn to_text(&self) -> Option<String> {
        match &self.0 {
            Repr::Hashed(hash) => Some(text64::encode(hash)),
            Repr::Plain(_) => None,
        }
    }

    /// Reads what [`to_text`](Self::to_text) wrote.
    ///
    /// # Errors
    ///
    /// [`Rejected`](ErrorKind::Rejected) if it is not that.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let hash = text64::decode_exact(text.as_bytes());
        hash.map(|hash| Self(Repr::Hashed(hash)))
            .ok_or_else(|| Error::new(ErrorKind::Rejected, "read session handle"))
    }

    /// The id, if the key is one.
    pub fn plain_id(&self) -> Option<&SessionId> {
        match &self.0 {
            Repr::Hashed(_) => None,
            Repr::Plain(id) => Some(id),
        }
    }

    /// The key of the entry in a namespace.
    pub(crate) fn entry_key(&self) -> Key {
        match &self.0 {
            Repr::Hashed(hash) => Key::new(hash),
            Repr::Plain(id) => Key::new(&id.0),
        }
    }
}

/// Shows no more than is needed to tell two keys apart in a log.
impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Hashed(hash) => write!(f, "RecordKey({:02x}{:02x}..)", hash[0], hash[1]),
            Repr::Plain(_) => f.write_str("RecordKey(..)"),
        }
    }
}
