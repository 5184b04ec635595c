//! What shows the inside to the outside: spans and events by `tracing`, numbers by `metrics`.
//
// Each half has a twin of the same shape that does nothing, for programs without the feature.

#[cfg(feature = "metrics")]
mod meter;
#[cfg(not(feature = "metrics"))]
#[path = "no_meter.rs"]
mod meter;
#[cfg(feature = "tracing")]
mod trace;
#[cfg(not(feature = "tracing"))]
#[path = "no_trace.rs"]
mod trace;

use beaker_namespace::{Key, NamespaceId};

pub(crate) use self::meter::Meter;
#[cfg(feature = "metrics")]
pub use self::meter::publish_metrics;
pub(crate) use self::trace::{
    Caller, Span, Trace, drained, region_invalidated, uncached, unused_option,
};

/// The cache and the key that something is about.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "only spans and events show it"))]
pub(crate) struct About<'a> {
    pub(crate) cache: &'a NamespaceId,
    pub(crate) key: &'a Key,
}

/// Why a value is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// There was none.
    Miss,
    /// It expired, or was invalidated.
    Expired,
    /// It is fresh, and made anew before it expires.
    Early,
}
