//! The text of `Set-Cookie`.

use std::time::Duration;

use beaker_namespace::Timestamp;
use beaker_session::compat::{BeakerCookieExpires, BeakerSetCookie, CookieSigner, cookie_date};
use beaker_session::{ErrorKind, SameSite};
use serde_json::Value;

use super::{Tally, moment, text, vectors};

/// The moment that a date as in `2007-06-03T15:16:53` names, by counting days.
fn from_iso(text: &str) -> Timestamp {
    let numbers: Vec<i64> =
        text.split(['-', 'T', ':']).map(|part| part.parse().expect("a number")).collect();
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut days: i64 = (1970..numbers[0]).map(|year| 365 + i64::from(is_leap(year))).sum();
    let months = [31, 28 + i64::from(is_leap(numbers[0])), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    days += months[..numbers[1] as usize - 1].iter().sum::<i64>() + numbers[2] - 1;
    let seconds = ((days * 24 + numbers[3]) * 60 + numbers[4]) * 60 + numbers[5];
    Timestamp::from_micros(seconds * 1_000_000)
}

fn expires(typed: &Value) -> BeakerCookieExpires {
    match typed["py"].as_str() {
        None => BeakerCookieExpires::WithBrowser,
        Some("bool") if typed["v"] == true => BeakerCookieExpires::WithBrowser,
        Some("bool") => BeakerCookieExpires::Never,
        Some("timedelta") => BeakerCookieExpires::After(Duration::from_secs_f64(
            typed["seconds"].as_f64().expect("seconds"),
        )),
        Some("datetime") => BeakerCookieExpires::At(from_iso(text(typed, "iso"))),
        other => panic!("unknown type {other:?}"),
    }
}

fn same_site(options: &Value) -> Option<SameSite> {
    match options.get("samesite") {
        None => Some(SameSite::Lax),
        Some(Value::Null) => None,
        Some(name) if name == "Lax" => Some(SameSite::Lax),
        Some(name) if name == "Strict" => Some(SameSite::Strict),
        Some(name) if name == "None" => Some(SameSite::None),
        Some(other) => panic!("unknown value {other}"),
    }
}

/// The cookie that Beaker makes: which domain and path it has depends on what was done.
fn cookie(vector: &Value) -> BeakerSetCookie {
    let (input, options) = (&vector["input"], &vector["input"]["options"]);
    let id = text(&vector["expect"]["ids"], "id_after");
    let signed = options["secret"]
        .as_str()
        .map(|secret| CookieSigner::new(secret).expect("a secret").sign(id));
    let action = text(input, "action");
    // What is stored in a session goes before what is configured, and these were stored by another
    // configuration; `invalidate` forgets what was stored. D64.
    let stored = input["existing_session_id"].is_string() && action != "invalidate";
    let configured = |name| options[name].as_str().filter(|_| !stored);
    let domain = input["new_domain"].as_str().or(configured("cookie_domain")).unwrap_or_default();
    let path = input["new_path"].as_str().or(configured("cookie_path")).unwrap_or("/");
    let now = moment(&input["now"]);
    let mut cookie = BeakerSetCookie::new(text(options, "key"), signed.as_deref().unwrap_or(id))
        .and_then(|cookie| cookie.domain(domain)?.path(path))
        .expect("a cookie")
        .same_site(same_site(options))
        .expires(expires(&options["cookie_expires"]).moment(now));
    if options["httponly"] == true {
        cookie = cookie.http_only();
    }
    if options["secure"] == true {
        cookie = cookie.secure();
    }
    if action == "delete" { cookie.removed(now) } else { cookie }
}

// SES-2, SES-6, SES-7, SES-8, SES-9, SES-11, SES-38, SES-41.
#[test]
fn every_cookie_and_every_date_is_written_as_beaker_writes_it() {
    let mut tally = Tally::default();
    for vector in vectors!("set_cookie") {
        let expect = &vector["expect"];
        if text(&vector, "kind") == "cookie_date" {
            let date = cookie_date(from_iso(text(&vector["input"], "utc")));
            assert_eq!(date, text(expect, "text"), "{}", vector["id"]);
            tally.count("dates");
        } else if let Some(cookie_out) = expect["cookie_out"].as_str() {
            // The space is of Python's `output(header='')`.
            assert_eq!(format!(" {}", cookie(&vector)), cookie_out, "{}", vector["id"]);
            tally.count("cookies");
        } else {
            assert_eq!(expect["set_cookie_flag"], true, "{}", vector["id"]);
            tally.count("without a cookie");
        }
    }
    tally.assert_is(&[("cookies", 33), ("dates", 12), ("without a cookie", 7)]);
}

#[test]
fn moments_that_python_does_not_have_are_the_first_or_the_last() {
    let at = |micros| cookie_date(Timestamp::from_micros(micros));
    assert_eq!(at(i64::MIN), "Mon, 01-Jan-0001 00:00:00 GMT");
    assert_eq!(at(-1), "Wed, 31-Dec-1969 23:59:59 GMT");
    assert_eq!(at(951_782_400_000_000), "Tue, 29-Feb-2000 00:00:00 GMT");
    assert_eq!(cookie_date(Timestamp::NEVER), "Fri, 31-Dec-9999 23:59:59 GMT");
}

#[test]
fn removing_a_cookie_repeats_its_attributes() {
    let cookie = BeakerSetCookie::new("sid", "x").unwrap();
    let cookie = cookie.domain(".example.org").unwrap().path("/app").unwrap().secure().http_only();
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    assert_eq!(
        cookie
            .clone()
            .removed(now)
            .to_string()
            .replace("; expires=Mon, 14-Nov-2022 22:13:20 GMT", ""),
        cookie.to_string()
    );
}

#[test]
fn nothing_can_be_smuggled_into_a_cookie() {
    let cookie = || BeakerSetCookie::new("sid", "x").unwrap();
    for bad in ["a;b", "a\r\nb", "a\nb", "a\0b", "é", "a\x7fb"] {
        let refused = [
            BeakerSetCookie::new(bad, "x"),
            BeakerSetCookie::new("sid", bad),
            cookie().domain(bad),
            cookie().path(bad),
        ];
        for made in refused {
            let error = made.expect_err("it would be another cookie");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!error.to_string().contains(bad), "{error}");
        }
    }
    for bad in ["", "a b", "a=b", "a,b", "a\"b"] {
        assert!(BeakerSetCookie::new(bad, "x").is_err(), "{bad}");
    }
    for bad in [" ", "a b", "a,b", "a\"b", "a\\b"] {
        assert!(BeakerSetCookie::new("sid", bad).is_err(), "{bad}");
    }
    // Browsers cut these spaces off.
    for bad in [" /a", "/a ", " "] {
        assert!(cookie().path(bad).is_err(), "{bad:?}");
    }
    // The control.
    assert_eq!(cookie().path("/a b").unwrap().to_string(), "sid=x; Path=/a b; SameSite=Lax");
}

#[test]
fn debug_shows_no_value() {
    let shown = format!("{:?}", BeakerSetCookie::new("sid", "hunter2").unwrap());
    assert_eq!(shown, r#"BeakerSetCookie { name: "sid", .. }"#);
}
