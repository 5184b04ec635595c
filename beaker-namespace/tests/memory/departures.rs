//! Who leaves by the namespace's own doing, and who is told.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use beaker_namespace::{
    Departure, Key, ManualClock, MemoryConfig, MemoryNamespace, Namespace, OnDeparture, Scan,
    Timestamp,
};

use super::hostile::that_ends;
use super::{entries, memory, raw};

/// Keeps what it was told.
#[derive(Default)]
struct Heard(Mutex<Vec<(String, Departure)>>);

impl Heard {
    fn take(&self) -> Vec<(String, Departure)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn heard(namespace: &MemoryNamespace) -> (Arc<Heard>, Arc<OnDeparture>) {
    let heard = Arc::new(Heard::default());
    let keeps = Arc::clone(&heard);
    let listener: Arc<OnDeparture> = Arc::new(move |key: &Key, why| {
        keeps.0.lock().unwrap().push((key.to_string(), why));
    });
    assert!(namespace.on_departure(&listener));
    (heard, listener)
}

fn clocked(config: MemoryConfig) -> (Arc<ManualClock>, Arc<MemoryNamespace>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
    let namespace = memory(config.clock(Arc::clone(&clock) as _));
    (clock, namespace)
}

fn set(namespace: &MemoryNamespace, key: &str, ttl: Option<u64>) {
    let entry = raw(namespace, key).ttl(ttl.map(Duration::from_secs));
    namespace.set(&Key::new(key), entry).unwrap();
}

#[test]
fn what_the_bound_pushes_out_is_told_as_evicted() {
    let namespace = memory(MemoryConfig::new().max_entries(1));
    let (heard, _listener) = heard(&namespace);
    set(&namespace, "a", None);
    assert_eq!(heard.take(), []);
    set(&namespace, "b", None);
    assert_eq!(heard.take(), [("a".to_owned(), Departure::Evicted)]);
}

#[test]
fn what_dies_is_told_as_expired_whoever_finds_it() {
    let (clock, namespace) = clocked(MemoryConfig::new());
    let (heard, _listener) = heard(&namespace);
    let expired = |key: &str| vec![(key.to_owned(), Departure::Expired)];
    set(&namespace, "swept", Some(1));
    clock.advance(Duration::from_secs(2));
    namespace.sweep().unwrap();
    assert_eq!(heard.take(), expired("swept"));
    set(&namespace, "met", Some(1));
    clock.advance(Duration::from_secs(2));
    namespace.get(&Key::new("absent")).unwrap();
    assert_eq!(heard.take(), expired("met"));
    set(&namespace, "removed", Some(1));
    clock.advance(Duration::from_secs(2));
    assert!(!namespace.remove(&Key::new("removed")).unwrap());
    assert_eq!(heard.take(), expired("removed"));
}

#[test]
fn another_value_replaces_and_the_same_with_other_times_does_not() {
    let namespace = memory(MemoryConfig::new());
    let (heard, _listener) = heard(&namespace);
    set(&namespace, "a", Some(100));
    let entry = namespace.get(&Key::new("a")).unwrap().unwrap();
    let longer = entry.times(Timestamp::NEVER, Timestamp::NEVER);
    namespace.set(&Key::new("a"), longer).unwrap();
    assert_eq!(heard.take(), [], "a read was written back");
    set(&namespace, "a", None);
    assert_eq!(heard.take(), [("a".to_owned(), Departure::Replaced)]);
}

#[test]
fn a_value_that_a_heavier_one_should_have_replaced_is_told_too() {
    let namespace = memory(MemoryConfig::new().max_weight(10));
    let (heard, _listener) = heard(&namespace);
    set(&namespace, "a", None);
    namespace.set(&Key::new("a"), raw(&*namespace, "heavy").cost(11)).unwrap_err();
    assert_eq!(heard.take(), [("a".to_owned(), Departure::Replaced)]);
}

#[test]
fn what_a_caller_removes_or_clears_is_not_told() {
    let namespace = memory(MemoryConfig::new());
    let (heard, _listener) = heard(&namespace);
    set(&namespace, "a", None);
    assert!(namespace.remove(&Key::new("a")).unwrap());
    namespace.set(&Key::new("b"), raw(&*namespace, "b").tags(vec!["t".to_owned()])).unwrap();
    assert_eq!(namespace.remove_tag("t").unwrap(), 1);
    set(&namespace, "c", None);
    namespace.clear().unwrap();
    assert_eq!(heard.take(), []);
}

#[test]
fn a_listener_that_nobody_keeps_hears_no_more() {
    let namespace = memory(MemoryConfig::new().max_entries(1));
    let (heard, listener) = heard(&namespace);
    set(&namespace, "a", None);
    set(&namespace, "b", None);
    drop(listener);
    set(&namespace, "c", None);
    assert_eq!(heard.take(), [("a".to_owned(), Departure::Evicted)]);
}

/// Panics at every third entry and stores another at every fifth; keeps the keys that should be
/// there.
struct Hostile {
    namespace: Arc<MemoryNamespace>,
    model: Mutex<BTreeSet<String>>,
    told: AtomicU64,
}

impl Hostile {
    fn store(&self, key: &Key) {
        // Into the model first: it may be evicted, and told, before `set` returns.
        self.model.lock().unwrap().insert(key.to_string());
        self.namespace.set(key, raw(&*self.namespace, "v")).unwrap();
    }

    fn hear(&self, key: &Key, why: Departure) {
        assert_eq!(why, Departure::Evicted);
        let told = self.told.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(self.model.lock().unwrap().remove(&key.to_string()), "told twice, or never there");
        if told.is_multiple_of(5) {
            self.store(&Key::new(&("again", told)));
            self.namespace.get(&Key::new(&("again", told))).unwrap();
        }
        if told.is_multiple_of(3) {
            // A panic that tells nobody: a hook would have to be taken from the other tests.
            std::panic::resume_unwind(Box::new("on purpose"));
        }
    }

    fn stored(namespace: &MemoryNamespace) -> BTreeSet<String> {
        let page = namespace.scan(&Scan::new().limit(10_000)).unwrap();
        page.entries.iter().map(|listed| listed.key.to_string()).collect()
    }
}

#[test]
fn f17_a_listener_that_panics_and_calls_back_leaves_the_namespace_whole() {
    that_ends(|| {
        let namespace = memory(MemoryConfig::new().max_entries(1_000));
        let hostile = Arc::new(Hostile {
            namespace: Arc::clone(&namespace),
            model: Mutex::default(),
            told: AtomicU64::new(0),
        });
        let hears = Arc::clone(&hostile);
        let listener: Arc<OnDeparture> = Arc::new(move |key: &Key, why| hears.hear(key, why));
        namespace.on_departure(&listener);
        let mut n = 0_u64;
        while hostile.told.load(Ordering::SeqCst) < 100_000 {
            hostile.store(&Key::new(&n));
            n += 1;
        }
        let told = hostile.told.load(Ordering::SeqCst);
        let stats = namespace.stats();
        assert_eq!((stats.evictions, stats.listener_panics), (told, told / 3));
        assert_eq!(stats.entries, Some(1_000));
        assert_eq!(Hostile::stored(&namespace), *hostile.model.lock().unwrap());
    });
}

#[test]
fn each_entry_is_told_once_whatever_threads_displace_it() {
    let namespace = memory(MemoryConfig::new().max_entries(256));
    let told = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&told);
    let listener: Arc<OnDeparture> = Arc::new(move |_: &Key, _| {
        counts.fetch_add(1, Ordering::SeqCst);
    });
    namespace.on_departure(&listener);
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let namespace = &namespace;
            scope.spawn(move || {
                for n in 0..5_000_u64 {
                    namespace.set(&Key::new(&(thread, n)), raw(&**namespace, n)).unwrap();
                }
            });
        }
    });
    assert_eq!(told.load(Ordering::SeqCst) + entries(&*namespace), 20_000);
}

/// A listener that stores under a new key for each entry that left.
fn stores_again(namespace: &Arc<MemoryNamespace>, cost: u32) -> (Arc<AtomicU64>, Arc<OnDeparture>) {
    let told = Arc::new(AtomicU64::new(0));
    let (counts, again) = (Arc::clone(&told), Arc::downgrade(namespace));
    let listener: Arc<OnDeparture> = Arc::new(move |_: &Key, _| {
        let n = counts.fetch_add(1, Ordering::SeqCst);
        let Some(namespace) = again.upgrade() else { return };
        namespace.set(&Key::new(&("again", n)), raw(&*namespace, n).cost(cost)).unwrap();
    });
    namespace.on_departure(&listener);
    (told, listener)
}

#[test]
fn a_listener_that_pushes_out_one_entry_for_each_it_hears_of_ends() {
    that_ends(|| {
        let namespace = memory(MemoryConfig::new().max_entries(1));
        let (told, _listener) = stores_again(&namespace, 1);
        set(&namespace, "a", None);
        set(&namespace, "b", None);
        let first = told.load(Ordering::SeqCst);
        assert_eq!(first, 1 + 1_000, "what is left over waits");
        set(&namespace, "c", None);
        assert_eq!(told.load(Ordering::SeqCst), first + 1 + 1_000);
        assert_eq!(entries(&*namespace), 1);
    });
}

#[test]
fn a_listener_may_store_what_needs_all_the_room_there_is() {
    that_ends(|| {
        let namespace = memory(MemoryConfig::new().max_weight(1_000));
        for n in 0..10_u64 {
            namespace.set(&Key::new(&n), raw(&*namespace, n).cost(100)).unwrap();
        }
        let (_told, _listener) = stores_again(&namespace, 1_000);
        namespace.set(&Key::new("light"), raw(&*namespace, "v").cost(30)).unwrap();
        assert_eq!(namespace.stats().weight, Some(1_000));
    });
}
