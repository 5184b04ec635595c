//! Listing, and removing by tag.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::case;
use crate::testkit::bench::{Bench, Handle, Numbers};
use crate::testkit::suite::Case;
use crate::{Capability, Key, Scan};

pub(super) const CASES: &[Case] = &[
    case!(
        a_scan_lists_each_entry_once,
        "a scan lists each entry once, whatever the page's length",
        [Retains, Scan]
    ),
    case!(
        a_prefix_selects,
        "a prefix selects the keys that begin so, texts and tuples",
        [Retains, Scan]
    ),
    case!(
        a_listing_says_what_the_entry_says,
        "size, times and generation are the entry's",
        [Retains, Scan]
    ),
    case!(
        a_scan_sees_only_its_namespace,
        "a scan lists its own namespace, and an empty one ends \
          at once",
        [Retains, Scan]
    ),
    case!(
        a_scan_finds_what_stays_while_others_write,
        "what is there from the first page to the \
          last is listed once while others write",
        [Retains, Scan]
    ),
    case!(
        a_tag_removes_what_carries_it,
        "remove by tag removes what carries exactly that tag, and \
          counts",
        [Retains, Tags]
    ),
    case!(
        an_entry_that_lost_its_tag_stays,
        "an entry that was set anew without the tag stays",
        [Retains, Tags]
    ),
];

fn a_scan_lists_each_entry_once(bench: &Bench<'_>) {
    let store = bench.open("");
    let mut expected: Vec<_> = (0..100).map(|number| Key::new(&("k", number))).collect();
    expected.extend([Key::new(""), Key::new("\0/../"), Key::new(&7), Key::new(&b"\xff"[..])]);
    expected.sort();
    for key in &expected {
        store.put(key, "v");
    }
    for limit in [0, 1, 7, 104, 1_000] {
        assert_eq!(store.listed(Scan::new().limit(limit)), expected, "limit {limit}");
    }
    let pages = store.pages(Scan::new().limit(7));
    assert!(pages.len() >= 15, "{} pages", pages.len());
}

fn a_prefix_selects(bench: &Bench<'_>) {
    let store = bench.open("");
    let texts = ["user", "user:1", "user:2", "use", "User:1", "%", "*", "us_r:1"];
    let tuples = [Key::new(&("user", 1)), Key::new(&("user", 2)), Key::new(&("user1", 1))];
    for key in texts.iter().map(Key::new).chain(tuples.iter().cloned()) {
        store.put(&key, "v");
    }
    for prefix in ["user:", "user", "", "%", "*", "us_r", "absent"] {
        let mut expected: Vec<_> =
            texts.iter().filter(|text| text.starts_with(prefix)).map(Key::new).collect();
        expected.sort();
        let listed = store.listed(Scan::new().prefix(&Key::new(prefix)).limit(2));
        assert_eq!(listed, expected, "`{prefix}`");
    }
    let listed = store.listed(Scan::new().prefix(&Key::new(&("user",))));
    assert_eq!(listed, &tuples[..2]);
}

fn a_listing_says_what_the_entry_says(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    let ttl = Duration::from_secs(5);
    store.set(&key, store.entry_for("12345", ttl).grace(ttl)).expect("set");
    let entry = store.get(&key).expect("get").expect("it was set");
    let listed = store.pages(Scan::new()).remove(0).entries.remove(0);
    let bytes = store.capabilities().has(Capability::Bytes);
    assert_eq!(listed.size_bytes, bytes.then_some(5));
    assert_eq!(listed, crate::Listed::new(key, &entry));
}

fn a_scan_sees_only_its_namespace(bench: &Bench<'_>) {
    let (store, neighbour) = (bench.open(""), bench.open("x"));
    neighbour.put(&Key::new("k"), "v");
    let pages = store.pages(Scan::new());
    assert_eq!(pages.iter().map(|page| page.entries.len()).sum::<usize>(), 0);
}

fn a_scan_finds_what_stays_while_others_write(bench: &Bench<'_>) {
    let store = bench.open("");
    let stays: BTreeSet<_> = (0..100).map(|number| Key::new(&("stays", number))).collect();
    for key in &stays {
        store.put(key, "v");
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for id in 0..2 {
            let (store, done) = (&store, &done);
            scope.spawn(move || churn(store, id, done));
        }
        // The threads stop even if an assertion fails.
        let _done = SetOnDrop(&done);
        for limit in [1, 3, 10, 1_000] {
            let listed = store.listed(Scan::new().limit(limit));
            let found: Vec<_> = listed.iter().filter(|key| stays.contains(key)).collect();
            assert_eq!(found, stays.iter().collect::<Vec<_>>(), "limit {limit}");
        }
    });
}

/// Sets and removes keys until `done`.
fn churn(store: &Handle, id: u64, done: &AtomicBool) {
    let mut numbers = Numbers(id);
    while !done.load(Ordering::Relaxed) {
        let key = Key::new(&("comes and goes", id, numbers.below(50)));
        store.put(&key, "v");
        store.remove(&key).expect("remove");
    }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn tagged(store: &Handle, key: &str, tags: &[&str]) {
    let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
    store.set(&Key::new(key), store.entry("v").tags(tags)).expect("set");
}

fn a_tag_removes_what_carries_it(bench: &Bench<'_>) {
    let (store, neighbour) = (bench.open(""), bench.open("-neighbour"));
    tagged(&store, "one", &["a"]);
    tagged(&store, "two", &["b", "a"]);
    tagged(&store, "longer", &["ab"]);
    tagged(&store, "upper", &["A", ""]);
    tagged(&store, "none", &[]);
    tagged(&neighbour, "one", &["a"]);
    assert_eq!(store.remove_tag("a").expect("remove tag"), 2);
    let left =
        ["one", "two", "longer", "upper", "none"].map(|key| store.text(&Key::new(key)).is_some());
    assert_eq!(left, [false, false, true, true, true]);
    assert!(neighbour.text(&Key::new("one")).is_some());
    assert_eq!(store.remove_tag("a").expect("remove tag"), 0);
    assert_eq!(store.remove_tag("").expect("remove tag"), 1, "an empty tag is a tag");
}

fn an_entry_that_lost_its_tag_stays(bench: &Bench<'_>) {
    let store = bench.open("");
    tagged(&store, "k", &["a"]);
    tagged(&store, "k", &["b"]);
    assert_eq!(store.remove_tag("a").expect("remove tag"), 0);
    assert!(store.text(&Key::new("k")).is_some());
    store.remove(&Key::new("k")).expect("remove");
    assert_eq!(store.remove_tag("b").expect("remove tag"), 0);
}
