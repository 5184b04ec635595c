//! Beaker's `test_cookie_expires.py`: what `cookie_expires` may be, and its dates.

use std::time::Duration;

use beaker_container::config::OptionValue;
use beaker_namespace::Timestamp;
use beaker_session::Sessions;
use beaker_session::compat::{BeakerCookieExpires, BeakerOptions, PayloadCodec, cookie_date};

use super::{START, Site};
use crate::browser::Browser;

/// The date in the cookie of a new session.
fn date(sessions: &Sessions) -> Option<String> {
    let mut browser = Browser::new();
    browser.visit(sessions, |session| session.insert("a", 1)).unwrap();
    expires_in(&browser.received[0])
}

fn expires_in(set_cookie: &str) -> Option<String> {
    let (_, after) = set_cookie.split_once("expires=")?;
    after.split(';').next().map(str::to_owned)
}

/// From options; a number that is too small is refused.
#[test]
fn test_cookie_expires() {
    let site = Site::new();
    let made = |expires: OptionValue| {
        let serializer: OptionValue = "json".into();
        let options =
            [("session.cookie_expires", expires), ("session.data_serializer", serializer)];
        let options = BeakerOptions::from_pairs(options)?;
        let builder = Sessions::builder().as_beaker_options(&options)?;
        builder.with_clock(site.clock.clone()).build()
    };
    const NEVER: &str = "Tue, 19-Jan-2038 03:14:07 GMT";
    const FIVE_MINUTES: &str = "Tue, 14-Nov-2023 22:18:20 GMT";
    for (expires, expected) in [
        // Beaker's table; its span of time and its date are in the test below.
        ("300".into(), Some(FIVE_MINUTES)),
        (OptionValue::Int(300), Some(FIVE_MINUTES)),
        (OptionValue::Bool(true), None),
        ("True".into(), None),
        ("true".into(), None),
        ("t".into(), None),
        (OptionValue::Bool(false), Some(NEVER)),
        ("False".into(), Some(NEVER)),
        ("false".into(), Some(NEVER)),
        ("f".into(), Some(NEVER)),
        // What it takes besides.
        ("yes".into(), None),
        ("1".into(), None),
        ("off".into(), Some(NEVER)),
        ("0".into(), Some(NEVER)),
    ] {
        let sessions = made(expires.clone()).unwrap();
        assert_eq!(date(&sessions).as_deref(), expected, "{expires:?}");
    }
    for refused in [OptionValue::Int(0), OptionValue::Int(-1), "soon".into(), "-6".into()] {
        assert!(made(refused.clone()).is_err(), "{refused:?}");
    }
}

/// In code: a `timedelta` and a `datetime`. (Beaker writes its name with a slip.)
#[test]
fn test_cookie_exprires_2() {
    let site = Site::new();
    let at = |expires| date(&site.in_cookies(PayloadCodec::new(), Site::cookie().expires(expires)));
    let day = Duration::from_secs(86_400);
    let moment = START.saturating_add(day);
    for expires in [BeakerCookieExpires::After(day), BeakerCookieExpires::At(moment)] {
        assert_eq!(at(expires).as_deref(), Some("Wed, 15-Nov-2023 22:13:20 GMT"), "{expires:?}");
    }
}

/// The same of sessions that are elsewhere: set when the session is made, it does not move with its use.
#[test]
fn test_set_cookie_expires() {
    let site = Site::new();
    let at = |expires| {
        let cookie = Site::cookie().expires(expires);
        let sessions = site.with_cookie(cookie, PayloadCodec::new(), |builder| builder);
        let mut browser = Browser::new();
        let sent = [1, 2].map(|value| {
            browser.visit(&sessions, |session| session.insert("a", value)).unwrap();
            browser.received.clone()
        });
        assert_eq!(sent[1].len(), 0, "only the first");
        expires_in(&sent[0][0])
    };
    assert_eq!(at(BeakerCookieExpires::WithBrowser), None);
    assert_eq!(at(BeakerCookieExpires::Never).as_deref(), Some("Tue, 19-Jan-2038 03:14:07 GMT"));
    let after = BeakerCookieExpires::After(Duration::from_secs(300));
    assert_eq!(at(after).as_deref(), Some("Tue, 14-Nov-2023 22:18:20 GMT"));
}

/// Of a session that is all in its cookie, at each save, also after it came back.
#[test]
fn test_cookiesession_expires_values() {
    let site = Site::new();
    for (expires, dates) in [
        (BeakerCookieExpires::WithBrowser, [None; 3]),
        (BeakerCookieExpires::Never, [Some("Tue, 19-Jan-2038 03:14:07 GMT"); 3]),
        (
            BeakerCookieExpires::After(Duration::from_secs(10)),
            [
                Some("Tue, 14-Nov-2023 22:13:30 GMT"),
                Some("Tue, 14-Nov-2023 22:13:35 GMT"),
                Some("Tue, 14-Nov-2023 22:13:40 GMT"),
            ],
        ),
    ] {
        site.clock.set(START);
        let sessions = site.in_cookies(PayloadCodec::new(), Site::cookie().expires(expires));
        let mut browser = Browser::new();
        for (saved, date) in dates.into_iter().enumerate() {
            let value = browser.visit(&sessions, |session| session.add("value", 1)).unwrap();
            assert_eq!(value, saved as i64 + 1, "it came back");
            assert_eq!(expires_in(&browser.received[0]).as_deref(), date, "{expires:?}");
            site.clock.advance(Duration::from_secs(5));
        }
    }
}

/// Beaker: with Italian times the name of the day is English all the same.
#[test]
fn test_cookie_expires_different_locale() {
    let days = (0..7).map(|day| cookie_date(Timestamp::from_micros(day * 86_400_000_000)));
    let names: Vec<String> = days.map(|date| date[..3].to_owned()).collect();
    assert_eq!(names, ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]);
}
