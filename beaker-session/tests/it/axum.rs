//! Handlers of axum.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Router};
use beaker_container::CacheManager;
use beaker_container::config::Config;
use beaker_session::{
    Error, ErrorKind, LazySession, MergePolicy, OutagePolicy, Session, SessionLayer, Value,
};
use http::header::{CONNECTION, COOKIE, LOCATION, SET_COOKIE, UPGRADE, VARY};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::served::{PATIENCE, Site, pair};

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn set_cookie(&self) -> Option<&str> {
        self.headers.get(SET_COOKIE).map(|value| value.to_str().unwrap())
    }
}

async fn ask(router: Router, path: &str, cookie: &str) -> Answer {
    let request = Request::builder().uri(path).header(COOKIE, cookie);
    let request = request.body(Body::empty()).unwrap();
    let Ok(response) = timeout(PATIENCE, router.oneshot(request)).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

fn router(site: &Site) -> Router {
    async fn name(session: Session) -> Result<String, Error> {
        Ok(session.get::<String>("name")?.unwrap_or_default())
    }
    async fn rename(session: Session) -> Result<&'static str, Error> {
        session.insert("name", "Eve")?;
        Ok("renamed")
    }
    async fn log_in(session: Session) -> Result<Redirect, Error> {
        session.insert("name", "Ada")?;
        session.renew()?;
        Ok(Redirect::to("/name"))
    }
    async fn two(one: Session, lazy: LazySession, other: Session) -> Result<String, Error> {
        one.insert("name", "Eve")?;
        let third = lazy.load_async().await?;
        Ok(format!("{:?} {:?}", other.get::<Value>("name")?, third.get::<Value>("name")?))
    }
    async fn fails(session: Session) -> Result<String, Error> {
        session.insert("name", "Eve")?;
        session.verify_csrf("no token")?;
        Ok("never".to_owned())
    }
    async fn fails_inside(session: Session) -> Result<String, Error> {
        session.insert("name", "Eve")?;
        session.get::<u32>("name")?;
        Ok("never".to_owned())
    }
    Router::new()
        .route("/untouched", get(|_lazy: LazySession| async { "untouched" }))
        .route("/name", get(name))
        .route("/rename", get(rename))
        .route("/log-in", get(log_in))
        .route("/two", get(two))
        .route("/fails", get(fails))
        .route("/fails-inside", get(fails_inside))
        .layer(SessionLayer::new(site.sessions.clone()))
}

#[tokio::test]
async fn a_lazy_session_alone_costs_no_call() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let untouched = ask(router(&site), "/untouched", &cookie).await;
        assert_eq!((untouched.status, untouched.body.as_str()), (200, "untouched"));
        assert_eq!(untouched.headers.get(VARY), None);
        assert_eq!(site.store.asked(), [""; 0]);
    }
}

#[tokio::test]
async fn who_waited_too_long_for_another_request_is_answered_503_with_nothing_in_it() {
    let wait = Duration::from_millis(1);
    for site in Site::both_with(|builder| builder.with_merge(MergePolicy::Lock { wait })) {
        let cookie = site.visitor("name", "Ada");
        let first = site.sessions.begin([cookie.as_bytes()]);
        let _session = first.load_async().await.unwrap();
        let second = ask(router(&site), "/name", &cookie).await;
        assert_eq!((second.status, second.body.as_str(), second.set_cookie()), (503, "", None));
        assert_eq!(ask(router(&site), "/untouched", &cookie).await.status, 200);
        first.commit_async().await.unwrap();
        assert_eq!(ask(router(&site), "/name", &cookie).await.body, "Ada");
        assert_eq!(site.sessions.locked(), 0);
    }
}

#[tokio::test]
async fn a_log_in_redirects_with_a_cookie_that_the_next_request_brings_back() {
    for site in Site::both() {
        let before = site.visitor("cart", "pear");
        let redirect = ask(router(&site), "/log-in", &before).await;
        assert_eq!(
            (redirect.status, &redirect.headers[LOCATION]),
            (303, &"/name".parse().unwrap())
        );
        let cookie = pair(redirect.set_cookie().unwrap());
        assert_ne!(cookie, before);
        assert_eq!(ask(router(&site), "/name", &cookie).await.body, "Ada");
        assert_eq!(site.text(&cookie, "cart").as_deref(), Some("pear"));
        assert_eq!(ask(router(&site), "/name", &before).await.body, "");
    }
}

#[tokio::test]
async fn several_extractors_of_a_request_give_one_session_and_one_read() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let two = ask(router(&site), "/two", &cookie).await;
        assert_eq!(two.body, r#"Some(String("Eve")) Some(String("Eve"))"#);
        assert_eq!(site.store.asked(), ["load", "update"]);
    }
}

#[tokio::test]
async fn without_the_layer_the_answer_says_what_is_missing() {
    let bare = Router::new()
        .route("/loaded", get(|_session: Session| async { "never" }))
        .route("/lazy", get(|_session: LazySession| async { "never" }));
    for path in ["/loaded", "/lazy"] {
        let missing = ask(bare.clone(), path, "").await;
        assert_eq!(missing.status, 500);
        assert_eq!(missing.body, "there is no session: put a SessionLayer around the routes");
    }
}

#[tokio::test]
async fn a_handler_that_ends_in_an_error_answers_by_its_kind_and_without_a_body() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        // A form's token that is refused is the client's fault: what was changed before it stays.
        let refused = ask(router(&site), "/fails", &cookie).await;
        assert_eq!((refused.status, refused.body.as_str()), (403, ""));
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
        let cookie = site.visitor("name", "Ada");
        let failed = ask(router(&site), "/fails-inside", &cookie).await;
        assert_eq!((failed.status, failed.body.as_str()), (500, ""));
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_503_and_no_session_is_taken_for_empty() {
    for policy in [OutagePolicy::Fail, OutagePolicy::ReadOnly] {
        for site in Site::both_with(|builder| builder.with_outage(policy)) {
            let cookie = site.visitor("name", "Ada");
            site.store.fail(["load"]);
            let failed = ask(router(&site), "/rename", &cookie).await;
            assert_eq!((failed.status, failed.body.as_str()), (503, ""));
            assert_eq!(failed.set_cookie(), None);
            assert_eq!(site.store.asked(), ["load"]);
            // Who does not look into the session does not notice.
            assert_eq!(ask(router(&site), "/untouched", &cookie).await.status, 200);
            site.store.fail([]);
            assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
            assert_eq!(ask(router(&site), "/rename", &cookie).await.status, 200);
            assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
        }
    }
}

#[tokio::test]
async fn an_anonymous_visitor_reads_nothing_and_cannot_change_anything() {
    for site in Site::both_with(|builder| builder.with_outage(OutagePolicy::Anonymous)) {
        let cookie = site.visitor("name", "Ada");
        site.store.fail(["load"]);
        let seen = ask(router(&site), "/name", &cookie).await;
        assert_eq!((seen.status, seen.body.as_str(), seen.set_cookie()), (200, "", None));
        assert_eq!(ask(router(&site), "/rename", &cookie).await.status, 503);
        site.store.fail([]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
}

/// A body that is made when it is sent.
struct Late<F>(Option<F>);

impl<F: FnOnce() -> String + Unpin> hyper::body::Body for Late<F> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|make| Ok(Frame::data(make().into()))))
    }
}

#[tokio::test]
async fn a_change_while_the_body_streams_is_refused_and_a_detached_session_saves() {
    async fn stream(session: Session) -> Result<Response, Error> {
        session.insert("name", "Eve")?;
        session.save_async().await?;
        let detached = session.detach()?;
        Ok(Body::new(Late(Some(move || {
            let refused = session.insert("late", true).unwrap_err().kind();
            detached.insert("streamed", "yes").unwrap();
            detached.save().unwrap();
            format!("{refused:?} {:?}", detached.get::<String>("name"))
        })))
        .into_response())
    }
    for site in Site::both() {
        let layer = SessionLayer::new(site.sessions.clone());
        let router = Router::new().route("/", get(stream)).layer(layer);
        let streamed = ask(router, "/", "").await;
        assert_eq!(streamed.body, r#"AlreadyCommitted Ok(Some("Eve"))"#);
        let cookie = pair(streamed.set_cookie().unwrap());
        let stored = site.stored(&cookie).unwrap();
        assert_eq!(stored.keys().collect::<Vec<_>>(), ["name", "streamed"]);
    }
}

#[tokio::test]
async fn a_panic_in_a_handler_saves_nothing() {
    async fn panics(session: Session) -> &'static str {
        session.insert("name", "Eve").unwrap();
        assert!(!session.contains("name"), "the handler fails");
        "never"
    }
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let routes = router(&site).merge(
            Router::new()
                .route("/panics", get(panics))
                .layer(SessionLayer::new(site.sessions.clone())),
        );
        let request = Request::builder().uri("/panics").header(COOKIE, &cookie);
        let request = request.body(Body::empty()).unwrap();
        let failed = tokio::spawn(routes.clone().oneshot(request)).await;
        assert!(failed.unwrap_err().is_panic());
        assert_eq!(site.store.asked(), ["load"]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
        assert_eq!(ask(routes, "/rename", &cookie).await.status, 200);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
    }
}

type Ended = oneshot::Sender<ErrorKind>;

/// A socket that answers each byte with the count of all, which it keeps in the session.
async fn socket(
    session: Session,
    Extension(ended): Extension<std::sync::Arc<Mutex<Option<Ended>>>>,
    mut request: Request,
) -> Result<Response, Error> {
    session.insert("name", "Ada")?;
    session.save_async().await?;
    let detached = session.detach()?;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        let mut byte = [0];
        while stream.read_exact(&mut byte).await.is_ok() {
            let count = detached.add("bytes", 1).unwrap();
            detached.save_async().await.unwrap();
            stream.write_all(count.to_string().as_bytes()).await.unwrap();
        }
        let late = session.insert("late", true).unwrap_err().kind();
        ended.lock().take().unwrap().send(late).unwrap();
    });
    let headers = [(CONNECTION, "upgrade"), (UPGRADE, "count")];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

async fn head(client: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = timeout(PATIENCE, client.read_u8()).await.unwrap();
        head.push(byte.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_switch_of_protocols_sets_the_cookie_and_the_socket_goes_on_detached() {
    for site in Site::both() {
        let (ended, has_ended): (Ended, _) = oneshot::channel();
        let router = Router::new()
            .route("/", get(socket))
            .layer(Extension(std::sync::Arc::new(Mutex::new(Some(ended)))))
            .layer(SessionLayer::new(site.sessions.clone()));
        let (mut client, server) = tokio::io::duplex(4096);
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(server), TowerToHyperService::new(router))
            .with_upgrades();
        let serving = tokio::spawn(serving);
        let asked = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: count\r\n\r\n";
        client.write_all(asked.as_bytes()).await.unwrap();
        let head = head(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let set = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let cookie = pair(set);
        for expected in [b'1', b'2', b'3'] {
            client.write_all(b".").await.unwrap();
            assert_eq!(timeout(PATIENCE, client.read_u8()).await.unwrap().unwrap(), expected);
        }
        drop(client);
        let late = timeout(PATIENCE, has_ended).await.unwrap().unwrap();
        assert_eq!(late, ErrorKind::AlreadyCommitted);
        let stored = site.stored(&cookie).unwrap();
        assert_eq!(stored.get("bytes"), Some(&Value::from(3)));
        assert_eq!(stored.get("late"), None);
        serving.await.unwrap().unwrap();
    }
}

/// CACHE-24: Beaker's CacheMiddleware puts its manager into `environ["beaker.cache"]`; here it is an
/// extension, beside the session. The values live as long as the manager, across requests.
#[tokio::test]
async fn a_cache_manager_is_handed_to_requests_beside_their_sessions() {
    async fn report(Extension(caches): Extension<CacheManager>, session: Session) -> String {
        let reports = caches.get_cache_region::<String, String>("reports", "short").unwrap();
        let made = AtomicU32::new(0);
        let report = reports
            .get_or_create_async("sales", || async {
                made.fetch_add(1, Ordering::Relaxed);
                "up".to_owned()
            })
            .await
            .unwrap();
        let visits: i64 = session.add("visits", 1).unwrap();
        format!("{report}, made {}, visit {visits}", made.into_inner())
    }
    let config = Config::from_pairs([
        ("cache.type", "memory"),
        ("cache.regions", "short"),
        ("cache.short.expire", "60"),
    ]);
    let site = Site::memory();
    let router = Router::new()
        .route("/report", get(report))
        .layer(Extension(CacheManager::new(config.unwrap()).unwrap()))
        .layer(SessionLayer::new(site.sessions.clone()));
    let first = ask(router.clone(), "/report", "").await;
    assert_eq!(first.body, "up, made 1, visit 1");
    let cookie = pair(first.set_cookie().unwrap());
    assert_eq!(ask(router.clone(), "/report", &cookie).await.body, "up, made 0, visit 2");
    // Of another visitor too: a cache is the site's, a session the visitor's.
    assert_eq!(ask(router, "/report", "").await.body, "up, made 0, visit 1");
}
