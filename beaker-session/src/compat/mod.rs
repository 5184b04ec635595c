//! The bridge to Python's Beaker: its cookies and session records, byte for byte.
//!
//! For a program that moves from Beaker 1.14 (or 1.8 and later) to this crate without logging its
//! visitors out, or that shares sessions with one for a time. Everything here follows Beaker, its
//! weaknesses included where they are part of a format: SHA-1 signatures, keys from passwords by
//! one round of PBKDF2, ids in plain sight in the store. A new program should use none of it.
//!
//! - behind this crate's own sessions: [`Builder::as_beaker`](crate::Builder::as_beaker), which
//!   shares all with a Python program, and
//!   [`Builder::reading_beaker`](crate::Builder::reading_beaker), which takes its sessions over;
//!   with [`BeakerCookie`] and [`BeakerStore`] over a [`TextStore`]
//! - the same out of a Python program's own configuration, `beaker.session.…`: [`BeakerOptions`]
//! - cookies: [`CookieSigner`], [`find_cookie`] and [`session_id`], [`BeakerSetCookie`] and
//!   [`BeakerCookieExpires`]
//! - what is in a session: [`BeakerData`], under its [`BeakerId`]
//! - how that is written: [`PayloadCodec`], with [`Encryption`], within [`PayloadLimits`]
//! - sessions that are all in the cookie: [`CookieSession`]
//! - where Beaker keeps the rest: [`FileSessions`], and `DbmSessions` (feature `beaker-dbm`);
//!   [`dbm`], [`redis`] and [`memcached`] give keys and bytes and leave the talking to a client of
//!   yours, which a [`TextStore`] of yours wraps
//!
//! # What is refused
//!
//! Pickles are read as plain data, and only if [`Serializer::PickleReadOnly`] says so; no object
//! is ever built. AES in counter mode is read and never written, since nobody would notice a
//! change. There is no mode without a cipher where a key was given. Signatures are compared in
//! constant time, and what is read is bounded before it is inflated or parsed.

mod builder;
mod cookie;
mod cookie_header;
mod cookie_session;
mod crypto;
mod data;
pub mod dbm;
#[cfg(feature = "beaker-dbm")]
#[cfg_attr(docsrs, doc(cfg(feature = "beaker-dbm")))]
mod dbm_sessions;
mod file;
mod id;
mod json;
mod lock;
pub mod memcached;
mod options;
mod payload;
mod pickled;
mod record;
pub mod redis;
mod sealer;
mod secret;
mod set_cookie;
mod signed;
mod store;
mod wire;

pub use self::cookie::BeakerCookie;
pub use self::cookie_header::{find_cookie, session_id};
pub use self::cookie_session::{CookieSession, MAX_PAYLOAD_CHARS};
pub use self::crypto::{CryptoType, Encryption, NonceSize};
pub use self::data::{BeakerData, backend_timeout};
#[cfg(feature = "beaker-dbm")]
#[cfg_attr(docsrs, doc(cfg(feature = "beaker-dbm")))]
pub use self::dbm_sessions::{DbmFormat, DbmSessions};
pub use self::file::{Change, FileSessions};
pub use self::id::BeakerId;
pub use self::json::{MAX_DEPTH, to_python_json};
pub use self::options::BeakerOptions;
pub use self::payload::{PayloadCodec, PayloadLimits, Serializer};
pub use self::secret::Secret;
pub use self::set_cookie::{BeakerCookieExpires, BeakerSetCookie, cookie_date};
pub use self::signed::{CookieSigner, Signed};
pub use self::store::{BeakerStore, TextStore};
