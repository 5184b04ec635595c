//! What a handler takes and gives: fields of a form, a page or JSON, a failure in either form.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::html::Html;
use crate::place::explained;

/// What the client wants to have: our script asks for JSON, a browser without it for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    Json,
    Page,
}

impl Wants {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        match accept {
            Some(accept) if accept.starts_with("application/json") => Self::Json,
            _ => Self::Page,
        }
    }

    /// `facts` for the script; else back to the part of the page that shows them.
    pub(crate) fn facts_or_back(self, facts: &impl Serialize, part: &str) -> Response {
        match self {
            Self::Json => Json(facts).into_response(),
            Self::Page => Redirect::to(&format!("/#{part}")).into_response(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Wants {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// The fields of a form that was sent.
#[derive(Debug)]
pub(crate) struct Fields<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Fields<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match Form::<T>::from_request(request, state).await {
            Ok(Form(fields)) => Ok(Self(fields)),
            Err(rejection) => Err(Failure::new(rejection.status(), rejection.body_text())),
        }
    }
}

/// Why a request was not obeyed. The guard gives it the form that the client wants.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// There is no such thing.
    pub(crate) fn absent(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("There is no such {what}."))
    }

    /// It as the client wants to have it.
    pub(crate) fn rendered(&self, wants: Wants) -> Response {
        let body = match wants {
            Wants::Json => Json(serde_json::json!({ "error": self.message })).into_response(),
            Wants::Page => {
                let reason = self.status.canonical_reason().unwrap_or("Failed");
                Html::filled(
                    include_str!("../templates/failure.html"),
                    &[("reason", Html::text(reason)), ("message", Html::text(&self.message))],
                )
                .into_response()
            }
        };
        (self.status, body).into_response()
    }
}

/// The store failed: the request may be tried again.
impl From<beaker_container::Error> for Failure {
    fn from(error: beaker_container::Error) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, explained(&error))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
