//! What browsers do to cookies.

use beaker_namespace::{MemoryConfig, MemoryNamespace};
use beaker_session::{CookieConfig, ErrorKind, MAX_COOKIE_BYTES, SameSite, Sessions};

use crate::browser::Browser;
use crate::site::{Site, clock, ring, sealed};

/// 12, F58: what fits to the last byte is kept, and one byte more is an error that names the value.
#[test]
fn a_cookie_is_as_large_as_browsers_keep_and_never_larger() {
    let readable = |name: &str| {
        let builder = Sessions::builder().in_readable_cookies().with_keys(ring(1));
        builder.with_cookie(CookieConfig::named(name)).build().unwrap()
    };
    let encrypted =
        |name: &str| sealed(&clock(), |builder| builder.with_cookie(CookieConfig::named(name)));
    let forms: [&dyn Fn(&str) -> Sessions; 2] = [&readable, &encrypted];
    for form in forms {
        for length in [2, 200] {
            // Of a name of one length base64 has no value that ends at the last byte.
            let names = [length, length + 1, length + 2].map(|length| "n".repeat(length));
            let largest = names.map(|name| largest_cookie(&form(&name)));
            assert_eq!(largest.iter().max(), Some(&MAX_COOKIE_BYTES), "{largest:?}");
        }
    }
}

/// The bytes of the name and value of the largest cookie that is sent.
fn largest_cookie(sessions: &Sessions) -> usize {
    let mut largest = 0;
    for length in 2_400..4_000 {
        let mut browser = Browser::new();
        let sent = browser.visit(sessions, |session| {
            session.insert("small", "s")?;
            session.insert("big", "b".repeat(length))
        });
        match sent {
            Ok(()) => largest = browser.header().len() - "=".len(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TooLarge);
                let text = error.to_string();
                let size = text.split(' ').find_map(|word| word.parse::<usize>().ok());
                assert!(size.is_some_and(|size| size > MAX_COOKIE_BYTES), "{text}");
                let limit_and_largest = text.contains("4096") && text.contains("`big`");
                assert!(limit_and_largest, "{text}");
                assert!(browser.is_empty());
                return largest;
            }
        }
    }
    panic!("the largest is {largest} bytes, and there is no end");
}

/// 12: the id's cookie is small whatever is in the session.
#[test]
fn a_large_session_in_a_store_has_a_small_cookie() {
    let site = Site::with(|builder| builder.with_keys(ring(1)));
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("big", "b".repeat(60_000))).unwrap();
    assert_eq!(browser.header().len(), "__Host-id=".len() + 71);
}

/// 11: a browser takes only that removal for its cookie's which has the same path and domain.
#[test]
fn a_session_s_own_path_and_domain_are_in_its_removal_too() {
    let site = Site::with(|b| b.with_cookie(CookieConfig::named("__Secure-id")));
    let mut browser = Browser::new();
    browser
        .visit(&site.sessions, |session| {
            session.set_cookie_path(Some("/app"))?;
            session.set_cookie_domain(Some("example.org"))?;
            session.insert("a", 1)
        })
        .unwrap();
    assert!(browser.received[0].contains("; Path=/app; Domain=example.org; "), "{browser:?}");
    browser.visit(&site.sessions, |session| session.delete()).unwrap();
    let removal = &browser.received[0];
    assert!(removal.contains("; Path=/app; Domain=example.org; Max-Age=0; "), "{removal}");
    assert!(browser.is_empty());
}

/// Table row 15
#[test]
fn a_path_that_changes_takes_the_old_cookie_away() {
    let site = Site::with(|b| b.with_cookie(CookieConfig::named("id")));
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("a", 1)).unwrap();
    browser.visit(&site.sessions, |session| session.set_cookie_path(Some("/app"))).unwrap();
    assert_eq!(browser.received.len(), 2);
    assert!(browser.received[0].contains("Path=/; Max-Age=0;"), "{:?}", browser.received);
    assert!(browser.received[1].contains("Path=/app; "), "{:?}", browser.received);
}

/// 10
#[test]
fn a_cookie_that_browsers_would_drop_is_refused_when_the_sessions_are_built() {
    let insecure = CookieConfig::insecure_for_development;
    let refused = [
        (CookieConfig::new().with_domain("example.org"), "__Secure-"),
        (CookieConfig::new().with_path("/app"), "__Host-"),
        (insecure().with_same_site(SameSite::None), "Secure"),
        (insecure().partitioned(), "Secure"),
    ];
    let build = |cookie: CookieConfig| {
        let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
        let in_store = Sessions::builder().with_namespace(memory).with_cookie(cookie.clone());
        let in_cookie = Sessions::builder().in_encrypted_cookies().with_keys(ring(1));
        [in_store.build(), in_cookie.with_cookie(cookie).build()]
    };
    for (cookie, reason) in refused {
        for built in build(cookie.clone()) {
            let error = built.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(reason), "{cookie:?}: {error}");
        }
    }
    // The control: with what is missing each is built, and sent as it says.
    for sessions in build(CookieConfig::named("__Host-id").partitioned()) {
        let mut browser = Browser::new();
        let sessions = sessions.unwrap();
        browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
        let sent = &browser.received[0];
        assert!(sent.starts_with("__Host-id=") && sent.contains("; Partitioned;"), "{sent}");
    }
}

/// 10, 20
#[test]
fn a_path_or_domain_that_browsers_would_drop_is_refused_when_it_is_set() {
    let site = Site::new();
    let session = site.sessions.begin([]).load().unwrap();
    for path in ["/app", "/a;b", "/a\r\nSet-Cookie: x=y", "app"] {
        let error = session.set_cookie_path(Some(path)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{path}");
    }
    let error = session.set_cookie_domain(Some("example.org")).unwrap_err();
    assert!(error.to_string().contains("__Secure-"), "{error}");
}

/// 26, F62
#[test]
fn visitors_without_a_session_leave_nothing_in_the_store() {
    let site = Site::new();
    let operations = site.operations(|| {
        for _ in 0..10_000 {
            let mut bot = Browser::new();
            bot.visit(&site.sessions, |session| session.get::<String>("user")).unwrap();
            assert!(bot.is_empty());
        }
    });
    assert_eq!((operations, site.entries()), (0, 0));
}

/// 26
#[test]
fn a_session_over_its_limit_is_refused_and_the_error_names_the_value() {
    let site = Site::with(|builder| builder.with_max_bytes(1_000));
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("small", "s".repeat(500))).unwrap();
    let error = browser
        .visit(&site.sessions, |session| session.insert("big", "b".repeat(600)))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let said = "it takes about 1120 bytes of 1000; the largest part, `big`, takes 602";
    assert!(error.to_string().ends_with(said), "{error}");
    assert_eq!(browser.sees(&site.sessions, "small"), Some("s".repeat(500).into()));
    assert_eq!(browser.sees(&site.sessions, "big"), None);
}
