//! What a look into the store found.

use std::time::Duration;

use beaker_namespace::{Entry, Mark, Tags, Timestamp};

use crate::got::{Got, Source};
use crate::policy::Policy;

/// What a look found.
pub(super) enum Found<V> {
    Current(Seen<V>),
    /// Expired, or outdated: to be made anew, and perhaps served meanwhile.
    Old(Seen<V>),
    Absent,
}

/// A value from the store, and when it may be served.
#[derive(Debug, Clone)]
pub(super) struct Seen<V> {
    pub(super) value: V,
    pub(super) began: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) etag: Option<String>,
    pub(super) tags: Option<Tags>,
    pub(super) serves: Serves,
}

/// On which conditions an expired value may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Serves {
    pub(super) while_refreshing: bool,
    pub(super) on_error: bool,
}

impl Serves {
    pub(super) fn new(policy: &Policy, allowed: bool) -> Self {
        Self {
            while_refreshing: allowed && policy.stale.while_refreshing(),
            on_error: allowed && policy.stale.on_error(),
        }
    }

    pub(super) const fn any(self) -> bool {
        self.while_refreshing || self.on_error
    }
}

impl<V> Seen<V> {
    pub(super) fn new(value: V, entry: &Entry, serves: Serves) -> Self {
        Self {
            value,
            began: entry.began(),
            expires: entry.expires(),
            etag: entry.entity_tag().map(str::to_owned),
            tags: entry.shared_tags(),
            serves,
        }
    }

    pub(super) fn got(self, source: Source, now: Timestamp) -> Got<V> {
        Got {
            value: self.value,
            source,
            age: now.saturating_duration_since(self.began),
            ttl: ttl_left(self.expires, now),
            stored: true,
        }
    }
}

/// The time left until `expires`; `None` for ever.
pub(super) fn ttl_left(expires: Timestamp, now: Timestamp) -> Option<Duration> {
    (!expires.is_never()).then(|| expires.saturating_duration_since(now))
}

/// What marks say about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    Valid,
    /// To be made anew; it was invalidated at this moment, and may be served stale.
    Expired(Timestamp),
    /// As if it were not there.
    Gone,
}

impl Validity {
    pub(super) fn of(mark: Mark, began: Timestamp) -> Self {
        if mark.gone_until().is_some_and(|until| began <= until) {
            return Self::Gone;
        }
        match mark.expired_until() {
            Some(until) if began <= until => Self::Expired(until),
            _ => Self::Valid,
        }
    }
}
