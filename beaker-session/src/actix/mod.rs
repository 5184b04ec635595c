//! Sessions for actix-web: a middleware, and extractors.
//
// As for tower, with one difference. What tower calls an error of the service is in actix-web a
// response that is still to be made, such as a redirect to the log-in page. So the session is
// saved with it, and its headers are added when it is made.

mod extract;
mod future;
mod headers;

use std::future::{Ready, ready};

use actix_web::HttpMessage as _;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{COOKIE, HOST, HeaderName, HeaderValue, ORIGIN};

pub use self::extract::LoadFuture;
pub use self::future::CommitFuture;
use crate::fields::is_admitted;
use crate::{Sessions, SitePolicy};

/// Gives each request its [`LazySession`](crate::LazySession), and saves it with the response.
///
/// Handlers take a [`LazySession`](crate::LazySession) or, loaded, a [`Session`](crate::Session).
/// A response is:
///
/// | the session | the response |
/// |---|---|
/// | was not looked into | as the service made it |
/// | was looked into | has `Vary: Cookie` |
/// | was made, renewed or ended | has a `Set-Cookie`, and `Cache-Control: no-store` unless it is `private` already |
/// | could not be saved, as the store failed | an empty 503, unless the outage policy lets it pass |
/// | was changed by another request, and the policy is to fail | an empty 409 |
/// | could not be loaded, as another request [had it](crate::MergePolicy::Lock) for too long | what the handler makes of it; the extractors answer an empty 503 |
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
/// | the handler fails with an error | saved as with any response of that status: an error is a response in actix-web |
/// | the handler panics | nothing is saved; the panic goes on |
/// | the client goes, so the future is dropped before the handler has answered | nothing is saved |
/// | it is dropped while the session is saved | a store that is called on threads carries out a save that was begun; an [asynchronous](crate::AsyncSessionStore) one carries it out whole or not at all |
/// | the body is still to be streamed | the session is saved before the header goes out; a change that is made while the body is sent is [`AlreadyCommitted`](crate::ErrorKind::AlreadyCommitted), and [`detach`](crate::Session::detach) is for that |
///
/// A request that the site's [policy](crate::SitePolicy) refuses does not reach the service: an empty
/// 403. For a server error (5xx), whether a response or an [`actix_web::Error`], see
/// [`ServerErrorPolicy`](crate::ServerErrorPolicy). A switch of protocols (101) commits as any
/// response does; the websocket then uses [`Session::detach`](crate::Session::detach).
///
/// # Examples
///
/// ```
/// use actix_web::{App, web};
/// use beaker_session::actix::SessionMiddleware;
/// use beaker_session::{Error, Session, Sessions};
///
/// async fn visits(session: Session) -> Result<String, Error> {
///     Ok(session.add("visits", 1)?.to_string())
/// }
///
/// let store = beaker_namespace::Stores::new().open(&"memory:".parse()?, "actix example")?;
/// let sessions = Sessions::builder().with_namespace(store).build()?;
/// let app = App::new().wrap(SessionMiddleware::new(sessions)).route("/", web::get().to(visits));
/// # let _unused = app;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SessionMiddleware {
    sessions: Sessions,
}

impl SessionMiddleware {
    /// A middleware of these sessions. Make `sessions` once, outside of the factory that each of
    /// the server's threads calls.
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions }
    }
}

impl<S, B> Transform<S, ServiceRequest> for SessionMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
{
    type Response = ServiceResponse<B>;
    type Error = actix_web::Error;
    type Transform = SessionService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, Self::InitError>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(SessionService { inner, sessions: self.sessions.clone() }))
    }
}

/// The service that [`SessionMiddleware`] makes.
#[derive(Debug)]
pub struct SessionService<S> {
    inner: S,
    sessions: Sessions,
}

impl<S, B> Service<ServiceRequest> for SessionService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
{
    type Response = ServiceResponse<B>;
    type Error = actix_web::Error;
    type Future = CommitFuture<S::Future, B>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let cookies = request.headers().get_all(COOKIE);
        let lazy = self.sessions.begin(cookies.map(HeaderValue::as_bytes));
        let sites = self.sessions.config().sites;
        if sites != SitePolicy::Any && !admits(sites, &request) {
            return CommitFuture::new(None, lazy);
        }
        request.extensions_mut().insert(lazy.clone());
        CommitFuture::new(Some(self.inner.call(request)), lazy)
    }
}

fn admits(policy: SitePolicy, request: &ServiceRequest) -> bool {
    let headers = request.headers();
    // What is no text is no word of a browser.
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    // HTTP/2 says the host in its URI.
    let host = text(HOST).or_else(|| request.uri().authority().map(|host| host.as_str()));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    is_admitted(policy, request.method().as_str(), site, text(ORIGIN), host)
}
