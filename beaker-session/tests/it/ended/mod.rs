//! Waiting for a session's end.

#[cfg(feature = "axum")]
mod streams;
#[cfg(feature = "tokio")]
mod tasks;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::testkit::Fault;
use beaker_namespace::{ErrorKind as Store, Namespace};
use beaker_session::{AccessPolicy, Error, ErrorKind, NamespaceStore, Session, Sessions, Waited};

use crate::browser::Browser;
use crate::site::{HOUR, Site, in_memory, sealed};

/// Turns a hang into a failure; far less than an hour.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is on the clock when little is left of an idle hour.
const ALMOST_AN_HOUR: Duration = HOUR.saturating_sub(Duration::from_millis(50));

/// A way to end the session of `browser`, which is that of `socket`.
type End = fn(&Sessions, &mut Browser, &Session) -> Result<(), Error>;

const ENDS: [(&str, End); 6] = [
    ("logout", |sessions, browser, _| browser.visit(sessions, Session::delete)),
    ("logout unloaded", |sessions, browser, _| log_out_unloaded(sessions, browser)),
    ("fresh", |sessions, browser, _| browser.visit(sessions, Session::invalidate)),
    ("renewal", |sessions, browser, _| browser.visit(sessions, Session::renew)),
    ("one", |sessions, _, socket| sessions.revoke(&socket.key().unwrap())),
    ("all", |sessions, _, _| sessions.revoke_all("ada").map(drop)),
];

fn login(session: &Session) -> Result<(), Error> {
    session.set_subject("ada", None)?;
    session.insert("user", "ada")
}

fn log_out_unloaded(sessions: &Sessions, browser: &Browser) -> Result<(), Error> {
    let request = browser.begin(sessions);
    request.delete()?;
    request.commit().map(drop)
}

fn logged_in(sessions: &Sessions) -> Browser {
    let mut browser = Browser::new();
    browser.visit(sessions, login).unwrap();
    browser
}

/// What goes on with the session of `browser` after its request.
fn socket(sessions: &Sessions, browser: &Browser) -> Session {
    browser.begin(sessions).load().unwrap().detach().unwrap()
}

/// In a store, in memory where they are changed in place, and in cookies with a store for what has ended.
fn sites() -> [(Sessions, Site); 3] {
    let (in_store, alone, in_cookies) = (Site::new(), Site::new(), Site::new());
    let epochs = NamespaceStore::new(in_cookies.store.clone()).unwrap();
    [
        (in_store.sessions.clone(), in_store),
        (in_memory(&alone.clock, |builder| builder), alone),
        (sealed(&in_cookies.clock, |builder| builder.with_epochs(epochs)), in_cookies),
    ]
}

/// What another process has: sessions over the store of `site`.
fn elsewhere(site: &Site) -> Sessions {
    let store = Arc::clone(&site.store) as Arc<dyn Namespace>;
    Sessions::builder().with_namespace(store).build().unwrap()
}

/// What a thread's wait with a look `every` so often comes to if `work` is done once it has looked. Its time is not over
/// by then: at its end it would look as well.
fn waits_beside(site: &Site, socket: &Session, every: Duration, work: impl FnOnce()) -> Waited {
    let (before, began) = (site.store.operations(), Instant::now());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| socket.wait_ended_for(every, PATIENCE).unwrap());
        while site.store.operations() == before && began.elapsed() < PATIENCE {
            thread::yield_now();
        }
        work();
        let waited = waiting.join().unwrap();
        assert!(began.elapsed() < PATIENCE, "it hangs");
        waited
    })
}

#[test]
fn a_thread_that_waits_is_told_of_each_end() {
    for (name, end) in ENDS {
        let site = Site::new();
        let mut browser = logged_in(&site.sessions);
        let socket = socket(&site.sessions, &browser);
        let ends = || end(&site.sessions, &mut browser, &socket).unwrap();
        assert_eq!(waits_beside(&site, &socket, HOUR, ends), Waited::Ended, "{name}");
    }
}

#[test]
fn a_wait_without_time_looks_once() {
    for (sessions, site) in sites() {
        let mut browser = logged_in(&sessions);
        let socket = socket(&sessions, &browser);
        let look = || socket.wait_ended_for(HOUR, Duration::ZERO).unwrap();
        let operations = site.operations(|| assert_eq!(look(), Waited::TimedOut));
        assert!(operations <= 2, "{operations}");
        browser.visit(&sessions, Session::delete).unwrap();
        assert_eq!(look(), Waited::Ended);
    }
}

#[test]
fn what_was_never_stored_has_ended() {
    let session = Browser::new().begin(&Site::new().sessions).load().unwrap();
    assert_eq!(session.wait_ended_for(HOUR, PATIENCE).unwrap(), Waited::Ended);
}

#[test]
fn a_renewal_by_the_waiting_handle_ends_the_wait_and_the_next_one_goes_on() {
    let site = Site::new();
    let socket = socket(&site.sessions, &logged_in(&site.sessions));
    let renews = || {
        socket.renew().unwrap();
        socket.save().unwrap();
    };
    assert_eq!(waits_beside(&site, &socket, HOUR, renews), Waited::Ended);
    assert_eq!(socket.wait_ended_for(HOUR, Duration::ZERO).unwrap(), Waited::TimedOut);
}

#[test]
fn a_short_time_between_looks_counts_as_the_shortest() {
    let site = Site::new();
    let socket = socket(&site.sessions, &logged_in(&site.sessions));
    let timeout = Session::MIN_LOOK * 5 / 2;
    let looks = site.operations(|| {
        let waited = socket.wait_ended_for(Duration::ZERO, timeout).unwrap();
        assert_eq!(waited, Waited::TimedOut);
    });
    // At the beginning, after one and two of the shortest times, and at the end; fewer on a busy machine.
    assert!((2..=4).contains(&looks), "{looks} looks");
}

#[test]
fn time_that_is_over_is_seen_without_being_told() {
    let [in_store, _, in_cookies] = sites();
    for (sessions, site) in [in_store, in_cookies] {
        let socket = socket(&sessions, &logged_in(&sessions));
        site.clock.advance(ALMOST_AN_HOUR);
        let passes = || site.clock.advance(HOUR - ALMOST_AN_HOUR);
        assert_eq!(waits_beside(&site, &socket, 10 * HOUR, passes), Waited::Ended);
    }
}

#[test]
fn a_session_that_is_used_meanwhile_is_waited_for_longer() {
    let site = Site::with(|builder| builder.with_access(AccessPolicy::EveryRequest));
    let mut browser = logged_in(&site.sessions);
    let socket = socket(&site.sessions, &browser);
    site.clock.advance(ALMOST_AN_HOUR);
    browser.visit(&site.sessions, |session| session.get::<String>("user")).unwrap();
    site.clock.advance(HOUR - ALMOST_AN_HOUR);
    let look = || socket.wait_ended_for(HOUR, Duration::ZERO).unwrap();
    assert_eq!(look(), Waited::TimedOut);
    site.clock.advance(HOUR);
    assert_eq!(look(), Waited::Ended);
}

#[test]
fn a_store_that_fails_ends_no_wait_and_the_look_after_it_sees_the_end() {
    let site = Site::new();
    let socket = socket(&site.sessions, &logged_in(&site.sessions));
    let fail = || site.store.arm(1, Fault::Fail(Store::Unavailable));
    fail();
    let waited = socket.wait_ended_for(HOUR, Duration::ZERO).unwrap();
    assert_eq!(waited, Waited::TimedOut);
    elsewhere(&site).revoke(&socket.key().unwrap()).unwrap();
    fail();
    let looks = site.operations(|| {
        let waited = socket.wait_ended_for(Session::MIN_LOOK, PATIENCE).unwrap();
        assert_eq!(waited, Waited::Ended);
    });
    assert_eq!(looks, 2);
}

#[test]
fn a_failed_look_hides_no_expiry() {
    let site = Site::new();
    let socket = socket(&site.sessions, &logged_in(&site.sessions));
    site.clock.advance(ALMOST_AN_HOUR);
    site.store.arm(1, Fault::Fail(Store::Unavailable));
    let passes = || site.clock.advance(HOUR - ALMOST_AN_HOUR);
    assert_eq!(waits_beside(&site, &socket, 10 * HOUR, passes), Waited::Ended);
}

#[test]
fn a_damaged_mark_says_that_a_session_in_its_cookie_has_ended() {
    let [_, _, (sessions, site)] = sites();
    let mut browser = logged_in(&sessions);
    let socket = socket(&sessions, &browser);
    browser.visit(&sessions, Session::delete).unwrap();
    site.spoil();
    assert_eq!(socket.wait_ended_for(HOUR, Duration::ZERO).unwrap(), Waited::Ended);
    assert_eq!(socket.check().unwrap_err().kind(), ErrorKind::Ended);
}

#[test]
fn a_damaged_record_ends_no_wait_until_somebody_ends_it() {
    let site = Site::new();
    let browser = logged_in(&site.sessions);
    let socket = socket(&site.sessions, &browser);
    site.spoil();
    let ends = || log_out_unloaded(&site.sessions, &browser).unwrap();
    assert_eq!(socket.wait_ended_for(HOUR, Duration::ZERO).unwrap(), Waited::TimedOut);
    assert_eq!(waits_beside(&site, &socket, HOUR, ends), Waited::Ended);
}

#[test]
#[cfg(feature = "testkit")]
fn what_no_later_look_can_mend_is_an_error() {
    use beaker_namespace::{MemoryConfig, MemoryNamespace};
    use beaker_session::testkit::{Failing, Failure};

    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let store = Failing::new(NamespaceStore::new(memory).unwrap());
    let sessions = Sessions::builder().with_store(store.clone()).build().unwrap();
    let socket = socket(&sessions, &logged_in(&sessions));
    store.arm(1, Failure::Before, ErrorKind::Unsupported);
    let error = socket.wait_ended_for(HOUR, PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn what_another_process_ends_is_seen_by_the_next_look() {
    for (name, end) in ENDS {
        let site = Site::new();
        let mut browser = logged_in(&site.sessions);
        let socket = socket(&site.sessions, &browser);
        let ends = || end(&elsewhere(&site), &mut browser, &socket).unwrap();
        let waited = waits_beside(&site, &socket, Session::MIN_LOOK, ends);
        assert_eq!(waited, Waited::Ended, "{name}");
    }
}

#[test]
fn of_a_session_in_its_cookie_alone_only_the_time_is_known() {
    let site = Site::new();
    let sessions = sealed(&site.clock, |builder| builder);
    let mut browser = logged_in(&sessions);
    let socket = socket(&sessions, &browser);
    let look = || socket.wait_ended_for(HOUR, Duration::ZERO).unwrap();
    browser.visit(&sessions, Session::delete).unwrap();
    assert_eq!(look(), Waited::TimedOut);
    site.clock.advance(HOUR);
    assert_eq!(look(), Waited::Ended);
}
