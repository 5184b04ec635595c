//! How sessions behave: what each request's session is given.

mod policy;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::policy::AdmissionHook;
pub use self::policy::{
    AccessPolicy, Admission, CorruptPolicy, MergePolicy, OutagePolicy, Rescue, Rescued,
    ServerErrorPolicy,
};
pub(crate) use self::wire::{Attributes, NativeWire, Sealed, Sealer, Wire};
#[cfg(feature = "tokio")]
use crate::cookie::CookieText;
use crate::core::Counters;
use crate::entropy::Entropy;
use crate::keys::IdKeys;
use crate::session::SitePolicy;
use crate::store::SessionStore;

/// The settings of a site's sessions; made by [`Sessions::builder`](crate::Sessions::builder).
pub struct Config {
    pub(crate) wire: Arc<dyn Wire>,
    /// Set if the whole session is in the cookie.
    pub(crate) sealer: Option<Arc<dyn Sealer>>,
    pub(crate) bridge: Option<Bridge>,
    /// Hashes ids to the secrets of forms.
    pub(crate) id_keys: IdKeys,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) idle: Option<Duration>,
    pub(crate) absolute: Option<Duration>,
    pub(crate) access: AccessPolicy,
    pub(crate) merge: MergePolicy,
    pub(crate) outage: OutagePolicy,
    pub(crate) corrupt: CorruptPolicy,
    pub(crate) server_errors: ServerErrorPolicy,
    pub(crate) admission: Option<AdmissionHook>,
    /// Which requests of other sites the layers refuse.
    #[cfg_attr(
        not(any(feature = "actix", feature = "tower")),
        allow(dead_code, reason = "the layers look at it")
    )]
    pub(crate) sites: SitePolicy,
    /// About as many bytes as a session's record may take as JSON.
    pub(crate) max_bytes: usize,
    /// How long an old id is known to have been renewed.
    pub(crate) grace: Duration,
    /// Whether cookie-only sessions are compared with their subject's epoch.
    pub(crate) epochs: bool,
    pub(crate) counts: Counters,
}

impl Config {
    /// Whether `cookies` hold one that may name a session.
    #[cfg(feature = "tokio")]
    pub(crate) fn finds_any(&self, cookies: CookieText<'_>) -> bool {
        let mut any = false;
        let mut see = |_: &[u8]| any = true;
        self.wire.candidates(&mut cookies.headers(), &mut see);
        if let Some(bridge) = &self.bridge {
            bridge.wire.candidates(&mut cookies.headers(), &mut see);
        }
        any
    }
}

/// Another system's sessions, which are read where there is none of ours.
#[derive(Debug, Clone)]
pub(crate) struct Bridge {
    pub(crate) wire: Arc<dyn Wire>,
    pub(crate) kept: Kept,
}

/// Where the other system keeps them.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(feature = "beaker-compat"),
    allow(dead_code, reason = "the only bridge is that to Python's Beaker")
)]
pub(crate) enum Kept {
    InStore(Arc<dyn SessionStore>),
    InCookie(Arc<dyn Sealer>),
}

impl Bridge {
    pub(crate) fn store(&self) -> Option<Arc<dyn SessionStore>> {
        match &self.kept {
            Kept::InStore(store) => Some(Arc::clone(store)),
            Kept::InCookie(_) => None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("wire", &self.wire)
            .field("idle", &self.idle)
            .field("absolute", &self.absolute)
            .field("access", &self.access)
            .field("merge", &self.merge)
            .field("outage", &self.outage)
            .field("corrupt", &self.corrupt)
            .field("server_errors", &self.server_errors)
            .finish_non_exhaustive()
    }
}
