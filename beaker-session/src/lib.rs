//! Web sessions that lose no write and never come back after logout.
//!
//! A visitor's values are kept in any [`Namespace`](beaker_namespace::Namespace) (memory, files,
//! SQLite, ...), or whole in an encrypted cookie. Nothing is read, written or sent until a handler
//! looks into its session. Two requests at the same time are merged value by value, or, if so
//! [configured](MergePolicy::Lock), come one after the other. This crate is no login: it does not know
//! who a visitor is or what he may do.
//!
//! ```
//! use beaker_namespace::Stores;
//! use beaker_session::Sessions;
//!
//! let store = Stores::new().open(&"memory:".parse()?, "sessions")?;
//! let sessions = Sessions::builder().with_namespace(store).build()?;
//!
//! // What an adapter does with each request:
//! let request = sessions.begin([]); // its Cookie headers
//! let session = request.load()?;
//! session.insert("name", "Ada")?;
//! assert_eq!(session.add("visits", 1)?, 1); // other requests at the same time count too
//! let headers = request.commit()?; // for its response
//! assert_eq!(headers.set_cookies().len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is here
//!
//! - [`Sessions`]: a site's sessions. [`Builder`]: their settings. [`Device`]: a user's sessions,
//!   to be listed and revoked. [`Collector`]: sweeping in the background.
//! - [`LazySession`]: the session of one request. [`Session`]: the same, loaded. [`Entry`],
//!   [`Flash`]. [`SessionData`](trait@SessionData): all of it as one struct, and what becomes of older ones. [`Waited`]: what a wait
//!   for its end came to.
//! - [`CookieConfig`], [`KeyRing`], [`SecretKey`]: the cookie and the secrets.
//! - [`AccessPolicy`], [`MergePolicy`], [`OutagePolicy`], [`CorruptPolicy`],
//!   [`ServerErrorPolicy`]: what is decided, and where each is explained.
//! - [`SessionStore`]: what a store must do, and [`AsyncSessionStore`] in tasks. [`NamespaceStore`]: it does so over any namespace.
//!   [`Record`]: what is kept.
//! - [`SessionCore`]: all of that without input and output, for other servers and for tests.
//! - [`site_of`], [`SitePolicy`]: where a request came from, beside the
//!   [token](Session::csrf_token) of a form.
//! - [`diagnose`]: why a browser drops a cookie. [`Sessions::explain`]: why one was refused.
//!
//! # Features
//!
//! All are off by default: what remains works on threads, without a runtime.
//!
//! | feature | what appears | cost |
//! |---|---|---|
//! | `derive` | `#[derive(SessionData)]`: an older session's values renamed, converted and dropped as the struct says | beaker-macros, humantime |
//! | `tokio` | the `_async` methods | tokio (`rt`, `time`) |
//! | `tower` | `SessionLayer`, for any service of the crate `http` | `tokio`, http, tower-layer, tower-service |
//! | `axum` | the extractors: `Session` and `LazySession` as arguments of handlers | `tower`, axum-core |
//! | `actix` | a middleware and extractors for actix-web | `tokio`, actix-web |
//! | `tower-sessions` | our stores for programs that use tower-sessions | `tokio`, tower-sessions-core, async-trait, time |
//! | `beaker-compat` | the cookies, records and options of Python's Beaker | AES, SHA-1, PBKDF2, flate2, beaker-container |
//! | `beaker-dbm` | `beaker-compat`, and Python's sessions of type `dbm`, read and written | gdbm-native |
//! | `tracing` | events where something else happens than a load or a save, and why a response is empty | tracing |
//! | `testkit` | `testkit`: the suite that holds a store to its contract, and a store that fails on demand | none |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "actix")]
#[cfg_attr(docsrs, doc(cfg(feature = "actix")))]
pub mod actix;
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
mod driver;
mod entropy;
mod error;
#[cfg(any(feature = "actix", feature = "tower"))]
mod fields;
mod id;
mod keys;
#[cfg(feature = "derive")]
#[doc(hidden)]
pub mod layout;
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
#[cfg(feature = "tokio")]
mod timer;
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
mod tower;
#[cfg(feature = "tower-sessions")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower-sessions")))]
pub mod tower_sessions;

#[cfg(feature = "derive")]
#[cfg_attr(docsrs, doc(cfg(feature = "derive")))]
pub use beaker_macros::SessionData;

pub use self::config::{
    AccessPolicy, Admission, Config, CorruptPolicy, MergePolicy, OutagePolicy, Rescue, Rescued,
    ServerErrorPolicy,
};
pub use self::cookie::{
    CookieConfig, CookieLife, CookieTrouble, MAX_COOKIE_BYTES, Refusal, SameSite, SetCookie,
    diagnose,
};
pub use self::core::{Answer, Counters, Counts, Op, Origin, Outgoing, SessionCore, Step};
pub use self::data::{Data, Value};
pub use self::entropy::{Entropy, SystemEntropy};
pub use self::error::{Error, ErrorKind};
pub use self::id::{RecordKey, SessionId};
pub use self::keys::{KeyRing, SecretKey};
pub use self::lazy::LazySession;
pub use self::record::{CLOCK_SKEW, Record, Stored, Version};
pub use self::session::{Entry, Flash, Session, SessionData, Site, SitePolicy, Waited, site_of};
pub use self::sessions::{Builder, Collector, Device, SessionLock, Sessions};
pub use self::store::{
    AsyncSessionStore, Created, Deleted, DeletedIf, Loaded, Member, NamespaceStore, Renamed,
    Renaming, SessionStore, Touched, Updated,
};
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use self::tower::{SessionFuture, SessionLayer, SessionService};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(doctest, feature = "derive"))]
#[doc = include_str!("../../beaker-macros/src/session_data.md")]
struct Derived;
