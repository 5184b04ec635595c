//! Sites with one session in them, which the cookie targets try to open.

use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use beaker_namespace::{ManualClock, MemoryConfig, MemoryNamespace, Timestamp};
use beaker_session::{Builder, KeyRing, NamespaceStore, Origin, SecretKey, Sessions};

use crate::interrupted::{Interrupted, Interruption};
use crate::model::START;

/// The cookie's name.
pub(crate) const NAME: &str = "__Host-id";

/// How many cookies of the name are tried.
const MAX_TRIED: usize = 4;

/// How a session's cookie looks.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Form {
    Plain,
    Signed,
    Encrypted,
    Readable,
}

/// A site, and the value of the one cookie that opens its session.
pub(crate) struct Site {
    pub(crate) sessions: Sessions,
    pub(crate) good: String,
    /// What comes in between the calls of its store.
    pub(crate) interruption: Arc<Interruption>,
}

static SITES: LazyLock<[Site; 4]> = LazyLock::new(|| {
    [
        Site::plain(),
        Site::new(|builder| builder.with_keys(keys())),
        Site::new(|builder| builder.with_keys(keys()).in_encrypted_cookies()),
        Site::new(|builder| builder.with_keys(keys()).in_readable_cookies()),
    ]
});

fn keys() -> KeyRing {
    let bytes: Vec<u8> = (0..32).map(|at: u8| at.wrapping_mul(7) ^ 5).collect();
    KeyRing::new(SecretKey::from_bytes(&bytes).expect("these bytes differ"))
}

impl Form {
    pub(crate) fn site(self) -> &'static Site {
        &SITES[self as usize]
    }
}

impl Site {
    /// One of its own, whose ids are not signed.
    pub(crate) fn plain() -> Self {
        Self::new(|builder| builder)
    }

    fn new(settings: impl Fn(Builder) -> Builder) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(START)));
        let config = MemoryConfig::new().clock(clock.clone());
        let memory = MemoryNamespace::anonymous(config).expect("memory opens");
        let store = NamespaceStore::new(Arc::new(memory)).expect("memory keeps sessions");
        let interruption = Arc::new(Interruption::default());
        let store = Interrupted::new(store, Arc::clone(&interruption));
        let builder = Sessions::builder().with_store(store);
        let sessions = settings(builder.with_clock(clock)).build().expect("the settings fit");
        let request = sessions.begin([]);
        let session = request.load().expect("there is no cookie");
        session.insert("user", "ada").expect("a text is stored");
        let outgoing = request.commit().expect("memory stores");
        let cookie = outgoing.set_cookies().next().expect("a new session has a cookie");
        let pair = cookie.split(';').next().unwrap_or_default();
        let good = pair.strip_prefix(NAME).and_then(|rest| rest.strip_prefix('='));
        let good = good.expect("the cookie has its name").to_owned();
        Self { sessions, good, interruption }
    }

    /// Opens the session if one of the first cookies of the name is the good one, and not otherwise; and
    /// a request that only looks sends nothing.
    pub(crate) fn check(&self, headers: &[&[u8]]) {
        let pieces = headers.iter().flat_map(|header| header.split(|byte| *byte == b';'));
        let named = pieces.filter_map(|piece| {
            piece.trim_ascii().strip_prefix(NAME.as_bytes())?.strip_prefix(b"=")
        });
        let values: Vec<&[u8]> = named.take(MAX_TRIED).collect();
        let is_good = values.contains(&self.good.as_bytes());
        let request = self.sessions.begin(headers.iter().copied());
        let session = request.load().expect("memory answers");
        let origin = match values.is_empty() {
            true => Origin::New,
            false if is_good => Origin::Known,
            false => Origin::Unknown,
        };
        assert_eq!(session.origin(), origin);
        let user: Option<String> = session.get("user").expect("it is a text");
        assert_eq!(user.as_deref(), is_good.then_some("ada"));
        assert_eq!(request.commit().expect("nothing is stored").set_cookies().len(), 0);
    }
}

/// One change of a good value.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Mutation {
    Replace(u16, u8),
    Insert(u16, u8),
    Remove(u16),
    Cut(u16),
    Swap(u16, u16),
}

impl Mutation {
    pub(crate) fn apply(self, good: &str) -> Vec<u8> {
        let mut bytes = good.as_bytes().to_vec();
        let len = bytes.len();
        let at = |place: u16| usize::from(place) % len.max(1);
        match self {
            _ if len == 0 => {}
            Self::Replace(place, byte) => bytes[at(place)] = byte,
            Self::Insert(place, byte) => bytes.insert(usize::from(place) % (len + 1), byte),
            Self::Remove(place) => drop(bytes.remove(at(place))),
            Self::Cut(place) => bytes.truncate(at(place)),
            Self::Swap(one, other) => bytes.swap(at(one), at(other)),
        }
        bytes
    }
}
