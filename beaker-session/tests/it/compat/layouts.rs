//! Beaker's sessions in redis and memcached, by a client that only keeps bytes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::base64::{STANDARD, b64decode};
use beaker_namespace::{Clock, Latency, ManualClock, Timestamp};
use beaker_session::compat::{
    BeakerCookie, BeakerId, BeakerStore, Change, PayloadCodec, PayloadLimits, TextStore,
    backend_timeout, memcached, redis,
};
use beaker_session::{Builder, Data, Error, Loaded, SessionId, SessionStore, Sessions};
use parking_lot::Mutex;

use super::{codec, data, moment, text, vectors};
use crate::browser::Browser;

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Redis,
    Memcached,
}

impl Layout {
    fn key(self, id: &BeakerId) -> String {
        match self {
            Self::Redis => redis::key(id),
            Self::Memcached => memcached::key(id),
        }
    }

    pub(super) fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Redis => redis::encode(text),
            Self::Memcached => memcached::encode(text),
        }
    }

    pub(super) fn decode(self, value: &[u8]) -> Result<String, Error> {
        match self {
            Self::Redis => redis::decode(value, PayloadLimits::new()),
            Self::Memcached => memcached::decode(value, self.flags(), PayloadLimits::new()),
        }
    }

    /// What the server is told that the value is.
    pub(super) fn flags(self) -> u32 {
        match self {
            Self::Redis => 0,
            Self::Memcached => memcached::FLAGS,
        }
    }

    /// How long the server is to keep a value, which only redis is told.
    pub(super) fn time_to_live(self, timeout: Option<Duration>) -> Option<Duration> {
        match self {
            Self::Redis => backend_timeout(timeout),
            Self::Memcached => None,
        }
    }
}

/// A value, and when it goes by itself.
type Kept = (Vec<u8>, Option<Timestamp>);

/// What a server has, by key.
#[derive(Debug)]
struct Server {
    values: Mutex<HashMap<String, Kept>>,
    clock: Arc<ManualClock>,
}

/// A client: gets, and sets if nobody else did since (WATCH or `cas`).
#[derive(Debug, Clone)]
pub(super) struct Client {
    server: Arc<Server>,
    layout: Layout,
    timeout: Option<Duration>,
}

impl Client {
    pub(super) fn new(layout: Layout, timeout: Option<Duration>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
        Self { server: Arc::new(Server { values: Mutex::default(), clock }), layout, timeout }
    }

    /// What the server has of a session.
    pub(super) fn value(&self, id: &BeakerId) -> Option<Vec<u8>> {
        self.get(&self.layout.key(id))
    }

    /// Puts that in its place.
    pub(super) fn put(&self, id: &BeakerId, value: Vec<u8>) {
        self.server.values.lock().insert(self.layout.key(id), (value, None));
    }

    fn encode(&self, text: &str) -> Kept {
        let ttl = self.layout.time_to_live(self.timeout);
        let ends = ttl.map(|ttl| self.server.clock.now().saturating_add(ttl));
        (self.layout.encode(text), ends)
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        let values = self.server.values.lock();
        let (value, ends) = values.get(key)?;
        ends.is_none_or(|ends| self.server.clock.now() < ends).then(|| value.clone())
    }
}

impl TextStore for Client {
    fn latency(&self) -> Latency {
        Latency::Blocking
    }

    fn read(&self, id: &BeakerId) -> Result<Option<String>, Error> {
        self.get(&self.layout.key(id)).map(|value| self.layout.decode(&value)).transpose()
    }

    fn update(
        &self,
        id: &BeakerId,
        decide: &mut dyn FnMut(Result<Option<String>, Error>) -> Result<Change, Error>,
    ) -> Result<(), Error> {
        let key = self.layout.key(id);
        loop {
            let found = self.get(&key);
            let text = found.as_deref().map(|value| self.layout.decode(value)).transpose();
            let change = decide(text)?;
            let new = match change {
                Change::Keep => return Ok(()),
                Change::Replace(text) => Some(self.encode(&text)),
                Change::Remove => None,
            };
            let mut values = self.server.values.lock();
            // Somebody else was here meanwhile.
            if values.get(&key).map(|(value, _)| value) != found.as_ref() {
                continue;
            }
            match new {
                Some(new) => values.insert(key, new),
                None => values.remove(&key),
            };
            return Ok(());
        }
    }
}

const LAYOUTS: [Layout; 2] = [Layout::Redis, Layout::Memcached];

#[cfg(feature = "testkit")]
#[test]
fn stores_in_beakers_layouts_of_servers_keep_sessions_as_every_store_must() {
    for layout in LAYOUTS {
        let name = format!("{layout:?} of Beaker");
        super::suite::conformance(&name, Client::new(layout, None), &PayloadCodec::new());
    }
}

/// The session of a vector, found by the store; written again its value has the same bytes.
fn hold(client: &Client, vector: &serde_json::Value) {
    let (input, expect) = (&vector["input"], &vector["expect"]);
    let id = SessionId::from_bytes(
        BeakerId::parse(text(input, "id")).unwrap().to_bytes().expect("Beaker made it"),
    );
    let value = b64decode(text(&input["storage"], "value_b64"), &STANDARD).unwrap();
    let key = text(&input["storage"], "key").to_owned();
    client.server.values.lock().insert(key.clone(), (value.clone(), None));

    let clock = Arc::new(ManualClock::new(moment(&input["loaded_at"])));
    let store = BeakerStore::new(client.clone(), codec(&input["options"])).clock(clock);
    let Loaded::Present(stored) = store.load(&id.plain()).unwrap() else { panic!("it is there") };
    let mut user_data = data(&expect["user_data"]).into_map();
    user_data.retain(|name, _| !name.starts_with('_'));
    let user_data: Data = user_data.into_iter().collect();
    assert_eq!(stored.record.data(), user_data, "{}", vector["id"]);

    let texts: &dyn TextStore = client;
    let id = BeakerId::from_bytes(*id.as_bytes());
    let again = texts.read(&id).unwrap().expect("it is there");
    texts.update(&id, &mut |_| Ok(Change::Replace(again.clone()))).unwrap();
    let (written, ends) = client.server.values.lock()[&key].clone();
    assert_eq!(written, value, "{}", vector["id"]);
    let ttl = ends.map(|ends| ends.saturating_duration_since(client.server.clock.now()).as_secs());
    assert_eq!(input["storage"]["ttl_seconds"].as_u64(), ttl, "{}", vector["id"]);
}

// SES-22, SES-27, EXT-3, EXT-6, EXT-7.
#[test]
fn what_beaker_left_in_redis_and_memcached_is_found_and_written_with_the_same_bytes() {
    let mut held = Vec::new();
    for (layout, vectors) in [
        (Layout::Redis, vectors!("redis_sessions")),
        (Layout::Memcached, vectors!("memcached_sessions")),
    ] {
        // Of ids that a program chose for itself none comes from a cookie.
        let own =
            |vector: &&serde_json::Value| BeakerId::parse(text(&vector["input"], "id")).is_ok();
        let vectors: Vec<_> = vectors.iter().filter(own).collect();
        for vector in &vectors {
            let timeout = vector["input"]["options"]["timeout"].as_u64().map(Duration::from_secs);
            hold(&Client::new(layout, timeout), vector);
        }
        held.push(vectors.len());
    }
    assert_eq!(held, [10, 8], "and two of redis have ids of their own");
}

fn site(client: &Client) -> Sessions {
    let clock = Arc::clone(&client.server.clock) as Arc<dyn Clock>;
    let store = BeakerStore::new(client.clone(), PayloadCodec::new())
        .timeout(client.timeout)
        .clock(Arc::clone(&clock));
    let cookie = BeakerCookie::new("sid").and_then(|cookie| cookie.secret("s")).unwrap();
    let builder = Sessions::builder().as_beaker(cookie, store).unwrap().with_clock(clock);
    builder.with_idle(client.timeout).build().unwrap()
}

#[test]
fn a_logout_removes_the_key_of_the_server_and_two_requests_lose_no_change() {
    for layout in LAYOUTS {
        let client = Client::new(layout, Some(Duration::from_secs(60)));
        let sessions = site(&client);
        let mut browser = Browser::new();
        browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
        assert_eq!(client.server.values.lock().len(), 1);

        // Both have loaded before one of them saves.
        let (one, other) = (browser.begin(&sessions), browser.begin(&sessions));
        let (first, second) = (one.load().unwrap(), other.load().unwrap());
        first.add("clicks", 1).unwrap();
        second.add("clicks", 1).unwrap();
        let _ = (one.commit().unwrap(), other.commit().unwrap());
        assert_eq!(browser.sees(&sessions, "clicks"), Some(2.into()), "{layout:?}");
        assert_eq!(sessions.counts().conflicts, 1);

        let stolen = browser.clone();
        browser.visit(&sessions, |session| session.delete()).unwrap();
        assert_eq!(client.server.values.lock().len(), 0, "{layout:?}");
        assert_eq!(stolen.sees(&sessions, "user"), None);
    }
}

// SES-27: the server keeps a session two minutes longer than it lives.
#[test]
fn redis_forgets_a_session_two_minutes_after_its_end() {
    let client = Client::new(Layout::Redis, Some(Duration::from_secs(60)));
    let sessions = site(&client);
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
    let key = client.server.values.lock().keys().next().unwrap().clone();
    client.server.clock.advance(Duration::from_secs(179));
    assert_eq!(browser.sees(&sessions, "user"), None, "it is over");
    assert!(client.get(&key).is_some(), "and there");
    client.server.clock.advance(Duration::from_secs(1));
    assert!(client.get(&key).is_none());
}

#[test]
fn a_client_makes_sessions_of_options_whose_type_is_a_server() {
    let client = Client::new(Layout::Redis, None);
    let options = beaker_session::compat::BeakerOptions::from_pairs([
        ("session.type", "ext:redis"),
        ("session.url", "redis://localhost"),
        ("session.data_serializer", "json"),
    ]);
    let options = options.and_then(|options| options.refuse_unknown(&[])).unwrap();
    let options = options.with_texts(client.clone());
    let sessions =
        Sessions::builder().as_beaker_options(&options).and_then(Builder::build).unwrap();
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
    let keys: Vec<String> = client.server.values.lock().keys().cloned().collect();
    assert!(keys[0].starts_with("beaker_cache:"), "{}", keys.len());
    assert_eq!(browser.sees(&sessions, "user"), Some("ada".into()));
}
