//! Damaged records of Python's, damaged files around them, and damaged marks that their sessions have ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use beaker_backends::proxy::{Encrypted, KeyRing};
use beaker_namespace::Clock;
use beaker_session::compat::{
    BeakerData, BeakerId, BeakerStore, Change, FileSessions, PayloadCodec, PayloadLimits, TextStore,
};
use beaker_session::{
    Builder, CookieConfig, CorruptPolicy, Created, Data, Deleted, ErrorKind, Loaded, Record,
    Rescued, SessionStore, Sessions,
};

use super::bridge::{ID, Reading, START, cookie, python_session};
use super::json::packed;
use super::layouts::{Client, Layout};
use crate::site::flip_all;

/// Python can read what we cannot, or mends it: who has logged out meanwhile stays out.
#[test]
fn who_logs_out_while_pythons_record_is_damaged_stays_out_when_it_is_mended() {
    let rescue = CorruptPolicy::custom(|_key, _error| panic!("it is asked"));
    for policy in [CorruptPolicy::Fresh, CorruptPolicy::Fail, rescue] {
        for (what, _, text) in payloads() {
            let site = Reading::with(cookie(), |builder| builder.with_corrupt(policy.clone()));
            let header = Reading::header();
            site.python.files().write(&python_id(), &text).unwrap();
            let request = site.sessions.begin([header.as_bytes()]);
            request.delete().unwrap_or_else(|error| panic!("{what}: {error}"));
            let outgoing = request.commit().unwrap();
            let forgets = outgoing.set_cookies().any(|cookie| cookie.starts_with("sid=;"));
            assert!(forgets, "{what}: {outgoing:?}");
            site.python.put(ID, &python_session());
            assert_eq!(site.user(&header), None, "{what}");
        }
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

/// A layout with one session of Python's that cannot be read back, for a reason of some kind.
struct Damaged {
    name: String,
    texts: Arc<dyn TextStore>,
    place: Place,
    _dir: tempfile::TempDir,
}

/// Where a layout has the bytes of a session.
enum Place {
    File(PathBuf),
    Server(Client),
}

impl Place {
    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::File(path) => fs::read(path).ok(),
            Self::Server(client) => client.value(&python_id()),
        }
    }

    fn put(&self, bytes: Vec<u8>) {
        match self {
            Self::File(path) => fs::write(path, bytes).unwrap(),
            Self::Server(client) => client.put(&python_id(), bytes),
        }
    }
}

/// How a layout is opened in a directory.
type Open = fn(&Path) -> (Arc<dyn TextStore>, Place);

impl Damaged {
    /// Where the bytes around the text are not as they were written.
    fn around(
        name: &str,
        open: Open,
        kind: ErrorKind,
        damage: impl FnOnce(Vec<u8>) -> Vec<u8>,
    ) -> Self {
        let damaged =
            Self::with(name, open, &PayloadCodec::new().encode(&python_session()).unwrap());
        damaged.place.put(damage(damaged.place.bytes().unwrap()));
        let error = damaged.texts.read(&python_id()).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        damaged
    }

    /// Where the text is as it was written, and no session.
    fn inside(name: &str, open: Open, kind: ErrorKind, text: &str) -> Self {
        let error = PayloadCodec::new().decode(text).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        Self::with(name, open, text)
    }

    fn with(name: &str, open: Open, text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (texts, place) = open(dir.path());
        texts.update(&python_id(), &mut |_| Ok(Change::Replace(text.to_owned()))).unwrap();
        assert_eq!(texts.read(&python_id()).unwrap().as_deref(), Some(text), "{name}: control");
        Self { name: name.to_owned(), texts, place, _dir: dir }
    }

    fn store(&self) -> BeakerStore {
        BeakerStore::new(Arc::clone(&self.texts), PayloadCodec::new())
    }

    /// The mark of a renewal is dead there at once, and that of a rescue is not.
    fn sessions(&self, policy: CorruptPolicy) -> Sessions {
        let builder = Sessions::builder().with_corrupt(policy).with_renewal_grace(Duration::ZERO);
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

fn emptied(_: Vec<u8>) -> Vec<u8> {
    Vec::new()
}

/// More than any layout reads of a session.
fn swollen(_: Vec<u8>) -> Vec<u8> {
    vec![b'x'; 2 << 20]
}

/// A pickle that is well-formed, of what is no plain data.
fn object(_: Vec<u8>) -> Vec<u8> {
    b"\x80\x04\x8c\x02os\x8c\x06system\x93.".to_vec()
}

/// Texts of which none is a session, and why.
fn payloads() -> [(&'static str, ErrorKind, String); 3] {
    let large = PayloadCodec::new().limits(PayloadLimits::new().max_inflated_bytes(4 << 20));
    let bomb = BeakerData::from_iter([("x".to_owned(), "a".repeat(300_000).into())]);
    [
        ("no payload", ErrorKind::Corrupt, "not a payload".to_owned()),
        ("a bomb", ErrorKind::TooLarge, large.encode(&bomb).unwrap()),
        ("a number that JSON has not", ErrorKind::Codec, packed(r#"{"x": NaN}"#)),
    ]
}

fn file(dir: &Path) -> (Arc<dyn TextStore>, Place) {
    let files = FileSessions::new(dir);
    let path = files.path(&python_id()).unwrap();
    (Arc::new(files), Place::File(path))
}

fn server(layout: Layout) -> (Arc<dyn TextStore>, Place) {
    let client = Client::new(layout, None);
    (Arc::new(client.clone()), Place::Server(client))
}

#[cfg(feature = "beaker-dbm")]
mod dbm_files {
    use beaker_session::compat::{DbmFormat, DbmSessions};

    use super::*;

    fn dbm(dir: &Path, format: DbmFormat, suffix: &str) -> (Arc<dyn TextStore>, Place) {
        let sessions = DbmSessions::new(dir).format(format);
        let path = format!("{}{suffix}", sessions.path(&python_id()).unwrap().display());
        (Arc::new(sessions), Place::File(path.into()))
    }

    pub(super) fn gnu(dir: &Path) -> (Arc<dyn TextStore>, Place) {
        dbm(dir, DbmFormat::Gnu, "")
    }

    pub(super) fn index(dir: &Path) -> (Arc<dyn TextStore>, Place) {
        dbm(dir, DbmFormat::Dumb, ".dir")
    }

    pub(super) fn values(dir: &Path) -> (Arc<dyn TextStore>, Place) {
        dbm(dir, DbmFormat::Dumb, ".dat")
    }

    pub(super) fn damaged() -> Vec<Damaged> {
        use ErrorKind::{Codec, Corrupt, TooLarge};

        let other = |bytes: Vec<u8>| vec![b'x'; bytes.len()];
        let far = |_| b"'session', (0, 2000000)\n".to_vec();
        // Of the length that the index says.
        let object = |bytes: Vec<u8>| {
            let text = "x".repeat(bytes.len() - 12);
            [
                b"\x80\x04X",
                &(text.len() as u32).to_le_bytes()[..],
                text.as_bytes(),
                b"\x8c\x01m\x93.",
            ]
            .concat()
        };
        vec![
            Damaged::around("junk for GNU dbm", gnu, Corrupt, junk),
            Damaged::around("GNU dbm cut short", gnu, Corrupt, halved),
            Damaged::around("a file of GNU dbm beyond the limits", gnu, TooLarge, swollen),
            Damaged::around("junk for the index of dbm.dumb", index, Corrupt, junk),
            Damaged::around("an index of dbm.dumb beyond the limits", index, TooLarge, swollen),
            Damaged::around("a value of dbm.dumb beyond the limits", index, TooLarge, far),
            Damaged::around("values of dbm.dumb cut short", values, Corrupt, halved),
            Damaged::around("junk among the values of dbm.dumb", values, Corrupt, other),
            Damaged::around("an object among the values of dbm.dumb", values, Codec, object),
        ]
    }
}

fn everywhere() -> Vec<Damaged> {
    use ErrorKind::{Codec, Corrupt, TooLarge};

    let redis: Open = |_| server(Layout::Redis);
    let memcached: Open = |_| server(Layout::Memcached);
    let no_text = |_| b"\xff\xfe".to_vec();
    let mut all = vec![
        Damaged::around("junk in a file", file, Corrupt, junk),
        Damaged::around("a file cut short", file, Corrupt, halved),
        Damaged::around("an empty file", file, Corrupt, emptied),
        Damaged::around("a file beyond the limits", file, TooLarge, swollen),
        Damaged::around("an object in a file", file, Codec, object),
        Damaged::around("junk in redis", redis, Corrupt, junk),
        Damaged::around("a value of redis cut short", redis, Corrupt, halved),
        Damaged::around("a value of redis beyond the limits", redis, TooLarge, swollen),
        Damaged::around("an object in redis", redis, Codec, object),
        Damaged::around("no text in memcached", memcached, Corrupt, no_text),
        Damaged::around("a value of memcached beyond the limits", memcached, TooLarge, swollen),
    ];
    let nowhere = packed(r#"{"_beaker_rs": {"renewed": ["xyz", 0]}}"#);
    all.push(Damaged::with("a renewal to no id", file, &nowhere));
    let opens = [("a file", file as Open), ("redis", redis), ("memcached", memcached)];
    #[cfg(feature = "beaker-dbm")]
    let opens = {
        all.extend(dbm_files::damaged());
        let of_dbm = [("GNU dbm", dbm_files::gnu as Open), ("dbm.dumb", dbm_files::values)];
        opens.into_iter().chain(of_dbm)
    };
    let payloads = payloads();
    for (layout, open) in opens {
        for (what, kind, text) in &payloads {
            all.push(Damaged::inside(&format!("{what} in {layout}"), open, *kind, text));
        }
    }
    all
}

#[test]
fn a_logout_ends_a_session_that_cannot_be_read_under_each_policy() {
    let rescue = || CorruptPolicy::custom(|_key, _error| panic!("it is asked"));
    let policies = [|| CorruptPolicy::Fresh, || CorruptPolicy::Fail, rescue];
    for (number, damaged) in everywhere().into_iter().enumerate() {
        let name = &damaged.name;
        // Neighbours have different ones, and so have the texts that come again in each layout.
        let sessions = damaged.sessions(policies[(number + number / 3) % 3]());
        let request = sessions.begin([Reading::header().as_bytes()]);
        request.delete().unwrap_or_else(|error| panic!("{name}: {error}"));
        let outgoing = request.commit().unwrap_or_else(|error| panic!("{name}: {error}"));
        let forgets = outgoing.set_cookies().any(|cookie| cookie.starts_with("sid=;"));
        assert!(forgets, "{name}: {outgoing:?}");
        assert_eq!(damaged.texts.read(&python_id()).unwrap(), None, "{name}");
        assert_eq!(damaged.place.bytes(), None, "{name}");
    }
}

#[test]
fn what_is_rescued_of_what_cannot_be_read_is_stored_once_and_ends_by_a_logout() {
    for damaged in everywhere() {
        let name = &damaged.name;
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

#[test]
fn a_logout_by_the_old_cookie_ends_what_was_rescued_since_it_was_loaded_or_before() {
    for logout_is_first in [true, false] {
        for damaged in everywhere() {
            let name = &damaged.name;
            let rescue = || Rescued::Values(Data::from([("user".to_owned(), "copy".into())]));
            let sessions = damaged.sessions(CorruptPolicy::custom(move |_key, _error| rescue()));
            let begin = |header: &str| {
                let request = sessions.begin([header.as_bytes()]);
                let session = request.load().unwrap_or_else(|error| panic!("{name}: {error}"));
                (request, session)
            };
            let early = logout_is_first.then(|| begin(&Reading::header()));
            let (request, session) = begin(&Reading::header());
            session.insert("more", 1).unwrap();
            let outgoing = request.commit().unwrap_or_else(|error| panic!("{name}: {error}"));
            let sent = outgoing.set_cookies().next().unwrap().to_owned();
            let rescued = sent.split(';').next().unwrap();
            let user = || begin(rescued).1.get::<String>("user").unwrap();
            assert_eq!(user().as_deref(), Some("copy"), "{name}: control");
            let (logout, session) = early.unwrap_or_else(|| begin(&Reading::header()));
            session.delete().unwrap();
            logout.commit().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(user(), None, "{name}, {logout_is_first}");
        }
    }
}

/// Who does not know that it is damaged replaces nothing.
#[test]
fn what_cannot_be_read_is_nobodys_to_replace_who_expects_a_session_or_none() {
    for damaged in everywhere() {
        let (name, store, key) = (&damaged.name, damaged.store(), ID.plain());
        let before = damaged.place.bytes().unwrap();
        let record = Arc::new(Record::new(START));
        let other = beaker_session::SessionId::from_bytes([8; 16]).plain();
        assert!(matches!(store.create(&other, &record).unwrap(), Created::Created(_)));
        let Loaded::Present(good) = store.load(&other).unwrap() else { panic!("it is there") };
        let error = store.update(&key, good.version, &record).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}");
        assert_eq!(store.touch(&key, START).unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
        assert_eq!(store.create(&key, &record).unwrap(), Created::Exists, "{name}");
        assert_eq!(damaged.place.bytes(), Some(before), "{name}");
        assert_eq!(store.delete(&key).unwrap(), Deleted::Deleted, "{name}");
        assert_eq!(store.delete(&key).unwrap(), Deleted::Absent, "{name}");
    }
}

/// It is an error of the site's set-up, and not a session's.
#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_a_file_is_not_deleted() {
    for damaged in everywhere() {
        let Place::File(file) = &damaged.place else { continue };
        fs::remove_file(file).unwrap();
        std::os::unix::fs::symlink("elsewhere", file).unwrap();
        let error = damaged.store().delete(&ID.plain()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{}: {error}", damaged.name);
        assert!(file.is_symlink(), "{}", damaged.name);
    }
}
