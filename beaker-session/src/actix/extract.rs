//! Extractors, and what a client is told of a failure.

use std::fmt;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::dev::Payload;
use actix_web::error::ErrorInternalServerError;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError};

use crate::core::watch;
use crate::fields::status_of;
use crate::lazy::Goal;
use crate::{Error, LazySession, Session};

impl FromRequest for LazySession {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    /// The session, not loaded yet.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(lazy_of(request))
    }
}

impl FromRequest for Session {
    type Error = actix_web::Error;
    type Future = LoadFuture;

    /// The session, loaded: a handler with this argument uses it.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        LoadFuture(match lazy_of(request) {
            Ok(lazy) if lazy.is_inline(Goal::Load) => {
                State::Loaded(ready(lazy.load().map_err(Into::into)))
            }
            Ok(lazy) => State::Loading(Box::pin(async move { lazy.load_async().await })),
            Err(error) => State::Loaded(ready(Err(error))),
        })
    }
}

fn lazy_of(request: &HttpRequest) -> Result<LazySession, actix_web::Error> {
    let lazy = request.extensions().get::<LazySession>().cloned();
    lazy.ok_or_else(|| {
        ErrorInternalServerError("there is no session: wrap the app in a SessionMiddleware")
    })
}

/// The future that gives a handler its loaded [`Session`].
pub struct LoadFuture(State);

enum State {
    Loaded(Ready<Result<Session, actix_web::Error>>),
    Loading(Pin<Box<dyn Future<Output = Result<Session, Error>>>>),
}

impl Future for LoadFuture {
    type Output = Result<Session, actix_web::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Loaded(loaded) => Pin::new(loaded).poll(context),
            State::Loading(loading) => loading.as_mut().poll(context).map_err(Into::into),
        }
    }
}

impl fmt::Debug for LoadFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadFuture").finish_non_exhaustive()
    }
}

/// So that handlers may end in `?`. The body is empty; why, is told to whoever watches.
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(status_of(self)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        watch::unsaid(self, status.as_u16());
        HttpResponse::new(status)
    }
}
