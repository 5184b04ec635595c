//! Base64 whose last two characters can be chosen, read strictly.
//!
//! Python calls the choice `altchars`: two characters in place of `+` and `/`. Decoding is strict,
//! unlike Python's: only the 64 characters of the alphabet, canonical padding, no stray bits in
//! the last character. So a payload has exactly one text, and a text that was tampered with is
//! refused or decodes to something else.
//!
//! Beaker itself has no alphabet of its own; its sessions use [`STANDARD`].
//!
//! Not constant-time: what a key is made of should not be decoded where its timing can be seen.
//!
//! # Examples
//!
//! ```
//! use beaker_namespace::base64::{Alphabet, STANDARD, b64decode, b64encode};
//!
//! let cookie = Alphabet::with_altchars(*b"._")?;
//! assert_eq!(b64encode([0xfb, 0xff], &STANDARD), "+/8=");
//! assert_eq!(b64encode([0xfb, 0xff], &cookie), "._8=");
//! assert_eq!(b64decode("._8=", &cookie)?, [0xfb, 0xff]);
//!
//! let error = b64decode("+/8=", &cookie).unwrap_err();
//! assert_eq!(error.to_string(), "byte 0 is not in the base64 alphabet");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use ::base64::Engine;
use ::base64::alphabet;
use ::base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// `A`-`Z`, `a`-`z`, `0`-`9`, `+`, `/`.
pub static STANDARD: Alphabet = Alphabet::preset(*b"+/", &alphabet::STANDARD);

/// `A`-`Z`, `a`-`z`, `0`-`9`, `-`, `_`: safe in URLs and file names.
pub static URL_SAFE: Alphabet = Alphabet::preset(*b"-_", &alphabet::URL_SAFE);

const LETTERS_AND_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The 64 characters of a base64 text; `=` is always the padding.
#[derive(Clone)]
pub struct Alphabet {
    altchars: [u8; 2],
    engine: GeneralPurpose,
}

/// Why two characters cannot complete an alphabet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlphabetError {
    position: usize,
    reason: &'static str,
}

/// Why a text is not base64.
///
/// It tells the place and what is wrong there, never the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError(::base64::DecodeError);

/// Returns `bytes` as padded base64.
#[doc(alias = "altchars")]
pub fn b64encode(bytes: impl AsRef<[u8]>, alphabet: &Alphabet) -> String {
    alphabet.engine.encode(bytes)
}

/// Returns the bytes that `text` is the base64 of.
///
/// # Errors
///
/// A text that [`b64encode`] would not have written with this alphabet: foreign characters (white
/// space too), padding that is missing, surplus or misplaced, bits set that carry nothing.
#[doc(alias = "altchars")]
pub fn b64decode(text: impl AsRef<[u8]>, alphabet: &Alphabet) -> Result<Vec<u8>, DecodeError> {
    alphabet.engine.decode(text).map_err(DecodeError)
}

impl Alphabet {
    /// Returns the alphabet that has `altchars` in place of `+` and `/`.
    ///
    /// # Errors
    ///
    /// Characters that are not printable ASCII, white space, letters and digits (they are in the
    /// alphabet already), `=` (the padding), and twice the same.
    pub fn with_altchars(altchars: [u8; 2]) -> Result<Self, AlphabetError> {
        for (position, &byte) in altchars.iter().enumerate() {
            check(byte).map_err(|reason| AlphabetError { position, reason })?;
        }
        if altchars[0] == altchars[1] {
            return Err(AlphabetError { position: 1, reason: "is the same as the first" });
        }
        let [first, second] = altchars.map(char::from);
        alphabet::Alphabet::new(&format!("{LETTERS_AND_DIGITS}{first}{second}"))
            .map(|checked| Self::preset(altchars, &checked))
            .map_err(|_| AlphabetError { position: 0, reason: "does not complete an alphabet" })
    }

    /// Returns the two characters that stand in place of `+` and `/`.
    pub fn altchars(&self) -> [u8; 2] {
        self.altchars
    }

    const fn preset(altchars: [u8; 2], alphabet: &alphabet::Alphabet) -> Self {
        // The configuration's defaults are the strict ones: padding written and required
        // canonical, trailing bits refused.
        Self { altchars, engine: GeneralPurpose::new(alphabet, GeneralPurposeConfig::new()) }
    }
}

impl fmt::Debug for Alphabet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let altchars = self.altchars.map(char::from);
        f.debug_struct("Alphabet").field("altchars", &altchars).finish_non_exhaustive()
    }
}

impl PartialEq for Alphabet {
    fn eq(&self, other: &Self) -> bool {
        self.altchars == other.altchars
    }
}

impl Eq for Alphabet {}

fn check(byte: u8) -> Result<(), &'static str> {
    match byte {
        b'=' => Err("is the padding character"),
        _ if byte.is_ascii_alphanumeric() => Err("is in the alphabet already"),
        _ if byte.is_ascii_graphic() => Ok(()),
        _ => Err("is not a printable ASCII character"),
    }
}

impl AlphabetError {
    /// Returns which of the two characters is at fault, 0 or 1.
    pub fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Display for AlphabetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = if self.position == 0 { "first" } else { "second" };
        write!(f, "the {which} alternative character {}", self.reason)
    }
}

impl std::error::Error for AlphabetError {}

impl DecodeError {
    /// Returns the offset in bytes of what is wrong; `None` if it is the length or the padding.
    pub fn position(&self) -> Option<usize> {
        match self.0 {
            ::base64::DecodeError::InvalidByte(offset, _)
            | ::base64::DecodeError::InvalidLastSymbol { offset, .. } => Some(offset),
            _ => None,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ::base64::DecodeError::InvalidByte(at, b'=') => {
                write!(f, "byte {at} is base64 padding that does not belong there")
            }
            ::base64::DecodeError::InvalidByte(at, _) => {
                write!(f, "byte {at} is not in the base64 alphabet")
            }
            ::base64::DecodeError::InvalidLastSymbol { offset, .. } => {
                write!(f, "byte {offset}, the last of the base64 text, has bits set that must be 0")
            }
            ::base64::DecodeError::InvalidLength(length) => {
                write!(f, "{length} base64 characters end in the middle of a byte")
            }
            _ => f.write_str("the base64 padding is missing or incomplete"),
        }
    }
}

impl std::error::Error for DecodeError {}
