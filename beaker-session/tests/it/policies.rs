//! What a site decides by settings of its own, and what it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use beaker_namespace::ErrorKind as Store;
use beaker_namespace::testkit::Fault;
use beaker_session::{
    AccessPolicy, Admission, CorruptPolicy, Data, ErrorKind, KeyRing, MergePolicy, NamespaceStore,
    Origin, Refusal, Rescued, Sessions,
};

use crate::browser::Browser;
use crate::site::{HOUR, Site, clock, ring, sealed, secret};

fn logged_in(sessions: &Sessions) -> Browser {
    let mut browser = Browser::new();
    browser.visit(sessions, |session| session.insert("user", "ada")).unwrap();
    browser
}

/// 1b, 21: a site restores what it can, and decides by what was damaged.
#[test]
fn a_damaged_record_can_be_rescued_from_elsewhere() {
    let site = Site::with(|builder| {
        builder.with_corrupt(CorruptPolicy::custom(|key, error| {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            let copy = format!("the copy of {}", key.to_text().unwrap().len());
            Rescued::Values(Data::from([("user".to_owned(), copy.into())]))
        }))
    });
    let mut browser = logged_in(&site.sessions);
    let damaged = browser.clone();
    site.spoil();
    let rescued = |session: &beaker_session::Session| {
        assert_eq!((session.origin(), session.is_new()), (Origin::Corrupt, true));
        assert_eq!(session.get::<String>("user")?.as_deref(), Some("the copy of 32"));
        session.insert("more", 1)
    };
    browser.visit(&site.sessions, rescued).unwrap();
    assert_ne!(browser.header(), damaged.header(), "it goes on under a new id");
    let stored = browser.begin(&site.sessions).load().unwrap();
    assert_eq!(stored.keys(), ["more", "user"]);
    assert_eq!(stored.expires().unwrap(), site_end(&site), "with the site's time-outs");
    let old = damaged.begin(&site.sessions).load().unwrap();
    assert_eq!(old.origin(), Origin::Renewed, "it took the place of the damaged one");
    assert_eq!((site.sessions.counts().created, site.sessions.counts().renewed), (2, 0));
}

/// Another program has its key, say, or it was restored since.
#[test]
fn what_turns_out_not_to_be_damaged_goes_on_with_what_the_rescue_changed() {
    let copy = || Rescued::Values(Data::from([("user".to_owned(), "copy".into())]));
    let site = Site::with(|b| b.with_corrupt(CorruptPolicy::custom(move |_, _| copy())));
    let mut browser = logged_in(&site.sessions);
    let before = browser.header();
    site.store.arm(1, Fault::Fail(Store::Corrupt));
    browser.visit(&site.sessions, |session| session.insert("more", 1)).unwrap();
    assert_eq!((browser.header(), site.entries()), (before, 1));
    assert_eq!(browser.sees(&site.sessions, "user"), Some("ada".into()));
    assert_eq!(browser.sees(&site.sessions, "more"), Some(1.into()));
}

/// When a session that was used now ends.
fn site_end(site: &Site) -> beaker_namespace::Timestamp {
    beaker_namespace::Clock::now(&*site.clock).saturating_add(HOUR)
}

#[test]
fn a_custom_policy_can_do_what_the_others_do() {
    for (seen, expected) in [(0, Ok(Origin::Corrupt)), (1, Err(ErrorKind::Corrupt))] {
        let site = Site::with(|builder| {
            builder.with_corrupt(CorruptPolicy::custom(move |_key, _error| match seen {
                0 => Rescued::Fresh,
                _ => Rescued::Failed,
            }))
        });
        let browser = logged_in(&site.sessions);
        site.store.arm(1, Fault::Fail(Store::Corrupt));
        let loaded = browser.begin(&site.sessions).load();
        let origin = loaded.map(|session| session.origin()).map_err(|error| error.kind());
        assert_eq!(origin, expected);
    }
}

/// 26: a flood of visitors is refused, and those who are there go on.
#[test]
fn a_new_session_is_made_only_if_the_hook_admits_it() {
    for in_cookies in [false, true] {
        let left = Arc::new(AtomicU32::new(2));
        let hook = {
            let left = Arc::clone(&left);
            move |_now| match left.load(Ordering::Relaxed) {
                0 => Admission::Refuse,
                _ => {
                    left.fetch_sub(1, Ordering::Relaxed);
                    Admission::Admit
                }
            }
        };
        let site = Site::new();
        let sessions = match in_cookies {
            true => sealed(&clock(), |builder| builder.with_admission(hook)),
            false => {
                let builder = Sessions::builder().with_namespace(site.store.clone());
                builder.with_clock(site.clock.clone()).with_admission(hook).build().unwrap()
            }
        };
        let [mut ada, eve] = [(); 2].map(|()| logged_in(&sessions));
        assert_eq!(left.load(Ordering::Relaxed), 0, "each was asked about once");
        let entries = site.entries();
        let mut late = Browser::new();
        let refused = late.begin(&sessions);
        refused.load().unwrap().insert("user", "mallory").unwrap();
        assert_eq!(refused.commit().unwrap_err().kind(), ErrorKind::NotAdmitted);
        assert_eq!((site.entries(), sessions.counts().not_admitted), (entries, 1));
        ada.visit(&sessions, |session| session.insert("clicks", 1)).unwrap();
        ada.visit(&sessions, |session| session.renew()).unwrap();
        assert!(eve.sees(&sessions, "user").is_some());
        assert_eq!(sessions.counts().not_admitted, 1, "who is there is not asked about");
        late.visit(&sessions, |session| session.get::<u32>("user")).unwrap();
        left.store(1, Ordering::Relaxed);
        late.visit(&sessions, |session| session.insert("user", "mallory")).unwrap();
        assert!(late.sees(&sessions, "user").is_some(), "control");
    }
}

/// Section 5, 9
#[test]
fn merges_skipped_touches_bytes_and_collected_sessions_are_counted() {
    let every = AccessPolicy::AtMostEvery(Duration::from_secs(60));
    let site = Site::with(|builder| builder.with_access(every));
    let sessions = &site.sessions;
    let mut browser = logged_in(sessions);
    let first = sessions.counts().bytes_stored;
    assert!((8..40).contains(&first), "{first} bytes for {{\"user\":\"ada\"}}");
    browser.visit(sessions, |session| session.insert("more", "m".repeat(1_000))).unwrap();
    let second = sessions.counts().bytes_stored - first;
    assert!((1_000..1_100).contains(&second), "{second} bytes for the whole record");

    browser.visit(sessions, |session| session.get::<String>("user")).unwrap();
    assert_eq!((sessions.counts().touched, sessions.counts().touches_skipped), (0, 1));
    site.clock.advance(Duration::from_secs(60));
    browser.visit(sessions, |session| session.get::<String>("user")).unwrap();
    assert_eq!((sessions.counts().touched, sessions.counts().touches_skipped), (1, 1));
    Browser::new().visit(sessions, |session| session.get::<String>("user")).unwrap();
    assert_eq!(sessions.counts().touches_skipped, 1, "there is nothing to be touched");

    let [one, two] = [browser.begin(sessions), browser.begin(sessions)];
    one.load().unwrap().add("clicks", 1).unwrap();
    two.load().unwrap().add("clicks", 1).unwrap();
    let (_one, _two) = (one.commit().unwrap(), two.commit().unwrap());
    assert_eq!((sessions.counts().conflicts, sessions.counts().merges), (1, 1));
    assert_eq!(browser.sees(sessions, "clicks"), Some(2.into()), "control");

    site.clock.advance(3 * HOUR);
    let swept = sessions.sweep().unwrap();
    assert!(swept > 0);
    assert_eq!(sessions.counts().collected, swept);
}

#[test]
fn a_conflict_that_is_not_merged_is_counted_as_none() {
    for merge in [MergePolicy::LastWriterWins, MergePolicy::Fail] {
        let site = Site::with(|builder| builder.with_merge(merge));
        let browser = logged_in(&site.sessions);
        let [one, two] = [(); 2].map(|()| browser.begin(&site.sessions));
        one.load().unwrap().insert("a", 1).unwrap();
        two.load().unwrap().insert("b", 1).unwrap();
        let (_one, _two) = (one.commit().unwrap(), two.commit());
        assert_eq!((site.sessions.counts().conflicts, site.sessions.counts().merges), (1, 0));
    }
}

/// Section 4, 15: each way in which a cookie can be bad has its own name.
#[test]
fn it_is_explained_why_a_cookie_is_refused() {
    let site = Site::with(|builder| builder.with_keys(ring(1)));
    let (sealed_site, clock) = (Site::new(), clock());
    let store = NamespaceStore::new(sealed_site.store.clone()).unwrap();
    let whole = sealed(&clock, |builder| builder.with_epochs(store));
    for (sessions, clock) in [(&site.sessions, &site.clock), (&whole, &clock)] {
        let browser = logged_in(sessions);
        let explain = |header: &str| sessions.explain([header.as_bytes()]);
        let good = browser.header();
        assert_eq!(explain(&good), [Ok(())]);
        assert_eq!(explain("other=1"), []);
        let (cut, flipped) = (&good[..good.len() - 4], format!("{}AAAA", &good[..good.len() - 4]));
        assert_eq!(explain("__Host-id=x"), [Err(Refusal::Malformed)]);
        assert_ne!(explain(cut), [Ok(())]);
        assert_eq!(explain(&flipped), [Err(Refusal::BadSignature)]);
        assert_eq!(explain(&format!("__Host-id=; {good}")), [Err(Refusal::Malformed), Ok(())]);

        sessions.set_keys(&ring(2)).unwrap();
        assert_eq!(explain(&good), [Err(Refusal::UnknownKey)]);
        let now = beaker_namespace::Clock::now(&**clock);
        let retired = KeyRing::new(secret(2)).with_retired_until(secret(1), now);
        sessions.set_keys(&retired).unwrap();
        assert_eq!(explain(&good), [Err(Refusal::RetiredKey)]);
        sessions.set_keys(&ring(1)).unwrap();
        assert_eq!(explain(&good), [Ok(())], "control");
    }
    let good = logged_in(&whole).header();
    clock.set(beaker_namespace::Clock::now(&*clock).saturating_sub(HOUR));
    assert_eq!(whole.explain([good.as_bytes()]), [Err(Refusal::FromTheFuture)]);
    clock.advance(2 * HOUR);
    assert_eq!(whole.explain([good.as_bytes()]), [Err(Refusal::Expired)]);
}

/// Section 5, 6: the kit's failing store, at each call of a log-in.
#[test]
#[cfg(feature = "testkit")]
fn a_store_that_fails_on_demand_fails_before_or_after_the_call_that_was_named() {
    use beaker_session::testkit::{Failing, Failure};

    for (failure, stored) in [(Failure::Before, 0), (Failure::After, 1)] {
        let site = Site::new();
        let store = Failing::new(NamespaceStore::new(site.store.clone()).unwrap());
        let sessions = Sessions::builder().with_store(store.clone()).build().unwrap();
        store.arm(2, failure, ErrorKind::Unavailable);
        let mut browser = logged_in(&sessions);
        assert_eq!((store.calls(), site.entries()), (1, 1), "the first is not the one");
        let failed = browser.begin(&sessions).load().unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Unavailable);
        assert!(browser.sees(&sessions, "user").is_some(), "it fails once");

        store.arm(1, failure, ErrorKind::Corrupt);
        let request = Browser::new().begin(&sessions);
        request.load().unwrap().insert("user", "eve").unwrap();
        assert_eq!(request.commit().unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(site.entries(), 1 + stored, "{failure:?}");
        store.arm(1, failure, ErrorKind::Unavailable);
        store.disarm();
        browser.visit(&sessions, |session| session.insert("more", 1)).unwrap();
    }
}

/// As of a renewal: who is told that it failed tries again, and nobody comes to what a first try has left.
#[test]
#[cfg(feature = "testkit")]
fn a_rescue_that_cannot_be_stored_fails_and_can_be_tried_again() {
    use beaker_session::testkit::{Failing, Failure};

    let copy = || Data::from([("user".to_owned(), "copy".into())]);
    let rescue =
        move |_: &beaker_session::RecordKey, _: &beaker_session::Error| Rescued::Values(copy());
    for (failure, again) in [(Failure::Before, Ok(())), (Failure::After, Err(ErrorKind::Ended))] {
        let site = Site::new();
        let store = Failing::new(NamespaceStore::new(site.store.clone()).unwrap());
        let builder = Sessions::builder().with_store(store.clone());
        let sessions = builder.with_corrupt(CorruptPolicy::custom(rescue)).build().unwrap();
        let mut browser = logged_in(&sessions);
        site.spoil();
        let request = browser.begin(&sessions);
        let session = request.load().unwrap();
        session.insert("more", 1).unwrap();
        store.arm(1, failure, ErrorKind::Unavailable);
        assert_eq!(session.save().unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(session.save().map_err(|error| error.kind()), again, "{failure:?}");
        browser.receive(&request.commit().unwrap());
        let seen = again.is_ok().then(|| "copy".into());
        assert_eq!(browser.sees(&sessions, "user"), seen, "{failure:?}");
        assert_eq!((site.entries(), sessions.counts().outages), (2, 1), "{failure:?}");
    }
}
