//! What a request costs, and what it leaves behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use beaker_session::{
    AccessPolicy, Admission, Builder, CookieConfig, CookieLife, Data, Error, ErrorKind,
    NamespaceStore, Origin, Session, SessionData, Sessions,
};
use serde::{Deserialize, Serialize};

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
fn what_is_reverted_leaves_no_record_and_sends_no_cookie() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser
        .visit(&site.sessions, |session| {
            session.insert("a", 1)?;
            session.set_subject("ada", None)?;
            session.revert()
        })
        .unwrap();
    assert_eq!((browser.received.len(), site.entries()), (0, 0));
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Form {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl SessionData for Form {
    const VERSION: u32 = 1;

    fn migrate(_: u32, _: &mut Data) {}
}

type Work = fn(&Session) -> Result<(), Error>;

/// Ways to use a new session that leave nothing in it.
const COMES_TO_NOTHING: [(&str, Work); 11] = [
    ("insert and remove", |session| {
        session.insert("a", 1)?;
        session.remove::<u32>("a").map(drop)
    }),
    ("insert and clear", |session| {
        session.insert("a", 1)?;
        session.insert("b", [1, 2])?;
        session.clear()
    }),
    ("entry and remove", |session| {
        session.entry("a")?.or_insert(1)?;
        session.remove::<u32>("a").map(drop)
    }),
    ("count and remove", |session| {
        session.add("a", 1)?;
        session.remove::<u32>("a").map(drop)
    }),
    ("push and drain", |session| {
        session.push("a", 1)?;
        session.drain::<u32>("a").map(drop)
    }),
    ("join and leave", |session| {
        session.join("a", 1)?;
        session.leave("a", 1).map(drop)
    }),
    ("flash and take", |session| {
        session.flash("info", "welcome")?;
        session.take_flashes().map(drop)
    }),
    ("modify to and fro", |session| {
        session.modify(|form: &mut Form| form.name = Some("ada".to_owned()))?;
        session.modify(|form: &mut Form| form.name = None)
    }),
    ("modify to and fro, with a version", |session| {
        session.modify_versioned(|form: &mut Form| form.name = Some("ada".to_owned()))?;
        session.modify_versioned(|form: &mut Form| form.name = None)
    }),
    ("a cookie's place and life, and back", |session| {
        session.set_cookie_path(Some("/"))?;
        session.set_cookie_life(Some(CookieLife::Session))?;
        session.set_cookie_path(None)?;
        session.set_cookie_life(None)
    }),
    ("begin anew, insert and remove", |session| {
        session.renew()?;
        session.invalidate()?;
        session.insert("a", 1)?;
        session.remove::<u32>("a").map(drop)
    }),
];

/// A site for each way to keep sessions, which counts how often it was asked for a new one.
fn sites_that_admit(asked: &Arc<AtomicU32>) -> [(&'static str, Sessions); 3] {
    let counting = |builder: Builder| {
        let asked = Arc::clone(asked);
        builder.with_admission(move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            Admission::Admit
        })
    };
    [
        ("store", Site::with(counting).sessions),
        ("memory", in_memory(&clock(), counting)),
        ("cookie", sealed(&clock(), counting)),
    ]
}

#[test]
fn an_empty_session_leaves_no_record_and_sends_no_cookie() {
    let asked = Arc::new(AtomicU32::new(0));
    for (kept, sessions) in sites_that_admit(&asked) {
        for (name, work) in COMES_TO_NOTHING {
            let mut browser = Browser::new();
            browser.visit(&sessions, work).unwrap();
            assert_eq!(browser.received.len(), 0, "{kept}: {name}");
            // Also if it is saved in the middle, and something comes of it after all.
            let later = browser.visit(&sessions, |session| {
                work(session)?;
                session.save()?;
                assert_eq!(session.id(), None, "{kept}: {name}");
                session.insert("a", 1)
            });
            later.unwrap();
            assert_eq!(browser.sees(&sessions, "a"), Some(1.into()), "{kept}: {name}");
        }
        let counts = sessions.counts();
        let made = if kept == "cookie" { 0 } else { COMES_TO_NOTHING.len() as u64 };
        assert_eq!((counts.created, counts.updated, counts.ended), (made, 0, 0), "{kept}");
    }
    let made = 3 * COMES_TO_NOTHING.len() as u32;
    assert_eq!(asked.load(Ordering::Relaxed), made, "of what comes to nothing nobody is asked");
}

#[test]
fn what_is_said_of_a_session_without_values_is_kept() {
    let said: [(&str, Work); 6] = [
        ("subject", |session| session.set_subject("ada", None)),
        ("limits", |session| session.set_limits(Some(HOUR / 2), None)),
        ("cookie's path", |session| session.set_cookie_path(Some("/app"))),
        ("cookie's life", |session| session.set_cookie_life(Some(CookieLife::Session))),
        ("form", |session| session.csrf_token().map(drop)),
        ("a list that is put in", |session| session.insert("a", [0; 0])),
    ];
    let named = |builder: Builder| builder.with_cookie(CookieConfig::named("id"));
    for sessions in [Site::with(named).sessions, sealed(&clock(), named)] {
        for (name, work) in said {
            let mut browser = Browser::new();
            browser.visit(&sessions, work).unwrap();
            assert_eq!(browser.received.len(), 1, "{name}");
            let again = browser.begin(&sessions).load().unwrap();
            assert_eq!(again.origin(), Origin::Known, "{name}");
        }
    }
}

#[test]
fn a_stored_session_that_becomes_empty_is_saved_and_stays() {
    for sessions in [Site::new().sessions, in_memory(&clock(), |b| b), sealed(&clock(), |b| b)] {
        let mut browser = Browser::new();
        browser
            .visit(&sessions, |session| {
                session.insert("a", 1)?;
                session.push("list", 1)
            })
            .unwrap();
        let id = browser.begin(&sessions).load().unwrap().id();
        browser
            .visit(&sessions, |session| {
                session.remove::<u32>("a")?;
                session.drain::<u32>("list").map(drop)
            })
            .unwrap();
        let session = browser.begin(&sessions).load().unwrap();
        assert_eq!((session.origin(), session.id()), (Origin::Known, id));
        assert!(!session.contains("a"));
        assert_eq!(session.get::<Vec<u32>>("list").unwrap(), Some(Vec::new()));
    }
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

/// Whatever a handler can do to its session.
fn all_changes(session: &Session) -> Vec<Result<(), Error>> {
    vec![
        session.insert("a", 1),
        session.remove::<String>("user").map(drop),
        session.clear(),
        session.revert(),
        session.add("count", 1).map(drop),
        session.push("list", 2),
        session.drain::<u32>("list").map(drop),
        session.join("list", 2).map(drop),
        session.leave("list", 1).map(drop),
        session.entry::<u32>("b").and_then(|entry| entry.or_insert(1)).map(drop),
        session.modify(|data: &mut Data| drop(data.insert("c".to_owned(), 1.into()))),
        session.flash("info", "y"),
        session.take_flashes().map(drop),
        session.csrf_token().map(drop),
        session.renew(),
        session.invalidate(),
        session.delete(),
        session.set_subject("ada", None),
        session.set_limits(Some(HOUR), None),
        session.set_cookie_path(None),
        session.set_cookie_domain(None),
        session.set_cookie_life(Some(CookieLife::Browser)),
    ]
}

#[test]
fn what_is_changed_after_the_commit_is_an_error_and_not_lost_silently() {
    let site = Site::new();
    let browser = logged_in(&site);
    let request = browser.begin(&site.sessions);
    let session = request.load().unwrap();
    // So that each of them would be a change.
    session.push("list", 1).unwrap();
    session.flash("info", "x").unwrap();
    let _headers = request.commit().unwrap();
    for (number, result) in all_changes(&session).into_iter().enumerate() {
        let kind = result.map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::AlreadyCommitted), "the change with the number {number}");
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

/// SES-52: of one that is in its cookie nothing else is known, and a store of epochs has no sessions.
#[test]
fn a_session_that_is_in_its_cookie_is_not_looked_up_by_its_id() {
    let epochs = NamespaceStore::new(Site::new().store).unwrap();
    for sessions in [sealed(&clock(), |b| b), sealed(&clock(), |b| b.with_epochs(epochs))] {
        let mut browser = Browser::new();
        browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
        let id = browser.begin(&sessions).load().unwrap().id().unwrap();
        let error = sessions.get_by_id(&id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("in its cookie"), "{error}");
    }
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
