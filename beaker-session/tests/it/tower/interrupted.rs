//! Handlers that panic, and requests that are dropped.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use beaker_session::{Error, ErrorKind, Session, SessionLayer};
use http::{Request, Response};
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{Answer, answer, ask, insert, of, request};
use crate::served::watched::Held;
use crate::served::{PATIENCE, Site, begin};

/// What a request does between its load and its end.
type Work = fn(&Session) -> Result<(), Error>;

/// A request that does `work`, whose client goes while it is at the call of the store that is `held`.
async fn goes_at(held: &mut Held, site: &Site, cookie: &str, work: Work) {
    let service = service_fn(move |request: Request<()>| async move {
        work(&of(&request).load_async().await.unwrap()).unwrap();
        Ok::<_, Infallible>(answer(200))
    });
    let service = SessionLayer::new(site.sessions.clone()).layer(service);
    let running = tokio::spawn(service.oneshot(request(cookie)));
    held.reached().await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
}

/// The session's name is `name`, and the next request can give it another.
async fn is_free(site: &Site, cookie: &str, name: &str) {
    assert_eq!(site.text(cookie, "name").as_deref(), Some(name));
    insert(site, cookie, "name", "Bob").await;
    assert_eq!(site.text(cookie, "name").as_deref(), Some("Bob"));
}

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
        is_free(&site, &cookie, "Ada").await;
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
        is_free(&site, &cookie, "Ada").await;
    }
}

#[tokio::test]
async fn a_commit_that_has_begun_ends_also_if_its_request_is_dropped() {
    let site = Site::sqlite();
    let cookie = site.visitor("name", "Ada");
    let mut held = site.store.hold("update");
    goes_at(&mut held, &site, &cookie, |session| session.insert("name", "Eve")).await;
    assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"), "it is still on its way");
    held.release();
    held.done().await;
    is_free(&site, &cookie, "Eve").await;
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

/// F60: a client goes while its request is at any call of the store. Nobody waits for it meanwhile, and what
/// was begun is whole.
#[tokio::test]
async fn a_client_that_goes_at_any_call_of_the_store_holds_nobody_up() {
    let write: Work = |session| session.insert("name", "Eve");
    let renew: Work = |session| session.renew();
    let delete: Work = |session| session.delete();
    // What was written meanwhile is met by those that name a version: they are made again.
    for (work, call, again, left) in [
        (write, "load", false, Some("Ada")),
        (write, "update", true, Some("Eve")),
        (renew, "rename", true, None),
        (delete, "delete", false, None),
    ] {
        let site = Site::sqlite();
        let cookie = site.visitor("name", "Ada");
        let mut held = site.store.hold(call);
        goes_at(&mut held, &site, &cookie, work).await;

        // It is still at the store, and stays there until this one has written.
        assert_eq!(insert(&site, &cookie, "other", "Bob").await.status(), 200, "{call}");
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"), "{call}");
        let made_again = again.then(|| site.store.hold(call));
        held.release();
        held.done().await;
        if let Some(mut held) = made_again {
            held.reached().await;
            held.release();
            held.done().await;
        }
        let (name, other) = (site.text(&cookie, "name"), site.text(&cookie, "other"));
        assert_eq!((name.as_deref(), other.as_deref()), (left, left.and(Some("Bob"))), "{call}");
    }
}

/// A body that is sent while it has the session it was made with, and one apart from the request.
#[derive(Default)]
struct Body(Option<[Session; 2]>);

/// F60
#[tokio::test]
async fn a_body_that_is_dropped_saves_nothing_more_and_holds_nothing() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let service = service_fn(|request: Request<()>| async move {
            let session = of(&request).load_async().await.unwrap();
            let detached = session.detach().unwrap();
            session.insert("name", "Eve").unwrap();
            Ok::<_, Infallible>(Response::new(Body(Some([session, detached]))))
        });
        let service = SessionLayer::new(site.sessions.clone()).layer(service);
        let Ok(answered) = timeout(PATIENCE, service.oneshot(request(&cookie))).await.unwrap();
        assert_eq!(site.store.asked(), ["load", "update"]);
        let [session, detached] = answered.body().0.as_ref().unwrap();
        let late = session.insert("late", true).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::AlreadyCommitted);
        detached.insert("late", true).unwrap();
        assert_eq!(insert(&site, &cookie, "other", "Bob").await.status(), 200, "it is being sent");
        site.store.forget();
        drop(answered);
        assert_eq!(site.store.asked(), [""; 0]);
        let stored = site.stored(&cookie).unwrap();
        assert_eq!(stored.keys().collect::<Vec<_>>(), ["name", "other"]);
        assert_eq!(stored["name"], "Eve");
    }
}
