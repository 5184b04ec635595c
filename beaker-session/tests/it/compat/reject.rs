//! Cookies that were tampered with, and those that only look so.

use std::collections::BTreeMap;

use beaker_session::compat::{BeakerData, CookieSession};
use beaker_session::{Error, ErrorKind};
use serde_json::Value;

use super::{Tally, codec, has_tag, text, user_values, vectors};

fn load(vector: &Value) -> Result<Option<BeakerData>, Error> {
    let (input, options) = (&vector["input"], &vector["input"]["options"]);
    CookieSession::new(text(options, "key"), text(options, "validate_key"), codec(options))
        .expect("the options are good")
        .load(text(input, "cookie_header").as_bytes())
}

/// How it was tampered with.
fn tamper(vector: &Value) -> String {
    let tags = vector["tags"].as_array().expect("a list").iter();
    let mut names = tags.filter_map(|tag| tag.as_str()?.strip_prefix("tamper:"));
    names.next().expect("a tag").to_owned()
}

// SES-3, SES-47, D61, D62.
#[test]
fn every_cookie_that_beaker_rejects_is_rejected() {
    let mut kinds: BTreeMap<String, ErrorKind> = BTreeMap::new();
    let mut tally = Tally::default();
    for vector in vectors!("cookie_session_reject") {
        let error = load(&vector).expect_err("Beaker refuses it");
        let name = tamper(&vector);
        // With a signature that is not good nothing more is looked at.
        let rejected = !name.starts_with("resigned:")
            && !matches!(
                &*name,
                "encrypted-with-another-encrypt_key"
                    | "other-nonce-size"
                    | "encrypted-cookie-read-without-encrypt_key"
            );
        assert_eq!(error.kind() == ErrorKind::Rejected, rejected, "{}: {name}", vector["id"]);
        tally.count(if rejected { "rejected" } else { "not readable" });
        kinds.insert(name, error.kind());
        // No part of the cookie is in the error.
        let shown = format!("{error} {error:?}");
        let value = text(&vector["input"], "cookie_header").split_once('=').unwrap().1;
        assert!(value.is_empty() || !shown.contains(value), "{shown}");
    }
    tally.assert_is(&[("not readable", 110), ("rejected", 48)]);
    assert_eq!(kinds["resigned:json-deep-nesting"], ErrorKind::TooLarge);
    assert_eq!(kinds["resigned:tag-bit-flipped"], ErrorKind::Corrupt);
    assert_eq!(kinds["sha256-signature"], ErrorKind::Rejected);
    // The control, that the cookies would be read without the tampering, is every other vector
    // file.
}

// D61, D62.
#[test]
fn what_another_encoder_may_write_is_accepted_and_what_none_writes_is_refused() {
    let mut tally = Tally::default();
    for vector in vectors!("cookie_session_quirks") {
        let found = load(&vector);
        let theirs = &vector["expect"]["strict"]["user_data"];
        if has_tag(&vector, "must-accept") {
            let found = found.unwrap_or_else(|error| panic!("{}: {error}", vector["id"])).unwrap();
            assert_eq!(&user_values(&found), theirs, "{}", vector["id"]);
            tally.count("must be accepted");
        } else if let Ok(found) = found {
            // The last of two values of one name counts, as in Python.
            assert_eq!(tamper(&vector), "resigned:json-duplicate-keys", "{}", vector["id"]);
            assert_eq!(&user_values(&found.unwrap()), theirs);
            tally.count("accepted");
        } else {
            tally.count("refused");
        }
    }
    tally.assert_is(&[("accepted", 2), ("must be accepted", 8), ("refused", 12)]);
}
