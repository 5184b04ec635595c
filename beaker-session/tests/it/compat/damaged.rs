//! Damaged records of Python's, and damaged marks that their sessions have ended.

use std::sync::Arc;

use beaker_backends::proxy::{Encrypted, KeyRing};
use beaker_namespace::Clock;
use beaker_session::compat::BeakerId;
use beaker_session::{Builder, CookieConfig, CorruptPolicy, Data, Rescued, Sessions};

use super::bridge::{ID, Reading, cookie, python_session};
use crate::site::flip_all;

/// Python can read what we cannot, or mends it: who has logged out meanwhile stays out.
#[test]
fn who_logs_out_while_pythons_record_is_damaged_stays_out_when_it_is_mended() {
    let rescue = CorruptPolicy::custom(|_key, _error| panic!("it is asked"));
    for policy in [CorruptPolicy::Fresh, CorruptPolicy::Fail, rescue] {
        let site = Reading::with(cookie(), |builder| builder.with_corrupt(policy));
        let (header, id) = (Reading::header(), BeakerId::from_bytes([7; 16]));
        site.python.files().write(&id, "not a payload").unwrap();
        let request = site.sessions.begin([header.as_bytes()]);
        request.delete().unwrap();
        let outgoing = request.commit().unwrap();
        assert!(outgoing.set_cookies().any(|cookie| cookie.starts_with("sid=;")), "{outgoing:?}");
        site.python.put(ID, &python_session());
        assert_eq!(site.user(&header), None);
    }
}

#[test]
fn who_logged_out_stays_out_also_when_the_mark_of_that_is_damaged() {
    let site = Reading::new(cookie());
    let keys = KeyRing::new(1, &[7; 32]).unwrap();
    let sessions = Sessions::builder()
        .with_namespace(Arc::new(Encrypted::new(Arc::clone(&site.memory), keys)))
        .with_cookie(CookieConfig::named("ours"))
        .with_clock(Arc::clone(&site.python.clock) as Arc<dyn Clock>)
        .reading_beaker(cookie(), site.python.store())
        .and_then(Builder::build)
        .unwrap();
    let (site, header) = (Reading { sessions, ..site }, Reading::header());
    assert_eq!(site.user(&header).as_deref(), Some("ada"), "control");
    site.request(&header, |session| session.delete().expect("it ends"));
    flip_all(&site.memory);
    for _look in 1..=2 {
        assert_eq!(site.user(&header), None);
        assert_eq!(site.sessions.counts().corrupt, 1, "a good one was made in its place");
    }
}

#[test]
fn what_was_rescued_of_pythons_is_not_rescued_again_after_a_logout() {
    let rescue = || Rescued::Values(Data::from([("user".to_owned(), "copy".into())]));
    let policy = CorruptPolicy::custom(move |_key, _error| rescue());
    let site = Reading::with(cookie(), |builder| builder.with_corrupt(policy));
    let header = Reading::header();
    site.python.files().write(&BeakerId::from_bytes([7; 16]), "not a payload").unwrap();
    let sent = site.request(&header, |session| session.insert("theme", "dark").expect("it is put"));
    let ours = sent[0].split(';').next().unwrap();
    assert_eq!(site.user(ours).as_deref(), Some("copy"));
    // Python's cookie is not in this request.
    site.request(ours, |session| session.delete().expect("it ends"));
    assert_eq!(site.user(&header), None);
}

/// Another tab has renewed our session a moment ago: what comes in place of Python's is none of its business.
#[test]
fn what_is_rescued_of_pythons_leaves_our_renewed_session_alone() {
    let rescue = || Rescued::Values(Data::from([("user".to_owned(), "copy".into())]));
    let policy = CorruptPolicy::custom(move |_key, _error| rescue());
    let site = Reading::with(cookie(), |builder| builder.with_corrupt(policy));
    let pair = |sent: Vec<String>| sent[0].split(';').next().unwrap().to_owned();
    let old = pair(site.request("", |session| session.insert("user", "grace").expect("it is put")));
    let new = pair(site.request(&old, |session| session.renew().expect("it is renewed")));
    site.python.files().write(&BeakerId::from_bytes([7; 16]), "not a payload").unwrap();
    let both = format!("{old}; {}", Reading::header());
    let rescued = pair(site.request(&both, |session| session.insert("more", 1).expect("put")));
    assert_eq!(site.user(&rescued).as_deref(), Some("copy"), "control");
    assert_eq!(site.user(&new).as_deref(), Some("grace"));
    // A logout is meant for all that the cookies name.
    site.request(&both, |session| session.delete().expect("it ends"));
    assert_eq!(site.user(&new), None);
}
