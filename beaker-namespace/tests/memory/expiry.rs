//! Entries that expire, die and leave.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{
    CLOCK_TOLERANCE, Clock, Condition, ConditionalSet, Entry, Inspection, Key, ManualClock,
    MemoryConfig, MemoryNamespace, Namespace, Payload, Timestamp,
};
use proptest::prelude::*;

use super::{entries, memory, object, raw, text};

const START: Timestamp = Timestamp::from_micros(1_000_000_000_000_000);

fn with_clock() -> (Arc<ManualClock>, Arc<MemoryNamespace>) {
    let clock = Arc::new(ManualClock::new(START));
    let namespace = memory(MemoryConfig::new().clock(Arc::clone(&clock) as _));
    (clock, namespace)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn an_expired_entry_is_served_until_it_dies() {
    let (clock, namespace) = with_clock();
    let key = Key::new("k");
    let entry = raw(&*namespace, "v").ttl(Some(seconds(10))).grace(seconds(5));
    namespace.set(&key, entry).unwrap();
    clock.advance(seconds(14));
    let entry = namespace.get(&key).unwrap().unwrap();
    assert!(!entry.is_fresh(clock.now()));
    clock.advance(seconds(1));
    assert!(namespace.get(&key).unwrap().is_none());
}

/// A clock whose coarse time ticks when it is told to.
#[derive(Debug)]
struct Ticking {
    now: ManualClock,
    tick: ManualClock,
}

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        self.now.now()
    }

    fn coarse(&self) -> Timestamp {
        self.tick.now()
    }
}

#[test]
fn what_a_get_still_shows_can_be_set_on_its_generation_and_is_not_absent() {
    let clock = Arc::new(Ticking { now: ManualClock::new(START), tick: ManualClock::new(START) });
    let namespace = memory(MemoryConfig::new().clock(Arc::clone(&clock) as _));
    let (key, entry) = (Key::new("k"), raw(&*namespace, "v").ttl(Some(seconds(10))));
    namespace.set(&key, entry.clone()).unwrap();
    clock.now.advance(seconds(10));
    let shown = namespace.get(&key).unwrap().unwrap();
    let set = |condition| namespace.set_if(&key, entry.clone(), condition).unwrap();
    assert_eq!(set(Condition::Absent), ConditionalSet::Conflict);
    let stored = set(Condition::Generation(shown.generation()));
    assert!(matches!(stored, ConditionalSet::Stored { .. }));
    clock.tick.advance(seconds(10));
    assert!(namespace.get(&key).unwrap().is_none());
    assert!(matches!(set(Condition::Absent), ConditionalSet::Stored { .. }));
}

/// Fills `namespace` with objects that die together, and returns a value that each of them holds.
fn fill(namespace: &MemoryNamespace, count: u64) -> Arc<()> {
    let value = Arc::new(());
    for n in 0..count {
        let object = Arc::new(Arc::clone(&value));
        let entry = Entry::new(Payload::Object(object), namespace.clock().now());
        namespace.set(&Key::new(&n), entry.ttl(Some(seconds(10)))).unwrap();
    }
    value
}

#[test]
fn d15_dead_entries_leave_while_others_are_written() {
    let (clock, namespace) = with_clock();
    let value = fill(&namespace, 1_000);
    clock.advance(seconds(9));
    namespace.set(&Key::new("other"), raw(&*namespace, "")).unwrap();
    assert_eq!(Arc::strong_count(&value), 1_001, "none is dead yet");
    clock.advance(seconds(1));
    for _ in 0..1_000 / 32 + 64 {
        namespace.set(&Key::new("other"), raw(&*namespace, "")).unwrap();
    }
    assert_eq!(Arc::strong_count(&value), 1);
    assert_eq!(entries(&*namespace), 1);
    assert_eq!(namespace.stats().expirations, 1_000);
}

#[test]
fn d15_dead_entries_leave_while_others_are_missed() {
    let (clock, namespace) = with_clock();
    let value = fill(&namespace, 1_000);
    clock.advance(seconds(10));
    for _ in 0..1_000 / 32 + 64 {
        assert!(namespace.get(&Key::new("absent")).unwrap().is_none());
    }
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn d15_dead_entries_leave_a_namespace_that_nobody_uses_while_others_are_written() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let open = || memory(MemoryConfig::new().clock(clock.clone()));
    let (idle, busy) = (open(), open());
    let value = fill(&idle, 1_000);
    let write = |namespace: &MemoryNamespace| {
        for n in 0..1_000 * 16 / 32 + 2_000 {
            namespace.set(&Key::new(&(n % 100)), raw(namespace, "")).unwrap();
        }
    };
    write(&busy);
    assert_eq!(Arc::strong_count(&value), 1_001, "none is dead yet");
    clock.advance(seconds(10));
    // The control: who goes by another clock says nothing about what is dead here.
    write(&with_clock().1);
    assert_eq!(Arc::strong_count(&value), 1_001);
    write(&busy);
    assert_eq!(Arc::strong_count(&value), 1);
    assert_eq!(idle.stats().expirations, 1_000);
}

#[test]
fn one_call_drops_few_dead_entries() {
    let (clock, namespace) = with_clock();
    let value = fill(&namespace, 10_000);
    clock.advance(seconds(10));
    let before = Arc::strong_count(&value);
    namespace.set(&Key::new("other"), raw(&*namespace, "")).unwrap();
    let dropped = before - Arc::strong_count(&value);
    assert!((1..=32).contains(&dropped), "{dropped} entries dropped by one call");
}

#[test]
fn a_sweep_drops_all_that_is_dead_and_nothing_else() {
    let (clock, namespace) = with_clock();
    fill(&namespace, 1_000);
    namespace.set(&Key::new("endless"), raw(&*namespace, "v")).unwrap();
    let graced = raw(&*namespace, "v").ttl(Some(seconds(1))).grace(seconds(60));
    namespace.set(&Key::new("stale"), graced).unwrap();
    assert_eq!(namespace.sweep().unwrap().expired, 0);
    clock.advance(seconds(10));
    assert_eq!(namespace.sweep().unwrap().expired, 1_000);
    assert_eq!(entries(&*namespace), 2);
    assert_eq!(namespace.sweep().unwrap().expired, 0);
}

#[test]
fn a_rewritten_entry_lives_as_long_as_its_last_writing_says() {
    let (clock, namespace) = with_clock();
    let (longer, shorter) = (Key::new("longer"), Key::new("shorter"));
    let ttl = |seconds| raw(&*namespace, "v").ttl(Some(Duration::from_secs(seconds)));
    namespace.set(&longer, ttl(10)).unwrap();
    namespace.set(&longer, ttl(30)).unwrap();
    namespace.set(&shorter, ttl(30)).unwrap();
    namespace.set(&shorter, ttl(10)).unwrap();
    clock.advance(seconds(10));
    assert_eq!(namespace.sweep().unwrap().expired, 1);
    assert!(namespace.get(&longer).unwrap().is_some());
    clock.advance(seconds(20));
    assert_eq!(namespace.sweep().unwrap().expired, 1, "its timer was set again");
}

#[test]
fn an_entry_without_a_time_to_live_outlasts_a_rewriting_with_one() {
    let (clock, namespace) = with_clock();
    let key = Key::new("k");
    namespace.set(&key, raw(&*namespace, "old").ttl(Some(seconds(1)))).unwrap();
    namespace.set(&key, raw(&*namespace, "new")).unwrap();
    clock.advance(seconds(100));
    namespace.sweep().unwrap();
    assert_eq!(text(&*namespace, &key).as_deref(), Some("new"));
}

#[test]
fn a_look_inside_tells_a_dead_entry_and_leaves_it() {
    let (clock, namespace) = with_clock();
    let key = Key::new("k");
    namespace.set(&key, raw(&*namespace, "v").ttl(Some(seconds(1)))).unwrap();
    assert!(matches!(namespace.inspect(&key).unwrap(), Inspection::Present(_)));
    clock.advance(seconds(1));
    assert!(matches!(namespace.inspect(&key).unwrap(), Inspection::Dead(_)));
    assert!(matches!(namespace.inspect(&Key::new("no")).unwrap(), Inspection::Absent));
    let stats = namespace.stats();
    assert_eq!((stats.entries, stats.hits, stats.misses), (Some(1), 0, 0));
}

#[test]
fn f46_a_zero_time_to_live_is_dead_at_once_and_the_longest_never() {
    let (clock, namespace) = with_clock();
    let key = Key::new("k");
    namespace.set(&key, raw(&*namespace, "v").ttl(Some(Duration::ZERO))).unwrap();
    assert!(namespace.get(&key).unwrap().is_none());
    let endless = raw(&*namespace, "v").ttl(Some(Duration::MAX)).grace(Duration::MAX);
    namespace.set(&key, endless).unwrap();
    clock.set(Timestamp::from_micros(i64::MAX - 1));
    namespace.sweep().unwrap();
    assert!(namespace.get(&key).unwrap().is_some());
}

proptest! {
    #[test]
    fn f46_no_time_to_live_panics_or_is_fresh_past_its_end(
        began in any::<i64>(),
        ttl in any::<u64>(),
        grace in any::<u64>(),
        now in any::<i64>(),
    ) {
        let (clock, namespace) = with_clock();
        let (ttl, grace) = (Duration::from_micros(ttl), Duration::from_micros(grace));
        let entry = Entry::new(Payload::raw("v"), Timestamp::from_micros(began));
        let entry = entry.ttl(Some(ttl)).grace(grace);
        let (expires, dies) = (entry.expires(), entry.dies());
        clock.set(Timestamp::from_micros(i64::MIN));
        namespace.set(&Key::new("k"), entry).unwrap();
        let now = Timestamp::from_micros(now);
        clock.set(now);
        let found = namespace.get(&Key::new("k")).unwrap();
        prop_assert_eq!(found.is_none(), !dies.is_never() && now >= dies);
        if let Some(entry) = found {
            prop_assert!(!entry.is_fresh(now) || expires.is_never() || now < expires);
        }
        namespace.sweep().unwrap();
    }

    /// D27, F44: the wall clock jumps while real time goes on. Set back once, it makes an entry
    /// fresh for at most twice its time to live (and the tolerance), however far it jumps; each
    /// further jump backwards can add as much again, and jumps forward add nothing.
    #[test]
    fn f44_a_jumping_clock_keeps_an_entry_fresh_for_a_bounded_real_time(
        ttl in 1_u64..100,
        steps in prop::collection::vec((0_u64..50, jump()), 1..40),
    ) {
        let (clock, namespace) = with_clock();
        let key = Key::new("k");
        namespace.set(&key, raw(&*namespace, "v").ttl(Some(seconds(ttl)))).unwrap();
        let (mut fresh, mut backwards) = (Duration::ZERO, 0);
        for (real, jump) in steps {
            for _ in 0..real {
                let entry = namespace.get(&key).unwrap();
                if entry.is_some_and(|entry| entry.is_fresh(clock.now())) {
                    fresh += seconds(1);
                }
                clock.advance(seconds(1));
            }
            backwards += u32::from(jump < 0);
            clock.set(Timestamp::from_micros(clock.now().as_micros() + jump * 1_000_000));
            namespace.set(&Key::new("other"), raw(&*namespace, "")).unwrap();
        }
        let once = seconds(ttl) + CLOCK_TOLERANCE;
        prop_assert!(fresh <= once * (1 + backwards), "fresh for {fresh:?} of {ttl} s");
    }
}

/// None, an hour or more either way, or about as much as the test's times to live.
fn jump() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => Just(0_i64),
        1 => -100_i64..100,
        1 => prop_oneof![Just(-3_600_i64), Just(31_557_600), Just(-2_000_000_000)],
    ]
}

#[test]
fn a_dead_object_is_dropped_by_the_next_write_even_of_another_shard() {
    let (clock, namespace) = with_clock();
    let value = Arc::new(());
    let entry = object(Arc::clone(&value)).times(START, START.saturating_add(seconds(1)));
    namespace.set(&Key::new("k"), entry).unwrap();
    clock.advance(seconds(2));
    namespace.set(&Key::new("another"), raw(&*namespace, "")).unwrap();
    assert_eq!(Arc::strong_count(&value), 1);
}
