//! Sessions in memory, which are changed where they lie: every order of the requests comes to what it
//! comes to where each save is a call of the store.
//
// A request loads its session, and later saves it; nothing of either can come between the two of
// another. So the orders of these are all there are. The store behind `with_store` is the same kind of
// memory, asked as any store is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{
    Entry, Key, ManualClock, MemoryConfig, MemoryNamespace, Namespace, Payload, Timestamp,
};
use beaker_session::{
    AccessPolicy, Counts, Error, ErrorKind, Loaded, MergePolicy, NamespaceStore, Session, Sessions,
};
use serde_json::{Value, json};

use crate::browser::Browser;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// More than the sessions here may have.
const TOO_MANY: usize = 400;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Read,
    Count,
    Put,
    PutTooMuch,
    Push,
    Remove,
    Logout,
    Renew,
}

const ALL: [Act; 8] = [
    Act::Read,
    Act::Count,
    Act::Put,
    Act::PutTooMuch,
    Act::Push,
    Act::Remove,
    Act::Logout,
    Act::Renew,
];

impl Act {
    fn perform(self, session: &Session) -> Result<(), Error> {
        match self {
            Self::Read => session.get::<Value>("count").map(drop),
            Self::Count => session.add("count", 1).map(drop),
            Self::Put => session.insert("cart", json!(["pear", {"of": "wood"}])),
            Self::PutTooMuch => session.insert("cart", "p".repeat(TOO_MANY)),
            Self::Push => session.push("seen", "page"),
            Self::Remove => session.remove::<Value>("user").map(drop),
            Self::Logout => session.delete(),
            Self::Renew => session.renew(),
        }
    }
}

/// Where sessions are kept.
#[derive(Debug, Clone, Copy)]
enum Kept {
    InPlace,
    InStore,
}

fn sessions(kept: Kept, merge: MergePolicy) -> Sessions {
    let clock = Arc::new(ManualClock::new(NOW));
    let memory = MemoryNamespace::anonymous(MemoryConfig::new().clock(clock.clone())).unwrap();
    let builder = Sessions::builder()
        .with_clock(clock.clone())
        .with_access(AccessPolicy::Never)
        .with_merge(merge)
        .with_max_bytes(TOO_MANY);
    let builder = match kept {
        Kept::InPlace => builder.with_namespace(memory).with_clock(clock),
        Kept::InStore => builder.with_store(NamespaceStore::new(memory).unwrap()),
    };
    builder.build().unwrap()
}

/// What there is to see of one order.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Of each save, in the order of the saves: what it came to, how many cookies it sent, and what the
    /// request saw afterwards.
    saves: Vec<(Option<ErrorKind>, usize, Value)>,
    session: Value,
    counts: Counts,
}

/// Plays one order: the first time that a request's number comes it loads, the next time it saves.
fn play(kept: Kept, merge: MergePolicy, acts: &[Act], order: &[usize]) -> Outcome {
    let sessions = sessions(kept, merge);
    let mut browser = Browser::new();
    browser
        .visit(&sessions, |session| {
            session.insert("user", "ada")?;
            session.insert("count", 0)
        })
        .unwrap();
    let mut under_way: Vec<_> = acts.iter().map(|_| None).collect();
    let mut saves = Vec::new();
    for number in order {
        let Some((request, session, seen)) = under_way[*number].take() else {
            let request = browser.begin(&sessions);
            let session = request.load().unwrap();
            let seen = session.data();
            under_way[*number] = Some((request, session, seen));
            continue;
        };
        assert_eq!(session.data(), seen, "what others have saved meanwhile changes nothing here");
        let done = acts[*number].perform(&session);
        let committed = request.commit();
        let kind = done.err().or(committed.as_ref().err().cloned()).map(|error| error.kind());
        let cookies = committed.map_or(0, |outgoing| outgoing.set_cookies().len());
        saves.push((kind, cookies, json!(session.data())));
    }
    let session = json!(browser.begin(&sessions).load().unwrap().data());
    Outcome { saves, session, counts: sessions.counts() }
}

/// Each order of `requests` loads and saves.
fn orders(requests: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..requests * 2 {
        let longer = |order: &Vec<usize>| {
            let order = order.clone();
            let may = (0..requests).filter({
                let order = order.clone();
                move |number| order.iter().filter(|other| *other == number).count() < 2
            });
            may.map(move |number| [&order[..], &[number]].concat()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// What both ways come to.
fn same(merge: MergePolicy, acts: &[Act], order: &[usize]) -> Outcome {
    let played = play(Kept::InPlace, merge, acts, order);
    assert_eq!(played, play(Kept::InStore, merge, acts, order), "{merge:?} {acts:?} {order:?}");
    played
}

#[test]
fn what_is_saved_in_place_is_what_a_store_would_have_made_of_it_in_every_order() {
    let (pairs, triples) = (orders(2), orders(3));
    assert_eq!((pairs.len(), triples.len()), (6, 90));
    let (merging, mut conflicts) = (MergePolicy::ThreeWayPerKey, 0);
    for (one, other) in ALL.iter().flat_map(|one| ALL.map(|other| (*one, other))) {
        for order in &pairs {
            conflicts += same(merging, &[one, other], order).counts.conflicts;
        }
    }
    assert!(conflicts > 50, "{conflicts} conflicts");
    for merge in [MergePolicy::LastWriterWins, MergePolicy::Fail] {
        for other in [Act::Count, Act::Put, Act::Logout, Act::Renew] {
            for order in &pairs {
                same(merge, &[Act::Count, other], order);
            }
        }
    }
    for acts in [[Act::Count; 3], [Act::Count, Act::Put, Act::Logout]] {
        for order in &triples {
            let played = same(merging, &acts, order);
            if acts == [Act::Count; 3] {
                assert_eq!(played.session, json!({"count": 3, "user": "ada"}), "{order:?}");
            }
        }
    }
}

#[test]
fn a_record_that_somebody_holds_never_changes() {
    let sessions = sessions(Kept::InPlace, MergePolicy::ThreeWayPerKey);
    let mut browser = Browser::new();
    let key = browser
        .visit(&sessions, |session| {
            session.insert("name", "ada")?;
            session.save()?;
            Ok(session.key().unwrap())
        })
        .unwrap();
    let stored = || match sessions.store().load(&key).unwrap() {
        Loaded::Present(stored) => stored,
        other => panic!("{other:?}"),
    };
    let held = stored();
    let mut seen = Vec::new();
    for name in ["grace", "joan"] {
        browser.visit(&sessions, |session| session.insert("name", name)).unwrap();
        seen.push(stored().record.get("name").cloned());
    }
    assert_eq!(seen, [Some("grace".into()), Some("joan".into())]);
    assert_eq!(held.record.get("name"), Some(&"ada".into()));
    assert_ne!(held.version, stored().version);
    // Nobody holds the one that is there now: it is changed where it lies.
    let before = Arc::as_ptr(&stored().record);
    browser.visit(&sessions, |session| session.insert("name", "ruth")).unwrap();
    assert_eq!(
        (Arc::as_ptr(&stored().record), stored().record.get("name").cloned()),
        (before, Some("ruth".into()))
    );
}

#[test]
fn what_another_request_has_left_is_changed_where_it_lies_unless_somebody_holds_it() {
    for is_held in [false, true] {
        let sessions = sessions(Kept::InPlace, MergePolicy::ThreeWayPerKey);
        let mut browser = Browser::new();
        let key = browser
            .visit(&sessions, |session| {
                session.insert("count", 0)?;
                session.save()?;
                Ok(session.key().unwrap())
            })
            .unwrap();
        let stored = || match sessions.store().load(&key).unwrap() {
            Loaded::Present(stored) => stored,
            other => panic!("{other:?}"),
        };
        let late = browser.begin(&sessions);
        late.load().unwrap().add("count", 1).unwrap();
        browser.visit(&sessions, |session| session.add("count", 10).map(drop)).unwrap();
        let held = Some(stored()).filter(|_| is_held);
        let before = stored();
        let (place, version) = (Arc::as_ptr(&before.record), before.version);
        drop(before);
        late.commit().unwrap();
        let now = stored();
        assert_eq!(now.record.get("count"), Some(&11.into()));
        assert_ne!(now.version, version);
        assert_eq!(Arc::as_ptr(&now.record) == place, !is_held);
        if let Some(held) = held {
            assert_eq!(held.record.get("count"), Some(&10.into()));
        }
        let counts = sessions.counts();
        assert_eq!((counts.conflicts, counts.merges, counts.updated), (1, 1, 2));
    }
}

#[test]
fn what_takes_longer_the_larger_the_record_is_is_not_done_where_it_lies() {
    let sessions = sessions(Kept::InPlace, MergePolicy::ThreeWayPerKey);
    let mut browser = Browser::new();
    let key = browser
        .visit(&sessions, |session| {
            session.insert("seen", ["page"])?;
            session.save()?;
            Ok(session.key().unwrap())
        })
        .unwrap();
    // The old record is there until the new one is, so they differ in their places.
    let place = || match sessions.store().load(&key).unwrap() {
        Loaded::Present(stored) => Arc::as_ptr(&stored.record),
        other => panic!("{other:?}"),
    };
    let mut stays = |work: &dyn Fn(&Session) -> Result<(), Error>| {
        let before = place();
        browser.visit(&sessions, work).unwrap();
        place() == before
    };
    assert!(stays(&|session| session.insert("name", "ada")));
    assert!(stays(&|session| session.add("count", 1).map(drop)));
    assert!(stays(&|session| session.remove::<Value>("name").map(drop)));
    assert!(!stays(&|session| session.push("seen", "page")));
    assert!(!stays(&|session| session.join("group", "page").map(drop)));
}

#[test]
fn a_session_is_the_same_after_a_save_in_which_another_value_s_drop_panicked() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the drop of what has expired");
        }
    }

    let clock = Arc::new(ManualClock::new(NOW));
    let memory = MemoryNamespace::anonymous(MemoryConfig::new().clock(clock.clone())).unwrap();
    let shared = Arc::clone(&memory) as Arc<dyn Namespace>;
    let sessions = Sessions::builder()
        .with_namespace(shared)
        .with_clock(clock.clone())
        .with_access(AccessPolicy::Never)
        .build()
        .unwrap();
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
    let bomb = Entry::new(Payload::Object(Arc::new(Bomb)), NOW).ttl(Some(Duration::from_secs(1)));
    memory.set(&Key::new("bomb"), bomb).unwrap();
    clock.advance(Duration::from_secs(2));
    let request = browser.begin(&sessions);
    let session = request.load().unwrap();
    session.insert("name", "grace").unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| session.save())).is_err(), "control");
    session.insert("more", 1).unwrap();
    let _headers = request.commit().unwrap();
    assert_eq!(
        (sessions.counts().created, browser.sees(&sessions, "user")),
        (1, Some("ada".into()))
    );
    assert_eq!(browser.sees(&sessions, "name"), Some("grace".into()));
    assert_eq!(browser.sees(&sessions, "more"), Some(1.into()));
}
