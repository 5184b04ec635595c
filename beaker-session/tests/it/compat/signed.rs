//! Signed cookie values.

use beaker_session::ErrorKind;
use beaker_session::compat::{CookieSigner, Signed, session_id};

use super::{Tally, has_tag, text, vectors};

// SES-2, SES-3, WIRE-7, D59.
#[test]
fn every_value_is_signed_and_verified_as_beaker_does() {
    let mut tally = Tally::default();
    for vector in vectors!("signed_cookie") {
        let (input, expect) = (&vector["input"], &vector["expect"]);
        let signer = CookieSigner::new(text(input, "secret")).unwrap();
        match text(&vector, "kind") {
            "encode" => {
                let coded = signer.sign(text(input, "value"));
                assert_eq!(coded, text(expect, "coded"), "{}", vector["id"]);
                assert_eq!(coded[..40], *text(expect, "signature"));
                tally.count("signed");
            }
            "decode" => {
                let (expected, name) = match expect["value"].as_str() {
                    Some(value) => (Signed::Value(value), "verified"),
                    None if expect["empty"] == true => (Signed::Empty, "empty"),
                    None => (Signed::Invalid, "refused"),
                };
                assert_eq!(signer.verify(text(input, "coded")), expected, "{}", vector["id"]);
                tally.count(name);
            }
            "header" => {
                let header = text(input, "cookie_header").as_bytes();
                let found = session_id(header, text(input, "cookie_name"), Some(&signer));
                let expected = expect["value"].as_str().filter(|value| !value.is_empty());
                if has_tag(&vector, "lossy") {
                    // Beaker loses it. It may come back here, whole, and never as anything else.
                    let whole = text(input, "cookie_header").split_once('=').unwrap().1;
                    assert!(found.is_none_or(|value| value == whole[40..]), "{}", vector["id"]);
                    tally.count("lost by Beaker");
                } else {
                    assert_eq!(found.as_deref(), expected, "{}", vector["id"]);
                    tally.count("found in a header");
                }
            }
            kind => panic!("unknown kind {kind}"),
        }
    }
    tally.assert_is(&[
        ("empty", 4),
        ("found in a header", 58),
        ("lost by Beaker", 40),
        ("refused", 152),
        ("signed", 98),
        ("verified", 114),
    ]);
}

// SES-21.
#[test]
fn the_golden_signatures_are_beakers() {
    let value = "0123456789abcdef0123456789abcdef";
    let signed = CookieSigner::new("secret").unwrap().sign(value);
    assert_eq!(signed, format!("491e10b57e6d7e4d2c5b52bf36b41ac7c9c9794d{value}"));
    let payload = "AAAAAAAAAAAAAAAAAAAAAA==AAAAAAAAAAAAAAAA8+WQ/BH7i1JzO9NOoDZmvWaip52hPk1T";
    let signed = CookieSigner::new("vk").unwrap().sign(payload);
    assert_eq!(signed[..40], *"2d50ea7ae509631a07db70eea7c2d4f21ed857e0");
}

#[test]
fn a_signer_without_a_secret_is_refused() {
    let error = CookieSigner::new("").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", CookieSigner::new("hunter2").unwrap());
    assert_eq!(shown, "CookieSigner(..)");
}
