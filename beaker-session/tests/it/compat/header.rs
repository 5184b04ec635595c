//! The session's cookie in the `Cookie` header.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use beaker_namespace::{Clock, Latency};
use beaker_session::compat::{
    BeakerId, BeakerStore, Change, CookieSigner, FileSessions, PayloadCodec, TextStore,
    find_cookie, session_id,
};
use beaker_session::{Builder, Error, Origin, Sessions};

use super::bridge::{ID, START, Site, cookie, python_session};
use super::{Tally, has_tag, text, vectors};

// SES-3, SES-5, SES-44, D58, D67.
#[test]
fn every_header_gives_the_id_that_beaker_finds_or_a_better_answer() {
    let mut tally = Tally::default();
    for vector in vectors!("cookie_header") {
        let input = &vector["input"];
        let signer = input["secret"].as_str().map(|secret| CookieSigner::new(secret).unwrap());
        let header = text(input, "cookie_header").as_bytes();
        let found = session_id(header, text(input, "key"), signer.as_ref());
        let beakers = vector["expect"]["session_id"].as_str();
        if has_tag(&vector, "parser-gives-up") {
            // Python forgets the cookie because of its neighbour; the browser did send it.
            assert_eq!(beakers, None, "{}", vector["id"]);
            let sent = text(input, "cookie_header").rsplit_once('=').unwrap().1;
            let sent = if signer.is_some() { &sent[40..] } else { sent };
            assert_eq!(found.as_deref(), Some(sent), "{}", vector["id"]);
            tally.count("found though Python gives up");
        } else if has_tag(&vector, "empty-id") {
            assert_eq!((beakers, found), (Some(""), None), "{}", vector["id"]);
            tally.count("empty id refused");
        } else {
            assert_eq!(found.as_deref(), beakers, "{}", vector["id"]);
            tally.count(if beakers.is_some() { "found" } else { "none" });
        }
    }
    tally.assert_is(&[
        ("empty id refused", 8),
        ("found", 150),
        ("found though Python gives up", 40),
        ("none", 74),
    ]);
}

// SES-44.
#[test]
fn a_neighbour_that_is_no_cookie_hides_nothing() {
    for header in [
        "bad[name=1; sid=x",
        "null; sid=x",
        "sid=x; null",
        "a/b=1; sid=x",
        "=1; sid=x",
        "a==; sid=x",
        "a=\"b; sid=x",
        "a=\"b\"c; sid=x",
        "a=\"b; sid=x; c=\"d\"",
        "a=\"b\\\"; sid=no\"; sid=x",
        ";;; ;sid=x;",
        "sid\t=\tx",
        "sid=old; sid=x",
    ] {
        assert_eq!(find_cookie(header.as_bytes(), "sid"), Some("x"), "{header}");
    }
    // The control: what stands in another cookie's quotes is not ours.
    assert_eq!(find_cookie(b"a=\"b; sid=x\"", "sid"), None);
    assert_eq!(find_cookie(b"a=\"b\\\"; sid=x\"", "sid"), None);
}

#[test]
fn a_value_that_is_no_text_is_none() {
    assert_eq!(find_cookie(b"sid=\xff", "sid"), None);
    assert_eq!(find_cookie(b"a=\xff; sid=x", "sid"), Some("x"));
}

// SES-5: the octal escapes of `http.cookies`, and what only looks like them.
#[test]
fn an_unsigned_value_is_freed_of_quotes_and_escapes() {
    for (value, id) in [
        (r#""a\073b""#, "a;b"),
        (r#""a\"b\\c""#, "a\"b\\c"),
        (r#""\351""#, "é"),
        (r#""\477""#, "477"),
        (r#""\08""#, "08"),
        (r"a\073b", r"a\073b"),
        (r#""a\""#, r"a\"),
    ] {
        let header = format!("sid={value}");
        assert_eq!(session_id(header.as_bytes(), "sid", None).as_deref(), Some(id), "{value}");
    }
}

/// Sessions of Python's in files, and how often they were asked for.
#[derive(Debug)]
struct Counted {
    files: FileSessions,
    calls: AtomicUsize,
}

impl TextStore for Counted {
    fn latency(&self) -> Latency {
        Latency::Blocking
    }

    fn read(&self, id: &BeakerId) -> Result<Option<String>, Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        TextStore::read(&self.files, id)
    }

    fn update(
        &self,
        id: &BeakerId,
        decide: &mut dyn FnMut(Result<Option<String>, Error>) -> Result<Change, Error>,
    ) -> Result<(), Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        TextStore::update(&self.files, id, decide)
    }
}

/// What Python's session of [`ID`] may be asked for with, signed by the secret `s`, and what nobody signed so.
fn signed_and_forged() -> (String, Vec<String>) {
    let id = "07".repeat(16);
    let good = CookieSigner::new("s").unwrap().sign(&id);
    let signature = &good[..40];
    let other = if signature.ends_with('0') { "1" } else { "0" };
    let forged = vec![
        // Without a signature, and with one of another secret or another id.
        id.clone(),
        CookieSigner::new("another").unwrap().sign(&id),
        format!("{}{id}", &CookieSigner::new("s").unwrap().sign("0".repeat(32).as_str())[..40]),
        // With a digit that is not its, too short, too long, of other letters, and twice.
        format!("{}{other}{id}", &signature[..39]),
        format!("{}{id}", &signature[1..]),
        format!("{signature}0{id}"),
        format!("{}{id}", signature.to_uppercase()),
        format!("{signature}{good}"),
        // Of no id, and nothing at all.
        signature.to_owned(),
        String::new(),
    ];
    (good, forged)
}

// SES-28.
#[test]
fn a_badly_signed_id_is_no_id_and_asks_no_store() {
    let site = Site::new();
    site.put(ID, &python_session());
    let texts = Arc::new(Counted { files: site.files(), calls: AtomicUsize::new(0) });
    let store = BeakerStore::new(Arc::clone(&texts), PayloadCodec::new());
    let clock = || Arc::clone(&site.clock) as Arc<dyn Clock>;
    let sessions = Sessions::builder()
        .with_clock(clock())
        .as_beaker(cookie(), store.clock(clock()))
        .and_then(Builder::build)
        .unwrap();
    let (good, forged) = signed_and_forged();
    let headers = forged.iter().map(|value| Some(format!("sid={value}"))).chain([None]);
    for header in headers {
        let request = sessions.begin(header.as_deref().map(str::as_bytes));
        let session = request.load().unwrap();
        let origin = if header.is_some() { Origin::Unknown } else { Origin::New };
        assert_eq!((session.origin(), session.is_empty()), (origin, true), "{header:?}");
        assert!(session.is_new(), "{header:?}");
        assert_eq!(texts.calls.load(Ordering::Relaxed), 0, "{header:?}");
        session.insert("user", "eve").unwrap();
        let sent = request.commit().unwrap().set_cookies().next().unwrap().to_owned();
        assert_eq!(session.created(), Some(START), "{header:?}");
        let value = find_cookie(sent.as_bytes(), "sid").expect("a new one");
        assert_ne!(value[40..], good[40..], "{header:?}: another id");
        assert_eq!(CookieSigner::new("s").unwrap().sign(&value[40..]), value, "{header:?}");
        assert_eq!(site.get(ID), python_session(), "{header:?}: nobody has touched it");
        texts.calls.store(0, Ordering::Relaxed);
    }
    assert_eq!(sessions.counts().rejected_cookies, forged.len() as u64);
    // The control.
    let session = sessions.begin([format!("sid={good}").as_bytes()]).load().unwrap();
    assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ada"));
    assert_eq!(texts.calls.load(Ordering::Relaxed), 1);
}
