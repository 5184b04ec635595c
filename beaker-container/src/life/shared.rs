//! What all caches on one namespace have in common in this process.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use beaker_namespace::{Key, Namespace, NamespaceId};
use beaker_syncdict::{Flights, WeakRegistry};

use super::counts::{Count, Counts};
use super::failures::Failures;
use super::listeners::Listeners;
use super::outcome::Outcome;
use super::pace::Pace;
use crate::watch::Meter;

pub(crate) type KeyFlights = Flights<Key, Outcome>;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) flights: Arc<KeyFlights>,
    pub(crate) failures: Failures,
    pub(crate) pace: Pace,
    pub(crate) counts: Counts,
    pub(crate) listeners: Listeners,
    pub(crate) meter: Meter,
}

/// Of every namespace that somebody holds.
static SHARED: LazyLock<WeakRegistry<NamespaceId, Shared>> = LazyLock::new(WeakRegistry::weak);

impl Shared {
    pub(crate) fn of(namespace: &Arc<dyn Namespace>) -> Arc<Self> {
        let make = || Arc::new(Self::new(namespace));
        let shared = SHARED.get_or_create(namespace.id(), make).unwrap_or_else(|_reentrant| make());
        shared.meter.watch(namespace);
        shared
    }

    fn new(namespace: &Arc<dyn Namespace>) -> Self {
        Self {
            flights: Arc::default(),
            failures: Failures::default(),
            pace: Pace::default(),
            counts: Counts::default(),
            listeners: Listeners::default(),
            meter: Meter::new(namespace.id()),
        }
    }

    /// What is shared on each namespace that is open.
    #[cfg(feature = "metrics")]
    pub(crate) fn all() -> Vec<Arc<Self>> {
        SHARED.keys().iter().filter_map(|id| SHARED.get(id)).collect()
    }

    /// A creation gave a value, after this long.
    pub(crate) fn learn(&self, took: Duration) {
        self.pace.learn(took);
        self.meter.created(took);
    }

    pub(crate) fn count(&self, what: Count) {
        self.counts.add(what);
        self.meter.count(what);
    }
}
