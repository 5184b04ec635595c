//! Saved cookies of cookie-only sessions, sent again.

use std::sync::Arc;

use beaker_namespace::testkit::Fault;
use beaker_namespace::{Clock, ErrorKind as Store, ManualClock};
use beaker_session::{Error, ErrorKind, NamespaceStore, Origin, Session, Sessions};

use crate::browser::Browser;
use crate::site::{DAY, HOUR, Site, clock, sealed};

/// What a request does to its session.
type Work = fn(&Session) -> Result<(), Error>;

/// Sessions in cookies, and the store that knows which of them are over.
fn revocable() -> (Sessions, Site, Arc<ManualClock>) {
    let site = Site::new();
    let store = NamespaceStore::new(site.store.clone()).unwrap();
    let sessions = sealed(&site.clock, |builder| builder.with_epochs(store));
    let clock = site.clock.clone();
    (sessions, site, clock)
}

fn logged_in(sessions: &Sessions, subject: Option<&str>) -> Browser {
    let mut browser = Browser::new();
    let login = |session: &Session| {
        subject.map_or(Ok(()), |subject| session.set_subject(subject, None))?;
        session.insert("user", "ada")
    };
    browser.visit(sessions, login).unwrap();
    browser
}

/// 5, F55: logout, and the saved cookie sent again; the user's other devices stay.
#[test]
fn a_saved_cookie_is_worth_nothing_after_a_logout() {
    let leave: [Work; 2] = [Session::delete, Session::invalidate];
    for subject in [Some("ada"), None] {
        for leave in leave {
            let (sessions, _site, clock) = revocable();
            let [mut phone, laptop] = [(); 2].map(|()| logged_in(&sessions, subject));
            let saved = phone.clone();
            assert!(saved.sees(&sessions, "user").is_some(), "control");
            phone.visit(&sessions, leave).unwrap();
            assert_eq!(saved.sees(&sessions, "user"), None);
            assert!(laptop.sees(&sessions, "user").is_some(), "another session of the same user");
            clock.advance(HOUR - HOUR / 60);
            assert_eq!(saved.sees(&sessions, "user"), None, "as long as it could live");
            assert_eq!(sessions.counts().ended, 1);
        }
    }
    let without = sealed(&clock(), |builder| builder);
    let mut browser = logged_in(&without, None);
    let saved = browser.clone();
    browser.visit(&without, Session::delete).unwrap();
    assert!(saved.sees(&without, "user").is_some(), "control: nobody remembers it without a store");
}

/// 5: files and SQLite drop a damaged mark in the read that finds it, and the next one finds none.
#[test]
fn a_logout_that_meets_a_damaged_mark_makes_one() {
    for subject in [Some("ada"), None] {
        let (sessions, site, _clock) = revocable();
        let mut phone = logged_in(&sessions, subject);
        let saved = phone.clone();
        let logout = phone.begin(&sessions);
        site.store.arm(1, Fault::Fail(Store::Corrupt));
        logout.delete().unwrap();
        assert_eq!(site.store.injected(), 1, "control");
        phone.receive(&logout.commit().unwrap());
        assert!(phone.is_empty());
        assert_eq!(saved.sees(&sessions, "user"), None);
    }
}

/// 2, 5: the cookie of before a login.
#[test]
fn a_saved_cookie_is_worth_nothing_after_a_renewal() {
    let (sessions, site, _clock) = revocable();
    let mut browser = logged_in(&sessions, None);
    let saved = browser.clone();
    browser.visit(&sessions, Session::renew).unwrap();
    assert!(browser.sees(&sessions, "user").is_some());
    let session = saved.begin(&sessions).load().unwrap();
    assert_eq!((session.origin(), session.is_empty()), (Origin::Renewed, true));
    let late = session.insert("user", "eve").unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Ended, "it sets no cookie in place of the new one");
    site.clock.advance(HOUR / 30);
    assert_eq!(saved.begin(&sessions).load().unwrap().origin(), Origin::Unknown, "after the grace");
}

/// 3: a renewal that cannot be noted, or whose cookie would be too large, leaves what was there.
#[test]
fn a_renewal_that_fails_leaves_the_old_cookie_good() {
    let (sessions, site, _clock) = revocable();
    let mut browser = logged_in(&sessions, None);
    let renew = |more: usize| {
        let request = browser.begin(&sessions);
        let session = request.load().unwrap();
        session.insert("more", "m".repeat(more)).unwrap();
        session.renew().unwrap();
        request.commit().map_err(|error| error.kind())
    };
    assert_eq!(renew(4_000).unwrap_err(), ErrorKind::TooLarge);
    assert!(browser.sees(&sessions, "user").is_some());
    site.store.arm(2, Fault::Fail(Store::Unavailable));
    assert_eq!(renew(1).unwrap_err(), ErrorKind::Unavailable);
    assert!(browser.sees(&sessions, "user").is_some());
    let headers = renew(1).unwrap();
    browser.receive(&headers);
    assert!(browser.sees(&sessions, "more").is_some(), "control");
}

/// 24: whichever of both the store hears of first.
#[test]
fn a_logout_wins_over_what_runs_beside_it() {
    let work: [Work; 2] = [Session::renew, |session| session.insert("late", true)];
    for work in work {
        let (sessions, _site, _clock) = revocable();
        let mut browser = logged_in(&sessions, Some("ada"));
        let late = browser.begin(&sessions);
        work(&late.load().unwrap()).unwrap();
        browser.visit(&sessions, Session::delete).unwrap();
        browser.receive(&late.commit().unwrap());
        assert_eq!(browser.sees(&sessions, "user"), None);
    }
}

/// One session among a user's, by the key that it was noted under.
#[test]
fn one_cookie_only_session_is_revoked_by_its_key() {
    let (sessions, _site, clock) = revocable();
    let [phone, laptop] = [(); 2].map(|()| logged_in(&sessions, Some("ada")));
    let key = phone.begin(&sessions).load().unwrap().key().unwrap();
    sessions.revoke(&key).unwrap();
    assert_eq!(phone.sees(&sessions, "user"), None);
    assert!(laptop.sees(&sessions, "user").is_some(), "control");
    sessions.revoke(&key).unwrap();
    clock.advance(HOUR / 2);
    assert_eq!(phone.sees(&sessions, "user"), None);
}

/// The store forgets who logged out when no cookie of theirs can be live any more.
#[test]
fn a_logout_leaves_nothing_in_the_store_for_good() {
    let (sessions, site, clock) = revocable();
    let mut browser = logged_in(&sessions, None);
    browser.visit(&sessions, Session::delete).unwrap();
    assert_eq!(site.entries(), 1);
    clock.advance(2 * DAY + HOUR);
    sessions.sweep().unwrap();
    assert_eq!(site.entries(), 0, "at {:?}", clock.now());
}
