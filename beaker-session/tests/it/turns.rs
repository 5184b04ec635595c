//! `MergePolicy::Lock` on threads: one request of a session at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::{Clock, MemoryConfig, MemoryNamespace};
use beaker_session::{Answer, ErrorKind, MergePolicy, Op, Session, SessionCore, Sessions, Step};

use crate::browser::Browser;
use crate::site::{Site, ring};

/// Turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(20);

const AT_ONCE: MergePolicy = MergePolicy::Lock { wait: Duration::ZERO };

fn site(merge: MergePolicy) -> Site {
    Site::with(|builder| builder.with_merge(merge))
}

fn visitor(site: &Site) -> Browser {
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("turn", 0)).unwrap();
    browser
}

/// Waits until so many loads have come to a lock that another request has.
fn until_waiting(sessions: &Sessions, loads: u64) {
    let began = Instant::now();
    while sessions.counts().lock_waits < loads {
        assert!(began.elapsed() < PATIENCE, "nobody waits");
        thread::yield_now();
    }
}

fn turn(session: &Session) -> Option<u32> {
    session.get("turn").unwrap()
}

fn take_turn(session: &Session) {
    session.insert("turn", turn(session).unwrap() + 1).unwrap();
}

#[test]
fn a_thread_waits_for_the_request_before_it_and_sees_what_that_has_left() {
    let site = site(MergePolicy::lock());
    let browser = visitor(&site);
    let first = browser.begin(&site.sessions);
    let session = first.load().unwrap();
    thread::scope(|scope| {
        let others: [_; 3] = [(); 3].map(|()| {
            scope.spawn(|| {
                let request = browser.begin(&site.sessions);
                let session = request.load().unwrap();
                take_turn(&session);
                let taken = turn(&session);
                request.commit().unwrap();
                taken
            })
        });
        until_waiting(&site.sessions, 3);
        take_turn(&session);
        first.commit().unwrap();
        let mut turns = others.map(|other| other.join().unwrap());
        turns.sort_unstable();
        assert_eq!(turns, [Some(2), Some(3), Some(4)]);
    });
    let counts = site.sessions.counts();
    assert_eq!((counts.conflicts, counts.lock_timeouts, site.sessions.locked()), (0, 0, 0));
}

/// The control of the next one, and of what the policy is not: two sites' handles share no locks.
#[test]
fn two_requests_that_do_not_share_their_locks_overlap_and_are_merged() {
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let build = || {
        let builder = Sessions::builder().with_namespace(memory.clone());
        builder.with_merge(AT_ONCE).build().unwrap()
    };
    let (one, other) = (build(), build());
    let mut browser = Browser::new();
    browser.visit(&one, |session| session.add("clicks", 1).map(drop)).unwrap();
    let (left, right) = (browser.begin(&one), browser.begin(&other));
    for request in [&left, &right] {
        request.load().unwrap().add("clicks", 1).unwrap();
    }
    left.commit().unwrap();
    right.commit().unwrap();
    assert_eq!(browser.sees(&one, "clicks"), Some(3.into()));
    let counts = other.counts();
    assert_eq!((counts.conflicts, counts.merges), (1, 1));
}

#[test]
fn who_waited_too_long_is_told_what_to_look_for_and_nothing_is_taken_for_empty() {
    let reasons = [
        (Duration::ZERO, "another request had the session for too long"),
        (
            Duration::from_millis(5),
            "another request had the session for 5ms; if no handler takes that long, one asks its own site with its \
             visitor's cookie",
        ),
    ];
    for (wait, reason) in reasons {
        let site = site(MergePolicy::Lock { wait });
        let browser = visitor(&site);
        let first = browser.begin(&site.sessions);
        let session = first.load().unwrap();
        let second = browser.begin(&site.sessions);
        let error = second.load().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert_eq!(error.to_string(), format!("cannot lock session: {reason}"));
        assert!(!second.is_loaded());
        let counts = site.sessions.counts();
        assert_eq!((counts.lock_waits, counts.lock_timeouts, counts.outages), (1, 1, 0));

        // It can be tried again, and its own end takes nobody's lock away.
        drop(second.clone());
        assert_eq!(second.load().unwrap_err().kind(), ErrorKind::Busy);
        take_turn(&session);
        first.commit().unwrap();
        assert_eq!(turn(&second.load().unwrap()), Some(1));
        second.commit().unwrap();
        assert_eq!(site.sessions.locked(), 0);
    }
}

#[test]
fn a_lock_is_held_from_the_load_to_the_commit_by_all_handles_of_the_request() {
    let site = site(AT_ONCE);
    let browser = visitor(&site);
    let request = browser.begin(&site.sessions);
    assert_eq!(site.sessions.locked(), 0, "nobody has looked into it");
    let session = request.load().unwrap();
    let again = request.clone().load().unwrap();
    assert_eq!(site.sessions.locked(), 1);
    take_turn(&session);
    session.save().unwrap();
    session.renew().unwrap();
    session.save().unwrap();
    assert_eq!(site.sessions.locked(), 1, "a save in its middle, and a renewal, are not its end");
    request.commit().unwrap();
    assert_eq!(site.sessions.locked(), 0);
    // Its handles outlive it, and hold nobody up.
    assert_eq!((turn(&session), turn(&again)), (Some(1), Some(1)));
}

#[test]
fn a_lock_goes_with_the_last_handle_of_a_request_that_does_not_commit() {
    let site = site(AT_ONCE);
    let browser = visitor(&site);
    let session = browser.begin(&site.sessions).load().unwrap();
    let clone = session.clone();
    drop(session);
    assert_eq!(browser.begin(&site.sessions).load().unwrap_err().kind(), ErrorKind::Busy);
    drop(clone);
    assert_eq!(site.sessions.locked(), 0);

    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let session = browser.begin(&site.sessions).load().unwrap();
        take_turn(&session);
        panic!("the handler fails");
    }));
    assert!(panicked.is_err());
    assert_eq!(site.sessions.locked(), 0);
    assert_eq!(browser.sees(&site.sessions, "turn"), Some(0.into()));
}

#[test]
fn a_lock_is_given_up_by_a_commit_that_fails() {
    let site = site(AT_ONCE);
    let browser = visitor(&site);
    for server_error in [false, true] {
        let request = browser.begin(&site.sessions);
        let session = request.load().unwrap();
        session.insert("large", "x".repeat(70_000)).unwrap();
        let kind = match server_error {
            true => request.commit_failed().map(drop).map_err(|error| error.kind()),
            false => request.commit().map(drop).map_err(|error| error.kind()),
        };
        let expected = if server_error { Ok(()) } else { Err(ErrorKind::TooLarge) };
        assert_eq!((kind, site.sessions.locked()), (expected, 0));
    }
}

#[test]
fn who_has_no_session_has_no_lock() {
    let site = site(AT_ONCE);
    let browser = visitor(&site);
    let untouched = browser.begin(&site.sessions);
    let visitors = [Browser::new(), Browser::with("__Host-id=AAAAAAAAAAAAAAAAAAAAAA")];
    let requests = visitors.map(|browser| browser.begin(&site.sessions));
    let loaded = requests.each_ref().map(|request| request.load().unwrap());
    assert_eq!(site.sessions.locked(), 0);
    for (request, session) in requests.iter().zip(&loaded) {
        session.insert("turn", 1).unwrap();
        assert_eq!(request.commit().unwrap().set_cookies().len(), 1);
    }
    untouched.commit().unwrap();
    assert_eq!((site.sessions.locked(), site.sessions.counts().lock_waits), (0, 0));
}

#[test]
fn a_session_apart_from_its_request_takes_no_lock_and_is_merged() {
    let site = site(AT_ONCE);
    let browser = visitor(&site);
    let first = browser.begin(&site.sessions);
    let session = first.load().unwrap();
    // A handler that waits for its own background task does not wait for itself.
    let detached = session.detach().unwrap();
    detached.add("bytes", 3).unwrap();
    detached.save().unwrap();
    let found = site.sessions.get_by_id(&session.id().unwrap()).unwrap().unwrap();
    assert_eq!(found.add("bytes", 1).unwrap(), 4);
    found.save().unwrap();
    take_turn(&session);
    first.commit().unwrap();
    drop(session);
    let seen = ["bytes", "turn"].map(|key| browser.sees(&site.sessions, key));
    assert_eq!(seen, [Some(4.into()), Some(1.into())]);
    drop((detached, found));
    assert_eq!(site.sessions.locked(), 0);
}

#[test]
fn who_unlocks_early_lets_others_go_on_and_is_merged() {
    let site = site(AT_ONCE);
    let browser = visitor(&site);
    let slow = browser.begin(&site.sessions);
    let session = slow.load().unwrap();
    take_turn(&session);
    session.save().unwrap();
    session.unlock();
    session.unlock();
    let quick = browser.begin(&site.sessions);
    let other = quick.load().unwrap();
    take_turn(&other);
    quick.commit().unwrap();
    session.insert("slow", true).unwrap();
    slow.commit().unwrap();
    let seen = ["slow", "turn"].map(|key| browser.sees(&site.sessions, key));
    assert_eq!(seen, [Some(true.into()), Some(2.into())]);

    // Under another policy there is nothing to give up.
    let merging = Site::new();
    let browser = visitor(&merging);
    browser.begin(&merging.sessions).load().unwrap().unlock();
    assert_eq!(merging.sessions.locked(), 0);
}

#[test]
fn a_logout_that_looks_at_nothing_waits_for_nobody() {
    let site = site(AT_ONCE);
    let browser = visitor(&site);
    let hangs = browser.begin(&site.sessions);
    let session = hangs.load().unwrap();
    take_turn(&session);
    let logout = browser.begin(&site.sessions);
    logout.delete().unwrap();
    let removal = logout.commit().unwrap();
    assert!(removal.set_cookies().next().unwrap().contains("Max-Age=0"));
    assert_eq!(hangs.commit().unwrap().set_cookies().len(), 0, "nobody is logged in again");
    assert_eq!((browser.sees(&site.sessions, "turn"), site.sessions.locked()), (None, 0));
    assert_eq!(site.sessions.counts().refused, 1);

    let browser = visitor(&site);
    let hangs = browser.begin(&site.sessions);
    let session = hangs.load().unwrap();
    site.sessions.revoke(&session.key().unwrap()).unwrap();
    assert_eq!(session.check().unwrap_err().kind(), ErrorKind::Ended);
}

#[test]
fn requests_of_one_thread_that_nest_end_by_an_error_and_not_by_a_hang() {
    let site = site(MergePolicy::Lock { wait: Duration::from_millis(5) });
    let browser = visitor(&site);
    let outer = browser.begin(&site.sessions);
    let session = outer.load().unwrap();
    let asked_itself = browser.begin(&site.sessions).load();
    assert_eq!(asked_itself.unwrap_err().kind(), ErrorKind::Busy);
    take_turn(&session);
    outer.commit().unwrap();
    assert_eq!(browser.sees(&site.sessions, "turn"), Some(1.into()));
}

#[test]
fn two_loads_of_one_request_at_a_time_wait_for_others_and_not_for_each_other() {
    let site = site(MergePolicy::lock());
    let browser = visitor(&site);
    let first = browser.begin(&site.sessions);
    let _session = first.load().unwrap();
    let request = browser.begin(&site.sessions);
    let (loaded, all) = channel();
    thread::scope(|scope| {
        for _ in 0..2 {
            let (request, loaded) = (&request, loaded.clone());
            scope.spawn(move || loaded.send(request.load().map(|session| turn(&session))).unwrap());
        }
        until_waiting(&site.sessions, 1);
        first.commit().unwrap();
        let both: [_; 2] = [(); 2].map(|()| all.recv_timeout(PATIENCE / 4).unwrap().unwrap());
        assert_eq!(both, [Some(0), Some(0)]);
    });
    assert_eq!(site.sessions.counts().lock_timeouts, 0);
}

#[test]
fn sessions_in_cookies_are_not_built_with_locks() {
    let builder = || Sessions::builder().with_keys(ring(1)).with_merge(MergePolicy::lock());
    for builder in [builder().in_encrypted_cookies(), builder().in_readable_cookies()] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("keep them in a store"), "{error}");
    }
}

#[test]
fn a_lock_by_hand_is_of_this_policy_alone() {
    let locking = site(AT_ONCE);
    let browser = visitor(&locking);
    let key = browser.begin(&locking.sessions).load().unwrap().key().unwrap();
    let lock = locking.sessions.lock(&key).unwrap();
    assert_eq!(format!("{lock:?}"), "SessionLock(..)");
    assert_eq!(browser.begin(&locking.sessions).load().unwrap_err().kind(), ErrorKind::Busy);
    assert_eq!(locking.sessions.lock(&key).unwrap_err().kind(), ErrorKind::Busy);
    drop(lock);
    assert_eq!(locking.sessions.locked(), 0);
    assert_eq!(Site::new().sessions.lock(&key).unwrap_err().kind(), ErrorKind::Config);
}

/// A core that has its session's lock, and is to load it.
fn locked_core(site: &Site, browser: &Browser) -> (SessionCore, Op) {
    let header = browser.header();
    let mut core = SessionCore::new(&site.sessions, [header.as_bytes()]);
    let Step::Ask(Op::Lock(key)) = core.begin_load(site.clock.now()).unwrap() else {
        panic!("it asks for its lock");
    };
    let lock = Answer::from(site.sessions.lock(&key));
    let Step::Ask(load) = core.answer(lock, site.clock.now()).unwrap() else {
        panic!("it asks for its session");
    };
    assert_eq!(site.sessions.locked(), 1);
    (core, load)
}

#[test]
fn a_commit_gives_the_lock_of_a_load_up_that_was_dropped_on_its_way() {
    let site = site(AT_ONCE);
    let (mut core, _dropped) = locked_core(&site, &visitor(&site));
    assert!(matches!(core.begin_commit(site.clock.now(), false), Ok(Step::Done)));
    assert_eq!(site.sessions.locked(), 0);
}

#[test]
fn a_second_commit_gives_the_lock_up_if_the_first_was_dropped_on_its_way() {
    let site = site(AT_ONCE);
    let (mut core, load) = locked_core(&site, &visitor(&site));
    let found = load.run(site.sessions.store(), None);
    assert!(matches!(core.answer(found, site.clock.now()), Ok(Step::Done)));
    take_turn(&core.session().unwrap());
    assert!(matches!(core.begin_commit(site.clock.now(), false), Ok(Step::Ask(_))));
    assert_eq!(site.sessions.locked(), 1, "it is to be saved");
    assert!(matches!(core.begin_commit(site.clock.now(), false), Ok(Step::Done)));
    assert_eq!(site.sessions.locked(), 0);
}
