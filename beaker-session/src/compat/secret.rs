use std::fmt;

use zeroize::Zeroizing;

use crate::Error;

/// A key or a password of Beaker's configuration, as text.
///
/// It is wiped from memory when it is dropped, and never printed. The text that you pass remains
/// yours to wipe.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a copy of `text`.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for an empty text: Beaker would go on without
    /// signatures or without encryption, and say nothing.
    pub fn new(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::config("a secret is empty; give the one of Beaker's configuration"));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// As [`new`](Self::new), for the keys that Beaker takes in ASCII only.
    pub(super) fn ascii(text: &str, option: &str) -> Result<Self, Error> {
        if !text.is_ascii() {
            return Err(Error::config(format!(
                "`{option}` is not ASCII, which Beaker refuses too; give the key that Beaker has"
            )));
        }
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
