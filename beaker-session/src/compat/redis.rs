//! The sessions of type `ext:redis`: a key for each.
//!
//! Keys and values only: talk to the server by a client of yours. Give each value the time to live that
//! [`backend_timeout`](super::backend_timeout) says, by `SETEX`, or none by `SET`. So the server forgets a
//! session that has a longer time-out of its own, if nobody uses it for so long.
//!
//! [`TextStore::update`](super::TextStore::update) is `WATCH` and `GET`, and the change between `MULTI`
//! and `EXEC`, on a connection that nobody else uses meanwhile. Begin again if `EXEC` answers with nil:
//! somebody else was there. Where nothing is to be changed, or the change fails, `UNWATCH` before somebody else gets
//! the connection: his `EXEC` would answer with nil.

use beaker_namespace::compat::sha1_hex;

use super::{BeakerId, PayloadLimits, pickled};
use crate::Error;

/// The longest key that Beaker takes, in characters, and what it counts of it beside the id.
const MAX_KEY_CHARS: usize = 1024;
const PREFIX_CHARS: usize = 14;

/// The key of a session.
///
/// # Examples
///
/// ```
/// use beaker_session::compat::{BeakerId, redis};
///
/// let id = BeakerId::parse("23fd3f1909e14e5f82919cd6dd1ad06f")?;
/// assert_eq!(redis::key(&id), "beaker_cache:23fd3f1909e14e5f82919cd6dd1ad06f:session");
/// # Ok::<(), beaker_session::Error>(())
/// ```
pub fn key(id: &BeakerId) -> String {
    let id = id.expose_text();
    // Beaker shortens only the last part, so an id that fills the key by itself stays as long.
    let room = (MAX_KEY_CHARS - PREFIX_CHARS).checked_sub(id.chars().count());
    match room.is_some_and(|room| pickled::SESSION.len() <= room) {
        true => format!("beaker_cache:{id}:{}", pickled::SESSION),
        false => format!("beaker_cache:{id}:{}", sha1_hex(pickled::SESSION)),
    }
}

/// The value for the text of a session.
pub fn encode(text: &str) -> Vec<u8> {
    pickled::write_text(text)
}

/// The text of the session in a value.
///
/// # Errors
///
/// [`Corrupt`](crate::ErrorKind::Corrupt) if it is not Beaker's,
/// [`TooLarge`](crate::ErrorKind::TooLarge) beyond the limits.
pub fn decode(value: &[u8], limits: PayloadLimits) -> Result<String, Error> {
    pickled::read_text(value, limits.text())
}
