use proptest::prelude::*;

use super::super::{decode, decode_any, decode_from, encode_within, says_it_dies};
use super::*;
use crate::ErrorKind;

const ALL: u64 = u64::MAX;

fn entry(times: [i64; 3]) -> Entry {
    let [began, expires, dies] = times.map(Timestamp::from_micros);
    Entry::new(Payload::raw("value"), began).times(expires, dies).with_generation(7)
}

fn full() -> Entry {
    entry([5, 10, 20]).cost(3).tags(vec!["red".into(), String::new()]).etag(Some("W/1".into()))
}

fn record(entry: &Entry) -> Bytes {
    encode_compact_within("ns", &Key::new("key"), entry, ALL).unwrap().into()
}

fn assert_same(found: &Entry, expected: &Entry) {
    let bytes = |entry: &Entry| match entry.payload() {
        Payload::Bytes { codec, bytes } => (*codec, bytes.clone()),
        _ => unreachable!(),
    };
    assert_eq!(bytes(found), bytes(expected));
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    assert_eq!(
        (found.began(), found.expires(), found.dies(), found.generation(), found.weight()),
        (
            expected.began(),
            expected.expires(),
            expected.dies(),
            expected.generation(),
            expected.weight()
        )
    );
    assert_eq!(
        (found.tag_list(), found.entity_tag()),
        (expected.tag_list(), expected.entity_tag())
    );
}

#[test]
fn everything_reads_back_from_the_compact_form() {
    let record = record(&full());
    assert_same(&decode("ns", &Key::new("key"), &record).unwrap(), &full());
    assert_same(&decode_from("ns", &Key::new("key"), &record).unwrap(), &full());
}

#[test]
fn it_takes_half_of_what_the_other_form_adds() {
    let (key, plain) = (Key::new("a key of 24 bytes, as is"), entry([1, i64::MAX, i64::MAX]));
    let compact = encode_compact_within("ns", &key, &plain, ALL).unwrap();
    let first = encode_within("ns", &key, &plain, ALL).unwrap();
    assert_eq!((compact.len(), first.len()), (5 + 31, 5 + 64 + key.as_bytes().len()));
}

#[test]
fn every_single_bit_counts() {
    let good = record(&full());
    for bit in 0..good.len() * 8 {
        let mut bad = good.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(decode("ns", &Key::new("key"), &bad.into()).is_err(), "bit {bit}");
    }
}

#[test]
fn every_truncation_is_found() {
    let good = record(&full());
    for length in 0..good.len() {
        let error = decode("ns", &Key::new("key"), &good.slice(..length)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "length {length}");
    }
}

#[test]
fn a_record_moved_elsewhere_is_corrupt() {
    let record = record(&full());
    for (namespace, key) in [("ns", "yek"), ("ns", "other"), ("other", "key"), ("n", "skey")] {
        let error = decode(namespace, &Key::new(key), &record).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    let error = decode_any("ns", &record).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "it does not say its key");
}

#[test]
fn a_version_to_come_is_named() {
    let mut record = record(&full()).to_vec();
    record[4] = 3;
    record.resize(80, 0);
    let error = decode("ns", &Key::new("key"), &record.into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn limits_are_those_of_the_other_form() {
    let error = encode_compact_within("ns", &Key::new("k"), &full(), 4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let long = full().tags(vec!["t".repeat(super::super::MAX_LABEL_BYTES)]);
    let error = encode_compact_within("ns", &Key::new("k"), &long, ALL).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn what_does_not_begin_as_a_record_says_nothing_of_its_death() {
    let record = record(&full());
    assert_eq!(says_it_dies(&record[..24]), None);
    for strange in [&b""[..], b"BEKR", &[0; 100]] {
        assert_eq!(says_it_dies(strange), None);
    }
}

proptest! {
    #[test]
    fn any_times_read_back(
        began: i64,
        expires in prop_oneof![Just(i64::MAX), any::<i64>()],
        dies in prop_oneof![Just(i64::MAX), any::<i64>()],
        cost: u32,
    ) {
        let written = entry([began, expires, dies]).cost(cost);
        let (key, compact) = (Key::new("key"), record(&written));
        assert_same(&decode("ns", &key, &compact).unwrap(), &written);
        let first = encode_within("ns", &key, &written, ALL).unwrap();
        for record in [&compact[..], &first] {
            prop_assert_eq!(says_it_dies(record), Some(written.dies()));
        }
    }

    #[test]
    fn a_wrong_body_under_a_right_checksum_is_refused_or_read(
        cut in 0_usize..80, at in 0_usize..80, bytes: [u8; 12],
    ) {
        // What a checksum cannot find: lengths that lie. They must never panic.
        let mut record = record(&full()).to_vec();
        record.truncate(cut.max(5));
        for (place, byte) in record.iter_mut().skip(at.max(5)).zip(bytes) {
            *place = byte;
        }
        let sum = checksum("ns", Key::new("key").as_bytes(), &record);
        record.extend_from_slice(&sum.to_le_bytes());
        let _outcome = decode("ns", &Key::new("key"), &record.into());
    }

    #[test]
    fn any_bytes_are_no_number_or_one(bytes: Vec<u8>) {
        let mut rest = &bytes[..];
        if let Some(number) = take_number(&mut rest) {
            let mut again = Vec::new();
            push_number(&mut again, number);
            prop_assert!(again.len() <= bytes.len() - rest.len());
        }
    }
}
