//! Beaker's table of `cookie_expires`, and its dates.

use std::time::Duration;

use beaker_container::config::OptionValue;
use beaker_namespace::Timestamp;
use beaker_session::compat::{BeakerCookieExpires, BeakerOptions, PayloadCodec, cookie_date};
use beaker_session::{Builder, Sessions};

use super::{START, Site, logged_in};
use crate::browser::Browser;

/// The date in the cookie of a new session.
fn date(sessions: &Sessions) -> Option<String> {
    let mut browser = Browser::new();
    browser.visit(sessions, |session| session.insert("a", 1)).unwrap();
    let (_, after) = browser.received[0].split_once("expires=")?;
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
        (OptionValue::Bool(true), None),
        (OptionValue::Bool(false), Some(NEVER)),
        ("true".into(), None),
        ("yes".into(), None),
        ("1".into(), None),
        ("false".into(), Some(NEVER)),
        ("off".into(), Some(NEVER)),
        ("0".into(), Some(NEVER)),
        ("300".into(), Some(FIVE_MINUTES)),
        (OptionValue::Int(300), Some(FIVE_MINUTES)),
    ] {
        let sessions = made(expires.clone()).unwrap();
        assert_eq!(date(&sessions).as_deref(), expected, "{expires:?}");
    }
    for refused in [OptionValue::Int(0), OptionValue::Int(-1), "soon".into(), "-6".into()] {
        assert!(made(refused.clone()).is_err(), "{refused:?}");
    }
}

/// In code: a `timedelta` and a `datetime`.
#[test]
fn test_cookie_expires_2() {
    let site = Site::new();
    let at = |expires| date(&site.in_cookies(PayloadCodec::new(), Site::cookie().expires(expires)));
    let day = Duration::from_secs(86_400);
    let moment = START.saturating_add(day);
    for expires in [BeakerCookieExpires::After(day), BeakerCookieExpires::At(moment)] {
        assert_eq!(at(expires).as_deref(), Some("Wed, 15-Nov-2023 22:13:20 GMT"), "{expires:?}");
    }
    assert_eq!(at(BeakerCookieExpires::WithBrowser), None);
}

/// Beaker: with Italian times the name of the day is English all the same.
#[test]
fn test_cookie_expires_different_locale() {
    let days = (0..7).map(|day| cookie_date(Timestamp::from_micros(day * 86_400_000_000)));
    let names: Vec<String> = days.map(|date| date[..3].to_owned()).collect();
    assert_eq!(names, ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]);
}

/// The end is set when the session is made, and does not move with its use.
#[test]
fn test_expires() {
    let site = Site::new();
    let after = BeakerCookieExpires::After(Duration::from_secs(300));
    let sessions = site.with(PayloadCodec::new(), |builder: Builder| builder);
    assert!(!logged_in(&sessions).received[0].contains("expires="));
    let sessions = site.in_cookies(PayloadCodec::new(), Site::cookie().expires(after));
    assert_eq!(date(&sessions).as_deref(), Some("Tue, 14-Nov-2023 22:18:20 GMT"));
}
