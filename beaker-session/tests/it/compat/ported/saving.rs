//! Beaker's SaveAccessedTime ×3 and SessionObject ×6: what is written when.

use std::time::Duration;

use beaker_namespace::Timestamp;
use beaker_session::compat::PayloadCodec;
use beaker_session::{AccessPolicy, Error, Session, Sessions};

use super::{START, Site, logged_in};
use crate::browser::Browser;

const TEN: Duration = Duration::from_secs(10);
const LATER: Timestamp = Timestamp::from_micros(1_700_000_010_000_000);

fn with(site: &Site, policy: AccessPolicy) -> Sessions {
    site.with(PayloadCodec::new(), |builder| builder.with_access(policy))
}

fn accessed(browser: &Browser, sessions: &Sessions) -> Option<Timestamp> {
    browser.begin(sessions).load().unwrap().last_accessed()
}

/// What a request ten seconds after the login wrote: updates of values, and uses noted.
fn written(
    policy: AccessPolicy,
    act: impl Fn(&Session) -> Result<(), Error>,
) -> (u64, u64, Option<Timestamp>) {
    let site = Site::new();
    let sessions = with(&site, policy);
    let mut browser = logged_in(&sessions);
    assert_eq!(accessed(&browser, &sessions), Some(START));
    site.clock.advance(TEN);
    let before = sessions.counts();
    browser.visit(&sessions, act).unwrap();
    let after = sessions.counts();
    let times = (after.updated - before.updated, after.touched - before.touched);
    (times.0, times.1, accessed(&browser, &sessions))
}

fn read(session: &Session) -> Result<(), Error> {
    session.get::<String>("Suomi").map(drop)
}

#[test]
fn test_saves_if_session_written_and_accessed_time_false() {
    let wrote = written(AccessPolicy::Never, |session| session.insert("test", 1));
    assert_eq!(wrote, (1, 0, Some(LATER)), "and a write is a use");
}

#[test]
fn test_saves_if_session_not_written_and_accessed_time_true() {
    assert_eq!(written(AccessPolicy::EveryRequest, read), (0, 1, Some(LATER)));
}

#[test]
fn test_doesnt_save_if_session_not_written_and_accessed_time_false() {
    assert_eq!(written(AccessPolicy::Never, read), (0, 0, Some(START)));
}

/// Beaker's proxy: nothing is loaded before it is used.
#[test]
fn test_session_object_touches_nothing_until_it_is_used() {
    let site = Site::new();
    let sessions = site.sessions();
    let request = logged_in(&sessions).begin(&sessions);
    let before = sessions.counts();
    let headers = request.commit().unwrap();
    assert_eq!((headers.set_cookies().len(), sessions.counts()), (0, before));
}

/// Beaker stores the time and not the value. Here nothing at all of a session that is new and not kept,
/// and of one that is there the time alone.
#[test]
fn test_no_autosave_saves_atime_without_save() {
    let not_saved = |session: &Session| {
        session.insert("foo", "bar")?;
        session.revert()
    };
    let site = Site::new();
    let sessions = with(&site, AccessPolicy::EveryRequest);
    let mut browser = Browser::new();
    browser.visit(&sessions, not_saved).unwrap();
    assert!(browser.is_empty());
    assert_eq!(written(AccessPolicy::EveryRequest, not_saved), (0, 1, Some(LATER)));
}

#[test]
fn test_no_autosave_saves_with_save() {
    let put = |session: &Session| {
        session.insert("foo", "bar")?;
        session.save()
    };
    // The values once, and the use with them.
    assert_eq!(written(AccessPolicy::EveryRequest, put), (1, 0, Some(LATER)));
    assert_eq!(written(AccessPolicy::Never, put), (1, 0, Some(LATER)));
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = Browser::new();
    browser.visit(&sessions, put).unwrap();
    assert_eq!(browser.sees(&sessions, "foo"), Some("bar".into()));
}

#[test]
fn test_no_autosave_saves_with_delete() {
    let site = Site::new();
    let sessions = site.sessions();
    let mut browser = logged_in(&sessions);
    let old = browser.clone();
    browser.visit(&sessions, |session| session.delete()).unwrap();
    assert_eq!(old.sees(&sessions, "Suomi"), None);
    assert!(browser.is_empty());

    // Also if there was something to be saved.
    let mut browser = logged_in(&sessions);
    let (old, before) = (browser.clone(), sessions.counts());
    browser
        .visit(&sessions, |session| {
            session.insert("foo", "bar")?;
            session.delete()
        })
        .unwrap();
    assert_eq!(sessions.counts().updated, before.updated);
    assert_eq!(old.sees(&sessions, "foo"), None);
}

/// Beaker: only with `auto`. Here a change is always stored.
#[test]
fn test_auto_save_saves_without_save() {
    let wrote = written(AccessPolicy::EveryRequest, |session| session.insert("foo", "bar"));
    assert_eq!(wrote, (1, 0, Some(LATER)));
}

#[test]
fn test_accessed_time_off_saves_atime_when_saving() {
    let site = Site::new();
    let sessions = with(&site, AccessPolicy::Never);
    let browser = logged_in(&sessions);
    site.clock.advance(TEN);
    assert_eq!(browser.sees(&sessions, "Suomi"), Some("Kimi Räikkönen".into()));
    assert_eq!(accessed(&browser, &sessions), Some(START), "the time of the save");
}

#[test]
fn test_accessed_time_off_doesnt_save_without_save() {
    let wrote = written(AccessPolicy::Never, |session| {
        session.insert("foo", "bar")?;
        session.revert()
    });
    assert_eq!(wrote, (0, 0, Some(START)));
}
