//! What another site's page sends.

use std::convert::Infallible;

use beaker_session::SessionLayer;
use http::Request;
use http::header::COOKIE;
use tower::{Layer, ServiceExt, service_fn};

use super::{answer, of};
use crate::served::Site;

/// 28: what another site's page sends does not reach the service.
#[tokio::test]
async fn a_page_of_another_site_changes_nothing_under_the_policy_for_that() {
    use beaker_session::SitePolicy;
    let asked = |policy: SitePolicy, method: &'static str, headers: &'static [(&str, &str)]| async move {
        let site = Site::memory_with(|builder| builder.with_sites(policy));
        let cookie = site.visitor("name", "Ada");
        let service = service_fn(move |request: Request<()>| {
            let lazy = of(&request);
            async move {
                lazy.load_async().await.unwrap().insert("name", "Eve").unwrap();
                Ok::<_, Infallible>(answer(200))
            }
        });
        let mut request = Request::builder().method(method).header(COOKIE, &cookie);
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        let layer = SessionLayer::new(site.sessions.clone()).layer(service);
        let answer = layer.oneshot(request.body(()).unwrap()).await.unwrap();
        let name = site.text(&cookie, "name").unwrap();
        assert_eq!(name == "Eve", answer.status() == 200, "what was refused has changed nothing");
        assert!(answer.status() == 200 || answer.body().is_empty());
        answer.status().as_u16()
    };
    let (own, none) = (SitePolicy::NotCross, SitePolicy::SameOnly);
    const CROSS: &[(&str, &str)] = &[("sec-fetch-site", "cross-site"), ("host", "example.org")];
    assert_eq!(asked(SitePolicy::Any, "POST", CROSS).await, 200, "the default");
    assert_eq!(asked(own, "POST", CROSS).await, 403);
    assert_eq!(asked(own, "GET", CROSS).await, 200, "a link from there works");
    const ODD: &[(&str, &str)] = &[("sec-fetch-site", "\u{e9}"), ("host", "example.org")];
    assert_eq!(asked(own, "POST", ODD).await, 403);
    const SAME: &[(&str, &str)] = &[("origin", "https://example.org"), ("host", "example.org")];
    assert_eq!(asked(none, "POST", SAME).await, 200);
    const PORT: &[(&str, &str)] = &[("origin", "https://example.org:1"), ("host", "example.org")];
    assert_eq!(asked(own, "POST", PORT).await, 403);
    const OPAQUE: &[(&str, &str)] = &[("origin", "null"), ("host", "example.org")];
    assert_eq!(asked(own, "POST", OPAQUE).await, 403);
    const NO_HOST: &[(&str, &str)] = &[("origin", "https://")];
    assert_eq!(asked(own, "POST", NO_HOST).await, 403);
    const SILENT: &[(&str, &str)] = &[("host", "example.org")];
    assert_eq!(asked(own, "POST", SILENT).await, 200, "a program");
    assert_eq!(asked(none, "POST", SILENT).await, 403);
}
