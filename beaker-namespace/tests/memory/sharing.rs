//! One namespace per name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::{
    ErrorKind, Key, ManualClock, MemoryConfig, MemoryNamespace, Namespace, Payload, StoreUrl,
    Stores,
};

use super::{entries, memory, object, raw, text};

fn open(name: &str) -> Arc<MemoryNamespace> {
    MemoryNamespace::open(name, MemoryConfig::new()).unwrap()
}

#[test]
fn ns_4_all_who_open_a_name_see_the_same_entries() {
    let (one, two) = (open("ns-4"), open("ns-4"));
    one.set(&Key::new("k"), raw(&*one, "v")).unwrap();
    assert_eq!(text(&*two, &Key::new("k")).as_deref(), Some("v"));
    assert_eq!(one.id(), two.id());
    let other = open("ns-4-other");
    assert_eq!(text(&*other, &Key::new("k")), None);
    assert_ne!(one.id(), other.id());
}

#[test]
fn ns_5_a_name_is_one_namespace_whichever_way_it_is_opened() {
    let one = open("ns-5");
    let two = Stores::new().open(&StoreUrl::new("memory"), "ns-5").unwrap();
    one.set(&Key::new("k"), raw(&*one, "v")).unwrap();
    assert_eq!(text(&*two, &Key::new("k")).as_deref(), Some("v"));
}

#[test]
fn ns_5_values_are_the_objects_themselves() {
    let namespace = memory(MemoryConfig::new());
    let value = Arc::new(String::from("v"));
    namespace.set(&Key::new("k"), object(Arc::clone(&value))).unwrap();
    let entry = namespace.get(&Key::new("k")).unwrap().unwrap();
    let Payload::Object(found) = entry.into_payload() else { panic!("an object was stored") };
    assert!(Arc::ptr_eq(&found.downcast::<String>().unwrap(), &value));
}

#[test]
fn ns_7_clear_empties_the_namespace_for_every_holder() {
    let (one, two) = (open("ns-7"), open("ns-7"));
    for n in 0..1_000 {
        one.set(&Key::new(&n), raw(&*one, n)).unwrap();
    }
    two.clear().unwrap();
    assert_eq!(entries(&*one), 0);
    assert_eq!(text(&*one, &Key::new(&7)), None);
    one.set(&Key::new(&7), raw(&*one, "again")).unwrap();
    assert_eq!(text(&*two, &Key::new(&7)).as_deref(), Some("again"));
}

#[test]
fn d14_a_namespace_that_nobody_holds_is_freed() {
    let namespace = open("d14");
    let value = Arc::new(());
    namespace.set(&Key::new("k"), object(Arc::new(Arc::clone(&value)))).unwrap();
    let other = open("d14");
    drop(namespace);
    assert_eq!(Arc::strong_count(&value), 2, "somebody still holds it");
    drop(other);
    assert_eq!(Arc::strong_count(&value), 1);
    assert!(open("d14").get(&Key::new("k")).unwrap().is_none());
}

#[test]
fn d14_a_claim_does_not_keep_its_namespace() {
    let namespace = open("d14-claim");
    let value = Arc::new(());
    namespace.set(&Key::new("k"), object(Arc::clone(&value))).unwrap();
    let claim = namespace.claim(&Key::new("k"), beaker_namespace::Wait::Never).unwrap();
    drop(namespace);
    assert_eq!(Arc::strong_count(&value), 1);
    drop(claim);
}

#[test]
fn a_generation_of_a_freed_namespace_means_nothing_to_its_successor() {
    let key = Key::new("k");
    let generation = |namespace: &MemoryNamespace| {
        namespace.set(&key, raw(namespace, "v")).unwrap();
        namespace.get(&key).unwrap().unwrap().generation()
    };
    let first = generation(&open("lives"));
    let second = generation(&open("lives"));
    assert_ne!(first, second);
}

#[test]
fn a_group_sets_namespaces_apart() {
    let stores = Stores::new();
    let plain = stores.open(&"memory:".parse().unwrap(), "apart").unwrap();
    let group = stores.open(&"memory://tests".parse().unwrap(), "apart").unwrap();
    plain.set(&Key::new("k"), raw(&*plain, "v")).unwrap();
    assert_eq!(text(&*group, &Key::new("k")), None);
    assert_eq!(group.id().store(), "memory://tests");
    let typed = MemoryNamespace::open("apart", MemoryConfig::new().group("tests")).unwrap();
    assert_eq!(typed.id(), group.id());
}

#[test]
fn opening_with_another_bound_names_both() {
    let _held = MemoryNamespace::open("bound", MemoryConfig::new().max_entries(10)).unwrap();
    let error = MemoryNamespace::open("bound", MemoryConfig::new().max_weight(20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "cannot open the memory namespace: \
         the namespace is held with max_entries=10, not max_weight=20"
    );
    let same = MemoryNamespace::open("bound", MemoryConfig::new().max_entries(10));
    assert!(same.is_ok());
}

#[test]
fn opening_with_another_clock_is_an_error_and_with_the_same_is_not() {
    let clock = Arc::new(ManualClock::default());
    let config = MemoryConfig::new().clock(Arc::clone(&clock) as _);
    let _held = MemoryNamespace::open("clock", config.clone()).unwrap();
    assert!(MemoryNamespace::open("clock", config).is_ok());
    let other = MemoryConfig::new().clock(Arc::new(ManualClock::default()));
    assert_eq!(MemoryNamespace::open("clock", other).unwrap_err().kind(), ErrorKind::Config);
    let system = MemoryNamespace::open("clock", MemoryConfig::new());
    assert_eq!(system.unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn what_contradicted_is_free_once_nobody_holds_it() {
    drop(MemoryNamespace::open("free", MemoryConfig::new().max_entries(10)).unwrap());
    assert!(MemoryNamespace::open("free", MemoryConfig::new().max_entries(20)).is_ok());
}

#[test]
fn the_bounds_of_a_url_are_kept() {
    let stores = Stores::new();
    let url: StoreUrl = "memory:?max_entries=3".parse().unwrap();
    let namespace = stores.open(&url, "url-bound").unwrap();
    for n in 0..10 {
        namespace.set(&Key::new(&n), raw(&*namespace, n)).unwrap();
    }
    assert_eq!(entries(&*namespace), 3);

    let url: StoreUrl = "memory:?max_weight=5".parse().unwrap();
    let namespace = stores.open(&url, "url-weight").unwrap();
    namespace.set(&Key::new("a"), raw(&*namespace, "").cost(4)).unwrap();
    namespace.set(&Key::new("b"), raw(&*namespace, "").cost(4)).unwrap();
    assert_eq!(namespace.stats().weight, Some(4));
}

#[test]
fn a_wrong_url_is_an_error() {
    for url in ["memory:?max_entries=0", "memory:?max_entries=1&max_weight=1", "memory:?size=1"] {
        let error = Stores::new().open(&url.parse().unwrap(), "wrong").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
    }
}

#[test]
fn a_time_to_live_counts_on_the_clock_of_the_store_table() {
    let clock = Arc::new(ManualClock::default());
    let stores = Stores::new().with_clock(Arc::clone(&clock) as _);
    let namespace = stores.open(&StoreUrl::new("memory"), "table-clock").unwrap();
    let entry = raw(&*namespace, "v").ttl(Some(Duration::from_secs(5)));
    namespace.set(&Key::new("k"), entry).unwrap();
    clock.advance(Duration::from_secs(5));
    assert_eq!(text(&*namespace, &Key::new("k")), None);
}

#[test]
fn anonymous_namespaces_made_at_once_have_different_ids() {
    let make = || MemoryNamespace::anonymous(MemoryConfig::new().max_entries(1)).unwrap();
    let together = std::sync::Barrier::new(8);
    let ids: std::collections::BTreeSet<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..200)
                        .map(|_| {
                            together.wait();
                            make().id().clone()
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 8 * 200);
}

/// Counts the drops on the thread that clears, and all.
struct Counted(Arc<[AtomicU64; 2]>, thread::ThreadId);

impl Drop for Counted {
    fn drop(&mut self) {
        let [here, all] = &*self.0;
        here.fetch_add(u64::from(thread::current().id() == self.1), Ordering::SeqCst);
        all.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn who_clears_drops_a_bounded_number_of_values_however_many_there_are() {
    for (count, dropped_here) in [(1_000, 1_000), (3_000, 0), (12_000, 0)] {
        let namespace = memory(MemoryConfig::new());
        let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        for number in 0..count {
            let value = Counted(Arc::clone(&counts), thread::current().id());
            namespace.set(&Key::new(&number), object(Arc::new(value))).unwrap();
        }
        namespace.clear().unwrap();
        assert_eq!(counts[0].load(Ordering::SeqCst), dropped_here, "of {count}");
        assert_eq!(entries(&*namespace), 0);
        let began = Instant::now();
        while counts[1].load(Ordering::SeqCst) < count {
            assert!(began.elapsed() < Duration::from_secs(20), "they are not dropped");
            thread::yield_now();
        }
    }
}
