//! Builds the encoded form of a key.

use super::{INLINE_BYTES, Key, Repr};

/// Builds the encoded form; what [`ToKey`](crate::ToKey) writes into.
///
/// A short key is gathered in four numbers, which stay in registers where the key's type is known,
/// and is written in one go: see `Key::words` for why.
#[derive(Debug, Default)]
pub struct KeyBuilder {
    words: [u64; 4],
    pub(super) len: usize,
    heap: Vec<u8>,
}

impl KeyBuilder {
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end <= INLINE_BYTES {
            for part in bytes.chunks(8) {
                self.push_word(little_endian(part), part.len());
            }
        } else {
            self.push_slow(bytes);
        }
    }

    /// Adds the `count` low bytes of `word`, the lowest first; those above must be zero. There must
    /// be room inline.
    #[inline]
    fn push_word(&mut self, word: u64, count: usize) {
        let (index, shift) = (self.len / 8, self.len % 8 * 8);
        if let Some(low) = self.words.get_mut(index) {
            *low |= word << shift;
        }
        // Two shifts, since one by 64 is none.
        if let Some(high) = self.words.get_mut(index + 1) {
            *high |= word >> 1 >> (63 - shift);
        }
        self.len += count;
    }

    #[cold]
    fn push_slow(&mut self, bytes: &[u8]) {
        if self.heap.is_empty() {
            self.heap.reserve(self.len + bytes.len());
            self.heap.extend_from_slice(&bytes_of(self.words)[..self.len]);
        }
        self.heap.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(super) fn push_len(&mut self, mut len: usize) {
        while len >= 0x80 {
            self.push(&[len as u8 | 0x80]);
            len >>= 7;
        }
        self.push(&[len as u8]);
    }

    /// The first byte, if there is one.
    #[inline]
    pub(super) fn first(&self) -> Option<u8> {
        match self.len {
            0 => None,
            1..=INLINE_BYTES => Some(self.words[0] as u8),
            _ => self.heap.first().copied(),
        }
    }

    /// Calls `with` with what was written so far.
    pub(super) fn with_bytes<T>(&self, with: impl FnOnce(&[u8]) -> T) -> T {
        if self.len <= INLINE_BYTES {
            with(&bytes_of(self.words)[..self.len])
        } else {
            with(&self.heap)
        }
    }

    #[inline]
    pub(super) fn finish(self) -> Key {
        if self.len > INLINE_BYTES {
            return Key(Repr::Heap(self.heap.into()));
        }
        let [a, b, c, d] = self.words;
        Key::from_words([a, b, c, d | (self.len as u64) << 48])
    }
}

impl Key {
    /// The key of `tag` and `bytes`, if it can be held inline. As a builder makes it, but without a loop
    /// and a place in memory: text is what most keys are.
    #[inline(always)]
    pub(super) fn short(tag: u8, bytes: &[u8]) -> Option<Self> {
        let len = bytes.len() + 1;
        if len > INLINE_BYTES {
            return None;
        }
        let [a, b, c, d] = [0, 8, 16, 24].map(|at| bytes.get(at..).map_or(0, little_endian));
        // Each byte is one place further on, behind the tag.
        let words = [u64::from(tag) | a << 8, a >> 56 | b << 8, b >> 56 | c << 8, c >> 56 | d << 8];
        let [a, b, c, d] = words;
        Some(Self::from_words([a, b, c, d | (len as u64) << 48]))
    }
}

fn bytes_of(words: [u64; 4]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The first eight bytes, or as many as there are, as a number, without a loop.
#[inline(always)]
fn little_endian(bytes: &[u8]) -> u64 {
    if let Some(all) = bytes.first_chunk() {
        return u64::from_le_bytes(*all);
    }
    if let (Some(low), Some(high)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let high = u64::from(u32::from_le_bytes(*high));
        return u64::from(u32::from_le_bytes(*low)) | high << ((bytes.len() - 4) * 8);
    }
    let byte = |at: usize| u64::from(bytes.get(at).copied().unwrap_or(0)) << (at * 8);
    byte(0) | byte(1) | byte(2)
}
