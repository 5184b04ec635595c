//! `MergePolicy::Lock` with Python's sessions.

use std::sync::Arc;
use std::time::Duration;

use beaker_session::{ErrorKind, MergePolicy, Op, SessionCore, Sessions, Step};

use super::bridge::{ID, Reading, START, Site, cookie, python_session};

const AT_ONCE: MergePolicy = MergePolicy::Lock { wait: Duration::ZERO };

/// Both of one cookie of Python's: the second one is not let in before the first one has ended.
fn come_one_after_the_other(sessions: &Sessions) {
    let header = Reading::header();
    let [first, second] = [(); 2].map(|()| sessions.begin([header.as_bytes()]));
    let session = first.load().unwrap();
    assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ada"));
    assert_eq!(second.load().unwrap_err().kind(), ErrorKind::Busy);
    first.commit().unwrap();
    assert_eq!(second.load().unwrap().get::<String>("user").unwrap().as_deref(), Some("ada"));
    second.commit().unwrap();
    assert_eq!(sessions.locked(), 0);
}

#[test]
fn requests_of_a_session_of_pythons_come_one_after_the_other() {
    let reading = Reading::with(cookie(), |builder| builder.with_merge(AT_ONCE));
    come_one_after_the_other(&reading.sessions);

    let shared = Site::new();
    shared.put(ID, &python_session());
    let builder = Sessions::builder().as_beaker(cookie(), shared.store()).unwrap();
    let builder = builder.with_clock(Arc::clone(&shared.clock) as _);
    let sessions = builder.with_merge(AT_ONCE).build().unwrap();
    come_one_after_the_other(&sessions);

    // The store knows it by its id; those who wait do not.
    let mut core = SessionCore::new(&sessions, [Reading::header().as_bytes()]);
    let Step::Ask(Op::Lock(key)) = core.begin_load(START).unwrap() else { panic!("it is first") };
    assert_eq!((key, key.plain_id()), (ID.hashed(), None));
}
