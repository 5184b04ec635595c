//! The experiments that can be done on any site. Each says what the visitor's session has at its end.

use std::sync::Arc;

use tokio::sync::Barrier;

use super::{Act, Errand, Jar, Raced, Seen};

/// What browsers keep of one cookie: its name and its value together (RFC 6265bis).
const COOKIE_BYTES: usize = 4_096;

async fn ask(site: &impl Raced, cookie: &str, act: Act) -> Seen {
    site.visit(cookie, Errand { act, meeting: None }).await
}

async fn meet(site: &impl Raced, cookie: &str, act: Act, meeting: &Arc<Barrier>) -> Seen {
    site.visit(cookie, Errand { act, meeting: Some(Arc::clone(meeting)) }).await
}

pub(super) async fn has(site: &impl Raced, cookie: &str) -> String {
    ask(site, cookie, Act::Look).await.had
}

/// The browser of a visitor who has logged in.
pub(super) async fn log_in(site: &impl Raced) -> Jar {
    let mut jar = Jar::default();
    jar.receive(&ask(site, "", Act::Insert("user")).await);
    jar
}

/// Another request of that browser; its status.
pub(super) async fn go(site: &impl Raced, jar: &mut Jar, act: Act) -> u16 {
    let seen = ask(site, &jar.header(), act).await;
    jar.receive(&seen);
    seen.status
}

/// Two requests that have both read the session before either writes.
pub(super) async fn two_writes(site: &impl Raced) -> String {
    let (mut jar, meeting) = (log_in(site).await, Arc::new(Barrier::new(2)));
    let cookie = jar.header();
    let (left, right) = tokio::join!(
        meet(site, &cookie, Act::Insert("left"), &meeting),
        meet(site, &cookie, Act::Insert("right"), &meeting),
    );
    assert_eq!((left.had.as_str(), right.had.as_str()), ("user", "user"), "both have read it");
    jar.receive(&left);
    jar.receive(&right);
    has(site, &jar.header()).await
}

/// A request that has read the session when another logs out, and writes afterwards.
pub(super) async fn a_write_after_a_logout(site: &impl Raced) -> String {
    let (before, meeting) = (log_in(site).await, Arc::new(Barrier::new(2)));
    let cookie = before.header();
    let log_out = async {
        let mut jar = before.clone();
        meeting.wait().await;
        go(site, &mut jar, Act::LogOut).await;
        assert_eq!(has(site, &jar.header()).await, "", "it is logged out");
        meeting.wait().await;
        jar
    };
    let (late, mut jar) = tokio::join!(meet(site, &cookie, Act::Insert("late"), &meeting), log_out);
    assert_eq!(late.had, "user", "it has read it");
    jar.receive(&late);
    has(site, &jar.header()).await
}

/// A request that renews the session's id and then answers 500.
pub(super) async fn a_renewal_and_an_error(site: &impl Raced) -> String {
    let mut jar = log_in(site).await;
    assert_eq!(go(site, &mut jar, Act::RenewAndFail).await, 500);
    has(site, &jar.header()).await
}

/// A cookie of the same name that another host of the domain has set.
async fn a_second_cookie(site: &impl Raced, join: impl Fn(&str, &str) -> String) -> String {
    let jar = log_in(site).await;
    let tossed = jar.0.keys().map(|name| format!("{name}=tossed")).collect::<Vec<_>>();
    has(site, &join(&jar.header(), &tossed.join("; "))).await
}

pub(super) async fn a_cookie_behind(site: &impl Raced) -> String {
    a_second_cookie(site, |good, tossed| format!("{good}; {tossed}")).await
}

pub(super) async fn a_cookie_before(site: &impl Raced) -> String {
    a_second_cookie(site, |good, tossed| format!("{tossed}; {good}")).await
}

/// A visitor who has no session, and whose request does not look for one.
pub(super) async fn nothing(site: &impl Raced) -> String {
    match ask(site, "", Act::Nothing).await.set_cookies.len() {
        0 => "no cookies".to_owned(),
        cookies => format!("{cookies} cookies"),
    }
}

/// A logout at one node of a session that the other has read.
pub(super) async fn a_logout_elsewhere(nodes: &[impl Raced; 2]) -> String {
    let [here, there] = nodes;
    let mut jar = log_in(here).await;
    let cookie = jar.header();
    assert_eq!(has(there, &cookie).await, "user", "both have it");
    go(here, &mut jar, Act::LogOut).await;
    has(there, &cookie).await
}

/// An attacker has put a cookie into the visitor's browser, and the visitor logs in. What the attacker has.
pub(super) async fn a_planted_id(site: &impl Raced, planted: &str) -> String {
    ask(site, planted, Act::Insert("user")).await;
    has(site, planted).await
}

pub(super) async fn a_login(site: &impl Raced) -> String {
    has(site, &log_in(site).await.header()).await
}

pub(super) async fn counting_up(site: &impl Raced) -> String {
    let mut jar = log_in(site).await;
    go(site, &mut jar, Act::Count).await;
    has(site, &jar.header()).await
}

/// A copy of the cookie, after the visitor has logged out.
pub(super) async fn a_saved_cookie(site: &impl Raced) -> String {
    let mut jar = log_in(site).await;
    let saved = jar.header();
    go(site, &mut jar, Act::LogOut).await;
    has(site, &saved).await
}

/// The answer to a value with which no browser keeps the cookie, and what the visitor has then.
pub(super) async fn a_large_value(site: &impl Raced) -> String {
    let mut jar = log_in(site).await;
    let seen = ask(site, &jar.header(), Act::Grow(4_000)).await;
    let of = |cookie: &String| cookie.split(';').next().map_or(0, |pair| pair.len() - 1);
    match seen.set_cookies.iter().map(of).find(|bytes| *bytes > COOKIE_BYTES) {
        Some(bytes) => format!("{}, {bytes} bytes, dropped", seen.status),
        None => {
            jar.receive(&seen);
            format!("{}, {}", seen.status, has(site, &jar.header()).await)
        }
    }
}
