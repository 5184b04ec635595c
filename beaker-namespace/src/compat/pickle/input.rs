use super::corrupt;
use crate::Error;

/// A part of the pickle's bytes.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    at: u32,
    len: u32,
}

impl Span {
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        let at = self.at as usize;
        bytes.get(at..at + self.len as usize).unwrap_or_default()
    }
}

/// The pickle's bytes, read from front to back. At most 4 GiB, which the budget sees to.
#[derive(Debug)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the last instruction began, for messages.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn span(&mut self, len: u64) -> Result<Span, Error> {
        let left = self.bytes.len() - self.at;
        let Some(len) = usize::try_from(len).ok().filter(|&len| len <= left) else {
            return Err(corrupt(self.bytes.len(), "the pickle ends too early"));
        };
        // Within `bytes`, whose length fits.
        let span = Span { at: self.at as u32, len: len as u32 };
        self.at += len;
        Ok(span)
    }

    pub(super) fn take(&mut self, len: u64) -> Result<&'a [u8], Error> {
        Ok(self.span(len)?.of(self.bytes))
    }

    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    /// The next `len` bytes, at most 8, as a little-endian number.
    pub(super) fn number(&mut self, len: u64) -> Result<u64, Error> {
        let mut word = [0; 8];
        for (place, &byte) in word.iter_mut().zip(self.take(len)?) {
            *place = byte;
        }
        Ok(u64::from_le_bytes(word))
    }

    /// What is before the next line end, which is passed.
    pub(super) fn line(&mut self) -> Result<&'a [u8], Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(len) = rest.iter().position(|&byte| byte == b'\n') else {
            return Err(corrupt(self.bytes.len(), "the pickle ends too early"));
        };
        self.at += len + 1;
        Ok(&rest[..len])
    }
}
