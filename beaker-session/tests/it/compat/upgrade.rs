//! From Beaker's weak forms to ours: refused without the bridge, and left behind by the next write.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Clock, ManualClock, MemoryConfig, MemoryNamespace, Namespace};
use beaker_session::compat::{
    BeakerCookie, BeakerStore, CookieSession, CookieSigner, FileSessions,
};
use beaker_session::{Builder, CookieConfig, ErrorKind, Origin, Sessions};
use serde_json::Value;

use super::stores::restore;
use super::{codec, has_tag, moment, text, vectors};
use crate::browser::Browser;
use crate::site::ring;

/// Attack 6: what Beaker signed, in each of its forms, under the name of our own cookie.
#[test]
fn without_the_bridge_nothing_that_beaker_signed_opens_a_session() {
    let signed = CookieSigner::new("secret").unwrap().sign(&"07".repeat(16));
    let mut values = vec![signed, "07".repeat(16)];
    for file in [
        vectors!("cookie_session_aesctr"),
        vectors!("cookie_session_aesgcm"),
        vectors!("cookie_session_json"),
    ] {
        let header = text(&file[1]["input"], "cookie_header").to_owned();
        values.push(header.split_once('=').expect("a pair").1.to_owned());
    }
    let memory = || MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let named = |builder: Builder| builder.with_cookie(CookieConfig::named("sid")).build().unwrap();
    let sites = [
        named(Sessions::builder().with_namespace(memory())),
        named(Sessions::builder().with_namespace(memory()).with_keys(ring(1))),
        named(Sessions::builder().in_encrypted_cookies().with_keys(ring(1))),
        named(Sessions::builder().in_readable_cookies().with_keys(ring(1))),
    ];
    for sessions in &sites {
        for value in &values {
            let browser = Browser::with(&format!("sid={value}"));
            let session = browser.begin(sessions).load().unwrap();
            assert_eq!((session.origin(), session.is_empty()), (Origin::Unknown, true));
        }
        assert_eq!(sessions.counts().rejected_cookies, values.len() as u64);
        // The control: it is not the name that they are refused for.
        let mut browser = Browser::new();
        browser.visit(sessions, |session| session.insert("a", 1)).unwrap();
        assert!(browser.header().starts_with("sid="));
        assert_eq!(browser.sees(sessions, "a"), Some(1.into()));
    }
}

/// Ours in memory, and the bridge that `bridge` puts before it; the time is that of `vector`.
fn reading(
    vector: &Value,
    bridge: impl FnOnce(Builder, &Arc<ManualClock>) -> Builder,
) -> (Sessions, Arc<MemoryNamespace>) {
    let clock = Arc::new(ManualClock::new(moment(&vector["input"]["saved_at"])));
    clock.advance(Duration::from_secs(1));
    let config = MemoryConfig::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let memory = MemoryNamespace::anonymous(config).unwrap();
    let builder = Sessions::builder()
        .with_namespace(Arc::clone(&memory) as Arc<dyn Namespace>)
        .with_cookie(CookieConfig::named("ours"));
    (bridge(builder, &clock).build().unwrap(), memory)
}

/// A look leaves all as it is; a write makes the session one of ours, which is whole by itself.
fn upgrades(
    sessions: &Sessions,
    memory: &MemoryNamespace,
    header: &str,
    name: &str,
    value: &Value,
) {
    let mut browser = Browser::with(header);
    assert_eq!(browser.sees(sessions, name).as_ref(), Some(value));
    assert_eq!(memory.stats().entries, Some(0), "a look makes no record of ours");
    browser.visit(sessions, |session| session.insert("new", 1)).unwrap();
    let ours = browser.received.iter().find(|cookie| cookie.starts_with("ours=")).unwrap();
    let ours = Browser::with(ours.split(';').next().unwrap());
    assert_eq!(ours.sees(sessions, name).as_ref(), Some(value), "without Python's cookie");
    assert_eq!(ours.sees(sessions, "new"), Some(1.into()));
}

/// The first value of the program's own.
fn some_value(data: &Value) -> Option<(String, Value)> {
    let mut pairs = data.as_object()?.iter();
    pairs.find(|(name, _)| !name.starts_with('_')).map(|(name, v)| (name.clone(), v.clone()))
}

#[test]
fn a_session_in_counter_mode_is_of_our_form_after_the_next_write() {
    let mut held = 0;
    for vector in vectors!("cookie_session_aesctr") {
        let Some((name, value)) = some_value(&vector["expect"]["user_data"]) else { continue };
        if vector["kind"] != "save_and_load" {
            continue;
        }
        let options = &vector["input"]["options"];
        let key = text(options, "key");
        let sealed =
            || CookieSession::new(key, text(options, "validate_key"), codec(options)).unwrap();
        let cookie = || BeakerCookie::new(key).unwrap();
        let (sessions, memory) = reading(&vector, |builder, _| {
            builder.reading_beaker_cookies(cookie(), sealed(), None).unwrap()
        });
        let header = text(&vector["input"], "cookie_header");
        upgrades(&sessions, &memory, header, &name, &value);
        // To write Beaker's own form is refused, since nobody would notice a change of it.
        let shared = Sessions::builder().as_beaker_cookies(cookie(), sealed(), None).unwrap();
        let shared = shared.build().unwrap();
        let refused = Browser::new().visit(&shared, |session| session.insert("new", 1));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
        held += 1;
    }
    assert!(held >= 20, "{held}");
}

#[test]
fn a_pickled_session_is_of_our_form_after_the_next_write() {
    let mut held = 0;
    for vector in vectors!("pickle_sessions") {
        let options = &vector["input"]["options"];
        let Some(header) = vector["input"]["cookie_header"].as_str() else { continue };
        let typed = vector["expect"]["stored_typed"]["v"].as_object().expect("pairs");
        let plain = |typed: &Value| {
            matches!(typed["py"].as_str(), Some("str" | "int" | "bool")).then(|| typed["v"].clone())
        };
        let mut values = typed.iter().filter(|(name, _)| !name.starts_with('_'));
        let Some((name, value)) =
            values.find_map(|(name, typed)| Some((name.clone(), plain(typed)?)))
        else {
            continue;
        };
        if has_tag(&vector, "custom-id") || typed.values().any(|v| v["py"] == "bytes") {
            continue;
        }
        let root = restore(&vector);
        let cookie = BeakerCookie::new(text(options, "key")).unwrap();
        let cookie = match options["secret"].as_str() {
            Some(secret) => cookie.secret(secret).unwrap(),
            None => cookie,
        };
        let (sessions, memory) = reading(&vector, |builder, clock| {
            let store = BeakerStore::new(FileSessions::new(root.path()), codec(options));
            builder.reading_beaker(cookie, store.clock(Arc::clone(clock) as _)).unwrap()
        });
        upgrades(&sessions, &memory, header, &name, &value);
        held += 1;
    }
    assert!(held >= 5, "{held}");
}
