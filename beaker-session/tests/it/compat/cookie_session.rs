//! Sessions that are all in the cookie.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Clock, ManualClock, Timestamp};
use beaker_session::compat::{
    BeakerCookie, BeakerData, BeakerId, CookieSession, CookieSigner, CryptoType, MAX_PAYLOAD_CHARS,
    PayloadCodec,
};
use beaker_session::{AccessPolicy, Error, ErrorKind, Session, Sessions, SystemEntropy};
use serde_json::{Value, json};

use super::{Tally, codec, data, has_tag, moment, text, user_values, vectors};
use crate::browser::Browser;

fn sessions(options: &Value) -> CookieSession {
    let key = text(options, "validate_key");
    CookieSession::new(text(options, "key"), key, codec(options)).expect("the options are good")
}

fn load(vector: &Value) -> BeakerData {
    let input = &vector["input"];
    let found = sessions(&input["options"]).load(text(input, "cookie_header").as_bytes());
    found.unwrap_or_else(|error| panic!("{}: {error}", vector["id"])).expect("there is a cookie")
}

fn all() -> Vec<Value> {
    [
        vectors!("cookie_session_json"),
        vectors!("cookie_session_aesgcm"),
        vectors!("cookie_session_aesctr"),
    ]
    .concat()
}

// SES-12 to SES-19, SES-25, SES-45 to SES-53, WIRE-5.
#[test]
fn every_session_is_read_and_judged_as_beaker_does() {
    let mut tally = Tally::default();
    for vector in all() {
        let kind = text(&vector, "kind").to_owned();
        tally.count(&kind);
        match kind.as_str() {
            "save_and_load" => saved_and_loaded(&vector),
            "timeout" => timed_out(&vector),
            "size_limit" => limited(&vector),
            "unusual_json" => unusual(&vector),
            kind => panic!("unknown kind {kind}"),
        }
    }
    tally.assert_is(&[
        ("save_and_load", 90),
        ("size_limit", 10),
        ("timeout", 72),
        ("unusual_json", 18),
    ]);
}

fn saved_and_loaded(vector: &Value) {
    let (input, expect) = (&vector["input"], &vector["expect"]);
    let mut found = load(vector);
    assert_eq!(found, data(&expect["stored"]), "{}", vector["id"]);
    assert_eq!(found.id(), expect["id"].as_str());
    // What is put into the cookie at once, since every use of the session re-sends it.
    found.touch(moment(&input["loaded_at"]));
    assert_eq!(found, data(&expect["loaded"]), "{}", vector["id"]);
    assert_eq!(user_values(&found), expect["user_data"]);
    // The cookie that Beaker sent is the one that the browser sends.
    let set_cookie = text(expect, "set_cookie").trim_start();
    assert!(set_cookie.starts_with(&format!("{};", text(input, "cookie_header"))));
}

// SES-31, SES-48: strictly longer than the time-out.
fn timed_out(vector: &Value) {
    let input = &vector["input"];
    let found = load(vector);
    let timeout = Duration::from_secs_f64(input["timeout"].as_f64().expect("seconds"));
    let expired = found.is_expired(moment(&input["loaded_at"]), Some(timeout));
    assert_eq!(vector["expect"]["expired"], expired, "{}", vector["id"]);
    if !expired {
        assert_eq!(user_values(&found), vector["expect"]["user_data"]);
    }
    assert!(!found.is_expired(moment(&input["loaded_at"]), None));
}

// SES-20, D70: what Beaker refuses is refused, and also what no browser would keep.
fn limited(vector: &Value) {
    let (options, expect) = (&vector["input"]["options"], &vector["expect"]);
    let length = expect["payload_length"].as_u64().expect("a length") as usize;
    assert_eq!(expect["fits"], length <= MAX_PAYLOAD_CHARS, "{}", vector["id"]);
    if options["crypto_type"] == "pycrypto" {
        return;
    }
    // Another zlib packs a little more or less, so the rule is compared and not the length.
    // What Beaker puts in by itself.
    let path = options["cookie_path"].as_str().unwrap_or("/");
    let saved_at = moment(&vector["input"]["saved_at"]);
    let mut stored = BeakerData::fresh(saved_at, options["cookie_domain"].as_str(), path);
    stored.set_id(BeakerId::random(&SystemEntropy).expect("random bytes").expose_text());
    for (key, value) in data(&vector["input"]["data"]).into_map() {
        stored.insert(&key, value);
    }
    let ours = codec(options).encode(&stored).expect("it is within the limits of stores").len();
    assert!(ours.abs_diff(length) <= 32, "{ours} and {length}");
    let fits = ours + 40 + text(options, "key").len() <= 4096 && ours <= MAX_PAYLOAD_CHARS;
    let sealed = sessions(options).seal(&stored).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(sealed, if fits { Ok(()) } else { Err(ErrorKind::TooLarge) }, "{}", vector["id"]);
}

/// What Python's JSON has and ours has not is refused; the rest is as Python reads it.
fn unusual(vector: &Value) {
    let input = &vector["input"];
    let found = sessions(&input["options"]).load(text(input, "cookie_header").as_bytes());
    let shown = text(&vector["expect"], "python_repr_of_user_data");
    let is = |name: &str| has_tag(vector, &format!("unusual:{name}"));
    if is("int-keys") || is("tuple") {
        let values = user_values(&found.expect("it is readable").expect("it is there")).to_string();
        // Python shows the same in other quotes, and in the order in which it was put in.
        let shown = shown.replace('\'', "\"").replace(", ", ",").replace(": ", ":");
        let sorted = |text: &str| {
            let mut parts: Vec<&str> = text.trim_matches(['{', '}']).split(",\"").collect();
            parts.iter_mut().for_each(|part| *part = part.trim_start_matches('"'));
            parts.sort_unstable();
            parts.join(" ")
        };
        assert_eq!(sorted(&values), sorted(&shown), "{}", vector["id"]);
    } else {
        let expected = if is("lone-surrogate") { ErrorKind::Corrupt } else { ErrorKind::Codec };
        assert_eq!(found.expect_err("it is refused").kind(), expected, "{}", vector["id"]);
    }
}

/// A codec that can write where Beaker's cipher is one that is only read.
fn writable(options: &Value) -> Option<PayloadCodec> {
    (options["crypto_type"] != "pycrypto").then(|| codec(options))
}

#[test]
fn what_is_sealed_is_opened_again_and_is_in_beakers_form() {
    let mut sealed = 0;
    for vector in all() {
        let options = &vector["input"]["options"];
        if vector["kind"] != "save_and_load" || writable(options).is_none() {
            continue;
        }
        let sessions = sessions(options);
        let stored = data(&vector["expect"]["stored"]);
        // A few of the sessions are as long as Beaker allows, which is more than browsers keep.
        let value = match sessions.seal(&stored) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TooLarge);
                assert!(text(&vector["detail"], "payload").len() > 4000, "{}", vector["id"]);
                continue;
            }
            Ok(value) => value,
        };
        assert_eq!(sessions.open(&value).unwrap().unwrap(), stored, "{}", vector["id"]);
        // Packed as well as Python does, to the same length or nearly.
        let theirs = text(&vector["detail"], "payload").len() + 40;
        assert!(value.len().abs_diff(theirs) <= 32, "{} and {theirs}", value.len());
        sealed += 1;
    }
    assert!(sealed >= 58, "{sealed}");
}

#[test]
fn counter_mode_is_read_and_not_written() {
    let encryption = beaker_session::compat::Encryption::new("e", "v").unwrap();
    let codec = PayloadCodec::new().encryption(encryption.crypto_type(CryptoType::AesCtrReadOnly));
    let error = CookieSession::new("sid", "v", codec).unwrap().seal(&BeakerData::default());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Config);
}

/// Data whose payload, not packed well, has a length between the steps of base64.
fn data_of(chars: usize) -> BeakerData {
    // Hexadecimal digits of a simple generator: zlib makes about half of their number.
    let mut state = 1_u64;
    let digits = std::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from_digit((state >> 60) as u32, 16).unwrap_or('0')
    });
    [("x".to_owned(), Value::String(digits.take(chars).collect()))].into_iter().collect()
}

// SES-20.
#[test]
fn the_largest_cookie_is_the_largest_that_browsers_keep() {
    for name in ["sid", "beaker.session.id", "a-name-that-is-much-longer-than-others"] {
        let sessions = CookieSession::new(name, "v", PayloadCodec::new()).unwrap();
        let most = (5_000..10_000).step_by(4).map(|chars| sessions.seal(&data_of(chars)));
        let longest = most.take_while(Result::is_ok).last().unwrap().unwrap();
        let taken = name.len() + longest.len();
        // The next longer one is four characters more.
        assert!((4092..=4096).contains(&taken), "{taken}");
        let error = sessions.seal(&data_of(9_000)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
}

// SES-4, D59: on purpose as in Beaker, and why a name of its own is no protection.
#[test]
fn a_cookie_is_good_under_every_name_with_the_same_key() {
    let value = CookieSession::new("a", "v", PayloadCodec::new()).unwrap();
    let value = value.seal(&data(&json!({"n": 1}))).unwrap();
    let other = CookieSession::new("b", "v", PayloadCodec::new()).unwrap();
    assert!(other.load(format!("b={value}").as_bytes()).unwrap().is_some());
}

// SES-47.
#[test]
fn no_cookie_or_an_empty_one_is_no_session() {
    let sessions = CookieSession::new("sid", "v", PayloadCodec::new()).unwrap();
    for header in ["", "a=1", "sid=", "sid=\"\""] {
        assert_eq!(sessions.load(header.as_bytes()).unwrap(), None, "{header}");
    }
    // Nothing, signed, is not an empty session.
    let signed = CookieSigner::new("v").unwrap().sign("");
    assert_eq!(sessions.open(&signed).unwrap_err().kind(), ErrorKind::Corrupt);
}

// SES-45.
#[test]
fn a_validate_key_is_required() {
    let error = CookieSession::new("sid", "", PayloadCodec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// A site whose sessions are in Beaker's cookies, and a visitor who has one.
fn site(policy: AccessPolicy) -> (Sessions, Arc<ManualClock>, Browser) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
    let sealed = CookieSession::new("sid", "v", PayloadCodec::new()).unwrap();
    let cookie = BeakerCookie::new("sid").unwrap();
    let builder = Sessions::builder().as_beaker_cookies(cookie, sealed, None).unwrap();
    let builder = builder.with_clock(Arc::clone(&clock) as _).with_access(policy);
    let (sessions, mut browser) = (builder.build().unwrap(), Browser::new());
    browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
    clock.advance(Duration::from_secs(10));
    (sessions, clock, browser)
}

/// What Beaker finds in the visitor's cookie.
fn in_cookie(browser: &Browser) -> BeakerData {
    let sealed = CookieSession::new("sid", "v", PayloadCodec::new()).unwrap();
    sealed.load(browser.header().as_bytes()).unwrap().expect("a session")
}

// SES-49, SES-50: Beaker sends the cookie with each request that looks at its session, whatever
// `save_accessed_time` says.
#[test]
fn a_session_that_is_only_looked_at_is_sent_again_as_the_policy_for_uses_says() {
    for (policy, sent) in [(AccessPolicy::Never, 0), (AccessPolicy::EveryRequest, 1)] {
        let (sessions, clock, mut browser) = site(policy);
        let saved = in_cookie(&browser);
        browser
            .visit(&sessions, |session| {
                session.insert("user", "eve")?;
                session.revert()
            })
            .unwrap();
        assert_eq!(browser.received.len(), sent, "{policy:?}");
        let found = in_cookie(&browser);
        assert_eq!(found.get("user"), Some(&"ada".into()), "what was not kept is not sent");
        assert_eq!((found.id(), found.created()), (saved.id(), saved.created()));
        let accessed = if sent == 0 { saved.accessed() } else { Some(clock.now()) };
        assert_eq!(found.accessed(), accessed, "{policy:?}");
    }
}

// SES-51: in Beaker `invalidate` without a save does nothing, and `delete` sends a session again.
#[test]
fn what_ends_is_taken_from_the_browser_and_not_sent_again() {
    type End = fn(&Session) -> Result<(), Error>;
    for end in [Session::invalidate as End, Session::delete] {
        let (sessions, _, mut browser) = site(AccessPolicy::EveryRequest);
        browser.visit(&sessions, end).unwrap();
        let sent = [browser.received.len(), usize::from(browser.is_empty())];
        assert_eq!(sent, [1, 1], "{:?}", browser.received);
        assert!(browser.received[0].starts_with("sid=; expires="), "{:?}", browser.received);
    }
}

// SES-52: what Beaker's cookie sessions have not.
#[test]
fn a_session_in_its_cookie_can_be_renewed_and_says_when_it_was_used() {
    let (sessions, _, mut browser) = site(AccessPolicy::EveryRequest);
    let saved = in_cookie(&browser);
    let used = browser.visit(&sessions, |session| {
        session.renew()?;
        Ok(session.last_accessed())
    });
    assert_eq!(used.unwrap(), saved.accessed());
    let found = in_cookie(&browser);
    assert_ne!(found.id(), saved.id());
    assert_eq!(found.get("user"), Some(&"ada".into()));
}
