//! Beaker's own session tests, by their names, on sessions in Beaker's formats: here, in `corrupt` and
//! in `saving` those of its `test_session.py`; the others in a module for each of its files.
//
// Where ours is meant to differ the test says how, and `docs/behaviour.md` why. What only concerns
// Python (WSGI environments, attribute access) has no test here.

mod cookie_domain_only;
mod cookie_expires;
mod cookie_only;
mod corrupt;
mod domain_setting;
mod increment;
mod saving;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{ManualClock, Timestamp};
use beaker_session::compat::{
    BeakerCookie, BeakerId, BeakerStore, CookieSession, CryptoType, Encryption, FileSessions,
    PayloadCodec,
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
        self.with_cookie(Self::cookie(), codec, settings)
    }

    fn with_cookie(
        &self,
        cookie: BeakerCookie,
        codec: PayloadCodec,
        settings: impl FnOnce(Builder) -> Builder,
    ) -> Sessions {
        let store = BeakerStore::new(FileSessions::new(self.dir.path()), codec)
            .timeout(Some(MINUTE))
            .clock(Arc::clone(&self.clock) as _);
        let builder = Sessions::builder().as_beaker(cookie, store).expect("good settings");
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

/// The files of sessions.
fn stored_files(site: &Site) -> Vec<PathBuf> {
    let (mut files, mut directories) = (Vec::new(), vec![site.dir.path().join("container_file")]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { directories.push(path) } else { files.push(path) }
        }
    }
    files
}

fn stored_ids(site: &Site) -> Vec<BeakerId> {
    let id = |path: &PathBuf| BeakerId::parse(path.file_stem()?.to_str()?).ok();
    stored_files(site).iter().map(|path| id(path).expect("an id")).collect()
}

/// The attributes of a new session's cookie.
fn attributes(sessions: &Sessions) -> String {
    let browser = logged_in(sessions);
    browser.received[0].split_once("; ").expect("attributes").1.to_owned()
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
    site.clock.advance(Duration::from_secs(1));
    browser
        .visit(&sessions, |session| {
            session.invalidate()?;
            assert!(session.is_empty());
            session.insert("Deutschland", "Sebastian Vettel")
        })
        .unwrap();
    assert_ne!(browser.header(), old.header());
    assert!(!is_there(&browser, &sessions));
    let created = browser.begin(&sessions).load().unwrap().created();
    assert_eq!(
        created,
        Some(START.saturating_add(Duration::from_secs(1))),
        "it is another session"
    );
    assert!(!is_there(&old, &sessions), "and the old id is worth nothing, which in Beaker it is");
}

#[test]
fn test_regenerate_id() {
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = logged_in(&sessions);
    let old = browser.clone();
    let request = browser.begin(&sessions);
    let session = request.load().unwrap();
    session.renew().unwrap();
    assert_eq!(session.get::<String>("Suomi").unwrap().as_deref(), Some("Kimi Räikkönen"));
    assert_eq!(stored_ids(&site).len(), 1, "before the save nothing is under the new id");
    assert!(is_there(&old, &sessions), "and all is under the old one");
    session.save().unwrap();
    let id = session.id().unwrap();
    browser.receive(&request.commit().unwrap());
    assert_ne!(browser.header(), old.header());
    assert!(browser.header().ends_with(BeakerId::from_bytes(*id.as_bytes()).expose_text()));
    assert!(is_there(&browser, &sessions));
    assert!(!is_there(&old, &sessions));
}

#[test]
fn test_timeout() {
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = logged_in(&sessions);
    let seen = |browser: &Browser| {
        let session = browser.begin(&sessions).load().unwrap();
        (session.id(), session.created())
    };
    let first = seen(&browser);
    site.clock.advance(MINUTE - Duration::from_secs(1));
    browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
    assert_eq!(seen(&browser), first, "the same one, made when it was");
    assert!(is_there(&browser, &sessions));
    site.clock.advance(2 * MINUTE);
    let session = browser.begin(&sessions).load().unwrap();
    assert_eq!((session.origin(), session.is_new()), (Origin::Unknown, true));
    browser.visit(&sessions, |session| session.insert("Deutschland", "Sebastian Vettel")).unwrap();
    let second = seen(&browser);
    assert!(second.0 != first.0 && second.1 > first.1, "another id, made later");
    assert!(!is_there(&browser, &sessions));
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

    browser
        .visit(&sessions, |session| {
            session.set_cookie_domain(Some("example.com"))?;
            session.set_cookie_path(Some("/example"))
        })
        .unwrap();
    let sent = &browser.received[0];
    assert!(sent.contains("; Domain=example.com; Path=/example;"), "without any value: {sent}");

    let bare = |cookie| attributes(&site.in_cookies(PayloadCodec::new(), cookie));
    assert_eq!(bare(Site::cookie().secure()), "Path=/; SameSite=Lax; Secure");
    assert_eq!(bare(Site::cookie().http_only()), "HttpOnly; Path=/; SameSite=Lax");
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

/// Beaker: whatever else is in a session's file goes when the session is saved.
#[test]
fn test_file_based_replace_optimization() {
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = logged_in(&sessions);
    let [path] = &stored_files(&site)[..] else { panic!("one file") };
    let bytes = std::fs::read(path).unwrap();
    // One more pair of texts in the pickled dictionary, before its end.
    let (pickle, end) = bytes.split_at(bytes.len() - 1);
    let foreign = [pickle, b"X\x04\0\0\0testX\x09\0\0\0some tests", end].concat();
    std::fs::write(path, &foreign).unwrap();
    let has = |name: &[u8]| std::fs::read(path).unwrap().windows(name.len()).any(|at| at == name);
    assert!(is_there(&browser, &sessions) && has(b"some test"), "reading leaves it");
    browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
    assert!(!has(b"some test"), "the file has the session alone");
    assert_eq!(browser.sees(&sessions, "a"), Some(1.into()));
    assert!(is_there(&browser, &sessions));
}

/// Beaker: what is in the file is this JSON.
fn is_json_in_its_file(codec: &PayloadCodec) {
    let site = Site::new();
    let sessions = site.with(codec.clone(), |builder| builder);
    let browser = logged_in(&sessions);
    assert!(is_there(&browser, &sessions));
    let [id] = &stored_ids(&site)[..] else { panic!("one session") };
    let text = FileSessions::new(site.dir.path()).read(id).unwrap().expect("it is there");
    let data = codec.decode(&text).unwrap();
    assert_eq!(data.get("Suomi"), Some(&"Kimi Räikkönen".into()));
    assert_eq!(data.created(), Some(START));
}

#[test]
fn test_use_json_serializer_without_encryption_key() {
    is_json_in_its_file(&PayloadCodec::new());
}

#[test]
fn test_use_json_serializer_with_encryption_key() {
    is_json_in_its_file(&Site::encrypted("666a19cf7f61c64c"));
}

#[test]
fn test_unrelated_cookie() {
    let site = Site::new();
    let in_cookies = site.in_cookies(Site::encrypted("encrypt"), Site::cookie());
    for sessions in [site.sessions(), in_cookies] {
        let ours = logged_in(&sessions).header();
        let headers =
            [format!("{ours}; some.other=cookie"), format!("a=1; {ours}; null; bad[name=2")];
        for header in headers {
            let session = sessions.begin([header.as_bytes()]).load().unwrap();
            let found = session.get::<String>("Great Britain").unwrap();
            assert_eq!(found.as_deref(), Some("Jenson Button"), "{header}");
        }
    }
}

#[test]
#[expect(non_snake_case, reason = "Beaker's name")]
fn test_load_deleted_from_storage_session__not_loaded() {
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = logged_in(&sessions);
    std::fs::remove_dir_all(site.dir.path().join("container_file")).unwrap();
    let old = browser.header();
    browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
    assert_ne!(browser.header(), old, "and the id is not taken over, which in Beaker it is");
}
