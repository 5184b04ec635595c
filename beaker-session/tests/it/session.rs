//! What a handler does with its session.

use std::collections::BTreeMap;
use std::time::Duration;

use beaker_namespace::{Clock, Namespace, Scan, Timestamp};
use beaker_session::{AccessPolicy, Builder, ErrorKind, Flash, Session};
use serde::{Deserialize, Serialize};

use crate::browser::Browser;
use crate::site::{HOUR, Site, clock, in_memory, sealed};

fn new_session(site: &Site) -> Session {
    site.sessions.begin([]).load().unwrap()
}

#[test]
fn values_of_any_serde_type_are_read_back() {
    let site = Site::new();
    let mut browser = Browser::new();
    let map = BTreeMap::from([("a".to_owned(), vec![1.5, 2.0]), ("b".to_owned(), vec![])]);
    browser.visit(&site.sessions, |session| session.insert("map", &map)).unwrap();
    let request = browser.begin(&site.sessions);
    let session = request.load().unwrap();
    assert_eq!(session.get::<BTreeMap<String, Vec<f64>>>("map").unwrap(), Some(map));
    assert_eq!(session.get::<u32>("absent").unwrap(), None);
    assert_eq!(session.keys(), ["map"]);
    assert!(session.contains("map") && !session.contains("absent"));
}

#[test]
fn a_value_of_another_type_is_an_error_and_stays() {
    let site = Site::new();
    let session = new_session(&site);
    session.insert("name", "Ada").unwrap();
    assert_eq!(session.get::<u32>("name").unwrap_err().kind(), ErrorKind::Codec);
    assert_eq!(session.remove::<u32>("name").unwrap_err().kind(), ErrorKind::Codec);
    assert_eq!(session.remove::<String>("name").unwrap().as_deref(), Some("Ada"));
    assert_eq!(session.get::<String>("name").unwrap(), None);
}

/// A peer turns what cannot be encoded into an empty text.
#[test]
fn a_value_that_cannot_be_encoded_is_an_error() {
    let site = Site::new();
    let session = new_session(&site);
    let keys = BTreeMap::from([(vec![1], 1)]);
    assert_eq!(session.insert("bad", keys).unwrap_err().kind(), ErrorKind::Codec);
    assert!(session.is_empty());
}

/// Table row 6
#[test]
fn revert_goes_back_to_what_was_loaded() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("a", 1)).unwrap();
    browser
        .visit(&site.sessions, |session| {
            session.insert("a", 2)?;
            session.insert("b", 2)?;
            session.delete()?;
            Ok(())
        })
        .unwrap();
    assert_eq!(browser.sees(&site.sessions, "a"), None);

    browser.visit(&site.sessions, |session| session.insert("a", 1)).unwrap();
    browser
        .visit(&site.sessions, |session| {
            session.clear()?;
            session.insert("b", 2)?;
            session.revert()?;
            assert_eq!(session.keys(), ["a"]);
            Ok(())
        })
        .unwrap();
    assert_eq!(browser.sees(&site.sessions, "a"), Some(1.into()));
}

/// Table row 8; in Beaker the old record stays readable under the old id.
#[test]
fn invalidate_ends_the_session_and_goes_on_with_a_fresh_one() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("user", "ada")).unwrap();
    let old = browser.clone();
    browser
        .visit(&site.sessions, |session| {
            session.invalidate()?;
            assert!(session.is_empty());
            session.flash("info", "You are logged out.")
        })
        .unwrap();
    assert_ne!(browser.header(), old.header());
    assert_eq!((browser.received.len(), site.entries()), (1, 1));
    assert_eq!(old.sees(&site.sessions, "user"), None);
    let flashes = browser.visit(&site.sessions, |session| session.take_flashes()).unwrap();
    assert_eq!(flashes.len(), 1);

    browser.visit(&site.sessions, |session| session.invalidate()).unwrap();
    assert!(browser.is_empty(), "a fresh session without values needs no cookie");
    assert_eq!(site.entries(), 0);
}

/// Table row 9; Beaker writes an empty record back.
#[test]
fn delete_leaves_neither_record_nor_cookie() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("user", "ada")).unwrap();
    browser
        .visit(&site.sessions, |session| {
            session.delete()?;
            assert_eq!(session.insert("a", 1).unwrap_err().kind(), ErrorKind::Ended);
            Ok(())
        })
        .unwrap();
    assert!(browser.is_empty());
    assert_eq!(site.entries(), 0);
}

/// Table row 7; in Beaker the old id stays good, and unsaved changes are lost.
#[test]
fn renew_keeps_what_was_there_and_what_was_changed() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("cart", "pear")).unwrap();
    let created = browser.begin(&site.sessions).load().unwrap().created();
    site.clock.advance(HOUR / 2);
    browser
        .visit(&site.sessions, |session| {
            session.insert("user", "ada")?;
            session.renew()?;
            session.add("logins", 1).map(drop)
        })
        .unwrap();
    let session = browser.begin(&site.sessions).load().unwrap();
    assert_eq!(session.keys(), ["cart", "logins", "user"]);
    assert_eq!(session.created(), created);
}

#[test]
fn a_mid_request_save_is_there_for_others_at_once() {
    let site = Site::new();
    let browser = Browser::new();
    let request = browser.begin(&site.sessions);
    let session = request.load().unwrap();
    session.insert("a", 1).unwrap();
    assert!(session.is_new() && session.id().is_none());
    session.save().unwrap();
    let id = session.id().unwrap();
    let other = site.sessions.get_by_id(&id).unwrap().unwrap();
    assert_eq!(other.get::<u32>("a").unwrap(), Some(1));
    session.insert("b", 2).unwrap();
    assert_eq!(request.commit().unwrap().set_cookies().len(), 1);
    let other = site.sessions.get_by_id(&id).unwrap().unwrap();
    assert_eq!(other.keys(), ["a", "b"]);
}

/// Section 5, 1: counters, lists and sets get the changes of both.
#[test]
fn two_requests_at_once_both_count_push_and_join() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser
        .visit(&site.sessions, |session| {
            session.join("seen", 1)?;
            session.push("log", "start")
        })
        .unwrap();
    let [one, two] = [browser.begin(&site.sessions), browser.begin(&site.sessions)];
    for (request, number) in [(&one, 2), (&two, 3)] {
        let session = request.load().unwrap();
        assert_eq!(session.add("clicks", number).unwrap(), number);
        session.push("log", number).unwrap();
        assert!(session.join("seen", number).unwrap());
        assert!(!session.join("seen", 1).unwrap());
        session.insert("last", number).unwrap();
    }
    two.load().unwrap().leave("seen", 1).unwrap();
    let _one = one.commit().unwrap();
    let _two = two.commit().unwrap();
    assert_eq!(site.sessions.counts().conflicts, 1);
    let sees = |key| browser.sees(&site.sessions, key).unwrap();
    assert_eq!(sees("clicks"), 5);
    assert_eq!(sees("log"), serde_json::json!(["start", 2, 3]));
    assert_eq!(sees("seen"), serde_json::json!([2, 3]));
    assert_eq!(sees("last"), 3, "of what both put in, the later stays");
}

#[test]
fn messages_are_shown_once_and_do_not_pile_up() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser
        .visit(&site.sessions, |session| {
            (0..40).try_for_each(|n| session.flash("info", &n.to_string()))
        })
        .unwrap();
    let waiting = browser.begin(&site.sessions).load().unwrap().flashes().unwrap();
    assert_eq!((waiting.len(), waiting[0].text.as_str()), (32, "8"));
    let taken = browser.visit(&site.sessions, |session| session.take_flashes()).unwrap();
    assert_eq!(taken[31], Flash { level: "info".to_owned(), text: "39".to_owned() });
    let left = browser.visit(&site.sessions, |session| session.take_flashes()).unwrap();
    assert_eq!(left, []);
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Visit {
    pages: u32,
    name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

/// Section 5, 2
#[test]
fn a_struct_is_a_session_whose_fields_merge_and_whose_strangers_stay() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser
        .visit(&site.sessions, |session| {
            session.insert("of a newer version", true)?;
            session.modify(|visit: &mut Visit| visit.tags.push("a".to_owned()))
        })
        .unwrap();
    let [one, two] = [browser.begin(&site.sessions), browser.begin(&site.sessions)];
    one.load().unwrap().modify(|visit: &mut Visit| visit.pages += 1).unwrap();
    two.load()
        .unwrap()
        .modify(|visit: &mut Visit| {
            visit.name = Some("Ada".to_owned());
            visit.tags.clear();
        })
        .unwrap();
    let _one = one.commit().unwrap();
    let _two = two.commit().unwrap();
    let session = browser.begin(&site.sessions).load().unwrap();
    let expected = Visit { pages: 1, name: Some("Ada".to_owned()), tags: Vec::new() };
    assert_eq!(session.typed::<Visit>().unwrap(), expected);
    assert_eq!(session.get::<bool>("of a newer version").unwrap(), Some(true));
}

/// Table row 16
#[test]
fn a_session_s_own_limits_hold_in_later_requests_too() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser
        .visit(&site.sessions, |session| {
            session.insert("a", 1)?;
            session.set_limits(Some(3 * HOUR), Some(4 * HOUR))
        })
        .unwrap();
    site.clock.advance(2 * HOUR);
    browser.visit(&site.sessions, |session| session.insert("a", 2)).unwrap();
    site.clock.advance(2 * HOUR - HOUR / 60);
    assert_eq!(browser.sees(&site.sessions, "a"), Some(2.into()));
    site.clock.advance(HOUR / 60);
    assert_eq!(browser.sees(&site.sessions, "a"), None, "the absolute limit is the first one's");
}

/// A browser says itself what it is called, and an attacker's says it at length.
#[test]
fn a_label_of_any_length_is_cut_and_the_login_goes_on() {
    let long = "ü".repeat(1 << 19);
    let site = Site::new();
    for sessions in [site.sessions.clone(), in_memory(&clock(), |b| b), sealed(&clock(), |b| b)] {
        let mut browser = Browser::new();
        browser.visit(&sessions, |session| session.set_subject("ada", Some(&long))).unwrap();
        assert!(browser.header().len() < 1_500, "{} bytes", browser.header().len());
        let session = browser.begin(&sessions).load().unwrap();
        assert_eq!(session.subject().as_deref(), Some("ada"));
        // The same one again is no change.
        let before = sessions.counts().updated;
        browser.visit(&sessions, |session| session.set_subject("ada", Some(&long))).unwrap();
        assert_eq!((sessions.counts().updated, browser.received.len()), (before, 0));
    }
    let label = site.sessions.devices("ada").unwrap().remove(0).label.unwrap();
    assert_eq!((label.len(), Session::MAX_LABEL_BYTES), (256, 256));
    let mut browser = Browser::new();
    let odd = format!("x{long}");
    browser.visit(&site.sessions, |session| session.set_subject("grace", Some(&odd))).unwrap();
    let label = site.sessions.devices("grace").unwrap().remove(0).label.unwrap();
    assert_eq!(label, format!("x{}", "ü".repeat(127)), "no character is cut in two");
}

#[test]
fn what_a_session_has_of_its_own_counts_in_its_size() {
    let small = |builder: Builder| builder.with_max_bytes(200);
    let site = Site::with(small);
    let stores = [(site.sessions.clone(), true), (in_memory(&clock(), small), true)];
    for (sessions, is_stored) in stores.into_iter().chain([(sealed(&clock(), small), false)]) {
        let too_large = |session: &Session| {
            let error = session.save().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
            error.to_string()
        };
        let session = sessions.begin([]).load().unwrap();
        session.set_subject(&"a".repeat(1 << 20), None).unwrap();
        let told = too_large(&session);
        assert!(told.contains("its subject, takes 1048580"), "{told}");
        assert!(session.is_new());
        // Each fits, both do not: neither made at once nor after each other.
        session.set_subject(&"a".repeat(120), None).unwrap();
        session.insert("value", "v".repeat(100)).unwrap();
        let told = too_large(&session);
        assert!(told.contains("its subject, takes 124"), "{told}");
        session.insert("value", "v".repeat(10)).unwrap();
        session.save().unwrap();
        session.insert("value", "v".repeat(100)).unwrap();
        too_large(&session);
        let label = "l".repeat(150);
        session.insert("value", "v".repeat(10)).unwrap();
        session.set_subject("ada", Some(&label)).unwrap();
        session.save().unwrap();
        session.set_subject(&"a".repeat(50), Some(&label)).unwrap();
        let told = too_large(&session);
        assert!(told.contains("its label, takes 154"), "{told}");
        let counts = sessions.counts();
        assert_eq!((counts.created, counts.updated), if is_stored { (1, 1) } else { (0, 0) });
    }
    assert_eq!(site.entries(), 3, "the session, and the lists of its two subjects");
}

/// Table row 24; a peer's `update()` never marks the session as changed, so that the write is lost.
#[test]
fn a_value_that_is_changed_in_place_is_saved() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("cart", ["apple"])).unwrap();
    let cart = browser
        .visit(&site.sessions, |session| {
            let entry = session.entry("cart")?;
            let entry = entry.and_modify(|cart: &mut Vec<String>| cart.push("pear".to_owned()))?;
            entry.or_insert_with(|| panic!("it is there"))
        })
        .unwrap();
    assert_eq!(cart, ["apple", "pear"]);
    assert_eq!(browser.sees(&site.sessions, "cart"), Some(["apple", "pear"].into()));
    assert_eq!(site.sessions.counts().updated, 1);
}

#[test]
fn an_entry_that_is_there_is_given_and_nothing_is_written() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("visits", 7)).unwrap();
    let visits = browser.visit(&site.sessions, |session| session.entry("visits")?.or_insert(1));
    assert_eq!(visits.unwrap(), 7);
    assert_eq!(site.sessions.counts().updated, 0);
    // The control: one that is not is put in.
    let other = browser.visit(&site.sessions, |session| session.entry("other")?.or_insert(1));
    assert_eq!((other.unwrap(), browser.sees(&site.sessions, "other")), (1, Some(1.into())));
}

/// In a store and in the cookie, to the second.
#[test]
fn the_last_use_is_the_one_before_this_request() {
    let every = |builder: beaker_session::Builder| builder.with_access(AccessPolicy::EveryRequest);
    let clock = clock();
    let site = Site::with(every);
    let forms = [(site.sessions, site.clock), (sealed(&clock, every), clock)];
    for (sessions, clock) in forms {
        let mut browser = Browser::new();
        let seen = |browser: &mut Browser| {
            browser.visit(&sessions, |session| Ok((session.created(), session.last_accessed())))
        };
        let made = clock.now();
        browser
            .visit(&sessions, |session| {
                assert_eq!((session.created(), session.last_accessed()), (None, None));
                session.insert("a", 1)
            })
            .unwrap();
        clock.advance(Duration::from_secs(7));
        let first = clock.now();
        assert_eq!(seen(&mut browser).unwrap(), (Some(made), Some(made)));
        clock.advance(Duration::from_secs(11));
        assert_eq!(seen(&mut browser).unwrap(), (Some(made), Some(first)));
    }
}

/// Table row 11: a store keeps a record two minutes longer than it lives, for clocks that differ.
#[test]
fn a_store_keeps_a_record_two_minutes_longer_than_it_lives() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("a", 1)).unwrap();
    let end = site.clock.now().saturating_add(HOUR);
    let page = site.store.scan(&Scan::default()).unwrap();
    let dies: Vec<Timestamp> = page.entries.iter().map(|listed| listed.dies).collect();
    assert_eq!(dies, [end.saturating_add(Duration::from_secs(120))]);
}
