//! Beaker's `test_cookie_only.py`: sessions that are all in the cookie.

use std::time::Duration;

use beaker_namespace::base64::{STANDARD, b64encode};
use beaker_session::compat::{
    BeakerCookie, BeakerId, BeakerOptions, CookieSigner, PayloadCodec, Serializer, Signed,
};
use beaker_session::{ErrorKind, Sessions};

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
fn test_increment() {
    counts_to_three(PayloadCodec::new());
}

#[test]
fn test_increment_with_encryption() {
    counts_to_three(encrypted());
}

/// The cookie that the browser sends beside it has a name that is none.
fn counts_beside_an_invalid_cookie(sessions: &Sessions) {
    let mut browser = Browser::new();
    assert_eq!(visit(sessions, &mut browser), 1);
    let with_another = format!("cb_/zabbix/actionconf.php_parts=HI; {}", browser.header());
    let mut browser = Browser::with(&with_another);
    assert_eq!([2, 3].map(|_| visit(sessions, &mut browser)), [2, 3]);
}

/// Beaker: "not actually a cookie only session".
#[test]
fn test_invalid_cookie() {
    counts_beside_an_invalid_cookie(&Site::new().sessions());
}

#[test]
fn test_invalid_cookie_cookietype() {
    let site = Site::new();
    counts_beside_an_invalid_cookie(&site.in_cookies(PayloadCodec::new(), Site::cookie()));
}

/// The payload of the session's cookie, without its signature.
fn payload(browser: &Browser) -> String {
    let header = browser.header();
    let value = header.strip_prefix("beaker.session.id=").expect("the cookie");
    let Signed::Value(payload) = CookieSigner::new("hoobermas").unwrap().verify(value) else {
        panic!("it is signed")
    };
    payload.to_owned()
}

#[test]
fn test_json_serializer() {
    let site = Site::new();
    let sessions = site.in_cookies(PayloadCodec::new(), Site::cookie());
    let mut browser = Browser::new();
    assert_eq!([1, 2].map(|_| visit(&sessions, &mut browser)), [1, 2]);
    let data = PayloadCodec::new().decode(&payload(&browser)).unwrap();
    assert_eq!(data.get("value"), Some(&2.into()));
    assert_eq!(visit(&sessions, &mut browser), 3);
}

/// Pickles are read, if that is asked for, and never written. (Beaker takes a serializer of the program's
/// own too; there is none here.)
#[test]
fn test_pickle_serializer() {
    let site = Site::new();
    let codec = PayloadCodec::new().serializer(Serializer::PickleReadOnly);
    let sessions = site.in_cookies(codec, Site::cookie());
    // {'value': 2, '_accessed_time': 1700000000}
    let pickle = b"\x80\x02}(U\x05valueK\x02U\x0e_accessed_timeJ\x00\xf1\x53\x65u.";
    let signed = CookieSigner::new("hoobermas").unwrap().sign(&b64encode(pickle, &STANDARD));
    let mut browser = Browser::with(&format!("beaker.session.id={signed}"));
    assert_eq!(browser.sees(&sessions, "value"), Some(2.into()));
    let error = browser.visit(&sessions, |session| session.add("value", 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// A day, from options; see [`super::cookie_expires`] for what else there may be.
#[test]
fn test_expires() {
    let options = BeakerOptions::from_pairs([
        ("session.type", "cookie"),
        ("session.validate_key", "hoobermas"),
        ("session.data_serializer", "json"),
        ("session.cookie_expires", "86400"),
    ]);
    let builder = Sessions::builder().as_beaker_options(&options.unwrap()).unwrap();
    let sessions = builder.with_clock(Site::new().clock).build().unwrap();
    let mut browser = Browser::new();
    assert_eq!(visit(&sessions, &mut browser), 1);
    let sent = &browser.received[0];
    assert!(sent.contains("; expires=Wed, 15-Nov-2023 22:13:20 GMT;"), "{sent}");
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
    let sessions = site.in_cookies(encrypted(), Site::cookie());
    let mut browser = logged_in(&sessions);
    let id = |browser: &Browser| browser.begin(&sessions).load().unwrap().id().unwrap();
    let first = id(&browser);
    browser.visit(&sessions, |session| session.add("value", 1)).unwrap();
    assert_eq!(id(&browser), first);
    let data = encrypted().decode(&payload(&browser)).unwrap();
    assert_eq!(data.id(), Some(BeakerId::from_bytes(*first.as_bytes()).expose_text()));
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
