//! Bytes of any kind never make the reader panic or go beyond its limits.

use beaker_backends::compat::{BeakerCache, Value, pickle as reader};
use proptest::prelude::*;

use super::{pickle, pickles, write_file};

const LIMITS: reader::Limits = reader::Limits::new().max_bytes(100_000).max_values(1_000);

/// The values in `value`, itself among them, and the bytes of its texts.
fn size(value: &Value) -> (usize, usize) {
    let sum = |items: &mut dyn Iterator<Item = &Value>| {
        items.map(size).fold((1, 0), |(a, b), (c, d)| (a + c, b + d))
    };
    match value {
        Value::Str(text) | Value::BigInt(text) => (1, text.len()),
        Value::Bytes(bytes) => (1, bytes.len()),
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => sum(&mut items.iter()),
        Value::Dict(pairs) => sum(&mut pairs.iter().flat_map(|(key, value)| [key, value])),
        _ => (1, 0),
    }
}

fn read_and_check(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(value) = reader::read_within(bytes, LIMITS) {
        let (values, text) = size(&value);
        prop_assert!(values <= 1_000 && text <= 100_000);
    }
    Ok(())
}

/// A value with its pickle, written by the test itself.
fn pickled() -> impl Strategy<Value = (Value, Vec<u8>)> {
    let leaf = prop_oneof![
        Just((Value::None, b"N".to_vec())),
        any::<bool>().prop_map(|bool| (Value::Bool(bool), vec![if bool { 0x88 } else { 0x89 }])),
        any::<i32>().prop_map(|n| (Value::Int(n.into()), [&b"J"[..], &n.to_le_bytes()].concat())),
        any::<i64>().prop_map(|n| (Value::Int(n), [&b"\x8a\x08"[..], &n.to_le_bytes()].concat())),
        any::<u32>().prop_map(|n| {
            (Value::Float(n.into()), [&b"G"[..], &f64::from(n).to_be_bytes()].concat())
        }),
        "\\PC{0,9}".prop_map(|text| {
            let len = u8::try_from(text.len()).expect("it is short");
            let bytes = [&[0x8c, len][..], text.as_bytes(), b"\x94"].concat();
            (Value::Str(text), bytes)
        }),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| {
            let len = u8::try_from(bytes.len()).expect("it is short");
            let pickle = [&[b'C', len][..], &bytes].concat();
            (Value::Bytes(bytes), pickle)
        }),
    ];
    leaf.prop_recursive(5, 60, 5, |inner| {
        let items = prop::collection::vec(inner, 0..5);
        prop_oneof![
            items.clone().prop_map(|items| wrap(items, Value::List, b"]\x94(", b"e")),
            items.clone().prop_map(|items| wrap(items, Value::Tuple, b"(", b"t\x94")),
            items.clone().prop_map(|items| wrap(items, Value::Set, b"\x8f(", b"\x90")),
            items.prop_map(|mut items| {
                items.truncate(items.len() / 2 * 2);
                let pairs = |items: Vec<Value>| {
                    let pairs = items.chunks_exact(2);
                    Value::Dict(pairs.map(|pair| (pair[0].clone(), pair[1].clone())).collect())
                };
                wrap(items, pairs, b"}(", b"u")
            }),
        ]
    })
}

fn wrap(
    items: Vec<(Value, Vec<u8>)>,
    make: impl Fn(Vec<Value>) -> Value,
    begin: &[u8],
    end: &[u8],
) -> (Value, Vec<u8>) {
    let (values, pickles): (Vec<Value>, Vec<Vec<u8>>) = items.into_iter().unzip();
    (make(values), [begin, &pickles.concat(), end].concat())
}

proptest! {
    #[test]
    fn what_was_pickled_is_read_back((value, mut pickle) in pickled()) {
        pickle.push(b'.');
        prop_assert_eq!(reader::read(&pickle).unwrap(), value);
    }

    #[test]
    fn any_bytes_are_a_value_within_the_limits_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        read_and_check(&bytes)?;
    }

    // Bytes that mean something to the machine, so that more than a few steps are made.
    #[test]
    fn any_instructions_are_a_value_within_the_limits_or_an_error(
        steps in prop::collection::vec(
            prop::sample::select(&b"()]}Nabdelostu012.\x81\x85\x86\x87\x8f\x90\x91\x92\x93\x94hq\0\x01K"[..]),
            0..200,
        ),
    ) {
        read_and_check(&[&steps[..], b"."].concat())?;
    }

    #[test]
    fn a_damaged_pickle_is_a_value_within_the_limits_or_an_error(
        (_, mut pickle) in pickled(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        pickle.push(b'.');
        for (at, byte) in damage {
            let at = at.index(pickle.len());
            pickle[at] = byte;
        }
        read_and_check(&pickle)?;
        read_and_check(&pickle[..cut.index(pickle.len())])?;
    }

    #[test]
    fn a_damaged_cache_file_is_read_as_far_as_it_goes_or_an_error(
        at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = pickle(&pickles()["file"]);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        write_file(dir.path(), "n", &bytes);
        if let Ok(records) = BeakerCache::file(dir.path()).limits(LIMITS).read("n") {
            prop_assert!(records.count() <= bytes.len());
        }
    }

    #[test]
    fn any_index_of_a_dumb_dbm_is_read_or_an_error(
        index in prop::collection::vec(
            prop::sample::select(&b"'\"\\x01a, ()\n9-\xff"[..]), 0..80,
        ),
        values in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        for (extension, bytes) in [(".dbm.dir", &index), (".dbm.dat", &values)] {
            let options = beaker_namespace::compat::EncodedPathOptions::new().extension(extension);
            let root = dir.path().join("container_dbm");
            let path = beaker_namespace::compat::encoded_path_in(&root, &["n"], &options).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        if let Ok(records) = BeakerCache::dbm(dir.path()).limits(LIMITS).read("n") {
            prop_assert!(records.count() <= 80);
        }
    }
}
