//! Each kind against a plain model, by random operations on one thread.

use std::collections::HashMap;
use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::sync::Arc;

use beaker_syncdict::{CreateError, Lru, SyncDict, WeakRegistry};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    Get(u8),
    Contains(u8),
    Create(u8, u16),
    Fail(u8),
    CreateIfOdd(u8, u16),
    InsertWhileCreating(u8, u16),
    RemoveWhileCreating(u8, u16),
    Insert(u8, u16),
    Remove(u8),
    KeepOdd,
    Clear,
    /// Weak kind: whoever holds the value of this key lets go of it.
    LetGo(u8),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let key = 0..12_u8;
    let keyed = |op: fn(u8) -> Op| key.clone().prop_map(op);
    let pair = |op: fn(u8, u16) -> Op| (key.clone(), any::<u16>()).prop_map(move |(k, v)| op(k, v));
    let op = prop_oneof![
        4 => keyed(Op::Get),
        2 => keyed(Op::Contains),
        4 => pair(Op::Create),
        1 => keyed(Op::Fail),
        2 => pair(Op::CreateIfOdd),
        1 => pair(Op::InsertWhileCreating),
        1 => pair(Op::RemoveWhileCreating),
        2 => pair(Op::Insert),
        2 => keyed(Op::Remove),
        1 => Just(Op::KeepOdd),
        1 => Just(Op::Clear),
        3 => keyed(Op::LetGo),
    ];
    vec(op, 0..200)
}

fn odd(value: &u16) -> bool {
    value % 2 == 1
}

/// A map of values, most recently used last; only the newest `capacity` are kept.
#[derive(Default)]
struct Model {
    entries: Vec<(u8, u16)>,
    capacity: Option<usize>,
}

impl Model {
    fn peek(&self, key: u8) -> Option<u16> {
        self.entries.iter().find(|(held, _)| *held == key).map(|(_, value)| *value)
    }

    fn take(&mut self, key: u8) -> Option<u16> {
        let index = self.entries.iter().position(|(held, _)| *held == key)?;
        Some(self.entries.remove(index).1)
    }

    fn get(&mut self, key: u8) -> Option<u16> {
        let value = self.take(key)?;
        self.entries.push((key, value));
        Some(value)
    }

    fn insert(&mut self, key: u8, value: u16) -> Option<u16> {
        let old = self.take(key);
        self.entries.push((key, value));
        if self.capacity.is_some_and(|capacity| self.entries.len() > capacity) {
            self.entries.remove(0);
        }
        old
    }

    fn sorted_keys(&self) -> Vec<u8> {
        let mut keys: Vec<u8> = self.entries.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys
    }

    /// What `get_or_create` does while `meanwhile` happens in the creator.
    fn create(&mut self, key: u8, value: u16, meanwhile: impl FnOnce(&mut Self) -> bool) -> u16 {
        if let Some(found) = self.get(key) {
            return found;
        }
        if meanwhile(self) {
            self.insert(key, value);
        }
        value
    }
}

/// The operations a kind offers, in plain numbers.
trait Subject {
    fn get(&mut self, key: u8) -> Option<u16>;
    fn contains(&self, key: u8) -> bool;
    fn create(&mut self, key: u8, value: u16, meanwhile: Meanwhile) -> u16;
    fn create_if_odd(&mut self, key: u8, value: u16) -> u16;
    fn fail(&mut self, key: u8) -> Option<u16>;
    fn insert(&mut self, key: u8, value: u16) -> Option<u16>;
    fn remove(&mut self, key: u8) -> Option<u16>;
    fn keep_odd(&mut self);
    fn clear(&mut self);
    fn sorted_keys(&self) -> Vec<u8>;
    fn len(&self) -> usize;
    /// Whether the value goes when it is let go of.
    fn let_go(&mut self, key: u8) -> bool;
}

#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    Nothing,
    Insert(u16),
    Remove,
}

macro_rules! subject {
    ($name:ident, $dict:ty, $value:ty, $wrap:expr, $let_go:expr) => {
        struct $name {
            dict: $dict,
            /// Keeps weak values alive; of no account otherwise.
            held: HashMap<u8, $value>,
        }

        impl $name {
            fn hold(&mut self, key: u8, value: $value) -> u16 {
                let number = number(&value);
                self.held.insert(key, value);
                number
            }
        }

        impl Subject for $name {
            fn get(&mut self, key: u8) -> Option<u16> {
                self.dict.get(&key).as_ref().map(number)
            }

            fn contains(&self, key: u8) -> bool {
                self.dict.contains_key(&key)
            }

            fn create(&mut self, key: u8, value: u16, meanwhile: Meanwhile) -> u16 {
                let mut inserted = None;
                let created = self.dict.get_or_create(&key, || {
                    match meanwhile {
                        Meanwhile::Nothing => {}
                        Meanwhile::Remove => assert!(self.dict.remove(&key).is_none()),
                        Meanwhile::Insert(other) => {
                            let other: $value = $wrap(other);
                            inserted = Some(other.clone());
                            assert!(self.dict.insert(key, other).is_none());
                        }
                    }
                    $wrap(value)
                });
                let created = created.unwrap();
                let number = number(&created);
                match (inserted, meanwhile) {
                    (Some(inserted), _) => self.hold(key, inserted),
                    (None, Meanwhile::Remove) if !self.dict.contains_key(&key) => number,
                    _ => self.hold(key, created),
                };
                number
            }

            fn create_if_odd(&mut self, key: u8, value: u16) -> u16 {
                let valid = |value: &$value| odd(&number(value));
                let value = self.dict.get_or_create_if(&key, valid, || $wrap(value)).unwrap();
                self.hold(key, value)
            }

            fn fail(&mut self, key: u8) -> Option<u16> {
                match self.dict.get_or_try_create(&key, || Err::<$value, _>("no")) {
                    Ok(value) => Some(number(&value)),
                    Err(error) => {
                        assert_eq!(error, CreateError::Create("no"));
                        None
                    }
                }
            }

            fn insert(&mut self, key: u8, value: u16) -> Option<u16> {
                let value: $value = $wrap(value);
                let old = self.dict.insert(key, value.clone()).as_ref().map(number);
                self.held.insert(key, value);
                old
            }

            fn remove(&mut self, key: u8) -> Option<u16> {
                let removed = self.dict.remove(&key).as_ref().map(number);
                self.held.remove(&key);
                removed
            }

            fn keep_odd(&mut self) {
                self.dict.retain(|_, value| odd(&number(value)));
            }

            fn clear(&mut self) {
                self.dict.clear();
            }

            fn sorted_keys(&self) -> Vec<u8> {
                let mut keys = self.dict.keys();
                keys.sort_unstable();
                keys
            }

            fn len(&self) -> usize {
                self.dict.len()
            }

            fn let_go(&mut self, key: u8) -> bool {
                self.held.remove(&key);
                $let_go
            }
        }
    };
}

trait Number {
    fn number(&self) -> u16;
}

impl Number for u16 {
    fn number(&self) -> u16 {
        *self
    }
}

impl Number for Arc<u16> {
    fn number(&self) -> u16 {
        **self
    }
}

fn number(value: &impl Number) -> u16 {
    value.number()
}

subject!(StrongSubject, SyncDict<u8, u16>, u16, |value| value, false);
subject!(LruSubject, SyncDict<u8, u16, Lru>, u16, |value| value, false);
subject!(WeakSubject, WeakRegistry<u8, u16>, Arc<u16>, Arc::new, true);

fn step(op: &Op, subject: &mut impl Subject, model: &mut Model) {
    match *op {
        Op::Get(key) => same(op, subject.get(key), model.get(key)),
        Op::Contains(key) => same(op, subject.contains(key), model.peek(key).is_some()),
        Op::Create(key, value) => {
            let created = subject.create(key, value, Meanwhile::Nothing);
            same(op, created, model.create(key, value, |_| true));
        }
        Op::Fail(key) => same(op, subject.fail(key), model.get(key)),
        Op::CreateIfOdd(key, value) => {
            let expected = model.get(key).filter(odd).unwrap_or_else(|| {
                model.insert(key, value);
                value
            });
            same(op, subject.create_if_odd(key, value), expected);
        }
        Op::InsertWhileCreating(key, value) => {
            let other = value.wrapping_add(1);
            let created = subject.create(key, value, Meanwhile::Insert(other));
            let meanwhile = |model: &mut Model| {
                model.insert(key, other);
                false
            };
            same(op, created, model.create(key, value, meanwhile));
        }
        Op::RemoveWhileCreating(key, value) => {
            let created = subject.create(key, value, Meanwhile::Remove);
            same(op, created, model.create(key, value, |_| false));
        }
        Op::Insert(key, value) => same(op, subject.insert(key, value), model.insert(key, value)),
        Op::Remove(key) => same(op, subject.remove(key), model.take(key)),
        Op::KeepOdd => {
            subject.keep_odd();
            model.entries.retain(|(_, value)| odd(value));
        }
        Op::Clear => {
            subject.clear();
            model.entries.clear();
        }
        Op::LetGo(key) => {
            if subject.let_go(key) {
                model.take(key);
            }
        }
    }
    same(op, subject.len(), model.entries.len());
    same(op, subject.sorted_keys(), model.sorted_keys());
}

#[track_caller]
fn same<T: PartialEq + Debug>(op: &Op, subject: T, model: T) {
    assert_eq!(subject, model, "after {op:?}: the dictionary left, the model right");
}

fn run(mut subject: impl Subject, mut model: Model, ops: &[Op]) {
    ops.iter().for_each(|op| step(op, &mut subject, &mut model));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn strong_kind_is_a_map(ops in ops()) {
        let subject = StrongSubject { dict: SyncDict::with_shards(2), held: HashMap::new() };
        run(subject, Model::default(), &ops);
    }

    #[test]
    fn weak_kind_is_a_map_of_what_is_held(ops in ops()) {
        let dict = WeakRegistry::weak_with_shards(2);
        run(WeakSubject { dict, held: HashMap::new() }, Model::default(), &ops);
    }

    #[test]
    fn lru_kind_in_one_shard_is_an_exact_lru(ops in ops(), capacity in 1..10_usize) {
        let dict = SyncDict::lru_with_shards(NonZeroUsize::new(capacity).unwrap(), 1);
        let model = Model { capacity: Some(capacity), ..Model::default() };
        run(LruSubject { dict, held: HashMap::new() }, model, &ops);
    }
}
