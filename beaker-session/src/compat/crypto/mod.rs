//! Encryption of payloads with a key for each, from Beaker's `encrypt_key` and `validate_key`.

mod cipher;
#[cfg(test)]
mod tests;

use beaker_namespace::base64::{STANDARD, b64decode, b64encode};
use pbkdf2::pbkdf2_hmac_array;
use sha1::Sha1;
use zeroize::Zeroizing;

use self::cipher::KEY_BYTES;
use super::Secret;
use crate::{Entropy, Error, ErrorKind};

pub(super) const OPEN: &str = "decrypt Beaker's session";
pub(super) const SEAL: &str = "encrypt Beaker's session";

/// Beaker's number of rounds. One is enough only for keys that nobody could guess.
const ROUNDS: u32 = 1;

/// Which cipher Beaker was configured with: its `crypto_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "crypto_type")]
pub enum CryptoType {
    /// AES-256-GCM: `cryptography`, the default of Beaker 1.14 where that library is installed.
    AesGcm,
    /// AES-256 in counter mode: `pycrypto`, `pycryptodome`, and the default before 1.14. Read only:
    /// nothing tells whether a record was changed.
    AesCtrReadOnly,
}

/// How much randomness each payload's key has: Beaker's `encrypt_nonce_bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "encrypt_nonce_bits")]
pub struct NonceSize(usize);

impl NonceSize {
    /// Beaker's default since 1.8.
    pub const DEFAULT: Self = Self(16);

    /// What Beaker had before 1.8.
    pub const BEFORE_1_8: Self = Self(6);

    /// A nonce of `bits`.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if it is zero, no multiple of 8, or more than 8,192.
    pub fn from_bits(bits: u32) -> Result<Self, Error> {
        match usize::try_from(bits / 8) {
            Ok(bytes @ 1..=1024) if bits.is_multiple_of(8) => Ok(Self(bytes)),
            _ => Err(Error::config(format!(
                "`encrypt_nonce_bits` is {bits}; give a multiple of 8 from 8 to 8,192, by default 128"
            ))),
        }
    }

    /// Random bytes of a nonce.
    pub const fn bytes(self) -> usize {
        self.0
    }

    /// Characters of a nonce, which stands before the payload as base64 with its padding.
    pub const fn chars(self) -> usize {
        self.0.div_ceil(3) * 4
    }
}

impl Default for NonceSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Encrypts payloads, and reads encrypted ones.
///
/// A payload is a nonce as base64 and then, as base64 too, what is encrypted. The key is made of
/// `encrypt_key`, `validate_key` and the nonce, so each payload has its own. GCM's bound of 2^32 messages
/// for one key is never near; what bounds a pair of secrets is that a nonce comes twice, at 128 bits by
/// chance after 2^48 payloads with a probability of less than 2^-32. Fewer bits need a new pair sooner.
///
/// `Debug` does not show the keys, and they are wiped from memory.
#[derive(Debug, Clone)]
pub struct Encryption {
    encrypt_key: Secret,
    validate_key: Secret,
    crypto_type: CryptoType,
    nonce_size: NonceSize,
}

impl Encryption {
    /// With Beaker's `encrypt_key` and `validate_key`, by AES-256-GCM, with nonces of 128 bits.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if a key is empty or not ASCII.
    pub fn new(encrypt_key: &str, validate_key: &str) -> Result<Self, Error> {
        Ok(Self {
            encrypt_key: Secret::ascii(encrypt_key, "encrypt_key")?,
            validate_key: Secret::ascii(validate_key, "validate_key")?,
            crypto_type: CryptoType::AesGcm,
            nonce_size: NonceSize::DEFAULT,
        })
    }

    /// Beaker's `crypto_type`. Default: [`CryptoType::AesGcm`].
    #[must_use]
    pub fn crypto_type(mut self, crypto_type: CryptoType) -> Self {
        self.crypto_type = crypto_type;
        self
    }

    /// Beaker's `encrypt_nonce_bits`. Default: [`NonceSize::DEFAULT`].
    #[must_use]
    pub fn nonce_size(mut self, nonce_size: NonceSize) -> Self {
        self.nonce_size = nonce_size;
        self
    }

    pub(super) fn can_seal(&self) -> bool {
        self.crypto_type == CryptoType::AesGcm
    }

    pub(super) fn seal(&self, entropy: &dyn Entropy, plain: Vec<u8>) -> Result<String, Error> {
        if !self.can_seal() {
            return Err(Error::new(ErrorKind::Config, SEAL).with_detail(
                "AES in counter mode is read only; set `crypto_type` to `cryptography` in both \
                 programs, or write sessions of our own form",
            ));
        }
        let mut nonce = vec![0; self.nonce_size.bytes()];
        entropy.fill(&mut nonce)?;
        let mut iv = [0; cipher::IV_BYTES];
        entropy.fill(&mut iv)?;
        let mut text = b64encode(nonce, &STANDARD);
        let key = self.key(&text);
        text.push_str(&b64encode(cipher::seal(&key, iv, plain)?, &STANDARD));
        Ok(text)
    }

    pub(super) fn open(&self, text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let parts = text.split_at_checked(self.nonce_size.chars());
        let (nonce, rest) = parts.ok_or_else(|| corrupt("it is shorter than a nonce"))?;
        let sealed = b64decode(rest, &STANDARD)
            .map_err(|error| corrupt("it is not base64").with_source(error))?;
        let key = self.key(nonce);
        match self.crypto_type {
            CryptoType::AesGcm => cipher::open(&key, sealed),
            CryptoType::AesCtrReadOnly => Ok(cipher::open_ctr(&key, sealed)),
        }
    }

    fn key(&self, nonce: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        let salt = Zeroizing::new([self.validate_key.as_str(), nonce].concat());
        let password = self.encrypt_key.as_str().as_bytes();
        Zeroizing::new(pbkdf2_hmac_array::<Sha1, KEY_BYTES>(password, salt.as_bytes(), ROUNDS))
    }
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, OPEN).with_detail(what)
}
