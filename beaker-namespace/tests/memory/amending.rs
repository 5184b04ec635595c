//! A value that is changed where it lies.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use beaker_namespace::{
    Departure, Fulfilled, Key, ManualClock, MemoryConfig, MemoryNamespace, Namespace, OnDeparture,
    Timestamp, Wait,
};

use super::{memory, object, raw};

const NEVER: Timestamp = Timestamp::NEVER;

fn key() -> Key {
    Key::new("k")
}

fn holding(value: u64) -> (Arc<MemoryNamespace>, u64) {
    let namespace = memory(MemoryConfig::new());
    namespace.set(&key(), object(Arc::new(value))).unwrap();
    let generation = generation(&namespace);
    (namespace, generation)
}

fn generation(namespace: &MemoryNamespace) -> u64 {
    namespace.get(&key()).unwrap().map_or(0, |entry| entry.generation())
}

fn value(namespace: &MemoryNamespace) -> Option<u64> {
    namespace.read(&key(), |found| found.object()?.downcast_ref::<u64>().copied())
}

/// Adds one in place, or if that cannot be puts a new value there; says whether it was in place.
fn add(namespace: &MemoryNamespace, seen: u64) -> Option<bool> {
    let (mut in_place, mut left) = (None, None);
    let new = namespace.amend(&key(), |mut entry| {
        if entry.generation() != seen {
            return None;
        }
        match entry.get_mut().and_then(|object| object.downcast_mut::<u64>()) {
            Some(value) => {
                *value += 1;
                in_place = Some(true);
            }
            None => {
                let more = entry.object().downcast_ref::<u64>().map_or(0, |value| value + 1);
                left = Some(entry.replace(Arc::new(more)));
                in_place = Some(false);
            }
        }
        Some((NEVER, NEVER))
    });
    drop(left);
    assert_eq!(new, in_place.map(|_| generation(namespace)));
    in_place
}

#[test]
fn what_nobody_holds_is_changed_in_place_and_what_somebody_holds_is_not() {
    let (namespace, seen) = holding(1);
    assert_eq!(add(&namespace, seen), Some(true));
    assert_eq!(value(&namespace), Some(2));
    let held = namespace.get(&key()).unwrap();
    assert_eq!(add(&namespace, generation(&namespace)), Some(false));
    assert_eq!(value(&namespace), Some(3));
    let beaker_namespace::Payload::Object(held) = held.unwrap().into_payload() else { panic!() };
    assert_eq!(held.downcast_ref(), Some(&2_u64));
    assert_eq!(namespace.stats().sets, 3);
}

#[test]
fn a_value_that_was_written_since_is_left_alone() {
    let (namespace, seen) = holding(1);
    namespace.set(&key(), object(Arc::new(5_u64))).unwrap();
    assert_eq!(add(&namespace, seen), None);
    assert_eq!(value(&namespace), Some(5));
    let seen = generation(&namespace);
    assert!(namespace.remove(&key()).unwrap());
    assert_eq!(add(&namespace, seen), None);
    assert_eq!(value(&namespace), None, "nothing comes back");
}

#[test]
fn bytes_are_left_to_a_set() {
    let (namespace, _) = holding(1);
    namespace.set(&key(), raw(&*namespace, "bytes")).unwrap();
    let seen = generation(&namespace);
    assert_eq!(add(&namespace, seen), None);
    assert_eq!(generation(&namespace), seen);
}

#[test]
fn a_dead_value_is_left_alone_and_the_new_times_hold() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
    let namespace = memory(MemoryConfig::new().clock(clock.clone()));
    let second = Duration::from_secs(1);
    namespace.set(&key(), object(Arc::new(1_u64)).times(NEVER, NEVER)).unwrap();
    let seen = generation(&namespace);
    let end = Timestamp::from_micros(3_000_000);
    let amended = namespace.amend(&key(), |_| Some((end, end))).unwrap();
    assert_ne!(amended, seen);
    assert_eq!(namespace.get(&key()).unwrap().map(|entry| entry.dies()), Some(end));
    clock.advance(second * 2);
    assert_eq!(add(&namespace, amended), None, "it is dead");
    assert_eq!(namespace.sweep().unwrap().expired, 1, "its timer was set");
    assert_eq!(namespace.stats().entries, Some(0));
}

#[test]
fn it_is_told_as_replaced_and_wins_over_a_running_creation() {
    let (namespace, seen) = holding(1);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keeps = Arc::clone(&heard);
    let listener: Arc<OnDeparture> =
        Arc::new(move |key: &Key, why| keeps.lock().unwrap().push((key.clone(), why)));
    assert!(namespace.on_departure(&listener));
    let claim = namespace.claim(&key(), Wait::Never).unwrap().unwrap();
    assert_eq!(add(&namespace, seen), Some(true));
    assert_eq!(*heard.lock().unwrap(), [(key(), Departure::Replaced)]);
    let late = namespace.fulfil(&key(), object(Arc::new(9_u64)), claim).unwrap();
    assert_eq!((late, value(&namespace)), (Fulfilled::Superseded, Some(2)));
}

#[test]
fn an_entry_that_was_shown_and_left_alone_is_as_it_was() {
    let (namespace, seen) = holding(1);
    let hit = || namespace.read(&key(), |found| found.object().cloned()).unwrap();
    let before = (hit(), namespace.get(&key()).unwrap().map(|entry| entry.expires()));
    let mut shown = None;
    let amended = namespace.amend(&key(), |entry| {
        shown = Some((entry.generation(), entry.expires()));
        None
    });
    assert_eq!((amended, shown), (None, Some((seen, NEVER))));
    let after = (hit(), namespace.get(&key()).unwrap().map(|entry| entry.expires()));
    assert!(Arc::ptr_eq(&before.0, &after.0));
    assert_eq!((after.1, generation(&namespace)), (before.1, seen));
    assert_eq!(namespace.stats().sets, 1);
    assert_eq!(add(&namespace, seen), Some(false), "both hits hold it");
}

#[test]
fn no_addition_of_several_threads_is_lost() {
    let (namespace, _) = holding(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut added = 0;
                while added < 500 {
                    added += u32::from(add_racing(&namespace));
                }
            });
        }
    });
    assert_eq!(value(&namespace), Some(2_000));
}

/// As [`add`], while others do the same.
fn add_racing(namespace: &MemoryNamespace) -> bool {
    let seen = generation(namespace);
    let mut left = None;
    let amended = namespace.amend(&key(), |mut entry| {
        let more = entry.object().downcast_ref::<u64>().filter(|_| entry.generation() == seen)? + 1;
        match entry.get_mut().and_then(|object| object.downcast_mut::<u64>()) {
            Some(value) => *value = more,
            None => left = Some(entry.replace(Arc::new(more))),
        }
        Some((NEVER, NEVER))
    });
    drop(left);
    amended.is_some()
}

#[test]
fn who_tells_an_entry_to_die_before_it_expires_has_it_die_then() {
    let (namespace, _) = holding(1);
    let (earlier, later) = (Timestamp::from_micros(1_000), NEVER);
    namespace.amend(&key(), |_| Some((later, earlier))).expect("it is there");
    let times = namespace.get(&key()).unwrap().map(|entry| (entry.expires(), entry.dies()));
    assert_eq!(times, Some((later, later)));
}
