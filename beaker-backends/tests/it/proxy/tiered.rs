//! `Tiered`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use beaker_backends::proxy::{Metered, Operation, Prefixed, Tiered};
use beaker_namespace::testkit::{self, Fault, FaultStore};
use beaker_namespace::{
    Clock, Condition, ErrorKind, FileConfig, FileNamespace, Fulfilled, Key, ManualClock, Mark,
    MemoryConfig, MemoryNamespace, Namespace, Payload, Wait,
};

use super::hook::{Hook, Point};
use super::{SECOND, conforms, conforms_over_memory, entry, manual_clock, memory_of, put, text};

/// Longer than a test runs: the tests move the wall clock, and the monotonic one must not interfere.
const HOUR: Duration = Duration::from_secs(3_600);

fn tiered<N: Namespace>(lower: N) -> Tiered<N> {
    Tiered::open(lower, MemoryConfig::new()).unwrap().max_age(HOUR)
}

/// A memory below, with its clock, that a test and its tiers hold.
fn below() -> (Arc<MemoryNamespace>, Arc<ManualClock>) {
    let clock = manual_clock();
    let config = MemoryConfig::new().clock(Arc::clone(&clock) as Arc<_>);
    (MemoryNamespace::anonymous(config).unwrap(), clock)
}

#[test]
fn it_conforms() {
    conforms("tiered", |inner, _| tiered(inner));
}

#[test]
fn it_conforms_without_a_memory_to_speak_of() {
    conforms_over_memory("tiered with one entry", |inner, _| {
        Tiered::open(inner, MemoryConfig::new().max_entries(1)).unwrap().max_age(HOUR)
    });
    conforms_over_memory("tiered without an age", |inner, _| tiered(inner).max_age(Duration::ZERO));
}

#[test]
fn it_conforms_over_prefixes_in_one_namespace() {
    testkit::conformance("tiers over prefixes", |name, clock| {
        let memory = MemoryNamespace::open("shared", memory_of("tiers", clock))?;
        Ok(tiered(Prefixed::new(memory, name)))
    });
}

#[test]
fn the_second_read_does_not_go_below() {
    let (lower, _clock) = below();
    let (tiered, key) = (tiered(Metered::new(lower)), Key::new("k"));
    put(&tiered, &key, "v");
    for _ in 0..3 {
        assert_eq!(text(&tiered, &key).as_deref(), Some("v"));
        tiered.read_with(&key, &mut |entry| entry.payload().len_bytes() == Some(1)).unwrap();
    }
    assert_eq!(tiered.lower().snapshot().hits, 1);
    assert_eq!(tiered.stats().hits, 6);
    let many = tiered.get_many(&[Key::new("absent"), key]).unwrap();
    assert_eq!(many.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    assert_eq!(tiered.lower().snapshot().hits, 1);
}

#[test]
fn many_reads_fill_the_memory() {
    let (lower, _clock) = below();
    let tiered = tiered(Metered::new(lower));
    let keys = [Key::new("a"), Key::new("b")];
    keys.iter().for_each(|key| put(&tiered, key, "v"));
    tiered.get_many(&keys).unwrap();
    keys.iter().for_each(|key| assert_eq!(text(&tiered, key).as_deref(), Some("v")));
    assert_eq!(tiered.lower().snapshot().hits, 2);
    tiered.get_many(&keys).unwrap();
    let calls = tiered.lower().snapshot().latencies(Operation::GetMany).count();
    assert_eq!(calls, 1, "nothing is asked for below if the memory has all");
}

#[test]
fn it_returns_the_lower_entry_as_it_is() {
    let (lower, _clock) = below();
    let (tiered, key) = (tiered(Arc::clone(&lower)), Key::new("k"));
    let entry = entry(&*lower, "v").ttl(Some(HOUR * 9)).grace(HOUR).cost(7);
    tiered.set(&key, entry.tags(vec!["t".into()]).etag(Some("e".into()))).unwrap();
    let [truth, first, second] =
        [lower.get(&key), tiered.get(&key), tiered.get(&key)].map(|found| found.unwrap().unwrap());
    assert_eq!(tiered.stats().hits - lower.stats().hits, 1, "the second came from memory");
    assert_eq!(format!("{first:?}"), format!("{truth:?}"));
    assert_eq!(format!("{second:?}"), format!("{truth:?}"));
    assert!(matches!(second.into_payload(), Payload::Bytes { .. }));
}

#[test]
fn what_others_do_below_is_seen_after_the_age_and_not_before() {
    let (lower, clock) = below();
    let (tiered, key) = (tiered(Arc::clone(&lower)), Key::new("k"));
    put(&*lower, &key, "old");
    assert_eq!(text(&tiered, &key).as_deref(), Some("old"));
    put(&*lower, &key, "new");
    clock.advance(HOUR - Duration::from_micros(1));
    assert_eq!(text(&tiered, &key).as_deref(), Some("old"), "within the bound");
    clock.advance(Duration::from_micros(1));
    assert_eq!(text(&tiered, &key).as_deref(), Some("new"));
    lower.remove(&key).unwrap();
    clock.advance(HOUR);
    assert_eq!(text(&tiered, &key), None);
}

#[test]
fn an_age_of_zero_always_reads_below() {
    let (lower, _clock) = below();
    let (tiered, key) = (tiered(Arc::clone(&lower)).max_age(Duration::ZERO), Key::new("k"));
    for value in ["one", "two"] {
        put(&*lower, &key, value);
        assert_eq!(text(&tiered, &key).as_deref(), Some(value));
    }
}

#[test]
fn the_age_is_also_bounded_when_the_wall_clock_stands_still() {
    let age = Duration::from_millis(1);
    let (lower, _clock) = below();
    let (tiered, key) = (tiered(Arc::clone(&lower)).max_age(age), Key::new("k"));
    put(&*lower, &key, "old");
    assert_eq!(text(&tiered, &key).as_deref(), Some("old"));
    put(&*lower, &key, "new");
    let read = Instant::now();
    while read.elapsed() < age {
        std::hint::spin_loop();
    }
    assert_eq!(text(&tiered, &key).as_deref(), Some("new"));
}

#[test]
fn a_clock_set_back_makes_it_read_below() {
    let (lower, clock) = below();
    let (tiered, key) = (tiered(Arc::clone(&lower)), Key::new("k"));
    put(&*lower, &key, "old");
    assert_eq!(text(&tiered, &key).as_deref(), Some("old"));
    put(&*lower, &key, "new");
    clock.set(lower.clock().now().saturating_sub(SECOND));
    assert_eq!(text(&tiered, &key).as_deref(), Some("new"));
}

#[test]
fn an_expired_entry_is_asked_for_below() {
    let (lower, clock) = below();
    let (tiered, key) = (tiered(Arc::clone(&lower)), Key::new("k"));
    tiered.set(&key, entry(&*lower, "old").ttl(Some(10 * SECOND)).grace(HOUR)).unwrap();
    clock.advance(9 * SECOND);
    assert_eq!(text(&tiered, &key).as_deref(), Some("old"));
    put(&*lower, &key, "renewed by another process");
    clock.advance(SECOND);
    assert_eq!(text(&tiered, &key).as_deref(), Some("renewed by another process"));
}

#[test]
fn a_dead_entry_is_gone_from_memory() {
    let (lower, clock) = below();
    let (tiered, key) = (tiered(lower), Key::new("k"));
    tiered.set(&key, entry(&tiered, "v").ttl(Some(10 * SECOND))).unwrap();
    assert_eq!(text(&tiered, &key).as_deref(), Some("v"));
    clock.advance(10 * SECOND);
    assert_eq!(text(&tiered, &key), None);
}

type Invalidate = fn(&dyn Namespace, &Key);

/// Every way to change an entry, the value that is there afterwards.
fn invalidations() -> [(Invalidate, Option<&'static str>); 9] {
    [
        (|tier, key| put(tier, key, "new"), Some("new")),
        (|tier, key| assert!(tier.remove(key).unwrap()), None),
        (|tier, _| tier.clear().unwrap(), None),
        (|tier, _| assert_eq!(tier.remove_tag("t").unwrap(), 1), None),
        (|tier, key| assert_eq!(tier.remove_many(std::slice::from_ref(key)).unwrap(), 1), None),
        (|tier, key| tier.set_many(vec![(key.clone(), entry(tier, "new"))]).unwrap(), Some("new")),
        (
            |tier, key| {
                let claim = tier.claim(key, Wait::Never).unwrap().unwrap();
                let fulfilled = tier.fulfil(key, entry(tier, "new"), claim).unwrap();
                assert_eq!(fulfilled, Fulfilled::Stored);
            },
            Some("new"),
        ),
        (
            |tier, key| {
                let generation = tier.get(key).unwrap().unwrap().generation();
                let condition = Condition::Generation(generation);
                let _stored = tier.set_if(key, entry(tier, "new"), condition).unwrap();
            },
            Some("new"),
        ),
        // A claim changes nothing, but who has it must see what is below.
        (|tier, key| drop(tier.claim(key, Wait::Never).unwrap()), Some("old")),
    ]
}

#[test]
fn every_change_is_seen_at_once_through_every_tier_of_the_process() {
    for (number, (invalidate, expected)) in invalidations().into_iter().enumerate() {
        let (lower, _clock) = below();
        let (one, other) = (tiered(Arc::clone(&lower)), tiered(lower));
        let key = Key::new("k");
        one.set(&key, entry(&one, "old").tags(vec!["t".into()])).unwrap();
        assert_eq!(text(&one, &key).as_deref(), Some("old"));
        invalidate(&other, &key);
        assert_eq!(text(&one, &key).as_deref(), expected, "change number {number}");
    }
}

#[test]
fn a_mark_below_is_seen_at_once_whoever_makes_it() {
    let (lower, clock) = below();
    let (one, other) = (tiered(Arc::clone(&lower)), tiered(Arc::clone(&lower)));
    put(&one, &Key::new("k"), "v");
    assert_eq!(text(&one, &Key::new("k")).as_deref(), Some("v"));
    let mark = Mark::hard(clock.now());
    other.mark("through a tier", mark).unwrap();
    lower.mark("past the tiers", mark).unwrap();
    for name in ["through a tier", "past the tiers"] {
        for tier in [&one, &other] {
            assert_eq!(tier.marks(&mut [name].into_iter()).unwrap(), mark, "{name}");
        }
    }
    assert_eq!(one.marks(&mut ["absent"].into_iter()).unwrap(), Mark::default());
}

/// The reader has read the old value below; then it is changed below and taken out of the memory;
/// then the reader puts what he read into the memory.
#[test]
fn a_reader_that_was_overtaken_by_a_change_leaves_nothing_in_memory() {
    for (number, (invalidate, expected)) in invalidations().into_iter().enumerate() {
        for many in [false, true] {
            let (lower, _clock) = below();
            let hook = Arc::new(Hook::new(Arc::clone(&lower)));
            let (reader, other) = (tiered(Arc::clone(&hook)), tiered(lower));
            let key = Key::new("k");
            reader.set(&key, entry(&reader, "old").tags(vec!["t".into()])).unwrap();
            let changed = key.clone();
            let point = if many { Point::AfterGetMany } else { Point::AfterGet };
            hook.at(point, move || invalidate(&other, &changed));
            let read = if many {
                reader.get_many(std::slice::from_ref(&key)).unwrap().remove(0)
            } else {
                reader.get(&key).unwrap()
            };
            assert_eq!(read.map(|entry| super::bytes_in(&entry)), Some(b"old".to_vec()));
            assert_eq!(text(&reader, &key).as_deref(), expected, "change number {number}");
        }
    }
}

/// The control of the test above: without a change, what the reader read is in memory.
#[test]
fn a_reader_that_was_not_overtaken_fills_the_memory() {
    let (lower, _clock) = below();
    let hook = Arc::new(Hook::new(Arc::clone(&lower)));
    let (reader, key) = (tiered(Arc::clone(&hook)), Key::new("k"));
    put(&reader, &key, "old");
    hook.at(Point::AfterGet, || ());
    assert_eq!(text(&reader, &key).as_deref(), Some("old"));
    put(&*lower, &key, "past the tier");
    assert_eq!(text(&reader, &key).as_deref(), Some("old"));
}

/// Also if he reads, and fills the memory, when the writer has begun and not yet changed anything.
#[test]
fn a_reader_in_the_midst_of_a_change_leaves_the_new_value() {
    for (point, sees) in [(Point::BeforeSet, "old"), (Point::AfterSet, "new")] {
        let (lower, clock) = below();
        let hook = Arc::new(Hook::new(Arc::clone(&lower)));
        let (writer, reader) = (tiered(Arc::clone(&hook)), tiered(Arc::clone(&lower)));
        let key = Key::new("k");
        put(&writer, &key, "old");
        assert_eq!(text(&writer, &key).as_deref(), Some("old"));
        clock.advance(HOUR); // So that the reader has to read below.
        let read = key.clone();
        hook.at(point, move || assert_eq!(text(&reader, &read).as_deref(), Some(sees)));
        put(&writer, &key, "new");
        assert_eq!(text(&writer, &key).as_deref(), Some("new"), "{point:?}");
    }
}

/// Who waited for a claim finds what its former holder, another process, has made.
#[test]
fn who_is_granted_a_claim_reads_below_next() {
    let (lower, _clock) = below();
    let (tiered, key) = (tiered(Arc::clone(&lower)), Key::new("k"));
    put(&*lower, &key, "old");
    assert_eq!(text(&tiered, &key).as_deref(), Some("old"));
    put(&*lower, &key, "made by another process");
    let _claim = tiered.claim(&key, Wait::Never).unwrap().unwrap();
    assert_eq!(text(&tiered, &key).as_deref(), Some("made by another process"));
}

#[test]
fn a_change_whose_answer_is_lost_is_seen_nevertheless() {
    let key = Key::new("k");
    for fault in [Fault::Tear(ErrorKind::Unavailable), Fault::Panic] {
        let (lower, _clock) = below();
        let faulty = tiered(FaultStore::new(Arc::clone(&lower)));
        put(&faulty, &key, "old");
        assert_eq!(text(&faulty, &key).as_deref(), Some("old"));
        put(&*lower, &key, "new");
        faulty.lower().arm(1, fault);
        let removed = catch_unwind(AssertUnwindSafe(|| faulty.remove(&key).is_err()));
        assert!(removed.unwrap_or(true), "it failed");
        let expected = (fault == Fault::Panic).then_some("new");
        assert_eq!(text(&faulty, &key).as_deref(), expected);
    }
}

#[test]
fn a_store_that_fails_is_an_error_and_not_absent() {
    let (lower, _clock) = below();
    let faulty = tiered(FaultStore::new(lower));
    faulty.lower().arm(1, Fault::Fail(ErrorKind::Unavailable));
    let error = faulty.get(&Key::new("k")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn an_entry_heavier_than_the_memory_is_read_below() {
    let (lower, _clock) = below();
    let memory = MemoryConfig::new().max_weight(10);
    let (tiered, key) = (Tiered::open(Metered::new(lower), memory).unwrap(), Key::new("k"));
    tiered.set(&key, entry(&tiered, "v").cost(11)).unwrap();
    for _ in 0..2 {
        assert_eq!(text(&tiered, &key).as_deref(), Some("v"));
    }
    assert_eq!(tiered.lower().snapshot().hits, 2);
}

#[test]
fn it_is_the_namespace_below_it_and_has_one_memory_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = || FileNamespace::open("n", FileConfig::new(dir.path())).unwrap();
    let first = tiered(file());
    assert_eq!(first.id(), file().id());
    let error = Tiered::open(file(), MemoryConfig::new().max_entries(3)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "another bound of the one memory");
    let elsewhere = tempfile::tempdir().unwrap();
    let other = FileNamespace::open("n", FileConfig::new(elsewhere.path())).unwrap();
    let other = Tiered::open(other, MemoryConfig::new().max_entries(3)).unwrap();
    put(&first, &Key::new("k"), "first");
    assert_eq!(text(&first, &Key::new("k")).as_deref(), Some("first"));
    assert_eq!(text(&other, &Key::new("k")), None);
}

#[test]
fn live_objects_stay_the_same_object() {
    let (lower, _clock) = below();
    let (tiered, key) = (tiered(lower), Key::new("k"));
    let object: Arc<dyn std::any::Any + Send + Sync> = Arc::new(7_u8);
    let live = entry(&tiered, "").with_payload(Payload::Object(Arc::clone(&object)));
    tiered.set(&key, live).unwrap();
    for _ in 0..2 {
        let found = tiered.get(&key).unwrap().unwrap().into_payload();
        let Payload::Object(found) = found else { panic!("bytes") };
        assert!(Arc::ptr_eq(&found, &object));
    }
}
