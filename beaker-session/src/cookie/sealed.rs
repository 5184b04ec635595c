//! A whole session as a cookie's value, encrypted or signed.
//
// encrypted: base64url(key number, 3 bytes; nonce, 24; ciphertext and tag), XChaCha20-Poly1305,
//            with the cookie's name and the format's version as associated data
// readable:  base64url(body) . base64url(key number) . base64url(HMAC-SHA256 of name, version and
//            body)
//
// 1. The form is the configuration's, never the cookie's own claim. Version and name are under the
//    tag or the signature, so nothing made for another name, form or version is read.
// 2. Times are inside, so a cookie ends when it says, whatever the browser does with it.
// 3. Nothing is compressed, so nothing can inflate.

use std::sync::Arc;

use beaker_namespace::Timestamp;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{MAX_COOKIE_BYTES, Refusal};
use crate::config::{Sealed, Sealer};
use crate::entropy::{Entropy, draw};
use crate::keys::{KeyId, KeyRing, Purpose, PurposeKeys};
use crate::{Error, ErrorKind, SessionId, record, text64};

const NONCE_BYTES: usize = 24;
const KEY_ID_BYTES: usize = 3;

/// What the tag or the signature covers besides the content.
fn context(name: &str) -> Vec<u8> {
    [b"beaker-session cookie 1\0", name.as_bytes(), b"\0"].concat()
}

/// A session with its id and the times of its own, as JSON: a line of three numbers and texts, and
/// the record below it.
fn to_body(sealed: &Sealed) -> Result<Vec<u8>, Error> {
    let head = Head(sealed.id.expose_text(), sealed.accessed.as_micros(), sealed.epoch);
    let mut body = serde_json::to_vec(&head)
        .map_err(|error| Error::new(ErrorKind::Codec, "encode session").with_source(error))?;
    body.push(b'\n');
    body.extend(record::encode(&sealed.record)?);
    Ok(body)
}

fn from_body(body: &[u8]) -> Option<Sealed> {
    let end = body.iter().position(|byte| *byte == b'\n')?;
    let Head(id, accessed, epoch) = serde_json::from_slice(&body[..end]).ok()?;
    Some(Sealed {
        id: SessionId::parse(&id).ok()?,
        record: record::decode(&body[end + 1..]).ok()?,
        accessed: Timestamp::from_micros(accessed),
        epoch,
    })
}

/// The id, when it was last used (microseconds since 1970), and its subject's epoch.
#[derive(Serialize, Deserialize)]
struct Head(String, i64, u64);

/// Longer values are not even decoded.
fn fits(value: &[u8]) -> bool {
    value.len() <= MAX_COOKIE_BYTES
}

/// The key's state after its first block, so that a signature does not do that part again.
fn hmac_of(key: &[u8; 32]) -> Hmac<Sha256> {
    // A shorter key is filled up with zeros to a block; so done here, no length can be wrong.
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    Hmac::new(&(*block).into())
}

/// Keeps the session from everybody, its owner too.
#[derive(Debug)]
pub(crate) struct Encrypted {
    name: String,
    context: Vec<u8>,
    keys: RwLock<PurposeKeys<XChaCha20Poly1305>>,
    entropy: Arc<dyn Entropy>,
}

impl Encrypted {
    pub(crate) fn new(
        ring: &KeyRing,
        name: &str,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Error> {
        let keys = RwLock::new(Self::keys(ring, name)?);
        Ok(Self { name: name.to_owned(), context: context(name), keys, entropy })
    }

    fn keys(ring: &KeyRing, name: &str) -> Result<PurposeKeys<XChaCha20Poly1305>, Error> {
        PurposeKeys::derive(ring, Purpose::EncryptSession, name, |key| {
            XChaCha20Poly1305::new(&(*key).into())
        })
    }
}

impl Sealer for Encrypted {
    fn seal(&self, sealed: &Sealed) -> Result<String, Error> {
        let failed = || Error::new(ErrorKind::Codec, "encrypt session");
        let body = to_body(sealed)?;
        let nonce = draw::<NONCE_BYTES>(self.entropy.as_ref())?;
        let keys = self.keys.read();
        let (number, key) = keys.active().ok_or_else(failed)?;
        let payload = Payload { msg: &body, aad: &self.context };
        let secret = key.encrypt(&XNonce::from(nonce), payload).map_err(|_opaque| failed())?;
        Ok(text64::encode([&number.0[..], &nonce, &secret].concat()))
    }

    fn open(&self, value: &[u8], now: Timestamp) -> Result<(Sealed, bool), Refusal> {
        const NO_FORM: Refusal = Refusal::Malformed;
        let bytes = fits(value).then(|| text64::decode(value)).flatten().ok_or(NO_FORM)?;
        let (number, rest) = bytes.split_first_chunk::<KEY_ID_BYTES>().ok_or(NO_FORM)?;
        let (nonce, secret) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(NO_FORM)?;
        let keys = self.keys.read();
        let (key, active) = keys.find(KeyId(*number), now)?;
        let payload = Payload { msg: secret, aad: &self.context };
        let body = key.decrypt(&XNonce::from(*nonce), payload);
        let body = body.map_err(|_opaque| Refusal::BadSignature)?;
        Ok((from_body(&body).ok_or(NO_FORM)?, !active))
    }

    fn set_keys(&self, ring: &KeyRing) -> Result<(), Error> {
        *self.keys.write() = Self::keys(ring, &self.name)?;
        Ok(())
    }
}

/// Keeps the session from being changed; anybody who has the cookie can read it.
#[derive(Debug)]
pub(crate) struct Readable {
    name: String,
    context: Vec<u8>,
    keys: RwLock<PurposeKeys<Hmac<Sha256>>>,
}

impl Readable {
    pub(crate) fn new(ring: &KeyRing, name: &str) -> Result<Self, Error> {
        let keys = RwLock::new(Self::keys(ring, name)?);
        Ok(Self { name: name.to_owned(), context: context(name), keys })
    }

    fn keys(ring: &KeyRing, name: &str) -> Result<PurposeKeys<Hmac<Sha256>>, Error> {
        PurposeKeys::derive(ring, Purpose::SignSession, name, hmac_of)
    }
}

impl Sealer for Readable {
    fn seal(&self, sealed: &Sealed) -> Result<String, Error> {
        let body = to_body(sealed)?;
        let keys = self.keys.read();
        let failed = || Error::new(ErrorKind::Codec, "sign session");
        let (number, key) = keys.active().ok_or_else(failed)?;
        let mac = key.clone().chain_update(&self.context).chain_update(&body).finalize();
        let mut value = text64::encode(&body);
        value.push('.');
        text64::encode_into(number.0, &mut value);
        value.push('.');
        text64::encode_into(mac.into_bytes(), &mut value);
        Ok(value)
    }

    fn open(&self, value: &[u8], now: Timestamp) -> Result<(Sealed, bool), Refusal> {
        let (body, number, mac) = parts(value).ok_or(Refusal::Malformed)?;
        let keys = self.keys.read();
        let (key, active) = keys.find(number, now)?;
        let signed = key.clone().chain_update(&self.context).chain_update(&body);
        signed.verify_slice(&mac).map_err(|_opaque| Refusal::BadSignature)?;
        Ok((from_body(&body).ok_or(Refusal::Malformed)?, !active))
    }

    fn set_keys(&self, ring: &KeyRing) -> Result<(), Error> {
        *self.keys.write() = Self::keys(ring, &self.name)?;
        Ok(())
    }
}

/// Body, key number and signature of a readable cookie.
fn parts(value: &[u8]) -> Option<(Vec<u8>, KeyId, [u8; 32])> {
    let mut parts = fits(value).then(|| value.split(|byte| *byte == b'.'))?;
    let (body, number, mac) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some((text64::decode(body)?, KeyId::from_text(number)?, text64::decode_exact(mac)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;
    use crate::keys::SecretKey;
    use crate::record::Record;

    #[test]
    fn the_signature_is_hmac_sha256_with_the_short_key() {
        let by_block = hmac_of(&[9; 32]).chain_update(b"x").finalize().into_bytes();
        let by_slice = <Hmac<Sha256> as KeyInit>::new_from_slice(&[9; 32]).unwrap();
        assert_eq!(by_block, by_slice.chain_update(b"x").finalize().into_bytes());
    }

    /// A format of another version is not read, though it has the same keys and the same name.
    #[test]
    fn a_cookie_of_another_version_of_the_format_is_refused() {
        const NOW: Timestamp = Timestamp::from_micros(2);
        let secret: Vec<u8> = (1..=32).collect();
        let ring = KeyRing::new(SecretKey::from_bytes(&secret).unwrap());
        let sealed = Sealed {
            id: SessionId::from_bytes([7; 16]),
            record: Record::new(Timestamp::from_micros(1)),
            accessed: Timestamp::from_micros(1),
            epoch: 0,
        };
        let next = b"beaker-session cookie 2\0sid\0".to_vec();
        let encrypted = || Encrypted::new(&ring, "sid", Arc::new(SystemEntropy)).unwrap();
        let readable = || Readable::new(&ring, "sid").unwrap();
        let newer: [Box<dyn Sealer>; 2] = [
            Box::new(Encrypted { context: next.clone(), ..encrypted() }),
            Box::new(Readable { context: next, ..readable() }),
        ];
        let ours: [Box<dyn Sealer>; 2] = [Box::new(encrypted()), Box::new(readable())];
        for (newer, ours) in newer.iter().zip(&ours) {
            let value = newer.seal(&sealed).unwrap();
            assert!(newer.open(value.as_bytes(), NOW).is_ok(), "control");
            assert!(ours.open(value.as_bytes(), NOW).is_err());
            let value = ours.seal(&sealed).unwrap();
            assert!(ours.open(value.as_bytes(), NOW).is_ok(), "control");
            assert!(newer.open(value.as_bytes(), NOW).is_err());
        }
    }
}
