//! The races that lose sessions elsewhere, in every order of the store's calls.
//
// Each has a control: the same requests on a store that sets without looking (as an SQL upsert
// does), or with the policy that is known to lose, in which the same check must fail.

mod explorer;
mod races;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use beaker_namespace::{Capabilities, Claim, Clock, Fulfilled, Latency};
use beaker_namespace::{
    Condition, ConditionalSet, Entry, Error, Key, MemoryConfig, MemoryNamespace, Namespace,
    NamespaceId, Scope, Stats, Wait,
};
use beaker_session::{Builder, Sessions};
use parking_lot::Mutex;

use self::explorer::{Actor, Gate, Gated, explore};
use crate::browser::Browser;

/// A site with one session in it, and the browser that has its cookie.
struct World {
    sessions: Sessions,
    browser: Browser,
    /// What the requests have to tell.
    told: Mutex<Vec<String>>,
}

impl World {
    fn new(gate: &Arc<Gate>, blind: bool, settings: impl Fn(Builder) -> Builder) -> Self {
        let inner = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
        let gate = Arc::clone(gate);
        let namespace: Arc<dyn Namespace> = if blind {
            Arc::new(Gated { inner: Blind(inner), gate })
        } else {
            Arc::new(Gated { inner, gate })
        };
        let sessions = settings(Sessions::builder().with_namespace(namespace)).build().unwrap();
        let mut browser = Browser::new();
        browser
            .visit(&sessions, |session| {
                session.set_subject("ada", None)?;
                session.insert("user", "ada")
            })
            .unwrap();
        Self { sessions, browser, told: Mutex::default() }
    }

    fn tell(&self, what: impl Into<String>) {
        self.told.lock().push(what.into());
    }

    fn was_told(&self, what: &str) -> usize {
        self.told.lock().iter().filter(|told| *told == what).count()
    }

    /// Whether the browser's cookie still opens a session with something in it.
    fn is_logged_in(&self) -> bool {
        self.browser.sees(&self.sessions, "user").is_some()
    }
}

/// Whether `check` fails in some order.
fn is_caught(
    world: impl Fn(&Arc<Gate>) -> World,
    actors: &[Actor<'_, World>],
    check: impl Fn(&World),
) -> bool {
    catch_unwind(AssertUnwindSafe(|| explore(world, actors, &[], check))).is_err()
}

/// Sets without looking, as an upsert does.
#[derive(Debug)]
struct Blind<N>(N);

impl<N: Namespace> Namespace for Blind<N> {
    fn id(&self) -> &NamespaceId {
        self.0.id()
    }
    fn scope(&self) -> Scope {
        self.0.scope()
    }
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn latency(&self) -> Latency {
        self.0.latency()
    }
    fn clock(&self) -> &Arc<dyn Clock> {
        self.0.clock()
    }
    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        self.0.get(key)
    }
    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        self.0.set(key, entry)
    }
    fn set_if(&self, key: &Key, entry: Entry, _: Condition) -> Result<ConditionalSet, Error> {
        self.0.set(key, entry)?;
        let generation = self.0.get(key)?.map_or(0, |entry| entry.generation());
        Ok(ConditionalSet::Stored { generation })
    }
    fn remove(&self, key: &Key) -> Result<bool, Error> {
        self.0.remove(key)
    }
    fn clear(&self) -> Result<(), Error> {
        self.0.clear()
    }
    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        self.0.claim(key, wait)
    }
    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        self.0.fulfil(key, entry, claim)
    }
    fn stats(&self) -> Stats {
        self.0.stats()
    }
}
