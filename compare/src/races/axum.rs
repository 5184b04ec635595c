//! axum_session, in its own memory and before a database.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::axum::http::header::{COOKIE, SET_COOKIE};
use ::axum::http::{Request, Response};
use async_trait::async_trait;
use axum_session::{
    DatabaseError, DatabasePool, Session, SessionConfig, SessionLayer, SessionNullPool,
    SessionStore,
};
use parking_lot::Mutex;
use tower::{Layer, ServiceExt, service_fn};

use super::experiments::{go, has, log_in};
use super::{Act, Errand, Raced, Seen, told};

/// A cookie with an id that could be one of theirs.
pub(super) const PLANTED: &str = "session=00000000-0000-4000-8000-000000000000";

pub(super) struct Site<P: Pool>(SessionLayer<P>);

/// What they ask of a pool.
pub(super) trait Pool:
    DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static
{
}

impl<P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static> Pool for P {}

async fn site<P: Pool>(pool: Option<P>, config: SessionConfig) -> Site<P> {
    let store = SessionStore::new(pool, config).await.expect("a store opens");
    Site(SessionLayer::new(store))
}

pub(super) async fn in_memory() -> Site<SessionNullPool> {
    site(None, SessionConfig::default()).await
}

pub(super) async fn with_prefix() -> Site<SessionNullPool> {
    site(None, SessionConfig::default().with_prefix_with_host(true)).await
}

pub(super) async fn a_write_in_an_outage() -> String {
    let database = Database::default();
    // Nothing is kept in memory between two requests, as on a node that has not seen the session yet.
    let config =
        SessionConfig::default().with_memory_lifetime(tower_sessions::cookie::time::Duration::ZERO);
    let site = site(Some(database.clone()), config).await;
    let mut jar = log_in(&site).await;
    assert_eq!(has(&site, &jar.header()).await, "user", "it is read from the database");
    database.unreadable.store(true, Ordering::SeqCst);
    let status = go(&site, &mut jar, Act::Insert("late")).await;
    database.unreadable.store(false, Ordering::SeqCst);
    format!("{status}, {}", has(&site, &jar.header()).await)
}

/// A database that cannot be read while it is told so.
#[derive(Debug, Clone, Default)]
struct Database {
    rows: Arc<Mutex<HashMap<String, String>>>,
    unreadable: Arc<AtomicBool>,
}

type Answer<T> = Result<T, DatabaseError>;

#[async_trait]
impl DatabasePool for Database {
    async fn initiate(&self, _table: &str) -> Answer<()> {
        Ok(())
    }

    async fn count(&self, _table: &str) -> Answer<i64> {
        Ok(self.rows.lock().len() as i64)
    }

    async fn store(&self, id: &str, session: &str, _expires: i64, _table: &str) -> Answer<()> {
        self.rows.lock().insert(id.to_owned(), session.to_owned());
        Ok(())
    }

    async fn load(&self, id: &str, _table: &str) -> Answer<Option<String>> {
        if self.unreadable.load(Ordering::SeqCst) {
            return Err(DatabaseError::GenericSelectError("it cannot be reached".to_owned()));
        }
        Ok(self.rows.lock().get(id).cloned())
    }

    async fn delete_one_by_id(&self, id: &str, _table: &str) -> Answer<()> {
        self.rows.lock().remove(id);
        Ok(())
    }

    async fn exists(&self, id: &str, _table: &str) -> Answer<bool> {
        Ok(self.rows.lock().contains_key(id))
    }

    async fn delete_by_expiry(&self, _table: &str) -> Answer<Vec<String>> {
        Ok(Vec::new())
    }

    async fn delete_all(&self, _table: &str) -> Answer<()> {
        self.rows.lock().clear();
        Ok(())
    }

    async fn get_ids(&self, _table: &str) -> Answer<Vec<String>> {
        Ok(self.rows.lock().keys().cloned().collect())
    }

    fn auto_handles_expiry(&self) -> bool {
        true
    }
}

impl<P: Pool> Raced for Site<P> {
    async fn visit(&self, cookie: &str, errand: Errand) -> Seen {
        let service = service_fn(move |request: Request<::axum::body::Body>| {
            let errand = errand.clone();
            async move {
                let session = request.extensions().get::<Session<P>>().expect("the layer is there");
                let body = act(session, &errand).await;
                let response = Response::builder().status(errand.act.status()).body(body);
                Ok::<_, Infallible>(response.expect("a valid status"))
            }
        });
        let request = Request::builder().header(COOKIE, cookie).body(::axum::body::Body::empty());
        let service = self.0.layer(service);
        let Ok(response) = service.oneshot(request.expect("a valid cookie")).await;
        Seen {
            status: response.status().as_u16(),
            set_cookies: super::texts(response.headers().get_all(SET_COOKIE)),
            had: response.into_body(),
        }
    }
}

async fn act<P: Pool>(session: &Session<P>, errand: &Errand) -> String {
    if errand.act == Act::Nothing {
        return String::new();
    }
    let had = told(|name| session.get(name));
    errand.meet().await;
    match errand.act {
        Act::Nothing | Act::Look => {}
        Act::Insert(name) => session.set(name, 1),
        Act::Count => session.set("user", session.get::<i64>("user").unwrap_or_default() + 1),
        Act::Grow(length) => session.set("large", "x".repeat(length)),
        Act::LogOut => session.destroy(),
        Act::Renew | Act::RenewAndFail => session.renew(),
    }
    had
}
