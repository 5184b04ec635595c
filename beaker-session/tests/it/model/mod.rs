//! The races that lose sessions elsewhere, in every order of the store's calls.
//
// Each has a control: the same requests on a store that sets without looking (as an SQL upsert
// does), or with the policy that is known to lose, in which the same check must fail.

mod core;
#[cfg(feature = "tokio")]
mod ended;
mod explorer;
mod in_place;
mod lists;
mod races;
mod rescue;
mod turns;
#[cfg(feature = "tokio")]
mod turns_in_tasks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use beaker_namespace::{Clock, ManualClock, MemoryConfig, MemoryNamespace, Namespace, SystemClock};
use beaker_session::{Builder, Sessions};
use parking_lot::Mutex;

use self::explorer::{Actor, Gate, Gated, explore};
use crate::browser::Browser;
use crate::site::blinded;

/// A site with one session in it, and the browser that has its cookie.
struct World {
    sessions: Sessions,
    browser: Browser,
    clock: Arc<ManualClock>,
    /// What the requests have to tell.
    told: Mutex<Vec<String>>,
}

impl World {
    fn new(gate: &Arc<Gate>, blind: bool, settings: impl Fn(Builder) -> Builder) -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let config = MemoryConfig::new().clock(clock.clone());
        let inner = MemoryNamespace::anonymous(config).unwrap();
        let gate = Arc::clone(gate);
        let namespace: Arc<dyn Namespace> = if blind {
            Arc::new(Gated { inner: blinded(inner), gate })
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
        Self { sessions, browser, clock, told: Mutex::default() }
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
