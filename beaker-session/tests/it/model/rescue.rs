//! What is made of a damaged record beside a logout, or twice, in every order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use beaker_backends::proxy::{Encrypted, KeyRing};
use beaker_namespace::{Clock, ManualClock, MemoryConfig, MemoryNamespace, Namespace, SystemClock};
use beaker_session::{AccessPolicy, CorruptPolicy, Data, Rescued, Sessions};
use parking_lot::Mutex;

use super::explorer::{Gate, Gated, explore};
use super::{Blind, World, is_caught};
use crate::browser::Browser;
use crate::site::flip_all;

const GRACE: Duration = Duration::from_secs(60);

/// A site that rescues what is damaged from a copy, and a browser whose session is.
fn damaged(gate: &Arc<Gate>, grace: Duration, blind: bool) -> World {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let config = MemoryConfig::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let memory = MemoryNamespace::anonymous(config).unwrap();
    let inner = Encrypted::new(Arc::clone(&memory), KeyRing::new(1, &[7; 32]).unwrap());
    let gate = Arc::clone(gate);
    let namespace: Arc<dyn Namespace> = if blind {
        Arc::new(Gated { inner: Blind(inner), gate })
    } else {
        Arc::new(Gated { inner, gate })
    };
    let copy = || Rescued::Values(Data::from([("user".to_owned(), "copy".into())]));
    let sessions = Sessions::builder()
        .with_namespace(namespace)
        .with_access(AccessPolicy::Never)
        .with_renewal_grace(grace)
        .with_corrupt(CorruptPolicy::custom(move |_, _| copy()))
        .build()
        .unwrap();
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
    flip_all(&memory);
    World { sessions, browser, clock, told: Mutex::default() }
}

fn sound(gate: &Arc<Gate>) -> World {
    damaged(gate, GRACE, false)
}

/// One where the mark of a renewal is dead at once.
fn without_grace(gate: &Arc<Gate>) -> World {
    damaged(gate, Duration::ZERO, false)
}

fn upserting(gate: &Arc<Gate>) -> World {
    damaged(gate, GRACE, true)
}

/// A request that changes the session, and tells what cookie it was sent.
fn rescue(world: &World) {
    let request = world.browser.begin(&world.sessions);
    let changed = request.load().unwrap().insert("more", 1);
    let mut browser = Browser::new();
    browser.receive(&request.commit().unwrap());
    assert!(changed.is_ok() || browser.is_empty());
    world.tell(browser.header());
}

fn logout(world: &World) {
    let request = world.browser.begin(&world.sessions);
    request.delete().unwrap();
    let _removal = request.commit().unwrap();
}

/// How many browsers see what was rescued: the one that sends the old cookie, and those that were sent
/// new ones.
fn rescued(world: &World) -> usize {
    let sent = world.told.lock().iter().map(|header| Browser::with(header)).collect::<Vec<_>>();
    let is_rescued = |browser: &Browser| {
        browser.sees(&world.sessions, "more").is_some()
            && browser.sees(&world.sessions, "user").is_some()
    };
    sent.iter().filter(|browser| is_rescued(browser)).count()
}

#[test]
fn of_two_rescues_one_is_stored_and_the_other_sends_no_cookie() {
    let once = |world: &World| {
        assert_eq!(rescued(world), 1, "{:?}", world.told.lock());
        assert_eq!(world.was_told(""), 1, "{:?}", world.told.lock());
    };
    for world in [sound, without_grace] {
        let orders = explore(world, &[&rescue, &rescue], &[], once);
        assert!(orders >= 50, "{orders} orders");
    }
    assert!(is_caught(upserting, &[&rescue, &rescue], once), "control");
}

#[test]
fn a_logout_wins_over_a_rescue_in_any_order() {
    let none = |world: &World| {
        assert_eq!(rescued(world), 0, "{:?}", world.told.lock());
    };
    for world in [sound, without_grace] {
        let orders = explore(world, &[&rescue, &logout], &[], none);
        assert!(orders >= 30, "{orders} orders");
    }
    assert!(is_caught(upserting, &[&rescue, &logout], none), "control");
}

/// Either the damaged record is still there, or the mark of where it went, which nobody was told.
#[test]
fn a_rescue_that_is_killed_anywhere_has_taken_the_damaged_record_s_place_or_not() {
    let found = Mutex::new(BTreeSet::new());
    let runs = explore(sound, &[&rescue], &[0], |world| {
        let origin = world.browser.begin(&world.sessions).load().unwrap().origin();
        found.lock().insert(format!("{origin:?}"));
    });
    assert!(runs > 4, "{runs} runs");
    assert_eq!(found.into_inner().iter().collect::<Vec<_>>(), ["Corrupt", "Renewed"]);
}
