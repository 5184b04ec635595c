//! Who is told of values that leave.
//
// A store tells of what leaves by its own doing, the life of the caches of the rest. A listener is
// told under no lock, and kept by the caches that it was given to: the list holds it weakly.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use beaker_namespace::{Departure, Key, Namespace, OnDeparture};
use parking_lot::RwLock;

use super::counts::Count;
use super::{Region, Shared};
use crate::{Invalidator, RemovalCause};

pub(crate) type Listener = dyn Fn(Removal<'_>) + Send + Sync;

/// Of what listeners are told.
#[derive(Clone, Copy)]
pub(crate) struct Removal<'a> {
    /// `None` if it is not one value that left.
    pub(crate) key: Option<&'a Key>,
    pub(crate) cause: &'a RemovalCause,
    /// Whether there was something under the key. Of a batch a store says how many keys had something, and
    /// not which.
    pub(crate) is_sure: bool,
}

/// A listener that is told as long as this, or a copy of it, is kept.
#[derive(Clone)]
pub(crate) struct Listening {
    listener: Arc<Listener>,
    _told_by_life: Arc<Listener>,
    _told_by_store: Arc<OnDeparture>,
    /// Whether the store tells of what it drops. One that does not only counts.
    pub(super) hears_the_store: bool,
}

impl Listening {
    pub(super) fn begin(
        listener: Arc<Listener>,
        shared: &Arc<Shared>,
        namespace: &dyn Namespace,
        region: Option<&Region>,
    ) -> Self {
        let (call, counts) = (Arc::clone(&listener), Arc::clone(shared));
        let told: Arc<Listener> = Arc::new(move |removal: Removal<'_>| {
            if catch_unwind(AssertUnwindSafe(|| call(removal))).is_err() {
                counts.count(Count::ListenerPanics);
            }
        });
        shared.listeners.add(&told, None);
        if let Some(region) = region {
            region.shared.listeners.add(&told, Some(&region.name));
        }
        let tell = Arc::clone(&told);
        let by_store: Arc<OnDeparture> = Arc::new(move |key: &Key, departure: Departure| {
            let cause = &RemovalCause::of(departure);
            tell(Removal { key: Some(key), cause, is_sure: true });
        });
        let hears_the_store = namespace.on_departure(&by_store);
        Self { listener, _told_by_life: told, _told_by_store: by_store, hears_the_store }
    }

    /// The same listener on another namespace.
    pub(super) fn on(
        &self,
        shared: &Arc<Shared>,
        namespace: &dyn Namespace,
        region: Option<&Region>,
    ) -> Self {
        Self::begin(Arc::clone(&self.listener), shared, namespace, region)
    }
}

/// All listeners on one namespace in this process.
#[derive(Default)]
pub(crate) struct Listeners {
    /// Whether there may be one: where there was none, a removal costs one load.
    any: AtomicBool,
    all: RwLock<Vec<Told>>,
}

struct Told {
    listener: Weak<Listener>,
    /// The region whose invalidations it is told of, in the namespace of the marks of regions.
    region: Option<Arc<str>>,
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").field("any", &self.any).finish_non_exhaustive()
    }
}

impl Listeners {
    fn add(&self, listener: &Arc<Listener>, region: Option<&Arc<str>>) {
        let mut all = self.all.write();
        all.retain(|told| told.listener.strong_count() > 0);
        all.push(Told { listener: Arc::downgrade(listener), region: region.cloned() });
        // Release pairs with the load in `any`.
        self.any.store(true, Ordering::Release);
    }

    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    pub(super) fn tell(&self, removal: Removal<'_>) {
        if !self.any() {
            return;
        }
        let region = match removal.cause {
            RemovalCause::Invalidated { by: Invalidator::Region(name), .. } => Some(&**name),
            _ => None,
        };
        let wanted = |told: &&Told| told.region.as_deref() == region;
        let all = self.all.read();
        let told: Vec<_> =
            all.iter().filter(wanted).filter_map(|told| told.listener.upgrade()).collect();
        drop(all);
        told.iter().for_each(|listener| listener(removal));
    }
}
