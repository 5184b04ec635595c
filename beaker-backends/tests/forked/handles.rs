//! F43: handles of a store that a forked process inherits.

use std::path::Path;
use std::sync::Arc;

use beaker_namespace::{
    Claim, Condition, Error, ErrorKind, Fulfilled, Key, Mark, Namespace, Scan, Scope, Timestamp,
    Wait,
};

use super::fork::{Side, end_after, fork};
use super::support::children::{Role, listen, say};
use super::support::report::report;
use super::support::stores::{Store, any, on_every};
use super::support::values::{entry, value};

fn kept() -> Key {
    Key::new("kept")
}

fn claimed() -> Key {
    Key::new("claimed")
}

fn of_the_child() -> Key {
    Key::new("of the child")
}

/// What a child does: opens the store, begins a creation, is forked, and goes on afterwards.
pub(super) fn fork_and_go_on(store: &Store, dir: &Path) {
    let open = store.open(dir).unwrap();
    let other = store.open_name(dir, "other").unwrap();
    open.set(&kept(), entry("before")).unwrap();
    other.set(&kept(), entry("before")).unwrap();
    let claim = open.claim(&claimed(), Wait::Never).unwrap().unwrap();
    // What a store keeps in memory of its reads is inherited too.
    for _ in 0..3 {
        assert_eq!(value(&*open, &kept()).unwrap(), Some(b"before".to_vec()));
    }
    let child = match fork() {
        Side::Child => end_after(|| use_what_is_inherited(store, dir, [open, other], claim)),
        Side::Parent(child) => child,
    };
    child.ends_well();
    say("the child has ended");
    assert_eq!(listen(), "go on");
    let fulfilled = open.fulfil(&claimed(), entry("made"), claim).unwrap();
    assert_eq!(fulfilled, Fulfilled::Stored);
    assert_eq!(value(&*open, &kept()).unwrap(), Some(b"before".to_vec()));
    open.set(&kept(), entry("after")).unwrap();
    let found = value(&*open, &of_the_child()).unwrap();
    say(if found.is_some() { "it has what the child wrote" } else { "it has its own alone" });
    drop((open, other));
    say("closed");
}

/// What the forked process does. It ends as programs do that know nothing of it: what they have is
/// dropped.
fn use_what_is_inherited(
    store: &Store,
    dir: &Path,
    [open, other]: [Arc<dyn Namespace>; 2],
    claim: Claim,
) {
    let refused = outcomes(&other, claim);
    say(&format!("refused {refused}"));
    drop((open, other));
    match store.open(dir) {
        Ok(open) => {
            open.set(&of_the_child(), entry("v")).unwrap();
            say("opened");
        }
        Err(error) => {
            let kinds = [ErrorKind::Config, ErrorKind::Unavailable];
            assert!(kinds.contains(&error.kind()), "{error:?}");
            say("not opened");
        }
    }
}

/// Calls everything, and drops `claim`; says how many calls were refused, and fails if one neither
/// works nor says what to do.
fn outcomes(open: &Arc<dyn Namespace>, claim: Claim) -> String {
    let key = &kept();
    let calls: [Result<(), Error>; 12] = [
        open.get(key).map(drop),
        open.get_many(std::slice::from_ref(key)).map(drop),
        open.set(key, entry("v")),
        open.set_many(vec![(key.clone(), entry("v"))]),
        open.set_if(key, entry("v"), Condition::Absent).map(drop),
        open.inspect(key).map(drop),
        open.scan(&Scan::new()).map(drop),
        open.marks(&mut ["m"].into_iter()).map(drop),
        open.mark("m", Mark::hard(Timestamp::from_micros(1))).map(drop),
        open.remove(key).map(drop),
        open.claim(key, Wait::Never).map(drop),
        open.clear(),
    ];
    drop(claim);
    let refused = calls.iter().filter_map(|call| call.as_ref().err()).inspect(|error| {
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains("open it again"), "{error}");
    });
    format!("{} of {}", refused.count(), calls.len())
}

fn check(store: &'static Store) {
    let dir = tempfile::tempdir().unwrap();
    let mut parent = Role::start("forker", store, dir.path());
    let hear = |parent: &mut Role| parent.hear().unwrap_or_else(|| "it ended".to_owned());
    let refused = hear(&mut parent);
    assert!(["refused 0 of 12", "refused 12 of 12"].contains(&&*refused), "{refused}");
    let opened = hear(&mut parent);
    assert_eq!(hear(&mut parent), "the child has ended");
    // Another process cannot create what the parent creates, though the child has let go of it.
    if store.scope == Scope::Host {
        let open = store.open(dir.path()).unwrap();
        let claim = open.claim(&claimed(), Wait::Never).unwrap();
        assert!(claim.is_none(), "{}: two creators", store.name);
    }
    parent.tell("go on");
    let expected =
        if opened == "opened" { "it has what the child wrote" } else { "it has its own alone" };
    assert_eq!(hear(&mut parent), expected, "{}", store.name);
    assert_eq!(hear(&mut parent), "closed");
    assert!(parent.finish().success(), "{}", store.name);
    let open = store.open(dir.path()).unwrap();
    assert_eq!(value(&*open, &claimed()).unwrap(), Some(b"made".to_vec()), "{}", store.name);
    assert_eq!(value(&*open, &kept()).unwrap(), Some(b"after".to_vec()), "{}", store.name);
    drop(open);
    #[cfg(feature = "sqlite")]
    if store.name.starts_with("sqlite") {
        let database = rusqlite::Connection::open(store.path(dir.path())).unwrap();
        let found: String =
            database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(found, "ok", "{}", store.name);
    }
    report("F43 fork with an open store", store.name, &format!("{refused}, {opened}"), true);
}

#[test]
fn f43_a_forked_process_is_refused_or_works_and_takes_nothing_from_its_parent() {
    on_every(any, check);
}
