//! Row F47: stored bytes that nest 200,000 levels deep, decoded in a process that may fall.
//
// What exhausts the stack ends the process, so who decodes is a child.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use beaker_namespace::{Codec, CodecId, ErrorKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::children::{Role, say};
use super::flood::peak_kib;
use super::{report, times_count};

const LEVELS: usize = 200_000;

/// The bytes in the child's directory.
const BYTES: &str = "bytes";

/// A value that holds values of its own kind, as a tree does.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "it is only read into")]
struct Tree(Vec<Tree>);

/// A value with one field; the others are passed over.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "it is only read into")]
struct Known {
    known: Option<u8>,
}

/// Text that opens `LEVELS` times and closes as often, around nothing.
fn nested(open: &[u8], close: &[u8], inmost: &[u8]) -> Vec<u8> {
    [&open.repeat(LEVELS)[..], inmost, &close.repeat(LEVELS)].concat()
}

/// What the child is asked for, by the name of its role.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let array = |open: &[u8], inmost: &[u8]| nested(open, b"", inmost);
    vec![
        ("nested json tree", nested(b"[", b"]", b"")),
        ("nested json any", nested(b"{\"a\":", b"}", b"1")),
        ("nested json never closed", vec![b'['; LEVELS]),
        ("nested msgpack tree", array(b"\x91", b"\x90")),
        ("nested msgpack any", array(b"\x81\xa1a", b"\x01")),
        ("nested msgpack passed over", array(b"\x81\xa1a", b"\x01")),
        // Arrays that say they have 2^32 - 1 elements.
        ("nested msgpack lies", b"\xdd\xff\xff\xff\xff".repeat(LEVELS)),
    ]
}

/// Decodes what lies in `dir`, and says how that ended, in which time, and what memory it took.
pub(super) fn decode(role: &str, dir: &Path) {
    let bytes = fs::read(dir.join(BYTES)).expect("the parent wrote them");
    let id = if role.contains("json") { CodecId::JSON } else { CodecId::MESSAGE_PACK };
    let (before, began) = (peak_kib(), Instant::now());
    let outcome = match role.rsplit(' ').next() {
        Some("any") => outcome::<serde_json::Value>(id, &bytes),
        Some("over") => outcome::<Known>(id, &bytes),
        Some("unbounded") => without_a_bound(&bytes),
        _ => outcome::<Tree>(id, &bytes),
    };
    say(&format!("{outcome} {} {}", began.elapsed().as_micros(), peak_kib() - before));
}

fn outcome<T: DeserializeOwned>(id: CodecId, bytes: &[u8]) -> String {
    Codec::decode::<T>(id, bytes)
        .map_or_else(|error| format!("{:?}", error.kind()), |_| "value".to_owned())
}

/// The control: the driver with the deepest bound that it takes.
fn without_a_bound(bytes: &[u8]) -> String {
    let mut decoder = rmp_serde::Deserializer::new(bytes);
    decoder.set_max_depth(usize::MAX);
    format!("{}", Tree::deserialize(&mut decoder).is_ok())
}

/// Lets a child decode `bytes`; what it said, `None` if it fell.
fn ask(role: &str, bytes: &[u8]) -> Option<(String, Duration, u64)> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(BYTES), bytes).unwrap();
    let mut child = Role::start(role, dir.path());
    let told = child.hear()?;
    let mut words = told.rsplitn(3, ' ');
    let mut number = || words.next().unwrap().parse().unwrap();
    let (kib, micros) = (number(), number());
    Some((words.next().unwrap().to_owned(), Duration::from_micros(micros), kib))
}

#[cfg(target_os = "linux")]
#[test]
fn f47_storm_values_nested_200_000_deep_are_an_error_in_little_time_and_memory() {
    for (role, bytes) in hostile() {
        let (outcome, took, grown_kib) =
            ask(role, &bytes).unwrap_or_else(|| panic!("{role}: fell"));
        // The goals are 10 ms and 8 MiB; a short run is judged for falls and for what is absurd.
        let (most, most_kib) = match times_count() {
            true => (Duration::from_millis(10), 8 << 10),
            false => (Duration::from_secs(2), 32 << 10),
        };
        let holds =
            outcome == format!("{:?}", ErrorKind::Codec) && took <= most && grown_kib <= most_kib;
        let measured =
            format!("levels={LEVELS} outcome={outcome} took={took:?} grown={grown_kib}KiB");
        report(&format!("F47 {role}"), "codec", &measured, holds);
        assert!(holds, "{role}: {measured}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn f47_storm_control_a_decoder_without_a_bound_ends_the_process() {
    let bytes = nested(b"\x91", b"", b"\x90");
    let told = ask("nested msgpack unbounded", &bytes);
    report("F47 control: no bound", "codec", &format!("fell={}", told.is_none()), told.is_none());
    assert_eq!(told, None, "the bytes are harmless");
}
