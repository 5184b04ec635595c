//! Keys that change while visitors are on the way.

use std::time::Duration;

use beaker_namespace::Clock;
use beaker_session::{ErrorKind, KeyRing, Sessions};

use crate::browser::Browser;
use crate::site::{HOUR, Site, clock, ring, sealed, secret};

fn token(sessions: &Sessions, browser: &mut Browser) -> String {
    browser.visit(sessions, |session| session.csrf_token()).unwrap()
}

fn verify(sessions: &Sessions, browser: &Browser, token: &str) -> Result<(), ErrorKind> {
    let session = browser.begin(sessions).load().unwrap();
    session.verify_csrf(token).map_err(|error| error.kind())
}

/// A process of the same site, that was started with `keys`.
fn another(site: &Site, keys: KeyRing) -> Sessions {
    let builder = Sessions::builder().with_namespace(site.store.clone());
    builder.with_clock(site.clock.clone()).with_keys(keys).build().unwrap()
}

/// 23, 28: a form that was open when the keys changed is good after it; one of a dropped key is not.
#[test]
fn an_open_form_outlives_a_change_of_keys_and_not_the_key() {
    let [a, b, c] = [1, 2, 3].map(secret);
    let site = Site::with(|builder| builder.with_keys(KeyRing::new(a.clone())));
    let mut browser = Browser::new();
    let by_a = token(&site.sessions, &mut browser);

    let restarted = another(&site, KeyRing::new(b.clone()).with_retired(a.clone()));
    assert_eq!(verify(&restarted, &browser, &by_a), Ok(()), "after a restart");
    site.sessions.set_keys(&KeyRing::new(b.clone()).with_retired(a)).unwrap();
    assert_eq!(verify(&site.sessions, &browser, &by_a), Ok(()), "after a hot change");

    // The cookie goes over to the new key, and what is left of the old one is the form.
    let by_b = token(&site.sessions, &mut browser);
    site.sessions.set_keys(&KeyRing::new(c).with_retired(b)).unwrap();
    assert_eq!(verify(&site.sessions, &browser, &by_b), Ok(()), "control: the session is there");
    assert_eq!(verify(&site.sessions, &browser, &by_a), Err(ErrorKind::Rejected));
}

/// 23, 28: one process got the new keys while it ran, the other by a restart.
#[test]
fn processes_that_learnt_the_keys_in_different_ways_accept_each_other_s_forms() {
    let [a, b] = [1, 2].map(secret);
    let ring = KeyRing::new(b).with_retired(a.clone());
    let site = Site::with(|builder| builder.with_keys(KeyRing::new(a.clone())));
    site.sessions.set_keys(&ring).unwrap();
    let restarted = another(&site, ring);
    let stale = another(&site, KeyRing::new(a));

    let mut browser = Browser::new();
    let (hot, cold) = (token(&site.sessions, &mut browser), token(&restarted, &mut browser));
    assert_eq!(verify(&restarted, &browser, &hot), Ok(()));
    assert_eq!(verify(&site.sessions, &browser, &cold), Ok(()));
    assert_eq!(verify(&stale, &browser, &hot), Err(ErrorKind::Rejected), "control");
}

/// 21: a token of one cookie's sessions is worth nothing to another cookie's, of one secret and id.
#[test]
fn a_form_is_bound_to_the_name_of_the_cookie() {
    let site = Site::with(|builder| builder.with_keys(ring(1)));
    let mut browser = Browser::new();
    let token = token(&site.sessions, &mut browser);
    let id = browser.begin(&site.sessions).load().unwrap().id().unwrap();
    let by_name = |name: &str| {
        let builder = Sessions::builder().with_namespace(site.store.clone());
        let builder = builder.with_clock(site.clock.clone()).with_keys(ring(1));
        builder.with_cookie(beaker_session::CookieConfig::named(name)).build().unwrap()
    };
    let verified = |name: &str| {
        let session = by_name(name).get_by_id(&id).unwrap().unwrap();
        session.verify_csrf(&token).map_err(|error| error.kind())
    };
    assert_eq!(verified("__Host-id"), Ok(()), "control");
    assert_eq!(verified("__Secure-id"), Err(ErrorKind::Rejected));
}

/// 23: a key that is retired until a time is as if dropped from then on, in every form.
#[test]
fn a_key_retires_by_itself_when_its_time_is_over() {
    let [a, b] = [1, 2].map(secret);
    for form in 0..3 {
        let (site, clock) = (Site::with(|builder| builder.with_keys(ring(1))), clock());
        let readable = Sessions::builder().in_readable_cookies().with_clock(clock.clone());
        let (sessions, clock) = match form {
            0 => (site.sessions.clone(), site.clock.clone()),
            1 => (sealed(&clock, |builder| builder), clock),
            _ => (readable.with_keys(ring(1)).build().unwrap(), clock),
        };
        let mut browser = Browser::new();
        let form_by_a = token(&sessions, &mut browser);
        let until = clock.now().saturating_add(HOUR / 2);
        let keys = KeyRing::new(b.clone()).with_retired_until(a.clone(), until);
        sessions.set_keys(&keys).unwrap();
        let mut used = browser.clone();

        clock.advance(HOUR / 2 - Duration::from_micros(1));
        assert!(!browser.begin(&sessions).load().unwrap().is_new(), "form {form}: just before");
        assert_eq!(verify(&sessions, &browser, &form_by_a), Ok(()), "form {form}: just before");
        used.visit(&sessions, |session| session.get::<String>("user")).unwrap();
        assert_eq!(used.received.len(), 1, "form {form}: it is sent anew");

        clock.advance(Duration::from_micros(1));
        assert!(browser.begin(&sessions).load().unwrap().is_new(), "form {form}: its cookie");
        assert!(!used.begin(&sessions).load().unwrap().is_new(), "form {form}: the new cookie");
        assert_eq!(verify(&sessions, &used, &form_by_a), Err(ErrorKind::Rejected), "form {form}");
    }
}
