//! Web sessions.
#![forbid(unsafe_code)]
#![allow(dead_code)]

mod cookie;
mod data;
mod entropy;
mod error;
mod id;
mod keys;
mod record;
mod store;
mod text64;

pub use self::cookie::{CookieConfig, CookieLife, MAX_COOKIE_BYTES, SameSite, SetCookie};
pub use self::data::{Data, Value};
pub use self::entropy::{Entropy, SystemEntropy};
pub use self::error::{Error, ErrorKind};
pub use self::id::{RecordKey, SessionId};
pub use self::keys::{KeyRing, SecretKey};
pub use self::record::{CLOCK_SKEW, Record, Stored, Version};
pub use self::store::{
    Created, Deleted, Loaded, Member, NamespaceStore, Renamed, Renaming, SessionStore, Touched,
    Updated,
};

struct Session;
