//! What a namespace may hold: the keys, the entries that a fuzzer makes, and what is known of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arbitrary::Arbitrary;
use beaker_namespace::{Entry, Key, Listed, MemoryNamespace, Namespace, Payload, Timestamp};

/// The clock's first time, in microseconds.
pub(crate) const START: i64 = 1_000_000_000;

/// One of few keys, so that calls meet.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) struct KeyChoice(u8);

impl KeyChoice {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0) % keys().len()
    }
}

/// The keys: texts with common beginnings, tuples, and values that look alike.
pub(crate) fn keys() -> Vec<Key> {
    let texts = ["", "a", "ab", "1"].map(Key::new);
    let tuples =
        [Key::new(&("a",)), Key::new(&("a", 1)), Key::new(&("a", 2)), Key::new(&("", "a"))];
    let others = [Key::new(&1), Key::new(&Some("a")), Key::new(b"a"), Key::new(&"x".repeat(100))];
    texts.into_iter().chain(tuples).chain(others).collect()
}

/// An entry to store.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) struct New {
    began: i8,
    ttl: u8,
    grace: u8,
    /// One bit for each of three tags.
    pub(crate) tags: u8,
    pub(crate) cost: u16,
    size: u8,
    pub(crate) object: bool,
}

/// The tags that the bits of `tags` stand for.
pub(crate) fn tag_names(tags: u8) -> Vec<String> {
    (0..3).filter(|bit| tags & (1 << bit) != 0).map(|bit| format!("t{bit}")).collect()
}

/// What was stored under a key.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    value: u64,
    size: usize,
    object: bool,
    began: Timestamp,
    expires: Timestamp,
    dies: Timestamp,
    pub(crate) tags: u8,
    pub(crate) cost: u32,
    /// Known once the store has told it.
    pub(crate) generation: Option<u64>,
}

/// A live object that says when it is dropped, and calls the namespace then.
#[derive(Debug)]
pub(crate) struct Probe {
    value: u64,
    live: Arc<AtomicUsize>,
    namespace: std::sync::Weak<MemoryNamespace>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        // Hangs if a lock is held where values are dropped.
        if let Some(namespace) = self.namespace.upgrade() {
            let _stats = namespace.stats();
            let _seen = namespace.inspect(&keys()[0]);
        }
    }
}

/// Makes live objects for one namespace.
#[derive(Debug)]
pub(crate) struct Probes {
    pub(crate) live: Arc<AtomicUsize>,
    pub(crate) namespace: std::sync::Weak<MemoryNamespace>,
}

impl Probes {
    fn make(&self, value: u64) -> Payload {
        self.live.fetch_add(1, Ordering::Relaxed);
        let (live, namespace) = (Arc::clone(&self.live), self.namespace.clone());
        Payload::Object(Arc::new(Probe { value, live, namespace }))
    }
}

impl New {
    /// The entry for `value` at `now`, and what is to be found of it later. Without `probes` it is
    /// bytes.
    pub(crate) fn entry(
        self,
        value: u64,
        now: Timestamp,
        probes: Option<&Probes>,
    ) -> (Entry, Stored) {
        let began = match self.began {
            i8::MIN => Timestamp::from_micros(i64::MIN),
            i8::MAX => Timestamp::NEVER,
            offset => Timestamp::from_micros(now.as_micros().saturating_add(offset.into())),
        };
        let probes = probes.filter(|_| self.object);
        let size = self.size_bytes();
        let payload =
            probes.map_or_else(|| Payload::raw(bytes_of(value, size)), |probes| probes.make(value));
        let ttl = (self.ttl < 200).then(|| Duration::from_micros(self.ttl.into()));
        let entry = Entry::new(payload, began)
            .ttl(ttl)
            .grace(Duration::from_micros(u64::from(self.grace) / 4))
            .cost(self.cost.into())
            .tags(tag_names(self.tags));
        let stored = Stored {
            value,
            size,
            object: probes.is_some(),
            began,
            expires: entry.expires(),
            dies: entry.dies(),
            tags: self.tags & 7,
            cost: self.cost.into(),
            generation: None,
        };
        (entry, stored)
    }

    /// The length of the value as bytes.
    pub(crate) fn size_bytes(self) -> usize {
        8 + 4 * usize::from(self.size)
    }
}

/// The bytes of a value, none of them the same as those of another value.
fn bytes_of(value: u64, size: usize) -> Vec<u8> {
    value.to_le_bytes().into_iter().cycle().take(size).collect()
}

impl Stored {
    pub(crate) fn value(&self) -> u64 {
        self.value
    }

    pub(crate) fn is_dead(&self, now: Timestamp) -> bool {
        !self.dies.is_never() && now >= self.dies
    }

    /// Fails unless `entry` is what was stored, all of it.
    pub(crate) fn assert_is(&self, entry: &Entry) {
        match entry.payload() {
            Payload::Bytes { bytes, .. } => {
                assert!(!self.object && *bytes == bytes_of(self.value, self.size), "a wrong value");
            }
            Payload::Object(object) => {
                let probe = object.downcast_ref::<Probe>();
                assert_eq!(probe.map(|probe| probe.value), Some(self.value), "a wrong value");
            }
        }
        assert_eq!(
            (entry.began(), entry.expires(), entry.dies()),
            (self.began, self.expires, self.dies)
        );
        assert_eq!(entry.tag_list(), tag_names(self.tags));
        assert_eq!(entry.weight(), self.cost);
        assert!(self.generation.is_none_or(|generation| generation == entry.generation()));
    }

    /// Fails unless `listed` tells of what was stored.
    pub(crate) fn assert_listed(&self, listed: &Listed) {
        assert_eq!(
            (listed.began, listed.expires, listed.dies),
            (self.began, self.expires, self.dies)
        );
        assert_eq!(listed.size_bytes, (!self.object).then_some(self.size as u64));
        assert!(self.generation.is_none_or(|generation| generation == listed.generation));
    }
}
