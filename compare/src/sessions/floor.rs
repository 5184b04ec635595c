//! The least there is: a handler alone, and a session as one would write it by hand for one site.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, Request};
use axum::routing::get;
use axum::{Extension, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;
use tower::{Layer, Service};

type Key = Hmac<Sha256>;

pub(super) fn bare() -> Router {
    let handler = || async { "ada" };
    Router::new()
        .route("/ignored", get(handler))
        .route("/untouched", get(handler))
        .route("/read", get(handler))
        .route("/write", get(handler))
        .route("/new", get(handler))
}

pub(super) fn key() -> Key {
    Key::new_from_slice(&[7; 32]).expect("a key of any length will do")
}

enum Value {
    Text(String),
    Number(u64),
}

type Values = BTreeMap<String, Value>;

/// The sessions of one site.
struct Sessions {
    key: Option<Key>,
    values: Mutex<HashMap<[u8; 16], Values>>,
    next: Mutex<u128>,
}

/// The session of a request, as the layer gives it to the handler.
#[derive(Clone)]
struct Session {
    id: Option<[u8; 16]>,
    sessions: Arc<Sessions>,
}

/// Reads `id` and, with a key, a signature, each in base64, from the cookie.
#[derive(Clone)]
pub(super) struct FloorLayer(Arc<Sessions>);

#[derive(Clone)]
pub(super) struct FloorService<S>(S, Arc<Sessions>);

/// The routes, and the layer for them.
pub(super) fn parts(key: Option<Key>) -> (Router, FloorLayer) {
    let sessions = Sessions { key, values: Mutex::default(), next: Mutex::new(1) };
    let router = Router::new()
        .route("/ignored", get(|| async { "ignored" }))
        .route("/untouched", get(|_session: Extension<Session>| async { "untouched" }))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/new", get(new));
    (router, FloorLayer(Arc::new(sessions)))
}

impl<S> Layer<S> for FloorLayer {
    type Service = FloorService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FloorService(inner, Arc::clone(&self.0))
    }
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for FloorService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let session = Session { id: self.1.id(request.headers()), sessions: Arc::clone(&self.1) };
        request.extensions_mut().insert(session);
        self.0.call(request)
    }
}

impl Sessions {
    fn id(&self, headers: &HeaderMap) -> Option<[u8; 16]> {
        let header = headers.get(COOKIE)?.to_str().ok()?;
        let value = header.split("; ").find_map(|pair| pair.strip_prefix("id="))?;
        let mut id = [0; 18];
        let length = URL_SAFE_NO_PAD.decode_slice(value.get(..22)?, &mut id).ok()?;
        let id: [u8; 16] = id[..length].try_into().ok()?;
        if let Some(key) = &self.key {
            let mut signature = [0; 36];
            let text = value.get(22..)?.strip_prefix('.')?;
            let length = URL_SAFE_NO_PAD.decode_slice(text, &mut signature).ok()?;
            key.clone().chain_update(id).verify_slice(&signature[..length]).ok()?;
        }
        Some(id)
    }

    fn cookie(&self, id: [u8; 16]) -> String {
        let mut cookie = "id=".to_owned();
        URL_SAFE_NO_PAD.encode_string(id, &mut cookie);
        if let Some(key) = &self.key {
            cookie.push('.');
            let signature = key.clone().chain_update(id).finalize().into_bytes();
            URL_SAFE_NO_PAD.encode_string(signature, &mut cookie);
        }
        cookie.push_str("; Path=/; Secure; HttpOnly; SameSite=Lax");
        cookie
    }
}

async fn read(Extension(session): Extension<Session>) -> String {
    let Some(id) = session.id else { return String::new() };
    match session.sessions.values.lock().get(&id).and_then(|values| values.get("user")) {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

async fn write(Extension(session): Extension<Session>) -> String {
    let Some(id) = session.id else { return String::new() };
    match session.sessions.values.lock().get_mut(&id).and_then(|values| values.get_mut("count")) {
        Some(Value::Number(count)) => {
            *count += 1;
            count.to_string()
        }
        _ => String::new(),
    }
}

/// Numbers in place of random ids: no peer is to be quicker for its source of randomness.
async fn new(
    Extension(Session { sessions, .. }): Extension<Session>,
) -> ([(HeaderName, String); 1], &'static str) {
    let id = {
        let mut next = sessions.next.lock();
        *next += 1;
        next.to_le_bytes()
    };
    let user = ("user".to_owned(), Value::Text("ada".to_owned()));
    let values = [user, ("count".to_owned(), Value::Number(0))].into();
    sessions.values.lock().insert(id, values);
    ([(SET_COOKIE, sessions.cookie(id))], "new")
}
