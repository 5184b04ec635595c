//! Extractors for axum. They need a [`SessionLayer`](crate::SessionLayer) around the routes.

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::tower::status_of;
use crate::{Error, LazySession, Session};

/// Why an extractor gave no session: the answer has an empty body. The status is 503 if the store
/// failed or another request [had the session](crate::MergePolicy::Lock) for too long, 409 if the session was changed or
/// ended by another request, 403 for a form's token of another session, 429 for a new session that was not admitted, else 500. Why, is told by an event of the
/// feature `tracing`.
#[derive(Debug, Clone)]
pub struct SessionRejection(pub Error);

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        status_of(&self.0).into_response()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for LazySession {
    type Rejection = (StatusCode, &'static str);

    /// The session, not loaded yet.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        lazy_of(parts).cloned()
    }
}

fn lazy_of(parts: &Parts) -> Result<&LazySession, (StatusCode, &'static str)> {
    parts.extensions.get::<LazySession>().ok_or((
        StatusCode::INTERNAL_SERVER_ERROR,
        "there is no session: put a SessionLayer around the routes",
    ))
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Response;

    /// The session, loaded: a handler with this argument uses it.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let lazy = lazy_of(parts).map_err(IntoResponse::into_response)?;
        lazy.load_async().await.map_err(|error| SessionRejection(error).into_response())
    }
}

/// So that handlers may end in `?`.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        SessionRejection(self).into_response()
    }
}
