//! What a request that goes well costs, stores and sends.

use std::convert::Infallible;

use beaker_session::{ErrorKind, LazySession, SessionLayer};
use http::header::{COOKIE, LOCATION, VARY};
use http::{Request, Response};
use serde_json::json;
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};

use super::{answer, ask, header, of, request, set_cookie};
use crate::migrating;
use crate::served::{PATIENCE, Site, pair};
use crate::site::{clock, in_memory};

#[tokio::test]
async fn a_request_that_does_not_look_into_its_session_reads_writes_and_sets_nothing() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let untouched = ask(&site, &cookie, |_lazy| async { answer(200) }).await;
        assert_eq!(untouched.headers().len(), 0);
        assert_eq!(untouched.body(), "body");
        assert_eq!(site.store.asked(), [""; 0]);
        // The watch sees what is asked.
        ask(&site, &cookie, |lazy| async move {
            lazy.load_async().await.unwrap();
            answer(200)
        })
        .await;
        assert_eq!(site.store.asked(), ["load"]);
    }
}

#[tokio::test]
async fn a_visitor_without_cookie_who_is_only_looked_at_costs_no_call_and_no_record() {
    for site in Site::both() {
        let seen = ask(&site, "other=1", |lazy| async move {
            let session = lazy.load_async().await.unwrap();
            assert_eq!(session.get::<String>("name").unwrap(), None);
            answer(200)
        })
        .await;
        assert_eq!(site.store.asked(), [""; 0]);
        assert_eq!(set_cookie(&seen), None);
        assert_eq!(header(&seen, VARY), ["Cookie"]);
    }
}

#[tokio::test]
async fn a_redirect_carries_the_cookie_of_the_session_it_made() {
    for site in Site::both() {
        let redirect = ask(&site, "", |lazy| async move {
            lazy.load_async().await.unwrap().insert("name", "Ada").unwrap();
            let mut redirect = answer(303);
            redirect.headers_mut().insert(LOCATION, "/home".parse().unwrap());
            redirect
        })
        .await;
        assert_eq!(redirect.status(), 303);
        assert_eq!(header(&redirect, LOCATION), ["/home"]);
        let set = set_cookie(&redirect).unwrap();
        assert!(set.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{set}");
        assert_eq!(site.text(&pair(&set), "name").as_deref(), Some("Ada"));
    }
}

#[tokio::test]
async fn what_comes_after_the_commit_is_refused() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let kept = parking_lot::Mutex::new(Vec::new());
        let handler = |load: bool| {
            let kept = &kept;
            move |lazy: LazySession| async move {
                if load {
                    lazy.load_async().await.unwrap();
                }
                kept.lock().push(lazy);
                answer(200)
            }
        };
        ask(&site, &cookie, handler(true)).await;
        ask(&site, &cookie, handler(false)).await;
        let [loaded, untouched] = <[LazySession; 2]>::try_from(kept.into_inner()).unwrap();
        let late = loaded.load_async().await.unwrap();
        assert_eq!(late.get::<String>("name").unwrap().as_deref(), Some("Ada"));
        let error = late.insert("name", "Eve").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyCommitted);
        let error = untouched.load_async().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyCommitted);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
}

/// Attack 29: a session is bound to no address and to no browser, so that nobody is locked out by a
/// change of either.
#[tokio::test]
async fn a_request_from_another_address_and_browser_keeps_its_session() {
    for site in Site::both() {
        let name = |session: LazySession| async move {
            let session = session.load_async().await.unwrap();
            let name: Option<String> = session.get("name").unwrap();
            if name.is_none() {
                session.insert("name", "Ada").unwrap();
            }
            Response::new(name.unwrap_or_default())
        };
        let layer = SessionLayer::new(site.sessions.clone());
        let service = layer.layer(service_fn(move |request: Request<()>| {
            let answer = name(of(&request));
            async move { Ok::<_, Infallible>(answer.await) }
        }));
        let from = |cookie: &str, address: &str, browser: &str| {
            Request::builder()
                .header(COOKIE, cookie)
                .header("x-forwarded-for", address)
                .header("user-agent", browser)
                .body(())
                .unwrap()
        };
        let first = from("", "192.0.2.1", "one");
        let Ok(answer) = timeout(PATIENCE, service.clone().oneshot(first)).await.unwrap();
        let cookie = pair(&set_cookie(&answer).unwrap()).to_owned();
        let elsewhere = from(&cookie, "2001:db8::7", "another");
        let Ok(answer) = timeout(PATIENCE, service.oneshot(elsewhere)).await.unwrap();
        assert_eq!((answer.body().as_str(), set_cookie(&answer)), ("Ada", None));
    }
}

#[tokio::test]
async fn what_is_stored_while_a_handler_migrates_is_migrated_by_the_commit() {
    let sessions = in_memory(&clock(), |builder| builder);
    let mut browser = migrating::begin(&sessions);
    let service = service_fn(|request: Request<()>| {
        let (lazy, mut other, sessions) = (of(&request), browser.clone(), sessions.clone());
        async move {
            migrating::changes_other(&lazy.load_async().await.unwrap());
            other.visit(&sessions, migrating::views).unwrap();
            Ok::<_, Infallible>(answer(200))
        }
    });
    let service = SessionLayer::new(sessions.clone()).layer(service);
    let Ok(answer) = timeout(PATIENCE, service.oneshot(request(&browser.header()))).await.unwrap();
    assert_eq!(answer.status(), 200);
    let expected = json!({"_layout": 2, "other": 1, "pages": 6, "tags": ["c", "d"]});
    assert_eq!(migrating::data(&sessions, &mut browser), expected);
}
