use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Capability, Claim, Clock, Entry, Error, Fulfilled, Key, ManualClock, Namespace, Page, Payload,
    Scan, Timestamp, Wait,
};

/// How the namespace of a name is opened in the store under test.
pub(super) type Opener<'a> = dyn Fn(&str, Arc<dyn Clock>) -> Result<Arc<dyn Namespace>, Error> + 'a;

/// Where the clock of a case begins: some day in 2001.
const START: Timestamp = Timestamp::from_micros(1_000_000_000_000_000);

/// What a case works with: a way to open namespaces of its own, and their clock.
pub(super) struct Bench<'a> {
    case: &'static str,
    open: &'a Opener<'a>,
    pub(super) clock: Arc<ManualClock>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(case: &'static str, open: &'a Opener<'a>) -> Self {
        Self { case, open, clock: Arc::new(ManualClock::new(START)) }
    }

    /// An empty namespace that no other case uses.
    pub(super) fn open(&self, suffix: &str) -> Handle {
        let handle = self.open_again(suffix);
        handle.clear().expect("an empty namespace can be cleared");
        handle
    }

    /// The same namespace as it is.
    pub(super) fn open_again(&self, suffix: &str) -> Handle {
        self.open_named(&format!("{}{suffix}", self.case))
    }

    /// The namespace of exactly this name, as it is.
    pub(super) fn open_named(&self, name: &str) -> Handle {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let handle = Handle((self.open)(name, clock).expect("the namespace opens"));
        assert_eq!(handle.id().name(), name, "the name that was asked for");
        handle
    }
}

/// An open namespace, with short words for what cases do.
#[derive(Clone)]
pub(super) struct Handle(pub(super) Arc<dyn Namespace>);

impl Deref for Handle {
    type Target = dyn Namespace;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Handle {
    /// An entry of `value` that begins now and never expires, in a form that the store takes.
    pub(super) fn entry(&self, value: impl AsRef<[u8]>) -> Entry {
        let value = value.as_ref().to_vec();
        let payload = if self.capabilities().has(Capability::Bytes) {
            Payload::raw(value)
        } else {
            Payload::Object(Arc::new(value))
        };
        Entry::new(payload, self.clock().now())
    }

    /// The same, with `ttl`.
    pub(super) fn entry_for(&self, value: impl AsRef<[u8]>, ttl: Duration) -> Entry {
        self.entry(value).ttl(Some(ttl))
    }

    pub(super) fn put(&self, key: &Key, value: impl AsRef<[u8]>) {
        self.set(key, self.entry(value)).expect("set");
    }

    pub(super) fn put_for(&self, key: &Key, value: impl AsRef<[u8]>, ttl: Duration) {
        self.set(key, self.entry_for(value, ttl)).expect("set");
    }

    pub(super) fn value(&self, key: &Key) -> Option<Vec<u8>> {
        self.get(key).expect("get").as_ref().map(bytes_of)
    }

    /// The value as text; for failure messages that can be read.
    pub(super) fn text(&self, key: &Key) -> Option<String> {
        self.value(key).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    /// The number that `entry` is the text of.
    pub(super) fn number_in(&self, entry: &Entry) -> u64 {
        let text = String::from_utf8(bytes_of(entry)).expect("a text");
        text.parse().expect("a number")
    }

    /// The claim on `key`, which nobody has.
    pub(super) fn claimed(&self, key: &Key) -> Claim {
        self.claim(key, Wait::Never).expect("claim").expect("nobody has the claim")
    }

    /// Fulfils `claim` with `value`; whether it was stored.
    pub(super) fn fulfilled(&self, key: &Key, value: &str, claim: Claim) -> bool {
        self.fulfil(key, self.entry(value), claim).expect("fulfil") == Fulfilled::Stored
    }

    /// All pages of `scan`, each checked for its limit.
    pub(super) fn pages(&self, mut scan: Scan) -> Vec<Page> {
        let mut pages = Vec::new();
        loop {
            let page = self.scan(&scan).expect("scan");
            assert!(page.entries.len() <= scan.page_limit(), "a page is larger than its limit");
            let next = page.next.clone();
            pages.push(page);
            match next {
                Some(cursor) => scan = scan.after(cursor),
                None => return pages,
            }
            assert!(pages.len() < 100_000, "the pages do not end");
        }
    }

    /// The keys that `scan` lists, in order.
    pub(super) fn listed(&self, scan: Scan) -> Vec<Key> {
        let pages = self.pages(scan).into_iter();
        let mut keys: Vec<_> =
            pages.flat_map(|page| page.entries).map(|listed| listed.key).collect();
        keys.sort();
        keys
    }
}

/// The bytes of an entry of [`Handle::entry`].
pub(super) fn bytes_of(entry: &Entry) -> Vec<u8> {
    match entry.payload() {
        Payload::Bytes { bytes, .. } => bytes.to_vec(),
        Payload::Object(object) => {
            object.downcast_ref::<Vec<u8>>().expect("the object that was set").clone()
        }
    }
}

/// Numbers that look random and are the same in each run.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    /// The next number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        // Steele and Vigna's SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}
