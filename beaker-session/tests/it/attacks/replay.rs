//! Saved cookies of cookie-only sessions, sent again.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use beaker_backends::proxy::{Encrypted, KeyRing};
use beaker_namespace::testkit::Fault;
use beaker_namespace::{
    Clock, ErrorKind as Store, FileConfig, FileNamespace, ManualClock, MemoryConfig,
    MemoryNamespace, Namespace, Scan, SystemClock,
};
use beaker_session::{
    Builder, CorruptPolicy, Data, Error, ErrorKind, NamespaceStore, Origin, Rescued, Session,
    Sessions,
};

use crate::browser::Browser;
use crate::site::{DAY, HOUR, Site, clock, flip_all, sealed};

/// What a request does to its session.
type Work = fn(&Session) -> Result<(), Error>;

/// Sessions in cookies, and the store that knows which of them are over.
fn revocable() -> (Sessions, Site, Arc<ManualClock>) {
    let site = Site::new();
    let store = NamespaceStore::new(site.store.clone()).unwrap();
    let sessions = sealed(&site.clock, |builder| builder.with_epochs(store));
    let clock = site.clock.clone();
    (sessions, site, clock)
}

fn logged_in(sessions: &Sessions, subject: Option<&str>) -> Browser {
    let mut browser = Browser::new();
    let login = |session: &Session| {
        subject.map_or(Ok(()), |subject| session.set_subject(subject, None))?;
        session.insert("user", "ada")
    };
    browser.visit(sessions, login).unwrap();
    browser
}

/// 5, F55: logout, and the saved cookie sent again; the user's other devices stay.
#[test]
fn a_saved_cookie_is_worth_nothing_after_a_logout() {
    let leave: [Work; 2] = [Session::delete, Session::invalidate];
    for subject in [Some("ada"), None] {
        for leave in leave {
            let (sessions, _site, clock) = revocable();
            let [mut phone, laptop] = [(); 2].map(|()| logged_in(&sessions, subject));
            let saved = phone.clone();
            assert!(saved.sees(&sessions, "user").is_some(), "control");
            phone.visit(&sessions, leave).unwrap();
            assert_eq!(saved.sees(&sessions, "user"), None);
            assert!(laptop.sees(&sessions, "user").is_some(), "another session of the same user");
            clock.advance(HOUR - HOUR / 60);
            assert_eq!(saved.sees(&sessions, "user"), None, "as long as it could live");
            assert_eq!(sessions.counts().ended, 1);
        }
    }
    let without = sealed(&clock(), |builder| builder);
    let mut browser = logged_in(&without, None);
    let saved = browser.clone();
    browser.visit(&without, Session::delete).unwrap();
    assert!(saved.sees(&without, "user").is_some(), "control: nobody remembers it without a store");
}

/// 5: each cookie says itself how long it lives.
#[test]
fn a_saved_cookie_of_before_the_limits_were_shortened_is_worth_nothing_after_a_logout() {
    let leave: [Work; 3] = [Session::delete, Session::invalidate, Session::renew];
    let shorter = [(Some(HOUR), Some(HOUR)), (Some(HOUR), Some(DAY)), (Some(HOUR), None)];
    for (leave, (idle, absolute)) in leave.iter().flat_map(|leave| shorter.map(|to| (leave, to))) {
        let (sessions, _site, clock) = revocable();
        let [mut phone, mut laptop] = [(); 2].map(|()| logged_in(&sessions, None));
        let remember = |session: &Session| session.set_limits(Some(30 * DAY), Some(30 * DAY));
        phone.visit(&sessions, remember).unwrap();
        laptop.visit(&sessions, remember).unwrap();
        let saved = phone.clone();
        phone.visit(&sessions, |session| session.set_limits(idle, absolute)).unwrap();
        phone.visit(&sessions, |session| session.insert("clicks", 1)).unwrap();
        phone.visit(&sessions, leave).unwrap();
        clock.advance(3 * DAY);
        assert!(laptop.sees(&sessions, "user").is_some(), "control");
        assert_eq!(saved.sees(&sessions, "user"), None, "{idle:?} {absolute:?}");
    }
}

/// Only the old id had cookies of two lives.
#[test]
fn the_mark_of_a_session_whose_id_has_had_one_life_only_ends() {
    let (sessions, site, clock) = revocable();
    let mut phone = logged_in(&sessions, None);
    let limits = |days| move |session: &Session| session.set_limits(None, Some(days * DAY));
    phone.visit(&sessions, limits(30)).unwrap();
    let renew = |session: &Session| {
        session.renew()?;
        limits(7)(session)
    };
    phone.visit(&sessions, renew).unwrap();
    phone.visit(&sessions, Session::delete).unwrap();
    assert_eq!(site.entries(), 2);
    clock.advance(9 * DAY);
    sessions.sweep().unwrap();
    assert_eq!(site.entries(), 1, "that of the old id stays");
}

/// 5: the mark that is made in place of a damaged one, by a cookie that lives shorter than others.
#[test]
fn a_mark_that_is_made_anew_is_there_for_good() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let config = MemoryConfig::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let memory = MemoryNamespace::anonymous(config).unwrap();
    let keys = KeyRing::new(1, &[7; 32]).unwrap();
    let store = NamespaceStore::new(Arc::new(Encrypted::new(Arc::clone(&memory), keys))).unwrap();
    let sessions = sealed(&clock, |builder| builder.with_epochs(store));
    let mut phone = logged_in(&sessions, None);
    let first = phone.clone();
    phone.visit(&sessions, |session| session.set_limits(None, Some(30 * DAY))).unwrap();
    let saved = phone.clone();
    phone.visit(&sessions, Session::delete).unwrap();
    flip_all(&memory);
    assert_eq!(first.begin(&sessions).load().unwrap().origin(), Origin::Corrupt);
    clock.advance(3 * DAY);
    sessions.sweep().unwrap();
    assert_eq!(saved.sees(&sessions, "user"), None);
}

/// 5: of what is damaged a store may have nothing left.
#[test]
fn a_logout_that_meets_a_damaged_mark_makes_one() {
    for subject in [Some("ada"), None] {
        let (sessions, site, _clock) = revocable();
        let mut phone = logged_in(&sessions, subject);
        let saved = phone.clone();
        let logout = phone.begin(&sessions);
        site.store.arm(1, Fault::Fail(Store::Corrupt));
        logout.delete().unwrap();
        assert_eq!(site.store.injected(), 1, "control");
        phone.receive(&logout.commit().unwrap());
        assert!(phone.is_empty());
        assert_eq!(saved.sees(&sessions, "user"), None);
    }
}

/// 5: a sweep drops a damaged mark, and so may another program's read. Who read it first has made a good one.
#[test]
fn a_mark_that_is_damaged_says_all_the_same_that_the_session_has_ended_and_is_made_anew() {
    let values = || Rescued::Values(Data::from([("user".to_owned(), "copy".into())]));
    let customs = [
        CorruptPolicy::custom(|_, _| Rescued::Failed),
        CorruptPolicy::custom(move |_, _| values()),
    ];
    let [failing, rescuing] = customs;
    for (policy, fails) in [
        (CorruptPolicy::Fresh, false),
        (CorruptPolicy::Fail, true),
        (failing, true),
        (rescuing, false),
    ] {
        for subject in [Some("ada"), None] {
            let dir = tempfile::tempdir().unwrap();
            let files = FileNamespace::open("ended", FileConfig::new(dir.path())).unwrap();
            let store = NamespaceStore::new(Arc::new(files)).unwrap();
            let settings =
                |builder: Builder| builder.with_epochs(store).with_corrupt(policy.clone());
            let sessions = sealed(&Arc::new(ManualClock::new(SystemClock.now())), settings);
            let mut phone = logged_in(&sessions, subject);
            let saved = phone.clone();
            phone.visit(&sessions, Session::delete).unwrap();
            assert_eq!(damage_files(dir.path()), 1, "the mark");

            let met = saved.begin(&sessions).load();
            match fails {
                true => assert_eq!(met.unwrap_err().kind(), ErrorKind::Corrupt),
                false => {
                    let session = met.unwrap();
                    assert_eq!((session.origin(), session.is_empty()), (Origin::Corrupt, true));
                }
            }
            sessions.sweep().unwrap();
            let again = saved.begin(&sessions).load().unwrap();
            assert_eq!((again.origin(), again.is_empty()), (Origin::Unknown, true), "{policy:?}");
            assert_eq!(sessions.counts().corrupt, 1, "it was met once");
        }
    }
}

/// 5: in a store that has it whole, as of a program that writes other marks, it stays for as long as it was made
/// for. So nothing is to be made in its place, and no `create` succeeds there.
#[test]
fn a_mark_that_is_whole_and_cannot_be_read_says_so_too_and_stays_as_it_is() {
    let values = || Rescued::Values(Data::from([("user".to_owned(), "copy".into())]));
    let rescuing = CorruptPolicy::custom(move |_, _| values());
    for (policy, fails) in
        [(CorruptPolicy::Fresh, false), (CorruptPolicy::Fail, true), (rescuing, false)]
    {
        let site = Site::new();
        let store = NamespaceStore::new(site.store.clone()).unwrap();
        let settings = |builder: Builder| builder.with_epochs(store).with_corrupt(policy);
        let sessions = sealed(&site.clock, settings);
        let mut phone = logged_in(&sessions, None);
        let mut saved = phone.clone();
        phone.visit(&sessions, Session::delete).unwrap();
        site.spoil();
        let mark = || site.store.scan(&Scan::new()).unwrap().entries;
        let before = mark();
        assert_eq!(before.len(), 1, "control");
        for met in 1..=3 {
            let found = saved.begin(&sessions).load();
            match fails {
                true => assert_eq!(found.unwrap_err().kind(), ErrorKind::Corrupt),
                false => assert!(found.unwrap().is_empty()),
            }
            assert_eq!(sessions.counts().corrupt, met);
            sessions.sweep().unwrap();
            assert_eq!(mark(), before);
        }
        let logout = saved.begin(&sessions);
        logout.delete().unwrap();
        saved.receive(&logout.commit().unwrap());
        assert!(saved.is_empty(), "and who logs out is rid of the cookie");
        assert_eq!(mark(), before);
    }
}

/// Writes something else into each entry's file, and says how many there were.
fn damage_files(dir: &Path) -> usize {
    let mut damaged = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damaged += damage_files(&path);
        } else if fs::metadata(&path).unwrap().len() > 64 {
            fs::write(&path, "damaged").unwrap();
            damaged += 1;
        }
    }
    damaged
}

/// 5, 25: the mark that is to be made anew cannot be stored.
#[test]
#[cfg(feature = "testkit")]
fn an_outage_where_a_damaged_mark_is_made_anew_is_one_and_lets_nobody_in() {
    use beaker_session::OutagePolicy;
    use beaker_session::testkit::{Failing, Failure};

    for (policy, expected) in [
        (OutagePolicy::Fail, Err(ErrorKind::Unavailable)),
        (OutagePolicy::ReadOnly, Err(ErrorKind::Unavailable)),
        (OutagePolicy::Anonymous, Ok(Origin::Unreachable)),
    ] {
        let site = Site::new();
        let store = Failing::new(NamespaceStore::new(site.store.clone()).unwrap());
        let settings = |builder: Builder| builder.with_epochs(store.clone()).with_outage(policy);
        let sessions = sealed(&site.clock, settings);
        let mut phone = logged_in(&sessions, None);
        let saved = phone.clone();
        phone.visit(&sessions, Session::delete).unwrap();
        store.arm(1, Failure::Before, ErrorKind::Corrupt);
        store.arm(2, Failure::Before, ErrorKind::Unavailable);
        let met = saved.begin(&sessions).load();
        let met = met.map(|session| session.origin()).map_err(|error| error.kind());
        assert_eq!(met, expected);
        assert_eq!((sessions.counts().corrupt, sessions.counts().outages), (1, 1));
        assert_eq!(saved.sees(&sessions, "user"), None, "the mark is there");
    }
}

/// 2, 5: the cookie of before a login.
#[test]
fn a_saved_cookie_is_worth_nothing_after_a_renewal() {
    let (sessions, site, _clock) = revocable();
    let mut browser = logged_in(&sessions, None);
    let saved = browser.clone();
    browser.visit(&sessions, Session::renew).unwrap();
    assert!(browser.sees(&sessions, "user").is_some());
    let session = saved.begin(&sessions).load().unwrap();
    assert_eq!((session.origin(), session.is_empty()), (Origin::Renewed, true));
    let late = session.insert("user", "eve").unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Ended, "it sets no cookie in place of the new one");
    site.clock.advance(HOUR / 30);
    assert_eq!(saved.begin(&sessions).load().unwrap().origin(), Origin::Unknown, "after the grace");
}

/// 3: a renewal that cannot be noted, or whose cookie would be too large, leaves what was there.
#[test]
fn a_renewal_that_fails_leaves_the_old_cookie_good() {
    let (sessions, site, _clock) = revocable();
    let mut browser = logged_in(&sessions, None);
    let renew = |more: usize| {
        let request = browser.begin(&sessions);
        let session = request.load().unwrap();
        session.insert("more", "m".repeat(more)).unwrap();
        session.renew().unwrap();
        request.commit().map_err(|error| error.kind())
    };
    assert_eq!(renew(4_000).unwrap_err(), ErrorKind::TooLarge);
    assert!(browser.sees(&sessions, "user").is_some());
    site.store.arm(2, Fault::Fail(Store::Unavailable));
    assert_eq!(renew(1).unwrap_err(), ErrorKind::Unavailable);
    assert!(browser.sees(&sessions, "user").is_some());
    let headers = renew(1).unwrap();
    browser.receive(&headers);
    assert!(browser.sees(&sessions, "more").is_some(), "control");
}

/// 24: whichever of both the store hears of first.
#[test]
fn a_logout_wins_over_what_runs_beside_it() {
    let work: [Work; 2] = [Session::renew, |session| session.insert("late", true)];
    for work in work {
        let (sessions, _site, _clock) = revocable();
        let mut browser = logged_in(&sessions, Some("ada"));
        let late = browser.begin(&sessions);
        work(&late.load().unwrap()).unwrap();
        browser.visit(&sessions, Session::delete).unwrap();
        browser.receive(&late.commit().unwrap());
        assert_eq!(browser.sees(&sessions, "user"), None);
    }
}

/// One session among a user's, by the key that it was noted under.
#[test]
fn one_cookie_only_session_is_revoked_by_its_key() {
    let (sessions, _site, clock) = revocable();
    let [phone, laptop] = [(); 2].map(|()| logged_in(&sessions, Some("ada")));
    let key = phone.begin(&sessions).load().unwrap().key().unwrap();
    sessions.revoke(&key).unwrap();
    assert_eq!(phone.sees(&sessions, "user"), None);
    assert!(laptop.sees(&sessions, "user").is_some(), "control");
    sessions.revoke(&key).unwrap();
    clock.advance(HOUR / 2);
    assert_eq!(phone.sees(&sessions, "user"), None);
}

/// The store forgets who logged out when no cookie of theirs can be live any more.
#[test]
fn a_logout_leaves_nothing_in_the_store_for_good() {
    let (sessions, site, clock) = revocable();
    let mut browser = logged_in(&sessions, None);
    browser.visit(&sessions, Session::delete).unwrap();
    assert_eq!(site.entries(), 1);
    clock.advance(2 * DAY + HOUR);
    sessions.sweep().unwrap();
    assert_eq!(site.entries(), 0, "at {:?}", clock.now());
}
