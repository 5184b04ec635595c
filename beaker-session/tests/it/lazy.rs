//! What a request costs, and what it leaves behind.

use beaker_session::{AccessPolicy, Builder, CookieConfig, CookieLife, ErrorKind, Origin};
use std::time::Duration;

use crate::browser::Browser;
use crate::site::{HOUR, Site, clock, in_memory, sealed};

fn logged_in(site: &Site) -> Browser {
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("user", "ada")).unwrap();
    browser
}

/// Table rows 1 and 2
#[test]
fn an_untouched_session_reads_writes_and_sends_nothing() {
    let site = Site::with(|builder| builder.with_access(AccessPolicy::EveryRequest));
    let browser = logged_in(&site);
    let operations = site.operations(|| {
        let request = browser.begin(&site.sessions);
        assert!(!request.is_loaded());
        let outgoing = request.commit().unwrap();
        assert_eq!((outgoing.set_cookies().len(), outgoing.varies()), (0, false));
    });
    assert_eq!(operations, 0);
}

#[test]
fn a_session_that_is_only_read_is_loaded_once_and_not_written() {
    let site = Site::new();
    let browser = logged_in(&site);
    let operations = site.operations(|| {
        let request = browser.begin(&site.sessions);
        for _ in 0..3 {
            let session = request.load().unwrap();
            assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ada"));
        }
        let outgoing = request.commit().unwrap();
        assert_eq!((outgoing.set_cookies().len(), outgoing.varies()), (0, true));
        assert!(!outgoing.forbids_storing());
    });
    assert_eq!(operations, 1);
}

#[test]
fn putting_the_same_value_in_writes_nothing() {
    let site = Site::new();
    let mut browser = logged_in(&site);
    let operations = site.operations(|| {
        browser.visit(&site.sessions, |session| session.insert("user", "ada")).unwrap();
    });
    assert_eq!(operations, 1);
}

#[test]
fn an_empty_session_leaves_no_record_and_sends_no_cookie() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser
        .visit(&site.sessions, |session| {
            session.insert("a", 1)?;
            session.remove::<u32>("a")?;
            session.revert()
        })
        .unwrap();
    assert_eq!((browser.received.len(), site.entries()), (0, 0));
}

/// Table rows 3 and 4
#[test]
fn a_read_notes_the_use_as_often_as_the_policy_says() {
    let minute = Duration::from_secs(60);
    let policies = [
        (AccessPolicy::Never, [0, 0, 0]),
        (AccessPolicy::EveryRequest, [1, 1, 1]),
        (AccessPolicy::AtMostEvery(minute), [0, 1, 0]),
    ];
    for (policy, expected) in policies {
        let site = Site::with(|builder| builder.with_access(policy));
        let mut browser = logged_in(&site);
        let touches = [1, 60, 1].map(|seconds| {
            site.clock.advance(Duration::from_secs(seconds));
            let before = site.sessions.counts().touched;
            browser.visit(&site.sessions, |session| session.get::<String>("user")).unwrap();
            site.sessions.counts().touched - before
        });
        assert_eq!(touches, expected, "{policy:?}");
        assert_eq!(site.sessions.counts().updated, 0, "{policy:?}: no use rewrites values");
    }
}

#[test]
fn a_save_in_the_middle_of_a_request_notes_its_use_and_the_end_does_not_once_more() {
    let every = |builder: Builder| builder.with_access(AccessPolicy::EveryRequest);
    let (site, clock) = (Site::with(every), clock());
    let sites = [(site.sessions, site.clock), (in_memory(&clock, every), clock)];
    for (sessions, clock) in sites {
        let mut browser = Browser::new();
        browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
        let writes = || {
            let counts = sessions.counts();
            (counts.updated, counts.touched)
        };
        browser
            .visit(&sessions, |session| {
                session.insert("a", 1)?;
                session.save()?;
                // A tick later.
                clock.advance(Duration::from_millis(4));
                Ok(())
            })
            .unwrap();
        assert_eq!(writes(), (1, 0));
        // One that goes on apart from a request says by each save that it is used.
        let session = browser.begin(&sessions).load().unwrap().detach().unwrap();
        for _ in 0..2 {
            clock.advance(Duration::from_secs(1));
            session.save().unwrap();
        }
        assert_eq!(writes(), (1, 2));
    }
}

/// Table row 11
#[test]
fn a_use_prolongs_the_idle_time_and_the_absolute_one_ends_it() {
    let site = Site::with(|builder| {
        builder.with_access(AccessPolicy::EveryRequest).with_absolute(Some(2 * HOUR))
    });
    let mut browser = logged_in(&site);
    for _ in 0..3 {
        site.clock.advance(HOUR / 2);
        let user = browser.visit(&site.sessions, |session| session.get::<String>("user")).unwrap();
        assert_eq!(user.as_deref(), Some("ada"));
    }
    site.clock.advance(HOUR / 2);
    assert_eq!(browser.sees(&site.sessions, "user"), None);
}

#[test]
fn what_is_changed_after_the_commit_is_an_error_and_not_lost_silently() {
    let site = Site::new();
    let browser = logged_in(&site);
    let request = browser.begin(&site.sessions);
    let session = request.load().unwrap();
    let _headers = request.commit().unwrap();
    let refused = [
        session.insert("a", 1),
        session.remove::<String>("user").map(drop),
        session.renew(),
        session.delete(),
        session.flash("info", "x"),
        session.set_subject("ada", None),
        session.csrf_token().map(drop),
    ];
    for result in refused {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::AlreadyCommitted);
    }
    assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ada"), "reads go on");

    let late = browser.begin(&site.sessions);
    let _headers = late.commit().unwrap();
    assert_eq!(late.load().unwrap_err().kind(), ErrorKind::AlreadyCommitted);
}

#[test]
fn a_detached_session_is_saved_apart_from_the_request() {
    let site = Site::new();
    let browser = logged_in(&site);
    let request = browser.begin(&site.sessions);
    let session = request.load().unwrap();
    let background = session.detach().unwrap();
    let _headers = request.commit().unwrap();
    background.add("jobs", 1).unwrap();
    background.save().unwrap();
    background.add("jobs", 1).unwrap();
    background.save().unwrap();
    assert_eq!(browser.sees(&site.sessions, "jobs"), Some(2.into()));

    let new = site.sessions.begin([]).load().unwrap();
    assert_eq!(new.detach().unwrap_err().kind(), ErrorKind::Ended);
}

#[test]
fn a_detached_session_does_not_bring_an_ended_one_back() {
    let site = Site::new();
    let mut browser = logged_in(&site);
    let background = browser.begin(&site.sessions).load().unwrap().detach().unwrap();
    browser.visit(&site.sessions, |session| session.delete()).unwrap();
    background.add("jobs", 1).unwrap();
    assert_eq!(background.save().unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(site.entries(), 0);
}

/// Table row 10; Beaker makes a namespace for each unknown id that it is asked for.
#[test]
fn get_by_id_finds_a_session_and_makes_none() {
    let site = Site::new();
    let browser = logged_in(&site);
    let id = browser.begin(&site.sessions).load().unwrap().id().unwrap();
    let session = site.sessions.get_by_id(&id).unwrap().unwrap();
    assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ada"));
    session.insert("note", "from outside").unwrap();
    session.save().unwrap();
    assert_eq!(browser.sees(&site.sessions, "note"), Some("from outside".into()));

    let unknown = beaker_session::SessionId::from_bytes([1; 16]);
    assert!(site.sessions.get_by_id(&unknown).unwrap().is_none());
    site.clock.advance(HOUR);
    assert!(site.sessions.get_by_id(&id).unwrap().is_none());
}

#[test]
fn a_lasting_cookie_lives_as_long_as_its_session_and_follows_it() {
    let site = Site::with(|builder| {
        builder
            .with_cookie(CookieConfig::new().with_life(CookieLife::Session))
            .with_access(AccessPolicy::EveryRequest)
    });
    let mut browser = logged_in(&site);
    assert!(browser.received[0].contains("; Max-Age=3600;"), "{:?}", browser.received);
    site.clock.advance(23 * HOUR / 24);
    for _ in 0..24 {
        browser.visit(&site.sessions, |session| session.get::<String>("user")).unwrap();
        site.clock.advance(HOUR - HOUR / 24);
    }
    browser.visit(&site.sessions, |session| session.get::<String>("user")).unwrap();
    let left: Vec<_> =
        browser.received[0].split("; ").filter(|a| a.starts_with("Max-Age")).collect();
    assert_eq!(left, ["Max-Age=150"], "the absolute limit is nearer than the idle one");
}

#[test]
fn a_session_in_its_cookie_needs_no_store_and_is_sent_when_it_changes() {
    let clock = clock();
    let sessions = sealed(&clock, |builder| builder);
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
    assert_eq!(browser.received.len(), 1);
    browser.visit(&sessions, |session| session.get::<String>("user")).unwrap();
    assert_eq!(browser.received.len(), 0, "a read sends nothing");
    let before = browser.header();
    let id = |browser: &Browser| browser.begin(&sessions).load().unwrap().id();
    let old_id = id(&browser);
    browser.visit(&sessions, |session| session.add("clicks", 1)).unwrap();
    assert_ne!(browser.header(), before);
    assert_eq!(id(&browser), old_id);
    browser.visit(&sessions, |session| session.renew()).unwrap();
    assert_ne!(id(&browser), old_id);
    assert_eq!(browser.sees(&sessions, "clicks"), Some(1.into()));
    browser.visit(&sessions, |session| session.delete()).unwrap();
    assert!(browser.is_empty());
}

#[test]
fn a_session_tells_where_it_comes_from() {
    let site = Site::new();
    let origin = |browser: &Browser| browser.begin(&site.sessions).load().unwrap().origin();
    assert_eq!(origin(&Browser::new()), Origin::New);
    let browser = logged_in(&site);
    assert_eq!(origin(&browser), Origin::Known);
    site.clock.advance(HOUR);
    assert_eq!(origin(&browser), Origin::Unknown);
    assert_eq!(origin(&Browser::with("__Host-id=nonsense")), Origin::Unknown);
}
