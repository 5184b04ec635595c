//! Scans, tags and counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use beaker_namespace::{Cursor, Key, MemoryConfig, MemoryNamespace, Namespace, Scan};

use super::{Random, entries, memory, raw, text};

/// How often each key was listed.
fn list(namespace: &MemoryNamespace, scan: &Scan) -> BTreeMap<Key, usize> {
    let mut listed = BTreeMap::new();
    let mut scan = scan.clone();
    loop {
        let page = namespace.scan(&scan).unwrap();
        assert!(page.entries.len() <= scan.page_limit());
        for entry in page.entries {
            *listed.entry(entry.key).or_insert(0) += 1;
        }
        match page.next {
            Some(next) => scan = scan.after(next),
            None => return listed,
        }
    }
}

#[test]
fn every_page_size_lists_every_entry_once() {
    let namespace = memory(MemoryConfig::new());
    let keys: BTreeMap<_, _> = (0..1_000).map(|n| (Key::new(&n), 1)).collect();
    for key in keys.keys() {
        namespace.set(key, raw(&*namespace, "v")).unwrap();
    }
    for limit in [1, 7, 100, 999, 1_000, 5_000, usize::MAX] {
        assert_eq!(list(&namespace, &Scan::new().limit(limit)), keys, "{limit} a page");
    }
}

#[test]
fn an_empty_namespace_lists_nothing() {
    assert!(list(&memory(MemoryConfig::new()), &Scan::new()).is_empty());
}

#[test]
fn a_prefix_lists_what_begins_with_it() {
    let namespace = memory(MemoryConfig::new());
    for n in 0..100 {
        namespace.set(&Key::new(&("user", n)), raw(&*namespace, n)).unwrap();
        namespace.set(&Key::new(&("users", n)), raw(&*namespace, n)).unwrap();
    }
    let listed = list(&namespace, &Scan::new().limit(9).prefix(&Key::new(&("user",))));
    assert_eq!(listed, (0..100).map(|n| (Key::new(&("user", n)), 1)).collect());
}

#[test]
fn what_stays_is_listed_once_while_others_write() {
    let namespace = memory(MemoryConfig::new());
    let staying: Vec<_> = (0..500).map(|n| Key::new(&("staying", n))).collect();
    for key in &staying {
        namespace.set(key, raw(&*namespace, "v")).unwrap();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(7);
            while !done.load(Ordering::Relaxed) {
                let n = random.below(2_000);
                namespace.set(&Key::new(&("passing", n)), raw(&*namespace, n)).unwrap();
                namespace.remove(&Key::new(&("passing", random.below(2_000)))).unwrap();
                // Rewriting an entry does not list it twice.
                namespace.set(&staying[n as usize % 500], raw(&*namespace, n)).unwrap();
            }
        });
        for _ in 0..20 {
            let listed = list(&namespace, &Scan::new().limit(23));
            let wrong = staying.iter().filter(|key| listed.get(key) != Some(&1)).count();
            assert_eq!(wrong, 0);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_cursor_outlives_the_entry_that_it_points_at() {
    let namespace = memory(MemoryConfig::new());
    for n in 0..100 {
        namespace.set(&Key::new(&n), raw(&*namespace, n)).unwrap();
    }
    let page = namespace.scan(&Scan::new().limit(50)).unwrap();
    for entry in &page.entries {
        namespace.remove(&entry.key).unwrap();
    }
    let rest = list(&namespace, &Scan::new().limit(7).after(page.next.unwrap()));
    assert_eq!(rest.len(), 50);
}

#[test]
fn a_cursor_that_is_none_of_ours_does_no_harm() {
    let namespace = memory(MemoryConfig::new());
    namespace.set(&Key::new("k"), raw(&*namespace, "v")).unwrap();
    for foreign in [vec![], vec![0; 3], vec![0xff; 16], vec![0xff; 40]] {
        let page = namespace.scan(&Scan::new().after(Cursor::new(foreign))).unwrap();
        assert!(page.entries.len() <= 1);
    }
}

#[test]
fn a_tag_removes_those_that_carry_it() {
    let namespace = memory(MemoryConfig::new());
    for n in 0..300 {
        let tags = vec![format!("third {}", n % 3), "all".to_owned()];
        namespace.set(&Key::new(&n), raw(&*namespace, n).tags(tags)).unwrap();
    }
    assert_eq!(namespace.remove_tag("third 1").unwrap(), 100);
    assert_eq!(namespace.remove_tag("third 1").unwrap(), 0);
    assert_eq!(text(&*namespace, &Key::new(&1)), None);
    assert_eq!(text(&*namespace, &Key::new(&2)).as_deref(), Some("2"));
    assert_eq!(namespace.remove_tag("all").unwrap(), 200);
    assert_eq!(entries(&*namespace), 0);
}

#[test]
fn the_counts_tell_what_happened() {
    let namespace = memory(MemoryConfig::new().max_entries(2));
    for n in 0..3 {
        namespace.set(&Key::new(&n), raw(&*namespace, n)).unwrap();
    }
    let found = (0..3).filter(|n| namespace.get(&Key::new(n)).unwrap().is_some()).count();
    let held = (0..3).find(|n| text(&*namespace, &Key::new(n)).is_some()).unwrap();
    namespace.remove(&Key::new(&held)).unwrap();
    let stats = namespace.stats();
    assert_eq!(found, 2);
    assert_eq!((stats.sets, stats.evictions, stats.removes), (3, 1, 1));
    assert_eq!(stats.hits, 3);
    assert!(stats.misses >= 1);
    assert_eq!((stats.entries, stats.weight), (Some(1), None));
}
