//! Side by side with a program that uses Python's Beaker 1.14.1: one store, one browser.
//
// Beaker and its `cryptography` are installed from PyPI into a directory beside the tests'
// executables, once. Where that is not possible the tests are skipped, and say so on the standard
// output, past the harness.

mod browser;
mod install;
mod program;

use std::path::Path;

use beaker_session::compat::{
    BeakerCookie, BeakerId, BeakerOptions, BeakerStore, CookieSession, Encryption, FileSessions,
    PayloadCodec,
};
use beaker_session::{AccessPolicy, CookieConfig, ErrorKind, Sessions};
use serde_json::{Value, json};

pub(super) use self::browser::{Browser, login, logout, request, user};
pub(super) use self::install::{redis_server, server_packages, skip};
pub(super) use self::program::Beaker;

/// How the records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Encrypted,
}

const FORMS: [Form; 2] = [Form::Plain, Form::Encrypted];

impl Form {
    fn codec(self) -> PayloadCodec {
        match self {
            Self::Plain => PayloadCodec::new(),
            Self::Encrypted => PayloadCodec::new()
                .encryption(Encryption::new("encrypt key", "validate key").expect("good keys")),
        }
    }

    fn options(self, mut options: Value) -> Value {
        options["data_serializer"] = "json".into();
        options["key"] = "sid".into();
        if self == Self::Encrypted {
            options["encrypt_key"] = "encrypt key".into();
            options["validate_key"] = "validate key".into();
            options["crypto_type"] = "cryptography".into();
        }
        options
    }

    /// Beaker with files in `dir`.
    fn files(self, dir: &Path) -> Option<Beaker> {
        let dir = dir.display().to_string();
        let options = json!({"type": "file", "data_dir": dir, "secret": "s3cret", "timeout": 600});
        Beaker::start(self.options(options))
    }

    fn store(self, dir: &Path) -> BeakerStore {
        let timeout = std::time::Duration::from_secs(600);
        BeakerStore::new(FileSessions::new(dir), self.codec()).timeout(Some(timeout))
    }
}

fn cookie() -> BeakerCookie {
    BeakerCookie::new("sid").and_then(|cookie| cookie.secret("s3cret")).expect("a cookie")
}

/// Ours, the same as Beaker's.
fn shared(form: Form, dir: &Path) -> Sessions {
    let built = Sessions::builder().with_access(AccessPolicy::EveryRequest);
    built
        .as_beaker(cookie(), form.store(dir))
        .expect("good settings")
        .build()
        .expect("they are built")
}

#[test]
fn a_login_in_either_program_is_seen_by_the_other_and_so_is_a_logout() {
    for form in FORMS {
        let dir = tempfile::tempdir().unwrap();
        let Some(mut beaker) = form.files(dir.path()) else { return };
        let ours = shared(form, dir.path());

        let browser = &mut Browser::default();
        beaker.login(browser, "ada");
        assert_eq!(user(&ours, browser).as_deref(), Some("ada"), "{form:?}");
        logout(&ours, browser);
        assert_eq!(beaker.seen(browser), json!({}), "{form:?}");

        let browser = &mut Browser::default();
        login(&ours, browser, "grace");
        assert_eq!(beaker.seen(browser)["user"], "grace", "{form:?}");
        let before = browser.clone();
        beaker.request(browser, json!({"do": "logout"}));
        assert_eq!(user(&ours, browser), None, "{form:?}");
        // Beaker leaves the record, so the old cookie is still worth something: D56.
        assert_eq!(user(&ours, &mut before.clone()).as_deref(), Some("grace"));
    }
}

#[test]
fn a_logout_here_is_real_for_python_too() {
    for form in FORMS {
        let dir = tempfile::tempdir().unwrap();
        let Some(mut beaker) = form.files(dir.path()) else { return };
        let ours = shared(form, dir.path());
        let browser = &mut Browser::default();
        beaker.login(browser, "ada");
        let stolen = browser.clone();
        logout(&ours, browser);
        assert_eq!(beaker.seen(&mut stolen.clone()), json!({}), "{form:?}");
        assert_eq!(user(&ours, &mut stolen.clone()), None, "{form:?}");
    }
}

#[test]
fn both_programs_change_one_session_and_carry_along_what_they_do_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut beaker) = Form::Encrypted.files(dir.path()) else { return };
    let ours = shared(Form::Encrypted, dir.path());
    let browser = &mut Browser::default();
    beaker.login(browser, "ada");
    request(&ours, browser, |session| {
        session.insert("theme", "dark").expect("it is put in");
        session.set_limits(None, None).expect("it lives for ever");
    });
    for visits in 1..=3 {
        let seen = beaker.request(browser, json!({"do": "visit"}));
        assert_eq!(seen, json!({"user": "ada", "visits": visits, "theme": "dark"}));
    }
    request(&ours, browser, |session| {
        assert_eq!(session.get::<u32>("visits").expect("a number"), Some(3));
        // What Beaker has no name for is still there: without it there would be a time-out.
        assert!(session.expires().is_some_and(|end| end.is_never()));
    });
}

#[test]
fn a_renewal_in_either_program_is_followed_by_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut beaker) = Form::Plain.files(dir.path()) else { return };
    let ours = shared(Form::Plain, dir.path());
    let browser = &mut Browser::default();
    beaker.login(browser, "ada");
    let old = browser.clone();
    request(&ours, browser, |session| session.renew().expect("it is renewed"));
    assert_ne!(browser.header(), old.header());
    assert_eq!(beaker.seen(browser)["user"], "ada");
    // The old id has no data in either program.
    assert_eq!(beaker.seen(&mut old.clone()), json!({}));
    assert_eq!(user(&ours, &mut old.clone()), None);

    beaker.request(browser, json!({"do": "renew"}));
    assert_eq!(user(&ours, browser).as_deref(), Some("ada"));
}

#[test]
fn a_session_that_is_all_in_the_cookie_is_shared() {
    for form in FORMS {
        let options = json!({"type": "cookie", "validate_key": "validate key"});
        let Some(mut beaker) = Beaker::start(form.options(options)) else { return };
        let sealed = CookieSession::new("sid", "validate key", form.codec()).unwrap();
        let ours = Sessions::builder()
            .as_beaker_cookies(BeakerCookie::new("sid").unwrap(), sealed, None)
            .and_then(beaker_session::Builder::build)
            .unwrap();
        let browser = &mut Browser::default();
        beaker.login(browser, "ada");
        assert_eq!(user(&ours, browser).as_deref(), Some("ada"), "{form:?}");
        request(&ours, browser, |session| session.insert("theme", "dark").expect("it is put in"));
        let seen = beaker.request(browser, json!({"do": "visit"}));
        assert_eq!(seen, json!({"user": "ada", "visits": 1, "theme": "dark"}), "{form:?}");
        logout(&ours, browser);
        assert_eq!(beaker.seen(browser), json!({}), "{form:?}");
    }
}

#[test]
fn the_read_only_bridge_takes_a_python_session_over_and_leaves_its_record() {
    for form in FORMS {
        let dir = tempfile::tempdir().unwrap();
        let Some(mut beaker) = form.files(dir.path()) else { return };
        let memory =
            beaker_namespace::MemoryNamespace::anonymous(beaker_namespace::MemoryConfig::new());
        let ours = Sessions::builder()
            .with_cookie(CookieConfig::insecure_for_development())
            .with_namespace(memory.unwrap())
            .reading_beaker(cookie(), form.store(dir.path()))
            .and_then(beaker_session::Builder::build)
            .unwrap();
        let browser = &mut Browser::default();
        beaker.login(browser, "ada");
        let id = browser.id();
        let files = FileSessions::new(dir.path());
        let record = files.read(&id).unwrap();

        assert_eq!(user(&ours, browser).as_deref(), Some("ada"), "{form:?}");
        assert!(!browser.0.contains_key("id"), "a look makes no session of ours");
        request(&ours, browser, |session| session.insert("theme", "dark").expect("it is put in"));
        assert!(browser.0.contains_key("id"));
        let theme = request(&ours, browser, |session| session.get::<String>("theme"));
        assert_eq!(theme.unwrap().as_deref(), Some("dark"));
        assert_eq!(user(&ours, browser).as_deref(), Some("ada"), "{form:?}");
        // Nothing of Beaker's was changed.
        assert_eq!(files.read(&id).unwrap(), record);

        // After a logout neither cookie is left.
        let stolen = browser.0["sid"].clone();
        logout(&ours, browser);
        assert_eq!(browser.header(), "", "{form:?}");
        assert_eq!(user(&ours, browser), None);
        // Who kept Beaker's cookie has no session here any more, although the record is there.
        browser.0.insert("sid".to_owned(), stolen);
        assert_eq!(files.read(&id).unwrap(), record);
        assert_eq!(user(&ours, browser), None, "{form:?}");
    }
}

/// A Python program's options, all of them texts, as we read them.
pub(super) fn read(options: &Value) -> BeakerOptions {
    let options = options.as_object().expect("an object").iter();
    let pairs: Vec<(String, String)> = options
        .map(|(name, value)| (format!("session.{name}"), value.as_str().expect("a text").into()))
        .collect();
    let read = BeakerOptions::from_pairs(pairs).and_then(|read| read.refuse_unknown(&[]));
    read.expect("good options")
}

/// Ours, as the options say.
pub(super) fn configured(options: &BeakerOptions) -> Sessions {
    let ours = Sessions::builder().as_beaker_options(options);
    ours.and_then(beaker_session::Builder::build).expect("good options")
}

// CONF-16, SES-57: the same options, all of them texts, for both programs.
#[test]
fn one_configuration_of_texts_makes_both_programs_share_their_sessions() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().display().to_string();
    let common = json!({
        "data_serializer": "json", "key": "sid", "encrypt_key": "encrypt key",
        "validate_key": "validate key", "encrypt_nonce_bits": "64", "httponly": "yes",
        "save_accessed_time": "true", "cookie_expires": "false", "invalidate_corrupt": "t",
    });
    let places = [
        json!({"type": "file", "data_dir": data_dir, "secret": "s3cret", "timeout": "600"}),
        json!({"data_dir": data_dir, "secret": "another", "lock_dir": format!("{data_dir}/l")}),
        json!({"type": "cookie", "timeout": "600"}),
        // A Python without GNU dbm.
        #[cfg(feature = "beaker-dbm")]
        json!({"type": "dbm", "data_dir": data_dir, "secret": "s3cret"}),
    ];
    for place in places {
        let mut options = common.clone();
        let all = options.as_object_mut().unwrap();
        all.extend(place.as_object().unwrap().clone());
        let ours = configured(&read(&options));
        let Some(mut beaker) = Beaker::start(options) else { return };
        let browser = &mut Browser::default();
        beaker.login(browser, "ada");
        assert_eq!(user(&ours, browser).as_deref(), Some("ada"), "{place}");
        request(&ours, browser, |session| session.insert("theme", "dark").expect("it is put in"));
        let seen = beaker.request(browser, json!({"do": "visit"}));
        assert_eq!(seen, json!({"user": "ada", "visits": 1, "theme": "dark"}), "{place}");
        let stolen = browser.clone();
        logout(&ours, browser);
        assert_eq!(browser.header(), "", "{place}");
        if place["type"] != "cookie" {
            assert_eq!(beaker.seen(&mut stolen.clone()), json!({}), "{place}");
        }
    }
}

// SES-23, WIRE-1.
#[test]
fn a_lock_that_python_holds_keeps_us_out() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut beaker) = Form::Plain.files(dir.path()) else { return };
    let files = FileSessions::new(dir.path()).lock_timeout(std::time::Duration::ZERO);
    let id = BeakerId::from_bytes([7; 16]);
    let browser = &mut Browser::default();
    beaker.request(browser, json!({"do": "lock", "id": id.expose_text()}));
    assert_eq!(files.write(&id, "x").unwrap_err().kind(), ErrorKind::Unavailable);
    beaker.request(browser, json!({"do": "unlock", "id": id.expose_text()}));
    files.write(&id, "x").unwrap();
}

// The control: what makes these tests pass is the keys that both programs have.
#[test]
fn with_other_keys_neither_program_reads_the_other_s_sessions() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut beaker) = Form::Encrypted.files(dir.path()) else { return };
    let other = BeakerCookie::new("sid").unwrap().secret("another").unwrap();
    let unsigned = Sessions::builder().as_beaker(other, Form::Encrypted.store(dir.path()));
    let undecrypted = Sessions::builder().as_beaker(cookie(), Form::Plain.store(dir.path()));
    for ours in [unsigned, undecrypted] {
        let ours = ours.unwrap().build().unwrap();
        let browser = &mut Browser::default();
        beaker.login(browser, "ada");
        assert_eq!(user(&ours, browser), None);
        let browser = &mut Browser::default();
        login(&ours, browser, "grace");
        assert_eq!(beaker.seen(browser), json!({}));
    }
}
