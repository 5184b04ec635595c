//! Stores that fail, under each policy.

use beaker_session::{AccessPolicy, ErrorKind, LazySession, OutagePolicy};

use super::{answer, ask, insert, set_cookie};
use crate::served::{Site, pair};

#[tokio::test]
async fn a_save_that_fails_is_503_and_leaves_the_record_as_it_was() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        site.store.fail(["update"]);
        let failed = insert(&site, &cookie, "name", "Eve").await;
        assert_eq!((failed.status().as_u16(), failed.body().as_str()), (503, ""));
        assert_eq!(set_cookie(&failed), None);
        assert_eq!(site.store.asked(), ["load", "update"]);
        site.store.fail([]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
        // The same request works when the store does.
        assert_eq!(insert(&site, &cookie, "name", "Eve").await.status(), 200);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
    }
}

/// A visitor who only looks loses nothing but that this use is noted.
#[tokio::test]
async fn a_use_that_cannot_be_noted_is_counted_and_the_response_goes_out() {
    for site in Site::both_with(|builder| builder.with_access(AccessPolicy::EveryRequest)) {
        let cookie = site.visitor("name", "Ada");
        let look = |lazy: LazySession| async move {
            let name: Option<String> = lazy.load_async().await.unwrap().get("name").unwrap();
            assert_eq!(name.as_deref(), Some("Ada"));
            answer(200)
        };
        let counts = site.sessions.counts();
        site.store.fail(["touch"]);
        let looked = ask(&site, &cookie, look).await;
        assert_eq!((looked.status().as_u16(), looked.body().as_str()), (200, "body"));
        assert_eq!(set_cookie(&looked), None);
        assert_eq!(site.store.asked(), ["load", "touch"]);
        assert_eq!(site.sessions.counts().outages, counts.outages + 1);
        site.store.fail([]);
        assert_eq!(ask(&site, &cookie, look).await.status(), 200);
        assert_eq!(site.sessions.counts().touched, counts.touched + 1);
    }
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_old_session_as_it_was() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let renew = |lazy: LazySession| async move {
            lazy.load_async().await.unwrap().renew().unwrap();
            answer(200)
        };
        site.store.fail(["rename"]);
        let failed = ask(&site, &cookie, renew).await;
        assert_eq!(failed.status(), 503);
        assert_eq!(set_cookie(&failed), None);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
        site.store.fail([]);
        let renewed = ask(&site, &cookie, renew).await;
        assert_eq!(site.stored(&cookie), None);
        let renewed = pair(&set_cookie(&renewed).unwrap());
        assert_eq!(site.text(&renewed, "name").as_deref(), Some("Ada"));
    }
}

#[tokio::test]
async fn a_read_only_site_answers_while_saves_fail() {
    for site in Site::both_with(|builder| builder.with_outage(OutagePolicy::ReadOnly)) {
        let cookie = site.visitor("name", "Ada");
        site.store.fail(["update", "create"]);
        for cookie in [cookie.as_str(), ""] {
            let passed = insert(&site, cookie, "name", "Eve").await;
            assert_eq!((passed.status().as_u16(), passed.body().as_str()), (200, "body"));
            assert_eq!(set_cookie(&passed), None);
        }
        site.store.fail(["load"]);
        ask(&site, &cookie, |lazy| async move {
            let error = lazy.load_async().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            answer(200)
        })
        .await;
        site.store.fail([]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
}

#[tokio::test]
async fn during_an_outage_a_visitor_may_be_anonymous_and_nothing_is_stored_or_set() {
    for site in Site::both_with(|builder| builder.with_outage(OutagePolicy::Anonymous)) {
        let cookie = site.visitor("name", "Ada");
        site.store.fail(["load"]);
        let passed = ask(&site, &cookie, |lazy| async move {
            let session = lazy.load_async().await.unwrap();
            assert_eq!(session.get::<String>("name").unwrap(), None);
            let kind = |result: Result<(), beaker_session::Error>| result.unwrap_err().kind();
            assert_eq!(kind(session.insert("name", "Eve")), ErrorKind::Unavailable);
            assert_eq!(kind(session.delete()), ErrorKind::Unavailable);
            answer(200)
        })
        .await;
        assert_eq!((passed.status().as_u16(), passed.body().as_str()), (200, "body"));
        assert_eq!(set_cookie(&passed), None);
        assert_eq!(site.store.asked(), ["load"]);
        site.store.fail([]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
}
