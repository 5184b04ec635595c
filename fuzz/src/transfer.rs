//! Exports: what was exported is imported, and what was changed on the way never becomes a value.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use beaker_namespace::transfer::{self, Existing};
use beaker_namespace::{
    Entry, ErrorKind, Key, ManualClock, MemoryConfig, MemoryNamespace, Namespace, Scan, Timestamp,
};
use twox_hash::XxHash3_64;

use crate::allocations::allocated_by;
use crate::envelope::{Mutation, Plain, same};

/// Bytes that an import may allocate for each byte of its input; see `envelope`.
const AMPLIFICATION: usize = 32;

/// Bytes that it may allocate for any input: the first part of a record, and an error's text.
const CONSTANT: usize = 256 * 1024;

/// The moment of all that is done here.
const NOW: Timestamp = Timestamp::from_micros(1_000_000);

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
enum Case<'a> {
    /// Any bytes.
    Bytes(&'a [u8]),
    /// Any bytes behind a right beginning.
    Records(&'a [u8]),
    /// Entries that are exported, changed and imported.
    Entries(Vec<Plain>, Vec<Mutation>),
}

/// Imports any bytes, and exports that were changed.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    match case {
        Case::Bytes(bytes) => import_within_bounds(bytes),
        Case::Records(bytes) => import_within_bounds(&[&beginning("n")[..], bytes].concat()),
        Case::Entries(plain, mutations) => round_trip(&plain, &mutations),
    }
}

fn memory() -> Arc<MemoryNamespace> {
    let clock = Arc::new(ManualClock::new(NOW));
    MemoryNamespace::anonymous(MemoryConfig::new().clock(clock)).expect("its settings are right")
}

/// What an export of the namespace `name` begins with.
fn beginning(name: &str) -> Vec<u8> {
    let mut bytes = b"BEKX\x01\0\0\0".to_vec();
    bytes.extend((name.len() as u32).to_le_bytes());
    bytes.extend(name.as_bytes());
    let mut hasher = XxHash3_64::new();
    hasher.write(&bytes);
    bytes.extend(hasher.finish().to_le_bytes());
    bytes
}

/// Imports without a panic and without believing lengths.
fn import_within_bounds(mut bytes: &[u8]) {
    let (store, length) = (memory(), bytes.len());
    let (outcome, allocated) =
        allocated_by(|| transfer::import(&*store, Existing::Replace, &mut bytes));
    let most = AMPLIFICATION * length + CONSTANT;
    assert!(allocated <= most || !cfg!(fuzzing), "{allocated} bytes allocated for {length}");
    if let Err(error) = outcome {
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Config), "{error}");
    }
}

fn round_trip(plain: &[Plain], mutations: &[Mutation]) {
    let from = memory();
    for plain in plain {
        let key = Key::new(&(plain.key.0.as_str(), plain.key.1));
        from.set(&key, plain.entry()).expect("nothing is too large");
    }
    let mut bytes = Vec::new();
    let exported = transfer::export(&*from, Scan::new(), &mut bytes).expect("memory can be read");
    let before = entries(&from);

    let to = memory();
    let imported = transfer::import(&*to, Existing::Keep, &mut &bytes[..]).expect("it is whole");
    assert!(imported.entries == exported.entries && imported.left_out == 0);
    let after = entries(&to);
    let fresh = before.iter().filter(|(_, entry)| entry.is_fresh(NOW));
    assert!(fresh.clone().count() == after.len());
    assert!(fresh.clone().all(|(key, entry)| same_but_generation(entry, &after[key])));

    let whole = bytes.clone();
    mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
    let to = memory();
    let outcome = transfer::import(&*to, Existing::Replace, &mut &bytes[..]);
    assert!(outcome.is_err() || bytes == whole, "a changed export is refused");
    for (key, entry) in entries(&to) {
        assert!(same_but_generation(&entry, &before[&key]), "no value is wrong");
    }
}

/// All that `store` holds; there are fewer than a page has.
fn entries(store: &MemoryNamespace) -> BTreeMap<Key, Entry> {
    let page = store.scan(&Scan::new().limit(usize::MAX)).expect("memory can be read");
    let keys = page.entries.into_iter().map(|listed| listed.key);
    keys.filter_map(|key| {
        let entry = store.get(&key).expect("memory can be read")?;
        Some((key, entry))
    })
    .collect()
}

fn same_but_generation(a: &Entry, b: &Entry) -> bool {
    same(&a.clone().with_generation(0), &b.clone().with_generation(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_the_one_of_the_format() {
        let store = memory();
        let mut bytes = Vec::new();
        transfer::export(&*store, Scan::new(), &mut bytes).unwrap();
        let expected = beginning(store.id().name());
        assert_eq!(bytes[..expected.len()], expected);
    }
}
