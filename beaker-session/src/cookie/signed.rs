//! A signed id as a cookie's value: `<id>.<key number>.<signature>`.
//
// The signature is HMAC-SHA256 (RFC 2104) over the id, under a key that belongs to the cookie's
// name (see `keys`). So what was signed for one name is refused under another.

use beaker_namespace::Timestamp;

use super::Refusal;
use crate::id::ID_BYTES;
use crate::keys::{BlockMac, KeyId, KeyRing, Purpose, PurposeKeys};
use crate::{Error, SessionId, text64};

const ID_LEN: usize = SessionId::TEXT_LEN;
const KEY_END: usize = ID_LEN + 1 + KeyId::TEXT_LEN;
/// Of 32 bytes as base64.
const SIGNATURE_LEN: usize = 43;
const VALUE_LEN: usize = KEY_END + 1 + SIGNATURE_LEN;

/// Signs ids for one cookie name.
#[derive(Debug)]
pub(crate) struct Signer(PurposeKeys<BlockMac<ID_BYTES>>);

/// An id whose signature is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) id: SessionId,
    /// Whether it is to be sent anew, since its key is no longer the active one.
    pub(crate) outdated: bool,
}

impl Signer {
    pub(crate) fn new(ring: &KeyRing, cookie_name: &str) -> Result<Self, Error> {
        PurposeKeys::derive(ring, Purpose::SignId, cookie_name, BlockMac::new).map(Self)
    }

    pub(crate) fn sign(&self, id: &SessionId) -> String {
        let mut value = String::with_capacity(VALUE_LEN);
        text64::encode_into(id.as_bytes(), &mut value);
        if let Some((number, key)) = self.0.active() {
            value.push('.');
            text64::encode_into(number.0, &mut value);
            value.push('.');
            text64::encode_into(key.sign(id.as_bytes()), &mut value);
        }
        value
    }

    pub(crate) fn verify(&self, value: &[u8], now: Timestamp) -> Result<Verified, Refusal> {
        if value.len() != VALUE_LEN || value[ID_LEN] != b'.' || value[KEY_END] != b'.' {
            return Err(Refusal::Malformed);
        }
        let id = SessionId::from_text(&value[..ID_LEN]).ok_or(Refusal::Malformed)?;
        let number = KeyId::from_text(&value[ID_LEN + 1..KEY_END]).ok_or(Refusal::Malformed)?;
        let (key, active) = self.0.find(number, now)?;
        let signature = text64::decode_exact(&value[KEY_END + 1..]).ok_or(Refusal::Malformed)?;
        if !key.verify(id.as_bytes(), &signature) {
            return Err(Refusal::BadSignature);
        }
        Ok(Verified { id, outdated: !active })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::SecretKey;

    fn ring(seed: u8) -> KeyRing {
        KeyRing::new(secret(seed))
    }

    fn secret(seed: u8) -> SecretKey {
        let bytes: Vec<u8> = (0..32).map(|at: u8| at.wrapping_mul(7) ^ seed).collect();
        SecretKey::from_bytes(&bytes).unwrap()
    }

    const ID: SessionId = SessionId::from_bytes([3; 16]);
    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn good(outdated: bool) -> Result<Verified, Refusal> {
        Ok(Verified { id: ID, outdated })
    }

    #[test]
    fn an_id_is_read_back_under_its_name_only() {
        let signer = Signer::new(&ring(1), "id").unwrap();
        let value = signer.sign(&ID);
        assert_eq!(signer.verify(value.as_bytes(), NOW), good(false));
        let other_name = Signer::new(&ring(1), "id2").unwrap();
        assert_eq!(other_name.verify(value.as_bytes(), NOW), Err(Refusal::BadSignature));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let signer = Signer::new(&ring(1), "id").unwrap();
        let value = signer.sign(&ID).into_bytes();
        for bit in 0..value.len() * 8 {
            let mut spoiled = value.clone();
            spoiled[bit / 8] ^= 1 << (bit % 8);
            assert!(signer.verify(&spoiled, NOW).is_err(), "bit {bit}");
        }
        for len in 0..value.len() {
            assert_eq!(signer.verify(&value[..len], NOW), Err(Refusal::Malformed), "length {len}");
        }
    }

    #[test]
    fn a_signature_does_not_fit_another_id() {
        let signer = Signer::new(&ring(1), "id").unwrap();
        let (one, two) = (signer.sign(&ID), signer.sign(&SessionId::from_bytes([4; 16])));
        let swapped = format!("{}{}", &one[..ID_LEN], &two[ID_LEN..]);
        assert_eq!(signer.verify(swapped.as_bytes(), NOW), Err(Refusal::BadSignature));
    }

    #[test]
    fn rotation_reads_the_old_until_it_is_dropped() {
        let [a, b, c] = [1, 2, 3].map(secret);
        let by_a = Signer::new(&KeyRing::new(a.clone()), "id").unwrap().sign(&ID);
        let both = KeyRing::new(b.clone()).with_retired(a);
        let both = Signer::new(&both, "id").unwrap();
        assert_eq!(both.verify(by_a.as_bytes(), NOW), good(true));
        let by_b = both.sign(&ID);
        assert_ne!(by_b, by_a);
        let later = Signer::new(&KeyRing::new(c).with_retired(b), "id").unwrap();
        assert_eq!(later.verify(by_b.as_bytes(), NOW), good(true));
        assert_eq!(later.verify(by_a.as_bytes(), NOW), Err(Refusal::UnknownKey));
    }

    #[test]
    fn a_key_that_retires_at_a_time_is_accepted_until_then() {
        let [a, b] = [1, 2].map(secret);
        let by_a = Signer::new(&KeyRing::new(a.clone()), "id").unwrap().sign(&ID);
        let until = NOW.saturating_add(Duration::from_secs(60));
        let both = Signer::new(&KeyRing::new(b).with_retired_until(a, until), "id").unwrap();
        let before = Timestamp::from_micros(until.as_micros() - 1);
        assert_eq!(both.verify(by_a.as_bytes(), before), good(true));
        assert_eq!(both.verify(by_a.as_bytes(), until), Err(Refusal::RetiredKey));
        assert_eq!(both.verify(both.sign(&ID).as_bytes(), until), good(false), "control");
    }
}
