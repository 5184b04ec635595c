use std::collections::HashSet;

use super::*;
use crate::SessionId;

fn secret(seed: u8) -> SecretKey {
    let bytes: Vec<u8> = (0..32).map(|at: u8| at.wrapping_mul(7) ^ seed).collect();
    SecretKey::from_bytes(&bytes).unwrap()
}

/// All that is made of one id: what signs, what encrypts, what hides; and its hash for the store.
#[test]
fn no_key_is_used_for_two_purposes_or_names() {
    let ring = KeyRing::new(secret(1));
    let id = SessionId::from_bytes([3; 16]);
    let (mut keys, mut hashes) = (HashSet::new(), HashSet::new());
    let purposes = [
        Purpose::SignId,
        Purpose::EncryptSession,
        Purpose::SignSession,
        Purpose::Forms,
        Purpose::Log,
    ];
    for name in ["id", "id2", ""] {
        for purpose in purposes {
            let derived = PurposeKeys::derive(&ring, purpose, name, |key| *key).unwrap();
            let (_, key) = derived.active().unwrap();
            assert!(keys.insert(*key), "{purpose:?} {name}");
            let hash = BlockMac::new(key).sign(id.as_bytes());
            assert!(hashes.insert(hash[..24].to_vec()), "{purpose:?} {name}");
        }
    }
    for hash in [id.hashed(), id.end_mark()] {
        let hash = text64::decode(hash.to_text().unwrap().as_bytes()).unwrap();
        assert!(hashes.insert(hash));
    }
    assert_eq!((keys.len(), hashes.len()), (15, 17));
    let again = PurposeKeys::derive(&ring, Purpose::Forms, "id", |key| *key).unwrap();
    assert!(!keys.insert(*again.active().unwrap().1), "control: it is derived, not drawn");
}
