//! Cookies: what is read from the request and written to the response.

mod config;
mod doctor;
mod header;
mod refusal;
mod sealed;
mod set_cookie;
mod signed;
mod text;

pub use self::config::{CookieConfig, CookieLife, SameSite};
pub use self::doctor::{CookieTrouble, diagnose};
#[cfg(feature = "beaker-compat")]
pub(crate) use self::header::MAX_CANDIDATES;
pub(crate) use self::header::candidates;
pub use self::refusal::Refusal;
pub(crate) use self::sealed::{Encrypted, Readable};
pub use self::set_cookie::SetCookie;
pub(crate) use self::set_cookie::check_size;
pub(crate) use self::signed::{Signer, Verified};
pub(crate) use self::text::{CookieHeaders, CookieText, Form};

/// The most that browsers keep of a cookie: the bytes of its name and its value together (RFC
/// 6265bis).
pub const MAX_COOKIE_BYTES: usize = 4096;

/// The most that browsers keep of one attribute's value (RFC 6265bis).
pub(crate) const MAX_ATTRIBUTE_BYTES: usize = 1024;
