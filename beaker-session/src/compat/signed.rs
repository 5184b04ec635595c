use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::Secret;
use crate::{Error, ErrorKind};

/// Hexadecimal digits of a signature.
pub(super) const SIGNATURE_CHARS: usize = 40;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Signs and checks the values of cookies as Beaker's `SignedCookie` does.
///
/// A signed value is the HMAC-SHA1 of the value under the secret, in 40 lower-case hexadecimal
/// digits, and then the value itself. The cookie's name is no part of it: what was signed for one
/// cookie is good in every other that has the same secret.
///
/// # Examples
///
/// ```
/// use beaker_session::compat::{CookieSigner, Signed};
///
/// let signer = CookieSigner::new("secret")?;
/// let coded = signer.sign("0123456789abcdef0123456789abcdef");
/// assert!(coded.starts_with("491e10b57e6d7e4d2c5b52bf36b41ac7c9c9794d0123"));
/// assert_eq!(signer.verify(&coded), Signed::Value("0123456789abcdef0123456789abcdef"));
/// assert_eq!(signer.verify("0123"), Signed::Invalid);
/// # Ok::<(), beaker_session::Error>(())
/// ```
#[derive(Clone)]
#[doc(alias = "SignedCookie")]
pub struct CookieSigner(Hmac<Sha1>);

/// What a cookie's value turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "InvalidSignature")]
pub enum Signed<'a> {
    /// The signature is good, and this is what was signed; it may be empty.
    Value(&'a str),
    /// There is no signature, or not that of this value under this secret.
    Invalid,
    /// The cookie has no value at all, or nothing but quotes.
    Empty,
}

impl CookieSigner {
    /// A signer with Beaker's `secret`, or with its `validate_key` for sessions that are all in the
    /// cookie.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if the secret is empty.
    pub fn new(secret: &str) -> Result<Self, Error> {
        let secret = Secret::new(secret)?;
        // A key of any length is taken.
        Hmac::new_from_slice(secret.as_str().as_bytes()).map(Self).map_err(|error| {
            Error::new(ErrorKind::Config, "read Beaker's secret").with_source(error)
        })
    }

    /// Returns the signature and then `value`.
    ///
    /// Nothing is quoted: a value with a `;` or a space does not come back from a browser.
    pub fn sign(&self, value: &str) -> String {
        let mut coded = String::with_capacity(SIGNATURE_CHARS + value.len());
        coded.extend(self.signature(value).map(char::from));
        coded.push_str(value);
        coded
    }

    /// Returns what is signed in `coded`, the value of a cookie.
    ///
    /// Quotes around it are dropped. The time that the comparison takes tells nothing about where
    /// the first difference is.
    pub fn verify<'a>(&self, coded: &'a str) -> Signed<'a> {
        let coded = coded.trim_matches('"');
        if coded.is_empty() {
            return Signed::Empty;
        }
        let Some((signature, value)) = coded.split_at_checked(SIGNATURE_CHARS) else {
            return Signed::Invalid;
        };
        match bool::from(self.signature(value).ct_eq(signature.as_bytes())) {
            true => Signed::Value(value),
            false => Signed::Invalid,
        }
    }

    fn signature(&self, value: &str) -> [u8; SIGNATURE_CHARS] {
        let code = self.0.clone().chain_update(value.as_bytes()).finalize().into_bytes();
        let mut digits = [b'0'; SIGNATURE_CHARS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(code) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        digits
    }
}

// Its key is wiped when it is dropped: an `Hmac` keeps two states of a `Sha1`. Fails to compile if the feature
// for that is off.
const _: fn() = || {
    fn is_wiped<T: zeroize::ZeroizeOnDrop>() {}
    is_wiped::<Sha1>();
};

impl fmt::Debug for CookieSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSigner(..)")
    }
}
