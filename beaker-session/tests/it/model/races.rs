//! Requests at the same time, in every order.

use std::sync::Arc;
use std::time::Duration;

use beaker_session::{AccessPolicy, Builder, ErrorKind, MergePolicy, Session};

use super::explorer::{Gate, explore};
use super::{World, is_caught};
use crate::browser::Browser;
use crate::site::HOUR;

fn plain(builder: Builder) -> Builder {
    builder.with_access(AccessPolicy::Never)
}

fn sound(gate: &Arc<Gate>) -> World {
    World::new(gate, false, plain)
}

/// With a session that is looked at by who else logs in.
fn old(gate: &Arc<Gate>) -> World {
    let world = sound(gate);
    world.clock.advance(2 * HOUR);
    world
}

fn upserting(gate: &Arc<Gate>) -> World {
    World::new(gate, true, plain)
}

fn last_writer_wins(gate: &Arc<Gate>) -> World {
    World::new(gate, false, |builder| plain(builder).with_merge(MergePolicy::LastWriterWins))
}

/// A request of the browser that does `change`, and tells what came of saving it.
fn request(world: &World, name: &str, change: impl FnOnce(&Session)) {
    let request = world.browser.begin(&world.sessions);
    let session = request.load().unwrap();
    change(&session);
    match session.save() {
        Ok(()) => world.tell(format!("{name} saved")),
        Err(error) => world.tell(format!("{name} {:?}", error.kind())),
    }
    let cookies = request.commit().unwrap().set_cookies().len();
    if cookies > 0 {
        world.tell(format!("{name} sent a cookie"));
    }
}

fn click(world: &World) {
    request(world, "click", |session| {
        if session.add("clicks", 1).is_err() {
            world.tell("click came too late");
        }
    });
}

fn write(world: &World) {
    request(world, "write", |session| {
        if session.insert("cart", "pear").is_err() {
            world.tell("write came too late");
        }
    });
}

fn logout(world: &World) {
    request(world, "logout", |session| session.delete().unwrap());
}

fn renew(world: &World) {
    request(world, "renew", |session| {
        if session.renew().is_err() {
            world.tell("renew came too late");
        }
    });
}

// Table row 22; peers: tower-sessions, actix-session, Django, scs and Beaker lose one of two.

fn all_clicks_count(world: &World) {
    assert_eq!(world.browser.sees(&world.sessions, "clicks"), Some(3.into()));
    assert_eq!(world.browser.sees(&world.sessions, "user"), Some("ada".into()));
}

#[test]
fn f49_no_update_is_lost_in_any_order() {
    let orders = explore(sound, &[&click, &click, &click], &[], all_clicks_count);
    assert!(orders > 400, "{orders} orders");
}

#[test]
fn f49_control_a_store_that_upserts_loses_updates() {
    assert!(is_caught(upserting, &[&click, &click, &click], all_clicks_count));
}

#[test]
fn f49_control_last_writer_wins_loses_updates() {
    assert!(is_caught(last_writer_wins, &[&click, &click, &click], all_clicks_count));
}

#[test]
fn different_values_of_two_requests_are_both_there() {
    explore(sound, &[&click, &write], &[], |world| {
        assert_eq!(world.browser.sees(&world.sessions, "clicks"), Some(1.into()));
        assert_eq!(world.browser.sees(&world.sessions, "cart"), Some("pear".into()));
    });
}

// Table row 23; peers: tower-sessions, scs and axum-session's other nodes bring the session back.

fn stays_logged_out(world: &World) {
    assert!(!world.is_logged_in());
}

#[test]
fn a_session_never_comes_back_after_logout_in_any_order() {
    let orders = explore(sound, &[&logout, &write], &[], stays_logged_out);
    assert!(orders >= 15, "{orders} orders");
}

#[test]
fn control_a_store_that_upserts_brings_sessions_back() {
    assert!(is_caught(upserting, &[&logout, &write], stays_logged_out));
}

#[test]
fn a_touch_does_not_bring_a_session_back() {
    let touching = |gate: &Arc<Gate>| {
        World::new(gate, false, |builder| builder.with_access(AccessPolicy::EveryRequest))
    };
    let read = |world: &World| request(world, "read", |_| {});
    explore(touching, &[&logout, &read], &[], stays_logged_out);
    let upserting = |gate: &Arc<Gate>| {
        World::new(gate, true, |builder| builder.with_access(AccessPolicy::EveryRequest))
    };
    assert!(is_caught(upserting, &[&logout, &read], stays_logged_out), "control");
}

#[test]
fn a_write_that_was_refused_says_so_and_sends_no_cookie() {
    explore(sound, &[&logout, &write], &[], |world| {
        let refused = world.was_told("write Ended") + world.was_told("write came too late");
        let saved = world.was_told("write saved");
        assert_eq!(refused + saved, 1 + world.was_told("write came too late"));
        if refused > 0 {
            assert_eq!(world.was_told("write sent a cookie"), 0);
        }
    });
}

// Attack 3; peers: tower-sessions deletes the old id first, so that a 500 or a failed create loses
// the session.

#[test]
fn renew_then_500_leaves_the_old_session_in_any_order() {
    let fails = |world: &World| {
        let request = world.browser.begin(&world.sessions);
        let session = request.load().unwrap();
        session.renew().unwrap();
        assert_eq!(request.commit_failed().unwrap().set_cookies().len(), 0);
    };
    explore(sound, &[&fails, &click], &[], |world| {
        assert!(world.is_logged_in());
        assert_eq!(world.browser.sees(&world.sessions, "clicks"), Some(1.into()));
    });
}

#[test]
fn control_who_takes_the_old_id_away_first_loses_the_session_with_a_500() {
    let fails = |world: &World| {
        let request = world.browser.begin(&world.sessions);
        let session = request.load().unwrap();
        let _gone = world.sessions.store().delete(&session.key().unwrap()).unwrap();
        session.renew().unwrap();
        assert_eq!(request.commit_failed().unwrap().set_cookies().len(), 0);
    };
    assert!(is_caught(sound, &[&fails, &click], |world| assert!(world.is_logged_in())));
}

/// Whether the session lives under the browser's cookie, or under the one that a renewal has sent.
fn lives_once(world: &World) -> bool {
    let devices = world.sessions.devices("ada").unwrap();
    assert!(devices.len() <= 1, "{devices:?}");
    devices.len() == 1
}

#[test]
fn a_renewal_that_is_killed_anywhere_leaves_the_session_under_one_id() {
    let runs = explore(sound, &[&renew], &[0], |world| {
        // Until the old one is taken the old cookie works, though the new record may be there
        // already.
        let devices = world.sessions.devices("ada").unwrap();
        let taken = devices.len() == 1 && !world.is_logged_in();
        assert!(world.is_logged_in() || taken, "{devices:?}");
    });
    assert!(runs > 5, "{runs} runs");
}

#[test]
fn of_two_renewals_one_wins_and_the_other_sends_no_cookie() {
    explore(sound, &[&renew, &renew], &[], |world| {
        let late = world.was_told("renew Ended") + world.was_told("renew came too late");
        assert_eq!(world.was_told("renew sent a cookie"), 2 - late, "{:?}", world.told.lock());
        assert!(lives_once(world));
        assert!(!world.is_logged_in(), "the old id opens nothing");
    });
}

#[test]
fn a_write_beside_a_renewal_is_in_the_renewed_session_or_refused() {
    explore(sound, &[&renew, &write], &[], |world| {
        assert_eq!(world.was_told("renew sent a cookie"), 1);
        let device = world.sessions.devices("ada").unwrap().remove(0);
        let beaker_session::Loaded::Present(stored) =
            world.sessions.store().load(&device.key).unwrap()
        else {
            panic!("the renewed session is there")
        };
        let refused = world.was_told("write Ended") + world.was_told("write came too late");
        assert_eq!(stored.record.data().contains_key("cart"), refused == 0);
    });
}

#[test]
fn a_logout_wins_over_a_renewal_in_any_order() {
    let no_session = |world: &World| {
        assert!(!world.is_logged_in());
        assert!(!lives_once(world), "{:?}", world.told.lock());
    };
    explore(sound, &[&renew, &logout], &[], no_session);
    assert!(is_caught(upserting, &[&renew, &logout], no_session), "control");
}

#[test]
fn revoking_all_wins_over_a_renewal_and_a_write_in_any_order() {
    let revoke = |world: &World| {
        world.sessions.revoke_all("ada").unwrap();
    };
    let none_left = |world: &World| {
        assert!(!world.is_logged_in());
        assert!(!lives_once(world));
    };
    for world in [sound, old] {
        explore(world, &[&revoke, &renew], &[], none_left);
        explore(world, &[&revoke, &write], &[], none_left);
    }
    assert!(is_caught(upserting, &[&revoke, &renew], none_left), "control");
}

/// A login as somebody else, in the session that was `ada`'s.
fn become_grace(world: &World, renews: bool) {
    request(world, "login", |session| {
        let changed = session.set_subject("grace", None);
        let renewed = if renews { session.renew() } else { Ok(()) };
        if changed.and(renewed).is_err() {
            world.tell("login came too late");
        }
    });
}

/// Of a session that changes its subject meanwhile: it was revoked, and the change refused; or it
/// changed, and is the other's.
#[test]
fn revoking_all_ends_just_what_is_the_subject_s_in_any_order() {
    let revoke = |world: &World| {
        let ended = world.sessions.revoke_all("ada").unwrap();
        world.tell(format!("{ended} ended"));
    };
    for renews in [false, true] {
        let login = |world: &World| become_grace(world, renews);
        let either = |world: &World| {
            let grace_s = world.sessions.devices("grace").unwrap().len();
            let refused = world.was_told("login Ended") + world.was_told("login came too late");
            // A visitor who was logged out before it loaded its session logs in to a new one.
            let saved = world.was_told("login saved");
            let ended = world.was_told("1 ended");
            assert_eq!(saved + refused, 1, "{:?}", world.told.lock());
            assert_eq!(grace_s, saved, "{:?}", world.told.lock());
            assert!(refused <= ended, "{:?}", world.told.lock());
            assert_eq!(world.sessions.devices("ada").unwrap(), []);
        };
        let orders = explore(sound, &[&revoke, &login], &[], either);
        assert!(orders > 5, "{orders} orders");
    }
}

#[test]
fn under_the_policy_fail_one_of_two_fails_and_nothing_is_mixed() {
    let failing =
        |gate: &Arc<Gate>| World::new(gate, false, |b| plain(b).with_merge(MergePolicy::Fail));
    let put = |world: &World, value: &str| {
        let request = world.browser.begin(&world.sessions);
        let session = request.load().unwrap();
        session.insert("cart", value).unwrap();
        match session.save() {
            Ok(()) => world.tell(value),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
        }
    };
    let (pear, plum) = (|world: &World| put(world, "pear"), |world: &World| put(world, "plum"));
    explore(failing, &[&pear, &plum], &[], |world| {
        let told = world.told.lock();
        let last = told.last().map(|last| last.as_str().into());
        assert_eq!(world.browser.sees(&world.sessions, "cart"), last);
        assert!(!told.is_empty());
    });
}

#[test]
fn two_first_requests_of_one_browser_make_two_sessions_that_do_not_disturb_each_other() {
    let first = |world: &World| {
        let mut browser = Browser::new();
        browser.visit(&world.sessions, |session| session.insert("cart", "pear")).unwrap();
        assert_eq!(browser.sees(&world.sessions, "cart"), Some("pear".into()));
        world.tell(browser.header());
    };
    explore(sound, &[&first, &first], &[], |world| {
        let told = world.told.lock();
        assert_ne!(told[0], told[1]);
    });
}

#[test]
fn a_save_under_way_keeps_what_is_changed_meanwhile_for_the_next() {
    let wait = Duration::from_secs(60);
    let world = |gate: &Arc<Gate>| World::new(gate, false, |b| plain(b).with_idle(Some(wait)));
    let both = |world: &World| {
        let request = world.browser.begin(&world.sessions);
        let session = request.load().unwrap();
        session.add("clicks", 1).unwrap();
        session.save().unwrap();
        session.add("clicks", 1).unwrap();
        let clicks = session.get::<i64>("clicks").unwrap();
        assert!(clicks == Some(2) || clicks == Some(3), "{clicks:?}");
        let _headers = request.commit().unwrap();
    };
    explore(world, &[&both, &click], &[], |world| {
        assert_eq!(world.browser.sees(&world.sessions, "clicks"), Some(3.into()));
    });
}
