use std::fmt;

use beaker_namespace::compat::{EncodedPathOptions, FileNames, encoded_path};
use zeroize::Zeroizing;

use crate::entropy::draw;
use crate::{Entropy, Error, ErrorKind};

/// Characters of an id that Beaker made.
const ID_CHARS: usize = 32;

/// The most bytes of an id that a program chose itself.
const MAX_CUSTOM_BYTES: usize = 2048;

/// The id of a session of Beaker's, as text.
///
/// Who knows it is that visitor, so `Debug` does not show it. Beaker keeps it in plain sight: as a
/// file's name or a part of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct BeakerId(Zeroizing<String>);

impl BeakerId {
    /// Reads an id that Beaker made: 32 lower-case hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`Rejected`](ErrorKind::Rejected) for anything else, without the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != ID_CHARS || !text.bytes().all(is_digit) {
            return Err(rejected("it is not 32 lower-case hexadecimal digits"));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Takes an id that the program chose itself, which Beaker allows. Never give it what came
    /// from a browser without a signature: [`parse`](Self::parse) does for that.
    ///
    /// Different ids may name one file: Beaker drops what is before the last `/`, and all dots.
    ///
    /// # Errors
    ///
    /// [`Rejected`](ErrorKind::Rejected) if it is empty, longer than 2,048 bytes, has control
    /// characters, or names no file.
    pub fn custom(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_CUSTOM_BYTES {
            return Err(rejected("it is longer than 2,048 bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(rejected("it has control characters"));
        }
        // With no extension a name that Beaker makes nothing of is no path at all.
        let bare = EncodedPathOptions::new().extension("").file_names(FileNames::Plain);
        if encoded_path(&[text], &bare).is_err() {
            return Err(rejected("it is empty, or nothing is left of it for a file's name"));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Makes an id as Beaker does: a random UUID of version 4, without dashes.
    ///
    /// # Errors
    ///
    /// [`Entropy`](ErrorKind::Entropy) if there are no random bytes.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, Error> {
        let mut bytes: [u8; 16] = draw(entropy)?;
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Ok(Self::from_bytes(bytes))
    }

    /// The id with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        Self(Zeroizing::new(digits.collect()))
    }

    /// The bytes, if it is an id that Beaker made; `None` for one that a program chose.
    pub fn to_bytes(&self) -> Option<[u8; 16]> {
        Self::parse(&self.0).ok()?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(self.0.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(bytes)
    }

    /// The text. Keep it as secret as a password.
    pub fn expose_text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BeakerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BeakerId(..)")
    }
}

fn rejected(why: &str) -> Error {
    Error::new(ErrorKind::Rejected, "read Beaker's session id").with_detail(why)
}
