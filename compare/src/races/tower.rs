//! tower-sessions, with its own store in memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::axum::http::header::{COOKIE, SET_COOKIE};
use ::axum::http::{Request, Response};
use async_trait::async_trait;
use tower::{Layer, ServiceExt, service_fn};
use tower_sessions::session::{self, Id, Record};
use tower_sessions::session_store::{Error, Result};
use tower_sessions::{
    CachingSessionStore, MemoryStore, Session, SessionManagerLayer, SessionStore,
};

use super::experiments::{go, has, log_in};
use super::{Act, Errand, NAMES, Raced, Seen, told};

pub(super) struct Site<S: SessionStore>(SessionManagerLayer<S>);

fn site<S: SessionStore>(store: S) -> Site<S> {
    Site(SessionManagerLayer::new(store))
}

pub(super) fn in_memory() -> Site<MemoryStore> {
    site(MemoryStore::default())
}

/// Two processes, each with a cache of its own in front of one store.
pub(super) fn nodes() -> [Site<CachingSessionStore<MemoryStore, MemoryStore>>; 2] {
    let store = MemoryStore::default();
    [(); 2].map(|()| site(CachingSessionStore::new(MemoryStore::default(), store.clone())))
}

/// A store that makes no session while it is told not to.
#[derive(Debug, Clone, Default)]
struct Failing {
    store: MemoryStore,
    fails: Arc<AtomicBool>,
}

#[async_trait]
impl SessionStore for Failing {
    async fn create(&self, record: &mut Record) -> Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(Error::Backend("it cannot be reached".to_owned()));
        }
        self.store.create(record).await
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.store.save(record).await
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        self.store.load(id).await
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.store.delete(id).await
    }
}

pub(super) async fn a_renewal_that_fails() -> String {
    let store = Failing::default();
    let site = site(store.clone());
    let mut jar = log_in(&site).await;
    store.fails.store(true, Ordering::SeqCst);
    assert_eq!(go(&site, &mut jar, Act::Renew).await, 500);
    store.fails.store(false, Ordering::SeqCst);
    has(&site, &jar.header()).await
}

impl<S: SessionStore + Clone> Raced for Site<S> {
    async fn visit(&self, cookie: &str, errand: Errand) -> Seen {
        let service = service_fn(move |request: Request<()>| {
            let errand = errand.clone();
            async move {
                let session = request.extensions().get::<Session>().expect("the layer is there");
                let body = act(session, &errand).await.expect("their calls succeed");
                let response = Response::builder().status(errand.act.status()).body(body);
                Ok::<_, Infallible>(response.expect("a valid status"))
            }
        });
        let request = Request::builder().header(COOKIE, cookie).body(()).expect("a valid cookie");
        let Ok(response) = self.0.layer(service).oneshot(request).await;
        Seen {
            status: response.status().as_u16(),
            set_cookies: super::texts(response.headers().get_all(SET_COOKIE)),
            had: response.into_body(),
        }
    }
}

async fn act(session: &Session, errand: &Errand) -> std::result::Result<String, session::Error> {
    if errand.act == Act::Nothing {
        return Ok(String::new());
    }
    let mut numbers = Vec::new();
    for name in NAMES {
        numbers.push((name, session.get::<i64>(name).await?));
    }
    let number_of =
        |name: &str| numbers.iter().find(|(known, _)| *known == name).and_then(|(_, it)| *it);
    let had = told(number_of);
    errand.meet().await;
    match errand.act {
        Act::Nothing | Act::Look => {}
        Act::Insert(name) => session.insert(name, 1).await?,
        Act::Count => session.insert("user", number_of("user").unwrap_or_default() + 1).await?,
        Act::Grow(length) => session.insert("large", "x".repeat(length)).await?,
        Act::LogOut => session.flush().await?,
        Act::Renew | Act::RenewAndFail => session.cycle_id().await?,
    }
    Ok(had)
}
