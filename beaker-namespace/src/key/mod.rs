//! Keys: typed segments as bytes.
//
// The encoding:
// 1. A key is one segment or a tuple of segments. Equal keys have equal bytes; different keys have
//    different bytes, so `("a b", "c")` is not `("a", "b c")` and `1` is not `"1"`.
// 2. A key of one text is TEXT and its UTF-8 to the end; of one byte string, BYTES and the bytes to
//    the end. So the keys that begin with a text have a common prefix.
// 3. A tuple is TUPLE and its segments to the end. A text or byte string in a tuple has its length
//    in front (LEB128). A tuple in a tuple is NESTED, the length, and its segments.
// 4. An integer is INT and eight bytes, big-endian; NEGATIVE for those below zero, with the bits of
//    the two's complement; WIDE or WIDE_NEGATIVE and sixteen bytes beyond 64 bits. The Rust type
//    does not matter: `1u8` and `1i64` are one key.

mod builder;
mod by_serde;
mod text;
mod to_key;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub use self::builder::KeyBuilder;
pub use self::to_key::{FromKey, ToKey};

const TEXT: u8 = 0x01;
const BYTES: u8 = 0x02;
const TUPLE: u8 = 0x03;
const NESTED: u8 = 0x04;
const INT: u8 = 0x05;
const NEGATIVE: u8 = 0x06;
const WIDE: u8 = 0x07;
const WIDE_NEGATIVE: u8 = 0x08;
const FALSE: u8 = 0x09;
const TRUE: u8 = 0x0a;
const NONE: u8 = 0x0b;
const SOME: u8 = 0x0c;

/// Keys up to this many bytes are held without an allocation.
const INLINE_BYTES: usize = 30;

/// The name of one entry in a namespace: typed segments, as bytes.
///
/// Made from anything that is [`ToKey`]: text, bytes, integers, `bool`, `Option`, and tuples of
/// these. Keys of up to 30 bytes are not allocated. `Display` prints it for people, and
/// [`Key::parse`] reads that back.
///
/// # Examples
///
/// ```
/// use beaker_namespace::Key;
///
/// assert_ne!(Key::new(&("a b", "c")), Key::new(&("a", "b c")));
/// assert_ne!(Key::new(&1), Key::new("1"));
/// assert_eq!(Key::new(&("user", 42)).to_string(), r#"("user", 42)"#);
/// ```
pub struct Key(Repr);

enum Repr {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Arc<[u8]>),
}

impl Key {
    /// The longest key a store must take, in bytes of the encoded form.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Encodes `value`.
    pub fn new<K: ToKey + ?Sized>(value: &K) -> Self {
        value.to_key()
    }

    /// Takes the encoded form back, as a store read it; `None` if it is not one.
    pub fn from_encoded(bytes: &[u8]) -> Option<Self> {
        // A value has one encoding: a longer length or a wider integer is no key.
        let key = Segment::parse_key(bytes)?.to_key();
        (key.as_bytes() == bytes).then_some(key)
    }

    /// Reads what `Display` printed; a bare word is a text.
    ///
    /// # Errors
    ///
    /// Says where the text stops being a key.
    pub fn parse(text: &str) -> Result<Self, ParseKeyError> {
        text::parse(text)
    }

    /// The encoded form.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            // The length never exceeds INLINE_BYTES; see `KeyBuilder`.
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len).min(INLINE_BYTES)],
            Repr::Heap(bytes) => bytes,
        }
    }

    /// The text, if the key is one text.
    pub fn as_text(&self) -> Option<&str> {
        match Segment::parse_key(self.as_bytes())? {
            Segment::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The encoded form of a key that is too long to be held inline.
    #[inline(always)]
    pub(crate) fn long_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Inline { .. } => None,
            Repr::Heap(bytes) => Some(bytes),
        }
    }

    /// The bytes and the length of a key held inline, as four numbers; equal for equal keys only.
    ///
    /// Look-ups hash and compare these. They are loaded just as `KeyBuilder` stored them: a load
    /// that straddles two recent stores waits for both of them to reach the cache, and for all
    /// that was stored before, which costs more than a whole look-up.
    #[inline(always)]
    pub(crate) fn words(&self) -> Option<[u64; 4]> {
        let Repr::Inline { len, bytes } = &self.0 else { return None };
        let [a, b, c] = [0, 8, 16].map(|at| u64::from_le_bytes(array(bytes, at)));
        let (d, e) = (u32::from_le_bytes(array(bytes, 24)), u16::from_le_bytes(array(bytes, 28)));
        Some([a, b, c, u64::from(d) | u64::from(e) << 32 | u64::from(*len) << 48])
    }

    /// The key that has these [`words`](Self::words).
    #[inline(always)]
    pub(crate) fn from_words([a, b, c, d]: [u64; 4]) -> Self {
        let mut bytes = [0; INLINE_BYTES];
        bytes[..8].copy_from_slice(&a.to_le_bytes());
        bytes[8..16].copy_from_slice(&b.to_le_bytes());
        bytes[16..24].copy_from_slice(&c.to_le_bytes());
        bytes[24..28].copy_from_slice(&(d as u32).to_le_bytes());
        bytes[28..].copy_from_slice(&((d >> 32) as u16).to_le_bytes());
        Self(Repr::Inline { len: (d >> 48) as u8, bytes })
    }
}

impl Clone for Key {
    // By its words: what is copied as memory has to be in memory, which a hit has no other need for.
    #[inline(always)]
    fn clone(&self) -> Self {
        match &self.0 {
            Repr::Heap(bytes) => Self(Repr::Heap(Arc::clone(bytes))),
            Repr::Inline { .. } => Self::from_words(self.words().unwrap_or_default()),
        }
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self.words(), other.words()) {
            // Number by number, in registers: as arrays they would be compared in memory.
            (Some([a, b, c, d]), Some([e, f, g, h])) => (a ^ e) | (b ^ f) | (c ^ g) | (d ^ h) == 0,
            (None, None) => self.as_bytes() == other.as_bytes(),
            // One is too long to be held inline.
            _ => false,
        }
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Key {
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.words() {
            // Half the work for what has at most 16 bytes, as numbers do.
            Some([a, b, 0, d]) if d << 16 == 0 => {
                state.write_u64(a);
                state.write_u64(b ^ d);
            }
            Some(words) => words.into_iter().for_each(|word| state.write_u64(word)),
            None => state.write(self.long_bytes().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Key {
    /// Prints the length only: keys may hold what must not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.as_bytes().len())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Segment::parse_key(self.as_bytes()) {
            Some(segment) => text::write_top(f, &segment),
            None => f.write_str("(not a key)"),
        }
    }
}

/// The `N` bytes at `at`; zeros if there are fewer.
#[inline]
fn array<const N: usize>(bytes: &[u8; INLINE_BYTES], at: usize) -> [u8; N] {
    bytes[at..].first_chunk().copied().unwrap_or([0; N])
}

/// A text is not a key as `Display` prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseKeyError {
    position: usize,
    reason: &'static str,
}

impl fmt::Display for ParseKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a key: {} at byte {}; quote a text: \"…\"", self.reason, self.position)
    }
}

impl std::error::Error for ParseKeyError {}

/// One decoded segment.
#[derive(Debug, Clone, PartialEq)]
enum Segment<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Tuple(Vec<Segment<'a>>),
    Unsigned(u128),
    Negative(i128),
    Bool(bool),
    None,
    Some(Box<Segment<'a>>),
}

/// Tuples and options nested deeper than this are not keys.
const MAX_DEPTH: usize = 128;

impl<'a> Segment<'a> {
    /// Decodes a whole key.
    fn parse_key(bytes: &'a [u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&TEXT, rest) => Some(Self::Text(std::str::from_utf8(rest).ok()?)),
            (&BYTES, rest) => Some(Self::Bytes(rest)),
            (&TUPLE, rest) => Self::parse_list(rest, MAX_DEPTH).map(Self::Tuple),
            _ => {
                let mut rest = bytes;
                let segment = Self::parse(&mut rest, MAX_DEPTH)?;
                rest.is_empty().then_some(segment)
            }
        }
    }

    fn parse_list(mut bytes: &'a [u8], depth: usize) -> Option<Vec<Self>> {
        let mut segments = Vec::new();
        while !bytes.is_empty() {
            segments.push(Self::parse(&mut bytes, depth)?);
        }
        Some(segments)
    }

    fn parse(bytes: &mut &'a [u8], depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        let (&tag, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(match tag {
            TEXT => Self::Text(std::str::from_utf8(take_sized(bytes)?).ok()?),
            BYTES => Self::Bytes(take_sized(bytes)?),
            NESTED => Self::Tuple(Self::parse_list(take_sized(bytes)?, depth)?),
            INT => Self::Unsigned(u64::from_be_bytes(take_array(bytes)?).into()),
            NEGATIVE => Self::Negative(i64::from_be_bytes(take_array(bytes)?).into()),
            WIDE => Self::Unsigned(u128::from_be_bytes(take_array(bytes)?)),
            WIDE_NEGATIVE => Self::Negative(i128::from_be_bytes(take_array(bytes)?)),
            FALSE => Self::Bool(false),
            TRUE => Self::Bool(true),
            NONE => Self::None,
            SOME => Self::Some(Box::new(Self::parse(bytes, depth)?)),
            _ => return None,
        })
    }
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

fn take_sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut len = 0_usize;
    for shift in (0..28).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        len |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let (taken, rest) = bytes.split_at_checked(len)?;
            *bytes = rest;
            return Some(taken);
        }
    }
    None
}

#[cfg(test)]
mod tests;
