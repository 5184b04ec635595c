//! Beaker's `test_increment.py`: a program whose options are a directory and a secret, with `auto` and
//! without.

use beaker_session::compat::BeakerOptions;
use beaker_session::{Builder, Session, SessionId, Sessions};

use super::Site;
use crate::browser::Browser;

fn site_of(site: &Site, auto: &str) -> Sessions {
    let directory = site.dir.path().display().to_string();
    let options = BeakerOptions::from_pairs([
        ("session.data_dir", directory.as_str()),
        ("session.secret", "blah"),
        ("session.data_serializer", "json"),
        ("session.auto", auto),
    ]);
    let builder = Sessions::builder().as_beaker_options(&options.unwrap());
    builder.and_then(Builder::build).unwrap()
}

fn increment(sessions: &Sessions, browser: &mut Browser) -> i64 {
    browser.visit(sessions, |session| session.add("value", 1)).unwrap()
}

/// Beaker's page `/nosave`: what was counted is not kept.
fn not_saved(sessions: &Sessions, browser: &mut Browser) -> Option<i64> {
    let nosave = |session: &Session| {
        session.add("value", 1)?;
        session.revert()?;
        session.get("value")
    };
    browser.visit(sessions, nosave).unwrap()
}

#[test]
fn test_no_save() {
    let site = Site::new();
    let (sessions, mut browser) = (site_of(&site, "false"), Browser::new());
    let value = browser.visit(&sessions, |session| session.get::<i64>("value")).unwrap();
    assert_eq!((value, browser.received.len()), (None, 0));
}

fn counts(auto: &str) {
    let site = Site::new();
    let (sessions, mut browser) = (site_of(&site, auto), Browser::new());
    let counts = [1, 2, 3].map(|_| increment(&sessions, &mut browser));
    assert_eq!(counts, [1, 2, 3]);
}

#[test]
fn test_increment() {
    counts("false");
}

/// Beaker saves without being told only with `auto`; here a change is always saved.
#[test]
fn test_increment_auto() {
    counts("true");
}

fn two_browsers(auto: &str) {
    let site = Site::new();
    let sessions = site_of(&site, auto);
    let [mut one, mut other] = [Browser::new(), Browser::new()];
    assert_eq!(increment(&sessions, &mut one), 1);
    assert_eq!([1, 2, 3, 4].map(|_| increment(&sessions, &mut other)), [1, 2, 3, 4]);
    assert_eq!(increment(&sessions, &mut one), 2);
}

#[test]
fn test_different_sessions() {
    two_browsers("false");
}

#[test]
fn test_different_sessions_auto() {
    two_browsers("true");
}

#[test]
fn test_nosave() {
    let site = Site::new();
    let (sessions, mut browser) = (site_of(&site, "false"), Browser::new());
    for _ in 0..2 {
        assert_eq!(not_saved(&sessions, &mut browser), None);
        assert!(browser.is_empty());
    }
    assert_eq!([1, 2].map(|_| increment(&sessions, &mut browser)), [1, 2]);
}

#[test]
fn test_revert() {
    let site = Site::new();
    let (sessions, mut browser) = (site_of(&site, "true"), Browser::new());
    assert_eq!([1, 2].map(|_| not_saved(&sessions, &mut browser)), [None, None]);
    assert_eq!(increment(&sessions, &mut browser), 1);
    assert_eq!(increment(&sessions, &mut browser), 2);
    assert_eq!(browser.received.len(), 0);
    assert_eq!(not_saved(&sessions, &mut browser), Some(2));
    assert_eq!(browser.received.len(), 0);
    assert_eq!(browser.sees(&sessions, "value"), Some(2.into()));
}

#[test]
fn test_load_session_by_id() {
    let site = Site::new();
    let (sessions, mut browser) = (site_of(&site, "false"), Browser::new());
    assert_eq!([1, 2, 3].map(|_| increment(&sessions, &mut browser)), [1, 2, 3]);
    let id = browser.begin(&sessions).load().unwrap().id().unwrap();

    let mut other = Browser::new();
    assert_eq!(increment(&sessions, &mut other), 1);
    assert!(sessions.get_by_id(&SessionId::from_bytes([9; 16])).unwrap().is_none());

    let session = sessions.get_by_id(&id).unwrap().unwrap();
    assert_eq!(session.add("value", 1).unwrap(), 4);
    session.save().unwrap();
    assert_eq!(browser.sees(&sessions, "value"), Some(4.into()));
    assert_eq!(increment(&sessions, &mut other), 2);
}
