//! What several make of a damaged list, or epoch, of one user, in every order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use beaker_backends::proxy::{Encrypted, KeyRing};
use beaker_namespace::{
    Clock, ManualClock, MemoryConfig, MemoryNamespace, Namespace, Payload, Scan, SystemClock,
};
use beaker_session::{NamespaceStore, SessionStore, Sessions};
use parking_lot::Mutex;

use super::explorer::{Actor, Gate, Gated, explore};
use crate::browser::Browser;
use crate::site::blinded;

struct World {
    sessions: Sessions,
    store: NamespaceStore,
    cookies: Mutex<Vec<String>>,
    epochs: Mutex<Vec<u64>>,
}

/// How what the namespace has was damaged.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// It does not decrypt, so its generation is not known.
    Undecipherable,
    /// It is found, and is none.
    Other,
}

/// A site on whose list and epoch of one user something else was written.
fn damaged(gate: &Arc<Gate>, damage: Damage, blind: bool) -> World {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let config = MemoryConfig::new().clock(clock as Arc<dyn Clock>);
    let memory = MemoryNamespace::anonymous(config).unwrap();
    let encrypted = Encrypted::new(Arc::clone(&memory), KeyRing::new(1, &[7; 32]).unwrap());
    let encrypted: Arc<dyn Namespace> = Arc::new(encrypted);
    let stored = NamespaceStore::new(Arc::clone(&encrypted)).unwrap();
    let before = Sessions::builder().with_namespace(Arc::clone(&encrypted)).build().unwrap();
    Browser::new().visit(&before, |session| session.set_subject("ada", None)).unwrap();
    assert_eq!(stored.raise_epoch("ada").unwrap(), 1);
    let into: Arc<dyn Namespace> = match damage {
        Damage::Undecipherable => Arc::clone(&memory) as _,
        Damage::Other => Arc::clone(&encrypted),
    };
    for listed in memory.scan(&Scan::new()).unwrap().entries {
        let entry = into.get(&listed.key).unwrap().unwrap();
        into.set(&listed.key, entry.with_payload(Payload::raw("damaged"))).unwrap();
    }
    let gate = Arc::clone(gate);
    let namespace: Arc<dyn Namespace> = if blind {
        Arc::new(Gated { inner: blinded(encrypted), gate })
    } else {
        Arc::new(Gated { inner: encrypted, gate })
    };
    let sessions = Sessions::builder().with_namespace(Arc::clone(&namespace)).build().unwrap();
    let store = NamespaceStore::new(namespace).unwrap();
    World { sessions, store, cookies: Mutex::default(), epochs: Mutex::default() }
}

/// That `check` holds in every order, and not where sets do not look.
fn holds(actors: &[Actor<'_, World>], check: impl Fn(&World)) {
    for damage in [Damage::Undecipherable, Damage::Other] {
        let orders = explore(|gate| damaged(gate, damage, false), actors, &[], &check);
        assert!(orders >= 10, "{orders} orders, {damage:?}");
        let blind = || explore(|gate| damaged(gate, damage, true), actors, &[], &check);
        assert!(catch_unwind(AssertUnwindSafe(blind)).is_err(), "control: {damage:?}");
    }
}

fn log_in(world: &World) {
    let mut browser = Browser::new();
    let login = browser.visit(&world.sessions, |session| {
        session.set_subject("ada", None)?;
        session.insert("user", "ada")
    });
    login.unwrap();
    world.cookies.lock().push(browser.header());
}

#[test]
fn of_two_logins_that_meet_a_damaged_list_both_are_listed() {
    holds(&[&log_in, &log_in], |world| {
        world.sessions.revoke_all("ada").unwrap();
        let cookies = world.cookies.lock();
        let is_in =
            |cookie: &&String| Browser::with(cookie).sees(&world.sessions, "user").is_some();
        assert_eq!((cookies.len(), cookies.iter().filter(is_in).count()), (2, 0));
    });
}

#[test]
fn whoever_reads_a_damaged_epoch_puts_none_in_the_place_of_a_later_one() {
    let read = |world: &World| {
        let epoch = world.store.epoch("ada").unwrap();
        world.epochs.lock().push(epoch);
    };
    let raise_twice = |world: &World| {
        let raised = [(); 2].map(|()| world.store.raise_epoch("ada").unwrap());
        assert!(raised[0] < raised[1], "{raised:?}");
        world.epochs.lock().extend(raised);
    };
    holds(&[&read, &raise_twice], |world| {
        let epoch = world.store.epoch("ada").unwrap();
        assert!(world.epochs.lock().iter().all(|told| *told <= epoch), "{epoch}");
    });
}
