//! `Encrypted` and its `KeyRing`.

use std::sync::Arc;
use std::time::Duration;

use beaker_backends::proxy::{Encrypted, KeyRing};
use beaker_namespace::{
    Capability, CodecId, Condition, ConditionalSet, Entry, Error, ErrorKind, Inspection, Key,
    MemoryConfig, MemoryNamespace, Namespace, Payload, Timestamp,
};
use proptest::prelude::*;

use super::{anonymous, bytes_in, conforms, entry, listed, put, value};

fn ring(id: u32) -> KeyRing {
    KeyRing::new(id, &secret(id)).unwrap()
}

fn secret(id: u32) -> [u8; 32] {
    [id as u8; 32]
}

#[test]
fn it_conforms() {
    conforms("encrypted", |inner, _| Encrypted::new(inner, ring(1)));
}

type Memory = Arc<MemoryNamespace>;

fn encrypted() -> (Memory, Encrypted<Memory>) {
    let memory = anonymous();
    (Arc::clone(&memory), Encrypted::new(memory, ring(1)))
}

/// Why what is under `key` cannot be read back; it is never a value.
fn damage(encrypted: &dyn Namespace, key: &Key) -> String {
    assert_eq!(value(encrypted, key), None);
    match encrypted.inspect(key).unwrap() {
        Inspection::Corrupt(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// An entry with something in each of its parts, as it is stored.
fn sealed() -> (Memory, Encrypted<Memory>, Entry) {
    let (memory, encrypted) = encrypted();
    let full = entry(&encrypted, "a secret value")
        .ttl(Some(Duration::from_secs(60)))
        .grace(Duration::from_secs(60))
        .cost(3)
        .tags(vec!["one".into(), "two".into()])
        .etag(Some("e".into()));
    encrypted.set(&Key::new("k"), full).unwrap();
    let sealed = memory.get(&Key::new("k")).unwrap().unwrap();
    (memory, encrypted, sealed)
}

#[test]
fn the_value_is_nowhere_in_what_is_stored() {
    let (_, _, sealed) = sealed();
    let stored = bytes_in(&sealed);
    assert_eq!(stored.len(), "a secret value".len() + 47);
    assert!(!stored.windows(6).any(|window| window == b"secret"));
}

#[test]
fn no_two_writes_have_the_same_nonce() {
    let (memory, encrypted) = encrypted();
    let mut nonces: Vec<Vec<u8>> = (0..1_000)
        .map(|_| {
            put(&encrypted, &Key::new("k"), "same");
            value(&*memory, &Key::new("k")).unwrap()[7..31].to_vec()
        })
        .collect();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 1_000);
}

#[test]
fn every_flipped_bit_is_refused() {
    let (memory, encrypted, sealed) = sealed();
    let (key, good) = (Key::new("k"), bytes_in(&sealed));
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        memory.set(&key, sealed.clone().with_payload(Payload::raw(bad))).unwrap();
        damage(&encrypted, &key);
    }
    assert_eq!(encrypted.stats().corrupt, good.len() as u64 * 8);
    memory.set(&key, sealed.with_payload(Payload::raw(good))).unwrap();
    assert!(value(&encrypted, &key).is_some(), "and without a flip it is read");
}

#[test]
fn every_truncation_is_refused() {
    let (memory, encrypted, sealed) = sealed();
    let (key, good) = (Key::new("k"), bytes_in(&sealed));
    for length in 0..good.len() {
        let cut = Payload::raw(good[..length].to_vec());
        memory.set(&key, sealed.clone().with_payload(cut)).unwrap();
        damage(&encrypted, &key);
    }
}

#[test]
fn a_value_cannot_be_moved_to_another_key() {
    let (memory, encrypted, sealed) = sealed();
    memory.set(&Key::new("other"), sealed).unwrap();
    assert!(damage(&encrypted, &Key::new("other")).contains("seal is wrong"));
}

#[test]
fn a_value_cannot_be_moved_to_another_namespace() {
    let open =
        |name| MemoryNamespace::open(name, MemoryConfig::new().group("encrypted moves")).unwrap();
    let (from, to) = (open("from"), open("to"));
    let key = Key::new("k");
    put(&Encrypted::new(Arc::clone(&from), ring(1)), &key, "v");
    to.set(&key, from.get(&key).unwrap().unwrap()).unwrap();
    let reason = damage(&Encrypted::new(to, ring(1)), &key);
    assert!(reason.contains("seal is wrong"), "{reason}");
}

#[test]
fn nothing_that_the_reader_is_told_of_an_entry_can_be_changed() {
    let (memory, encrypted, sealed) = sealed();
    let later = |time: Timestamp| time.saturating_add(Duration::from_micros(1));
    let other_codec = |entry: Entry| {
        let bytes = bytes_in(&entry).into();
        entry.with_payload(Payload::Bytes { codec: CodecId::JSON, bytes })
    };
    let (began, expires, dies) = (sealed.began(), sealed.expires(), sealed.dies());
    let began_later = Entry::new(sealed.payload().clone(), later(began))
        .times(expires, dies)
        .cost(3)
        .tags(sealed.tag_list().to_vec())
        .etag(Some("e".into()));
    let changed = [
        began_later,
        sealed.clone().times(later(expires), dies),
        sealed.clone().times(expires, later(dies)),
        sealed.clone().times(Timestamp::NEVER, Timestamp::NEVER),
        sealed.clone().cost(4),
        sealed.clone().tags(vec!["one".into()]),
        sealed.clone().tags(vec!["two".into(), "one".into()]),
        sealed.clone().tags(vec!["onetwo".into()]),
        sealed.clone().etag(None),
        sealed.clone().etag(Some("f".into())),
        other_codec(sealed.clone()),
    ];
    for (number, changed) in changed.into_iter().enumerate() {
        memory.set(&Key::new("k"), changed).unwrap();
        let reason = damage(&encrypted, &Key::new("k"));
        assert!(reason.contains("seal is wrong"), "change number {number}: {reason}");
    }
    memory.set(&Key::new("k"), sealed).unwrap();
    assert!(value(&encrypted, &Key::new("k")).is_some(), "unchanged, with another generation");
}

#[test]
fn an_empty_entity_tag_is_not_none() {
    let (memory, encrypted) = encrypted();
    let key = Key::new("k");
    encrypted.set(&key, entry(&encrypted, "v").etag(Some(String::new()))).unwrap();
    let stored = memory.get(&key).unwrap().unwrap();
    memory.set(&key, stored.etag(None)).unwrap();
    damage(&encrypted, &key);
}

#[test]
fn an_old_key_still_decrypts_and_the_new_one_encrypts() {
    let (memory, old) = encrypted();
    let (before, after) = (Key::new("before"), Key::new("after"));
    put(&old, &before, "old");
    let rotated = Encrypted::new(memory, ring(2).with_old(1, &secret(1)).unwrap());
    assert_eq!(value(&rotated, &before), Some(b"old".to_vec()));
    put(&rotated, &after, "new");
    assert_eq!(value(&rotated, &after), Some(b"new".to_vec()));
    assert_eq!(damage(&old, &after), "its key, number 2, is not in the key ring");
    let stored = value(&**rotated.inner(), &after).unwrap();
    assert_eq!(stored[3..7], 2_u32.to_le_bytes());
}

#[test]
fn another_key_of_the_same_number_decrypts_nothing() {
    let (memory, encrypted) = encrypted();
    put(&encrypted, &Key::new("k"), "v");
    let other = Encrypted::new(memory, KeyRing::new(1, &[9; 32]).unwrap());
    assert!(damage(&other, &Key::new("k")).contains("another key of that number"));
}

#[test]
fn what_does_not_decrypt_is_gone_but_kept_for_who_has_the_key() {
    let (memory, encrypted) = encrypted();
    let (stranger, key) = (Encrypted::new(memory, ring(2)), Key::new("k"));
    put(&encrypted, &key, "v");
    assert_eq!((value(&stranger, &key), listed(&stranger)), (None, vec![]));
    let stats = stranger.stats();
    assert_eq!((stats.corrupt, stats.hits, stats.misses), (1, 0, 1));
    assert_eq!(value(&encrypted, &key), Some(b"v".to_vec()));
    let set = stranger.set_if(&key, entry(&stranger, "new"), Condition::Absent).unwrap();
    assert!(matches!(set, ConditionalSet::Stored { .. }));
    assert_eq!(value(&stranger, &key), Some(b"new".to_vec()));
}

// F40, for keys: no wrong value, and both can be told.
#[test]
fn f40_two_who_lack_each_other_s_keys_never_read_each_other_and_are_told_the_number() {
    let (memory, first) = encrypted();
    let (second, key) = (Encrypted::new(memory, ring(2)), Key::new("k"));
    for round in 1..=10 {
        for (writer, reader, number) in [(&first, &second, 1), (&second, &first, 2)] {
            put(writer, &key, format!("by {number}"));
            assert_eq!(value(writer, &key), Some(format!("by {number}").into_bytes()));
            let says = format!("its key, number {number}, is not in the key ring");
            assert_eq!(damage(reader, &key), says);
            assert_eq!(reader.stats().corrupt, round);
        }
    }
}

#[test]
fn what_was_never_encrypted_is_refused() {
    let (memory, encrypted) = encrypted();
    put(&*memory, &Key::new("k"), "{\"admin\":true}");
    assert_eq!(damage(&encrypted, &Key::new("k")), "it is not encrypted");
    let live = entry(&encrypted, "").with_payload(Payload::Object(Arc::new(1)));
    assert_eq!(encrypted.set(&Key::new("k"), live.clone()).unwrap_err().kind(), UNSUPPORTED);
    memory.set(&Key::new("k"), live).unwrap();
    assert!(damage(&encrypted, &Key::new("k")).contains("a live object"));
    assert!(!encrypted.capabilities().has(Capability::Objects));
}

const UNSUPPORTED: ErrorKind = ErrorKind::Unsupported;

#[test]
fn a_key_of_a_wrong_length_is_refused_with_the_way_out() {
    for length in [0, 16, 31, 33, 64] {
        for error in [
            KeyRing::new(7, &vec![1; length]).unwrap_err(),
            ring(1).with_old(7, &vec![1; length]).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Config);
            let says = format!("key number 7 has {length} bytes, not 32; take 32 random bytes");
            assert!(error.to_string().contains(&says), "{error}");
        }
    }
}

#[test]
fn a_number_stands_for_one_key() {
    let twice =
        |id| -> Result<KeyRing, Error> { ring(1).with_old(2, &[2; 32])?.with_old(id, &[3; 32]) };
    assert_eq!(twice(1).unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(twice(2).unwrap_err().kind(), ErrorKind::Config);
    assert!(twice(3).is_ok());
}

#[test]
fn no_key_is_printed() {
    let keys = KeyRing::new(1, &[0xab; 32]).unwrap().with_old(2, &[0xcd; 32]).unwrap();
    let printed = format!("{keys:?} {keys:#?}");
    for trace in ["ab, ", "171", "205", "abab", "cdcd", "0xab"] {
        assert!(!printed.contains(trace), "{printed}");
    }
    // Its identity has a hash in it, in which a number of three digits may stand by chance.
    let printed = format!("{:?}", Encrypted::new(anonymous(), keys.clone()));
    for trace in ["171, 171", "205, 205", "abababab", "cdcdcdcd", "0xab"] {
        assert!(!printed.contains(trace), "{printed}");
    }
    assert!(printed.contains("active: 1, old: [2]"), "{printed}");
}

#[test]
fn identities_are_equal_for_the_same_keys_only() {
    let memory = anonymous();
    let id = |keys: KeyRing| Encrypted::new(Arc::clone(&memory), keys).id().clone();
    let both = |active, old| ring(active).with_old(old, &secret(old)).unwrap();
    assert_eq!(id(ring(1)), id(ring(1)));
    assert_eq!(id(both(1, 2)), id(both(2, 1)), "each reads what the other writes");
    assert_ne!(id(ring(1)), id(both(1, 2)));
    assert_ne!(id(ring(1)), id(KeyRing::new(1, &[9; 32]).unwrap()));
    assert_ne!(&id(ring(1)), memory.id());
    assert_eq!(id(ring(1)).name(), memory.id().name());
}

proptest! {
    #[test]
    fn every_value_comes_back(bytes: Vec<u8>, codec: u8, text: String) {
        let (_, encrypted) = encrypted();
        let (key, codec) = (Key::new(&text), CodecId::from_u8(codec));
        let payload = Payload::Bytes { codec, bytes: bytes.clone().into() };
        encrypted.set(&key, entry(&encrypted, "").with_payload(payload)).unwrap();
        let found = encrypted.get(&key).unwrap().unwrap();
        prop_assert_eq!(bytes_in(&found), bytes);
        let same = matches!(found.payload(), Payload::Bytes { codec: found, .. } if *found == codec);
        prop_assert!(same);
    }

    #[test]
    fn stored_bytes_that_were_not_sealed_are_never_a_value(bytes: Vec<u8>, framed: bool) {
        let (memory, encrypted) = encrypted();
        let front: &[u8] = if framed { &[0xbe, 0xc1, 1, 1, 0, 0, 0] } else { &[] };
        put(&*memory, &Key::new("k"), [front, &bytes].concat());
        damage(&encrypted, &Key::new("k"));
    }

    #[test]
    fn any_change_of_the_stored_bytes_is_refused(
        value: Vec<u8>, at: prop::sample::Index, flip in 1_u8..,
    ) {
        let (memory, encrypted) = encrypted();
        let key = Key::new("k");
        put(&encrypted, &key, &value);
        let sealed = memory.get(&key).unwrap().unwrap();
        let mut bytes = bytes_in(&sealed);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        memory.set(&key, sealed.with_payload(Payload::raw(bytes))).unwrap();
        damage(&encrypted, &key);
    }
}
