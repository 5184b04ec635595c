//! Damaged records of Python's, damaged files around them, and damaged marks that their sessions have ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use beaker_backends::proxy::{Encrypted, KeyRing};
use beaker_namespace::Clock;
use beaker_session::compat::{
    BeakerId, BeakerStore, Change, FileSessions, PayloadCodec, TextStore,
};
use beaker_session::{
    Builder, CookieConfig, CorruptPolicy, Created, Data, Deleted, ErrorKind, Loaded, Record,
    Rescued, SessionStore, Sessions,
};

use super::bridge::{ID, Reading, START, cookie, python_session};
use crate::site::flip_all;

/// Python can read what we cannot, or mends it: who has logged out meanwhile stays out.
#[test]
fn who_logs_out_while_pythons_record_is_damaged_stays_out_when_it_is_mended() {
    let rescue = CorruptPolicy::custom(|_key, _error| panic!("it is asked"));
    for policy in [CorruptPolicy::Fresh, CorruptPolicy::Fail, rescue] {
        let site = Reading::with(cookie(), |builder| builder.with_corrupt(policy));
        let (header, id) = (Reading::header(), BeakerId::from_bytes([7; 16]));
        site.python.files().write(&id, "not a payload").unwrap();
        let request = site.sessions.begin([header.as_bytes()]);
        request.delete().unwrap();
        let outgoing = request.commit().unwrap();
        assert!(outgoing.set_cookies().any(|cookie| cookie.starts_with("sid=;")), "{outgoing:?}");
        site.python.put(ID, &python_session());
        assert_eq!(site.user(&header), None);
    }
}

#[test]
fn who_logged_out_stays_out_also_when_the_mark_of_that_is_damaged() {
    let site = Reading::new(cookie());
    let keys = KeyRing::new(1, &[7; 32]).unwrap();
    let sessions = Sessions::builder()
        .with_namespace(Arc::new(Encrypted::new(Arc::clone(&site.memory), keys)))
        .with_cookie(CookieConfig::named("ours"))
        .with_clock(Arc::clone(&site.python.clock) as Arc<dyn Clock>)
        .reading_beaker(cookie(), site.python.store())
        .and_then(Builder::build)
        .unwrap();
    let (site, header) = (Reading { sessions, ..site }, Reading::header());
    assert_eq!(site.user(&header).as_deref(), Some("ada"), "control");
    site.request(&header, |session| session.delete().expect("it ends"));
    flip_all(&site.memory);
    for _look in 1..=2 {
        assert_eq!(site.user(&header), None);
        assert_eq!(site.sessions.counts().corrupt, 1, "a good one was made in its place");
    }
}

#[test]
fn what_was_rescued_of_pythons_is_not_rescued_again_after_a_logout() {
    let rescue = || Rescued::Values(Data::from([("user".to_owned(), "copy".into())]));
    let policy = CorruptPolicy::custom(move |_key, _error| rescue());
    let site = Reading::with(cookie(), |builder| builder.with_corrupt(policy));
    let header = Reading::header();
    site.python.files().write(&BeakerId::from_bytes([7; 16]), "not a payload").unwrap();
    let sent = site.request(&header, |session| session.insert("theme", "dark").expect("it is put"));
    let ours = sent[0].split(';').next().unwrap();
    assert_eq!(site.user(ours).as_deref(), Some("copy"));
    // Python's cookie is not in this request.
    site.request(ours, |session| session.delete().expect("it ends"));
    assert_eq!(site.user(&header), None);
}

/// Another tab has renewed our session a moment ago: what comes in place of Python's is none of its business.
#[test]
fn what_is_rescued_of_pythons_leaves_our_renewed_session_alone() {
    let rescue = || Rescued::Values(Data::from([("user".to_owned(), "copy".into())]));
    let policy = CorruptPolicy::custom(move |_key, _error| rescue());
    let site = Reading::with(cookie(), |builder| builder.with_corrupt(policy));
    let pair = |sent: Vec<String>| sent[0].split(';').next().unwrap().to_owned();
    let old = pair(site.request("", |session| session.insert("user", "grace").expect("it is put")));
    let new = pair(site.request(&old, |session| session.renew().expect("it is renewed")));
    site.python.files().write(&BeakerId::from_bytes([7; 16]), "not a payload").unwrap();
    let both = format!("{old}; {}", Reading::header());
    let rescued = pair(site.request(&both, |session| session.insert("more", 1).expect("put")));
    assert_eq!(site.user(&rescued).as_deref(), Some("copy"), "control");
    assert_eq!(site.user(&new).as_deref(), Some("grace"));
    // A logout is meant for all that the cookies name.
    site.request(&both, |session| session.delete().expect("it ends"));
    assert_eq!(site.user(&new), None);
}

/// A layout with one session of Python's, in a file that was damaged.
struct Damaged {
    name: &'static str,
    texts: Arc<dyn TextStore>,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Damaged {
    fn new(
        name: &'static str,
        open: impl FnOnce(&Path) -> (Arc<dyn TextStore>, PathBuf),
        damage: impl FnOnce(Vec<u8>) -> Vec<u8>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (texts, file) = open(dir.path());
        let text = PayloadCodec::new().encode(&python_session()).unwrap();
        texts.update(&python_id(), &mut |_| Ok(Change::Replace(text.clone()))).unwrap();
        assert_eq!(texts.read(&python_id()).unwrap(), Some(text), "{name}: control");
        fs::write(&file, damage(fs::read(&file).unwrap())).unwrap();
        let error = texts.read(&python_id()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
        Self { name, texts, file, _dir: dir }
    }

    fn store(&self) -> BeakerStore {
        BeakerStore::new(Arc::clone(&self.texts), PayloadCodec::new())
    }

    fn sessions(&self, policy: CorruptPolicy) -> Sessions {
        let builder = Sessions::builder().with_corrupt(policy);
        builder.as_beaker(cookie(), self.store()).and_then(Builder::build).unwrap()
    }
}

fn python_id() -> BeakerId {
    BeakerId::from_bytes([7; 16])
}

fn junk(_: Vec<u8>) -> Vec<u8> {
    b"neither a pickle nor a file of any dbm".to_vec()
}

fn halved(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() / 2);
    bytes
}

fn in_files() -> Vec<Damaged> {
    let open = |dir: &Path| {
        let files = FileSessions::new(dir);
        let path = files.path(&python_id()).unwrap();
        (Arc::new(files) as Arc<dyn TextStore>, path)
    };
    let emptied = |_| Vec::new();
    vec![
        Damaged::new("junk in a file", open, junk),
        Damaged::new("a file cut short", open, halved),
        Damaged::new("an empty file", open, emptied),
    ]
}

#[cfg(feature = "beaker-dbm")]
fn in_dbm_files() -> Vec<Damaged> {
    use beaker_session::compat::{DbmFormat, DbmSessions};

    let open = |format, suffix: &'static str| {
        move |dir: &Path| {
            let sessions = DbmSessions::new(dir).format(format);
            let path = sessions.path(&python_id()).unwrap();
            let file = format!("{}{suffix}", path.display());
            (Arc::new(sessions) as Arc<dyn TextStore>, PathBuf::from(file))
        }
    };
    let (gnu, index, values) =
        (open(DbmFormat::Gnu, ""), open(DbmFormat::Dumb, ".dir"), open(DbmFormat::Dumb, ".dat"));
    let other = |bytes: Vec<u8>| vec![b'x'; bytes.len()];
    vec![
        Damaged::new("junk for GNU dbm", gnu, junk),
        Damaged::new("GNU dbm cut short", gnu, halved),
        Damaged::new("junk for the index of dbm.dumb", index, junk),
        Damaged::new("values of dbm.dumb cut short", values, halved),
        Damaged::new("junk among the values of dbm.dumb", values, other),
    ]
}

fn everywhere() -> Vec<Damaged> {
    #[cfg_attr(not(feature = "beaker-dbm"), expect(unused_mut, reason = "dbm adds some"))]
    let mut all = in_files();
    #[cfg(feature = "beaker-dbm")]
    all.extend(in_dbm_files());
    all
}

#[test]
fn a_logout_ends_a_session_whose_file_is_damaged_under_each_policy() {
    let rescue = || CorruptPolicy::custom(|_key, _error| panic!("it is asked"));
    for policy in [|| CorruptPolicy::Fresh, || CorruptPolicy::Fail, rescue] {
        for damaged in everywhere() {
            let name = damaged.name;
            let sessions = damaged.sessions(policy());
            let request = sessions.begin([Reading::header().as_bytes()]);
            request.delete().unwrap_or_else(|error| panic!("{name}: {error}"));
            let outgoing = request.commit().unwrap_or_else(|error| panic!("{name}: {error}"));
            let forgets = outgoing.set_cookies().any(|cookie| cookie.starts_with("sid=;"));
            assert!(forgets, "{name}: {outgoing:?}");
            assert_eq!(damaged.texts.read(&python_id()).unwrap(), None, "{name}");
            assert!(!damaged.file.exists(), "{name}");
        }
    }
}

#[test]
fn what_is_rescued_of_a_damaged_file_is_stored_once_and_ends_by_a_logout() {
    for damaged in everywhere() {
        let name = damaged.name;
        let rescue = || Rescued::Values(Data::from([("user".to_owned(), "copy".into())]));
        let sessions = damaged.sessions(CorruptPolicy::custom(move |_key, _error| rescue()));
        let request = |header: &str, act: &dyn Fn(&beaker_session::Session)| {
            let request = sessions.begin([header.as_bytes()]);
            act(&request.load().unwrap_or_else(|error| panic!("{name}: {error}")));
            let outgoing = request.commit().unwrap_or_else(|error| panic!("{name}: {error}"));
            outgoing.set_cookies().map(str::to_owned).collect::<Vec<_>>()
        };
        let values = |header: &str| {
            let session = sessions.begin([header.as_bytes()]).load().unwrap();
            ["user", "theme", "more"].map(|key| session.get::<String>(key).unwrap())
        };
        let put = |header: &str, key: &'static str| {
            request(header, &|session| session.insert(key, "put").expect("it is put"))
        };
        let sent = put(&Reading::header(), "theme");
        let rescued = sent[0].split(';').next().unwrap();
        put(rescued, "more");
        assert_eq!(values(rescued), ["copy", "put", "put"].map(|text| Some(text.to_owned())));
        assert_eq!(sessions.counts().corrupt, 1, "{name}: asked once");
        request(rescued, &|session| session.delete().expect("it ends"));
        for header in [rescued, &Reading::header()] {
            assert_eq!(values(header), [None, None, None], "{name}");
        }
        assert_eq!(sessions.counts().corrupt, 1, "{name}: asked once");
    }
}

/// Who does not know that it is damaged replaces nothing.
#[test]
fn a_damaged_file_is_nobodys_to_replace_who_expects_a_session_or_none() {
    for damaged in everywhere() {
        let (name, store, key) = (damaged.name, damaged.store(), ID.plain());
        let before = fs::read(&damaged.file).unwrap();
        let record = Arc::new(Record::new(START));
        let other = beaker_session::SessionId::from_bytes([8; 16]).plain();
        assert!(matches!(store.create(&other, &record).unwrap(), Created::Created(_)));
        let Loaded::Present(good) = store.load(&other).unwrap() else { panic!("it is there") };
        let error = store.update(&key, good.version, &record).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}");
        assert_eq!(store.touch(&key, START).unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
        assert_eq!(store.create(&key, &record).unwrap(), Created::Exists, "{name}");
        assert_eq!(fs::read(&damaged.file).unwrap(), before, "{name}");
        assert_eq!(store.delete(&key).unwrap(), Deleted::Deleted, "{name}");
        assert_eq!(store.delete(&key).unwrap(), Deleted::Absent, "{name}");
    }
}

/// It is an error of the site's set-up, and not a session's.
#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_a_file_is_not_deleted() {
    for damaged in everywhere() {
        fs::remove_file(&damaged.file).unwrap();
        std::os::unix::fs::symlink("elsewhere", &damaged.file).unwrap();
        let error = damaged.store().delete(&ID.plain()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{}: {error}", damaged.name);
        assert!(damaged.file.is_symlink(), "{}", damaged.name);
    }
}
