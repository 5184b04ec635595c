//! The least there is: a handler alone, and a session as one would write it by hand for one site.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;

type Key = Hmac<Sha256>;

pub(super) fn bare() -> Router {
    let handler = || async { "ada" };
    Router::new()
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

struct Sessions {
    key: Option<Key>,
    values: Mutex<HashMap<[u8; 16], Values>>,
    next: Mutex<u128>,
}

/// `id` and, with a key, a signature, each in base64.
pub(super) fn router(key: Option<Key>) -> Router {
    let sessions = Sessions { key, values: Mutex::default(), next: Mutex::new(1) };
    Router::new()
        .route("/untouched", get(|_headers: HeaderMap| async { "untouched" }))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/new", get(new))
        .with_state(Arc::new(sessions))
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

async fn read(State(sessions): State<Arc<Sessions>>, headers: HeaderMap) -> String {
    let Some(id) = sessions.id(&headers) else { return String::new() };
    match sessions.values.lock().get(&id).and_then(|values| values.get("user")) {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

async fn write(State(sessions): State<Arc<Sessions>>, headers: HeaderMap) -> String {
    let Some(id) = sessions.id(&headers) else { return String::new() };
    match sessions.values.lock().get_mut(&id).and_then(|values| values.get_mut("count")) {
        Some(Value::Number(count)) => {
            *count += 1;
            count.to_string()
        }
        _ => String::new(),
    }
}

/// Numbers in place of random ids: no peer is to be quicker for its source of randomness.
async fn new(State(sessions): State<Arc<Sessions>>) -> ([(HeaderName, String); 1], &'static str) {
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
