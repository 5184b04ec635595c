//! Numbers by the facade `metrics`.
//
// 1. What happens off the way of a hit is counted where it happens.
// 2. Hits, misses and what the store does are counted by the store, which does it without a locked
//    instruction. What was added since the last time is passed on by `publish_metrics`, and after a
//    creation if the last time is `OFTEN` ago and the store says its counts at once.
// 3. Differences are passed on, not sums: two namespaces may have the same labels, and one that was
//    closed and opened again counts from zero.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};

use beaker_namespace::{Latency, Namespace, NamespaceId, Stats};
use metrics::{Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use parking_lot::Mutex;

use crate::life::{Count, REGIONS, Shared};
use crate::{Invalidator, RemovalCause};

/// How often the counts of a store are passed on without being asked for.
const OFTEN: Duration = Duration::from_secs(1);

const CREATION_SECONDS: &str = "beaker_cache_creation_seconds";

const READ_SECONDS: &str = "beaker_cache_read_seconds";

const INVALIDATIONS: &str = "beaker_cache_invalidations_total";

/// The counters of this crate, and what they say.
const COUNTS: [(Count, &str, &str); 12] = [
    (Count::Created, "beaker_cache_creations_total", "Creations that gave a value"),
    (
        Count::Unchanged,
        "beaker_cache_unchanged_total",
        "Creations that found the old value still right",
    ),
    (Count::Failed, "beaker_cache_creation_failures_total", "Creations that gave none"),
    (Count::TimedOut, "beaker_cache_timeouts_total", "Creations that reached a time-out"),
    (Count::Joined, "beaker_cache_joins_total", "Calls that shared another call's creation"),
    (Count::Stale, "beaker_cache_stale_served_total", "Calls that got an old value meanwhile"),
    (Count::Fallbacks, "beaker_cache_fallbacks_total", "Calls that got an old value instead"),
    (Count::Early, "beaker_cache_early_refreshes_total", "Creations begun before the expiry"),
    (Count::Superseded, "beaker_cache_superseded_total", "Values invalidated while they were made"),
    (Count::Unstored, "beaker_cache_unstored_total", "Values that the store did not take"),
    (Count::NotBegun, "beaker_cache_not_begun_total", "Creations that the store did not let begin"),
    (Count::ListenerPanics, "beaker_cache_listener_panics_total", "Panics of removal listeners"),
];

/// The numbers of one namespace.
#[derive(Debug)]
pub(crate) struct Meter {
    labels: [Label; 2],
    /// The regions' marks are nobody's cache.
    is_cache: bool,
    published: Mutex<Published>,
    /// When `published` changed last, in milliseconds since `START`.
    at: AtomicU64,
}

#[derive(Debug, Default)]
struct Published {
    namespace: Option<Weak<dyn Namespace>>,
    stats: Stats,
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The last word before the first colon: `file` of `file:///dir`, also behind a proxy's own words.
fn scheme(store: &str) -> &str {
    let before = store.split(':').next().unwrap_or(store);
    before.rsplit(' ').next().unwrap_or(before)
}

impl Meter {
    pub(crate) fn new(cache: &NamespaceId) -> Self {
        let label = |name: &'static str, value: &str| Label::new(name, value.to_owned());
        Self {
            labels: [label("cache", cache.name()), label("store", scheme(cache.store()))],
            is_cache: cache.name() != REGIONS,
            published: Mutex::default(),
            at: AtomicU64::new(now()),
        }
    }

    /// Reads the counts of `namespace` from now on, unless one of the same identity is still open.
    pub(crate) fn watch(&self, namespace: &Arc<dyn Namespace>) {
        let mut published = self.published.lock();
        let open = published.namespace.as_ref().is_some_and(|open| open.strong_count() > 0);
        if !open {
            *published =
                Published { namespace: Some(Arc::downgrade(namespace)), stats: Stats::default() };
        }
    }

    pub(crate) fn count(&self, what: Count) {
        let Some((_, name, _)) = COUNTS.iter().find(|(count, ..)| *count == what) else { return };
        counter!(*name, self.labels.iter()).increment(1);
    }

    pub(crate) fn read(&self, found: bool, took: Duration) {
        let found = Label::new("found", if found { "yes" } else { "no" });
        let labels: Vec<Label> = self.labels.iter().cloned().chain([found]).collect();
        metrics::histogram!(READ_SECONDS, labels).record(took.as_secs_f64());
    }

    /// Counts what reaches many values at once.
    pub(crate) fn invalidated(&self, cause: &RemovalCause) {
        let cause = match cause {
            RemovalCause::Cleared => "cleared",
            RemovalCause::Invalidated { by: Invalidator::Tag(_), .. } => "tag",
            RemovalCause::Invalidated { by: Invalidator::Region(_), .. } => "region",
            _ => return,
        };
        let cause = Label::new("cause", cause);
        let labels: Vec<Label> = self.labels.iter().cloned().chain([cause]).collect();
        counter!(INVALIDATIONS, labels).increment(1);
    }

    pub(crate) fn created(&self, took: Duration) {
        metrics::histogram!(CREATION_SECONDS, self.labels.iter()).record(took.as_secs_f64());
        let last = Duration::from_millis(self.at.load(Ordering::Relaxed));
        if START.elapsed().saturating_sub(last) >= OFTEN {
            self.publish(|namespace| namespace.latency() == Latency::Inline);
        }
    }

    /// Passes on what was counted since the last time, if the namespace is `wanted`.
    fn publish(&self, wanted: impl FnOnce(&dyn Namespace) -> bool) {
        let open = self.published.lock().namespace.clone();
        // Dropped under no lock: it may be the last holder.
        let Some(namespace) = open.and_then(|open| open.upgrade()) else { return };
        if !self.is_cache || !wanted(&*namespace) {
            return;
        }
        // Who publishes just now does it for both.
        let Some(mut published) = self.published.try_lock() else { return };
        let stats = namespace.stats();
        let before = std::mem::replace(&mut published.stats, stats);
        self.at.store(now(), Ordering::Relaxed);
        drop(published);
        self.pass_on(&before, &stats);
    }

    fn pass_on(&self, before: &Stats, stats: &Stats) {
        let more = |count: fn(&Stats) -> u64| count(stats).saturating_sub(count(before));
        let labels = || self.labels.iter();
        counter!("beaker_cache_hits_total", labels()).increment(more(|stats| stats.hits));
        counter!("beaker_cache_misses_total", labels()).increment(more(|stats| stats.misses));
        counter!("beaker_cache_corrupt_total", labels()).increment(more(|stats| stats.corrupt));
        let removals = [
            ("evicted", more(|stats| stats.evictions)),
            ("expired", more(|stats| stats.expirations)),
            ("removed", more(|stats| stats.removes)),
        ];
        for (cause, removed) in removals {
            let labels: Vec<Label> =
                labels().cloned().chain([Label::new("cause", cause)]).collect();
            counter!("beaker_cache_removals_total", labels).increment(removed);
        }
        let sizes = [
            ("beaker_cache_entries", stats.entries),
            ("beaker_cache_weight", stats.weight),
            ("beaker_cache_store_bytes", stats.size_bytes),
        ];
        for (name, size) in sizes {
            if let Some(size) = size {
                gauge!(name, labels()).set(size as f64);
            }
        }
    }
}

/// Passes the counts of every cache's namespace that is open in this process on to the program's
/// recorder of `metrics`.
///
/// Call it in the handler of a scrape, or now and then. It gives the recorder the texts of all
/// numbers, and what the stores counted since the last time: hits, misses, removals, sizes. A hit
/// itself does not know of the recorder, and stays as quick as without the feature. All else is
/// counted as it happens; so are, once a second at most and only while there are creations, the
/// counts of stores that answer at once.
///
/// The numbers have the labels `cache`, the namespace's name, and `store`, the scheme of its URL:
///
/// | name | kind | |
/// |---|---|---|
/// | `beaker_cache_hits_total`, `_misses_total` | counter | reads that found an entry, or none |
/// | `beaker_cache_creations_total`, `_creation_failures_total` | counter | creations that gave a value, or none |
/// | `beaker_cache_creation_seconds` | histogram | how long those took that gave a value |
/// | `beaker_cache_read_seconds` | histogram | how long reads took, by `found`: `yes`, `no`; of caches [with timed reads](crate::Cache::with_timed_reads) |
/// | `beaker_cache_invalidations_total` | counter | by `cause`: `cleared`, `tag`, `region` (whose `cache` is `beaker regions`) |
/// | `beaker_cache_joins_total` | counter | calls that shared another call's creation |
/// | `beaker_cache_stale_served_total`, `_fallbacks_total` | counter | calls that got an old value meanwhile, or instead |
/// | `beaker_cache_timeouts_total`, `_unchanged_total`, `_early_refreshes_total`, `_superseded_total` | counter | see [`CreationStats`](crate::CreationStats) |
/// | `beaker_cache_unstored_total`, `_not_begun_total`, `_listener_panics_total` | counter | the same |
/// | `beaker_cache_removals_total` | counter | by `cause`: `evicted`, `expired`, `removed` |
/// | `beaker_cache_corrupt_total` | counter | entries found damaged |
/// | `beaker_cache_entries`, `_weight`, `_store_bytes` | gauge | sizes, where the store knows them |
///
/// Namespaces of one name in stores of one scheme share their counters, and overwrite each other's
/// gauges. What a store counted between the last call and its end is not passed on. Install the
/// recorder before: what was counted earlier is lost or, of the stores' counts, added at the first
/// call.
///
/// # Concurrency
///
/// It asks each store for its counts, which may block on one that does not answer at once. The
/// recorder is called under no lock.
pub fn publish_metrics() {
    describe();
    for shared in Shared::all() {
        shared.meter.publish(|_| true);
    }
}

fn describe() {
    for (_, name, text) in COUNTS {
        describe_counter!(name, Unit::Count, text);
    }
    describe_histogram!(CREATION_SECONDS, Unit::Seconds, "How long creations took");
    describe_histogram!(READ_SECONDS, Unit::Seconds, "How long reads took, by what they found");
    describe_counter!(INVALIDATIONS, Unit::Count, "Invalidations of many entries, by cause");
    describe_counter!("beaker_cache_hits_total", Unit::Count, "Reads that found an entry");
    describe_counter!("beaker_cache_misses_total", Unit::Count, "Reads that found none");
    describe_counter!("beaker_cache_corrupt_total", Unit::Count, "Entries found damaged");
    describe_counter!("beaker_cache_removals_total", Unit::Count, "Entries that left, by cause");
    describe_gauge!("beaker_cache_entries", Unit::Count, "Entries in the namespace");
    describe_gauge!("beaker_cache_weight", Unit::Count, "Sum of the entries' weights");
    describe_gauge!("beaker_cache_store_bytes", Unit::Bytes, "Bytes on disk of the whole store");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_found_behind_a_proxy_too() {
        assert_eq!(scheme("memory:"), "memory");
        assert_eq!(scheme("file:///var/cache"), "file");
        assert_eq!(scheme(r#"prefixed "app" in memory://group"#), "memory");
    }

    #[test]
    fn each_count_has_a_number() {
        for what in Count::ALL {
            assert!(COUNTS.iter().any(|(count, ..)| *count == what), "{what:?}");
        }
    }
}
