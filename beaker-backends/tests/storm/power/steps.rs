//! What a child does to a store before its power is cut: sets, removals, batches, marks, claims, sweeps and
//! clears.

use std::path::Path;

use beaker_namespace::{Capability, Key, Mark, Namespace, Timestamp, Wait};

use super::Level;
use crate::support::children::say;
use crate::support::files::Random;
use crate::support::stores::Store;
use crate::support::values::entry;

pub(super) const STEPS: u64 = 64;
pub(super) const KEYS: u64 = 6;

/// The names that are marked.
pub(super) const MARKS: u64 = 2;

/// How many keys a step claims.
const CLAIMS: u64 = 4;

/// What one step does.
#[derive(Debug)]
pub(super) enum Deed {
    /// Of one key or a batch; each with its value.
    Set(Vec<(u64, Vec<u8>)>),
    Remove(Vec<u64>),
    Clear,
    /// Of one name, at a moment of as many microseconds as the step has for a number.
    Mark(u64),
    /// Of keys that nobody sets, one after another; all are let go.
    Claim(Vec<u64>),
    Sweep,
}

impl Deed {
    pub(super) fn of(number: u64) -> Self {
        let mut random = Random::new(number);
        match random.below(32) {
            0 => Self::Clear,
            1..4 => Self::Mark(random.below(MARKS)),
            4..7 => Self::Remove(vec![random.below(KEYS)]),
            7 => Self::Remove(some_keys(&mut random)),
            8..12 => {
                let keys = some_keys(&mut random);
                Self::Set(keys.into_iter().map(|key| (key, value(key, number))).collect())
            }
            24..31 => Self::Claim((0..CLAIMS).map(|claim| number * CLAIMS + claim).collect()),
            31 => Self::Sweep,
            _ => {
                let key = random.below(KEYS);
                Self::Set(vec![(key, value(key, number))])
            }
        }
    }

    /// What this leaves under `key`, if it concerns that: a value, or nothing.
    pub(super) fn leaves(&self, key: u64) -> Option<Option<&[u8]>> {
        match self {
            Self::Set(entries) => {
                let mut of_key = entries.iter().filter(|(of, _)| *of == key);
                of_key.next().map(|(_, value)| Some(&**value))
            }
            Self::Remove(keys) => keys.contains(&key).then_some(None),
            Self::Clear => Some(None),
            Self::Mark(_) | Self::Claim(_) | Self::Sweep => None,
        }
    }

    fn is_done_to(&self, open: &dyn Namespace, number: u64) {
        match self {
            Self::Set(entries) => match &entries[..] {
                [(of, value)] => open.set(&key(*of), entry(&**value)).unwrap(),
                all => {
                    let all = all.iter().map(|(of, value)| (key(*of), entry(&**value)));
                    open.set_many(all.collect()).unwrap();
                }
            },
            Self::Remove(keys) => match keys[..] {
                [of] => drop(open.remove(&key(of)).unwrap()),
                _ => {
                    let keys: Vec<Key> = keys.iter().map(|&of| key(of)).collect();
                    let _there = open.remove_many(&keys).unwrap();
                }
            },
            Self::Clear => open.clear().unwrap(),
            Self::Mark(_) if !open.capabilities().has(Capability::Marks) => {}
            Self::Mark(name) => {
                let moment = Timestamp::from_micros(number as i64);
                let _merged = open.mark(&mark_name(*name), Mark::hard(moment)).unwrap();
            }
            Self::Claim(keys) => {
                for of in keys {
                    let claim = open.claim(&Key::new(&("claimed", *of)), Wait::Never).unwrap();
                    assert!(claim.is_some(), "nobody else claims");
                }
            }
            Self::Sweep => drop(open.sweep().unwrap()),
        }
    }
}

/// Half of the keys.
fn some_keys(random: &mut Random) -> Vec<u64> {
    let first = random.below(KEYS);
    (0..KEYS / 2).map(|further| (first + 2 * further) % KEYS).collect()
}

fn value(key: u64, number: u64) -> Vec<u8> {
    let mut random = Random::new(number * KEYS + key);
    let longest = if random.below(6) == 0 { 30_000 } else { 1_500 };
    let length = random.below(longest) as usize;
    let mut bytes = format!("{key} {number} ").into_bytes();
    bytes.extend(random.bytes(length));
    bytes
}

pub(super) fn key(number: u64) -> Key {
    Key::new(&("key", number))
}

pub(super) fn mark_name(number: u64) -> String {
    format!("mark {number}")
}

/// What a child does. It says what it begins and what it has done.
pub(crate) fn take_steps(store: &Store, dir: &Path, level: Level) {
    let mut open = level.open(store, dir).unwrap();
    for number in 1..=STEPS {
        if number == STEPS / 2 {
            // To close a store is work, too.
            drop(open);
            open = level.open(store, dir).unwrap();
        }
        let deed = Deed::of(number);
        say(&format!("begins {number}"));
        deed.is_done_to(&*open, number);
        say(&format!("done {number}"));
    }
    drop(open);
    std::process::exit(0);
}

#[test]
fn the_steps_have_all_kinds_of_deeds() {
    let deeds: Vec<Deed> = (1..=STEPS).map(Deed::of).collect();
    let count = |wanted: fn(&Deed) -> bool| deeds.iter().filter(|deed| wanted(deed)).count();
    assert!(count(|deed| matches!(deed, Deed::Clear)) >= 2);
    assert!(count(|deed| matches!(deed, Deed::Mark(_))) >= 4);
    assert!(count(|deed| matches!(deed, Deed::Remove(keys) if keys.len() > 1)) >= 2);
    assert!(count(|deed| matches!(deed, Deed::Set(entries) if entries.len() > 1)) >= 6);
    assert!(count(|deed| matches!(deed, Deed::Claim(_))) >= 4);
    assert!(count(|deed| matches!(deed, Deed::Sweep)) >= 1);
}
