//! Random operations beside a plain model.

use std::collections::HashMap;
use std::time::Duration;

use super::case;
use crate::testkit::bench::{Bench, Handle, Numbers};
use crate::testkit::suite::Case;
use crate::{Capability, Condition, ConditionalSet, Key, Timestamp};

pub(super) const CASES: &[Case] =
    &[case!(it_does_what_a_map_does, "random operations give what a map gives", [Retains])];

const OPERATIONS: usize = 1_000;

/// Fewer than any store evicts.
const KEYS: u64 = 12;

#[derive(Default)]
struct Model(HashMap<u64, (String, Timestamp)>);

impl Model {
    fn value(&self, key: u64, now: Timestamp) -> Option<String> {
        self.0.get(&key).filter(|(_, dies)| now < *dies).map(|(value, _)| value.clone())
    }
}

fn it_does_what_a_map_does(bench: &Bench<'_>) {
    let handles = [bench.open(""), bench.open_again("")];
    let (mut model, mut numbers) = (Model::default(), Numbers(1));
    for step in 0..OPERATIONS {
        let store = &handles[numbers.below(2) as usize];
        operate(store, bench, &mut model, &mut numbers, step);
        let key = numbers.below(KEYS);
        let expected = model.value(key, store.clock().now());
        assert_eq!(store.text(&Key::new(&key)), expected, "key {key} after step {step}");
    }
}

fn operate(
    store: &Handle,
    bench: &Bench<'_>,
    model: &mut Model,
    numbers: &mut Numbers,
    step: usize,
) {
    let number = numbers.below(KEYS);
    let (key, value, now) = (Key::new(&number), format!("value {step}"), store.clock().now());
    let before = model.value(number, now);
    match numbers.below(20) {
        0 => bench.clock.advance(Duration::from_secs(numbers.below(30))),
        1 if numbers.below(5) == 0 => {
            store.clear().expect("clear");
            model.0.clear();
        }
        2 => {
            store.sweep().expect("sweep");
        }
        3..7 => {
            assert_eq!(store.remove(&key).expect("remove"), before.is_some(), "step {step}");
            model.0.remove(&number);
        }
        7..10 => {
            let claim = store.claimed(&key);
            assert!(store.fulfilled(&key, &value, claim), "step {step}");
            model.0.insert(number, (value, Timestamp::NEVER));
        }
        10..12 if store.capabilities().has(Capability::CompareAndSet) => {
            let set = store.set_if(&key, store.entry(&value), Condition::Absent).expect("set if");
            let stored = matches!(set, ConditionalSet::Stored { .. });
            assert_eq!(stored, before.is_none(), "step {step}");
            if stored {
                model.0.insert(number, (value, Timestamp::NEVER));
            }
        }
        _ => {
            let ttl = Duration::from_secs(1 + numbers.below(60));
            store.put_for(&key, &value, ttl);
            model.0.insert(number, (value, now.saturating_add(ttl)));
        }
    }
}
