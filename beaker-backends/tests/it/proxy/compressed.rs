//! `Compressed`.

use std::sync::Arc;

use beaker_backends::proxy::{Compressed, Metered};
use beaker_namespace::{
    Capability, CodecId, Condition, ConditionalSet, ErrorKind, Inspection, Key, MemoryNamespace,
    Namespace, Payload,
};
use proptest::prelude::*;

use super::{anonymous, bytes_in, conforms, conforms_over_memory, entry, listed, put, value};

#[test]
fn it_conforms() {
    conforms("compressed", |inner, _| Compressed::new(inner));
    conforms_over_memory("compressed always", |inner, _| Compressed::new(inner).min_bytes(0));
}

/// A memory, and the compressed namespace in it.
fn compressed() -> (Arc<MemoryNamespace>, Compressed<Arc<MemoryNamespace>>) {
    let memory = anonymous();
    (Arc::clone(&memory), Compressed::new(memory))
}

/// How many bytes are stored for `value`.
fn stored(value: impl AsRef<[u8]>) -> usize {
    let (memory, compressed) = compressed();
    let key = Key::new("k");
    put(&compressed, &key, &value);
    assert_eq!(super::value(&compressed, &key).as_deref(), Some(value.as_ref()));
    super::value(&*memory, &key).unwrap().len()
}

/// Why `bytes`, as they are stored, cannot be read back; they are never a value.
fn damage(bytes: &[u8]) -> String {
    let (memory, compressed) = compressed();
    let key = Key::new("k");
    put(&*memory, &key, bytes);
    assert_eq!(value(&compressed, &key), None);
    assert_eq!(compressed.stats().corrupt, 1);
    match compressed.inspect(&key).unwrap() {
        Inspection::Corrupt(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// Bytes that look random.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(next).collect()
}

#[test]
fn long_values_are_stored_shorter() {
    let page = "<li>an item</li>".repeat(1_000);
    assert!(stored(&page) < page.len() / 10, "{} bytes", stored(&page));
}

#[test]
fn short_values_and_those_that_do_not_shrink_are_stored_as_they_are() {
    assert_eq!(stored("a".repeat(1_023)), 3 + 1_023);
    assert!(stored("a".repeat(1_024)) < 100);
    assert_eq!(stored(noise(5_000)), 3 + 5_000);
}

#[test]
fn a_value_longer_than_the_limit_is_stored_as_it_is() {
    let memory = anonymous();
    let compressed = Compressed::new(Arc::clone(&memory)).max_bytes(2_000);
    let key = Key::new("k");
    for (length, is_short) in [(2_000, true), (2_001, false)] {
        put(&compressed, &key, "a".repeat(length));
        assert_eq!(value(&compressed, &key).map(|value| value.len()), Some(length));
        assert_eq!(value(&*memory, &key).unwrap().len() < length, is_short);
    }
}

#[test]
fn a_value_that_looks_compressed_comes_back_as_it_is() {
    let (memory, compressed) = compressed();
    let key = Key::new("k");
    put(&compressed, &key, "a".repeat(5_000));
    let marked = value(&*memory, &key).unwrap();
    put(&compressed, &key, &marked);
    assert_eq!(value(&compressed, &key), Some(marked));
}

#[test]
fn a_bomb_is_damaged_and_nothing_is_allocated_for_it() {
    // 4 GiB at once would end the test where it is not overcommitted; 255 times the block is allowed.
    let bomb = [&[0xbe, 0xc0, 1][..], &u32::MAX.to_le_bytes(), &[0x1f; 64]].concat();
    assert!(damage(&bomb).contains("above the limit of 67108864"), "{}", damage(&bomb));
    let lie = [&[0xbe, 0xc0, 1][..], &(64_u32 << 20).to_le_bytes(), &[0x1f; 64]].concat();
    assert!(damage(&lie).contains("more bytes than its block can hold"), "{}", damage(&lie));
}

#[test]
fn a_block_of_another_length_than_it_claims_is_damaged() {
    let (memory, compressed) = compressed();
    put(&compressed, &Key::new("k"), "a".repeat(5_000));
    let good = value(&*memory, &Key::new("k")).unwrap();
    let claiming = |length: u32| [&good[..3], &length.to_le_bytes(), &good[7..]].concat();
    assert_eq!(claiming(5_000), good, "the control");
    assert_eq!(damage(&claiming(5_001)), "it is shorter than it claims");
    assert_eq!(damage(&claiming(4_999)), "its block cannot be expanded");
    assert!(damage(&good[..5]).contains("cut off before its length"));
}

#[test]
fn what_was_not_compressed_here_says_so() {
    for foreign in ["{\"a\":1}", "text", "\u{be}\u{c0}"] {
        assert!(damage(foreign.as_bytes()).contains("not marked"));
    }
    assert!(damage(b"").contains("cut off"));
    assert!(damage(&[0xbe, 0xc0, 2, 0]).contains("a newer program"));
}

#[test]
fn a_damaged_value_is_gone_but_kept_for_other_readers() {
    let memory = anonymous();
    let strict = Compressed::new(Arc::clone(&memory)).max_bytes(1_000);
    let generous = Compressed::new(memory);
    let key = Key::new("k");
    put(&generous, &key, "a".repeat(5_000));
    assert_eq!((value(&strict, &key), listed(&strict)), (None, vec![]));
    assert_eq!(strict.get_many(std::slice::from_ref(&key)).unwrap().len(), 1);
    strict.read_with(&key, &mut |_| panic!("it is not served")).unwrap();
    let stats = strict.stats();
    assert_eq!((stats.corrupt, stats.hits, stats.misses), (3, 0, 3));
    assert_eq!(value(&generous, &key).map(|value| value.len()), Some(5_000));
    let set = strict.set_if(&key, entry(&strict, "new"), Condition::Absent).unwrap();
    assert!(matches!(set, ConditionalSet::Stored { .. }), "it counts as absent");
    assert_eq!(value(&generous, &key), Some(b"new".to_vec()));
    let set = strict.set_if(&key, entry(&strict, "newer"), Condition::Absent).unwrap();
    assert_eq!(set, ConditionalSet::Conflict);
}

#[test]
fn a_listing_tells_the_length_of_the_value() {
    let (_, compressed) = compressed();
    put(&compressed, &Key::new("k"), "a".repeat(5_000));
    let page = compressed.scan(&beaker_namespace::Scan::new()).unwrap();
    assert_eq!(page.entries[0].size_bytes, Some(5_000));
}

#[test]
fn live_objects_are_refused_and_never_read() {
    let (memory, compressed) = compressed();
    let key = Key::new("k");
    assert!(!compressed.capabilities().has(Capability::Objects));
    let live = entry(&compressed, "").with_payload(Payload::Object(Arc::new(1)));
    let error = compressed.set(&key, live.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    memory.set(&key, live).unwrap();
    assert!(compressed.get(&key).unwrap().is_none());
}

#[test]
fn it_is_not_the_namespace_that_it_is_in() {
    let (memory, one) = compressed();
    let other = Compressed::new(Arc::clone(&memory)).min_bytes(7);
    assert_ne!(one.id(), memory.id());
    assert_eq!(one.id(), other.id(), "both read what either writes");
    assert_eq!(one.id().name(), memory.id().name());
}

#[test]
fn a_batch_with_a_live_object_stores_what_is_before_it() {
    let compressed = Compressed::new(Metered::new(anonymous()));
    let live = entry(&compressed, "").with_payload(Payload::Object(Arc::new(1)));
    let keys = ["a", "b", "c"].map(Key::new);
    let batch = vec![
        (keys[0].clone(), entry(&compressed, "a")),
        (keys[1].clone(), live),
        (keys[2].clone(), entry(&compressed, "c")),
    ];
    assert_eq!(compressed.set_many(batch).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(keys.map(|key| value(&compressed, &key)), [Some(b"a".to_vec()), None, None]);
}

proptest! {
    #[test]
    fn every_value_comes_back(
        bytes: Vec<u8>, repeat in 1_usize..200, min_bytes in 0_usize..3_000, codec: u8,
    ) {
        let compressed = Compressed::new(anonymous()).min_bytes(min_bytes);
        let (key, value) = (Key::new("k"), bytes.repeat(repeat));
        let codec = CodecId::from_u8(codec);
        let payload = Payload::Bytes { codec, bytes: value.clone().into() };
        compressed.set(&key, entry(&compressed, "").with_payload(payload)).unwrap();
        let found = compressed.get(&key).unwrap().unwrap();
        prop_assert_eq!(bytes_in(&found), value);
        let same = matches!(found.payload(), Payload::Bytes { codec: found, .. } if *found == codec);
        prop_assert!(same);
    }

    #[test]
    fn unmarked_bytes_are_never_a_value(bytes: Vec<u8>) {
        prop_assume!(!bytes.starts_with(&[0xbe, 0xc0]));
        damage(&bytes);
    }

    #[test]
    fn no_block_makes_more_than_it_claims(claimed in 0_u32..10_000, block: Vec<u8>) {
        let (memory, compressed) = compressed();
        let stored = [&[0xbe, 0xc0, 1][..], &claimed.to_le_bytes(), &block].concat();
        put(&*memory, &Key::new("k"), stored);
        let found = value(&compressed, &Key::new("k"));
        prop_assert!(found.is_none_or(|value| value.len() == claimed as usize));
    }
}
