//! Requests of one session that overlap. The same experiments on tower-sessions are the control, which loses.

#[cfg(feature = "tower-sessions")]
mod peer;

use std::convert::Infallible;
use std::sync::Arc;

use beaker_session::SessionLayer;
use http::Request;
use tokio::sync::Barrier;
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};

use super::{Answer, answer, ask, of, request, set_cookie};
use crate::served::{PATIENCE, Site, pair};

/// What a handler does with a session that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Look,
    Insert(&'static str),
    LogOut,
    RenewAndFail,
}

/// What sessions may have here.
const NAMES: [&str; 4] = ["late", "left", "right", "user"];

/// A site by which the same experiments are done.
trait Raced {
    /// A handler reads its session, waits twice at `meeting`, and acts. The answer says which names the
    /// session had.
    async fn visit(&self, cookie: &str, act: Act, meeting: Option<&Arc<Barrier>>) -> Answer;

    /// What a visitor sends who has logged in.
    async fn log_in(&self) -> String {
        pair(&set_cookie(&self.visit("", Act::Insert("user"), None).await).unwrap())
    }

    /// The names that the session has now.
    async fn has(&self, cookie: &str) -> String {
        self.visit(cookie, Act::Look, None).await.into_body()
    }
}

/// Twice: the others have read before anybody acts, and what is done between the two is done by then.
async fn meet(meeting: Option<&Barrier>) {
    if let Some(meeting) = meeting {
        meeting.wait().await;
        meeting.wait().await;
    }
}

impl Raced for Site {
    async fn visit(&self, cookie: &str, act: Act, meeting: Option<&Arc<Barrier>>) -> Answer {
        let meeting = meeting.cloned();
        let service = service_fn(move |request: Request<()>| {
            let meeting = meeting.clone();
            async move {
                let session = of(&request).load_async().await.unwrap();
                let had =
                    NAMES.into_iter().filter(|name| session.contains(name)).collect::<Vec<_>>();
                meet(meeting.as_deref()).await;
                match act {
                    Act::Look => {}
                    Act::Insert(name) => session.insert(name, true).unwrap(),
                    Act::LogOut => session.delete().unwrap(),
                    Act::RenewAndFail => session.renew().unwrap(),
                }
                Ok::<_, Infallible>(said(act, &had))
            }
        });
        let service = SessionLayer::new(self.sessions.clone()).layer(service);
        let Ok(answer) = timeout(PATIENCE, service.oneshot(request(cookie))).await.unwrap();
        answer
    }
}

fn said(act: Act, had: &[&str]) -> Answer {
    let mut answer = answer(if act == Act::RenewAndFail { 500 } else { 200 });
    *answer.body_mut() = had.join(" ");
    answer
}

/// Two requests that have both read the session before either writes another value. Gives what it has then.
async fn two_writes(site: &impl Raced) -> String {
    let (cookie, meeting) = (site.log_in().await, Arc::new(Barrier::new(2)));
    let (left, right) = tokio::join!(
        site.visit(&cookie, Act::Insert("left"), Some(&meeting)),
        site.visit(&cookie, Act::Insert("right"), Some(&meeting)),
    );
    assert_eq!((left.status().as_u16(), right.status().as_u16()), (200, 200));
    assert_eq!((left.body().as_str(), right.body().as_str()), ("user", "user"));
    site.has(&cookie).await
}

/// A request that has read the session when another logs out, and writes afterwards.
async fn a_write_after_a_logout(site: &impl Raced) -> String {
    let (cookie, meeting) = (site.log_in().await, Arc::new(Barrier::new(2)));
    let log_out = async {
        meeting.wait().await;
        site.visit(&cookie, Act::LogOut, None).await;
        assert_eq!(site.has(&cookie).await, "", "it is logged out");
        meeting.wait().await;
    };
    let late = site.visit(&cookie, Act::Insert("late"), Some(&meeting));
    assert_eq!(tokio::join!(late, log_out).0.status(), 200);
    site.has(&cookie).await
}

/// A request that renews the session's id and then fails, whose browser so learns of no new id.
async fn a_renewal_and_an_error(site: &impl Raced) -> String {
    let cookie = site.log_in().await;
    let failed = site.visit(&cookie, Act::RenewAndFail, None).await;
    assert_eq!((failed.status().as_u16(), set_cookie(&failed)), (500, None));
    site.has(&cookie).await
}

/// A cookie of the session's name that another host of the domain has set, behind the good one.
async fn a_second_cookie(site: &impl Raced) -> String {
    let cookie = site.log_in().await;
    let (name, _) = cookie.split_once('=').unwrap();
    site.has(&format!("{cookie}; {name}=tossed")).await
}

/// 22: neither request undoes what the other has written.
#[tokio::test]
async fn two_requests_that_overlap_lose_neither_s_write() {
    for site in Site::both() {
        assert_eq!(two_writes(&site).await, "left right user");
    }
}

/// 23
#[tokio::test]
async fn a_write_after_a_logout_brings_nobody_back() {
    for site in Site::both() {
        assert_eq!(a_write_after_a_logout(&site).await, "");
    }
}

/// 35
#[tokio::test]
async fn a_renewal_in_a_request_that_fails_ends_no_session() {
    for site in Site::both() {
        assert_eq!(a_renewal_and_an_error(&site).await, "user");
    }
}

/// 41
#[tokio::test]
async fn a_cookie_that_was_tossed_in_logs_nobody_out() {
    for site in Site::both() {
        assert_eq!(a_second_cookie(&site).await, "user");
    }
}

#[tokio::test]
async fn a_change_of_a_session_that_another_request_ended_is_dropped_without_a_cookie() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let passed = ask(&site, &cookie, |lazy| {
            let site = &site;
            let cookie = cookie.clone();
            async move {
                let session = lazy.load_async().await.unwrap();
                session.insert("name", "Eve").unwrap();
                ask(site, &cookie, |lazy| async move {
                    lazy.load_async().await.unwrap().delete().unwrap();
                    answer(200)
                })
                .await;
                answer(200)
            }
        })
        .await;
        assert_eq!((passed.status().as_u16(), passed.body().as_str()), (200, "body"));
        assert_eq!(set_cookie(&passed), None);
        assert_eq!(site.stored(&cookie), None);
        assert_eq!(site.sessions.counts().refused, 1);
    }
}
