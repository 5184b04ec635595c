//! What is told to a subscriber.

mod secrets;

use std::fmt::{self, Write as _};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use beaker_namespace::ErrorKind as Store;
use beaker_namespace::testkit::Fault;
use beaker_session::MergePolicy;
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::browser::Browser;
use crate::site::{Site, ring, secret};

/// Writes everything down that is told in this thread.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Fields(&mut self.0.lock().unwrap()));
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Fields(&mut self.0.lock().unwrap()));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut log = self.0.lock().unwrap();
        let level: &Level = event.metadata().level();
        write!(log, "\n{level} {}", event.metadata().target()).unwrap();
        event.record(&mut Fields(&mut log));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Log {
    /// Runs `work` with this log listening in its thread.
    ///
    /// `tracing` remembers for each place in the code whether anybody listens. While there is one
    /// listener only, it asks that of the thread that comes to the place first, which may be another
    /// test's. So a second one is there from the start, and is never let go.
    fn keep(&self, work: impl FnOnce()) {
        static LISTENING: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Log::default()));
        LazyLock::force(&LISTENING);
        tracing::subscriber::with_default(self.clone(), work);
    }
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

/// 16, F61: a session's whole life, with all that can go wrong, at every level.
#[test]
fn what_goes_wrong_is_told_and_no_id_key_or_value_is() {
    let log = Log::default();
    let mut secrets = vec![secret(1).expose_text().to_string(), "hunter2".to_owned()];
    log.keep(|| {
        let site = Site::with(|builder| builder.with_keys(ring(1)));
        let mut browser = Browser::new();
        browser.visit(&site.sessions, |session| session.insert("word", "hunter2")).unwrap();
        secrets.push(browser.header()["__Host-id=".len()..].to_owned());
        secrets.push(secrets[2][..22].to_owned());

        let [one, two] = [browser.begin(&site.sessions), browser.begin(&site.sessions)];
        one.load().unwrap().add("clicks", 1).unwrap();
        two.load().unwrap().add("clicks", 1).unwrap();
        let (_one, _two) = (one.commit().unwrap(), two.commit().unwrap());

        site.store.arm(1, Fault::Fail(Store::Unavailable));
        browser.begin(&site.sessions).load().unwrap_err();
        let late = browser.begin(&site.sessions);
        late.load().unwrap().insert("word", "hunter2 again").unwrap();
        browser.visit(&site.sessions, |session| session.delete()).unwrap();
        let _late = late.commit().unwrap();
        let forged = Browser::with(&format!("__Host-id={}x", secrets[2]));
        forged.begin(&site.sessions).load().unwrap();

        let at_once = MergePolicy::Lock { wait: Duration::ZERO };
        let locking = Site::with(|builder| builder.with_keys(ring(1)).with_merge(at_once));
        let mut browser = Browser::new();
        browser.visit(&locking.sessions, |session| session.insert("word", "hunter2")).unwrap();
        secrets.push(browser.header()["__Host-id=".len()..][..22].to_owned());
        let _session = browser.begin(&locking.sessions).load().unwrap();
        browser.begin(&locking.sessions).load().unwrap_err();
    });
    let log = log.0.lock().unwrap().clone();
    for told in [
        "DEBUG beaker_session message=another request changed the session",
        "WARN beaker_session message=cannot load session: the session store is unavailable: cannot do what a test \
         makes go wrong: the store is unavailable kind=Unavailable",
        "DEBUG beaker_session message=the session was ended meanwhile, its changes are not stored",
        "DEBUG beaker_session message=a cookie was refused reason=it is not in this site's form",
        "WARN beaker_session message=another request had the session for too long session=",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    for secret in secrets {
        assert!(!log.contains(&secret), "{log}");
    }
}

/// What is told of the sessions, by the names that they have in the log.
fn names(log: &Log) -> Vec<String> {
    let log = log.0.lock().unwrap();
    let names = log.split_whitespace().filter_map(|word| word.strip_prefix("session="));
    names.map(str::to_owned).collect()
}

/// 16: two events of one session can be told together, in every process with the same keys; and the
/// name says nothing about the id.
#[test]
fn a_session_has_one_short_name_in_the_log() {
    let conflict = |site: &Site, browser: &Browser| {
        let [one, two] = [(); 2].map(|()| browser.begin(&site.sessions));
        one.load().unwrap().add("clicks", 1).unwrap();
        two.load().unwrap().add("clicks", 1).unwrap();
        let (_one, _two) = (one.commit().unwrap(), two.commit().unwrap());
    };
    let log = Log::default();
    let mut ids = Vec::new();
    log.keep(|| {
        let site = Site::with(|builder| builder.with_keys(ring(1)));
        let [mut ada, mut eve] = [(); 2].map(|()| Browser::new());
        for browser in [&mut ada, &mut eve] {
            browser.visit(&site.sessions, |session| session.insert("word", "hunter2")).unwrap();
            ids.push(browser.begin(&site.sessions).load().unwrap().id().unwrap());
        }
        conflict(&site, &ada);
        conflict(&site, &eve);
        site.store.arm(1, Fault::Fail(Store::Unavailable));
        ada.begin(&site.sessions).load().unwrap_err();
        // A process of the same site, by another name of its own, and then one of other keys.
        for (seed, browser) in [(1, &ada), (2, &eve)] {
            let builder = beaker_session::Sessions::builder().with_namespace(site.store.clone());
            let sessions = builder.with_keys(ring(seed)).build().unwrap();
            if seed == 2 {
                site.sessions.set_keys(&ring(2)).unwrap();
            }
            site.store.arm(1, Fault::Fail(Store::Unavailable));
            let _either = browser.begin(&sessions).load();
            site.store.disarm();
        }
    });
    let [ada, eve, failed, elsewhere] = &names(&log)[..] else { panic!("{:?}", names(&log)) };
    assert_eq!((ada, ada), (failed, elsewhere));
    assert_ne!(ada, eve);
    for (id, name) in ids.iter().zip([ada, eve]) {
        assert_eq!(name.len(), 8);
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert!(!hex(id.as_bytes()).contains(name.as_str()));
    }
}

/// 4.15: why a cookie is refused, for each reason that is no forgery.
#[test]
fn the_reason_of_a_refused_cookie_is_told() {
    let log = Log::default();
    log.keep(|| {
        let site = Site::with(|builder| builder.with_keys(ring(1)));
        let login = || {
            let mut browser = Browser::new();
            browser.visit(&site.sessions, |session| session.insert("user", "ada")).unwrap();
            browser
        };
        let sees = |browser: &Browser| browser.sees(&site.sessions, "user");
        let mut ended = login();
        let saved = ended.clone();
        ended.visit(&site.sessions, |session| session.delete()).unwrap();
        assert_eq!(sees(&saved), None);
        let good = login();
        site.clock.advance(crate::site::HOUR);
        assert_eq!(sees(&good), None);
        site.sessions.set_keys(&ring(2)).unwrap();
        assert_eq!(sees(&good), None);
    });
    let log = log.0.lock().unwrap().clone();
    let reasons: Vec<&str> = log.split("reason=").skip(1).collect();
    assert_eq!(reasons.len(), 3, "{log}");
    assert!(reasons[0].starts_with("its session is not there session="), "{log}");
    assert!(reasons[1].starts_with("its session has expired session="), "{log}");
    assert!(reasons[2].starts_with("its key is not in the ring"), "{log}");
    assert!(!log.contains("ada"));
}

/// Table row 20: an empty response says nothing of why, so the log has to, once; of the client's own faults
/// only to who asks for details.
#[tokio::test]
#[cfg(all(feature = "tower", feature = "axum", feature = "actix"))]
async fn why_a_response_is_empty_is_told() {
    use ::axum::response::IntoResponse as _;
    use actix_web::ResponseError as _;
    use beaker_session::{Error, ErrorKind};
    use http::{Request, Response};
    use tower::{Layer, ServiceExt, service_fn};

    const SAID: &str = "answered without a body: ";
    let told = |log: &Log| log.0.lock().unwrap().clone();
    let site = Site::with(|builder| builder.with_max_bytes(100));
    let service = service_fn(|request: Request<()>| {
        let lazy = request.extensions().get::<beaker_session::LazySession>().unwrap().clone();
        async move {
            lazy.load_async().await.unwrap().insert("basket", "x".repeat(200)).unwrap();
            Ok::<_, std::convert::Infallible>(Response::new(String::new()))
        }
    });
    let layer = beaker_session::SessionLayer::new(site.sessions.clone()).layer(service);
    let log = Log::default();
    log.keep(|| {});
    let guard = tracing::dispatcher::set_default(&Dispatch::new(log.clone()));
    assert_eq!(layer.oneshot(Request::new(())).await.unwrap().status(), 500);
    drop(guard);
    let log = told(&log);
    assert!(log.contains("status=500 kind=TooLarge"), "{log}");
    assert!(log.contains("`basket`") && !log.contains("xxx"), "{log}");
    assert_eq!(log.matches(SAID).count(), 1, "{log}");

    // What did not reach the service, as another site's page sent it.
    let site = Site::with(|builder| builder.with_sites(beaker_session::SitePolicy::NotCross));
    let layer = beaker_session::SessionLayer::new(site.sessions.clone()).layer(service);
    let request = Request::post("/").header("sec-fetch-site", "cross-site").body(()).unwrap();
    let log = Log::default();
    let guard = tracing::dispatcher::set_default(&Dispatch::new(log.clone()));
    assert_eq!(layer.oneshot(request).await.unwrap().status(), 403);
    drop(guard);
    let log = told(&log);
    assert!(log.contains("status=403 kind=Rejected") && log.contains("admit request"), "{log}");
    assert_eq!(log.matches(SAID).count(), 1, "{log}");

    for (kind, status) in [(ErrorKind::Codec, 500), (ErrorKind::Rejected, 403)] {
        let error = || Error::new(kind, "verify form");
        let answers: [&dyn Fn() -> u16; 2] =
            [&|| error().into_response().status().as_u16(), &|| {
                error().error_response().status().as_u16()
            }];
        for answer in answers {
            let log = Log::default();
            log.keep(|| assert_eq!(answer(), status));
            let log = told(&log);
            assert_eq!(log.matches(SAID).count(), 1, "{log}");
            let level = if status == 500 { "WARN" } else { "DEBUG" };
            assert!(log.contains(level) && log.contains("verify form"), "{log}");
        }
    }
}

/// 27: a response with a cookie that its service wanted to be kept by shared caches.
#[tokio::test]
#[cfg(feature = "tower")]
async fn a_public_response_that_sets_a_cookie_is_warned_of() {
    use http::header::CACHE_CONTROL;
    use http::{Request, Response};
    use tower::{Layer, ServiceExt, service_fn};

    const WARNING: &str = "a response with `Cache-Control: public` sets the session's cookie";
    for (cache, writes, warned) in [
        ("public, max-age=60", true, true),
        ("max-age=60, s-maxage=600", true, true),
        ("public, max-age=60", false, false),
        ("max-age=60", true, false),
        ("private", true, false),
    ] {
        let site = Site::new();
        let service = service_fn(move |request: Request<()>| {
            let lazy = request.extensions().get::<beaker_session::LazySession>().unwrap().clone();
            async move {
                let session = lazy.load_async().await.unwrap();
                if writes {
                    session.insert("user", "ada").unwrap();
                }
                let response = Response::builder().header(CACHE_CONTROL, cache);
                Ok::<_, std::convert::Infallible>(response.body(String::new()).unwrap())
            }
        });
        let layer = beaker_session::SessionLayer::new(site.sessions.clone()).layer(service);
        let log = Log::default();
        let dispatch = Dispatch::new(log.clone());
        log.keep(|| {});
        let guard = tracing::dispatcher::set_default(&dispatch);
        let answer = layer.oneshot(Request::new(())).await.unwrap();
        drop(guard);
        assert_eq!(log.0.lock().unwrap().contains(WARNING), warned, "{cache}, {writes}");
        let sent = answer.headers()[CACHE_CONTROL].to_str().unwrap();
        let stored = if writes && cache != "private" { "no-store" } else { cache };
        assert_eq!(sent, stored, "what is sent is safe in any case");
    }
}
