//! Peers for axum, as their pages show them.

use axum::Router;
use axum::routing::get;
use axum_session::{SessionConfig, SessionNullPool, SessionNullSession, SessionStore};
use tower_sessions::cookie::Key;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

pub(super) fn tower_sessions(signed: bool) -> Router {
    let router = Router::new()
        .route("/ignored", get(|| async { "ignored" }))
        .route("/untouched", get(|_session: Session| async { "untouched" }))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/new", get(new));
    let layer = SessionManagerLayer::new(MemoryStore::default());
    match signed {
        true => router.layer(layer.with_signed(Key::from(&[7; 64]))),
        false => router.layer(layer),
    }
}

type Answer<T> = Result<T, String>;

async fn read(session: Session) -> Answer<String> {
    let user = session.get::<String>("user").await.map_err(|error| error.to_string())?;
    Ok(user.unwrap_or_default())
}

async fn write(session: Session) -> Answer<String> {
    let count = session.get::<u64>("count").await.map_err(|error| error.to_string())?;
    let count = count.unwrap_or_default() + 1;
    session.insert("count", count).await.map_err(|error| error.to_string())?;
    Ok(count.to_string())
}

async fn new(session: Session) -> Answer<&'static str> {
    session.insert("user", "ada").await.map_err(|error| error.to_string())?;
    session.insert("count", 0).await.map_err(|error| error.to_string())?;
    Ok("new")
}

pub(super) async fn axum_session(signed: bool) -> Router {
    let config = SessionConfig::default();
    let config = match signed {
        true => config.with_key(axum_session::Key::from(&[7; 64])),
        false => config,
    };
    let store = SessionStore::<SessionNullPool>::new(None, config).await;
    let store = store.expect("a store in memory opens");
    Router::new()
        .route("/ignored", get(|| async { "ignored" }))
        .route("/untouched", get(|_session: SessionNullSession| async { "untouched" }))
        .route(
            "/read",
            get(|session: SessionNullSession| async move {
                session.get::<String>("user").unwrap_or_default()
            }),
        )
        .route(
            "/write",
            get(|session: SessionNullSession| async move {
                let count = session.get::<u64>("count").unwrap_or_default() + 1;
                session.set("count", count);
                count.to_string()
            }),
        )
        .route(
            "/new",
            get(|session: SessionNullSession| async move {
                session.set("user", "ada");
                session.set("count", 0);
                "new"
            }),
        )
        .layer(axum_session::SessionLayer::new(store))
}
