//! The compact envelope, for a store that keeps each record beside its key and checks both together.
//
// Version 2, little-endian; a number is seven bits a byte, the lowest first, and the top bit says that
// more follow:
//
//   bytes
//       4  magic "BEKR"
//       1  version
//       1  codec
//       1  what follows: EXPIRES, DIES, COST, LABELS
//       8  began    (microseconds since 1970)
//       8  generation
//          if EXPIRES  expires, after began; else never
//          if DIES     dies, after expires, or after began if that is never; else as expires
//          if COST     cost, a number; else 1
//          if LABELS   the length of the labels, a number, and the labels as in version 1
//          payload
//       8  XXH3-64 of the lengths of the namespace's name and the key, the name, the key, and all of
//          the above
//
// A difference of times is a number of 64 bits that wraps round, with its sign in the lowest bit.

use std::ops::Range;

use bytes::Bytes;

use super::{
    CHECKSUM_BYTES, MAGIC, bytes_of, corrupt, decode_labels, labels_within, length_of, u64_at,
    xxh3_of,
};
use crate::{CodecId, Entry, Error, Key, Payload, Timestamp};

/// The version that this is.
pub(super) const VERSION: u8 = 2;

const EXPIRES: u8 = 1;
const DIES: u8 = 2;
const COST: u8 = 4;
const LABELS: u8 = 8;

/// What is always there, before the numbers.
const HEADER_BYTES: usize = 23;

/// The most bytes that the compact form has beside tags and value.
pub const MOST_BYTES: usize = HEADER_BYTES + 2 * 10 + 2 * 5 + CHECKSUM_BYTES;

/// Encodes as [`encode_within`](super::encode_within) does, without the key, which is bound into the
/// checksum; [`decode`](super::decode) and [`decode_from`](super::decode_from) read it.
///
/// # Errors
///
/// Those of [`encode_within`](super::encode_within).
pub fn encode_compact_within(
    namespace: &str,
    key: &Key,
    entry: &Entry,
    max_value_bytes: u64,
) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    encode_compact_into(&mut out, namespace, key, entry, max_value_bytes).map(|()| out)
}

/// The same, at the end of `out`, so that many records need one allocation; after an error `out` is as it
/// was.
///
/// # Errors
///
/// As [`encode_compact_within`].
pub fn encode_compact_into(
    out: &mut Vec<u8>,
    namespace: &str,
    key: &Key,
    entry: &Entry,
    max_value_bytes: u64,
) -> Result<(), Error> {
    let labels = labels_within(key, entry, max_value_bytes)?;
    let (codec, bytes) = bytes_of(entry)?;
    length_of(bytes.len())?;
    let (began, expires, dies) = (entry.began(), entry.expires(), entry.dies());
    let begin = out.len();
    out.reserve(MOST_BYTES + labels.len() + bytes.len());
    out.extend_from_slice(&MAGIC);
    let flags = flag(EXPIRES, !expires.is_never())
        | flag(DIES, dies != expires)
        | flag(COST, entry.weight() != 1)
        | flag(LABELS, !labels.is_empty());
    out.extend_from_slice(&[VERSION, codec.as_u8(), flags]);
    out.extend_from_slice(&began.as_micros().to_le_bytes());
    out.extend_from_slice(&entry.generation().to_le_bytes());
    let mut from = began;
    if flags & EXPIRES != 0 {
        push_number(out, difference(from, expires));
        from = expires;
    }
    if flags & DIES != 0 {
        push_number(out, difference(from, dies));
    }
    if flags & COST != 0 {
        push_number(out, u64::from(entry.weight()));
    }
    if flags & LABELS != 0 {
        push_number(out, labels.len() as u64);
        out.extend_from_slice(&labels);
    }
    out.extend_from_slice(bytes);
    let sum = checksum(namespace, key.as_bytes(), &out[begin..]);
    out.extend_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// Whether `record` says that it is of this version.
pub(super) fn is_compact(record: &[u8]) -> bool {
    record.strip_prefix(&MAGIC).is_some_and(|rest| rest.first() == Some(&VERSION))
}

/// When the record dies, as it says; nothing is checked.
pub(super) fn dies(record: &[u8]) -> Option<Timestamp> {
    times(record).map(|([_, _, dies], _)| dies)
}

/// When the record of `body` began, expires and dies, and what follows these times.
fn times(body: &[u8]) -> Option<([Timestamp; 3], &[u8])> {
    let (flags, mut rest) = (*body.get(6)?, body.get(HEADER_BYTES..)?);
    let began = Timestamp::from_micros(u64_at(body, 7)? as i64);
    let (mut from, mut expires) = (began, Timestamp::NEVER);
    if flags & EXPIRES != 0 {
        expires = after(from, take_number(&mut rest)?);
        from = expires;
    }
    let dies = match flags & DIES {
        0 => expires,
        _ => after(from, take_number(&mut rest)?),
    };
    Some(([began, expires, dies], rest))
}

/// A record whose checksum is right, cut into its parts.
pub(super) struct Parts<'a> {
    codec: u8,
    began: Timestamp,
    generation: u64,
    expires: Timestamp,
    dies: Timestamp,
    cost: u32,
    labels: &'a [u8],
    payload: Range<usize>,
}

impl<'a> Parts<'a> {
    pub(super) fn check(namespace: &str, key: &Key, record: &'a [u8]) -> Result<Self, Error> {
        let Some((body, sum)) = record.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(corrupt("the record is cut off"));
        };
        if checksum(namespace, key.as_bytes(), body) != u64::from_le_bytes(*sum) {
            return Err(corrupt("the checksum does not match, or the record is another key's"));
        }
        Self::cut(body).ok_or_else(|| corrupt("the parts do not match"))
    }

    fn cut(body: &'a [u8]) -> Option<Self> {
        let flags = *body.get(6)?;
        let ([began, expires, dies], mut rest) = times(body)?;
        let cost = match flags & COST {
            0 => 1,
            _ => u32::try_from(take_number(&mut rest)?).ok()?,
        };
        let mut labels: &[u8] = &[];
        if flags & LABELS != 0 {
            let length = usize::try_from(take_number(&mut rest)?).ok()?;
            (labels, rest) = rest.split_at_checked(length)?;
        }
        let payload = body.len() - rest.len()..body.len();
        let (codec, generation) = (*body.get(5)?, u64_at(body, 15)?);
        Some(Self { codec, began, generation, expires, dies, cost, labels, payload })
    }

    pub(super) fn payload_range(&self) -> Range<usize> {
        self.payload.clone()
    }

    /// The entry, with its value in `bytes`.
    pub(super) fn entry(&self, bytes: Bytes) -> Result<Entry, Error> {
        let payload = Payload::Bytes { codec: CodecId::from_u8(self.codec), bytes };
        let mut entry = Entry::new(payload, self.began)
            .times(self.expires, self.dies)
            .with_generation(self.generation)
            .cost(self.cost);
        if !self.labels.is_empty() {
            let labels = decode_labels(self.labels);
            entry.set_labels(labels.ok_or_else(|| corrupt("the labels are malformed"))?);
        }
        Ok(entry)
    }
}

const fn flag(bit: u8, is_set: bool) -> u8 {
    if is_set { bit } else { 0 }
}

fn checksum(namespace: &str, key: &[u8], body: &[u8]) -> u64 {
    let length = |part: &[u8]| (part.len() as u64).to_le_bytes();
    let name = namespace.as_bytes();
    xxh3_of([&length(name), &length(key), name, key, body])
}

/// How far `to` is after `from`: twice the difference, and one less if it is before.
fn difference(from: Timestamp, to: Timestamp) -> u64 {
    let micros = to.as_micros().wrapping_sub(from.as_micros());
    ((micros << 1) ^ (micros >> 63)) as u64
}

/// What is so far after `from`.
fn after(from: Timestamp, difference: u64) -> Timestamp {
    let micros = (difference >> 1) as i64 ^ -((difference & 1) as i64);
    Timestamp::from_micros(from.as_micros().wrapping_add(micros))
}

fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number that `rest` begins with; what is longer than 64 bits is none.
fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests;
