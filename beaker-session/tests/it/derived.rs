//! What `#[derive(SessionData)]` makes of sessions of other versions of a program.

use std::time::Duration;

use beaker_namespace::Stores;
use beaker_session::{Data, ErrorKind, KeyRing, SecretKey, Session, SessionData, Sessions, Value};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::browser::Browser;
use crate::site::Site;

/// Version 0 had no struct: `name`, `hits` and `theme`.
#[derive(Serialize, Deserialize, Default, SessionData)]
#[serde(default)]
#[session(version = 1)]
struct First {
    name: String,
    #[session(was = "hits", before = 1)]
    views: u32,
    theme: String,
}

#[derive(Serialize, Deserialize, Default, SessionData)]
#[serde(default)]
#[session(version = 2)]
#[session(drop = "theme", before = 2)]
struct Second {
    #[session(was = "name", convert = words, before = 2)]
    names: Vec<String>,
    #[session(was = "hits", before = 1)]
    views: u32,
}

#[derive(Serialize, Deserialize, Default, SessionData, Debug, PartialEq)]
#[serde(default)]
#[session(version = 3, migrate = Self::count)]
#[session(drop = "theme", before = 2)]
struct Third {
    #[session(was = "name", convert = words, before = 2)]
    names: Vec<String>,
    #[session(was = "views", before = 3)]
    #[session(was = "hits", before = 1)]
    pages: u32,
    count: usize,
}

impl Third {
    fn count(from: u32, values: &mut Data) {
        if from == 2 {
            let names = values.get("names").and_then(Value::as_array).map_or(0, Vec::len);
            values.insert("count".to_owned(), names.into());
        }
    }
}

fn words(name: String) -> Vec<String> {
    name.split_whitespace().map(str::to_owned).collect()
}

/// A version of the program: how it stores a name and a number, what it reads of them, how it counts.
struct Program {
    store: fn(&Session, &str, u32),
    read: fn(&Session) -> (Vec<String>, u32),
    view: fn(&Session),
    /// Under which names it has the two.
    names: (&'static str, &'static str),
}

const PROGRAMS: [Program; 4] = [
    Program {
        store: |session, name, hits| {
            session.insert("name", name).unwrap();
            session.insert("hits", hits).unwrap();
            session.insert("theme", "dark").unwrap();
        },
        read: |session| {
            let name = session.get("name").unwrap().unwrap_or_default();
            (words(name), session.get("hits").unwrap().unwrap_or_default())
        },
        view: |session| {
            session.add("hits", 1).unwrap();
        },
        names: ("name", "hits"),
    },
    Program {
        store: |session, name, hits| {
            change(session, |first: &mut First| {
                (first.name, first.views) = (name.to_owned(), hits);
                first.theme.push_str("dark");
            });
        },
        read: |session| {
            let first: First = session.versioned().unwrap();
            (words(first.name), first.views)
        },
        view: |session| change(session, |first: &mut First| first.views += 1),
        names: ("name", "views"),
    },
    Program {
        store: |session, name, hits| {
            change(session, |second: &mut Second| {
                (second.names, second.views) = (words(name.to_owned()), hits);
            });
        },
        read: |session| {
            let second: Second = session.versioned().unwrap();
            (second.names, second.views)
        },
        view: |session| change(session, |second: &mut Second| second.views += 1),
        names: ("names", "views"),
    },
    Program {
        store: |session, name, hits| {
            change(session, |third: &mut Third| {
                (third.names, third.pages) = (words(name.to_owned()), hits);
            });
        },
        read: |session| {
            let third: Third = session.versioned().unwrap();
            (third.names, third.pages)
        },
        view: |session| change(session, |third: &mut Third| third.pages += 1),
        names: ("names", "pages"),
    },
];

fn change<T: SessionData>(session: &Session, change: impl FnOnce(&mut T)) {
    session.modify_versioned(change).unwrap();
}

fn visit<R>(sessions: &Sessions, browser: &mut Browser, work: impl FnOnce(&Session) -> R) -> R {
    browser.visit(sessions, |session| Ok(work(session))).unwrap()
}

/// What a `T` is read as from `stored`, which has no number, and what there is after `then`.
fn migrated<T: SessionData>(stored: Value, then: impl FnOnce(&mut T)) -> (T, Value) {
    let (site, mut browser) = (Site::new(), Browser::new());
    visit(&site.sessions, &mut browser, |session| insert_all(session, &stored));
    let read = visit(&site.sessions, &mut browser, |session| session.versioned::<T>().unwrap());
    assert_eq!(site.sessions.counts().updated, 0, "it was only read");
    visit(&site.sessions, &mut browser, |session| change(session, then));
    (read, visit(&site.sessions, &mut browser, |session| json!(session.data())))
}

fn insert_all(session: &Session, values: &Value) {
    for (name, value) in values.as_object().unwrap() {
        session.insert(name, value).unwrap();
    }
}

#[test]
fn a_session_without_a_number_goes_through_every_step_and_keeps_what_nobody_names() {
    let stored = json!({"name": "ada lovelace", "hits": 41, "theme": "dark", "basket": [7]});
    let (read, stored) = migrated(stored, |third: &mut Third| third.pages += 1);
    let names = vec!["ada".to_owned(), "lovelace".to_owned()];
    assert_eq!(read, Third { names: names.clone(), pages: 41, count: 2 });
    let expected = json!({"_layout": 3, "names": names, "pages": 42, "count": 2, "basket": [7]});
    assert_eq!(stored, expected);
}

#[test]
fn a_step_that_was_made_is_not_made_again() {
    let (site, mut browser) = (Site::new(), Browser::new());
    visit(&site.sessions, &mut browser, |session| {
        (PROGRAMS[1].store)(session, "ada", 41);
        session.insert("hits", "of something else").unwrap();
    });
    visit(&site.sessions, &mut browser, |session| {
        change(session, |third: &mut Third| third.count += 1)
    });
    let stored = visit(&site.sessions, &mut browser, |session| json!(session.data()));
    let expected = json!({"_layout": 3, "names": ["ada"], "pages": 41, "count": 2, "hits": "of something else"});
    assert_eq!(stored, expected);
}

#[test]
fn two_programs_side_by_side_on_one_store_keep_what_they_do_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let key = SecretKey::generate().unwrap().expose_text();
    let program = || {
        let url = format!("file://{}", dir.path().display()).parse().unwrap();
        Sessions::builder()
            .with_namespace(Stores::new().open(&url, "sessions").unwrap())
            .with_keys(KeyRing::new(SecretKey::from_text(&key).unwrap()))
            .with_idle(Some(Duration::from_secs(3_600)))
            .build()
            .unwrap()
    };
    let (old, new, mut browser) = (program(), program(), Browser::new());
    visit(&old, &mut browser, |session| change(session, |first: &mut First| first.views = 41));
    visit(&new, &mut browser, |session| change(session, |third: &mut Third| third.pages += 1));
    visit(&old, &mut browser, |session| {
        assert_eq!(session.versioned::<First>().unwrap().views, 0, "it does not know `pages`");
        change(session, |first: &mut First| first.theme.push_str("dark"));
    });
    let stored = visit(&new, &mut browser, |session| {
        assert_eq!(session.versioned::<Third>().unwrap().pages, 42);
        json!(session.data())
    });
    assert_eq!(stored["_layout"], 3);
    assert_eq!(stored["theme"], "dark");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn what_any_version_stores_any_later_one_reads_and_an_older_one_does_not_disturb(
        name in "[a-z ]{0,12}",
        // What is as its default is no change, and is not stored.
        hits in 1..1_000_u32,
        basket in any::<u8>(),
        (by, reader) in (0..4_usize, 0..4_usize),
    ) {
        let (site, mut browser) = (Site::new(), Browser::new());
        let [writes, reads] = [&PROGRAMS[by], &PROGRAMS[reader]];
        visit(&site.sessions, &mut browser, |session| {
            session.insert("basket", basket).unwrap();
            (writes.store)(session, &name, hits);
        });
        let knows = |has: fn(&Program) -> &str| reader >= by || has(reads) == has(writes);
        let (knows_names, knows_hits) =
            (knows(|program| program.names.0), knows(|program| program.names.1));
        let names = if knows_names { words(name.clone()) } else { Vec::new() };
        let read = visit(&site.sessions, &mut browser, reads.read);
        prop_assert_eq!(read, (names, if knows_hits { hits } else { 0 }));

        visit(&site.sessions, &mut browser, reads.view);
        let newest = visit(&site.sessions, &mut browser, PROGRAMS[3].read);
        prop_assert_eq!(newest, (words(name), hits + u32::from(knows_hits)));
        prop_assert_eq!(browser.sees(&site.sessions, "basket"), Some(json!(basket)));
    }
}

#[test]
fn names_may_change_places() {
    #[derive(Serialize, Deserialize, Default, SessionData)]
    #[session(version = 1)]
    struct Sides {
        #[session(was = "right", before = 1)]
        left: u8,
        #[session(was = "left", before = 1)]
        right: u8,
    }

    let (read, stored) =
        migrated(json!({"left": 1, "right": 2}), |sides: &mut Sides| sides.left = 3);
    assert_eq!((read.left, read.right), (2, 1));
    assert_eq!(stored, json!({"_layout": 1, "left": 3, "right": 1}));
}

#[test]
fn a_dropped_name_may_be_that_of_a_new_field() {
    #[derive(Serialize, Deserialize, Default, SessionData)]
    #[serde(default)]
    #[session(version = 1)]
    #[session(drop = "theme", before = 1)]
    struct Look {
        theme: u8,
        #[session(was = "colour", before = 1)]
        shade: String,
    }

    let old = json!({"theme": "dark", "colour": "red", "shade": "of a lamp"});
    let (read, stored) = migrated(old, |look: &mut Look| look.theme = 5);
    assert_eq!((read.theme, read.shade.as_str()), (0, "red"));
    assert_eq!(stored, json!({"_layout": 1, "theme": 5, "shade": "red"}));
}

#[test]
fn a_field_may_change_its_name_and_its_type_more_than_once() {
    #[derive(Serialize, Deserialize, Default, SessionData)]
    #[session(version = 2)]
    struct Counted {
        #[session(was = "words", convert = |words: Vec<String>| words.len(), before = 2)]
        #[session(was = "name", convert = words, before = 1)]
        count: usize,
    }

    let (read, stored) =
        migrated(json!({"name": "ada lovelace"}), |counted: &mut Counted| counted.count += 1);
    assert_eq!(read.count, 2);
    assert_eq!(stored, json!({"_layout": 2, "count": 3}));
}

#[test]
fn the_type_of_a_field_says_what_its_conversion_gives_unless_serde_stores_it_otherwise() {
    mod text {
        use serde::{Deserialize, Deserializer, Serializer, de::Error};

        pub(super) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
            to.collect_str(number)
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
            String::deserialize(from)?.parse().map_err(D::Error::custom)
        }
    }

    #[derive(Serialize, Deserialize, SessionData)]
    #[session(version = 1)]
    struct Typed {
        #[session(convert = |text: String| text.split('-').map(str::to_owned).collect(), before = 1)]
        parts: Vec<String>,
        #[serde(with = "text")]
        #[session(convert = |number: u64| number.to_string(), before = 1)]
        number: u64,
    }

    let (read, stored) =
        migrated(json!({"parts": "a-b", "number": 7}), |typed: &mut Typed| typed.number += 1);
    assert_eq!((read.parts, read.number), (vec!["a".to_owned(), "b".to_owned()], 7));
    assert_eq!(stored, json!({"_layout": 1, "parts": ["a", "b"], "number": "8"}));
}

#[test]
fn what_cannot_be_converted_stays_and_is_an_error_unless_it_fits() {
    let (site, mut browser) = (Site::new(), Browser::new());
    visit(&site.sessions, &mut browser, |session| session.insert("name", 5).unwrap());
    let refused = visit(&site.sessions, &mut browser, |session| {
        session.modify_versioned(|third: &mut Third| third.names.clear()).unwrap_err()
    });
    assert_eq!(refused.kind(), ErrorKind::Codec);
    let stored = visit(&site.sessions, &mut browser, |session| json!(session.data()));
    assert_eq!(stored, json!({"name": 5}));

    visit(&site.sessions, &mut browser, |session| session.insert("name", ["ada"]).unwrap());
    let read = visit(&site.sessions, &mut browser, |session| session.versioned::<Third>().unwrap());
    assert_eq!(read.names, ["ada"]);
}

#[test]
fn a_field_is_stored_under_the_name_that_serde_gives_it() {
    #[derive(Serialize, Deserialize, Default, SessionData)]
    #[serde(default, rename_all = "camelCase")]
    #[session(version = 1)]
    struct Named {
        #[session(was = "page", before = 1)]
        last_page: u8,
        #[serde(rename = "nick-name")]
        #[session(was = "nick", before = 1)]
        nick: String,
        #[session(was = "kind", before = 1)]
        r#type: u8,
        #[serde(skip)]
        _unstored: u8,
        #[serde(flatten)]
        more: More,
    }

    #[derive(Serialize, Deserialize, Default)]
    #[serde(default)]
    struct More {
        basket: u8,
    }

    let old = json!({"page": 1, "nick": "ada", "kind": 2, "basket": 3});
    let (read, stored) = migrated(old, |named: &mut Named| named.last_page = 4);
    assert_eq!((read.last_page, read.nick.as_str(), read.r#type), (1, "ada", 2));
    assert_eq!(read.more.basket, 3);
    let expected = json!({"_layout": 1, "lastPage": 4, "nick-name": "ada", "type": 2, "basket": 3});
    assert_eq!(stored, expected);
}

#[test]
fn the_function_for_the_rest_sees_each_step_as_the_attributes_left_it() {
    #[derive(Serialize, Deserialize, Default, SessionData)]
    #[session(version = 3)]
    #[session(migrate = |from, values| {
        let seen = values.keys().cloned().collect::<String>();
        values.insert(format!("seen {from}"), json!([seen, values.get("c")]));
    })]
    #[session(drop = "x", before = 2)]
    struct Watched {
        #[session(was = "a", before = 1)]
        #[session(was = "b", convert = |digits: String| digits.len(), before = 2)]
        c: usize,
    }

    let (_, stored) = migrated(json!({"a": "123", "x": 0}), |watched: &mut Watched| watched.c += 1);
    assert_eq!(stored["seen 0"], json!(["bx", null]));
    assert_eq!(stored["seen 1"], json!(["cseen 0", 3]));
    assert_eq!(stored["seen 2"], json!(["cseen 0seen 1", 3]));
    assert_eq!((&stored["c"], &stored["seen 3"]), (&json!(4), &Value::Null));
}

#[test]
fn a_struct_may_have_type_parameters() {
    #[derive(Serialize, Deserialize, SessionData)]
    #[session(version = 1)]
    struct Held<T, const N: usize>
    where
        T: Clone,
    {
        #[session(was = "old", before = 1)]
        value: Option<T>,
    }

    let (read, stored) = migrated(json!({"old": 7}), |held: &mut Held<u8, 3>| held.value = None);
    assert_eq!(read.value, Some(7));
    assert_eq!(stored, json!({"_layout": 1, "value": null}));
}

#[test]
fn a_layout_that_never_changed_needs_its_number_alone() {
    #[derive(Serialize, Deserialize, Default, SessionData)]
    #[serde(default)]
    #[session(version = 4)]
    struct Plain {
        count: u8,
    }

    let (read, stored) = migrated(json!({"other": 1}), |plain: &mut Plain| plain.count += 1);
    assert_eq!(read.count, 0);
    assert_eq!(stored, json!({"_layout": 4, "count": 1, "other": 1}));
}

#[test]
fn a_panic_of_a_conversion_changes_nothing() {
    #[derive(Serialize, Deserialize, Default, SessionData)]
    #[session(version = 1)]
    struct Failing {
        #[session(was = "old", convert = |_: u8| panic!("boom"), before = 1)]
        new: u8,
    }

    let (site, mut browser) = (Site::new(), Browser::new());
    visit(&site.sessions, &mut browser, |session| session.insert("old", 1).unwrap());
    visit(&site.sessions, &mut browser, |session| {
        let change = || session.modify_versioned(|failing: &mut Failing| failing.new = 2);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(change)).is_err());
        assert_eq!(json!(session.data()), json!({"old": 1}));
    });
    assert_eq!(site.sessions.counts().updated, 0);
}

#[test]
fn a_name_may_be_had_by_one_field_after_another() {
    #[derive(Serialize, Deserialize, Default, SessionData)]
    #[serde(default)]
    #[session(version = 4)]
    #[session(drop = "c", before = 2)]
    struct Moved {
        #[session(was = "a", before = 2)]
        #[session(was = "b", before = 3)]
        c: u8,
        /// Came with version 3, as `b`.
        #[session(was = "b", before = 4)]
        d: u8,
        a: u8,
    }

    let (read, stored) = migrated(json!({"a": 1, "c": 2}), |moved: &mut Moved| moved.a = 3);
    assert_eq!((read.c, read.d, read.a), (1, 0, 0));
    assert_eq!(stored, json!({"_layout": 4, "c": 1, "a": 3}));
}
