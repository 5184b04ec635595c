//! Beaker's `test_cookie_domain_only.py`: a session's own domain is in each of its cookies.

use beaker_session::compat::{BeakerOptions, PayloadCodec};
use beaker_session::{Builder, Sessions};

use super::Site;
use crate::browser::Browser;

/// Of a session that is all in its cookie, which is sent with each change.
#[test]
fn test_increment() {
    let site = Site::new();
    let sessions = site.in_cookies(PayloadCodec::new(), Site::cookie());
    let mut browser = Browser::new();
    for value in 1..=3 {
        let counted = browser.visit(&sessions, |session| {
            if value == 1 {
                session.set_cookie_domain(Some(".hoop.com"))?;
            }
            session.add("value", 1)
        });
        assert_eq!(counted.unwrap(), value);
        let [sent] = &browser.received[..] else { panic!("{:?}", browser.received) };
        assert!(sent.contains("; Domain=.hoop.com;"), "{sent}");
    }
}

/// Of one that is kept elsewhere, for a browser that sends an id of before.
#[test]
fn test_cookie_attributes_are_preserved() {
    let options = BeakerOptions::from_pairs([
        ("session.type", "memory"),
        ("session.httponly", "true"),
        ("session.secure", "true"),
        ("session.cookie_path", "/app"),
        ("session.cookie_domain", "localhost"),
        ("session.data_serializer", "json"),
    ]);
    let builder = Sessions::builder().as_beaker_options(&options.unwrap());
    let sessions = builder.and_then(Builder::build).unwrap();
    let mut browser = Browser::with("beaker.session.id=oldsessid");
    browser
        .visit(&sessions, |session| {
            session.set_cookie_domain(Some(".hoop.com"))?;
            session.add("value", 1)
        })
        .unwrap();
    let [sent] = &browser.received[..] else { panic!("{:?}", browser.received) };
    let (pair, attributes) = sent.split_once("; ").unwrap();
    assert_eq!(attributes, "Domain=.hoop.com; HttpOnly; Path=/app; SameSite=Lax; Secure");
    assert!(pair.starts_with("beaker.session.id="), "{pair}");
    assert!(!pair.contains("oldsessid"), "and the id is one of ours, which in Beaker it is not");
}
