//! Older programs that store a session while a newer one migrates it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use beaker_namespace::testkit::Fault;
use beaker_namespace::{ErrorKind as Store, Stores};
use beaker_session::{
    Builder, CorruptPolicy, Data, Error, ErrorKind, MergePolicy, Rescued, Session, SessionData,
    Sessions, Value,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::browser::Browser;
use crate::site::{Site, clock, in_memory, ring};

/// Version 0 called `pages` `hits`. Until version 1 `tags` was one text, and there was a `theme`.
#[derive(Serialize, Deserialize, Default, Debug, PartialEq)]
#[serde(default)]
struct Visits {
    pages: u32,
    tags: Vec<String>,
    other: u32,
}

impl SessionData for Visits {
    const VERSION: u32 = 2;

    fn migrate(from: u32, values: &mut Data) {
        match from {
            0 => {
                if let Some(hits) = values.remove("hits") {
                    assert_ne!(hits, 13, "boom");
                    values.insert("pages".to_owned(), hits);
                }
            }
            _ => {
                values.remove("theme");
                let tags = values.get("tags").and_then(Value::as_str).map(words);
                values.extend(tags.map(|tags| ("tags".to_owned(), tags)));
            }
        }
    }
}

fn words(text: &str) -> Value {
    text.split(' ').collect()
}

pub(crate) fn changes_other(session: &Session) {
    session.modify_versioned(|visits: &mut Visits| visits.other += 1).unwrap();
}

/// What the older program does in a request.
pub(crate) fn views(session: &Session) -> Result<(), Error> {
    session.add("hits", 1)?;
    session.insert("tags", "c d")?;
    session.insert("theme", session.get::<u32>("hits")?)
}

/// The browser of a session that the older program has stored.
pub(crate) fn begin(sessions: &Sessions) -> Browser {
    let mut browser = Browser::new();
    let inserts = |session: &Session| {
        session.insert("hits", 5)?;
        session.insert("tags", "a b")?;
        session.insert("theme", "dark")
    };
    browser.visit(sessions, inserts).unwrap();
    browser
}

pub(crate) fn data(sessions: &Sessions, browser: &mut Browser) -> Value {
    browser.visit(sessions, |session| Ok(json!(session.data()))).unwrap()
}

/// What is left where `newer` works upon what it has loaded, and the older program stores ten times before it
/// saves.
fn left_by(sessions: &Sessions, newer: impl FnOnce(&Session)) -> Value {
    let mut browser = begin(sessions);
    let request = browser.begin(sessions);
    newer(&request.load().unwrap());
    for _ in 0..10 {
        browser.visit(sessions, views).unwrap();
    }
    browser.receive(&request.commit().unwrap());
    data(sessions, &mut browser)
}

/// In memory, there behind a store that is asked, and in files.
fn each_store(settings: fn(Builder) -> Builder, test: impl Fn(&Sessions)) {
    test(&in_memory(&clock(), settings));
    test(&Site::with(settings).sessions);
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display()).parse().unwrap();
    let files = Stores::new().open(&url, "sessions").unwrap();
    test(&settings(Sessions::builder().with_namespace(files).with_keys(ring(1))).build().unwrap());
}

#[test]
fn what_an_older_program_stores_before_the_save_is_migrated() {
    each_store(
        |builder| builder,
        |sessions| {
            let expected = json!({"_layout": 2, "other": 1, "pages": 15, "tags": ["c", "d"]});
            assert_eq!(left_by(sessions, changes_other), expected);
        },
    );
}

#[test]
fn what_was_changed_itself_is_as_it_was_changed() {
    each_store(
        |builder| builder,
        |sessions| {
            let left = left_by(sessions, |session| {
                let change = |visits: &mut Visits| visits.tags.push("e".to_owned());
                session.modify_versioned(change).unwrap();
                session.add("pages", 100).unwrap();
                changes_other(session);
                changes_other(session);
            });
            let expected = json!({"_layout": 2, "other": 2, "pages": 115, "tags": ["a", "b", "e"]});
            assert_eq!(left, expected);
        },
    );
}

#[test]
fn a_renewal_migrates_what_is_there_then() {
    each_store(
        |builder| builder,
        |sessions| {
            let left = left_by(sessions, |session| {
                changes_other(session);
                session.renew().unwrap();
            });
            let expected = json!({"_layout": 2, "other": 1, "pages": 15, "tags": ["c", "d"]});
            assert_eq!(left, expected);
        },
    );
}

#[test]
fn where_the_last_writer_wins_it_does_with_what_it_migrated() {
    each_store(
        |builder| builder.with_merge(MergePolicy::LastWriterWins),
        |sessions| {
            let expected = json!({"_layout": 2, "other": 1, "pages": 5, "tags": ["a", "b"]});
            assert_eq!(left_by(sessions, changes_other), expected);
        },
    );
}

#[test]
fn where_conflicts_fail_what_the_older_stored_stays_and_the_change_is_kept() {
    each_store(
        |builder| builder.with_merge(MergePolicy::Fail),
        |sessions| {
            let mut browser = begin(sessions);
            let session = browser.begin(sessions).load().unwrap();
            changes_other(&session);
            browser.visit(sessions, views).unwrap();
            assert_eq!(session.save().unwrap_err().kind(), ErrorKind::Conflict);
            assert_eq!(session.get::<u32>("other").unwrap(), Some(1));
            let expected = json!({"hits": 6, "tags": "c d", "theme": 6});
            assert_eq!(data(sessions, &mut browser), expected);
        },
    );
}

#[test]
fn a_panic_of_a_migration_in_a_save_loses_nothing() {
    each_store(
        |builder| builder,
        |sessions| {
            let mut browser = begin(sessions);
            let session = browser.begin(sessions).load().unwrap();
            changes_other(&session);
            browser.visit(sessions, |session| session.insert("hits", 13)).unwrap();
            assert!(catch_unwind(AssertUnwindSafe(|| session.save())).is_err());
            assert_eq!(session.versioned::<Visits>().unwrap().other, 1);
            assert_eq!(data(sessions, &mut browser)["hits"], 13, "nothing was stored");
            browser.visit(sessions, |session| session.insert("hits", 14)).unwrap();
            session.save().unwrap();
            let expected = json!({"_layout": 2, "other": 1, "pages": 14, "tags": ["a", "b"]});
            assert_eq!(data(sessions, &mut browser), expected);
        },
    );
}

#[test]
fn what_turns_out_not_to_be_damaged_is_migrated_in_place_of_what_was_rescued() {
    let rescue = || Rescued::Values(Data::from([("hits".to_owned(), 1.into())]));
    let site = Site::with(|b| b.with_corrupt(CorruptPolicy::custom(move |_, _| rescue())));
    let mut browser = begin(&site.sessions);
    site.store.arm(1, Fault::Fail(Store::Corrupt));
    browser
        .visit(&site.sessions, |session| {
            changes_other(session);
            assert_eq!(session.versioned::<Visits>()?, Visits { pages: 1, tags: vec![], other: 1 });
            Ok(())
        })
        .unwrap();
    let expected = json!({"_layout": 2, "other": 1, "pages": 5, "tags": ["a", "b"]});
    assert_eq!(data(&site.sessions, &mut browser), expected);
}

#[test]
fn what_a_request_changes_before_it_migrates_is_migrated_and_all_is_reverted_and_cleared() {
    let sessions = in_memory(&clock(), |builder| builder);
    let mut browser = begin(&sessions);
    let stored = data(&sessions, &mut browser);
    let session = browser.begin(&sessions).load().unwrap();
    session.add("hits", 2).unwrap();
    changes_other(&session);
    let expected = json!({"_layout": 2, "other": 1, "pages": 7, "tags": ["a", "b"]});
    assert_eq!(json!(session.data()), expected);
    assert_eq!((session.get::<u32>("pages").unwrap(), session.contains("hits")), (Some(7), false));
    session.revert().unwrap();
    assert_eq!(json!(session.data()), stored);

    session.add("hits", 2).unwrap();
    changes_other(&session);
    browser.visit(&sessions, views).unwrap();
    session.save().unwrap();
    let expected = json!({"_layout": 2, "other": 1, "pages": 8, "tags": ["c", "d"]});
    assert_eq!(data(&sessions, &mut browser), expected);

    let mut browser = begin(&sessions);
    let cleared = |session: &Session| {
        session.add("hits", 2)?;
        changes_other(session);
        session.clear()
    };
    browser.visit(&sessions, cleared).unwrap();
    assert_eq!(data(&sessions, &mut browser), json!({}));
}

#[test]
fn a_new_session_in_which_nothing_is_left_of_what_was_migrated_is_not_stored() {
    let sessions = in_memory(&clock(), |builder| builder);
    let migrates = |session: &Session| {
        session.insert("hits", 5)?;
        changes_other(session);
        session.remove::<u32>("other")
    };
    let mut browser = Browser::new();
    browser
        .visit(&sessions, |session| {
            migrates(session)?;
            session.clear()
        })
        .unwrap();
    browser
        .visit(&sessions, |session| {
            migrates(session)?;
            session.remove::<u32>("pages")
        })
        .unwrap();
    assert!(browser.is_empty());
    browser.visit(&sessions, migrates).unwrap();
    assert_eq!(data(&sessions, &mut browser), json!({"_layout": 2, "pages": 5}));
}

static STEPS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// Its migration looks into the session, as what a program calls may.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Looking {
    count: u32,
}

impl SessionData for Looking {
    const VERSION: u32 = 1;

    fn migrate(_: u32, values: &mut Data) {
        STEPS.fetch_add(1, Ordering::Relaxed);
        let session = SESSION.with_borrow(Clone::clone);
        values.insert("seen".to_owned(), json!(session.map(|session| session.keys())));
    }
}

fn looks_into_its_session(sessions: &Sessions) -> u32 {
    let mut browser = begin(sessions);
    let session = browser.begin(sessions).load().unwrap();
    SESSION.set(Some(session.clone()));
    let before = STEPS.load(Ordering::Relaxed);
    session.modify_versioned(|looking: &mut Looking| looking.count += 1).unwrap();
    assert_eq!(session.keys(), ["_layout", "count", "hits", "seen", "tags", "theme"]);
    browser.visit(sessions, |session| session.insert("hits", 6)).unwrap();
    session.save().unwrap();
    assert_eq!(session.get::<u32>("hits").unwrap(), Some(6));
    STEPS.load(Ordering::Relaxed) - before
}

#[test]
fn a_migration_is_called_under_no_lock_once_for_what_was_loaded_and_once_for_what_was_met() {
    let (done, steps) = mpsc::channel();
    std::thread::spawn(move || {
        for sessions in [in_memory(&clock(), |builder| builder), Site::new().sessions] {
            done.send(looks_into_its_session(&sessions)).unwrap();
        }
    });
    for _ in 0..2 {
        assert_eq!(steps.recv_timeout(Duration::from_secs(20)), Ok(2), "or it waits for itself");
    }
}
