//! Cookies that we did not make, or not for this.

use beaker_namespace::ManualClock;
use beaker_session::{CookieConfig, ErrorKind, KeyRing, Sessions};
use std::sync::Arc;

use crate::browser::Browser;
use crate::site::{DAY, HOUR, Site, clock, ring, sealed, secret};

/// A browser that has logged in.
fn logged_in(sessions: &Sessions) -> Browser {
    let mut browser = Browser::new();
    browser.visit(sessions, |session| session.insert("user", "ada")).unwrap();
    browser
}

fn value(browser: &Browser) -> String {
    browser.header().split_once('=').unwrap().1.to_owned()
}

/// 5, F55 and F56
#[test]
fn a_saved_cookie_of_a_cookie_only_session_ends_with_its_time_outs() {
    let clock = clock();
    let sessions = sealed(&clock, |builder| builder);
    let saved = logged_in(&sessions);
    assert!(saved.sees(&sessions, "user").is_some());
    clock.advance(HOUR);
    assert_eq!(saved.sees(&sessions, "user"), None, "idle for an hour");

    let mut used = logged_in(&sessions);
    for _ in 0..24 {
        clock.advance(HOUR - HOUR / 60);
        used.visit(&sessions, |session| session.add("clicks", 1)).unwrap();
    }
    assert!(used.sees(&sessions, "user").is_some());
    clock.advance(HOUR / 2);
    assert_eq!(used.sees(&sessions, "user"), None, "a day after it was made: {DAY:?}");
}

/// 5, F55
#[test]
fn a_saved_cookie_is_worth_nothing_once_the_epoch_was_raised() {
    let (clock, site) = (clock(), Site::new());
    let store = beaker_session::NamespaceStore::new(site.store.clone()).unwrap();
    let sessions = sealed(&clock, |builder| builder.with_epochs(store));
    let mut browser = Browser::new();
    let login = |session: &beaker_session::Session| {
        session.set_subject("ada", None)?;
        session.insert("user", "ada")
    };
    browser.visit(&sessions, login).unwrap();
    let saved = browser.clone();
    assert!(saved.sees(&sessions, "user").is_some(), "control");
    sessions.revoke_all("ada").unwrap();
    assert_eq!(saved.sees(&sessions, "user"), None);
    browser.visit(&sessions, login).unwrap();
    assert!(browser.sees(&sessions, "user").is_some(), "a login after it is good");
    assert_eq!(saved.sees(&sessions, "user"), None);
}

fn forms(clock: &Arc<ManualClock>) -> [Sessions; 3] {
    let readable = Sessions::builder()
        .in_readable_cookies()
        .with_keys(ring(1))
        .with_clock(clock.clone())
        .build()
        .unwrap();
    [
        Site::with(|builder| builder.with_keys(ring(1))).sessions,
        sealed(clock, |builder| builder),
        readable,
    ]
}

/// 6, 21
#[test]
fn what_one_form_made_no_other_reads() {
    let forms = forms(&clock());
    for (made, by) in forms.iter().enumerate() {
        let browser = logged_in(by);
        for (read, sessions) in forms.iter().enumerate() {
            let sees = browser.sees(sessions, "user").is_some();
            assert_eq!(sees, made == read, "made by {made}, read by {read}");
        }
    }
}

/// 21, F52
#[test]
fn what_was_made_for_one_name_no_other_reads() {
    for form in 0..3 {
        let with_name = |name: &str| {
            let builder = match form {
                0 => Sessions::builder().with_namespace(Site::new().store),
                1 => Sessions::builder().in_encrypted_cookies(),
                _ => Sessions::builder().in_readable_cookies(),
            };
            builder.with_keys(ring(1)).with_cookie(CookieConfig::named(name)).build().unwrap()
        };
        let (one, two) = (with_name("one"), with_name("two"));
        let browser = logged_in(&one);
        assert!(browser.sees(&one, "user").is_some(), "control");
        let renamed = Browser::with(&format!("two={}", value(&browser)));
        assert_eq!(renamed.sees(&two, "user"), None, "form {form}");
        let rejected = two.counts().rejected_cookies;
        assert_eq!(rejected, 1, "form {form}");
    }
}

/// F52: every flipped bit and every length.
#[test]
fn a_cookie_that_was_changed_anywhere_is_refused() {
    for sessions in &forms(&clock()) {
        let browser = logged_in(sessions);
        let value = value(&browser).into_bytes();
        let mut tried = 0;
        for at in 0..value.len() {
            for bit in 0..8 {
                let mut spoiled = value.clone();
                spoiled[at] ^= 1 << bit;
                if spoiled[at] == b';' || spoiled[at].is_ascii_whitespace() {
                    continue;
                }
                let header = [b"__Host-id=", &spoiled[..]].concat();
                let session = sessions.begin([&header[..]]).load().unwrap();
                assert!(session.is_empty(), "byte {at}, bit {bit}");
                tried += 1;
            }
            let header = [b"__Host-id=", &value[..at]].concat();
            assert!(sessions.begin([&header[..]]).load().unwrap().is_empty(), "length {at}");
        }
        assert!(tried > 400, "{tried}");
    }
}

/// 7
#[test]
fn encryption_without_a_key_is_an_error_and_hides_what_is_in_it() {
    let error = Sessions::builder().in_encrypted_cookies().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("with_keys"), "{error}");

    let [_, encrypted, readable] = forms(&clock());
    let seen = |sessions: &Sessions| {
        let mut browser = Browser::new();
        browser.visit(sessions, |session| session.insert("word", "aaaaaaaaaaaa")).unwrap();
        // Twelve equal bytes are two equal groups in base64, at whatever place they begin.
        ["YWFhYWFh", "FhYWFhYW", "hYWFhYWF"].iter().any(|text| value(&browser).contains(text))
    };
    assert!(!seen(&encrypted));
    assert!(seen(&readable), "control: what is only signed can be read");
}

/// 8
#[test]
fn of_cookies_with_one_name_the_one_that_is_good_counts() {
    for sessions in &forms(&clock()) {
        let good = logged_in(sessions).header();
        let bad = "__Host-id=tossed";
        for header in [format!("{bad}; {good}"), format!("{good}; {bad}")] {
            let session = sessions.begin([header.as_bytes()]).load().unwrap();
            assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ada"), "{header}");
        }
        assert!(sessions.counts().rejected_cookies >= 2);
        let flood = format!("{0}; {0}; {0}; {0}; {good}", bad);
        assert!(
            sessions.begin([flood.as_bytes()]).load().unwrap().is_empty(),
            "the fifth is not read"
        );
    }
}

/// 8
#[test]
fn a_stranger_s_good_cookie_beside_it_does_not_hide_the_session() {
    let site = Site::new();
    let mut ended = logged_in(&site.sessions);
    let stale = ended.header();
    ended.visit(&site.sessions, |session| session.delete()).unwrap();
    let good = logged_in(&site.sessions).header();
    let session = site.sessions.begin([format!("{stale}; {good}").as_bytes()]).load().unwrap();
    assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ada"));
}

/// 23, F57
#[test]
fn keys_rotate_without_a_logout_and_retire() {
    let [a, b, c] = [1, 2, 3].map(secret);
    for form in 0..3 {
        let site = Site::with(|builder| builder.with_keys(KeyRing::new(a.clone())));
        let sessions = match form {
            0 => site.sessions.clone(),
            1 => sealed(&clock(), |builder| builder.with_keys(KeyRing::new(a.clone()))),
            _ => Sessions::builder().in_readable_cookies().with_keys(ring(1)).build().unwrap(),
        };
        let mut browser = logged_in(&sessions);
        let by_a = browser.clone();

        sessions.set_keys(&KeyRing::new(b.clone()).with_retired(a.clone())).unwrap();
        browser.visit(&sessions, |session| session.get::<String>("user")).unwrap();
        assert_eq!(browser.received.len(), 1, "form {form}: a read sends it under the new key");
        browser.visit(&sessions, |session| session.get::<String>("user")).unwrap();
        assert_eq!(browser.received.len(), 0, "form {form}: and does so once");

        sessions.set_keys(&KeyRing::new(c.clone()).with_retired(b.clone())).unwrap();
        assert_eq!(browser.sees(&sessions, "user"), Some("ada".into()), "form {form}");
        assert_eq!(by_a.sees(&sessions, "user"), None, "form {form}: the first key is gone");
    }
}

/// 30
#[test]
fn a_clock_that_is_wrong_lengthens_no_life() {
    let site = Site::new();
    let browser = logged_in(&site.sessions);
    let start = beaker_namespace::Clock::now(&*site.clock);
    site.clock.set(start.saturating_sub(HOUR));
    assert_eq!(browser.sees(&site.sessions, "user"), None, "it was made an hour from now");
    site.clock.set(start.saturating_sub(HOUR / 120));
    assert!(
        browser.sees(&site.sessions, "user").is_some(),
        "half a minute is another machine's clock"
    );

    let clock = clock();
    let sessions = sealed(&clock, |builder| builder);
    let browser = logged_in(&sessions);
    let start = beaker_namespace::Clock::now(&*clock);
    clock.set(start.saturating_sub(HOUR));
    assert_eq!(browser.sees(&sessions, "user"), None, "it was made an hour from now");
    clock.set(start.saturating_sub(HOUR / 120));
    assert!(browser.sees(&sessions, "user").is_some(), "the same half minute");

    // Forward: what is over is over, and going back again makes it no younger than it is.
    for (sessions, clock) in [(&site.sessions, &site.clock), (&sessions, &clock)] {
        clock.set(start);
        let mut browser = logged_in(sessions);
        clock.set(start.saturating_add(2 * HOUR));
        assert_eq!(browser.sees(sessions, "user"), None, "two hours unused");
        browser.visit(sessions, |session| session.insert("user", "ada")).unwrap();
        clock.set(start);
        assert_eq!(browser.sees(sessions, "user"), None, "it was made two hours from now");
    }
}
