//! Handlers that panic, and requests that are dropped.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use beaker_session::SessionLayer;
use http::Request;
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{Answer, answer, ask, insert, of, request};
use crate::served::{PATIENCE, Site, begin};

/// F60
#[tokio::test]
async fn a_handler_that_panics_saves_nothing_and_holds_nothing() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let service = service_fn(|request: Request<()>| async move {
            let session = of(&request).load_async().await.unwrap();
            session.insert("name", "Eve").unwrap();
            session.renew().unwrap();
            if session.contains("name") {
                panic!("the handler fails");
            }
            Ok::<_, Infallible>(answer(200))
        });
        let service = SessionLayer::new(site.sessions.clone()).layer(service);
        let failed = tokio::spawn(service.oneshot(request(&cookie))).await.unwrap_err();
        assert!(failed.is_panic());
        assert_eq!(site.store.asked(), ["load"]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
        insert(&site, &cookie, "name", "Bob").await;
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Bob"));
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_before_its_handler_ends_saves_nothing() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let (changed, mut was_changed) = tokio::sync::mpsc::unbounded_channel();
        let service = service_fn(move |request: Request<()>| {
            let changed = changed.clone();
            async move {
                let session = of(&request).load_async().await.unwrap();
                session.insert("name", "Eve").unwrap();
                changed.send(()).unwrap();
                pending::<Result<Answer, Infallible>>().await
            }
        });
        let mut service = SessionLayer::new(site.sessions.clone()).layer(service);
        drop(service.call(request(&cookie)));
        assert_eq!(site.store.asked(), [""; 0]);
        let running = tokio::spawn(service.call(request(&cookie)));
        timeout(PATIENCE, was_changed.recv()).await.unwrap().unwrap();
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        assert_eq!(site.store.asked(), ["load"]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
        insert(&site, &cookie, "name", "Bob").await;
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Bob"));
    }
}

#[tokio::test]
async fn a_commit_that_has_begun_ends_also_if_its_request_is_dropped() {
    let site = Site::sqlite();
    let cookie = site.visitor("name", "Ada");
    let mut held = site.store.hold("update");
    let service = service_fn(|request: Request<()>| async move {
        of(&request).load_async().await.unwrap().insert("name", "Eve").unwrap();
        Ok::<_, Infallible>(answer(200))
    });
    let service = SessionLayer::new(site.sessions.clone()).layer(service);
    let running = tokio::spawn(service.oneshot(request(&cookie)));
    held.reached().await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"), "it is still on its way");
    held.release();
    held.done().await;
    assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
    insert(&site, &cookie, "name", "Bob").await;
    assert_eq!(site.text(&cookie, "name").as_deref(), Some("Bob"));
}

#[tokio::test]
async fn a_load_that_was_given_up_does_not_hold_up_the_thread_that_answers() {
    let site = Site::sqlite();
    let cookie = site.visitor("name", "Ada");
    let held = Arc::new(Mutex::new(site.store.hold("load")));
    let (given_up, was_given_up) = oneshot::channel();
    let given_up = parking_lot::Mutex::new(Some(given_up));
    let asking = ask(&site, &cookie, |lazy| {
        let (held, given_up) = (Arc::clone(&held), given_up.lock().take().unwrap());
        async move {
            begin(lazy.load_async()).await;
            held.lock().await.reached().await;
            given_up.send(()).unwrap();
            answer(202)
        }
    });
    // On this runtime's only thread: if the commit blocked it, nobody would release the store.
    let releasing = async {
        was_given_up.await.unwrap();
        held.lock().await.release();
    };
    let (answered, ()) = tokio::join!(asking, releasing);
    assert_eq!(answered.status(), 202);
    held.lock().await.done().await;
}
