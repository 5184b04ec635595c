//! Beaker's tests of sessions that are all in the cookie.

use std::time::Duration;

use beaker_session::Sessions;
use beaker_session::compat::{BeakerCookie, PayloadCodec};

use super::{MINUTE, Site, logged_in};
use crate::browser::Browser;

fn encrypted() -> PayloadCodec {
    Site::encrypted("666a19cf7f61c64c")
}

fn visit(sessions: &Sessions, browser: &mut Browser) -> i64 {
    browser.visit(sessions, |session| session.add("value", 1)).unwrap()
}

fn counts_to_three(codec: PayloadCodec) {
    let site = Site::new();
    let sessions = site.in_cookies(codec, Site::cookie());
    let mut browser = Browser::new();
    assert_eq!([1, 2, 3].map(|_| visit(&sessions, &mut browser)), [1, 2, 3]);
}

#[test]
fn test_cookie_only_increment() {
    counts_to_three(PayloadCodec::new());
}

#[test]
fn test_increment_with_encryption() {
    counts_to_three(encrypted());
}

fn two_browsers(codec: PayloadCodec) {
    let site = Site::new();
    let sessions = site.in_cookies(codec, Site::cookie());
    let (mut one, mut other) = (Browser::new(), Browser::new());
    assert_eq!(visit(&sessions, &mut one), 1);
    assert_eq!([1, 2, 3, 4].map(|_| visit(&sessions, &mut other)), [1, 2, 3, 4]);
    assert_eq!(visit(&sessions, &mut one), 2);
}

#[test]
fn test_different_sessions() {
    two_browsers(PayloadCodec::new());
}

#[test]
fn test_different_sessions_with_encryption() {
    two_browsers(encrypted());
}

#[test]
fn test_nosave() {
    let site = Site::new();
    let sessions = site.in_cookies(PayloadCodec::new(), Site::cookie());
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.get::<i64>("value")).unwrap();
    assert!(browser.is_empty());
    browser
        .visit(&sessions, |session| {
            session.add("value", 1)?;
            session.revert()
        })
        .unwrap();
    assert!(browser.is_empty());
}

#[test]
fn test_cookie_id() {
    let site = Site::new();
    let sessions = site.in_cookies(PayloadCodec::new(), Site::cookie());
    let mut browser = logged_in(&sessions);
    let id = |browser: &Browser| browser.begin(&sessions).load().unwrap().id().unwrap();
    let first = id(&browser);
    browser.visit(&sessions, |session| session.add("value", 1)).unwrap();
    assert_eq!(id(&browser), first);
}

#[test]
fn test_nosave_with_encryption() {
    let site = Site::new();
    let sessions = site.in_cookies(encrypted(), Site::cookie());
    let mut browser = Browser::new();
    browser
        .visit(&sessions, |session| {
            session.add("value", 1)?;
            session.revert()
        })
        .unwrap();
    assert!(browser.is_empty());
    assert_eq!(visit(&sessions, &mut browser), 1);
    assert_eq!(visit(&sessions, &mut browser), 2);
}

/// Beaker: the cookie that replaces the old session is no removal.
#[test]
fn test_invalidate_with_save_does_not_delete_session() {
    let site = Site::new();
    let sessions = site.in_cookies(encrypted(), Site::cookie());
    let mut browser = logged_in(&sessions);
    browser
        .visit(&sessions, |session| {
            session.invalidate()?;
            session.insert("a", 1)
        })
        .unwrap();
    assert_eq!(browser.received.len(), 1);
    assert!(!browser.received[0].contains("expires="), "{:?}", browser.received);
    assert_eq!(browser.sees(&sessions, "a"), Some(1.into()));
    assert_eq!(browser.sees(&sessions, "Suomi"), None);
}

/// SES-53.
#[test]
fn test_changing_encrypt_key_with_timeout() {
    let site = Site::new();
    let same = || site.in_cookies(encrypted(), Site::cookie());
    let mut browser = Browser::new();
    assert_eq!(visit(&same(), &mut browser), 1);
    assert_eq!(visit(&same(), &mut browser), 2);
    let other = site.in_cookies(Site::encrypted("hello-world"), Site::cookie());
    assert_eq!(visit(&other, &mut browser), 1, "a new session, and no crash");
}

#[test]
fn test_cookie_properly_expires() {
    let site = Site::new();
    let sessions = site.in_cookies(encrypted(), Site::cookie());
    let mut browser = Browser::new();
    assert_eq!([1, 2].map(|_| visit(&sessions, &mut browser)), [1, 2]);
    site.clock.advance(MINUTE - Duration::from_secs(1));
    assert_eq!(visit(&sessions, &mut browser), 3);
    site.clock.advance(MINUTE);
    assert_eq!(visit(&sessions, &mut browser), 1);
}

fn at_path(site: &Site, path: &str) -> Sessions {
    site.in_cookies(PayloadCodec::new(), Site::cookie().path(path).unwrap())
}

#[test]
fn test_cookie_path_properly_set_after_init() {
    let site = Site::new();
    let browser = logged_in(&at_path(&site, "/app"));
    assert!(browser.received[0].contains("; Path=/app;"), "{:?}", browser.received);
}

#[test]
fn test_cookie_path_properly_set_after_load() {
    let site = Site::new();
    let sessions = at_path(&site, "/app");
    let mut browser = logged_in(&sessions);
    browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
    assert!(browser.received[0].contains("; Path=/app;"), "{:?}", browser.received);
}

#[test]
fn test_cookie_path_properly_set_after_delete() {
    let site = Site::new();
    let sessions = at_path(&site, "/app");
    let mut browser = logged_in(&sessions);
    browser.visit(&sessions, |session| session.delete()).unwrap();
    let removal = &browser.received[0];
    assert!(removal.contains("; Path=/app;") && removal.contains("expires="), "{removal}");
}

#[test]
fn test_cookie_attributes_are_preserved() {
    let site = Site::new();
    let cookie: BeakerCookie = Site::cookie().secure().http_only();
    let cookie = cookie.domain(".example.org").and_then(|cookie| cookie.path("/app")).unwrap();
    let sessions = site.in_cookies(encrypted(), cookie);
    let mut browser = logged_in(&sessions);
    let attributes =
        |browser: &Browser| browser.received[0].split_once("; ").expect("attributes").1.to_owned();
    let first = attributes(&browser);
    assert_eq!(first, "Domain=.example.org; HttpOnly; Path=/app; SameSite=Lax; Secure");
    browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
    assert_eq!(attributes(&browser), first);
}
