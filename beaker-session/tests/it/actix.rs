//! Handlers of actix-web.

mod turns;

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::error::{ErrorInternalServerError, ErrorUnauthorized};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, COOKIE, HeaderMap, HeaderName, LOCATION, SET_COOKIE, VARY,
};
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{Bytes, Path, ServiceConfig, get};
use actix_web::{App, HttpResponse};
use beaker_session::actix::SessionMiddleware;
use beaker_session::{
    Error, ErrorKind, LazySession, OutagePolicy, ServerErrorPolicy, Session, Value,
};
use tokio::sync::{Barrier, Mutex};
use tokio::time::timeout;

use crate::served::{PATIENCE, Site, begin, pair};

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: HeaderName) -> Vec<&str> {
        self.headers.get_all(name).map(|value| value.to_str().unwrap()).collect()
    }

    fn set_cookie(&self) -> Option<&str> {
        let cookies = self.header(SET_COOKIE);
        assert!(cookies.len() < 2, "one cookie is set");
        cookies.first().copied()
    }

    fn short(&self) -> (u16, &str) {
        (self.status, &self.body)
    }
}

type Asking = Box<
    dyn FnOnce(
        actix_web::test::TestRequest,
    )
        -> Pin<Box<dyn Future<Output = Result<ServiceResponse<BoxBody>, actix_web::Error>>>>,
>;

async fn app(site: &Site) -> Asking {
    let app = App::new().wrap(SessionMiddleware::new(site.sessions.clone())).configure(routes);
    let app = init_service(app).await;
    Box::new(move |request| Box::pin(app.call(request.to_request())))
}

fn request(path: &str, cookie: &str) -> TestRequest {
    TestRequest::with_uri(path).insert_header((COOKIE, cookie))
}

async fn ask(site: &Site, path: &str, cookie: &str) -> Answer {
    let answering = app(site).await(request(path, cookie));
    answer(timeout(PATIENCE, answering).await.unwrap()).await
}

/// As the server makes responses of errors.
async fn answer(answered: Result<ServiceResponse<BoxBody>, actix_web::Error>) -> Answer {
    let response = match answered {
        Ok(response) => response.into_parts().1,
        Err(error) => error.error_response(),
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = to_bytes(response.into_body()).await.unwrap();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

async fn name(session: Session) -> Result<String, Error> {
    Ok(session.get::<String>("name")?.unwrap_or_default())
}

async fn rename(session: Session) -> Result<&'static str, Error> {
    session.insert("name", "Eve")?;
    Ok("renamed")
}

async fn renew(session: Session) -> Result<&'static str, Error> {
    session.renew()?;
    Ok("renewed")
}

async fn log_in(session: Session) -> Result<HttpResponse, Error> {
    session.insert("name", "Ada")?;
    session.renew()?;
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, "/name")).finish())
}

async fn log_out(lazy: LazySession) -> Result<&'static str, Error> {
    lazy.delete_async().await?;
    Ok("bye")
}

async fn two(one: Session, lazy: LazySession, other: Session) -> Result<String, Error> {
    one.insert("name", "Eve")?;
    let third = lazy.load_async().await?;
    Ok(format!("{:?} {:?}", other.get::<Value>("name")?, third.get::<Value>("name")?))
}

async fn fails(session: Session) -> Result<String, Error> {
    session.insert("name", "Eve")?;
    session.renew()?;
    session.get::<u32>("name")?;
    Ok("never".to_owned())
}

async fn fails_after_log_out(session: Session) -> Result<String, actix_web::Error> {
    session.invalidate()?;
    session.flash("info", "Good bye")?;
    Err(ErrorInternalServerError("broken"))
}

async fn panics(session: Session) -> &'static str {
    session.insert("name", "Eve").unwrap();
    assert!(!session.contains("name"), "the handler fails");
    "never"
}

async fn switches(session: Session) -> Result<HttpResponse, Error> {
    session.insert("name", "Ada")?;
    session.save_async().await?;
    let detached = session.detach()?;
    // What a websocket does after the switch.
    actix_web::rt::spawn(async move {
        detached.add("bytes", 3).unwrap();
        detached.save_async().await.unwrap();
    });
    Ok(HttpResponse::build(StatusCode::SWITCHING_PROTOCOLS).upgrade("count").finish())
}

async fn streams(session: Session) -> Result<HttpResponse, Error> {
    session.insert("name", "Eve")?;
    session.save_async().await?;
    let detached = session.detach()?;
    let body = Late(Some(move || {
        let refused = session.insert("late", true).unwrap_err().kind();
        detached.insert("streamed", "yes").unwrap();
        detached.save().unwrap();
        format!("{refused:?} {:?}", detached.get::<String>("name"))
    }));
    Ok(HttpResponse::Ok().body(BoxBody::new(body)))
}

async fn public(session: Session) -> Result<HttpResponse, Error> {
    session.insert("name", "Eve")?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=60"))
        .insert_header((VARY, "Accept"))
        .finish())
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/untouched", get().to(|_lazy: LazySession| async { "untouched" }))
        .route("/name", get().to(name))
        .route("/rename", get().to(rename))
        .route("/renew", get().to(renew))
        .route("/log-in", get().to(log_in))
        .route("/log-out", get().to(log_out))
        .route("/two", get().to(two))
        .route("/fails", get().to(fails))
        .route("/fails-after-log-out", get().to(fails_after_log_out))
        .route("/panics", get().to(panics))
        .route("/switches", get().to(switches))
        .route("/streams", get().to(streams))
        .route("/public", get().to(public));
}

/// A body that is made when it is sent.
struct Late<F>(Option<F>);

impl<F: FnOnce() -> String + Unpin> MessageBody for Late<F> {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.0.take().map(|make| Ok(make().into())))
    }
}

#[tokio::test]
async fn a_request_that_does_not_look_into_its_session_reads_writes_and_sets_nothing() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let untouched = ask(&site, "/untouched", &cookie).await;
        assert_eq!(untouched.short(), (200, "untouched"));
        assert_eq!((untouched.header(VARY).len(), untouched.set_cookie()), (0, None));
        assert_eq!(site.store.asked(), [""; 0]);
        assert_eq!(ask(&site, "/name", &cookie).await.short(), (200, "Ada"));
        assert_eq!(site.store.asked(), ["load"]);
    }
}

#[tokio::test]
async fn a_log_in_redirects_with_a_cookie_that_the_next_request_brings_back() {
    for site in Site::both() {
        let before = site.visitor("cart", "pear");
        let redirect = ask(&site, "/log-in", &before).await;
        assert_eq!((redirect.status, redirect.header(LOCATION)), (303, vec!["/name"]));
        let cookie = pair(redirect.set_cookie().unwrap());
        assert_ne!(cookie, before);
        assert_eq!(ask(&site, "/name", &cookie).await.body, "Ada");
        assert_eq!(site.text(&cookie, "cart").as_deref(), Some("pear"));
        assert_eq!(ask(&site, "/name", &before).await.body, "");
    }
}

#[tokio::test]
async fn several_extractors_of_a_request_give_one_session_and_one_read() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let two = ask(&site, "/two", &cookie).await;
        assert_eq!(two.body, r#"Some(String("Eve")) Some(String("Eve"))"#);
        assert_eq!(site.store.asked(), ["load", "update"]);
    }
}

#[tokio::test]
async fn without_the_middleware_the_answer_says_what_is_missing() {
    let app = init_service(App::new().configure(routes)).await;
    for path in ["/name", "/untouched"] {
        let missing = app.call(request(path, "").to_request()).await;
        let missing = answer(missing.map(ServiceResponse::map_into_boxed_body)).await;
        let said = "there is no session: wrap the app in a SessionMiddleware";
        assert_eq!(missing.short(), (500, said));
    }
}

#[tokio::test]
async fn a_change_while_the_body_streams_is_refused_and_a_detached_session_saves() {
    for site in Site::both() {
        let streamed = ask(&site, "/streams", "").await;
        assert_eq!(streamed.body, r#"AlreadyCommitted Ok(Some("Eve"))"#);
        let cookie = pair(streamed.set_cookie().unwrap());
        let stored = site.stored(&cookie).unwrap();
        assert_eq!(stored.keys().collect::<Vec<_>>(), ["name", "streamed"]);
    }
}

#[tokio::test]
async fn a_handler_that_panics_saves_nothing_and_holds_nothing() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let asking = app(&site).await(request("/panics", &cookie));
        let local = tokio::task::LocalSet::new();
        let failed = local.run_until(async { tokio::task::spawn_local(asking).await }).await;
        assert!(failed.unwrap_err().is_panic());
        assert_eq!(site.store.asked(), ["load"]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
        assert_eq!(ask(&site, "/rename", &cookie).await.status, 200);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_before_its_handler_ends_saves_nothing() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let (changed, mut was_changed) = tokio::sync::mpsc::unbounded_channel();
        let handler = move |session: Session| {
            let changed = changed.clone();
            async move {
                session.insert("name", "Eve").unwrap();
                changed.send(()).unwrap();
                pending::<String>().await
            }
        };
        let app = App::new().route("/", get().to(handler));
        let app = init_service(app.wrap(SessionMiddleware::new(site.sessions.clone()))).await;
        drop(app.call(request("/", &cookie).to_request()));
        assert_eq!(site.store.asked(), [""; 0]);
        let mut waiting = Box::pin(app.call(request("/", &cookie).to_request()));
        tokio::select! {
            changed = was_changed.recv() => assert_eq!(changed, Some(())),
            _answered = &mut waiting => panic!("it waits for ever"),
        }
        drop(waiting);
        assert_eq!(site.store.asked(), ["load"]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
}

#[tokio::test]
async fn a_commit_that_has_begun_ends_also_if_its_request_is_dropped() {
    let site = Site::sqlite();
    let cookie = site.visitor("name", "Ada");
    let mut held = site.store.hold("update");
    let mut asking = app(&site).await(request("/rename", &cookie));
    tokio::select! {
        () = held.reached() => {}
        _answered = &mut asking => panic!("it waits for the store"),
    }
    drop(asking);
    assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"), "it is still on its way");
    held.release();
    held.done().await;
    assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
}

#[tokio::test]
async fn a_load_that_was_given_up_does_not_hold_up_the_thread_that_answers() {
    let site = Site::sqlite();
    let cookie = site.visitor("name", "Ada");
    let held = Arc::new(Mutex::new(site.store.hold("load")));
    let (given_up, mut was_given_up) = tokio::sync::mpsc::unbounded_channel();
    let handler = {
        let held = Arc::clone(&held);
        move |lazy: LazySession| {
            let (held, given_up) = (Arc::clone(&held), given_up.clone());
            async move {
                begin(lazy.load_async()).await;
                held.lock().await.reached().await;
                given_up.send(()).unwrap();
                "given up"
            }
        }
    };
    let app = App::new().route("/", get().to(handler));
    let app = init_service(app.wrap(SessionMiddleware::new(site.sessions.clone()))).await;
    // On this runtime's only thread: if the commit blocked it, nobody would release the store.
    let releasing = async {
        was_given_up.recv().await.unwrap();
        held.lock().await.release();
    };
    let (answered, ()) = tokio::join!(app.call(request("/", &cookie).to_request()), releasing);
    assert_eq!(answered.unwrap().status(), 200);
    held.lock().await.done().await;
}

/// 22: both have read the session before either writes another value.
#[tokio::test]
async fn two_requests_that_overlap_lose_neither_s_write() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let both_have_read = Arc::new(Barrier::new(2));
        let handler = move |session: Session, written: Path<String>| {
            let both_have_read = Arc::clone(&both_have_read);
            async move {
                let name = session.get::<String>("name")?;
                both_have_read.wait().await;
                session.insert(&written, true)?;
                Ok::<_, Error>(name.unwrap_or_default())
            }
        };
        let app = App::new().route("/{written}", get().to(handler));
        let app = init_service(app.wrap(SessionMiddleware::new(site.sessions.clone()))).await;
        let asking = ["/left", "/right"].map(|path| app.call(request(path, &cookie).to_request()));
        let [left, right] = asking.map(|asking| timeout(PATIENCE, asking));
        let (left, right) = tokio::join!(left, right);
        for answered in [left, right] {
            assert_eq!(answer(answered.unwrap()).await.short(), (200, "Ada"));
        }
        let stored = site.stored(&cookie).unwrap();
        assert_eq!(stored.keys().collect::<Vec<_>>(), ["left", "name", "right"]);
    }
}

#[tokio::test]
async fn a_server_error_drops_changes_and_renewals_and_the_old_session_goes_on() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let failed = ask(&site, "/fails", &cookie).await;
        assert_eq!(failed.short(), (500, ""));
        assert_eq!(failed.set_cookie(), None);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
    for site in Site::both_with(|builder| builder.with_server_errors(ServerErrorPolicy::Save)) {
        let cookie = site.visitor("name", "Ada");
        let failed = ask(&site, "/fails", &cookie).await;
        let renewed = pair(failed.set_cookie().unwrap());
        assert_eq!(site.stored(&cookie), None);
        assert_eq!(site.text(&renewed, "name").as_deref(), Some("Eve"));
    }
}

/// Without the session having been loaded.
#[tokio::test]
async fn a_handler_that_logs_out_ends_the_session_and_takes_the_cookie_away() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let left = ask(&site, "/log-out", &cookie).await;
        assert_eq!((left.short(), site.stored(&cookie)), ((200, "bye"), None));
        let removal = left.set_cookie().unwrap();
        assert!(removal.starts_with("id=; Path=/; Max-Age=0;"), "{removal}");

        let cookie = site.visitor("name", "Ada");
        site.store.fail(["delete"]);
        let failed = ask(&site, "/log-out", &cookie).await;
        assert_eq!((failed.status, failed.set_cookie()), (503, None), "it is told that it has not");
        site.store.fail([]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
}

#[tokio::test]
async fn a_logout_holds_also_with_a_server_error() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let failed = ask(&site, "/fails-after-log-out", &cookie).await;
        assert_eq!(failed.short(), (500, "broken"));
        assert_eq!(site.stored(&cookie), None);
        let removal = failed.set_cookie().unwrap();
        assert!(removal.starts_with("id=; Path=/; Max-Age=0;"), "{removal}");
    }
}

#[tokio::test]
async fn an_error_of_an_inner_middleware_is_a_response_that_carries_the_session() {
    for site in Site::both() {
        for (status, saved) in [(401, true), (500, false)] {
            let app = App::new()
                .route("/", get().to(rename))
                .wrap_fn(move |request, service| {
                    let answering = service.call(request);
                    async move {
                        let _answer = answering.await?;
                        Err::<ServiceResponse<BoxBody>, _>(match status {
                            401 => ErrorUnauthorized("log in"),
                            _ => ErrorInternalServerError("broken"),
                        })
                    }
                })
                .wrap(SessionMiddleware::new(site.sessions.clone()));
            let app = init_service(app).await;
            let answered = app.call(request("/", "").to_request()).await;
            assert!(answered.is_err());
            let answer = answer(answered).await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.header(VARY), ["Cookie"]);
            let cookie = answer.set_cookie().map(pair);
            assert_eq!(cookie.is_some(), saved);
            let stored = cookie.and_then(|cookie| site.text(&cookie, "name"));
            assert_eq!(stored.as_deref(), saved.then_some("Eve"));
        }
    }
}

#[tokio::test]
async fn a_switch_of_protocols_sets_the_cookie_and_the_socket_goes_on_detached() {
    for site in Site::both() {
        let local = tokio::task::LocalSet::new();
        let switched = local.run_until(ask(&site, "/switches", "")).await;
        assert_eq!(switched.status, 101);
        let cookie = pair(switched.set_cookie().unwrap());
        timeout(PATIENCE, local).await.unwrap();
        let stored = site.stored(&cookie).unwrap();
        assert_eq!(stored.get("bytes"), Some(&Value::from(3)));
    }
}

#[tokio::test]
async fn no_cache_keeps_a_response_that_sets_a_cookie() {
    let site = Site::memory();
    let cookie = site.visitor("name", "Ada");
    let set = ask(&site, "/public", "").await;
    assert!(set.set_cookie().is_some());
    assert_eq!(set.header(CACHE_CONTROL), ["no-store"]);
    assert_eq!(set.header(VARY), ["Accept", "Cookie"]);
    let saved = ask(&site, "/public", &cookie).await;
    assert_eq!(saved.set_cookie(), None);
    assert_eq!(saved.header(CACHE_CONTROL), ["public, max-age=60"]);
    assert_eq!(saved.header(VARY), ["Accept", "Cookie"]);
}

#[tokio::test]
async fn a_store_that_fails_is_503_and_the_record_stays_as_it_was() {
    for policy in [OutagePolicy::Fail, OutagePolicy::ReadOnly, OutagePolicy::Anonymous] {
        for site in Site::both_with(|builder| builder.with_outage(policy)) {
            let cookie = site.visitor("name", "Ada");
            site.store.fail(["load"]);
            let failed = ask(&site, "/rename", &cookie).await;
            assert_eq!(failed.short(), (503, ""));
            let expected = if policy == OutagePolicy::Anonymous { 200 } else { 503 };
            assert_eq!(ask(&site, "/name", &cookie).await.short(), (expected, ""));
            assert_eq!(ask(&site, "/untouched", &cookie).await.status, 200);
            site.store.fail(["update", "rename"]);
            let expected = if policy == OutagePolicy::Fail { (503, "") } else { (200, "renamed") };
            let failed = ask(&site, "/rename", &cookie).await;
            assert_eq!((failed.short(), failed.set_cookie()), (expected, None));
            assert_eq!(ask(&site, "/renew", &cookie).await.set_cookie(), None);
            site.store.fail([]);
            assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
            assert_eq!(ask(&site, "/rename", &cookie).await.status, 200);
            assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
        }
    }
}

#[test]
fn what_a_client_is_told_depends_on_the_kind() {
    let status = |kind| actix_web::ResponseError::status_code(&Error::new(kind, "test")).as_u16();
    assert_eq!(status(ErrorKind::Unavailable), 503);
    assert_eq!(status(ErrorKind::Conflict), 409);
    assert_eq!(status(ErrorKind::Ended), 409);
    assert_eq!(status(ErrorKind::Rejected), 403);
    assert_eq!(status(ErrorKind::TooLarge), 500);
}

/// 28: as for tower.
#[tokio::test]
async fn a_page_of_another_site_changes_nothing_under_the_policy_for_that() {
    use beaker_session::SitePolicy;
    for (policy, from, status) in [
        (SitePolicy::Any, "cross-site", 404),
        (SitePolicy::NotCross, "cross-site", 403),
        (SitePolicy::NotCross, "same-origin", 404),
    ] {
        let site = Site::memory_with(|builder| builder.with_sites(policy));
        // There is no such route: what reaches the service is told so.
        let post = request("/rename", "").method(actix_web::http::Method::POST);
        let answering = app(&site).await(post.insert_header(("sec-fetch-site", from)));
        let answer = self::answer(timeout(PATIENCE, answering).await.unwrap()).await;
        assert_eq!(answer.short(), (status, ""), "{policy:?}, {from}");
        let get = request("/untouched", "").insert_header(("sec-fetch-site", from));
        let answering = app(&site).await(get);
        let answer = self::answer(timeout(PATIENCE, answering).await.unwrap()).await;
        assert_eq!(answer.short(), (200, "untouched"));
    }
}
