//! The moments at which what has one name was invalidated.

use std::fmt;
use std::hash::Hasher;

use twox_hash::XxHash3_64;

use crate::{Error, ErrorKind, Timestamp};

/// The moment before all others, which stands for "never invalidated".
const NONE: Timestamp = Timestamp::from_micros(i64::MIN);

const MAGIC: [u8; 4] = *b"BEKM";
const VERSION: [u8; 4] = [1, 0, 0, 0];
const BODY_BYTES: usize = 24;

/// When everything under one name was invalidated; see [`Namespace::mark`](crate::Namespace::mark).
///
/// There are two kinds, which know nothing of each other: *hard*, after which what began earlier is
/// gone, and *soft*, after which it is merely expired. The default says neither.
///
/// # Examples
///
/// ```
/// use beaker_namespace::{Mark, Timestamp};
///
/// let [early, late] = [1, 2].map(Timestamp::from_micros);
/// let mark = Mark::hard(late).merge(Mark::hard(early)).merge(Mark::soft(early));
/// assert_eq!(mark.gone_until(), Some(late));
/// assert_eq!(mark.expired_until(), Some(early));
/// assert!(Mark::default().is_empty());
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    hard: Timestamp,
    soft: Timestamp,
}

impl Mark {
    /// The longest name that can be marked, in bytes.
    pub const MAX_NAME_BYTES: usize = 1024;

    /// The length of a mark [as bytes](Self::to_bytes).
    pub const ENCODED_BYTES: usize = BODY_BYTES + 8;

    /// What began at or before `at` is gone.
    pub const fn hard(at: Timestamp) -> Self {
        Self { hard: at, soft: NONE }
    }

    /// What began at or before `at` is expired.
    pub const fn soft(at: Timestamp) -> Self {
        Self { hard: NONE, soft: at }
    }

    /// Both marks as one: the later moment of each kind.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { hard: self.hard.max(other.hard), soft: self.soft.max(other.soft) }
    }

    /// What began at or before this moment is gone; `None` if nothing is.
    pub fn gone_until(self) -> Option<Timestamp> {
        Some(self.hard).filter(|&at| at != NONE)
    }

    /// What began at or before this moment is expired; `None` if nothing is because of a soft mark.
    pub fn expired_until(self) -> Option<Timestamp> {
        Some(self.soft).filter(|&at| at != NONE)
    }

    /// Whether what began at `began` is gone or expired because of it.
    pub fn invalidates(self, began: Timestamp) -> bool {
        // `NONE` is before every other moment, but is not after itself.
        [self.gone_until(), self.expired_until()].into_iter().flatten().any(|until| began <= until)
    }

    /// Whether it invalidates nothing.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Checks that a store may keep a mark under `name`, for the store's own use.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] for a name longer than [`MAX_NAME_BYTES`](Self::MAX_NAME_BYTES).
    pub fn check_name(name: &str) -> Result<(), Error> {
        if name.len() <= Self::MAX_NAME_BYTES {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooLarge, "mark a name").with_detail(format!(
            "the name has {} bytes, and at most {} are allowed",
            name.len(),
            Self::MAX_NAME_BYTES
        )))
    }

    /// The mark as bytes that belong to `name` in `namespace`, for stores that keep bytes.
    ///
    /// Little-endian: `BEKM`; the version, 1, in four bytes; the two moments, hard and soft, in
    /// microseconds since 1970 (the least number for none); and XXH3-64 of the lengths of both
    /// names, the names, and all of the above.
    pub fn to_bytes(self, namespace: &str, name: &str) -> [u8; Self::ENCODED_BYTES] {
        let mut bytes = [0; Self::ENCODED_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&VERSION);
        bytes[8..16].copy_from_slice(&self.hard.as_micros().to_le_bytes());
        bytes[16..24].copy_from_slice(&self.soft.as_micros().to_le_bytes());
        let checksum = checksum(namespace, name, &bytes[..BODY_BYTES]);
        bytes[BODY_BYTES..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads back what [`to_bytes`](Self::to_bytes) made for the same two names.
    ///
    /// `None` for anything else. A store must not take that for "never marked": it cannot know what
    /// stood there, so it says that everything until now is gone.
    pub fn from_bytes(namespace: &str, name: &str, bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::ENCODED_BYTES] = bytes.try_into().ok()?;
        let number = |from: usize| bytes[from..from + 8].try_into().map(i64::from_le_bytes).ok();
        let (body, found) = bytes.split_at(BODY_BYTES);
        let sound = body[..4] == MAGIC
            && body[4..8] == VERSION
            && found == checksum(namespace, name, body).to_le_bytes();
        let moment = |from| number(from).map(Timestamp::from_micros);
        sound.then_some(Self { hard: moment(8)?, soft: moment(16)? })
    }
}

impl Default for Mark {
    fn default() -> Self {
        Self { hard: NONE, soft: NONE }
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mark")
            .field("gone_until", &self.gone_until())
            .field("expired_until", &self.expired_until())
            .finish()
    }
}

fn checksum(namespace: &str, name: &str, body: &[u8]) -> u64 {
    let mut hasher = XxHash3_64::new();
    for text in [namespace, name] {
        hasher.write(&(text.len() as u64).to_le_bytes());
        hasher.write(text.as_bytes());
    }
    hasher.write(body);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn the_later_moment_of_each_kind_holds() {
        let mark = Mark::soft(at(5)).merge(Mark::hard(at(-3))).merge(Mark::soft(at(4)));
        assert_eq!((mark.gone_until(), mark.expired_until()), (Some(at(-3)), Some(at(5))));
        assert_eq!(mark.merge(Mark::default()), mark);
        assert!(Mark::default().is_empty() && !mark.is_empty());
    }

    #[test]
    fn what_began_at_the_moment_itself_is_invalid() {
        for mark in
            [Mark::hard(at(5)), Mark::soft(at(5)), Mark::hard(at(1)).merge(Mark::soft(at(5)))]
        {
            assert!(mark.invalidates(at(4)) && mark.invalidates(at(5)), "{mark:?}");
            assert!(!mark.invalidates(at(6)), "{mark:?}");
        }
        assert!(!Mark::default().invalidates(NONE));
    }

    #[test]
    fn a_mark_comes_back_from_its_bytes() {
        for mark in [
            Mark::default(),
            Mark::hard(at(0)),
            Mark::soft(at(-1)),
            Mark::hard(Timestamp::NEVER).merge(Mark::soft(at(7))),
        ] {
            let bytes = mark.to_bytes("space", "name");
            assert_eq!(Mark::from_bytes("space", "name", &bytes), Some(mark));
        }
    }

    // F34, F35
    #[test]
    fn a_flipped_bit_or_a_lost_byte_is_found() {
        let bytes = Mark::hard(at(1_234_567)).merge(Mark::soft(at(9))).to_bytes("space", "name");
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::from_bytes("space", "name", &flipped), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Mark::from_bytes("space", "name", &bytes[..length]), None, "{length} bytes");
        }
        assert_eq!(Mark::from_bytes("space", "name", &[&bytes[..], b"x"].concat()), None);
    }

    #[test]
    fn the_bytes_of_one_name_are_not_those_of_another() {
        let bytes = Mark::hard(at(1)).to_bytes("ab", "c");
        for (namespace, name) in [("a", "bc"), ("abc", ""), ("ab", "d"), ("x", "c")] {
            assert_eq!(Mark::from_bytes(namespace, name, &bytes), None, "{namespace} {name}");
        }
    }

    #[test]
    fn a_name_of_1024_bytes_is_the_longest() {
        assert!(Mark::check_name(&"é".repeat(512)).is_ok());
        let error = Mark::check_name(&"x".repeat(1025)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("1025 bytes"), "{error}");
    }
}
