//! Tasks that wait. An hour between two looks: whoever ends here was told.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use beaker_namespace::testkit::AsyncStore;
use beaker_namespace::{MemoryConfig, MemoryNamespace};
use tokio::time::timeout;

use super::*;

type Wait<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// A wait that has looked once.
async fn waiting(socket: &Session) -> Wait<'_> {
    let mut wait: Wait<'_> = Box::pin(socket.wait_ended_async(HOUR));
    assert!(waits(&mut wait).await, "it has not ended");
    wait
}

/// Whether it goes on waiting.
async fn waits(wait: &mut Wait<'_>) -> bool {
    poll_fn(|context| Poll::Ready(wait.as_mut().poll(context).is_pending())).await
}

/// The wait ends, by being woken.
async fn ends(wait: Wait<'_>, why: &str) {
    timeout(PATIENCE, wait).await.expect(why).expect(why);
}

#[tokio::test]
async fn each_end_is_told_at_once_and_nothing_else_is() {
    for (name, end) in ENDS {
        for (sessions, site) in sites() {
            let [mut browser, mut other] = [(); 2].map(|()| logged_in(&sessions));
            let socket = socket(&sessions, &browser);
            let mut wait = waiting(&socket).await;
            browser.visit(&sessions, |session| session.insert("clicks", 1)).unwrap();
            other.visit(&sessions, Session::delete).unwrap();
            let operations = site.operations(|| ());
            assert!(waits(&mut wait).await, "neither a write nor another's logout ends it");
            assert_eq!(operations, 0, "nor is it a reason to look");
            end(&sessions, &mut browser, &socket).unwrap();
            ends(wait, name).await;
        }
    }
}

#[tokio::test]
async fn of_all_but_this_the_others_are_told() {
    let site = Site::new();
    let browsers = [(); 3].map(|()| logged_in(&site.sessions));
    let [this, one, other] = browsers.map(|browser| socket(&site.sessions, &browser));
    let mut stays = waiting(&this).await;
    let (first, second) = (waiting(&one).await, waiting(&other).await);
    assert_eq!(site.sessions.revoke_others(&this).unwrap(), 2);
    ends(first, "the first").await;
    ends(second, "the second").await;
    assert!(waits(&mut stays).await);
}

#[tokio::test]
async fn a_store_is_asked_again_only_when_somebody_tells() {
    let site = Site::new();
    let browser = logged_in(&site.sessions);
    let socket = socket(&site.sessions, &browser);
    let before = site.store.operations();
    let mut wait = waiting(&socket).await;
    assert_eq!(site.store.operations() - before, 1);
    assert!(waits(&mut wait).await);
    assert_eq!(site.store.operations() - before, 1);
    // One that fails is a reason to look as well: its answer may be lost.
    site.store.arm(1, Fault::Fail(Store::Unavailable));
    site.sessions.revoke(&socket.key().unwrap()).unwrap_err();
    let before = site.store.operations();
    assert!(waits(&mut wait).await);
    assert_eq!(site.store.operations() - before, 1);
}

#[tokio::test]
async fn a_store_with_an_asynchronous_face_tells_too() {
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let store = Arc::new(AsyncStore::new(memory));
    let sessions = Sessions::builder().with_namespace(store.clone()).build().unwrap();
    for end in ["logout", "one", "all"] {
        store.allow_blocking();
        let browser = logged_in(&sessions);
        let socket = socket(&sessions, &browser);
        store.refuse_blocking();
        let asked = store.asynchronous_calls();
        let wait = tokio::spawn({
            let socket = socket.clone();
            async move { socket.wait_ended_async(HOUR).await }
        });
        // As often as a look needs, and more.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(store.asynchronous_calls() > asked && !wait.is_finished(), "{end}: it has looked");
        match end {
            "logout" => {
                let request = browser.begin(&sessions);
                request.load_async().await.unwrap().delete().unwrap();
                request.commit_async().await.unwrap();
            }
            "one" => sessions.revoke_async(socket.key().unwrap()).await.unwrap(),
            _ => assert_eq!(sessions.revoke_all_async("ada").await.unwrap(), 1),
        }
        timeout(PATIENCE, wait).await.expect(end).unwrap().unwrap();
    }
}

#[test]
fn a_task_waits_without_a_runtime() {
    let site = Site::new();
    let socket = socket(&site.sessions, &logged_in(&site.sessions));
    let mut wait: Wait<'_> = Box::pin(socket.wait_ended_async(HOUR));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(wait.as_mut().poll(&mut context).is_pending());
    site.sessions.revoke(&socket.key().unwrap()).unwrap();
    assert!(matches!(wait.as_mut().poll(&mut context), Poll::Ready(Ok(()))));
}

#[tokio::test]
async fn what_was_never_stored_is_not_waited_for() {
    let session = Browser::new().begin(&Site::new().sessions).load().unwrap();
    session.wait_ended_async(HOUR).await.unwrap();
}
