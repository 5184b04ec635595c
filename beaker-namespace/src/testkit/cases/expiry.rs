//! Time: expired is not dead, and no clock makes a store lie.

use std::time::Duration;

use super::case;
use crate::testkit::bench::Bench;
use crate::testkit::suite::Case;
use crate::{Condition, ConditionalSet, Inspection, Key, Scan, Timestamp};

pub(super) const CASES: &[Case] = &[
    case!(
        an_expired_entry_is_returned_until_it_dies,
        "an expired entry is returned, stale, until \
          its death",
        [Retains]
    ),
    case!(
        at_the_moment_of_death_it_is_gone,
        "an entry is gone at the moment of its death, and \
          there the moment before",
        [Retains]
    ),
    case!(
        a_dead_entry_counts_as_absent,
        "a dead entry is not removed, listed or in the way",
        [Retains]
    ),
    case!(an_entry_born_dead_is_absent, "a time to live of zero is absent at once", [Retains]),
    case!(an_endless_entry_stays, "no and the longest time to live stay for ever", [Retains]),
    case!(
        a_clock_set_back_keeps_the_entry_but_not_fresh,
        "a clock set back makes no entry fresh \
          for longer, and loses none",
        [Retains]
    ),
    case!(
        a_clock_set_forward_ends_the_entry,
        "a clock set a year ahead ends what has a time to \
          live and nothing else",
        [Retains]
    ),
    case!(times_before_1970_are_times, "the clock may stand before 1970", [Retains]),
    case!(
        a_replaced_entry_has_the_new_times,
        "a new value's time to live replaces the old one's",
        [Retains]
    ),
    case!(
        a_sweep_drops_the_dead_and_only_those,
        "sweep drops the dead, counts them and spares \
          the living",
        [Retains, Expiry]
    ),
    case!(
        the_dead_leave_without_being_asked_for,
        "entries that nobody asks for leave in the course \
          of other writes",
        [Retains, Expiry, Scan]
    ),
];

const SECOND: Duration = Duration::from_secs(1);

fn an_expired_entry_is_returned_until_it_dies(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    store.set(&key, store.entry_for("v", 10 * SECOND).grace(5 * SECOND)).expect("set");
    bench.clock.advance(12 * SECOND);
    let stale = store.get(&key).expect("get").expect("it is not dead");
    let now = store.clock().now();
    assert!(!stale.is_fresh(now));
    assert_eq!(stale.staleness(now), Some(2 * SECOND));
    bench.clock.advance(3 * SECOND);
    assert_eq!(store.text(&key), None);
}

fn at_the_moment_of_death_it_is_gone(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    store.put_for(&key, "v", 10 * SECOND);
    bench.clock.advance(10 * SECOND - Duration::from_micros(1));
    assert_eq!(store.text(&key).as_deref(), Some("v"));
    bench.clock.advance(Duration::from_micros(1));
    assert_eq!(store.text(&key), None);
    assert_eq!(store.text(&key), None, "the second time");
}

fn a_dead_entry_counts_as_absent(bench: &Bench<'_>) {
    use crate::Capability::{CompareAndSet, Scan as Listing};
    let store = bench.open("");
    let keys = ["removed", "replaced", "conditional", "inspected"].map(Key::new);
    for key in &keys {
        store.put_for(key, "v", SECOND);
    }
    bench.clock.advance(2 * SECOND);
    if store.capabilities().has(Listing) {
        assert_eq!(store.listed(Scan::new()), []);
    }
    let inspected = store.inspect(&keys[3]).expect("inspect");
    assert!(matches!(inspected, Inspection::Dead(_) | Inspection::Absent), "{inspected:?}");
    assert!(!store.remove(&keys[0]).expect("remove"), "a dead entry was removed");
    store.put(&keys[1], "new");
    assert_eq!(store.text(&keys[1]).as_deref(), Some("new"));
    if store.capabilities().has(CompareAndSet) {
        let set = store.set_if(&keys[2], store.entry("new"), Condition::Absent).expect("set if");
        assert!(matches!(set, ConditionalSet::Stored { .. }), "{set:?}");
    }
}

fn an_entry_born_dead_is_absent(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    store.put(&key, "old");
    store.put_for(&key, "v", Duration::ZERO);
    assert_eq!(store.text(&key), None, "and the old value is not back");
}

fn an_endless_entry_stays(bench: &Bench<'_>) {
    let (store, keys) = (bench.open(""), ["none", "max", "far"].map(Key::new));
    store.put(&keys[0], "v");
    store.put_for(&keys[1], "v", Duration::MAX);
    store.put_for(&keys[2], "v", Duration::from_secs(u64::from(u32::MAX) * 10));
    bench.clock.advance(Duration::from_secs(u64::from(u32::MAX)));
    for key in &keys {
        let entry = store.get(key).expect("get").expect("it never dies");
        assert!(entry.is_fresh(store.clock().now()), "{key}");
    }
}

fn a_clock_set_back_keeps_the_entry_but_not_fresh(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    let start = store.clock().now();
    store.put_for(&key, "v", 60 * SECOND);
    bench.clock.set(start.saturating_sub(3_600 * SECOND));
    if let Some(entry) = store.get(&key).expect("get") {
        assert!(!entry.is_fresh(store.clock().now()), "it would live an hour longer");
    }
    store.put_for(&key, "new", 60 * SECOND);
    assert_eq!(store.text(&key).as_deref(), Some("new"));
    bench.clock.set(start);
    assert_eq!(store.text(&key), None, "its minute is over");
}

fn a_clock_set_forward_ends_the_entry(bench: &Bench<'_>) {
    let store = bench.open("");
    let (mortal, endless) = (Key::new("mortal"), Key::new("endless"));
    store.put_for(&mortal, "v", 86_400 * SECOND);
    store.put(&endless, "v");
    bench.clock.advance(366 * 86_400 * SECOND);
    assert_eq!(store.text(&mortal), None);
    assert_eq!(store.text(&endless).as_deref(), Some("v"));
}

fn times_before_1970_are_times(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    bench.clock.set(Timestamp::from_micros(-10_000_000));
    store.put_for(&key, "v", 20 * SECOND);
    assert_eq!(store.text(&key).as_deref(), Some("v"));
    bench.clock.advance(19 * SECOND);
    assert_eq!(store.text(&key).as_deref(), Some("v"));
    bench.clock.advance(SECOND);
    assert_eq!(store.text(&key), None);
}

fn a_replaced_entry_has_the_new_times(bench: &Bench<'_>) {
    let (store, longer, shorter) = (bench.open(""), Key::new("longer"), Key::new("shorter"));
    store.put_for(&longer, "old", 5 * SECOND);
    store.put_for(&longer, "new", 50 * SECOND);
    store.put_for(&shorter, "old", 50 * SECOND);
    store.put_for(&shorter, "new", 5 * SECOND);
    bench.clock.advance(10 * SECOND);
    assert_eq!(store.text(&longer).as_deref(), Some("new"));
    assert_eq!(store.text(&shorter), None);
}

fn a_sweep_drops_the_dead_and_only_those(bench: &Bench<'_>) {
    let store = bench.open("");
    for number in 0..100 {
        let ttl = if number < 40 { SECOND } else { 100 * SECOND };
        store.put_for(&Key::new(&number), "v", ttl);
    }
    let before = store.stats();
    bench.clock.advance(2 * SECOND);
    let swept = store.sweep().expect("sweep");
    let gone = store.stats().expirations - before.expirations;
    assert_eq!(gone, 40, "expirations in the statistics");
    assert!(swept.expired <= 40, "{swept:?}");
    for number in 0..100 {
        assert_eq!(store.text(&Key::new(&number)).is_some(), number >= 40, "{number}");
    }
    assert_eq!(store.sweep().expect("sweep again").expired, 0);
}

fn the_dead_leave_without_being_asked_for(bench: &Bench<'_>) {
    let store = bench.open("");
    for number in 0..50 {
        store.put_for(&Key::new(&("dead", number)), "v", SECOND);
    }
    let before = store.stats().expirations;
    bench.clock.advance(2 * SECOND);
    // A store may look at random, so half of them is enough; and it may look seldom.
    for round in 0..40_000 {
        store.put(&Key::new(&("living", round % 8)), "v");
        if store.stats().expirations - before >= 25 {
            return;
        }
    }
    let left = 50 - (store.stats().expirations - before);
    panic!("{left} of 50 dead entries are still there after 40,000 writes");
}
