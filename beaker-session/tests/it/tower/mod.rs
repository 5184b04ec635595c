//! The layer around a plain service.

mod damage;
mod headers;
mod interrupted;
mod outages;
mod races;
mod requests;
mod server_errors;
mod sites;
mod turns;

use std::convert::Infallible;

use beaker_session::{LazySession, SessionLayer};
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};

use crate::served::{PATIENCE, Site};

type Answer = Response<String>;

fn request(cookie: &str) -> Request<()> {
    Request::builder().header(COOKIE, cookie).body(()).unwrap()
}

fn of(request: &Request<()>) -> LazySession {
    request.extensions().get::<LazySession>().unwrap().clone()
}

fn answer(status: u16) -> Answer {
    let mut answer = Response::new("body".to_owned());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

/// One request through the layer.
async fn ask<F>(site: &Site, cookie: &str, handler: impl Fn(LazySession) -> F) -> Answer
where
    F: Future<Output = Answer>,
{
    let service = service_fn(move |request: Request<()>| {
        let answer = handler(of(&request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let service = SessionLayer::new(site.sessions.clone()).layer(service);
    let Ok(answer) = timeout(PATIENCE, service.oneshot(request(cookie))).await.unwrap();
    answer
}

fn set_cookie(answer: &Answer) -> Option<String> {
    let mut cookies = answer.headers().get_all(SET_COOKIE).iter();
    let first = cookies.next()?.to_str().unwrap().to_owned();
    assert_eq!(cookies.next(), None, "one cookie is set");
    Some(first)
}

fn header(answer: &Answer, name: http::HeaderName) -> Vec<&str> {
    answer.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

async fn insert(site: &Site, cookie: &str, name: &'static str, value: &'static str) -> Answer {
    ask(site, cookie, |lazy| async move {
        lazy.load_async().await.unwrap().insert(name, value).unwrap();
        answer(200)
    })
    .await
}
