//! One entry in its place in the table.
//
// What a hit needs of most entries is one cache line, in the table itself; all else is apart. Of a table
// that is larger than the processor's caches, a hit so costs one line and not two, and half as many
// pages have to be found.
//
// 1. `object` is the entry's own object, held once more, if the object is all that there is to
//    serve. It leaves no later than the entry, so it is never the last to hold the value: dropping it
//    under a lock runs nobody's code.
// 2. `expires` is the entry's.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::amend::Amending;
use crate::{Entry, Key, Payload, Timestamp};

/// Hits beyond this many since the policy last looked do not count.
const MAX_HEAT: u64 = 2;

/// A live object.
pub(super) type Object = Arc<dyn Any + Send + Sync>;

/// A key with its entry.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Node {
    words: Words,
    object: Option<Object>,
    expires: Timestamp,
    rest: Box<Rest>,
}

const _: () = assert!(size_of::<Node>() == 64);

/// What a plain hit does not need.
#[derive(Debug)]
struct Rest {
    /// The key, if it is too long to be held in the table.
    long_key: Option<Key>,
    entry: Entry,
    /// Tells this stay of the key in the shard from earlier ones.
    number: u32,
    queue: Queue,
}

/// Until when an entry lives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) expires: Timestamp,
    /// At least `expires`.
    pub(super) dies: Timestamp,
}

/// Which of the policy's queues a node stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Cold,
    Hot,
}

/// What queues and timers know a node by: enough to find it again, and to see that it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat {
    pub(super) hash: u64,
    pub(super) number: u32,
}

impl Node {
    pub(super) fn new(key: &Key, entry: Entry, number: u32, queue: Queue) -> Self {
        let (words, long_key) = match key.words() {
            Some(words) => (Words::new(words), None),
            None => (Words::new(LONG), Some(key.clone())),
        };
        let (object, expires) = (plain_object(&entry), entry.expires());
        Self { words, object, expires, rest: Box::new(Rest { long_key, entry, number, queue }) }
    }

    /// Whether its key is the one that is held inline as these numbers.
    #[inline(always)]
    pub(super) fn has_words(&self, words: [u64; 4]) -> bool {
        self.words.equal(words)
    }

    /// Whether its key is this one, which is too long to be held inline.
    pub(super) fn has_long(&self, key: &[u8]) -> bool {
        self.rest.long_key.as_ref().and_then(Key::long_bytes) == Some(key)
    }

    #[inline]
    pub(super) fn has_key(&self, key: &Key) -> bool {
        match key.words() {
            Some(words) => self.has_words(words),
            None => key.long_bytes().is_some_and(|bytes| self.has_long(bytes)),
        }
    }

    #[inline]
    pub(super) fn key(&self) -> Key {
        let words = self.words.get();
        // Only then, since most keys can be had without the rest.
        if words == LONG
            && let Some(key) = &self.rest.long_key
        {
            return key.clone();
        }
        Key::from_words(words)
    }

    #[inline]
    pub(super) fn entry(&self) -> &Entry {
        &self.rest.entry
    }

    /// The object, if it is all that there is to serve.
    #[inline]
    pub(super) fn object(&self) -> Option<&Object> {
        self.object.as_ref()
    }

    /// When the entry expires.
    #[inline]
    pub(super) fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Puts another entry in the place of the one there, which it gives back.
    #[must_use]
    pub(super) fn replace(&mut self, entry: Entry) -> Entry {
        (self.object, self.expires) = (plain_object(&entry), entry.expires());
        std::mem::replace(&mut self.rest.entry, entry)
    }

    /// Shows the object to `amend`; `None` if there is none, or `amend` left it alone.
    pub(super) fn amend(
        &mut self,
        generation: u64,
        amend: impl FnOnce(Amending<'_>) -> Option<Life>,
    ) -> Option<Life> {
        let Self { object: second, rest, .. } = self;
        let entry = &mut rest.entry;
        let (seen, expires) = (entry.generation(), entry.expires());
        let shown =
            entry.object_mut().map(|object| Amending { generation: seen, expires, object, second });
        let life = shown.and_then(amend);
        if let Some(Life { expires, dies }) = life {
            entry.live_on(expires, dies, generation);
            self.expires = expires;
        }
        if self.object.is_none() {
            self.object = plain_object(&self.rest.entry);
        }
        life
    }

    pub(super) fn into_entry(self) -> Entry {
        self.rest.entry
    }

    pub(super) fn seat(&self, hash: u64) -> Seat {
        Seat { hash, number: self.rest.number }
    }

    /// Whether this stay of the key in the shard has that number.
    pub(super) fn is_number(&self, number: u32) -> bool {
        self.rest.number == number
    }

    pub(super) fn queue(&self) -> Queue {
        self.rest.queue
    }

    pub(super) fn set_queue(&mut self, queue: Queue) {
        self.rest.queue = queue;
    }

    /// Notes a hit.
    #[inline]
    pub(super) fn touch(&self) {
        self.words.touch();
    }

    /// Takes one hit off; says whether there was one.
    pub(super) fn cool(&mut self) -> bool {
        self.words.cool()
    }
}

/// The object of an entry that is nothing else: no bytes, no tags.
#[inline]
fn plain_object(entry: &Entry) -> Option<Object> {
    match entry.payload() {
        Payload::Object(object) if !entry.has_labels() => Some(Arc::clone(object)),
        _ => None,
    }
}

/// A key as [`Key::words`] has it, with the hits since the policy last looked in the highest byte.
#[derive(Debug)]
struct Words {
    first: [u64; 3],
    last: AtomicU64,
}

/// What stands in the place of a key that is not held inline; no such key has these words.
const LONG: [u64; 4] = [0, 0, 0, 0xff << 48];

const HEAT: u32 = 56;

impl Words {
    fn new([a, b, c, last]: [u64; 4]) -> Self {
        Self { first: [a, b, c], last: AtomicU64::new(last) }
    }

    #[inline(always)]
    fn equal(&self, [a, b, c, d]: [u64; 4]) -> bool {
        let ([e, f, g], last) = (self.first, self.last.load(Ordering::Relaxed));
        // Number by number, in registers: as arrays they would be compared in memory.
        (a ^ e) | (b ^ f) | (c ^ g) | ((d ^ last) << (64 - HEAT)) == 0
    }

    #[inline]
    fn get(&self) -> [u64; 4] {
        let ([a, b, c], last) = (self.first, self.last.load(Ordering::Relaxed));
        [a, b, c, last & !(u64::MAX << HEAT)]
    }

    /// A lost update is harmless, so this is no read-modify-write; and the line of a hot node is not
    /// written at all.
    #[inline]
    fn touch(&self) {
        let last = self.last.load(Ordering::Relaxed);
        if last >> HEAT < MAX_HEAT {
            self.last.store(last + (1 << HEAT), Ordering::Relaxed);
        }
    }

    fn cool(&mut self) -> bool {
        let last = self.last.get_mut();
        let hot = *last >> HEAT > 0;
        *last -= u64::from(hot) << HEAT;
        hot
    }
}
