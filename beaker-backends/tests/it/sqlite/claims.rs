//! Claims between processes, and what wins over them.

use std::path::Path;
use std::time::Duration;

use beaker_namespace::{Fulfilled, Key, Namespace, Wait};

use super::children::{Role, listen, say};
use super::{entry, number, open, open_by_hand, put, raw, value};

#[test]
fn a_claim_of_one_process_keeps_the_others_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    let mut child = Role::start("claim", &path);
    assert_eq!(child.hear().as_deref(), Some("claimed"));
    assert!(store.claim(&Key::new("k"), Wait::Never).unwrap().is_none(), "two have the claim");
    assert!(store.claim(&Key::new("other"), Wait::Never).unwrap().is_some());
    child.tell("go on");
    assert_eq!(child.hear().as_deref(), Some("Stored"));
    assert_eq!(value(&store, "k").as_deref(), Some(&b"created"[..]));
}

#[test]
fn f10_an_invalidation_in_one_process_wins_over_a_creation_in_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    let mut child = Role::start("claim", &path);
    assert_eq!(child.hear().as_deref(), Some("claimed"));
    store.remove(&Key::new("k")).unwrap();
    child.tell("go on");
    assert_eq!(child.hear().as_deref(), Some("Superseded"));
    assert_eq!(value(&store, "k"), None);
}

pub(super) fn in_another_process(path: &Path) {
    let (store, key) = (open(path), Key::new("k"));
    let claim = store.claim(&key, Wait::Never).unwrap().unwrap();
    say("claimed");
    assert_eq!(listen(), "go on");
    say(&format!("{:?}", store.fulfil(&key, entry(&store, "created"), claim).unwrap()));
    listen();
}

#[test]
fn f2_the_claim_of_a_killed_process_is_free_and_its_row_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    let mut child = Role::start("claim", &path);
    assert_eq!(child.hear().as_deref(), Some("claimed"));
    drop(child); // kill -9
    let key = Key::new("k");
    let claim = store.claim(&key, Wait::AtMost(Duration::from_secs(10))).unwrap().unwrap();
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM claims"), 1);
    assert_eq!(store.fulfil(&key, entry(&store, "mine"), claim).unwrap(), Fulfilled::Stored);
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM claims"), 0);
}

#[test]
fn a_sweep_removes_claims_that_were_given_up_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    for key in ["given up", "given up too"] {
        drop(store.claim(&Key::new(key), Wait::Never).unwrap());
    }
    let key = Key::new("running");
    let running = store.claim(&key, Wait::Never).unwrap().unwrap();
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM claims"), 3);
    assert_eq!(store.sweep().unwrap().leftovers, 2);
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM claims"), 1);
    assert_eq!(store.fulfil(&key, entry(&store, "v"), running).unwrap(), Fulfilled::Stored);
}

#[test]
fn a_tag_removal_wins_over_the_first_creation_of_what_will_carry_the_tag() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    let [with, without] = ["with", "without"].map(Key::new);
    let claims = [&with, &without].map(|key| store.claim(key, Wait::Never).unwrap().unwrap());
    assert_eq!(store.remove_tag("t").unwrap(), 0, "nothing carries it yet");
    let [first, second] = claims;
    let tagged = |value| entry(&store, value).tags(vec!["s".into(), "t".into()]);
    assert_eq!(store.fulfil(&with, tagged("old"), first).unwrap(), Fulfilled::Superseded);
    let plain = entry(&store, "v").tags(vec!["s".into()]);
    assert_eq!(store.fulfil(&without, plain, second).unwrap(), Fulfilled::Stored);
    assert_eq!(number(&raw(&path), "SELECT count(*) FROM barred"), 0, "nothing is left of it");
    let claim = store.claim(&with, Wait::Never).unwrap().unwrap();
    assert_eq!(store.fulfil(&with, tagged("new"), claim).unwrap(), Fulfilled::Stored);
}

#[test]
fn tags_leave_with_their_entries() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let (_clock, store) = open_by_hand(&path);
    let tags = || number(&raw(&path), "SELECT count(*) FROM tags");
    let tagged = |tag: &str| entry(&store, "v").tags(vec![tag.into()]);
    let keys = ["replaced", "removed", "in a batch", "dead"].map(Key::new);
    store.set_many(keys.iter().map(|key| (key.clone(), tagged("t"))).collect()).unwrap();
    assert_eq!(tags(), 4);
    put(&store, "replaced", "plain");
    store.remove(&keys[1]).unwrap();
    store.set_many(vec![(keys[2].clone(), tagged("a")), (keys[2].clone(), tagged("b"))]).unwrap();
    store.set(&keys[3], tagged("t").ttl(Some(Duration::ZERO))).unwrap();
    assert_eq!(tags(), 2);
    store.sweep().unwrap();
    assert_eq!(tags(), 1);
    store.clear().unwrap();
    store.sweep().unwrap();
    assert_eq!(tags(), 0);
}

#[test]
fn a_claim_on_another_key_or_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (open(&dir.path().join("1.db")), open(&dir.path().join("2.db")));
    let (key, strange) = (Key::new("k"), Key::new("strange"));
    for (store, key) in [(&one, &strange), (&other, &key)] {
        let claim = one.claim(&Key::new("k"), Wait::Never).unwrap().unwrap();
        let error = store.fulfil(key, entry(store, "v"), claim).unwrap_err();
        assert_eq!(error.kind(), beaker_namespace::ErrorKind::Config);
    }
}
