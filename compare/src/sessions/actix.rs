//! The same requests in actix-web. A request is made by its test kit, which costs more than the handler.

use std::error::Error;
use std::rc::Rc;

use actix_session::config::CookieContentSecurity;
use actix_session::storage::CookieSessionStore;
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::cookie::Key;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{ServiceConfig, get};
use beaker_session::LazySession;
use beaker_session::actix::SessionMiddleware;
use tokio::runtime::{Builder, Runtime};

use super::{NEW, READ, UNTOUCHED, WRITE, ours};
use crate::args::Args;
use crate::measure::{self, Contestant, Rounds};
use crate::report::Report;

type Kind = &'static str;
type Run = Rc<dyn Fn(Kind, usize)>;

pub(super) fn run(args: &Args, report: &mut Report) -> Result<(), Box<dyn Error>> {
    report.heading("sessions: a request in actix-web, one thread, ns, median (min)");
    let runtime = Rc::new(Builder::new_current_thread().enable_all().build()?);
    let sites = sites(&runtime);
    let measured = [UNTOUCHED, READ, WRITE].map(|path| {
        let requests = args.size(10_000, 300);
        let mut contestants: Vec<_> = sites
            .iter()
            .map(|(name, run)| {
                let run = Rc::clone(run);
                Contestant::new(name, move |_| {
                    measure::cpu_nanos(|| run(path, requests)) / requests as f64
                })
            })
            .collect();
        (path[1..].to_owned(), Rounds::measure(&mut contestants, 1, args.rounds))
    });
    report.table(&measure::table("request", &measured));
    Ok(())
}

fn sites(runtime: &Rc<Runtime>) -> Vec<(&'static str, Run)> {
    let theirs = |security| {
        actix_session::SessionMiddleware::builder(
            CookieSessionStore::default(),
            Key::from(&[7; 64]),
        )
        .cookie_content_security(security)
        .build()
    };
    let signed = theirs(CookieContentSecurity::Signed);
    let private = theirs(CookieContentSecurity::Private);
    let start = |app| app;
    runtime.block_on(async {
        let bare = init_service(App::new().configure(bare)).await;
        let ours_signed = App::new().wrap(SessionMiddleware::new(ours::sessions(true)));
        let ours_signed = init_service(start(ours_signed).configure(our_routes)).await;
        let signed = init_service(App::new().wrap(signed).configure(their_routes)).await;
        let private = init_service(App::new().wrap(private).configure(their_routes)).await;
        vec![
            ("bare actix-web handler", site(runtime, bare).await),
            ("ours, memory, signed", site(runtime, ours_signed).await),
            ("actix-session, in a signed cookie", site(runtime, signed).await),
            ("actix-session, in a private cookie", site(runtime, private).await),
        ]
    })
}

async fn site<S, B>(runtime: &Rc<Runtime>, app: S) -> Run
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    S: 'static,
    B: MessageBody,
{
    let first = TestRequest::with_uri(NEW).to_request();
    let response = app.call(first).await.expect("the first request is answered");
    let cookie = response.headers().get_all(SET_COOKIE).next();
    let cookie = cookie.and_then(|value| value.to_str().ok()?.split(';').next());
    let cookie = cookie.unwrap_or_default().to_owned();
    let runtime = Rc::clone(runtime);
    Rc::new(move |path, requests| {
        runtime.block_on(async {
            for _ in 0..requests {
                let request = TestRequest::with_uri(path).insert_header((COOKIE, cookie.as_str()));
                let response = app.call(request.to_request()).await.expect("it is answered");
                assert!(response.status().is_success());
            }
        });
    })
}

fn bare(config: &mut ServiceConfig) {
    let handler = || async { "ada" };
    for path in [UNTOUCHED, READ, WRITE, NEW] {
        config.route(path, get().to(handler));
    }
}

fn our_routes(config: &mut ServiceConfig) {
    config
        .route(UNTOUCHED, get().to(|_session: LazySession| async { "untouched" }))
        .route(READ, get().to(ours::read))
        .route(WRITE, get().to(ours::write))
        .route(NEW, get().to(ours::new));
}

type Session = actix_session::Session;
type Answer<T> = Result<T, actix_web::Error>;

fn their_routes(config: &mut ServiceConfig) {
    config
        .route(UNTOUCHED, get().to(|_session: Session| async { "untouched" }))
        .route(READ, get().to(read))
        .route(WRITE, get().to(write))
        .route(NEW, get().to(new));
}

async fn read(session: Session) -> Answer<String> {
    Ok(session.get::<String>("user")?.unwrap_or_default())
}

async fn write(session: Session) -> Answer<String> {
    let count = session.get::<u64>("count")?.unwrap_or_default() + 1;
    session.insert("count", count)?;
    Ok(count.to_string())
}

async fn new(session: Session) -> Answer<&'static str> {
    session.insert("user", "ada")?;
    session.insert("count", 0)?;
    Ok("new")
}
