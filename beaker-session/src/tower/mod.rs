//! Sessions as a layer of tower services.
//
// 1. A request that does not look into its session costs two allocations, for its state and for the
//    handle among the extensions, and the copy of a short Cookie header.
// 2. The commit comes when the inner service has answered and before the header goes out. A body
//    that is still to be streamed comes after it: what is changed there is refused, see
//    `Session::detach`.
// 3. If the inner service fails, panics or is dropped, nothing is saved. A commit that has begun
//    runs to its end.

mod future;
mod headers;

use std::sync::LazyLock;
use std::task::{Context, Poll};

use http::header::{HOST, HeaderName, ORIGIN};
use http::{Extensions, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

pub use self::future::SessionFuture;
#[cfg(feature = "axum")]
pub(crate) use self::future::status_of;
use crate::cookie::CookieHeaders;
use crate::fields::is_admitted;
use crate::{LazySession, Sessions, SitePolicy};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

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
/// | could not be loaded, as another request [had it](crate::MergePolicy::Lock) for too long | what the handler makes of it; axum's extractors answer an empty 503 |
/// | is too large or cannot be encoded, or its record cannot be read back when it is saved | an empty 500 |
/// | is a new one that was [not admitted](crate::Builder::with_admission) | an empty 429 |
/// | was ended by another request | as the service made it, without a cookie |
///
/// Why a response is empty its body does not say; an event of the feature `tracing` does.
///
/// What ends otherwise:
///
/// | what happens | what becomes of the session |
/// |---|---|
/// | the service panics, or fails with an error of its own | nothing is saved; the panic or the error goes on |
/// | the client goes, so the future is dropped before the service has answered | nothing is saved |
/// | it is dropped while the session is saved | a store that is called on threads carries out a save that was begun; an [asynchronous](crate::AsyncSessionStore) one carries it out whole or not at all |
/// | the body is still to be streamed | the session is saved before the header goes out; a change that is made while the body is sent is [`AlreadyCommitted`](crate::ErrorKind::AlreadyCommitted), and [`detach`](crate::Session::detach) is for that |
///
/// A request that the site's [policy](crate::SitePolicy) refuses does not reach the service: an empty
/// 403. For a server error (5xx) of the service see [`ServerErrorPolicy`](crate::ServerErrorPolicy). A
/// switch of protocols (101) commits as any response does; the websocket then uses
/// [`Session::detach`](crate::Session::detach).
///
/// # Examples
///
/// In axum it can be given to `Router::layer`. Put around the whole router it costs less, since
/// there axum puts nothing of a request into boxes for it (as measured, 19 allocations a request
/// against 24, and a bare handler's 17):
///
/// ```
/// use axum::extract::Request;
/// use axum::routing::get;
/// use axum::{Router, ServiceExt};
/// use beaker_session::{SessionLayer, Sessions};
/// use tower::Layer;
///
/// # let store = beaker_namespace::Stores::new().open(&"memory:".parse()?, "layer example")?;
/// # let sessions = Sessions::builder().with_namespace(store).build()?;
/// let router = Router::new().route("/", get(|| async { "hello" }));
/// let app = SessionLayer::new(sessions).layer(router);
/// let make_service = ServiceExt::<Request>::into_make_service(app); // for `axum::serve`
/// # let _unused = make_service;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

/// Empty, with room for the session and for what a router adds.
static ROOMY: LazyLock<Extensions> = LazyLock::new(|| {
    #[derive(Clone)]
    struct Filler<const N: usize>;
    let mut extensions = Extensions::new();
    extensions.insert(Filler::<0>);
    extensions.insert(Filler::<1>);
    extensions.insert(Filler::<2>);
    extensions.insert(Filler::<3>);
    extensions.clear();
    extensions
});

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
        let extensions = std::mem::take(request.extensions_mut());
        let cookies = CookieHeaders::of_map(request.headers());
        let (lazy, extensions) = begin(&self.sessions, cookies, extensions);
        *request.extensions_mut() = extensions;
        let sites = self.sessions.config().sites;
        if sites != SitePolicy::Any && !admits(sites, &request) {
            return SessionFuture::refused(lazy);
        }
        SessionFuture { inner: Some(self.inner.call(request)), lazy, committing: None }
    }
}

fn admits<B>(policy: SitePolicy, request: &Request<B>) -> bool {
    let headers = request.headers();
    // What is no text is no word of a browser.
    let text =
        |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    // HTTP/2 says the host in its URI.
    let host = text(&HOST).or_else(|| request.uri().authority().map(|host| host.as_str()));
    let site = text(&SEC_FETCH_SITE);
    is_admitted(policy, request.method().as_str(), site, text(&ORIGIN), host)
}

/// The session of a request, which is put among its extensions. Not a part of `call`, of which there is one for
/// each service: so it is compiled once, and the way of a request through its layers stays short. Nothing
/// here points to the request, which else is copied before it is handed on.
#[inline(never)]
fn begin(
    sessions: &Sessions,
    cookies: CookieHeaders<'_>,
    mut extensions: Extensions,
) -> (LazySession, Extensions) {
    // Otherwise their table would be made for three, and be made anew for the fourth.
    if extensions.is_empty() {
        extensions = ROOMY.clone();
    }
    let lazy = LazySession::new(sessions.clone(), &cookies);
    extensions.insert(lazy.clone());
    (lazy, extensions)
}
