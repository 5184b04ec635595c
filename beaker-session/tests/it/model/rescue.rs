//! What is made of a damaged record beside a logout, or twice, in every order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use beaker_backends::proxy::{Encrypted, KeyRing};
use beaker_namespace::{
    Clock, Error, Lookup, ManualClock, MemoryConfig, MemoryNamespace, Namespace, Scan, Swept,
    SystemClock, forward_namespace,
};
use beaker_session::{AccessPolicy, CorruptPolicy, Data, Rescued, Sessions};
use parking_lot::Mutex;

use super::explorer::{Gate, Gated, explore};
use super::{World, is_caught};
use crate::browser::Browser;
use crate::site::{SetIf, SetsBy, TooLong, Unprinted, blinded, flip_all};

/// What a logout tells at its end.
const OUT: &str = "out";

const GRACE: Duration = Duration::from_secs(60);

/// A site that rescues what is damaged from a copy, and a browser whose session is, in a store that is as
/// `of` makes it of a sound one.
fn damaged<N: Namespace>(gate: &Arc<Gate>, grace: Duration, of: impl FnOnce(Sound) -> N) -> World {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let config = MemoryConfig::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let memory = MemoryNamespace::anonymous(config).unwrap();
    let inner = Encrypted::new(Arc::clone(&memory), KeyRing::new(1, &[7; 32]).unwrap());
    let inner = of(Sound { inner, memory: Arc::clone(&memory), clock: Arc::clone(&clock) });
    let namespace = Arc::new(Gated { inner, gate: Arc::clone(gate) });
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
    damaged(gate, GRACE, |sound| sound)
}

/// One where the mark of a renewal is dead at once.
fn without_grace(gate: &Arc<Gate>) -> World {
    damaged(gate, Duration::ZERO, |sound| sound)
}

fn upserting(gate: &Arc<Gate>) -> World {
    damaged(gate, GRACE, blinded)
}

/// One that says that something is damaged, and not what it is known by.
fn unprinted(gate: &Arc<Gate>) -> World {
    damaged(gate, GRACE, Unprinted)
}

fn slow(gate: &Arc<Gate>) -> World {
    damaged(gate, GRACE, standing_still)
}

fn slow_and_unprinted(gate: &Arc<Gate>) -> World {
    damaged(gate, GRACE, |sound| Unprinted(standing_still(sound)))
}

fn too_long(gate: &Arc<Gate>) -> World {
    damaged(gate, GRACE, TooLong)
}

fn too_long_and_upserting(gate: &Arc<Gate>) -> World {
    damaged(gate, GRACE, |sound| TooLong(blinded(sound)))
}

/// A store whose sweeps drop what is damaged, as those of files and databases do.
#[derive(Debug)]
struct Sound {
    inner: Encrypted<Arc<MemoryNamespace>>,
    memory: Arc<MemoryNamespace>,
    clock: Arc<ManualClock>,
}

impl Namespace for Sound {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, latency, clock, get, look_up, set, set_if, remove, clear, claim, fulfil, stats,
    );

    fn sweep(&self) -> Result<Swept, Error> {
        let mut swept = self.memory.sweep()?;
        for listed in self.memory.scan(&Scan::new())?.entries {
            if let Lookup::Corrupt(_) = self.inner.look_up(&listed.key)? {
                self.memory.remove(&listed.key)?;
                swept.corrupt += 1;
            }
        }
        Ok(swept)
    }
}

/// One where everybody stands still for more than a minute after each set, so that marks are dead by then.
fn standing_still(inner: Sound) -> SetsBy<Sound> {
    let set_if: SetIf<Sound> = |inner, key, entry, condition| {
        let set = inner.set_if(key, entry, condition);
        inner.clock.advance(2 * GRACE);
        set
    };
    SetsBy { inner, set_if }
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
    world.tell(OUT);
}

fn sweep(world: &World) {
    let _swept = world.sessions.sweep().unwrap();
}

/// How many browsers see what was rescued: the one that sends the old cookie, and those that were sent
/// new ones.
fn rescued(world: &World) -> usize {
    let told = world.told.lock().clone();
    let sent = told.iter().filter(|told| *told != OUT).map(|header| Browser::with(header));
    let is_rescued = |browser: &Browser| {
        browser.sees(&world.sessions, "more").is_some()
            && browser.sees(&world.sessions, "user").is_some()
    };
    sent.filter(is_rescued).count()
}

#[test]
fn of_two_rescues_one_is_stored_and_the_other_sends_no_cookie() {
    let once = |world: &World| {
        assert_eq!(rescued(world), 1, "{:?}", world.told.lock());
        assert_eq!(world.was_told(""), 1, "{:?}", world.told.lock());
    };
    for world in [sound, without_grace, too_long] {
        let orders = explore(world, &[&rescue, &rescue], &[], once);
        assert!(orders >= 50, "{orders} orders");
    }
    for control in [upserting, too_long_and_upserting] {
        assert!(is_caught(control, &[&rescue, &rescue], once), "control");
    }
}

#[test]
fn a_logout_wins_over_a_rescue_in_any_order() {
    let none = |world: &World| {
        assert_eq!(rescued(world), 0, "{:?}", world.told.lock());
    };
    for world in [sound, without_grace, too_long] {
        let orders = explore(world, &[&rescue, &logout], &[], none);
        assert!(orders >= 30, "{orders} orders");
    }
    for control in [upserting, too_long_and_upserting] {
        assert!(is_caught(control, &[&rescue, &logout], none), "control");
    }
}

/// However long the rescue stands still before it takes the damaged record's place. (A logout that itself comes
/// later than a mark stays does not find where a session went, as beside any renewal.)
#[test]
fn a_logout_that_ended_first_wins_over_a_rescue_that_stands_still() {
    let late = |world: &World| {
        let told = world.told.lock().clone();
        if told.first().is_some_and(|first| first == OUT) {
            assert_eq!(rescued(world), 0, "{told:?}");
        }
    };
    let orders = explore(slow, &[&rescue, &logout], &[], late);
    assert!(orders >= 30, "{orders} orders");
    assert!(is_caught(slow_and_unprinted, &[&rescue, &logout], late), "control");
}

#[test]
fn a_logout_wins_over_a_rescue_beside_a_sweep_that_drops_what_is_damaged() {
    let none = |world: &World| {
        assert_eq!(rescued(world), 0, "{:?}", world.told.lock());
    };
    let orders = explore(sound, &[&rescue, &logout, &sweep], &[], none);
    assert!(orders >= 300, "{orders} orders");
    assert!(is_caught(unprinted, &[&rescue, &logout, &sweep], none), "control");
}

#[test]
fn of_two_rescues_that_stand_still_one_at_most_is_stored() {
    let once = |world: &World| {
        assert!(rescued(world) <= 1, "{:?}", world.told.lock());
    };
    let orders = explore(slow, &[&rescue, &rescue], &[], once);
    assert!(orders >= 50, "{orders} orders");
    assert!(is_caught(slow_and_unprinted, &[&rescue, &rescue], once), "control");
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
