//! Beaker's own session tests, by their names, on sessions in Beaker's formats.
//
// Where ours is meant to differ the test says how, and `docs/behaviour.md` why. What only concerns
// Python (WSGI environments, attribute access) has no test here.

mod cookie_only;
mod corrupt;
mod expires;
mod saving;

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{ManualClock, Timestamp};
use beaker_session::compat::{
    BeakerCookie, BeakerStore, CookieSession, CryptoType, Encryption, FileSessions, PayloadCodec,
};
use beaker_session::{AccessPolicy, Builder, CorruptPolicy, ErrorKind, Origin, Sessions};

use crate::browser::Browser;

const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

struct Site {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir, clock: Arc::new(ManualClock::new(START)) }
    }

    fn cookie() -> BeakerCookie {
        BeakerCookie::new("beaker.session.id")
            .and_then(|c| c.secret("hoobermas"))
            .expect("a cookie")
    }

    fn encrypted(key: &str) -> PayloadCodec {
        let encryption = Encryption::new(key, "hoobermas").expect("keys");
        PayloadCodec::new().encryption(encryption.crypto_type(CryptoType::AesGcm))
    }

    fn with(&self, codec: PayloadCodec, settings: impl FnOnce(Builder) -> Builder) -> Sessions {
        let store = BeakerStore::new(FileSessions::new(self.dir.path()), codec)
            .timeout(Some(MINUTE))
            .clock(Arc::clone(&self.clock) as _);
        let builder = Sessions::builder().as_beaker(Self::cookie(), store).expect("good settings");
        let builder = builder
            .with_clock(Arc::clone(&self.clock) as _)
            .with_idle(Some(MINUTE))
            .with_access(AccessPolicy::EveryRequest);
        settings(builder).build().expect("they are built")
    }

    fn sessions(&self) -> Sessions {
        self.with(PayloadCodec::new(), |builder| builder)
    }

    fn in_cookies(&self, codec: PayloadCodec, cookie: BeakerCookie) -> Sessions {
        let sealed = CookieSession::new("beaker.session.id", "hoobermas", codec).expect("keys");
        let builder = Sessions::builder().as_beaker_cookies(cookie, sealed, Some(MINUTE));
        let builder = builder.expect("good settings").with_clock(Arc::clone(&self.clock) as _);
        builder.with_idle(Some(MINUTE)).build().expect("they are built")
    }
}

fn logged_in(sessions: &Sessions) -> Browser {
    let mut browser = Browser::new();
    browser
        .visit(sessions, |session| {
            session.insert("Suomi", "Kimi Räikkönen")?;
            session.insert("Great Britain", "Jenson Button")
        })
        .unwrap();
    browser
}

fn is_there(browser: &Browser, sessions: &Sessions) -> bool {
    browser.sees(sessions, "Suomi") == Some("Kimi Räikkönen".into())
}

#[test]
fn test_save_load() {
    let site = Site::new();
    let sessions = site.sessions();
    assert!(is_there(&logged_in(&sessions), &sessions));
}

#[test]
fn test_save_load_encryption() {
    let site = Site::new();
    let sessions = site.with(Site::encrypted("666a19cf7f61c64c"), |builder| builder);
    assert!(is_there(&logged_in(&sessions), &sessions));
}

/// Beaker: by name with each cipher; `cryptography` is what it has by default.
#[test]
fn test_save_load_encryption_cryptography() {
    let site = Site::new();
    let sessions = site.with(Site::encrypted("666a19cf7f61c64c"), |builder| builder);
    let mut browser = logged_in(&sessions);
    browser.visit(&sessions, |session| session.insert("Deutschland", "Sebastian Vettel")).unwrap();
    assert!(is_there(&browser, &sessions));
    // What is stored is not readable without the key.
    let plain = site.sessions();
    assert!(!is_there(&browser, &plain));
}

#[test]
fn test_decryption_failure() {
    let site = Site::new();
    let fails = |builder: Builder| builder.with_corrupt(CorruptPolicy::Fail);
    let browser = logged_in(&site.with(Site::encrypted("666a19cf7f61c64c"), fails));
    let other = site.with(Site::encrypted("asdfasdfasdf"), fails);
    assert_eq!(browser.begin(&other).load().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn test_delete() {
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = logged_in(&sessions);
    let old = browser.clone();
    browser.visit(&sessions, |session| session.delete()).unwrap();
    assert!(browser.is_empty());
    assert!(!is_there(&old, &sessions), "and the record is gone, which Beaker leaves");
}

#[test]
fn test_revert() {
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = logged_in(&sessions);
    browser
        .visit(&sessions, |session| {
            session.remove::<String>("Suomi")?;
            session.insert("Great Britain", "Lewis Hamilton")?;
            session.insert("Italia", "Jarno Trulli")?;
            session.revert()?;
            assert_eq!(session.keys(), ["Great Britain", "Suomi"]);
            Ok(())
        })
        .unwrap();
    assert!(is_there(&browser, &sessions));
}

#[test]
fn test_invalidate() {
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = logged_in(&sessions);
    let old = browser.clone();
    browser
        .visit(&sessions, |session| {
            session.invalidate()?;
            assert!(session.is_empty());
            session.insert("Deutschland", "Sebastian Vettel")
        })
        .unwrap();
    assert_ne!(browser.header(), old.header());
    assert!(!is_there(&browser, &sessions));
    assert!(!is_there(&old, &sessions), "and the old id is worth nothing, which in Beaker it is");
}

#[test]
fn test_regenerate_id() {
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = logged_in(&sessions);
    let old = browser.clone();
    browser.visit(&sessions, |session| session.renew()).unwrap();
    assert_ne!(browser.header(), old.header());
    assert!(is_there(&browser, &sessions));
    assert!(!is_there(&old, &sessions));
}

#[test]
fn test_timeout() {
    let site = Site::new();
    let sessions = site.sessions();
    let browser = logged_in(&sessions);
    site.clock.advance(MINUTE - Duration::from_secs(1));
    assert!(is_there(&browser, &sessions));
    site.clock.advance(2 * MINUTE);
    let session = browser.begin(&sessions).load().unwrap();
    assert_eq!((session.origin(), session.is_new()), (Origin::Unknown, true));
}

#[test]
fn test_timeout_requires_accessed_time() {
    use beaker_session::compat::BeakerOptions;
    let read = |saves: &str| {
        let options = [("session.timeout", "60"), ("session.save_accessed_time", saves)];
        BeakerOptions::from_pairs(options).map(|_| ())
    };
    assert!(read("true").is_ok());
    assert_eq!(read("false").unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn test_cookies_enabled() {
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.get::<String>("a")).unwrap();
    assert!(browser.is_empty(), "none before something is kept");
    browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
    assert!(browser.received[0].starts_with("beaker.session.id="), "{:?}", browser.received);
    browser.visit(&sessions, |session| session.insert("a", 2)).unwrap();
    assert_eq!(browser.received.len(), 0, "and only once");
    browser.visit(&sessions, |session| session.delete()).unwrap();
    assert!(browser.received[0].contains("expires="), "{:?}", browser.received);
}

#[test]
fn test_cookies_disabled() {
    let site = Site::new();
    let sessions = site.sessions();
    let browser = logged_in(&sessions);
    let id = browser.begin(&sessions).load().unwrap().id().unwrap();
    let session = sessions.get_by_id(&id).unwrap().unwrap();
    session.insert("Italia", "Jarno Trulli").unwrap();
    session.save().unwrap();
    session.delete().unwrap();
    session.save().unwrap();
    assert!(!is_there(&browser, &sessions));
}

#[test]
fn test_file_based_replace_optimization() {
    // Other keys of a session's file go with a save: the file has the session alone.
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = logged_in(&sessions);
    let mut files = Vec::new();
    let mut directories = vec![site.dir.path().join("container_file")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    assert_eq!(files.len(), 1);
    browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
    let bytes = std::fs::read(&files[0]).unwrap();
    assert_eq!(bytes.windows(7).filter(|window| window == b"session").count(), 1);
}

#[test]
fn test_use_json_serializer_without_encryption_key() {
    let site = Site::new();
    let sessions = site.in_cookies(PayloadCodec::new(), Site::cookie());
    assert!(is_there(&logged_in(&sessions), &sessions));
}

#[test]
fn test_use_json_serializer_with_encryption_key() {
    let site = Site::new();
    let sessions = site.in_cookies(Site::encrypted("666a19cf7f61c64c"), Site::cookie());
    assert!(is_there(&logged_in(&sessions), &sessions));
}

#[test]
fn test_unrelated_cookie() {
    let site = Site::new();
    let sessions = site.sessions();
    let header = format!("unrelated=1; {}; null; bad[name=2", logged_in(&sessions).header());
    let session = sessions.begin([header.as_bytes()]).load().unwrap();
    assert_eq!(session.get::<String>("Great Britain").unwrap().as_deref(), Some("Jenson Button"));
}

#[test]
fn test_load_deleted_from_storage() {
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = logged_in(&sessions);
    std::fs::remove_dir_all(site.dir.path().join("container_file")).unwrap();
    let old = browser.header();
    browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
    assert_ne!(browser.header(), old, "and the id is not taken over, which in Beaker it is");
}

#[test]
fn test_increment() {
    let site = Site::new();
    for sessions in [site.sessions(), site.in_cookies(PayloadCodec::new(), Site::cookie())] {
        let mut browser = Browser::new();
        let counts =
            [1, 2, 3].map(|_| browser.visit(&sessions, |session| session.add("value", 1)).unwrap());
        assert_eq!(counts, [1, 2, 3]);
    }
}

#[test]
fn test_same_domain() {
    // The second response sends no cookie; the session's own domain stays.
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = Browser::new();
    browser
        .visit(&sessions, |session| {
            session.set_cookie_domain(Some(".hoop.com"))?;
            session.insert("a", 1)
        })
        .unwrap();
    assert!(browser.received[0].contains("Domain=.hoop.com;"), "{:?}", browser.received);
    browser.visit(&sessions, |session| session.insert("a", 2)).unwrap();
    assert_eq!(browser.received.len(), 0);
}

#[test]
fn test_different_domain() {
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = logged_in(&sessions);
    browser.visit(&sessions, |session| session.set_cookie_domain(Some(".hop.com"))).unwrap();
    let sent = browser.received.last().unwrap();
    assert!(sent.contains("Domain=.hop.com;"), "{sent}");
}

#[test]
fn test_load_session_by_id() {
    let site = Site::new();
    let sessions = site.sessions();
    let browser = logged_in(&sessions);
    let id = browser.begin(&sessions).load().unwrap().id().unwrap();
    let session = sessions.get_by_id(&id).unwrap().unwrap();
    assert_eq!(session.get::<String>("Suomi").unwrap().as_deref(), Some("Kimi Räikkönen"));
    site.clock.advance(2 * MINUTE);
    assert!(sessions.get_by_id(&id).unwrap().is_none());
}

/// Beaker: of an app with `auto`, which saves without being told. Changes are always saved here.
#[test]
fn test_auto() {
    let site = Site::new();
    let options = beaker_session::compat::BeakerOptions::from_pairs([
        ("session.auto", "true"),
        ("session.data_serializer", "json"),
        ("session.data_dir", &site.dir.path().display().to_string()),
    ]);
    let sessions = Sessions::builder().as_beaker_options(&options.unwrap());
    let sessions = sessions.and_then(Builder::build).unwrap();
    let mut browser = Browser::new();
    let counts =
        [1, 2, 3].map(|_| browser.visit(&sessions, |session| session.add("value", 1)).unwrap());
    assert_eq!(counts, [1, 2, 3]);
}
