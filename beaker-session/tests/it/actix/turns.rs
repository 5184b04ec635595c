//! `MergePolicy::Lock`: requests of one session that come at the same time have it one after the other.

use std::time::Duration;

use actix_web::web::Data;
use beaker_session::MergePolicy;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};

use super::*;
use crate::served::until;

/// What handlers have done, and what the first one waits for.
#[derive(Default)]
struct Meeting {
    log: parking_lot::Mutex<Vec<String>>,
    may_go_on: Notify,
}

impl Meeting {
    fn note(&self, what: String) {
        self.log.lock().push(what);
    }

    fn has(&self, what: &str) -> bool {
        self.log.lock().iter().any(|noted| noted == what)
    }
}

async fn work(
    name: Path<String>,
    session: Session,
    meeting: Data<Meeting>,
) -> Result<String, Error> {
    let turn = session.get::<u32>("turn")?.unwrap_or(0) + 1;
    meeting.note(format!("{name} has turn {turn}"));
    if *name == "first" {
        timeout(PATIENCE, meeting.may_go_on.notified()).await.unwrap();
    }
    session.insert("turn", turn)?;
    meeting.note(format!("{name} has done"));
    Ok(turn.to_string())
}

async fn fails(session: Session, meeting: Data<Meeting>) -> Result<String, Error> {
    meeting.note("first has turn 1".to_owned());
    meeting.may_go_on.notified().await;
    panic!("the handler fails with {}", session.keys().len());
}

async fn app(site: &Site, meeting: &Data<Meeting>) -> impl Fn(TestRequest) -> Answering {
    let app = App::new()
        .wrap(SessionMiddleware::new(site.sessions.clone()))
        .app_data(Data::clone(meeting))
        .route("/turn/{name}", get().to(work))
        .route("/fails", get().to(fails));
    let app = init_service(app).await;
    move |request| Box::pin(app.call(request.to_request()))
}

type Answering = Pin<Box<dyn Future<Output = Result<ServiceResponse<BoxBody>, actix_web::Error>>>>;

/// A request is at work when a second one comes, which waits or gets to work beside it. Gives what happened.
async fn two_at_once(site: &Site) -> Vec<String> {
    let (cookie, meeting) = (site.visitor("name", "Ada"), Data::new(Meeting::default()));
    let ask = app(site, &meeting).await;
    let second = async {
        until(|| meeting.has("first has turn 1")).await;
        ask(request("/turn/second", &cookie)).await
    };
    let release = async {
        let waits = || site.sessions.counts().lock_waits == 1;
        until(|| waits() || meeting.has("second has done")).await;
        meeting.may_go_on.notify_one();
    };
    let both = async { tokio::join!(ask(request("/turn/first", &cookie)), second, release) };
    let (first, second, ()) = timeout(PATIENCE, both).await.unwrap();
    assert_eq!([first, second].map(|answer| answer.unwrap().status().as_u16()), [200, 200]);
    assert_eq!(site.sessions.locked(), 0);
    std::mem::take(&mut meeting.log.lock())
}

#[tokio::test]
async fn requests_of_one_session_are_at_work_one_after_the_other() {
    for site in Site::both_with(|builder| builder.with_merge(MergePolicy::lock())) {
        let expected =
            ["first has turn 1", "first has done", "second has turn 2", "second has done"];
        assert_eq!(two_at_once(&site).await, expected);
        assert_eq!(site.sessions.counts().conflicts, 0);
    }
}

#[tokio::test]
async fn control_without_the_policy_they_are_at_work_at_the_same_time() {
    for site in Site::both() {
        let expected =
            ["first has turn 1", "second has turn 1", "second has done", "first has done"];
        assert_eq!(two_at_once(&site).await, expected);
    }
}

/// A client that goes, and a handler that panics.
#[tokio::test]
async fn a_request_that_ends_otherwise_leaves_the_session_to_the_next() {
    for panics in [false, true] {
        for site in Site::both_with(|builder| builder.with_merge(MergePolicy::lock())) {
            let (cookie, meeting) = (site.visitor("name", "Ada"), Data::new(Meeting::default()));
            let ask = app(&site, &meeting).await;
            let path = if panics { "/fails" } else { "/turn/first" };
            let requests = async {
                let first = spawn_local(ask(request(path, &cookie)));
                until(|| meeting.has("first has turn 1")).await;
                let second = spawn_local(ask(request("/turn/second", &cookie)));
                until(|| site.sessions.counts().lock_waits == 1).await;
                if panics {
                    meeting.may_go_on.notify_one()
                } else {
                    first.abort()
                }
                assert_eq!(first.await.unwrap_err().is_panic(), panics);
                second.await.unwrap().unwrap()
            };
            let tasks = LocalSet::new();
            let both = tasks.run_until(requests);
            assert_eq!(timeout(PATIENCE, both).await.unwrap().status(), 200);
            assert!(meeting.has("second has turn 1"));
            assert_eq!(site.sessions.locked(), 0);
        }
    }
}

#[tokio::test]
async fn who_waited_too_long_is_answered_503_with_nothing_in_it() {
    let wait = Duration::from_millis(1);
    for site in Site::both_with(|builder| builder.with_merge(MergePolicy::Lock { wait })) {
        let cookie = site.visitor("name", "Ada");
        let first = site.sessions.begin([cookie.as_bytes()]);
        let _session = first.load_async().await.unwrap();
        assert_eq!(super::ask(&site, "/name", &cookie).await.short(), (503, ""));
        first.commit_async().await.unwrap();
        assert_eq!(super::ask(&site, "/name", &cookie).await.short(), (200, "Ada"));
        assert_eq!(site.sessions.locked(), 0);
    }
}
