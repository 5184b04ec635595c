//! What all caches on one namespace have in common in this process.

use std::sync::{Arc, LazyLock};

use beaker_namespace::{Key, NamespaceId};
use beaker_syncdict::{Flights, WeakRegistry};

use super::counts::Counts;
use super::failures::Failures;
use super::outcome::Outcome;
use super::pace::Pace;

pub(crate) type KeyFlights = Flights<Key, Outcome>;

#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) flights: Arc<KeyFlights>,
    pub(crate) failures: Failures,
    pub(crate) pace: Pace,
    pub(crate) counts: Counts,
}

/// Of every namespace that somebody holds.
static SHARED: LazyLock<WeakRegistry<NamespaceId, Shared>> = LazyLock::new(WeakRegistry::weak);

impl Shared {
    pub(crate) fn of(namespace: &NamespaceId) -> Arc<Self> {
        SHARED.get_or_create(namespace, Arc::default).unwrap_or_else(|_reentrant| Arc::default())
    }
}
