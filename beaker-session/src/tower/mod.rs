//! Sessions as a layer of tower services.
//
// 1. A request that does not look into its session costs one allocation for it and a walk through
//    its Cookie headers.
// 2. The commit comes when the inner service has answered and before the header goes out. A body
//    that is still to be streamed comes after it: what is changed there is refused, see
//    `Session::detach`.
// 3. If the inner service fails, panics or is dropped, nothing is saved. A commit that has begun
//    runs to its end.

mod future;
mod headers;

use std::task::{Context, Poll};

use http::header::COOKIE;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

pub use self::future::SessionFuture;
#[cfg(feature = "axum")]
pub(crate) use self::future::status_of;
use crate::Sessions;

/// Gives each request its [`LazySession`](crate::LazySession), as an extension, and saves it with
/// the response.
///
/// It works with any service of the crate `http`. A response is:
///
/// | the session | the response |
/// |---|---|
/// | was not looked into | as the service made it |
/// | was looked into | has `Vary: Cookie` |
/// | was made, renewed or ended | has a `Set-Cookie`, and `Cache-Control: no-store` unless it is `private` already |
/// | could not be saved, as the store failed | an empty 503, unless the outage policy lets it pass |
/// | was changed by another request, and the policy is to fail | an empty 409 |
/// | is too large or cannot be encoded | an empty 500 |
/// | was ended by another request | as the service made it, without a cookie |
///
/// For a server error (5xx) of the service see [`ServerErrorPolicy`](crate::ServerErrorPolicy). A
/// switch of protocols (101) commits as any response does; the websocket then uses
/// [`Session::detach`](crate::Session::detach).
#[derive(Debug, Clone)]
pub struct SessionLayer {
    sessions: Sessions,
}

impl SessionLayer {
    /// A layer of these sessions.
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService { inner, sessions: self.sessions.clone() }
    }
}

/// The service that [`SessionLayer`] makes.
#[derive(Debug, Clone)]
pub struct SessionService<S> {
    inner: S,
    sessions: Sessions,
}

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = SessionFuture<S::Future, R>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let cookies = request.headers().get_all(COOKIE).iter();
        let lazy = self.sessions.begin(cookies.map(http::HeaderValue::as_bytes));
        request.extensions_mut().insert(lazy.clone());
        SessionFuture::new(self.inner.call(request), lazy)
    }
}
