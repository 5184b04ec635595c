//! Ids, keys and where they may turn up.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;

use beaker_backends::proxy::{Encrypted, KeyRing as StoreKeys};
use beaker_namespace::{FileConfig, FileNamespace, Key, Namespace, Scan};
use beaker_session::{Entropy, Error, ErrorKind, RecordKey, SessionId, Sessions, SystemEntropy};

use crate::browser::Browser;
use crate::site::{Site, clock, ring, sealed};

/// 13, F54
#[test]
fn a_million_ids_are_all_different() {
    let mut seen = HashSet::with_capacity(1_000_000);
    for _ in 0..1_000_000 {
        let mut bytes = [0; 16];
        SystemEntropy.fill(&mut bytes).unwrap();
        assert!(seen.insert(bytes));
    }
}

/// 13
#[test]
fn an_id_has_one_text_and_no_other_is_read() {
    let id = SessionId::from_bytes([0xa5; 16]);
    let text = id.expose_text();
    assert_eq!((text.len(), SessionId::parse(&text).unwrap()), (SessionId::TEXT_LEN, id));
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=.";
    for last in alphabet.chars() {
        let other = format!("{}{last}", &text[..21]);
        let same = other == text;
        let read = SessionId::parse(&other).is_ok_and(|read| read == id);
        assert_eq!(read, same, "{last}");
    }
    for odd in ["", "..", "../x", "a/b", "..evil", "\0", &text[..21], &format!("{text}=")] {
        assert_eq!(SessionId::parse(odd).unwrap_err().kind(), ErrorKind::Rejected, "{odd:?}");
    }
}

/// 13, 22, F54: without random bytes there is no id, no token and no cookie.
#[test]
fn a_random_source_that_fails_makes_nothing() {
    #[derive(Debug)]
    struct Dry;
    impl Entropy for Dry {
        fn fill(&self, _: &mut [u8]) -> Result<(), Error> {
            Err(Error::new(ErrorKind::Entropy, "draw random bytes"))
        }
    }
    let site = Site::with(|builder| builder.with_entropy(Arc::new(Dry)));
    let sealed = sealed(&clock(), |builder| builder.with_entropy(Arc::new(Dry)));
    for sessions in [&site.sessions, &sealed] {
        let mut browser = Browser::new();
        let error = browser.visit(sessions, |session| session.insert("a", 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Entropy);
        let session = sessions.begin([]).load().unwrap();
        assert_eq!(session.csrf_token().unwrap_err().kind(), ErrorKind::Entropy);
        assert_eq!(session.renew().unwrap_err().kind(), ErrorKind::Entropy);
        assert!(browser.is_empty());
    }
    assert_eq!(site.entries(), 0);
}

/// 22: equal sessions give different cookies.
#[test]
fn no_two_encrypted_cookies_are_alike() {
    let sessions = sealed(&clock(), |builder| builder);
    let mut seen = HashSet::new();
    for _ in 0..1_000 {
        let mut browser = Browser::new();
        browser.visit(&sessions, |session| session.insert("a", 1)).unwrap();
        // The nonce, behind the key's number.
        let value = browser.header().split_once('=').unwrap().1.to_owned();
        assert!(seen.insert(value[4..36].to_owned()));
    }
}

/// 14, 19: what is on the disk has no id in it, and is in its place.
#[test]
fn a_store_s_dump_has_no_id_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let files = FileNamespace::open("sessions", FileConfig::new(dir.path().join("root"))).unwrap();
    let files: Arc<dyn Namespace> = Arc::new(files);
    let sessions = Sessions::builder().with_namespace(Arc::clone(&files)).build().unwrap();
    let mut browser = Browser::new();
    let id = browser
        .visit(&sessions, |session| {
            session.insert("marker", "in the record")?;
            session.save()?;
            Ok(session.id().unwrap())
        })
        .unwrap();
    let dump = dump(dir.path());
    let has = |bytes: &[u8]| dump.windows(bytes.len()).any(|window| window == bytes);
    assert!(has(b"in the record"), "control: the dump has the record");
    assert!(!has(id.as_bytes()) && !has(id.expose_text().as_bytes()));
}

/// 19
#[test]
fn odd_ids_make_no_file_and_reach_none() {
    let dir = tempfile::tempdir().unwrap();
    let files = FileNamespace::open("sessions", FileConfig::new(dir.path().join("root"))).unwrap();
    let sessions = Sessions::builder().with_namespace(Arc::new(files)).build().unwrap();
    let before = dump(dir.path()).len();
    let long = "x".repeat(4_096);
    for odd in ["..evil", "../x", "a/b", "..%2f..%2fx", "ä", &long] {
        let header = format!("__Host-id={odd}");
        let session = sessions.begin([header.as_bytes()]).load().unwrap();
        assert!(session.is_empty());
    }
    assert_eq!(dump(dir.path()).len(), before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing outside of the root");
}

/// Names and contents of all that is below `dir`.
fn dump(dir: &std::path::Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        all.extend(entry.file_name().into_encoded_bytes());
        if entry.file_type().unwrap().is_dir() {
            all.extend(dump(&entry.path()));
        } else {
            all.extend(fs::read(entry.path()).unwrap());
        }
    }
    all
}

/// 15: under encryption at rest a record that was moved to another session is refused.
#[test]
fn swapped_records_are_corrupt_and_open_no_other_s_session() {
    let site = Site::new();
    let keys = StoreKeys::new(1, &[7; 32]).unwrap();
    let encrypted: Arc<dyn Namespace> = Arc::new(Encrypted::new(site.store.clone(), keys));
    let sessions = Sessions::builder().with_namespace(encrypted).build().unwrap();
    let [mut ada, mut grace] = [Browser::new(), Browser::new()];
    ada.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
    grace.visit(&sessions, |session| session.insert("user", "grace")).unwrap();
    assert_eq!(ada.sees(&sessions, "user"), Some("ada".into()), "control");

    let keys: Vec<Key> =
        site.store.scan(&Scan::new()).unwrap().entries.into_iter().map(|e| e.key).collect();
    let [one, two] = [0, 1].map(|at: usize| site.store.get(&keys[at]).unwrap().unwrap());
    site.store.set(&keys[0], two).unwrap();
    site.store.set(&keys[1], one).unwrap();
    assert_eq!(ada.sees(&sessions, "user"), None);
    assert_eq!(grace.sees(&sessions, "user"), None);
    assert_eq!(sessions.counts().corrupt, 2);
}

/// 16, F61
#[test]
fn nothing_that_is_printed_has_an_id_a_key_or_a_value() {
    let secret = ring(1);
    let site = Site::with(|builder| builder.with_keys(ring(1)));
    let mut browser = Browser::new();
    let request = browser.begin(&site.sessions);
    let session = request.load().unwrap();
    session.insert("word", "hunter2").unwrap();
    session.save().unwrap();
    let id = session.id().unwrap();
    let shown = [
        format!("{session:?} {request:?} {id:?} {secret:?} {:?}", session.key()),
        format!("{:?} {:?}", site.sessions, site.sessions.store()),
        format!("{:?}", session.get::<u32>("word").unwrap_err()),
        session.get::<u32>("word").unwrap_err().to_string(),
        session.verify_csrf("hunter2").unwrap_err().to_string(),
    ];
    let outgoing = request.commit().unwrap();
    browser.receive(&outgoing);
    let cookie = browser.header().split_once('=').unwrap().1.to_owned();
    let secrets = [
        "hunter2".to_owned(),
        id.expose_text(),
        format!("{:?}", id.as_bytes()),
        crate::site::secret(1).expose_text().to_string(),
        cookie,
    ];
    for text in shown.into_iter().chain([format!("{outgoing:?}")]) {
        for secret in &secrets {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

/// What is shown to a user to choose a device by is no way in.
#[test]
fn a_device_s_key_is_not_its_id() {
    let site = Site::new();
    let mut browser = Browser::new();
    let (id, key) = browser
        .visit(&site.sessions, |session| {
            session.insert("a", 1)?;
            session.save()?;
            Ok((session.id().unwrap(), session.key().unwrap()))
        })
        .unwrap();
    let text = key.to_text().unwrap();
    assert_eq!(RecordKey::parse(&text).unwrap(), key);
    assert!(!text.contains(&id.expose_text()));
    assert!(!SessionId::parse(&text[..22]).is_ok_and(|forged| forged == id));
    assert_eq!(id.plain().to_text(), None, "a plain id is not for showing");
}
