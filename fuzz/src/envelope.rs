//! The envelope, in both its forms: what was written reads back, and nothing else does.

use std::hash::Hasher;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use beaker_namespace::{CodecId, Entry, ErrorKind, Key, Payload, Timestamp, envelope};
use bytes::Bytes;
use twox_hash::XxHash3_64;

use crate::allocations::allocated_by;

/// Bytes that a decoder may allocate for each byte of its input: a tag of no letters has four bytes
/// in a record, and 24 (and as much again while the list grows) in memory.
const AMPLIFICATION: usize = 16;

/// Bytes that it may allocate for any input, an error's text included.
const CONSTANT: usize = 2048;

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
enum Case<'a> {
    /// Any bytes.
    Bytes(&'a [u8]),
    /// Any bytes that begin as a record, of each form, and end in the right checksum.
    Signed(&'a [u8]),
    /// An entry that is encoded, changed and decoded.
    Entry(Plain, Vec<Mutation>),
}

/// All that an entry is made of.
#[derive(Debug, Arbitrary)]
pub(crate) struct Plain {
    namespace: String,
    pub(crate) key: (String, u64),
    codec: u8,
    payload: Vec<u8>,
    began: i64,
    expires: i64,
    dies: i64,
    generation: u64,
    cost: u32,
    tags: Vec<String>,
    etag: Option<String>,
}

/// A change of bytes.
#[derive(Debug, Arbitrary)]
pub(crate) enum Mutation {
    Flip(u16, u8),
    Set(u16, u8),
    Truncate(u16),
    Append(Vec<u8>),
    Remove(u16, u16),
}

/// Decodes any bytes, and entries that were changed after they were encoded.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    match case {
        Case::Bytes(bytes) => decode_within_bounds("n", &Bytes::copy_from_slice(bytes)),
        Case::Signed(bytes) => {
            let mut record = b"BEKR\x01".to_vec();
            record.extend_from_slice(bytes);
            sign("n", &mut record);
            decode_within_bounds("n", &record.into());

            let mut record = b"BEKR\x02".to_vec();
            record.extend_from_slice(bytes);
            let key = Key::new("k");
            sign_compact("n", &key, &mut record);
            decode_compact_within_bounds("n", &key, &record.into());
        }
        Case::Entry(plain, mutations) => {
            entry_round_trip(&plain, &mutations);
            compact_round_trip(&plain, &mutations);
        }
    }
}

/// What `decode` makes of a record, which it may not believe the lengths of.
fn within_bounds<T>(record: &Bytes, decode: impl FnOnce() -> T) -> T {
    let (decoded, bytes) = allocated_by(decode);
    let most = AMPLIFICATION * record.len() + CONSTANT;
    // Other tests allocate at the same time; a fuzzer is alone.
    assert!(
        bytes <= most || !cfg!(fuzzing),
        "{bytes} bytes allocated for a record of {}",
        record.len()
    );
    decoded
}

/// Decodes without a panic; what is decoded is encoded and equal.
fn decode_within_bounds(namespace: &str, record: &Bytes) {
    let decoded = within_bounds(record, || envelope::decode_any(namespace, record));
    let Ok((key, entry)) = decoded else { return };
    let found = envelope::decode(namespace, &key, record).expect("its own key finds it");
    assert!(same(&found, &entry));
    let again = envelope::encode(namespace, &key, &entry).expect("what was read can be written");
    let (key_again, entry_again) =
        envelope::decode_any(namespace, &again.into()).expect("what was written can be read");
    assert!(key_again == key && same(&entry_again, &entry));
}

/// The same of a record that is kept beside its key. The old form has its key in it, and is read
/// from there, too.
fn decode_compact_within_bounds(namespace: &str, key: &Key, record: &Bytes) {
    let decoded = within_bounds(record, || envelope::decode(namespace, key, record));
    let from = envelope::decode_from(namespace, key, record);
    assert_eq!(decoded.is_ok(), from.is_ok());
    let (Ok(entry), Ok(from)) = (decoded, from) else { return };
    assert!(same(&entry, &from));
    let again = compact(namespace, key, &entry);
    let again = envelope::decode(namespace, key, &again).expect("what was written can be read");
    assert!(same(&again, &entry));
}

fn compact(namespace: &str, key: &Key, entry: &Entry) -> Bytes {
    let record = envelope::encode_compact_within(namespace, key, entry, u64::MAX);
    record.expect("nothing is too large").into()
}

fn compact_round_trip(plain: &Plain, mutations: &[Mutation]) {
    let (namespace, key) = (&*plain.namespace, Key::new(&(plain.key.0.as_str(), plain.key.1)));
    let entry = plain.entry();
    let record = compact(namespace, &key, &entry);
    let read = envelope::decode(namespace, &key, &record).expect("it was just written");
    assert!(same(&read, &entry));
    refused(&format!("{namespace}x"), &key, &record);
    refused(namespace, &Key::new(&plain.key.1), &record);

    let mut changed = record.to_vec();
    mutations.iter().for_each(|mutation| mutation.apply(&mut changed));
    if changed != record {
        refused(namespace, &key, &changed.clone().into());
    }
    decode_compact_within_bounds(namespace, &key, &changed.into());
}

fn entry_round_trip(plain: &Plain, mutations: &[Mutation]) {
    let (key, entry) = (Key::new(&(plain.key.0.as_str(), plain.key.1)), plain.entry());
    let record = envelope::encode(&plain.namespace, &key, &entry).expect("nothing is too large");
    let record = Bytes::from(record);
    let read = envelope::decode(&plain.namespace, &key, &record).expect("it was just written");
    assert!(same(&read, &entry));
    let elsewhere = format!("{}x", plain.namespace);
    refused(&elsewhere, &key, &record);
    refused(&plain.namespace, &Key::new(&plain.key.1), &record);
    never_fresh_for_too_long(&entry);

    let mut changed = record.to_vec();
    mutations.iter().for_each(|mutation| mutation.apply(&mut changed));
    let changed = Bytes::from(changed);
    if changed != record {
        // The checksum has 64 bits: no mutation that a fuzzer tries keeps it.
        refused(&plain.namespace, &key, &changed);
        assert!(envelope::decode_any(&plain.namespace, &changed).is_err());
    }
    decode_within_bounds(&plain.namespace, &changed);
}

fn refused(namespace: &str, key: &Key, record: &Bytes) {
    let error = envelope::decode(namespace, key, record).expect_err("a changed record is refused");
    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Config), "{error}");
}

/// An entry is fresh for at most twice its time to live, whatever the clock shows.
fn never_fresh_for_too_long(entry: &Entry) {
    let (began, expires) = (entry.began(), entry.expires());
    let ttl = expires.saturating_duration_since(began);
    for now in [i64::MIN, 0, i64::MAX].map(Timestamp::from_micros).into_iter().chain([
        began,
        expires,
        began.saturating_sub(Duration::from_micros(500_000)),
        began.saturating_sub(Duration::from_secs(2)),
    ]) {
        let left = expires.saturating_duration_since(now);
        if !expires.is_never() && entry.is_fresh(now) {
            assert!(now < expires && left <= ttl.saturating_mul(2));
        }
        if let Some(stale) = entry.staleness(now) {
            assert!(!entry.is_fresh(now) && !entry.is_dead(now));
            assert!(stale <= now.saturating_duration_since(expires));
        }
        let _age = entry.age(now);
    }
}

/// Ends `record` with the checksum that a writer would give it.
fn sign(namespace: &str, record: &mut Vec<u8>) {
    let mut hasher = XxHash3_64::new();
    hasher.write(&(namespace.len() as u64).to_le_bytes());
    hasher.write(namespace.as_bytes());
    hasher.write(record);
    record.extend_from_slice(&hasher.finish().to_le_bytes());
}

/// [`sign`] for a record that is kept beside its key.
fn sign_compact(namespace: &str, key: &Key, record: &mut Vec<u8>) {
    let mut hasher = XxHash3_64::new();
    hasher.write(&(namespace.len() as u64).to_le_bytes());
    hasher.write(&(key.as_bytes().len() as u64).to_le_bytes());
    hasher.write(namespace.as_bytes());
    hasher.write(key.as_bytes());
    hasher.write(record);
    record.extend_from_slice(&hasher.finish().to_le_bytes());
}

/// Whether all that is said of two entries is the same.
pub(crate) fn same(a: &Entry, b: &Entry) -> bool {
    let times = |entry: &Entry| (entry.began(), entry.expires(), entry.dies());
    let rest = |entry: &Entry| (entry.generation(), entry.weight());
    times(a) == times(b)
        && rest(a) == rest(b)
        && a.tag_list() == b.tag_list()
        && a.entity_tag() == b.entity_tag()
        && bytes_of(a) == bytes_of(b)
}

fn bytes_of(entry: &Entry) -> Option<(CodecId, &[u8])> {
    match entry.payload() {
        Payload::Bytes { codec, bytes } => Some((*codec, bytes)),
        Payload::Object(_) => None,
    }
}

impl Plain {
    pub(crate) fn entry(&self) -> Entry {
        let codec = CodecId::from_u8(self.codec);
        let payload = Payload::Bytes { codec, bytes: Bytes::copy_from_slice(&self.payload) };
        Entry::new(payload, Timestamp::from_micros(self.began))
            .times(Timestamp::from_micros(self.expires), Timestamp::from_micros(self.dies))
            .with_generation(self.generation)
            .cost(self.cost)
            .tags(self.tags.clone())
            .etag(self.etag.clone())
    }
}

impl Mutation {
    pub(crate) fn apply(&self, record: &mut Vec<u8>) {
        let at = |place: u16| usize::from(place) % record.len().max(1);
        match self {
            _ if record.is_empty() => {}
            Self::Flip(place, bit) => {
                let at = at(*place);
                record[at] ^= 1 << (bit % 8);
            }
            Self::Set(place, byte) => {
                let at = at(*place);
                record[at] = *byte;
            }
            Self::Truncate(place) => record.truncate(at(*place)),
            Self::Append(bytes) => record.extend_from_slice(bytes),
            Self::Remove(from, count) => {
                let from = at(*from);
                let to = (from + usize::from(*count)).min(record.len());
                record.drain(from..to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_of_the_format() {
        let entry = Entry::new(Payload::raw("v"), Timestamp::default());
        let record = envelope::encode("n", &Key::new("k"), &entry).unwrap();
        let mut signed = record[..record.len() - 8].to_vec();
        sign("n", &mut signed);
        assert_eq!(signed, record);
        let record = compact("n", &Key::new("k"), &entry);
        let mut signed = record[..record.len() - 8].to_vec();
        sign_compact("n", &Key::new("k"), &mut signed);
        assert_eq!(signed, record);
    }
}
