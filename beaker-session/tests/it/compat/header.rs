//! The session's cookie in the `Cookie` header.

use beaker_session::compat::{CookieSigner, find_cookie, session_id};

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
