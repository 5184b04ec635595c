//! Our stores, opened by their URLs.

use std::sync::Arc;

use beaker_container::Cache;
use beaker_namespace::{Entry, Key, Namespace, Payload};

use super::subject::{Outcome, Subject};

pub(super) fn open(url: &str) -> Outcome<Arc<dyn Namespace>> {
    Ok(beaker_backends::stores().open(&url.parse()?, "compare")?)
}

/// The store by itself: bytes in, checked bytes out.
pub(super) struct Store(pub(super) Arc<dyn Namespace>);

impl Subject for Store {
    type Key = Key;
    type Value = Entry;

    fn key(&self, key: String) -> Key {
        Key::new(&*key)
    }

    fn value(&self, value: Vec<u8>) -> Entry {
        Entry::new(Payload::raw(value), self.0.clock().now())
    }

    fn get(&mut self, key: &Key) -> Outcome<Option<usize>> {
        let entry = self.0.get(key)?;
        Ok(entry.and_then(|entry| entry.payload().len_bytes()))
    }

    fn set(&mut self, key: &Key, value: Entry) -> Outcome<()> {
        Ok(self.0.set(key, value)?)
    }

    fn set_many(&mut self, entries: Vec<(Key, Entry)>) -> Outcome<()> {
        Ok(self.0.set_many(entries)?)
    }
}

/// The store below a cache of texts, which makes the key, and encodes and decodes the value.
pub(super) struct Cached(Cache<String, String>);

impl Cached {
    pub(super) fn new(namespace: Arc<dyn Namespace>) -> Self {
        Self(Cache::new(namespace))
    }
}

impl Subject for Cached {
    type Key = String;
    type Value = String;

    fn key(&self, key: String) -> String {
        key
    }

    fn value(&self, value: Vec<u8>) -> String {
        String::from_utf8(value).unwrap_or_default()
    }

    fn get(&mut self, key: &String) -> Outcome<Option<usize>> {
        Ok(self.0.get(key)?.map(|value| value.len()))
    }

    fn set(&mut self, key: &String, value: String) -> Outcome<()> {
        Ok(self.0.insert(key, value)?)
    }
}
