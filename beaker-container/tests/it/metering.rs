//! The numbers that a recorder of `metrics` is given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use beaker_container::{Cache, publish_metrics};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit, with_local_recorder,
};

use crate::harness::Lab;

type Numbers = Arc<Mutex<BTreeMap<String, f64>>>;

/// Keeps each number under its name and labels.
#[derive(Default)]
struct Keeper {
    numbers: Numbers,
    described: Mutex<Vec<String>>,
}

struct Number {
    name: String,
    numbers: Numbers,
}

impl Number {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        change(self.numbers.lock().unwrap().entry(self.name.clone()).or_default());
    }
}

impl CounterFn for Number {
    fn increment(&self, value: u64) {
        self.change(|number| *number += value as f64);
    }

    fn absolute(&self, value: u64) {
        self.change(|number| *number = value as f64);
    }
}

impl GaugeFn for Number {
    fn increment(&self, value: f64) {
        self.change(|number| *number += value);
    }

    fn decrement(&self, value: f64) {
        self.change(|number| *number -= value);
    }

    fn set(&self, value: f64) {
        self.change(|number| *number = value);
    }
}

impl HistogramFn for Number {
    fn record(&self, value: f64) {
        assert!((0.0..60.0).contains(&value), "seconds, and few of them");
        self.change(|number| *number += 1.0);
    }
}

impl Keeper {
    fn number(&self, key: &Key) -> Arc<Number> {
        let labels: Vec<_> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::new(Number { name, numbers: Arc::clone(&self.numbers) })
    }

    /// The numbers of the cache, by what its name does not say.
    fn of(&self, cache: &str) -> BTreeMap<String, f64> {
        let numbers = self.numbers.lock().unwrap();
        let label = format!("cache={cache},");
        let ours = numbers.iter().filter(|(name, value)| name.contains(&label) && **value != 0.0);
        ours.map(|(name, value)| {
            let name = name.replace(&label, "").replace("beaker_cache_", "");
            (name, *value)
        })
        .collect()
    }
}

impl Recorder for Keeper {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().push(key.as_str().to_owned());
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe_counter(key, unit, text);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe_counter(key, unit, text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.number(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.number(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.number(key))
    }
}

fn numbers(wanted: &[(&str, f64)]) -> BTreeMap<String, f64> {
    wanted.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

#[test]
fn what_happens_off_a_hit_is_counted_at_once_and_hits_when_asked_for() {
    let keeper = Keeper::default();
    let lab = Lab::memory();
    let cache = Cache::<String, u32>::new(lab.named("metered"));
    with_local_recorder(&keeper, || {
        cache.get_or_create("k", || 1).unwrap();
        assert!(cache.get_or_try_create("bad", || Err("down")).is_err());
        for _ in 0..3 {
            cache.get_or_create("k", || unreachable!()).unwrap();
        }
        let at_once = [
            ("creations_total{store=memory}", 1.0),
            ("creation_failures_total{store=memory}", 1.0),
            ("creation_seconds{store=memory}", 1.0),
        ];
        assert_eq!(keeper.of("metered"), numbers(&at_once));
        cache.remove("k").unwrap();
        cache.insert("other", 2).unwrap();
        for _ in 0..2 {
            publish_metrics();
        }
        let asked = [
            ("hits_total{store=memory}", 3.0),
            ("misses_total{store=memory}", 2.0),
            ("removals_total{store=memory,cause=removed}", 1.0),
            ("entries{store=memory}", 1.0),
        ];
        assert_eq!(keeper.of("metered"), numbers(&[&at_once[..], &asked[..]].concat()));
    });
    // Each number that was given has a text.
    let described = keeper.described.lock().unwrap();
    for name in keeper.numbers.lock().unwrap().keys() {
        let name = name.split('{').next().unwrap();
        assert!(described.iter().any(|other| other == name), "{name}");
    }
}

#[test]
fn a_namespace_that_was_closed_and_opened_again_counts_on() {
    let keeper = Keeper::default();
    let lab = Lab::memory();
    with_local_recorder(&keeper, || {
        for _ in 0..2 {
            let cache = Cache::<String, u32>::new(lab.named("reopened"));
            assert_eq!(cache.get("k").unwrap(), None);
            publish_metrics();
        }
    });
    assert_eq!(keeper.of("reopened"), numbers(&[("misses_total{store=memory}", 2.0)]));
}

#[test]
fn two_namespaces_with_the_same_labels_add_up() {
    let keeper = Keeper::default();
    let (one, two) = (Lab::file(), Lab::file());
    let caches = [&one, &two].map(|lab| Cache::<String, u32>::new(lab.named("twins")));
    with_local_recorder(&keeper, || {
        for cache in &caches {
            assert_eq!(cache.get("k").unwrap(), None);
        }
        publish_metrics();
    });
    let misses = keeper.of("twins").get("misses_total{store=file}").copied();
    assert_eq!(misses, Some(2.0));
}

#[test]
fn reads_are_timed_where_that_is_asked_for_and_invalidations_counted_by_cause() {
    let keeper = Keeper::default();
    let lab = Lab::memory();
    let cache = Cache::<String, u32>::new(lab.named("timed")).with_own_region().with_timed_reads();
    let plain = Cache::<String, u32>::new(lab.named("untimed"));
    with_local_recorder(&keeper, || {
        assert_eq!(plain.get("k").unwrap(), None);
        assert_eq!(keeper.of("untimed"), numbers(&[]), "the control");
        assert_eq!(cache.get("k").unwrap(), None);
        cache.insert("k", 1).unwrap();
        assert_eq!(cache.get("k").unwrap(), Some(1));
        assert_eq!(cache.fetch("k").create(|_| 2_u32).unwrap().value, 1);
        let read = [
            ("read_seconds{store=memory,found=no}", 1.0),
            ("read_seconds{store=memory,found=yes}", 2.0),
        ];
        assert_eq!(keeper.of("timed"), numbers(&read));
        cache.invalidate_tag("t").unwrap();
        cache.expire_tag("t").unwrap();
        cache.expire_region().unwrap();
        cache.clear().unwrap();
        let invalidated = [
            ("invalidations_total{store=memory,cause=tag}", 2.0),
            ("invalidations_total{store=memory,cause=region}", 1.0),
            ("invalidations_total{store=memory,cause=cleared}", 1.0),
        ];
        assert_eq!(keeper.of("timed"), numbers(&[&read[..], &invalidated[..]].concat()));
    });
}
