//! The checked envelope: how an entry looks as bytes, in every store that keeps bytes.
//
// Version 1, little-endian:
//
//   offset  bytes
//        0      4  magic "BEKR"
//        4      1  version
//        5      1  codec
//        6      2  flags, zero
//        8      8  began    (microseconds since 1970)
//       16      8  expires  (i64::MAX: never)
//       24      8  dies     (i64::MAX: never)
//       32      8  generation
//       40      4  cost
//       44      4  length of the key
//       48      4  length of the labels
//       52      4  length of the payload
//       56         key, labels, payload
//      end      8  XXH3-64 of the length of the namespace's name, the name, and all of the above
//
// The labels are empty, or a list of length-prefixed texts: the entity tag (or nothing, marked by a
// length of u32::MAX), then the tags.
//
// The checksum covers the namespace and the key, so a flipped bit, a cut file, and a record that
// was moved to another key or namespace are all found. It is no defence against somebody who may
// write to the store: that is what encryption is for.
//
// Version 2, which does not have the key in it, is in compact.rs.

mod compact;

use std::hash::Hasher;
use std::ops::Range;

use bytes::Bytes;
use twox_hash::XxHash3_64;

pub use self::compact::{
    MOST_BYTES as MOST_COMPACT_BYTES, encode_compact_into, encode_compact_within,
};
use crate::entry::Labels;
use crate::{Capability, CodecId, Entry, Error, ErrorKind, Key, Payload, Timestamp};

const MAGIC: [u8; 4] = *b"BEKR";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 56;
const DIES_AT: usize = 24;
const CHECKSUM_BYTES: usize = 8;
const NO_TEXT: u32 = u32::MAX;

/// What is hashed is copied together up to this length: in one piece it takes two thirds of the time.
const COPIED_BYTES: usize = 512;

/// The bytes an envelope adds to key and payload, without tags.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + CHECKSUM_BYTES;

/// The room for an entry's tags and entity tag, in bytes, where a store limits it.
pub const MAX_LABEL_BYTES: usize = 64 * 1024;

/// Encodes `entry` under `key` for the namespace called `namespace`.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] for a live object, [`ErrorKind::TooLarge`] where a part is longer
/// than `u32::MAX` bytes.
pub fn encode(namespace: &str, key: &Key, entry: &Entry) -> Result<Vec<u8>, Error> {
    encode_with(namespace, key, entry, &labels_of(entry)?)
}

/// What is encoded where a store takes bytes: the codec, and the value.
fn bytes_of(entry: &Entry) -> Result<(CodecId, &Bytes), Error> {
    match entry.payload() {
        Payload::Bytes { codec, bytes } => Ok((*codec, bytes)),
        _ => Err(Error::unsupported("encode an entry", Capability::Objects)),
    }
}

fn labels_of(entry: &Entry) -> Result<Vec<u8>, Error> {
    Ok(entry.labels().map(encode_labels).transpose()?.unwrap_or_default())
}

fn encode_with(namespace: &str, key: &Key, entry: &Entry, labels: &[u8]) -> Result<Vec<u8>, Error> {
    let (codec, bytes) = bytes_of(entry)?;
    let key = key.as_bytes();
    let mut out = Vec::with_capacity(OVERHEAD_BYTES + key.len() + labels.len() + bytes.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, codec.as_u8(), 0, 0]);
    for time in [entry.began(), entry.expires(), entry.dies()] {
        out.extend_from_slice(&time.as_micros().to_le_bytes());
    }
    out.extend_from_slice(&entry.generation().to_le_bytes());
    out.extend_from_slice(&entry.weight().to_le_bytes());
    for part in [key, labels, bytes] {
        out.extend_from_slice(&length_of(part.len())?.to_le_bytes());
    }
    for part in [key, labels, bytes] {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&checksum(namespace, &out).to_le_bytes());
    Ok(out)
}

/// Encodes as [`encode`] does, within the limits of a store: a key of at most
/// [`Key::MAX_BYTES`], a value of at most `max_value_bytes`, tags of at most [`MAX_LABEL_BYTES`].
///
/// # Errors
///
/// [`ErrorKind::TooLarge`], with the limit, and those of [`encode`].
pub fn encode_within(
    namespace: &str,
    key: &Key,
    entry: &Entry,
    max_value_bytes: u64,
) -> Result<Vec<u8>, Error> {
    let labels = labels_within(key, entry, max_value_bytes)?;
    encode_with(namespace, key, entry, &labels)
}

/// The labels of `entry`, if it is within the limits of a store.
fn labels_within(key: &Key, entry: &Entry, max_value_bytes: u64) -> Result<Vec<u8>, Error> {
    let too_large =
        |detail: String| Err(Error::new(ErrorKind::TooLarge, "write an entry").with_detail(detail));
    if key.as_bytes().len() > Key::MAX_BYTES {
        return too_large(format!("the key has more than {} bytes", Key::MAX_BYTES));
    }
    let value = entry.payload().len_bytes().unwrap_or_default();
    if value as u64 > max_value_bytes {
        return too_large(format!(
            "the value has {value} bytes; max_value_bytes is {max_value_bytes}"
        ));
    }
    let labels = labels_of(entry)?;
    if labels.len() > MAX_LABEL_BYTES {
        return too_large(format!("the tags have more than {MAX_LABEL_BYTES} bytes"));
    }
    Ok(labels)
}

/// Decodes the record of `key` in `namespace`, compact or not.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] if anything in the bytes is not as it was written, or was written for
/// another key or namespace; [`ErrorKind::Config`] if a newer version of the format wrote them.
pub fn decode(namespace: &str, key: &Key, record: &Bytes) -> Result<Entry, Error> {
    if compact::is_compact(record) {
        let parts = compact::Parts::check(namespace, key, record)?;
        return parts.entry(record.slice(parts.payload_range()));
    }
    let parts = Parts::check(namespace, record)?.of(key)?;
    parts.entry(record.slice(parts.payload_range()))
}

/// As [`decode`], from bytes that the caller keeps; only the value is copied.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_from(namespace: &str, key: &Key, record: &[u8]) -> Result<Entry, Error> {
    if compact::is_compact(record) {
        let parts = compact::Parts::check(namespace, key, record)?;
        return parts.entry(Bytes::copy_from_slice(&record[parts.payload_range()]));
    }
    let parts = Parts::check(namespace, record)?.of(key)?;
    parts.entry(Bytes::copy_from_slice(parts.payload(record)))
}

/// As [`decode_from`], without the value, for who looks through many entries: that of the entry is empty,
/// and the range says where it is in `record`.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_head(
    namespace: &str,
    key: &Key,
    record: &[u8],
) -> Result<(Entry, Range<usize>), Error> {
    if compact::is_compact(record) {
        let parts = compact::Parts::check(namespace, key, record)?;
        return Ok((parts.entry(Bytes::new())?, parts.payload_range()));
    }
    let parts = Parts::check(namespace, record)?.of(key)?;
    Ok((parts.entry(Bytes::new())?, parts.payload_range()))
}

/// When `record` dies, as it says itself: nothing is checked, so it may be wrong. For who looks for what
/// may be dead, and makes sure of it then. `None` if it does not begin as a record.
pub fn says_it_dies(record: &[u8]) -> Option<Timestamp> {
    if compact::is_compact(record) {
        return compact::dies(record);
    }
    let is_one = record.starts_with(&MAGIC) && record.get(4) == Some(&VERSION);
    let dies = u64_at(record, DIES_AT).filter(|_| is_one)?;
    Some(Timestamp::from_micros(dies as i64))
}

/// Decodes a record whose key is not known, as a scan finds it. One that is compact does not say it.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_any(namespace: &str, record: &Bytes) -> Result<(Key, Entry), Error> {
    let parts = Parts::check(namespace, record)?;
    let key = Key::from_encoded(parts.key).ok_or_else(|| corrupt("the key is malformed"))?;
    Ok((key, parts.entry(record.slice(parts.payload_range()))?))
}

/// A record whose checksum is right, cut into its parts.
struct Parts<'a> {
    header: &'a [u8; HEADER_BYTES],
    key: &'a [u8],
    labels: &'a [u8],
    payload_at: usize,
    payload_bytes: usize,
}

impl<'a> Parts<'a> {
    fn check(namespace: &str, record: &'a [u8]) -> Result<Self, Error> {
        let Some((header, _)) = record.split_first_chunk::<HEADER_BYTES>() else {
            return Err(corrupt("the record is cut off"));
        };
        if header[..4] != MAGIC {
            return Err(corrupt("the record does not begin as one"));
        }
        if header[4] == compact::VERSION {
            return Err(corrupt("the record does not say its key"));
        }
        if header[4] > VERSION {
            return Err(Error::new(ErrorKind::Config, "decode an entry")
                .with_detail("a newer version wrote it; update this program"));
        }
        let Some((body, sum)) = record.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(corrupt("the record is cut off"));
        };
        if checksum(namespace, body) != u64::from_le_bytes(*sum) {
            return Err(corrupt("the checksum does not match"));
        }
        Self::cut(header, body).ok_or_else(|| corrupt("the lengths do not match"))
    }

    fn cut(header: &'a [u8; HEADER_BYTES], body: &'a [u8]) -> Option<Self> {
        let length = |at: usize| u32_at(header, at).and_then(|length| usize::try_from(length).ok());
        let (key_bytes, label_bytes, payload_bytes) = (length(44)?, length(48)?, length(52)?);
        let (key, rest) = body.get(HEADER_BYTES..)?.split_at_checked(key_bytes)?;
        let (labels, payload) = rest.split_at_checked(label_bytes)?;
        let payload_at = HEADER_BYTES + key_bytes + label_bytes;
        (payload.len() == payload_bytes).then_some(Self {
            header,
            key,
            labels,
            payload_at,
            payload_bytes,
        })
    }

    /// The same parts, if they are those of `key`.
    fn of(self, key: &Key) -> Result<Self, Error> {
        if self.key == key.as_bytes() {
            return Ok(self);
        }
        Err(corrupt("the record belongs to another key"))
    }

    fn payload_range(&self) -> Range<usize> {
        self.payload_at..self.payload_at + self.payload_bytes
    }

    /// The value in `record`, which these are the parts of.
    fn payload<'r>(&self, record: &'r [u8]) -> &'r [u8] {
        &record[self.payload_range()]
    }

    fn entry(&self, bytes: Bytes) -> Result<Entry, Error> {
        let payload = Payload::Bytes { codec: CodecId::from_u8(self.header[5]), bytes };
        let time = |at| u64_at(self.header, at).map(|bits| Timestamp::from_micros(bits as i64));
        let decoded = (|| {
            let mut entry = Entry::new(payload, time(8)?)
                .times(time(16)?, time(24)?)
                .with_generation(u64_at(self.header, 32)?)
                .cost(u32_at(self.header, 40)?);
            if !self.labels.is_empty() {
                entry.set_labels(decode_labels(self.labels)?);
            }
            Some(entry)
        })();
        decoded.ok_or_else(|| corrupt("the labels are malformed"))
    }
}

fn checksum(namespace: &str, body: &[u8]) -> u64 {
    xxh3_of([&(namespace.len() as u64).to_le_bytes(), namespace.as_bytes(), body])
}

/// The XXH3-64 of all `parts`, one after another.
fn xxh3_of<const N: usize>(parts: [&[u8]; N]) -> u64 {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length <= COPIED_BYTES {
        let mut whole = [0; COPIED_BYTES];
        let mut at = 0;
        for part in parts {
            whole[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        return XxHash3_64::oneshot(&whole[..length]);
    }
    let mut hasher = XxHash3_64::new();
    parts.iter().for_each(|part| hasher.write(part));
    hasher.finish()
}

fn encode_labels(labels: &Labels) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    match &labels.etag {
        Some(etag) => push_text(&mut out, etag)?,
        None => out.extend_from_slice(&NO_TEXT.to_le_bytes()),
    }
    for tag in &labels.tags {
        push_text(&mut out, tag)?;
    }
    Ok(out)
}

fn push_text(out: &mut Vec<u8>, text: &str) -> Result<(), Error> {
    out.extend_from_slice(&length_of(text.len())?.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn decode_labels(bytes: &[u8]) -> Option<Labels> {
    let mut rest = bytes;
    let etag = match u32_at(rest, 0)? {
        NO_TEXT => {
            rest = &rest[4..];
            None
        }
        _ => Some(take_text(&mut rest)?),
    };
    let mut tags = Vec::new();
    while !rest.is_empty() {
        tags.push(take_text(&mut rest)?);
    }
    Some(Labels { tags, etag })
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(u32_at(rest, 0)?).ok()?;
    let (text, after) = rest[4..].split_at_checked(length)?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A length as the format has it; the top value is kept for "nothing".
fn length_of(length: usize) -> Result<u32, Error> {
    u32::try_from(length).ok().filter(|&length| length != NO_TEXT).ok_or_else(|| {
        Error::new(ErrorKind::TooLarge, "encode an entry").with_detail("a part exceeds 4 GiB")
    })
}

#[cold]
fn corrupt(reason: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "decode an entry").with_detail(reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(payload: &[u8]) -> Entry {
        Entry::new(Payload::raw(payload.to_vec()), Timestamp::from_micros(5))
            .times(Timestamp::from_micros(10), Timestamp::from_micros(20))
            .with_generation(7)
            .cost(3)
            .tags(vec!["red".into(), String::new()])
            .etag(Some("W/1".into()))
    }

    fn record(payload: &[u8]) -> Bytes {
        encode("ns", &Key::new("key"), &entry(payload)).unwrap().into()
    }

    #[test]
    fn everything_reads_back() {
        let entry = decode("ns", &Key::new("key"), &record(b"value")).unwrap();
        let Payload::Bytes { codec, bytes } = entry.payload() else { panic!("bytes") };
        assert_eq!((*codec, &bytes[..]), (CodecId::RAW, &b"value"[..]));
        assert_eq!((entry.began().as_micros(), entry.expires().as_micros()), (5, 10));
        assert_eq!((entry.dies().as_micros(), entry.generation(), entry.weight()), (20, 7, 3));
        assert_eq!(
            (entry.tag_list(), entry.entity_tag()),
            (&["red".into(), String::new()][..], Some("W/1"))
        );
        assert_eq!(decode_any("ns", &record(b"value")).unwrap().0, Key::new("key"));
        let copied = decode_from("ns", &Key::new("key"), &record(b"value")).unwrap();
        assert_eq!(format!("{copied:?}"), format!("{entry:?}"));
        let Payload::Bytes { bytes, .. } = copied.payload() else { panic!("bytes") };
        assert_eq!(&bytes[..], b"value");
        assert!(decode_from("ns", &Key::new("other"), &record(b"value")).is_err());
    }

    #[test]
    fn every_single_bit_counts() {
        let good = record(b"value");
        for bit in 0..good.len() * 8 {
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode("ns", &Key::new("key"), &bad.into()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_is_found() {
        let good = record(b"value");
        for length in 0..good.len() {
            let error = decode("ns", &Key::new("key"), &good.slice(..length)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "length {length}");
        }
    }

    #[test]
    fn a_record_moved_elsewhere_is_corrupt() {
        let record = record(b"value");
        assert!(decode("ns", &Key::new("other"), &record).is_err());
        assert!(decode("other", &Key::new("key"), &record).is_err());
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut record = record(b"value").to_vec();
        record[4] = 255;
        let error = decode("ns", &Key::new("key"), &record.into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn a_live_object_is_not_bytes() {
        let entry = Entry::new(Payload::Object(std::sync::Arc::new(1)), Timestamp::default());
        let error = encode("ns", &Key::new("key"), &entry).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            prop_assert!(decode_any("ns", &Bytes::from(bytes)).is_err());
        }

        #[test]
        fn a_wrong_body_under_a_right_checksum_is_refused(
            payload: Vec<u8>, at in 0_usize..64, byte: u8,
        ) {
            // What a checksum cannot find: lengths that lie. They must never panic.
            let mut record = record(&payload).to_vec();
            record.truncate(record.len() - CHECKSUM_BYTES);
            record[at] = byte;
            let sum = checksum("ns", &record);
            record.extend_from_slice(&sum.to_le_bytes());
            let _outcome = decode_any("ns", &record.into());
        }
    }

    #[test]
    fn pieces_have_the_sum_of_the_whole_however_long() {
        let whole: Vec<u8> = (0..COPIED_BYTES + 300).map(|at| at as u8).collect();
        for length in [0, 1, 240, 241, COPIED_BYTES, COPIED_BYTES + 1, whole.len()] {
            let (head, tail) = whole[..length].split_at(length / 3);
            assert_eq!(xxh3_of([head, &[], tail]), XxHash3_64::oneshot(&whole[..length]));
        }
    }
}
