//! The sessions of type `ext:memcached`: a key for each.
//!
//! Keys and values only: talk to the server by a client of yours. Beaker gives sessions no time to
//! live there. Beyond thirty days the server would take one for a date.
//!
//! [`TextStore::update`](super::TextStore::update) is `gets`, and then with the number that it gave `cas`,
//! or `md` with its flag `C` to remove a session; `add` where there was none. Begin again if the server
//! did not do it: somebody else was there. `set` and `delete` would lose what Python wrote.
//!
//! A server takes values of up to 1 MiB unless it is told otherwise. By default a session that
//! [`PayloadLimits`] allow is smaller.

use beaker_namespace::compat::sha1_hex;

use super::payload::inflate;
use super::{BeakerId, PayloadLimits, pickled};
use crate::{Error, ErrorKind};

/// The flags of a text as `memcache` has them: the Python library that Beaker takes if it is there
/// (of the package python-memcached).
pub const FLAGS: u32 = 16;

/// The flags of a text as `bmemcached` has them: the Python library that Beaker takes if
/// `memcache_module` names it, or if there is no other (of the package python-binary-memcached).
pub const BMEMCACHED_FLAGS: u32 = 0;

/// The flags of what is no text in either library: pickles and numbers.
const OTHER_TYPES: u32 = 1 | 2 | 4;

/// The flag of what is packed by zlib.
const PACKED: u32 = 8;

/// The longest key that Beaker takes, in characters.
const MAX_KEY_CHARS: usize = 250;

/// The key of a session.
///
/// # Examples
///
/// ```
/// use beaker_session::compat::{BeakerId, memcached};
///
/// let id = BeakerId::parse("1fcd398a084a43b29d6d77a07d772c5c")?;
/// assert_eq!(memcached::key(&id), "1fcd398a084a43b29d6d77a07d772c5c_session");
/// # Ok::<(), beaker_session::Error>(())
/// ```
pub fn key(id: &BeakerId) -> String {
    let key = format!("{}_{}", id.expose_text(), pickled::SESSION).replace(' ', "\u{c2}\u{b7}");
    match key.chars().count() > MAX_KEY_CHARS {
        true => sha1_hex(&key),
        false => key,
    }
}

/// The value for the text of a session: the text.
///
/// Store it with the flags of the library that the Python program has, [`FLAGS`] or
/// [`BMEMCACHED_FLAGS`]. With those of the other one Python gets bytes in place of a text: the request
/// fails there, or takes the session for a damaged one.
pub fn encode(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// The text of the session in a value with these flags, whichever library wrote it. `bmemcached` packs
/// all but short ones.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if it is no text, [`TooLarge`](ErrorKind::TooLarge) beyond the
/// limits.
pub fn decode(value: &[u8], flags: u32, limits: PayloadLimits) -> Result<String, Error> {
    let fail = |kind| Error::new(kind, "read Beaker's session");
    let no_text = || fail(ErrorKind::Corrupt).with_detail("it is no text");
    if value.len() > limits.text() {
        return Err(fail(ErrorKind::TooLarge)
            .with_detail("it is larger than `PayloadLimits::max_text_bytes`"));
    }
    if flags & OTHER_TYPES != 0 {
        return Err(no_text());
    }
    let text = match flags & PACKED {
        0 => value.to_vec(),
        _ => inflate(value, limits.text(), "max_text_bytes")?.to_vec(),
    };
    String::from_utf8(text).map_err(|_| no_text())
}
