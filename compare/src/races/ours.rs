//! Ours, by its layer.

use std::convert::Infallible;

use ::axum::http::Request;
use ::axum::http::header::{COOKIE, SET_COOKIE};
use beaker_namespace::{MemoryConfig, MemoryNamespace};
use beaker_session::testkit::{Failing, Failure};
use beaker_session::{
    Builder, Error, ErrorKind, KeyRing, LazySession, NamespaceStore, SecretKey, SessionLayer,
    SessionStore, Sessions,
};
use tower::{Layer, ServiceExt, service_fn};

use super::experiments::{go, has, log_in};
use super::{Act, Errand, Raced, Seen, told};

/// A cookie with an id that could be one of ours.
pub(super) const PLANTED: &str = "__Host-id=AAAAAAAAAAAAAAAAAAAAAA";

pub(super) struct Site(Sessions);

fn site(builder: Builder) -> Site {
    Site(builder.build().expect("the settings fit"))
}

fn store() -> NamespaceStore {
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).expect("no bound is wrong");
    NamespaceStore::new(memory).expect("memory keeps sessions")
}

pub(super) fn in_memory() -> Site {
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).expect("no bound is wrong");
    site(Sessions::builder().with_namespace(memory))
}

/// The whole session in an encrypted cookie, and in a store only who has logged out.
pub(super) fn in_cookies() -> Site {
    let keys = KeyRing::new(SecretKey::generate().expect("the system gives random bytes"));
    site(Sessions::builder().in_encrypted_cookies().with_epochs(store()).with_keys(keys))
}

/// Two processes with one store.
pub(super) fn nodes() -> [Site; 2] {
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).expect("no bound is wrong");
    [(); 2].map(|()| site(Sessions::builder().with_namespace(memory.clone())))
}

fn failing() -> (Site, Failing<impl SessionStore>) {
    let store = Failing::new(store());
    (site(Sessions::builder().with_store(store.clone())), store)
}

pub(super) async fn a_renewal_that_fails() -> String {
    let (site, store) = failing();
    let mut jar = log_in(&site).await;
    store.arm(2, Failure::Before, ErrorKind::Unavailable);
    assert_eq!(go(&site, &mut jar, Act::Renew).await, 503);
    has(&site, &jar.header()).await
}

pub(super) async fn a_write_in_an_outage() -> String {
    let (site, store) = failing();
    let mut jar = log_in(&site).await;
    store.arm(1, Failure::Before, ErrorKind::Unavailable);
    let status = go(&site, &mut jar, Act::Insert("late")).await;
    format!("{status}, {}", has(&site, &jar.header()).await)
}

impl Raced for Site {
    async fn visit(&self, cookie: &str, errand: Errand) -> Seen {
        let service = service_fn(move |request: Request<()>| {
            let errand = errand.clone();
            async move {
                let lazy = request.extensions().get::<LazySession>().expect("the layer is there");
                Ok::<_, Infallible>(handle(lazy, &errand).await)
            }
        });
        let service = SessionLayer::new(self.0.clone()).layer(service);
        let request = Request::builder().header(COOKIE, cookie).body(()).expect("a valid cookie");
        let Ok(response) = service.oneshot(request).await;
        Seen {
            status: response.status().as_u16(),
            set_cookies: super::texts(response.headers().get_all(SET_COOKIE)),
            had: response.into_body(),
        }
    }
}

async fn handle(lazy: &LazySession, errand: &Errand) -> ::axum::http::Response<String> {
    let (status, body) = match act(lazy, errand).await {
        Ok(had) => (errand.act.status(), had),
        Err(error) if error.kind() == ErrorKind::Unavailable => (503, String::new()),
        Err(_) => (500, String::new()),
    };
    let response = ::axum::http::Response::builder().status(status).body(body);
    response.expect("a valid status")
}

async fn act(lazy: &LazySession, errand: &Errand) -> Result<String, Error> {
    if errand.act == Act::Nothing {
        return Ok(String::new());
    }
    let session = lazy.load_async().await?;
    let had = told(|name| session.get(name).ok().flatten());
    errand.meet().await;
    match errand.act {
        Act::Nothing | Act::Look => {}
        Act::Insert(name) => session.insert(name, 1)?,
        Act::Count => {
            session.entry::<i64>("user")?.and_modify(|count| *count += 1)?.or_insert(1)?;
        }
        Act::Grow(length) => session.insert("large", "x".repeat(length))?,
        Act::LogOut => session.delete()?,
        Act::Renew | Act::RenewAndFail => session.renew()?,
    }
    Ok(had)
}
