//! A session whose layout changes from one version of a program to the next.

use beaker_session::{Data, ErrorKind, Session, SessionData, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::browser::Browser;
use crate::site::Site;

/// Version 0 kept `name`, version 1 `names`.
#[derive(Serialize, Deserialize, Default, Debug, PartialEq)]
#[serde(default)]
struct First {
    names: Vec<String>,
}

impl SessionData for First {
    const VERSION: u32 = 1;

    fn migrate(from: u32, values: &mut Data) {
        assert_eq!(from, 0);
        if let Some(name) = values.remove("name") {
            values.insert("names".to_owned(), json!([name]));
        }
    }
}

/// Version 2 counts beside it.
#[derive(Serialize, Deserialize, Default, Debug, PartialEq)]
#[serde(default)]
struct Second {
    names: Vec<String>,
    count: usize,
}

impl SessionData for Second {
    const VERSION: u32 = 2;

    fn migrate(from: u32, values: &mut Data) {
        if from == 0 {
            return First::migrate(0, values);
        }
        assert_eq!(from, 1);
        let names = values.get("names").and_then(Value::as_array).map_or(0, Vec::len);
        values.insert("count".to_owned(), names.into());
    }
}

fn visit<R>(
    site: &Site,
    browser: &mut Browser,
    work: impl FnOnce(&Session) -> Result<R, beaker_session::Error>,
) -> R {
    browser.visit(&site.sessions, work).unwrap()
}

fn data(site: &Site, browser: &mut Browser) -> Value {
    visit(site, browser, |session| Ok(json!(session.data())))
}

#[test]
fn an_older_session_is_read_as_the_newest_and_stored_as_that_with_the_first_change() {
    let (site, mut browser) = (Site::new(), Browser::new());
    visit(&site, &mut browser, |session| {
        session.insert("name", "ada")?;
        session.insert("other", true)
    });
    let read = visit(&site, &mut browser, |session| session.versioned::<Second>());
    assert_eq!(read, Second { names: vec!["ada".to_owned()], count: 1 });
    visit(&site, &mut browser, |session| session.modify_versioned(|_: &mut Second| ()));
    assert_eq!(data(&site, &mut browser), json!({"name": "ada", "other": true}), "as it was");
    assert_eq!(site.sessions.counts().updated, 0);
    visit(&site, &mut browser, |session| {
        session.modify_versioned(|second: &mut Second| {
            second.names.push("grace".to_owned());
            second.count += 1;
        })
    });
    let expected = json!({"_layout": 2, "count": 2, "names": ["ada", "grace"], "other": true});
    assert_eq!(data(&site, &mut browser), expected);
    assert_eq!(visit(&site, &mut browser, |session| session.versioned::<Second>()).count, 2);
}

#[test]
fn a_new_session_is_of_the_newest_layout_and_a_visit_stores_nothing() {
    /// Has never had another layout.
    #[derive(Serialize, Deserialize, Default)]
    #[serde(default)]
    struct Only {
        count: u32,
    }

    impl SessionData for Only {
        const VERSION: u32 = 3;

        fn migrate(from: u32, _: &mut Data) {
            panic!("there was no version {from}");
        }
    }

    let (site, mut browser) = (Site::new(), Browser::new());
    assert_eq!(visit(&site, &mut browser, |session| session.versioned::<Only>()).count, 0);
    assert_eq!((site.entries(), browser.is_empty()), (0, true));
    for count in 1..=2 {
        let counted = visit(&site, &mut browser, |session| {
            session.modify_versioned(|only: &mut Only| {
                only.count += 1;
                only.count
            })
        });
        assert_eq!(counted, count);
    }
    assert_eq!(data(&site, &mut browser), json!({"_layout": 3, "count": 2}));
}

#[test]
fn an_older_program_changes_what_it_knows_and_leaves_the_rest_and_the_number() {
    let (site, mut browser) = (Site::new(), Browser::new());
    visit(&site, &mut browser, |session| {
        session.modify_versioned(|second: &mut Second| second.count = 7)
    });
    visit(&site, &mut browser, |session| {
        session.modify_versioned(|first: &mut First| first.names.push("ada".to_owned()))
    });
    let expected = json!({"_layout": 2, "count": 7, "names": ["ada"]});
    assert_eq!(data(&site, &mut browser), expected);
}

#[test]
fn two_requests_that_migrate_one_session_do_not_disturb_each_other() {
    let (site, mut browser) = (Site::new(), Browser::new());
    visit(&site, &mut browser, |session| session.insert("name", "ada"));
    let [one, other] = [(); 2].map(|()| browser.begin(&site.sessions));
    let second = other.load().unwrap();
    one.load()
        .unwrap()
        .modify_versioned(|second: &mut Second| second.names.push("grace".to_owned()))
        .unwrap();
    second.modify_versioned(|second: &mut Second| second.count = 5).unwrap();
    let _headers = (one.commit().unwrap(), other.commit().unwrap());
    let seen = visit(&site, &mut browser, |session| session.versioned::<Second>());
    assert_eq!(seen, Second { names: vec!["ada".to_owned(), "grace".to_owned()], count: 5 });
    assert!(!visit(&site, &mut browser, |session| Ok(session.contains("name"))));
    assert_eq!(site.sessions.counts().merges, 1);
}

/// Version 0 called `pages` `hits`.
#[derive(Serialize, Deserialize, Default, Debug, PartialEq)]
#[serde(default)]
struct Visits {
    pages: u32,
    name: String,
}

impl SessionData for Visits {
    const VERSION: u32 = 1;

    fn migrate(_: u32, values: &mut Data) {
        if let Some(hits) = values.remove("hits") {
            values.insert("pages".to_owned(), hits);
        }
    }
}

/// What `works` leave of a session of version 0: all load it, and save it in that order.
fn left_by(works: &[&dyn Fn(&Session)]) -> Value {
    let (site, mut browser) = (Site::new(), Browser::new());
    visit(&site, &mut browser, |session| session.insert("hits", 41));
    let loaded = works.iter().map(|work| {
        let request = browser.begin(&site.sessions);
        let session = request.load().unwrap();
        (request, session, work)
    });
    for (request, session, work) in loaded.collect::<Vec<_>>() {
        work(&session);
        let _headers = request.commit().unwrap();
    }
    data(&site, &mut browser)
}

fn views_a_page(session: &Session) {
    session.modify_versioned(|visits: &mut Visits| visits.pages += 1).unwrap();
}

fn gives_a_name(session: &Session) {
    session.modify_versioned(|visits: &mut Visits| visits.name.push_str("ada")).unwrap();
}

#[test]
fn what_was_only_migrated_puts_back_nothing_that_another_has_changed() {
    let expected = json!({"_layout": 1, "name": "ada", "pages": 42});
    assert_eq!(left_by(&[&views_a_page, &gives_a_name]), expected);
    assert_eq!(left_by(&[&gives_a_name, &views_a_page]), expected);
    let counts = |session: &Session| session.insert("clicks", 1).unwrap();
    let expected = json!({"_layout": 1, "clicks": 1, "name": "ada", "pages": 41});
    assert_eq!(left_by(&[&counts, &gives_a_name]), expected, "that was no migration");
}

#[test]
fn what_was_migrated_and_then_changed_is_as_it_was_changed() {
    let sets = |session: &Session| {
        gives_a_name(session);
        session.insert("pages", 7).unwrap();
    };
    let expected = json!({"_layout": 1, "name": "ada", "pages": 7});
    assert_eq!(left_by(&[&views_a_page, &sets]), expected);
}

#[test]
fn what_fits_no_layout_is_an_error_and_stays() {
    let (site, mut browser) = (Site::new(), Browser::new());
    visit(&site, &mut browser, |session| session.insert("names", 5));
    let refused = browser
        .visit(&site.sessions, |session| {
            session.modify_versioned(|first: &mut First| first.names.clear())
        })
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Codec);
    assert_eq!(data(&site, &mut browser), json!({"names": 5}));
}

/// Has what other parts of the program keep, too.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct All {
    pages: u32,
    #[serde(flatten)]
    rest: Data,
}

impl SessionData for All {
    const VERSION: u32 = 1;

    fn migrate(from: u32, values: &mut Data) {
        assert!(from == 0 && values.keys().all(|name| !name.starts_with('_')), "{values:?}");
        let pages = values.get("pages").and_then(Value::as_u64).unwrap_or(0);
        values.clear();
        values.insert("pages".to_owned(), (pages + 100).into());
        values.insert("_flash".to_owned(), "not the program's".into());
    }
}

#[test]
fn a_flattened_map_has_no_reserved_name_and_cannot_take_the_number_out() {
    let (site, mut browser) = (Site::new(), Browser::new());
    let token = visit(&site, &mut browser, |session| {
        session.insert("pages", 1)?;
        session.csrf_token()?;
        session.get::<Value>("_csrf")
    });
    visit(&site, &mut browser, |session| {
        session.modify_versioned(|all: &mut All| {
            assert_eq!(all.rest, Data::new());
            all.rest.insert("basket".to_owned(), 7.into());
        })
    });
    for _ in 0..2 {
        visit(&site, &mut browser, |session| {
            session.modify_versioned(|all: &mut All| {
                all.rest.clear();
                all.pages += 1;
            })
        });
    }
    let left = data(&site, &mut browser);
    assert_eq!((&left["_layout"], &left["pages"]), (&json!(1), &json!(103)), "migrated once");
    assert_eq!((&left["basket"], &left["_flash"]), (&Value::Null, &Value::Null));
    assert_eq!(left.get("_csrf"), token.as_ref());

    visit(&site, &mut browser, |session| session.modify(|all: &mut All| all.rest.clear()));
    assert_eq!(data(&site, &mut browser), left);
    assert_eq!(visit(&site, &mut browser, |session| session.typed::<All>()).rest, Data::new());
}

/// Refuses what it does not know.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Strict {
    pages: u32,
}

impl SessionData for Strict {
    const VERSION: u32 = 1;

    fn migrate(_: u32, _: &mut Data) {}
}

#[test]
fn a_struct_that_denies_unknown_fields_is_read_beside_reserved_names() {
    let (site, mut browser) = (Site::new(), Browser::new());
    for pages in 1..=2 {
        visit(&site, &mut browser, |session| {
            session.csrf_token()?;
            session.modify_versioned(|strict: &mut Strict| strict.pages += 1)
        });
        let read = |session: &Session| Ok((session.versioned()?, session.typed()?));
        let (one, other): (Strict, Strict) = visit(&site, &mut browser, read);
        assert_eq!((one.pages, other.pages), (pages, pages));
    }
    visit(&site, &mut browser, |session| session.modify(|strict: &mut Strict| strict.pages = 9));
    assert_eq!(data(&site, &mut browser)["pages"], 9);
}

#[test]
fn a_struct_that_writes_a_reserved_name_is_refused() {
    #[derive(Serialize, Deserialize, Default)]
    #[serde(default)]
    struct Reserved {
        _layout: u32,
    }

    let (site, mut browser) = (Site::new(), Browser::new());
    visit(&site, &mut browser, |session| {
        let refused = session.modify(|reserved: &mut Reserved| reserved._layout = 1);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Codec);
        let into_a_map = |all: &mut All| drop(all.rest.insert("_csrf".to_owned(), 1.into()));
        assert_eq!(session.modify(into_a_map).unwrap_err().kind(), ErrorKind::Codec);
        assert_eq!(session.modify_versioned(into_a_map).unwrap_err().kind(), ErrorKind::Codec);
        assert!(session.is_empty());
        Ok(())
    });
}
