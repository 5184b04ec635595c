//! What holds for every request: who may ask, how long it may take, and the headers of the answer.
//
// There are no passwords here, so nobody but the person at this machine may ask:
// 1. The server listens on the loopback address.
// 2. A page of another site can make the browser send requests here. What changes something must
//    come from a page of ours: by `Sec-Fetch-Site`, which a page cannot forge, else by `Origin`.
// 3. Another site's name can be made to resolve to the loopback address. Its pages are then of
//    our origin for the browser, so only names of the loopback address are answered.

use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use beaker_session::{SitePolicy, site_of};

use crate::answer::{Failure, Wants};

/// No answer takes longer: the slowest one, a burst without a cache, takes three seconds.
const LONGEST: Duration = Duration::from_secs(30);

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
         img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // With `no-referrer` a form would be sent with the origin `null`.
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Lets a request through, or refuses it; and finishes the answer.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let wants = Wants::of(request.headers());
    let mut response = match admitted(request.method(), request.headers()) {
        Err(failure) => failure.into_response(),
        Ok(()) => match tokio::time::timeout(LONGEST, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                let text = "That took too long; try again.";
                Failure::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response()
            }
        },
    };
    if let Some(failure) = failure_of(&mut response) {
        response = failure.rendered(wants);
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// What went wrong, if it has not been put into words yet.
fn failure_of(response: &mut Response) -> Option<Failure> {
    let failure = response.extensions_mut().remove::<Failure>();
    failure.or_else(|| {
        // The layer of the sessions says no more than the status.
        let silent = response.body().size_hint().exact() == Some(0);
        let text = "The session could not be saved. Try again.";
        (silent && response.status().is_server_error())
            .then(|| Failure::new(response.status(), text))
    })
}

fn admitted(method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_loopback(host) {
        return Err(Failure::new(
            StatusCode::MISDIRECTED_REQUEST,
            "This demo has no passwords, so it answers to 127.0.0.1 and localhost only.",
        ));
    }
    let text = |name: &HeaderName| {
        // What is no text is no word of a browser.
        headers.get(name).map(|value| value.to_str().unwrap_or_default())
    };
    let site = site_of(text(&SEC_FETCH_SITE), text(&header::ORIGIN), host);
    // What says nothing is no browser: it has no cookies to be abused.
    if !SitePolicy::NotCross.admits(method.as_str(), site) {
        let text = "That was sent from a page of another site.";
        return Err(Failure::new(StatusCode::FORBIDDEN, text));
    }
    Ok(())
}

/// Whether a `Host` header names the loopback address.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(method: Method, headers: &[(&'static str, &'static str)]) -> bool {
        let pairs = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        admitted(&method, &pairs.collect()).is_ok()
    }

    fn served(status: StatusCode) -> Response {
        let site = axum::Router::new()
            .route("/", axum::routing::get(move || async move { status }))
            .layer(axum::middleware::from_fn(guard));
        let request = Request::get("/").header("host", "localhost").body(axum::body::Body::empty());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(tower::ServiceExt::oneshot(site, request.unwrap())).unwrap()
    }

    #[test]
    fn a_failure_of_the_sessions_is_put_into_words() {
        let response = served(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.body().size_hint().lower() > 0);
        assert_eq!(served(StatusCode::NO_CONTENT).body().size_hint().exact(), Some(0));
    }

    #[test]
    fn only_names_of_the_loopback_address_are_answered() {
        for host in ["127.0.0.1:8080", "localhost", "localhost:1", "[::1]:8080", "[::1]"] {
            assert!(admits(Method::GET, &[("host", host)]), "{host}");
        }
        for host in ["demo.example:8080", "127.0.0.1.example", "localhost:x", ""] {
            assert!(!admits(Method::GET, &[("host", host)]), "{host}");
        }
        assert!(!admits(Method::GET, &[]));
    }

    #[test]
    fn a_page_of_another_site_changes_nothing() {
        let host = ("host", "127.0.0.1:8080");
        let post = |header| admits(Method::POST, &[host, header]);
        assert!(post(("sec-fetch-site", "same-origin")));
        assert!(!post(("sec-fetch-site", "cross-site")));
        assert!(!post(("sec-fetch-site", "same-site")));
        assert!(post(("origin", "http://127.0.0.1:8080")));
        assert!(!post(("origin", "http://127.0.0.1:9090")));
        assert!(!post(("origin", "null")));
        assert!(admits(Method::GET, &[host, ("sec-fetch-site", "cross-site")]));
        assert!(admits(Method::POST, &[host]));
    }
}
