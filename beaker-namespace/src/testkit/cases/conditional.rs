//! Writes on a condition.

use std::thread;

use super::case;
use crate::testkit::bench::{Bench, Handle};
use crate::testkit::suite::Case;
use crate::{Condition, ConditionalSet, Key};

pub(super) const CASES: &[Case] = &[
    case!(only_an_absent_key_is_absent, "a set if absent stores once", [Retains, CompareAndSet]),
    case!(
        only_the_named_generation_is_replaced,
        "a set if unchanged stores over the generation it \
          names and no other",
        [Retains, CompareAndSet]
    ),
    case!(
        a_conflict_changes_nothing,
        "a conflict leaves value and generation",
        [Retains, CompareAndSet]
    ),
    case!(
        what_can_be_read_is_not_too_large,
        "a set on what is too large to be read stores over nothing else",
        [Retains, CompareAndSet]
    ),
    case!(
        one_of_many_sets_if_absent,
        "of many threads that set if absent one stores",
        [Retains, CompareAndSet]
    ),
    case!(
        no_increment_is_lost,
        "threads that read, add and set if unchanged lose no increment",
        [Retains, CompareAndSet]
    ),
];

fn set_if(store: &Handle, key: &Key, value: &str, condition: Condition) -> Option<u64> {
    match store.set_if(key, store.entry(value), condition).expect("set if") {
        ConditionalSet::Stored { generation } => Some(generation),
        ConditionalSet::Conflict => None,
    }
}

fn generation(store: &Handle, key: &Key) -> Option<u64> {
    store.get(key).expect("get").map(|entry| entry.generation())
}

fn only_an_absent_key_is_absent(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    assert!(set_if(&store, &key, "first", Condition::Absent).is_some());
    assert!(set_if(&store, &key, "second", Condition::Absent).is_none());
    assert_eq!(store.text(&key).as_deref(), Some("first"));
    assert!(store.remove(&key).expect("remove"));
    assert!(set_if(&store, &key, "third", Condition::Absent).is_some());
}

fn only_the_named_generation_is_replaced(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    assert!(set_if(&store, &key, "v", Condition::Generation(1)).is_none(), "nothing is there");
    let first = set_if(&store, &key, "first", Condition::Absent).expect("stored");
    assert_eq!(generation(&store, &key), Some(first));
    let second = set_if(&store, &key, "second", Condition::Generation(first)).expect("stored");
    assert_eq!(generation(&store, &key), Some(second));
    assert!(set_if(&store, &key, "third", Condition::Generation(first)).is_none());
    store.put(&key, "other");
    assert!(set_if(&store, &key, "third", Condition::Generation(second)).is_none());
    assert_eq!(store.text(&key).as_deref(), Some("other"));
    store.remove(&key).expect("remove");
    assert!(set_if(&store, &key, "third", Condition::Generation(second)).is_none());
    assert_eq!(store.text(&key), None);
}

fn a_conflict_changes_nothing(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    store.put(&key, "v");
    let before = generation(&store, &key);
    assert!(set_if(&store, &key, "new", Condition::Absent).is_none());
    let wrong = before.map_or(1, |generation| generation.wrapping_add(1));
    assert!(set_if(&store, &key, "new", Condition::Generation(wrong)).is_none());
    assert_eq!((store.text(&key).as_deref(), generation(&store, &key)), (Some("v"), before));
}

fn what_can_be_read_is_not_too_large(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    assert!(set_if(&store, &key, "new", Condition::TooLarge).is_none(), "nothing is there");
    assert_eq!(store.text(&key), None);
    store.put(&key, "v");
    assert!(set_if(&store, &key, "new", Condition::TooLarge).is_none());
    assert_eq!(store.text(&key).as_deref(), Some("v"));
}

fn one_of_many_sets_if_absent(bench: &Bench<'_>) {
    let store = bench.open("");
    for round in 0..20 {
        let key = Key::new(&round);
        let stored: Vec<bool> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|id: u8| {
                    let (store, key) = (&store, &key);
                    scope.spawn(move || {
                        set_if(store, key, &id.to_string(), Condition::Absent).is_some()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let winners: Vec<_> = (0..8).filter(|&id| stored[id]).collect();
        assert_eq!(winners.len(), 1, "{stored:?}");
        assert_eq!(store.text(&key), Some(winners[0].to_string()));
    }
}

fn no_increment_is_lost(bench: &Bench<'_>) {
    const THREADS: u64 = 4;
    const INCREMENTS: u64 = 25;
    let (store, other, key) = (bench.open(""), bench.open_again(""), Key::new("counter"));
    store.put(&key, "0");
    let increment = |store: &Handle| loop {
        let entry = store.get(&key).expect("get").expect("it is never removed");
        let count = store.number_in(&entry);
        thread::yield_now(); // Others may come in between now; if they can, they will.
        let condition = Condition::Generation(entry.generation());
        if set_if(store, &key, &(count + 1).to_string(), condition).is_some() {
            return;
        }
    };
    thread::scope(|scope| {
        for id in 0..THREADS {
            let (store, increment) = (if id % 2 == 0 { &store } else { &other }, &increment);
            scope.spawn(move || (0..INCREMENTS).for_each(|_| increment(store)));
        }
    });
    assert_eq!(store.text(&key), Some((THREADS * INCREMENTS).to_string()));
}
