//! 7: nothing that is set, and nothing that is left out, makes a session in a cookie one that anybody can
//! write, or one that is said to be encrypted and is not.

use beaker_session::{CookieConfig, ErrorKind, SecretKey, Sessions};

use crate::browser::Browser;
use crate::site::{ring, secret};

/// Bytes that are no secret: too short, or of few different values.
#[test]
fn no_bytes_that_were_plainly_not_drawn_are_a_key() {
    let refused = |bytes: &[u8]| match SecretKey::from_bytes(bytes) {
        Err(error) => error.kind() == ErrorKind::Config,
        Ok(_) => false,
    };
    for byte in 0..=u8::MAX {
        for length in [0, 1, 16, 31, 32, 64, 4_096] {
            assert!(refused(&vec![byte; length]), "{length} times {byte}");
        }
    }
    let text = secret(1).expose_text();
    for length in 0..text.len() {
        assert!(SecretKey::from_text(&text[..length]).is_err(), "{length} characters of a key");
    }
    for few in 1..8_u8 {
        let bytes: Vec<u8> = (0..64).map(|at| at % few).collect();
        assert!(refused(&bytes), "{few} different values");
    }
    assert!(SecretKey::from_bytes(&(0..32).collect::<Vec<u8>>()).is_ok(), "control");
}

#[test]
fn sessions_in_cookies_are_not_built_without_a_key() {
    for builder in
        [Sessions::builder().in_encrypted_cookies(), Sessions::builder().in_readable_cookies()]
    {
        assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::Config);
    }
}

/// Each way to keep a session in a cookie, with what its value must not show.
#[test]
fn of_each_kind_of_cookie_nobody_can_change_a_character() {
    let kinds = [
        ("encrypted", Sessions::builder().in_encrypted_cookies()),
        ("readable", Sessions::builder().in_readable_cookies()),
    ];
    for (kind, builder) in kinds {
        let builder = builder.with_keys(ring(1)).with_cookie(CookieConfig::named("id"));
        let sessions = builder.build().unwrap();
        let mut browser = Browser::new();
        browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
        let cookie = browser.header();
        for at in "id=".len()..cookie.len() {
            let other = if cookie.as_bytes()[at] == b'A' { "B" } else { "A" };
            let changed = [&cookie[..at], other, &cookie[at + 1..]].concat();
            let seen = Browser::with(&changed).sees(&sessions, "user");
            assert_eq!(seen, None, "{kind}: character {at}");
        }
        assert_eq!(browser.sees(&sessions, "user"), Some("ada".into()), "{kind}: control");
    }
}

#[cfg(feature = "beaker-compat")]
mod bridge {
    use beaker_session::compat::{
        BeakerOptions, CookieSession, CryptoType, Encryption, PayloadCodec,
    };

    use super::*;

    /// Whatever the bridge may encrypt with. There is no third: this does not compile when there is.
    fn is_authenticated(crypto_type: CryptoType) -> bool {
        match crypto_type {
            CryptoType::AesGcm => true,
            CryptoType::AesCtrReadOnly => false,
        }
    }

    /// Every word that Beaker has had for its ciphers, and what else somebody may write who wants none.
    const CRYPTO_TYPES: [&str; 17] = [
        "default",
        "cryptography",
        "pycrypto",
        "pycryptodome",
        "pycryptopp",
        "nss",
        "jce",
        "noencryption",
        "none",
        "None",
        "null",
        "identity",
        "plain",
        "false",
        "0",
        "",
        " ",
    ];

    const IN_COOKIES: [(&str, &str); 3] = [
        ("session.type", "cookie"),
        ("session.validate_key", "vk"),
        ("session.data_serializer", "json"),
    ];

    /// What a session with a value looks like in its cookie.
    fn value(options: &[(&str, &str)]) -> Result<String, ErrorKind> {
        let options = IN_COOKIES.iter().chain(options).copied();
        let options = BeakerOptions::from_pairs(options).map_err(|error| error.kind())?;
        let builder = Sessions::builder().as_beaker_options(&options);
        let sessions = builder.map_err(|error| error.kind())?.build().unwrap();
        let mut browser = Browser::new();
        browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
        Ok(browser.header().split_once('=').unwrap().1.to_owned())
    }

    /// Whether somebody who has not the key for it can read the value.
    fn is_plain(value: &str) -> bool {
        let reader = CookieSession::new("beaker.session.id", "vk", PayloadCodec::new()).unwrap();
        reader.open(value).is_ok_and(|data| data.is_some())
    }

    #[test]
    fn a_session_with_an_encrypt_key_is_encrypted_or_refused() {
        let mut accepted = Vec::new();
        for crypto_type in CRYPTO_TYPES {
            let pairs = [("session.encrypt_key", "ek"), ("session.crypto_type", crypto_type)];
            match value(&pairs) {
                Ok(value) => {
                    assert!(!is_plain(&value), "`{crypto_type}` stores what anybody reads");
                    accepted.push(crypto_type);
                }
                Err(kind) => assert_eq!(kind, ErrorKind::Config, "`{crypto_type}`"),
            }
        }
        assert_eq!(accepted, ["default", "cryptography"]);
        assert!(is_plain(&value(&[]).unwrap()), "control: without the key it is readable");
        for empty in ["", " "] {
            let kind = value(&[("session.encrypt_key", empty)]).unwrap_err();
            assert_eq!(kind, ErrorKind::Config, "an empty key is no wish for no encryption");
        }
    }

    #[test]
    fn what_is_not_authenticated_is_never_written() {
        let data = beaker_session::compat::BeakerData::fresh(
            beaker_namespace::Timestamp::from_micros(1),
            None,
            "/",
        );
        for crypto_type in [CryptoType::AesGcm, CryptoType::AesCtrReadOnly] {
            let encryption = Encryption::new("ek", "vk").unwrap().crypto_type(crypto_type);
            let written = PayloadCodec::new().encryption(encryption).encode(&data);
            assert_eq!(written.is_ok(), is_authenticated(crypto_type), "{crypto_type:?}");
        }
        for (encrypt_key, validate_key) in [("", "vk"), ("ek", ""), ("", "")] {
            let made = Encryption::new(encrypt_key, validate_key);
            assert_eq!(made.unwrap_err().kind(), ErrorKind::Config);
        }
        assert!(CookieSession::new("id", "", PayloadCodec::new()).is_err());
    }

    /// A cookie's session is signed whatever else is set: its first forty characters are the signature.
    #[test]
    fn a_beaker_cookie_with_a_character_changed_is_no_session() {
        for pairs in [&[][..], &[("session.encrypt_key", "ek")]] {
            let options = IN_COOKIES.iter().chain(pairs).copied();
            let options = BeakerOptions::from_pairs(options).unwrap();
            let builder = Sessions::builder().as_beaker_options(&options).unwrap();
            let sessions = builder.build().unwrap();
            let mut browser = Browser::new();
            browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
            let cookie = browser.header();
            for at in cookie.find('=').unwrap() + 1..cookie.len() {
                let other = if cookie.as_bytes()[at] == b'0' { "1" } else { "0" };
                let changed = [&cookie[..at], other, &cookie[at + 1..]].concat();
                assert_eq!(Browser::with(&changed).sees(&sessions, "user"), None, "character {at}");
            }
            assert_eq!(browser.sees(&sessions, "user"), Some("ada".into()), "control");
        }
    }
}
