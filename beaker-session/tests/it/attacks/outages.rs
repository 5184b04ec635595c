//! A store that fails is not an empty session.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use beaker_namespace::ErrorKind as Store;
use beaker_namespace::testkit::Fault;
use beaker_namespace::{Clock, MemoryConfig, MemoryNamespace, Namespace, Swept, forward_namespace};
use beaker_session::{
    Answer, CorruptPolicy, Error, ErrorKind, Loaded, Op, Origin, OutagePolicy, SessionCore,
    Sessions, Step,
};

use crate::browser::Browser;
use crate::site::{HOUR, Site};

const DOWN: Fault = Fault::Fail(Store::Unavailable);

fn logged_in(site: &Site) -> Browser {
    let mut browser = Browser::new();
    browser
        .visit(&site.sessions, |session| {
            session.set_subject("ada", None)?;
            session.insert("user", "ada")
        })
        .unwrap();
    browser
}

/// 25: with a failure at each operation of a request in turn, the record is as before or as after,
/// and the request knows.
#[test]
fn a_failure_at_any_operation_is_told_and_damages_nothing() {
    type Work = fn(&beaker_session::Session) -> Result<(), beaker_session::Error>;
    let works: [(&str, Work); 3] = [
        ("write", |session| session.insert("user", "grace")),
        ("login", |session| {
            session.renew()?;
            session.insert("user", "grace")
        }),
        ("logout", |session| session.delete()),
    ];
    for (name, work) in works {
        let mut failures = 0;
        for nth in 1.. {
            let site = Site::new();
            let mut browser = logged_in(&site);
            site.store.arm(nth, DOWN);
            let done = browser.visit(&site.sessions, work);
            let failed = site.store.injected() == 1;
            site.store.disarm();
            if !failed {
                break;
            }
            failures += 1;
            assert_eq!(done.unwrap_err().kind(), ErrorKind::Unavailable, "{name} at {nth}");
            assert_eq!(site.sessions.counts().outages, 1, "{name} at {nth}");
            let user = browser.sees(&site.sessions, "user");
            let before = user == Some("ada".into());
            let half_ended = name == "logout" && user.is_none();
            assert!(before || half_ended, "{name} at {nth}: {user:?}");
        }
        assert!(failures >= 2, "{name} has {failures} operations");
    }
}

/// 25, table row 31: peers answer with an empty session, and then store that over the real one.
#[test]
fn a_failed_load_is_an_error_and_can_be_tried_again() {
    let site = Site::new();
    let browser = logged_in(&site);
    let request = browser.begin(&site.sessions);
    site.store.arm(1, DOWN);
    assert_eq!(request.load().unwrap_err().kind(), ErrorKind::Unavailable);
    let session = request.load().unwrap();
    assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ada"));
}

#[test]
fn a_failed_save_keeps_the_changes_for_another_try() {
    let site = Site::new();
    let browser = logged_in(&site);
    let session = browser.begin(&site.sessions).load().unwrap();
    session.add("clicks", 2).unwrap();
    site.store.arm(1, DOWN);
    assert_eq!(session.save().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(session.get::<i64>("clicks").unwrap(), Some(2));
    session.add("clicks", 1).unwrap();
    session.save().unwrap();
    assert_eq!(browser.sees(&site.sessions, "clicks"), Some(3.into()));
}

#[test]
fn anonymous_reads_nothing_writes_nothing_and_sends_nothing() {
    let site = Site::with(|builder| builder.with_outage(OutagePolicy::Anonymous));
    let browser = logged_in(&site);
    let request = browser.begin(&site.sessions);
    site.store.arm(1, DOWN);
    let session = request.load().unwrap();
    assert_eq!((session.origin(), session.is_empty()), (Origin::Unreachable, true));
    assert_eq!(session.insert("user", "nobody").unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(session.delete().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(request.commit().unwrap().set_cookies().len(), 0);
    assert_eq!(browser.sees(&site.sessions, "user"), Some("ada".into()));
}

#[test]
fn read_only_lets_the_response_go_when_only_the_save_fails() {
    for (policy, passes) in [(OutagePolicy::ReadOnly, true), (OutagePolicy::Fail, false)] {
        let site = Site::with(|builder| builder.with_outage(policy));
        let browser = logged_in(&site);
        let request = browser.begin(&site.sessions);
        let session = request.load().unwrap();
        session.insert("user", "grace").unwrap();
        site.store.arm(1, DOWN);
        let committed = request.commit();
        assert_eq!(committed.is_ok(), passes, "{policy:?}");
        assert_eq!(browser.sees(&site.sessions, "user"), Some("ada".into()));
        assert_eq!(site.sessions.counts().outages, 1);
    }
}

/// F59
#[test]
fn a_damaged_record_gives_a_new_session_and_not_an_error_for_ever() {
    let site = Site::new();
    let mut browser = logged_in(&site);
    let old = browser.header();
    site.store.arm(1, Fault::Fail(Store::Corrupt));
    browser
        .visit(&site.sessions, |session| {
            assert_eq!(session.origin(), Origin::Corrupt);
            session.insert("user", "grace")
        })
        .unwrap();
    assert_ne!(browser.header(), old);
    assert_eq!(site.sessions.counts().corrupt, 1);
    assert_eq!(browser.sees(&site.sessions, "user"), Some("grace".into()));
}

#[test]
fn under_the_policy_fail_a_damaged_record_is_an_error() {
    let site = Site::with(|builder| builder.with_corrupt(CorruptPolicy::Fail));
    let browser = logged_in(&site);
    site.store.arm(1, Fault::Fail(Store::Corrupt));
    assert_eq!(browser.begin(&site.sessions).load().unwrap_err().kind(), ErrorKind::Corrupt);
}

fn damaged() -> Answer {
    Answer::Failed(Error::new(ErrorKind::Corrupt, "load session"))
}

/// Drives a logout to the end of the load, to which `answers` are the store's first ones.
fn begin_logout(site: &Site, header: &str, answers: &[Answer]) -> Result<SessionCore, Error> {
    let mut core = SessionCore::new(&site.sessions, [header.as_bytes()]);
    let mut step = core.begin_delete(site.clock.now())?;
    for answer in answers {
        assert!(matches!(step, Step::Ask(Op::Load(_))), "{step:?}");
        step = core.answer(answer.clone(), site.clock.now())?;
    }
    while let Step::Ask(op) = step {
        step = core.answer(op.run(site.sessions.store(), None), site.clock.now())?;
    }
    Ok(core)
}

/// 21: nobody can be logged out who cannot be loaded, if the policy is asked first.
#[test]
fn a_logout_deletes_a_damaged_record_by_its_id_and_asks_no_policy() {
    let asked = CorruptPolicy::custom(|_key, _error| panic!("it is asked"));
    for policy in [CorruptPolicy::Fresh, CorruptPolicy::Fail, asked] {
        let site = Site::with(|builder| builder.with_corrupt(policy));
        let browser = logged_in(&site);
        let key = browser.begin(&site.sessions).load().unwrap().key();
        let mut core = begin_logout(&site, &browser.header(), &[damaged()]).unwrap();
        let step = core.begin_commit(site.clock.now(), false).unwrap();
        let Step::Ask(op @ Op::Delete(deleted)) = step else { panic!("{step:?}") };
        assert_eq!(Some(deleted), key);
        let answer = op.run(site.sessions.store(), None);
        let Ok(Step::Done) = core.answer(answer, site.clock.now()) else { panic!("no more") };
        let outgoing = core.finish(Ok(())).unwrap();
        let [removal] = &outgoing.set_cookies().collect::<Vec<_>>()[..] else { panic!("one") };
        assert!(removal.starts_with("__Host-id=;") && removal.contains("Max-Age=0"), "{removal}");
        assert!(browser.begin(&site.sessions).load().unwrap().is_new());
    }
}

/// A browser may send several cookies of the name. None of them is to bring anything back.
#[test]
fn a_logout_ends_all_that_it_meets_until_a_session_is_found_and_that_one() {
    let renewed = || Answer::Loaded(Loaded::Renewed);
    let met = [
        vec![damaged(), damaged()],
        vec![renewed(), damaged()],
        vec![damaged(), renewed()],
        // The second one is sound.
        vec![damaged()],
    ];
    for answers in met {
        let site = Site::new();
        let browsers = [(); 2].map(|()| logged_in(&site));
        let [one, two] = [0, 1].map(|at: usize| browsers[at].header());
        let mut core = begin_logout(&site, &format!("{one}; {two}"), &answers).unwrap();
        let mut step = core.begin_commit(site.clock.now(), false);
        while let Ok(Step::Ask(op)) = step {
            step = core.answer(op.run(site.sessions.store(), None), site.clock.now());
        }
        assert!(matches!(step, Ok(Step::Done)), "{step:?}");
        for browser in browsers {
            assert!(browser.begin(&site.sessions).load().unwrap().is_new(), "{answers:?}");
        }
    }
}

/// What was ended before the store failed is not ended again, and the rest is.
#[test]
fn a_logout_of_two_sessions_that_fails_in_between_is_gone_on_with() {
    let site = Site::new();
    let browsers = [(); 2].map(|()| logged_in(&site));
    let [one, two] = [0, 1].map(|at: usize| browsers[at].header());
    let header = format!("{one}; {two}");
    let mut core = begin_logout(&site, &header, &[damaged(), damaged()]).unwrap();
    let mut deleted = Vec::new();
    for fails_at in [Some(1), None] {
        let mut step = core.begin_save(site.clock.now());
        let mut asked = 0;
        while let Ok(Step::Ask(op)) = step {
            let answer = match fails_at {
                Some(at) if at == asked => {
                    Answer::Failed(Error::new(ErrorKind::Unavailable, "delete session"))
                }
                _ => {
                    let Op::Delete(key) = op else { panic!("{op:?}") };
                    deleted.push(key);
                    op.run(site.sessions.store(), None)
                }
            };
            asked += 1;
            step = core.answer(answer, site.clock.now());
        }
        assert_eq!(step.is_err(), fails_at.is_some());
    }
    assert_eq!(deleted.len(), 2);
    assert!(browsers.iter().all(|browser| browser.begin(&site.sessions).load().unwrap().is_new()));
}

#[test]
fn a_logout_ends_what_is_sound_too_and_no_session_at_all_is_no_error() {
    let site = Site::new();
    let mut browser = logged_in(&site);
    let lazy = browser.begin(&site.sessions);
    lazy.delete().unwrap();
    lazy.delete().unwrap();
    assert_eq!(lazy.load().unwrap().insert("user", "eve").unwrap_err().kind(), ErrorKind::Ended);
    let before = browser.clone();
    browser.receive(&lazy.commit().unwrap());
    assert_eq!(lazy.delete().unwrap_err().kind(), ErrorKind::AlreadyCommitted);
    assert!(browser.is_empty());
    assert!(before.begin(&site.sessions).load().unwrap().is_new());

    let nobody = browser.begin(&site.sessions);
    nobody.delete().unwrap();
    assert_eq!(nobody.commit().unwrap().set_cookies().len(), 0);
    let late = before.begin(&site.sessions);
    late.commit().unwrap();
    assert_eq!(late.delete().unwrap_err().kind(), ErrorKind::AlreadyCommitted);
}

/// An outage is no damage: who cannot be logged out is told so, and tries again.
#[test]
fn a_logout_that_does_not_reach_the_store_is_an_error_and_can_be_tried_again() {
    for policy in [OutagePolicy::Fail, OutagePolicy::Anonymous] {
        let site = Site::with(|builder| builder.with_outage(policy));
        for by_the_same_request in [false, true] {
            let browser = logged_in(&site);
            let lazy = browser.begin(&site.sessions);
            site.store.arm(1, DOWN);
            assert_eq!(lazy.delete().unwrap_err().kind(), ErrorKind::Unavailable, "{policy:?}");
            let again = if by_the_same_request { lazy } else { browser.begin(&site.sessions) };
            again.delete().unwrap();
            again.commit().unwrap();
            assert!(browser.begin(&site.sessions).load().unwrap().is_new(), "{policy:?}");
        }
    }
}

/// Table row 27: a peer's collector ends with its first error.
#[test]
fn a_collector_goes_on_after_a_failure() {
    let site = Site::new();
    let _session = logged_in(&site);
    site.clock.advance(3 * HOUR);
    site.store.arm(1, DOWN);
    let collector = site.sessions.collect_every(std::time::Duration::from_millis(1)).unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while collector.swept() == 0 && std::time::Instant::now() < end {
        std::thread::yield_now();
    }
    assert_eq!(collector.failures(), 1);
    assert!(collector.swept() > 0);
    drop(collector);
}

/// A store whose first sweep panics; it tells of each.
#[derive(Debug)]
struct Panicking {
    inner: Arc<MemoryNamespace>,
    sweeps: mpsc::Sender<u32>,
    swept: AtomicU32,
}

impl Namespace for Panicking {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, latency, clock, stats, get, set, set_if, remove, clear, claim,
        fulfil,
    );

    fn sweep(&self) -> Result<Swept, beaker_namespace::Error> {
        let number = self.swept.fetch_add(1, Ordering::SeqCst);
        let _ = self.sweeps.send(number);
        assert!(number > 0, "the first sweep panics");
        self.inner.sweep()
    }
}

fn panicking() -> (Sessions, mpsc::Receiver<u32>) {
    let inner = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let (sweeps, seen) = mpsc::channel();
    let store = Arc::new(Panicking { inner, sweeps, swept: AtomicU32::new(0) });
    (Sessions::builder().with_namespace(store).build().unwrap(), seen)
}

#[test]
fn a_collector_goes_on_after_a_panic_of_the_store_and_counts_it() {
    let (sessions, seen) = panicking();
    let collector = sessions.collect_every(Duration::from_millis(1)).unwrap();
    for number in 0..3 {
        // The bound only turns a thread that has ended into a failure.
        assert_eq!(seen.recv_timeout(Duration::from_secs(30)), Ok(number));
    }
    assert_eq!(collector.failures(), 1);
}

/// Section 4, 8. Dropping it waits for a sweep that was begun, so there is none later.
#[test]
fn a_collector_sweeps_first_after_one_period() {
    let (sessions, seen) = panicking();
    drop(sessions.collect_every(Duration::from_secs(3_600)).unwrap());
    assert_eq!(seen.try_recv(), Err(mpsc::TryRecvError::Empty));
}

/// A store that tells which thread sweeps it.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Sweeper {
    inner: std::sync::Arc<MemoryNamespace>,
    told: std::sync::mpsc::Sender<std::path::PathBuf>,
}

#[cfg(target_os = "linux")]
impl Namespace for Sweeper {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, latency, clock, stats, get, set, set_if, remove, clear, claim,
        fulfil,
    );

    fn sweep(&self) -> Result<Swept, beaker_namespace::Error> {
        let thread = std::fs::read_link("/proc/thread-self").expect("the system tells threads");
        let _ = self.told.send(thread);
        self.inner.sweep()
    }
}

/// F64: when a collector is dropped its thread is gone, and not only told to go.
#[cfg(target_os = "linux")]
#[test]
fn a_collector_that_is_dropped_leaves_no_thread() {
    let inner = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let (told, threads) = std::sync::mpsc::channel();
    let store = std::sync::Arc::new(Sweeper { inner, told });
    let sessions = beaker_session::Sessions::builder().with_namespace(store).build().unwrap();
    let collector = sessions.collect_every(std::time::Duration::from_millis(1)).unwrap();
    let thread = threads.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
    let thread = std::path::Path::new("/proc").join(thread);
    assert!(thread.exists(), "control: {}", thread.display());
    drop(collector);
    // The system takes a thread that was joined out of its list a moment later.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while thread.exists() && std::time::Instant::now() < end {
        std::thread::yield_now();
    }
    assert!(!thread.exists(), "{}", thread.display());
}
