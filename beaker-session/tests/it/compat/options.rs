//! Sessions out of a Python program's own configuration.

use std::time::Duration;

use beaker_container::config::OptionValue;
use beaker_namespace::{ManualClock, Timestamp};
use beaker_session::compat::{
    BeakerCookie, BeakerData, BeakerId, BeakerOptions, BeakerStore, CookieSession, Encryption,
    FileSessions, PayloadCodec,
};
use beaker_session::{CookieConfig, ErrorKind, Sessions};

use crate::browser::Browser;

const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn read(pairs: &[(&str, &str)]) -> Result<BeakerOptions, beaker_session::Error> {
    BeakerOptions::from_pairs(pairs.iter().copied())
}

/// What is wrong with these options, when they are read or when sessions are made of them.
fn refused(pairs: &[(&str, &str)]) -> String {
    let made = read(pairs).and_then(|options| Sessions::builder().as_beaker_options(&options));
    let error = made.map(|_| ()).expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.to_string()
}

fn sessions(pairs: &[(&str, &str)]) -> Sessions {
    let options = read(pairs).expect("good options");
    let builder = Sessions::builder().as_beaker_options(&options).expect("good options");
    builder
        .with_clock(std::sync::Arc::new(ManualClock::new(START)))
        .build()
        .expect("they are built")
}

/// The attributes of a new session's cookie.
fn attributes(pairs: &[(&str, &str)]) -> String {
    let mut browser = Browser::new();
    browser.visit(&sessions(pairs), |session| session.insert("a", 1)).expect("it is stored");
    browser.received[0].split_once("; ").expect("attributes").1.to_owned()
}

// CONF-16, SES-57.
#[test]
fn the_three_prefixes_are_read_in_order_and_everything_else_is_ignored() {
    let options = read(&[
        ("key", "ignored"),
        ("cache.key", "ignored"),
        ("Session.key", "ignored"),
        ("session_key", "first"),
        ("session.key", "second"),
        ("beaker.session.key", "third"),
        ("session.data_serializer", "json"),
    ])
    .unwrap();
    assert_eq!(options.deprecated_options().collect::<Vec<_>>(), ["session_key"]);
    assert_eq!(options.unknown_options().count(), 0);
    let sessions = Sessions::builder().as_beaker_options(&options).unwrap().build().unwrap();
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
    assert!(browser.received[0].starts_with("third="), "{:?}", browser.received);
}

// CONF-12, CONF-13, D35.
#[test]
fn the_cookie_is_as_the_options_say() {
    const JSON: (&str, &str) = ("session.data_serializer", "json");
    assert_eq!(attributes(&[JSON]), "Path=/; SameSite=Lax");
    for (expires, attribute) in [
        ("true", ""),
        ("1", ""),
        ("no", "expires=Tue, 19-Jan-2038 03:14:07 GMT; "),
        ("0", "expires=Tue, 19-Jan-2038 03:14:07 GMT; "),
        ("300", "expires=Tue, 14-Nov-2023 22:18:20 GMT; "),
    ] {
        let found = attributes(&[JSON, ("session.cookie_expires", expires)]);
        assert_eq!(found, format!("{attribute}Path=/; SameSite=Lax"), "{expires}");
    }
    let all = attributes(&[
        JSON,
        ("session.cookie_domain", ".example.org"),
        ("session.cookie_path", "/app"),
        ("session.httponly", " Yes "),
        ("session.secure", "t"),
        ("session.samesite", "strict"),
    ]);
    assert_eq!(all, "Domain=.example.org; HttpOnly; Path=/app; SameSite=Strict; Secure");
    let off = attributes(&[JSON, ("session.secure", "off"), ("session.httponly", "0")]);
    assert_eq!(off, "Path=/; SameSite=Lax");
    assert_eq!(attributes(&[JSON, ("session.samesite", "")]), "Path=/");
}

// CONF-13, D35.
#[test]
fn a_cookie_that_would_never_come_back_is_refused_at_once() {
    let zero = [("session.cookie_expires", OptionValue::Int(0))];
    let error = BeakerOptions::from_pairs(zero).unwrap_err();
    assert!(error.to_string().contains("write false for never"), "{error}");
}

// CONF-14, SES-27.
#[test]
fn a_time_out_needs_access_times() {
    let said = refused(&[("session.timeout", "60"), ("session.save_accessed_time", "false")]);
    assert!(said.contains("save_accessed_time must be true to use timeout"), "{said}");
    // The control: each alone is good.
    assert!(read(&[("session.timeout", "60")]).is_ok());
    assert!(read(&[("session.save_accessed_time", "false")]).is_ok());
}

#[test]
fn what_cannot_be_is_refused_with_the_option_and_the_fix_and_never_a_value() {
    for (option, value, fix) in [
        ("timeout", "hunter2", "write whole seconds"),
        ("timeout", "0", "every session would be over at once"),
        ("secure", "hunter2", "write true or false"),
        ("key", " ", "Empty strings are invalid for: Session key"),
        ("key", "hunter2;", "characters other than letters"),
        ("secret", "", "give the key that the Python program has"),
        ("cookie_expires", "hunter2", "Cookie expires was not a boolean"),
        ("cookie_domain", "hunter2;", "the domain has characters"),
        ("cookie_path", "/hunter2;", "the path has a `;`"),
        ("samesite", "hunter2", "write Lax, Strict or None"),
        ("samesite", "None", "SameSite=None needs Secure"),
        ("encrypt_nonce_bits", "hunter2", "must be a number"),
        ("encrypt_nonce_bits", "12", "a multiple of 8"),
        ("crypto_type", "hunter2", "write cryptography"),
        ("data_serializer", "hunter2", "write json or pickle"),
        ("encrypt_key", "hunter2", "\"validate_key\": encrypt_key needs it too"),
        ("type", "cookie", "\"validate_key\": sessions in cookies are signed with it"),
        ("type", "ext:redis", "with_texts"),
        ("id", "hunter2", "it would give everybody one session"),
        ("use_cookies", "false", "a site without cookies has no sessions"),
        ("data_serializer", "pickle", "set json in both programs"),
    ] {
        let name = format!("session.{option}");
        let pairs = [
            ("session.data_serializer", "json"),
            ("session.data_dir", "/nowhere"),
            (name.as_str(), value),
        ];
        let said = refused(&pairs);
        assert!(said.contains(fix), "{option}: {said}");
        assert!(!said.contains("hunter2"), "{option}: {said}");
    }
}

// D36.
#[test]
fn a_misspelt_option_is_told_with_what_was_meant() {
    let pairs = [("session.secur", "true"), ("session.url", "redis://x"), ("session.mine", "1")];
    let options = read(&pairs).unwrap();
    let told: Vec<&str> = options.unknown_options().collect();
    assert_eq!(
        told,
        [r#"unknown option "mine""#, r#"unknown option "secur"; did you mean "secure"?"#]
    );
    let error = options.clone().refuse_unknown(&["mine"]).unwrap_err();
    assert!(error.to_string().contains("did you mean"), "{error}");
    assert!(options.refuse_unknown(&["mine", "secur"]).is_ok());
}

#[test]
fn options_print_no_secret() {
    let options = read(&[
        ("session.secret", "hunter2"),
        ("session.validate_key", "hunter2"),
        ("session.encrypt_key", "hunter2"),
    ]);
    assert!(!format!("{options:?}").contains("hunter2"));
}

// SES-26, NS-11.
#[test]
fn files_are_where_the_options_say_and_the_type_where_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (data, own, locks) = (path("data"), path("own"), path("locks"));
    let by_data = [("session.data_serializer", "json"), ("session.data_dir", &data)];
    let by_own = [
        ("session.data_serializer", "json"),
        ("session.type", "file"),
        ("session.file_dir", &own),
        ("session.lock_dir", &locks),
    ];
    for pairs in [&by_data[..], &by_own] {
        let sessions = sessions(pairs);
        let mut browser = Browser::new();
        browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
        assert_eq!(browser.sees(&sessions, "a"), Some(1.into()));
    }
    for made in [dir.path().join("data/container_file"), (&own).into(), (&locks).into()] {
        assert!(made.is_dir(), "{}", made.display());
    }
    let said = refused(&by_own[..3]);
    assert!(said.contains("data_dir or lock_dir is required"), "{said}");
    let said = refused(&by_own[..2]);
    assert!(said.contains("data_dir or file_dir is required"), "{said}");
}

#[test]
fn sessions_of_type_memory_are_ours_alone_and_have_hashed_ids() {
    let pairs = [("session.data_serializer", "json"), ("session.key", "sid")];
    let (one, other) = (sessions(&pairs), sessions(&pairs));
    let mut browser = Browser::new();
    browser.visit(&one, |session| session.insert("a", 1)).unwrap();
    assert_eq!(browser.sees(&one, "a"), Some(1.into()));
    assert_eq!(browser.sees(&other, "a"), None);
    browser.visit(&one, |session| session.renew()).unwrap();
    assert_eq!(browser.sees(&one, "a"), Some(1.into()));
    browser.visit(&one, |session| session.delete()).unwrap();
    assert!(browser.is_empty());
    let read = Sessions::builder().reading_beaker_options(&read(&pairs).unwrap()).map(|_| ());
    assert!(read.unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn one_configuration_gives_the_sessions_that_are_built_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().display().to_string();
    let options = read(&[
        ("beaker.session.type", "file"),
        ("beaker.session.data_dir", &data_dir),
        ("beaker.session.data_serializer", "json"),
        ("beaker.session.key", "sid"),
        ("beaker.session.secret", "s"),
        ("beaker.session.encrypt_key", "encrypt"),
        ("beaker.session.validate_key", "validate"),
        ("beaker.session.encrypt_nonce_bits", "64"),
    ]);
    let options = Sessions::builder().as_beaker_options(&options.unwrap());
    let options = options.and_then(beaker_session::Builder::build).unwrap();
    let encryption = Encryption::new("encrypt", "validate").unwrap();
    let nonce = beaker_session::compat::NonceSize::from_bits(64).unwrap();
    let codec = PayloadCodec::new().encryption(encryption.nonce_size(nonce));
    let cookie = BeakerCookie::new("sid").and_then(|cookie| cookie.secret("s")).unwrap();
    let by_hand = Sessions::builder()
        .as_beaker(cookie, BeakerStore::new(FileSessions::new(dir.path()), codec))
        .and_then(beaker_session::Builder::build)
        .unwrap();
    for (writer, reader) in [(&options, &by_hand), (&by_hand, &options)] {
        let mut browser = Browser::new();
        browser.visit(writer, |session| session.insert("a", 1)).unwrap();
        assert_eq!(browser.sees(reader, "a"), Some(1.into()));
    }
}

#[test]
fn a_time_out_of_the_options_ends_sessions_and_a_use_prolongs_it() {
    let clock = std::sync::Arc::new(ManualClock::new(START));
    let options = read(&[("session.data_serializer", "json"), ("session.timeout", "60")]).unwrap();
    let sessions = Sessions::builder()
        .as_beaker_options(&options)
        .unwrap()
        .with_namespace(
            beaker_namespace::MemoryNamespace::anonymous(
                beaker_namespace::MemoryConfig::new().clock(std::sync::Arc::clone(&clock) as _),
            )
            .unwrap(),
        )
        .build()
        .unwrap();
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
    for _ in 0..3 {
        clock.advance(Duration::from_secs(59));
        browser.visit(&sessions, |session| session.get::<i64>("a")).unwrap();
        assert_eq!(browser.sees(&sessions, "a"), Some(1.into()));
    }
    clock.advance(Duration::from_secs(60));
    assert_eq!(browser.sees(&sessions, "a"), None);
}

#[test]
fn python_s_sessions_are_taken_over_by_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().display().to_string();
    let id = BeakerId::from_bytes([7; 16]);
    let mut data = BeakerData::fresh(Timestamp::from_micros(0), None, "/");
    data.insert("user", "ada".into());
    let text = PayloadCodec::new().encode(&data).unwrap();
    FileSessions::new(dir.path()).write(&id, &text).unwrap();
    let sealed = CookieSession::new("sid", "v", PayloadCodec::new()).unwrap();
    let in_files = [
        ("session.data_dir", data_dir.as_str()),
        ("session.data_serializer", "json"),
        ("session.key", "sid"),
    ];
    let in_cookies = [
        ("session.type", "cookie"),
        ("session.validate_key", "v"),
        ("session.data_serializer", "json"),
        ("session.key", "sid"),
    ];
    for (pairs, cookie) in
        [(&in_files[..], id.expose_text().to_owned()), (&in_cookies, sealed.seal(&data).unwrap())]
    {
        let memory = beaker_namespace::MemoryConfig::new();
        let sessions = Sessions::builder()
            .with_namespace(beaker_namespace::MemoryNamespace::anonymous(memory).unwrap())
            .with_cookie(CookieConfig::named("ours"))
            .reading_beaker_options(&read(pairs).unwrap())
            .and_then(beaker_session::Builder::build)
            .unwrap();
        let mut browser = Browser::with(&format!("sid={cookie}"));
        assert_eq!(browser.sees(&sessions, "user"), Some("ada".into()));
        browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
        assert!(browser.received[0].starts_with("ours="), "{:?}", browser.received);
    }
}
