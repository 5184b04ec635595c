//! Our layer and extractors.

use axum::Router;
use axum::routing::get;
use beaker_namespace::{MemoryConfig, MemoryNamespace};
use beaker_session::{
    CookieConfig, Error, KeyRing, LazySession, SecretKey, Session, SessionLayer, Sessions,
};

pub(super) fn sessions(signed: bool) -> Sessions {
    let namespace = MemoryNamespace::anonymous(MemoryConfig::new()).expect("no bound is wrong");
    let mut builder =
        Sessions::builder().with_namespace(namespace).with_cookie(CookieConfig::named("id"));
    if signed {
        let secret: Vec<u8> = (1..=32).map(|at: u8| at.wrapping_mul(37)).collect();
        let key = SecretKey::from_bytes(&secret).expect("32 bytes are a key");
        builder = builder.with_keys(KeyRing::new(key));
    }
    builder.build().expect("the settings fit")
}

/// The routes, and the layer for them.
pub(super) fn parts(signed: bool) -> (Router, SessionLayer) {
    let router = Router::new()
        .route("/ignored", get(|| async { "ignored" }))
        .route("/untouched", get(|_session: LazySession| async { "untouched" }))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/new", get(new));
    (router, SessionLayer::new(sessions(signed)))
}

pub(super) async fn read(session: Session) -> Result<String, Error> {
    Ok(session.get::<String>("user")?.unwrap_or_default())
}

pub(super) async fn write(session: Session) -> Result<String, Error> {
    let count = session.get::<u64>("count")?.unwrap_or_default() + 1;
    session.insert("count", count)?;
    Ok(count.to_string())
}

pub(super) async fn new(session: Session) -> Result<&'static str, Error> {
    session.insert("user", "ada")?;
    session.insert("count", 0)?;
    Ok("new")
}
