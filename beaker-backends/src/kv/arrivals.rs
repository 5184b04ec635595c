//! Entries on their way into the store: encoded before the change that stores them begins, so that
//! nobody waits for that, and what cannot be stored is refused before anything is written.

use std::ops::Range;

use beaker_namespace::{Entry, Error, Key, Timestamp, envelope, new_generation};

/// What the generations of a batch lie apart, of which the first is drawn: for an odd number they are all different, and
/// those of two batches meet no sooner than if each were drawn.
const BETWEEN_GENERATIONS: u64 = 0x9e37_79b9_7f4a_7c15;

/// Entries as bytes, in the order of their keys.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// All records, one after another: one allocation for a batch.
    records: Vec<u8>,
    each: Vec<(Key, Range<usize>)>,
    /// When the first of them dies.
    dies: Timestamp,
}

impl Arrivals {
    /// Encodes `entries` for the namespace called `name`, whose values have at most `max_value_bytes`.
    ///
    /// # Errors
    ///
    /// Those of [`envelope::encode_compact_into`].
    pub(super) fn new(
        name: &str,
        entries: Vec<(Key, Entry)>,
        max_value_bytes: u64,
    ) -> Result<Self, Error> {
        let mut records = Vec::with_capacity(entries.iter().map(|(_, entry)| room(entry)).sum());
        let dies = entries.iter().map(|(_, entry)| entry.dies()).min();
        let mut generation = new_generation();
        let encode = |(key, entry): (Key, Entry)| {
            let (begin, entry) = (records.len(), entry.with_generation(generation));
            generation = generation.wrapping_add(BETWEEN_GENERATIONS);
            envelope::encode_compact_into(&mut records, name, &key, &entry, max_value_bytes)?;
            Ok((key, begin..records.len()))
        };
        let each = entries.into_iter().map(encode);
        let mut each = each.collect::<Result<Vec<_>, Error>>()?;
        // About in the order of the engine's tree, where neighbours share a page. Of two under one key
        // the later one stays the later.
        let shared = shared_bytes(&each);
        each.sort_by_cached_key(|(key, _)| eight_bytes(&key.as_bytes()[shared..]));
        Ok(Self { records, each, dies: dies.unwrap_or(Timestamp::NEVER) })
    }

    /// The same of one entry, with its generation.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(super) fn one(
        name: &str,
        key: &Key,
        entry: Entry,
        max_value_bytes: u64,
    ) -> Result<(Self, u64), Error> {
        let generation = new_generation();
        let (dies, entry) = (entry.dies(), entry.with_generation(generation));
        let records = envelope::encode_compact_within(name, key, &entry, max_value_bytes)?;
        let each = vec![(key.clone(), 0..records.len())];
        Ok((Self { records, each, dies }, generation))
    }

    pub(super) fn len(&self) -> usize {
        self.each.len()
    }

    pub(super) fn dies(&self) -> Timestamp {
        self.dies
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.each.iter().map(|(key, _)| key.as_bytes())
    }

    /// Each encoded key and its record.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.each.iter().map(|(key, record)| (key.as_bytes(), &self.records[record.clone()]))
    }
}

/// How many bytes all keys begin with.
fn shared_bytes(each: &[(Key, Range<usize>)]) -> usize {
    let Some(((first, _), others)) = each.split_first() else { return 0 };
    let first = first.as_bytes();
    others.iter().fold(first.len(), |shared, (key, _)| {
        let both = first[..shared].iter().zip(key.as_bytes());
        both.take_while(|(one, other)| one == other).count()
    })
}

/// The number that the first eight of `bytes` are.
fn eight_bytes(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    let length = bytes.len().min(8);
    eight[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(eight)
}

/// The most bytes that the record of `entry` has, if it has no tags.
fn room(entry: &Entry) -> usize {
    envelope::MOST_COMPACT_BYTES + entry.payload().len_bytes().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use beaker_namespace::Payload;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(5);

    fn entry(value: &str) -> Entry {
        Entry::new(Payload::raw(value.to_owned()), NOW)
    }

    fn value(key: &[u8], record: &[u8]) -> String {
        let key = Key::from_encoded(key).unwrap();
        let entry = envelope::decode_from("n", &key, record).unwrap();
        match entry.payload() {
            Payload::Bytes { bytes, .. } => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => unreachable!("records hold bytes"),
        }
    }

    #[test]
    fn they_come_by_their_keys_and_the_later_of_two_comes_later() {
        let named = |key: &str, value: &str| (Key::new(key), entry(value));
        let entries = vec![named("user:9", "1"), named("user:1", "2"), named("user:9", "3")];
        let arrivals = Arrivals::new("n", entries, 100).unwrap();
        let values: Vec<_> = arrivals.iter().map(|(key, record)| value(key, record)).collect();
        assert_eq!(values, ["2", "1", "3"]);
        assert_eq!(arrivals.keys().next(), Some(Key::new("user:1").as_bytes()));
    }

    #[test]
    fn keys_of_any_kind_are_taken_with_what_they_share() {
        let shared = |keys: &[&str]| {
            let keys: Vec<_> = keys.iter().map(|key| (Key::new(*key), 0..0)).collect();
            // The encoded form of a text has one byte before it.
            shared_bytes(&keys)
        };
        assert_eq!(shared(&[]), 0);
        assert_eq!(shared(&["ab"]), 3);
        assert_eq!(shared(&["abc", "abd", "ab"]), 3);
        assert_eq!(shared(&["abc", "", "abc"]), 1);
        let keys = ["", "a", "abcdefghij", "abcdefghik"];
        let entries = keys.iter().map(|key| (Key::new(*key), entry(key))).collect();
        let arrivals = Arrivals::new("n", entries, 100).unwrap();
        let values: Vec<_> = arrivals.iter().map(|(key, record)| value(key, record)).collect();
        assert_eq!(values, keys);
    }

    #[test]
    fn one_that_cannot_be_stored_refuses_all() {
        let entries = vec![(Key::new("a"), entry("v")), (Key::new("b"), entry("long"))];
        let error = Arrivals::new("n", entries, 3).unwrap_err();
        assert_eq!(error.kind(), beaker_namespace::ErrorKind::TooLarge);
    }
}
