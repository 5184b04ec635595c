//! Beaker's sessions behind our own: the store, and what a site's sessions make of it.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Clock, ManualClock, MemoryConfig, MemoryNamespace, Namespace, Timestamp};
use beaker_session::compat::{
    BeakerCookie, BeakerCookieExpires, BeakerData, BeakerId, BeakerStore, CookieSession,
    CookieSigner, FileSessions, PayloadCodec,
};
use beaker_session::{
    Builder, CookieConfig, Created, ErrorKind, Loaded, NamespaceStore, Origin, Record, SameSite,
    Session, SessionId, SessionStore, Sessions, Updated,
};
use serde_json::json;

use crate::browser::Browser;
use crate::site::{DAY, HOUR};

pub(super) const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

pub(super) struct Site {
    dir: tempfile::TempDir,
    pub(super) clock: Arc<ManualClock>,
}

impl Site {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir, clock: Arc::new(ManualClock::new(START)) }
    }

    pub(super) fn files(&self) -> FileSessions {
        FileSessions::new(self.dir.path())
    }

    pub(super) fn store(&self) -> BeakerStore {
        BeakerStore::new(self.files(), PayloadCodec::new()).clock(Arc::clone(&self.clock) as _)
    }

    pub(super) fn sessions(&self, cookie: BeakerCookie) -> Sessions {
        let builder = Sessions::builder().as_beaker(cookie, self.store()).expect("good settings");
        builder.with_clock(Arc::clone(&self.clock) as _).build().expect("they are built")
    }

    /// Stores what Python would have stored.
    pub(super) fn put(&self, id: SessionId, data: &BeakerData) {
        let text = PayloadCodec::new().encode(data).expect("it is encoded");
        self.files().write(&BeakerId::from_bytes(*id.as_bytes()), &text).expect("it is written");
    }

    pub(super) fn get(&self, id: SessionId) -> BeakerData {
        let text = self.files().read(&BeakerId::from_bytes(*id.as_bytes())).expect("it is read");
        PayloadCodec::new().decode(&text.expect("it is there")).expect("it is decoded")
    }
}

pub(super) const ID: SessionId = SessionId::from_bytes([7; 16]);

pub(super) fn python_session() -> BeakerData {
    let mut data = BeakerData::fresh(START, None, "/");
    data.insert("user", "ada".into());
    data
}

pub(super) fn cookie() -> BeakerCookie {
    BeakerCookie::new("sid").and_then(|cookie| cookie.secret("s")).expect("a cookie")
}

// SES-29, SES-31, SES-32.
#[test]
fn a_session_of_pythons_is_loaded_until_its_time_out() {
    let site = Site::new();
    site.put(ID, &python_session());
    let store = site.store().timeout(Some(Duration::from_secs(60)));
    site.clock.advance(Duration::from_secs(59));
    let Loaded::Present(stored) = store.load(&ID.plain()).unwrap() else { panic!("it is there") };
    assert_eq!(stored.record.data()["user"], "ada");
    assert_eq!(stored.record.data().len(), 1, "Beaker's own names are not among the values");
    assert_eq!((stored.record.created(), stored.accessed), (START, START));
    assert_eq!(stored.record.idle(), Some(Duration::from_secs(60)));
    site.clock.advance(Duration::from_secs(1));
    assert!(matches!(store.load(&ID.plain()).unwrap(), Loaded::Absent));
    // The control: without a time-out it is there for ever.
    assert!(matches!(site.store().load(&ID.plain()).unwrap(), Loaded::Present(_)));
}

#[test]
fn a_session_without_a_time_of_its_last_use_does_not_end() {
    let site = Site::new();
    let mut data = python_session();
    data.remove("_accessed_time");
    site.put(ID, &data);
    site.clock.advance(Duration::from_secs(1_000_000));
    let store = site.store().timeout(Some(Duration::from_secs(60)));
    assert!(matches!(store.load(&ID.plain()).unwrap(), Loaded::Present(_)));
}

// D55.
#[test]
fn a_write_of_pythons_is_not_overwritten() {
    let site = Site::new();
    let store = site.store();
    site.put(ID, &python_session());
    let Loaded::Present(stored) = store.load(&ID.plain()).unwrap() else { panic!("it is there") };
    let mut by_python = python_session();
    by_python.insert("theme", "dark".into());
    site.put(ID, &by_python);
    let updated = store.update(&ID.plain(), stored.version, &stored.record).unwrap();
    assert_eq!(updated, Updated::Conflict(None));
    assert_eq!(site.get(ID), by_python);
}

#[test]
fn a_touch_leaves_everything_that_python_stored() {
    let site = Site::new();
    let mut data = python_session();
    data.insert("_custom", json!([1, {"a": null}]));
    data.set_domain(Some(".example.org"));
    site.put(ID, &data);
    let later = START.saturating_add(Duration::from_secs(5));
    let _touched = site.store().touch(&ID.plain(), later).unwrap();
    let mut found = site.get(ID);
    found.remove("_beaker_rs");
    data.touch(later);
    assert_eq!(found, data);
}

#[test]
fn a_value_with_one_of_beakers_names_is_refused() {
    let site = Site::new();
    for name in ["_accessed_time", "_creation_time", "_domain", "_path", "_id", "_beaker_rs"] {
        let record = Record::new(START).with_data([(name.to_owned(), 1.into())].into());
        let error = site.store().create(&ID.plain(), &Arc::new(record)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec, "{name}");
    }
    let record = Record::new(START).with_data([("_other".to_owned(), 1.into())].into());
    let created = site.store().create(&ID.plain(), &Arc::new(record)).unwrap();
    assert!(matches!(created, Created::Created(_)));
}

#[test]
fn a_hash_is_no_key_of_beakers() {
    let site = Site::new();
    let error = site.store().load(&ID.hashed()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("as_beaker"), "{error}");
}

fn sent(sessions: &Sessions, header: &str) -> Vec<String> {
    let request = sessions.begin([header.as_bytes()]);
    let session = request.load().expect("it loads");
    session.add("n", 1).expect("it is counted");
    request.commit().expect("it is stored").set_cookies().map(str::to_owned).collect()
}

// SES-7, SES-8, SES-9, SES-36.
#[test]
fn the_cookie_is_written_as_beaker_writes_it_and_only_for_a_new_session() {
    let site = Site::new();
    let cookie =
        cookie().path("/app").unwrap().domain(".example.org").unwrap().secure().http_only();
    let sessions = site.sessions(cookie.expires(BeakerCookieExpires::Never));
    let cookies = sent(&sessions, "");
    let [text] = &cookies[..] else { panic!("one cookie: {cookies:?}") };
    let (pair, attributes) = text.split_once("; ").unwrap();
    assert_eq!(
        attributes,
        "Domain=.example.org; expires=Tue, 19-Jan-2038 03:14:07 GMT; HttpOnly; Path=/app; \
         SameSite=Lax; Secure"
    );
    assert_eq!(pair.len(), "sid=".len() + 40 + 32);
    assert_eq!(sent(&sessions, pair), Vec::<String>::new());
}

// SES-30, D58.
#[test]
fn an_id_that_nobody_stored_is_not_adopted() {
    for (cookie, planted) in [
        (BeakerCookie::new("sid").unwrap(), "07070707070707070707070707070707".to_owned()),
        (cookie(), CookieSigner::new("s").unwrap().sign(&"07".repeat(16))),
    ] {
        let site = Site::new();
        let cookies = sent(&site.sessions(cookie), &format!("sid={planted}"));
        assert!(!cookies[0].contains(&planted), "{cookies:?}");
        assert!(matches!(site.store().load(&ID.plain()).unwrap(), Loaded::Absent));
    }
}

// SES-44.
#[test]
fn of_two_cookies_the_one_with_a_session_counts_whatever_their_order() {
    let site = Site::new();
    let sessions = site.sessions(cookie());
    let good = sent(&sessions, "")[0].split(';').next().unwrap().to_owned();
    for header in [format!("{good}; sid=bad"), format!("sid=bad; {good}"), format!("x y {good}")] {
        let request = sessions.begin([header.as_bytes()]);
        assert_eq!(request.load().unwrap().origin(), Origin::Known, "{header}");
    }
    // Of two good ones the last counts, as for Beaker.
    let (other, last) = (ID, SessionId::from_bytes([8; 16]));
    let sign = |id: SessionId| {
        let id = BeakerId::from_bytes(*id.as_bytes());
        format!("sid={}", CookieSigner::new("s").unwrap().sign(id.expose_text()))
    };
    site.put(other, &python_session());
    site.put(last, &python_session());
    let header = format!("{}; {}", sign(other), sign(last));
    let session = sessions.begin([header.as_bytes()]).load().unwrap();
    assert_eq!(session.id(), Some(last));

    let request = sessions.begin([&b"sid=bad; sid=worse"[..]]);
    assert_eq!(request.load().unwrap().origin(), Origin::Unknown);
}

// SES-38.
#[test]
fn a_logout_removes_the_record_and_the_cookie_with_its_attributes() {
    let site = Site::new();
    let sessions = site.sessions(cookie().secure());
    let pair = sent(&sessions, "")[0].split(';').next().unwrap().to_owned();
    let request = sessions.begin([pair.as_bytes()]);
    let session = request.load().unwrap();
    let id = session.id().unwrap();
    session.delete().unwrap();
    let cookies: Vec<String> = request.commit().unwrap().into_set_cookies().collect();
    assert_eq!(
        cookies,
        ["sid=; expires=Mon, 14-Nov-2022 22:13:20 GMT; Path=/; SameSite=Lax; Secure"]
    );
    assert!(site.files().read(&BeakerId::from_bytes(*id.as_bytes())).unwrap().is_none());
}

// SES-41, D64: a path of its own is kept with the session, and the configured one is not.
#[test]
fn a_session_s_own_path_is_stored_and_the_configured_one_is_not() {
    let site = Site::new();
    let sessions = site.sessions(cookie().path("/app").unwrap());
    let request = sessions.begin([]);
    let session = request.load().unwrap();
    session.insert("n", 1).unwrap();
    session.set_cookie_path(Some("/admin")).unwrap();
    let cookies: Vec<String> = request.commit().unwrap().into_set_cookies().collect();
    assert!(cookies[0].contains("; Path=/admin; "), "{cookies:?}");
    assert_eq!(site.get(session.id().unwrap()).path(), "/admin");

    let other = sessions.begin([]);
    let session = other.load().unwrap();
    session.insert("n", 1).unwrap();
    let _ = other.commit().unwrap();
    assert_eq!(site.get(session.id().unwrap()).get("_path"), None);
    let error = sessions.begin([]).load().unwrap().set_cookie_path(Some("/a;b")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn a_cookie_that_browsers_would_drop_is_refused() {
    let site = Site::new();
    let cookie = cookie().same_site(Some(SameSite::None));
    let refused = Sessions::builder().as_beaker(cookie.clone(), site.store()).map(|_| ());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
    let refused = Sessions::builder().reading_beaker(cookie.clone(), site.store()).map(|_| ());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
    assert!(Sessions::builder().as_beaker(cookie.secure(), site.store()).is_ok());
}

#[test]
fn a_record_that_cannot_be_read_is_no_session_and_stays_for_who_can_read_it() {
    let site = Site::new();
    site.files().write(&BeakerId::from_bytes([7; 16]), "not a payload").unwrap();
    assert_eq!(site.store().load(&ID.plain()).unwrap_err().kind(), ErrorKind::Corrupt);
    let touched = site.store().touch(&ID.plain(), START);
    assert_eq!(touched.unwrap_err().kind(), ErrorKind::Corrupt);
    let text = site.files().read(&BeakerId::from_bytes([7; 16])).unwrap();
    assert_eq!(text.as_deref(), Some("not a payload"));
    // A logout removes it all the same.
    let _gone = site.store().delete(&ID.plain()).unwrap();
    assert_eq!(site.files().read(&BeakerId::from_bytes([7; 16])).unwrap(), None);
}

// SES-48, SES-50.
#[test]
fn a_cookie_only_session_of_pythons_ends_with_its_time_out() {
    let clock = Arc::new(ManualClock::new(START));
    let sealed = CookieSession::new("sid", "v", PayloadCodec::new()).unwrap();
    let value = sealed.seal(&python_session()).unwrap();
    let timeout = Some(Duration::from_secs(60));
    let sessions = Sessions::builder()
        .as_beaker_cookies(BeakerCookie::new("sid").unwrap(), sealed, timeout)
        .unwrap()
        .with_clock(Arc::clone(&clock) as _)
        .build()
        .unwrap();
    let header = format!("sid={value}");
    let user = || sessions.begin([header.as_bytes()]).load().unwrap().get::<String>("user");
    assert_eq!(user().unwrap().as_deref(), Some("ada"));
    clock.advance(Duration::from_secs(60));
    assert_eq!(clock.now(), START.saturating_add(Duration::from_secs(60)));
    assert_eq!(user().unwrap(), None);
}

/// Python's sessions, read where there is none of ours, and where ours are.
pub(super) struct Reading {
    pub(super) python: Site,
    pub(super) memory: Arc<MemoryNamespace>,
    pub(super) sessions: Sessions,
}

impl Reading {
    /// `cookie` is Python's; it has one session, under [`ID`].
    pub(super) fn new(cookie: BeakerCookie) -> Self {
        Self::with(cookie, |builder| builder)
    }

    pub(super) fn with(cookie: BeakerCookie, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let python = Site::new();
        python.put(ID, &python_session());
        let clock = Arc::clone(&python.clock) as Arc<dyn Clock>;
        let config = MemoryConfig::new().clock(Arc::clone(&clock));
        let memory = MemoryNamespace::anonymous(config).expect("memory opens");
        let sessions = settings(Sessions::builder())
            .with_namespace(Arc::clone(&memory) as _)
            .with_cookie(CookieConfig::named("ours"))
            .with_clock(clock)
            .reading_beaker(cookie, python.store())
            .and_then(Builder::build)
            .expect("good settings");
        Self { python, memory, sessions }
    }

    /// What a request with `header` does, and what it sends.
    pub(super) fn request(&self, header: &str, act: impl FnOnce(&Session)) -> Vec<String> {
        let request = self.sessions.begin([header.as_bytes()]);
        act(&request.load().expect("the stores answer"));
        let outgoing = request.commit().expect("the stores answer");
        outgoing.set_cookies().map(str::to_owned).collect()
    }

    pub(super) fn user(&self, header: &str) -> Option<String> {
        let session = self.sessions.begin([header.as_bytes()]).load().expect("the stores answer");
        session.get("user").expect("it is a text")
    }

    /// The header of Python's cookie.
    pub(super) fn header() -> String {
        format!(
            "sid={}",
            CookieSigner::new("s").unwrap().sign(BeakerId::from_bytes([7; 16]).expose_text())
        )
    }
}

#[test]
fn who_logged_out_here_does_not_come_back_by_pythons_cookie() {
    let site = Reading::new(cookie());
    let header = Reading::header();
    assert_eq!(site.user(&header).as_deref(), Some("ada"));
    site.request(&header, |session| session.delete().expect("it ends"));
    assert_eq!(site.user(&header), None);
    let session = site.sessions.begin([header.as_bytes()]).load().unwrap();
    assert_eq!(session.origin(), Origin::Unknown);
    // The record is not ours to delete.
    assert_eq!(site.python.get(ID).get("user"), Some(&"ada".into()));
}

#[test]
fn who_logged_out_after_the_session_became_ours_does_not_come_back_by_pythons_cookie() {
    let site = Reading::new(cookie());
    let header = Reading::header();
    let sent = site.request(&header, |session| session.insert("theme", "dark").expect("it is put"));
    let ours = sent[0].split(';').next().unwrap();
    assert_eq!(site.user(&header).as_deref(), Some("ada"));
    // Python's cookie is not in this request.
    site.request(ours, |session| session.delete().expect("it ends"));
    assert_eq!(site.user(&header), None);
}

#[test]
fn a_renewal_leaves_pythons_id_behind_as_well_as_ours() {
    let site = Reading::new(cookie());
    let header = Reading::header();
    let sent = site.request(&header, |session| session.insert("theme", "dark").expect("it is put"));
    let ours = sent[0].split(';').next().unwrap();
    let sent = site.request(ours, |session| session.renew().expect("it is renewed"));
    assert_eq!(site.user(&header), None);
    let renewed = sent[0].split(';').next().unwrap();
    assert_eq!(site.user(renewed).as_deref(), Some("ada"));
}

#[test]
fn a_revoked_session_does_not_come_back_by_pythons_cookie() {
    let site = Reading::new(cookie());
    let header = Reading::header();
    site.request(&header, |session| session.set_subject("ada", None).expect("it is said"));
    assert_eq!(site.user(&header).as_deref(), Some("ada"));
    assert_eq!(site.sessions.revoke_all("ada").unwrap(), 1);
    assert_eq!(site.user(&header), None);
}

#[test]
fn an_id_that_python_never_had_leaves_no_mark_in_the_store() {
    let unsigned = BeakerCookie::new("sid").unwrap();
    let site = Reading::new(unsigned);
    for id in [[8; 16], [9; 16]] {
        let header = format!("sid={}", BeakerId::from_bytes(id).expose_text());
        site.request(&header, |session| session.delete().expect("it ends"));
    }
    assert_eq!(site.memory.stats().entries, Some(0));
    let known = format!("sid={}", BeakerId::from_bytes([7; 16]).expose_text());
    site.request(&known, |session| session.delete().expect("it ends"));
    assert_eq!(site.memory.stats().entries, Some(1));
}

#[test]
fn a_cookie_only_session_of_pythons_does_not_come_back_after_a_logout_here() {
    let seal = || CookieSession::new("sid", "v", PayloadCodec::new()).unwrap();
    let header = format!("sid={}", seal().seal(&python_session()).unwrap());
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let sessions = Sessions::builder()
        .with_namespace(memory)
        .with_cookie(CookieConfig::named("ours"))
        .reading_beaker_cookies(BeakerCookie::new("sid").unwrap(), seal(), None)
        .and_then(Builder::build)
        .unwrap();
    let user = || sessions.begin([header.as_bytes()]).load().unwrap().get::<String>("user");
    assert_eq!(user().unwrap().as_deref(), Some("ada"));
    let request = sessions.begin([header.as_bytes()]);
    request.load().unwrap().delete().unwrap();
    let _outgoing = request.commit().unwrap();
    assert_eq!(user().unwrap(), None);
}

/// Whose cookie says that its limits were changed leaves a mark that stays: a saved one lives longer.
#[test]
fn a_saved_cookie_of_beakers_of_before_its_limits_were_shortened_is_over_after_a_logout() {
    let clock = Arc::new(ManualClock::new(START));
    let memory = MemoryConfig::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let epochs = NamespaceStore::new(MemoryNamespace::anonymous(memory).unwrap()).unwrap();
    let sealed = CookieSession::new("sid", "v", PayloadCodec::new()).unwrap();
    let sessions = Sessions::builder()
        .as_beaker_cookies(BeakerCookie::new("sid").unwrap(), sealed, None)
        .map(|builder| builder.with_clock(Arc::clone(&clock) as _).with_epochs(epochs))
        .and_then(Builder::build)
        .unwrap();
    let [mut phone, mut laptop] = [(); 2].map(|()| Browser::new());
    let month = Some(30 * DAY);
    for browser in [&mut phone, &mut laptop] {
        browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
        browser.visit(&sessions, |session| session.set_limits(month, month)).unwrap();
    }
    let saved = phone.clone();
    phone.visit(&sessions, |session| session.set_limits(Some(HOUR), Some(HOUR))).unwrap();
    phone.visit(&sessions, |session| session.insert("clicks", 1)).unwrap();
    phone.visit(&sessions, Session::delete).unwrap();
    clock.advance(3 * DAY);
    assert!(laptop.sees(&sessions, "user").is_some(), "control");
    assert_eq!(saved.sees(&sessions, "user"), None);
}
