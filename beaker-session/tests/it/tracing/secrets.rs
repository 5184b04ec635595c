//! 16, F61: scenes of a session's life, and what nobody may read in what is told, shown, or panicked with.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use beaker_namespace::ErrorKind as Store;
use beaker_namespace::testkit::Fault;

use super::Log;
use crate::browser::Browser;
use crate::site::{HOUR, Site, clock, ring, sealed, secret};

const WORD: &str = "correct horse battery staple";

/// What one scene has shown beside what was told, and what it has to hide.
#[derive(Default)]
struct Scene {
    shown: String,
    secrets: Vec<String>,
}

impl Scene {
    fn show(&mut self, what: &dyn Debug) {
        self.shown += &format!("{what:?} {what:#?}\n");
    }

    /// Runs what panics, and shows with which text.
    fn show_panic<T>(&mut self, work: impl FnOnce() -> T) {
        let panic = catch_unwind(AssertUnwindSafe(work)).err().expect("it panics");
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        self.shown += &text.expect("a panic has a text");
    }

    fn hide(&mut self, secret: impl Into<String>) {
        self.secrets.push(secret.into());
    }

    /// Hides what a browser has, also the part of each cookie before its signature.
    fn hide_cookies(&mut self, browser: &Browser) {
        for cookie in browser.header().split("; ") {
            let value = cookie.split_once('=').expect("a cookie").1;
            self.hide(&value[..22]);
            self.hide(&value[22..]);
        }
    }
}

type Play = fn(&mut Scene);

const SCENES: &[(&str, Play)] = &[
    ("a session in a cookie", a_session_in_a_cookie),
    #[cfg(feature = "beaker-compat")]
    ("a session of Python's", a_session_of_pythons),
    ("a form's token", a_form_s_token),
    ("a renewed id", a_renewed_id),
    ("panics", panics),
];

#[test]
fn no_scene_tells_shows_or_panics_with_a_secret() {
    for (name, play) in SCENES {
        let (log, mut scene) = (Log::default(), Scene::default());
        log.keep(|| play(&mut scene));
        let told = log.0.lock().unwrap().clone();
        assert!(told.contains("beaker_session") && !scene.shown.is_empty(), "{name}: {told}");
        scene.hide(WORD);
        scene.hide(secret(1).expose_text().as_str());
        for hidden in &scene.secrets {
            assert!(hidden.len() >= 10, "{name}: too short to be found by chance only");
            for text in [&told, &scene.shown] {
                assert!(!text.contains(hidden.as_str()), "{name}: {hidden} is in {text}");
            }
        }
    }
}

fn a_session_in_a_cookie(scene: &mut Scene) {
    let clock = clock();
    let sessions = sealed(&clock, |builder| builder);
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("word", WORD)).unwrap();
    scene.hide_cookies(&browser);
    scene.show(&sessions);

    let request = browser.begin(&sessions);
    let session = request.load().unwrap();
    scene.hide(session.id().unwrap().expose_text());
    session.insert("word", WORD.repeat(1_000)).unwrap();
    scene.show(&(&request, &session));
    scene.show(&request.commit().unwrap_err());

    let forged = Browser::with(&format!("{}A", browser.header()));
    forged.begin(&sessions).load().unwrap();
    clock.advance(HOUR);
    browser.begin(&sessions).load().unwrap();
}

#[cfg(feature = "beaker-compat")]
fn a_session_of_pythons(scene: &mut Scene) {
    use beaker_session::compat::{
        BeakerCookie, BeakerData, BeakerId, BeakerStore, CookieSigner, FileSessions, PayloadCodec,
    };
    use beaker_session::{Origin, Sessions};

    const SECRET: &str = "Python's own secret";
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let files = || FileSessions::new(dir.path());
    let id = BeakerId::from_bytes([0x5a; 16]);
    let mut data = BeakerData::fresh(beaker_namespace::Clock::now(&*clock), None, "/");
    data.insert("word", WORD.into());
    let text = PayloadCodec::new().encode(&data).unwrap();
    files().write(&id, &text).unwrap();
    let signer = CookieSigner::new(SECRET).unwrap();
    let signed = signer.sign(id.expose_text());
    for hidden in [SECRET, id.expose_text(), &signed[..40], &text] {
        scene.hide(hidden);
    }

    let cookie = BeakerCookie::new("sid").and_then(|cookie| cookie.secret(SECRET)).unwrap();
    scene.show(&(&signer, &cookie, &id));
    let namespace = beaker_namespace::MemoryNamespace::anonymous(Default::default()).unwrap();
    let store = BeakerStore::new(files(), PayloadCodec::new()).clock(clock.clone());
    let sessions = Sessions::builder()
        .with_namespace(namespace)
        .with_clock(clock)
        .reading_beaker(cookie, store)
        .unwrap()
        .build()
        .unwrap();
    let browser = Browser::with(&format!("sid={signed}"));
    let request = browser.begin(&sessions);
    let session = request.load().unwrap();
    assert_eq!(session.origin(), Origin::Bridged);
    scene.show(&(&request, &session, &sessions));
    let forged = Browser::with(&format!("sid={signed}0"));
    forged.begin(&sessions).load().unwrap();
    // The record of another program, or a damaged one.
    files().write(&id, &format!("!{text}")).unwrap();
    scene.show(&browser.begin(&sessions).load().map(|session| session.origin()));
}

fn a_form_s_token(scene: &mut Scene) {
    let site = Site::with(|builder| builder.with_keys(ring(1)));
    let mut browser = Browser::new();
    let token = browser.visit(&site.sessions, |session| session.csrf_token()).unwrap();
    scene.hide_cookies(&browser);
    scene.hide(&token);
    scene.hide(&token[token.len() / 2..]);

    let [one, two] = [browser.begin(&site.sessions), browser.begin(&site.sessions)];
    for request in [&one, &two] {
        let session = request.load().unwrap();
        session.verify_csrf(&token).unwrap();
        let error = session.verify_csrf(&format!("{token}x")).unwrap_err();
        scene.show(&(&error, error.to_string(), &session));
        session.add("clicks", 1).unwrap();
    }
    scene.show(&[one.commit().unwrap(), two.commit().unwrap()]);
}

fn a_renewed_id(scene: &mut Scene) {
    let site = Site::with(|builder| builder.with_keys(ring(1)));
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("word", WORD)).unwrap();
    let old = browser.clone();
    browser.visit(&site.sessions, |session| session.renew()).unwrap();
    assert_ne!(browser.header(), old.header());
    scene.hide_cookies(&old);
    scene.hide_cookies(&browser);

    scene.show(&old.begin(&site.sessions).load().unwrap());
    let late = browser.begin(&site.sessions);
    let session = late.load().unwrap();
    session.insert("word", WORD).unwrap();
    session.renew().unwrap();
    old.clone().visit(&site.sessions, |session| session.delete()).unwrap();
    browser.clone().visit(&site.sessions, |session| session.delete()).unwrap();
    scene.show(&(&session, late.commit().unwrap()));
}

fn panics(scene: &mut Scene) {
    let site = Site::with(|builder| builder.with_keys(ring(1)));
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("word", WORD)).unwrap();
    scene.hide_cookies(&browser);
    let request = browser.begin(&site.sessions);
    let session = request.load().unwrap();
    scene.hide(session.id().unwrap().expose_text());
    scene.show_panic(|| panic!("{session:?} {request:?} {:?} {:?}", session.id(), session.key()));
    scene.show_panic(|| session.get::<u32>("word").unwrap());
    scene.show_panic(|| session.verify_csrf(WORD).unwrap());

    for fault in [Fault::Fail(Store::Unavailable), Fault::Panic] {
        site.store.arm(1, fault);
        scene.show_panic(|| browser.begin(&site.sessions).load().unwrap());
        site.store.arm(2, fault);
        scene.show_panic(|| browser.visit(&site.sessions, |session| session.renew()).unwrap());
        site.store.disarm();
    }
}
