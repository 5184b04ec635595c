//! Web sessions.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub mod axum;
#[cfg(feature = "beaker-compat")]
#[cfg_attr(docsrs, doc(cfg(feature = "beaker-compat")))]
pub mod compat;
mod config;
mod cookie;
mod core;
mod data;
mod entropy;
mod error;
mod id;
mod keys;
mod lazy;
mod record;
mod session;
mod sessions;
mod store;
#[cfg(feature = "tokio")]
mod tasks;
#[cfg(feature = "testkit")]
#[cfg_attr(docsrs, doc(cfg(feature = "testkit")))]
pub mod testkit;
mod text64;
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
mod tower;

pub use self::config::{
    AccessPolicy, Config, CorruptPolicy, MergePolicy, OutagePolicy, ServerErrorPolicy,
};
pub use self::cookie::{CookieConfig, CookieLife, MAX_COOKIE_BYTES, SameSite, SetCookie};
pub use self::core::{Answer, Counters, Counts, Op, Origin, Outgoing, SessionCore, Step};
pub use self::data::{Data, Value};
pub use self::entropy::{Entropy, SystemEntropy};
pub use self::error::{Error, ErrorKind};
pub use self::id::{RecordKey, SessionId};
pub use self::keys::{KeyRing, SecretKey};
pub use self::lazy::LazySession;
pub use self::record::{CLOCK_SKEW, Record, Stored, Version};
pub use self::session::{Entry, Flash, Session, Site, site_of};
pub use self::sessions::{Builder, Collector, Device, Sessions};
pub use self::store::{
    Created, Deleted, Loaded, Member, NamespaceStore, Renamed, Renaming, SessionStore, Touched,
    Updated,
};
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use self::tower::{SessionFuture, SessionLayer, SessionService};
