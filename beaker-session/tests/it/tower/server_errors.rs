//! What becomes of a session when the answer is an error.

use beaker_session::{LazySession, ServerErrorPolicy, SessionLayer};
use http::Request;
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};

use super::{Answer, answer, ask, of, request, set_cookie};
use crate::served::{PATIENCE, Site, pair};

#[tokio::test]
async fn a_server_error_drops_changes_and_renewals_and_the_old_session_goes_on() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let handler = |status: u16| {
            move |lazy: LazySession| async move {
                let session = lazy.load_async().await.unwrap();
                session.insert("name", "Eve").unwrap();
                session.renew().unwrap();
                answer(status)
            }
        };
        let failed = ask(&site, &cookie, handler(500)).await;
        assert_eq!((failed.status().as_u16(), failed.body().as_str()), (500, "body"));
        assert_eq!(set_cookie(&failed), None);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
        // The same request does both if it does not fail.
        let done = ask(&site, &cookie, handler(404)).await;
        let renewed = pair(&set_cookie(&done).unwrap());
        assert_eq!(site.stored(&cookie), None);
        assert_eq!(site.text(&renewed, "name").as_deref(), Some("Eve"));
    }
}

#[tokio::test]
async fn a_logout_holds_also_with_a_server_error() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let failed = ask(&site, &cookie, |lazy| async move {
            let session = lazy.load_async().await.unwrap();
            session.invalidate().unwrap();
            session.flash("info", "Good bye").unwrap();
            answer(503)
        })
        .await;
        assert_eq!(failed.status(), 503);
        assert_eq!(site.stored(&cookie), None);
        let removal = set_cookie(&failed).unwrap();
        assert!(removal.starts_with("id=; Path=/; Max-Age=0;"), "{removal}");
    }
}

#[tokio::test]
async fn a_site_may_have_changes_saved_with_server_errors() {
    for site in Site::both_with(|builder| builder.with_server_errors(ServerErrorPolicy::Save)) {
        let cookie = site.visitor("name", "Ada");
        let failed = ask(&site, &cookie, |lazy| async move {
            lazy.load_async().await.unwrap().insert("name", "Eve").unwrap();
            answer(500)
        })
        .await;
        assert_eq!(failed.status(), 500);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
    }
}

#[tokio::test]
async fn an_error_of_the_service_is_passed_on_and_saves_nothing() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let service = service_fn(|request: Request<()>| async move {
            of(&request).load_async().await.unwrap().insert("name", "Eve").unwrap();
            Err::<Answer, _>("the service fails")
        });
        let service = SessionLayer::new(site.sessions.clone()).layer(service);
        let failed = timeout(PATIENCE, service.oneshot(request(&cookie))).await.unwrap();
        assert_eq!(failed.unwrap_err(), "the service fails");
        assert_eq!(site.store.asked(), ["load"]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
}
