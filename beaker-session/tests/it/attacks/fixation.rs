//! Ids that somebody else has chosen or seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use beaker_namespace::ErrorKind as Store;
use beaker_namespace::testkit::Fault;
use beaker_session::{Builder, Entropy, Error, ErrorKind, Loaded, Origin, SessionId, Sessions};

use crate::browser::Browser;
use crate::site::{HOUR, Site, clock, in_memory, ring, secret};

fn logged_in(sessions: &Sessions) -> Browser {
    let mut browser = Browser::new();
    browser.visit(sessions, |session| session.insert("user", "ada")).unwrap();
    browser
}

/// 1, F51
#[test]
fn a_planted_id_is_never_adopted() {
    let site = Site::new();
    for number in 0..1_000_u32 {
        let mut bytes = [7; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let planted = SessionId::from_bytes(bytes);
        let mut browser = Browser::with(&format!("__Host-id={}", planted.expose_text()));
        let id = browser.visit(&site.sessions, |session| {
            assert_eq!(session.origin(), Origin::Unknown);
            session.insert("user", "victim")?;
            session.save()?;
            Ok(session.id())
        });
        assert!(id.unwrap().is_some_and(|id| id != planted));
        assert_ne!(browser.header(), format!("__Host-id={}", planted.expose_text()));
        let left = site.sessions.store().load(&planted.hashed()).unwrap();
        assert!(matches!(left, Loaded::Absent), "{left:?}");
    }
}

/// 1, F51: of a thousand ids that the site itself has signed, with a key that was rotated out since,
/// half by a logout and half by their age.
#[test]
fn an_id_that_an_old_key_signed_is_never_adopted_either() {
    let site = Site::with(|builder| builder.with_keys(ring(1)));
    let live = logged_in(&site.sessions);
    let planted: Vec<Browser> = (0..1_000)
        .map(|number| {
            let mut browser = logged_in(&site.sessions);
            let planted = browser.clone();
            if number % 2 == 0 {
                browser.visit(&site.sessions, |session| session.delete()).unwrap();
            }
            planted
        })
        .collect();
    site.clock.advance(HOUR / 2);
    live.clone().visit(&site.sessions, |session| session.add("visits", 1)).unwrap();
    site.clock.advance(HOUR / 2);
    for (keys, is_known) in [(ring(2).with_retired(secret(1)), true), (ring(2), false)] {
        site.sessions.set_keys(&keys).unwrap();
        assert_eq!(live.sees(&site.sessions, "user").is_some(), is_known, "control");
        for planted in &planted {
            let mut victim = planted.clone();
            victim
                .visit(&site.sessions, |session| {
                    assert_eq!(session.origin(), Origin::Unknown);
                    session.insert("user", "victim")
                })
                .unwrap();
            let [old, new] = [planted, &victim].map(|browser| id_in(&browser.header()));
            assert_ne!(old, new);
            let key = SessionId::parse(&old).unwrap().hashed();
            if let Loaded::Present(left) = site.sessions.store().load(&key).unwrap() {
                assert_eq!(left.record.get("user"), Some(&"ada".into()), "a store may keep it");
            }
            assert_eq!(planted.sees(&site.sessions, "user"), None);
            assert_eq!(victim.sees(&site.sessions, "user"), Some("victim".into()));
        }
    }
}

/// The text of the id in a cookie that is signed.
fn id_in(header: &str) -> String {
    let value = header.split('=').nth(1).unwrap();
    value.split('.').next().unwrap().to_owned()
}

/// 2
#[test]
fn after_a_login_the_old_id_opens_nothing() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("cart", "pear")).unwrap();
    let mut old = browser.clone();
    browser
        .visit(&site.sessions, |session| {
            session.renew()?;
            session.insert("user", "ada")
        })
        .unwrap();
    assert_ne!(browser.header(), old.header());
    assert_eq!(browser.sees(&site.sessions, "cart"), Some("pear".into()));

    // For a while the old id is known to be renewed: it shows nothing, and its late request
    // disturbs nothing.
    let request = old.begin(&site.sessions);
    let session = request.load().unwrap();
    assert_eq!((session.origin(), session.is_empty()), (Origin::Renewed, true));
    assert_eq!(session.insert("a", 1).unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(request.commit().unwrap().set_cookies().len(), 0);

    site.clock.advance(Duration::from_secs(61));
    old.visit(&site.sessions, |session| {
        assert_eq!((session.origin(), session.is_empty()), (Origin::Unknown, true));
        Ok(())
    })
    .unwrap();
    assert_eq!(browser.sees(&site.sessions, "user"), Some("ada".into()));
}

/// 2
#[test]
fn a_logout_with_the_old_id_ends_the_renewed_session() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("user", "ada")).unwrap();
    let mut old = browser.clone();
    browser.visit(&site.sessions, |session| session.renew()).unwrap();
    assert!(browser.sees(&site.sessions, "user").is_some());
    old.visit(&site.sessions, |session| session.delete()).unwrap();
    assert_eq!(browser.sees(&site.sessions, "user"), None);
}

/// 3: peers delete the old session first.
#[test]
fn a_renewal_whose_store_fails_at_any_operation_leaves_a_session_that_works() {
    for nth in 1..=4 {
        for fault in [Fault::Fail(Store::Unavailable), Fault::Tear(Store::Unavailable)] {
            let site = Site::new();
            let mut browser = Browser::new();
            browser.visit(&site.sessions, |session| session.insert("user", "ada")).unwrap();
            let request = browser.begin(&site.sessions);
            let session = request.load().unwrap();
            session.renew().unwrap();
            site.store.arm(nth, fault);
            let saved = session.save();
            let faulty = site.store.injected();
            site.store.disarm();
            assert_eq!(saved.is_err(), faulty == 1, "{fault:?} at {nth}");
            assert_eq!(faulty == 1, nth <= 2, "a renewal is two operations");
            // Trying again settles it, unless the answer to the last step was lost: then it is
            // done.
            let again = session.save();
            let done = matches!(fault, Fault::Tear(_)) && nth == 2;
            match again {
                Ok(()) => assert!(!done),
                Err(error) => assert!(done && error.kind() == ErrorKind::Ended, "{error}"),
            }
            if !done {
                browser.receive(&request.commit().unwrap());
                assert_eq!(browser.sees(&site.sessions, "user"), Some("ada".into()));
            }
        }
    }
}

/// A random source that gives each number so many times.
#[derive(Debug)]
struct Repeating {
    times: u8,
    drawn: AtomicU8,
}

impl Repeating {
    fn times(times: u8) -> Arc<Self> {
        Arc::new(Self { times, drawn: AtomicU8::new(0) })
    }
}

impl Entropy for Repeating {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        bytes.fill(self.drawn.fetch_add(1, Ordering::SeqCst) / self.times);
        Ok(())
    }
}

/// F50
#[test]
fn an_id_that_is_taken_leaves_the_session_of_its_owner_untouched() {
    let site = Site::with(|builder| builder.with_entropy(Repeating::times(3)));
    let mut ada = Browser::new();
    ada.visit(&site.sessions, |session| session.insert("user", "ada")).unwrap();
    let mut grace = Browser::new();
    grace.visit(&site.sessions, |session| session.insert("user", "grace")).unwrap();
    assert_ne!(ada.header(), grace.header());
    assert_eq!(ada.sees(&site.sessions, "user"), Some("ada".into()));
    assert_eq!(grace.sees(&site.sessions, "user"), Some("grace".into()));
}

/// F50
#[test]
fn a_renewal_that_draws_a_taken_id_draws_another_and_takes_nobody_s() {
    let clock = clock();
    let settings = |builder: Builder| builder.with_entropy(Repeating::times(3));
    for sessions in [Site::with(settings).sessions, in_memory(&clock, settings)] {
        let [mut ada, mut grace] = [Browser::new(), Browser::new()];
        grace.visit(&sessions, |session| session.insert("user", "grace")).unwrap();
        ada.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
        let old = ada.header();
        // Draws the id of its own session first.
        ada.visit(&sessions, |session| session.renew()).unwrap();
        assert!(ada.header() != old && ada.header() != grace.header());
        assert_eq!(ada.sees(&sessions, "user"), Some("ada".into()));
        assert_eq!(grace.sees(&sessions, "user"), Some("grace".into()));
        assert_eq!(Browser::with(&old).sees(&sessions, "user"), None);
    }
}

/// F50
#[test]
fn a_renewal_gives_up_on_a_random_source_that_repeats_itself_and_the_old_session_stays() {
    for subject in [None, Some("ada")] {
        let site = Site::with(|builder| builder.with_entropy(Repeating::times(u8::MAX)));
        let mut browser = Browser::new();
        browser
            .visit(&site.sessions, |session| {
                subject.map_or(Ok(()), |subject| session.set_subject(subject, None))?;
                session.insert("user", "ada")
            })
            .unwrap();
        let request = browser.begin(&site.sessions);
        let session = request.load().unwrap();
        session.renew().unwrap();
        session.insert("user", "grace").unwrap();
        let operations = site.operations(|| {
            assert_eq!(session.save().unwrap_err().kind(), ErrorKind::Entropy);
        });
        assert!((8..64).contains(&operations), "{operations} operations");
        assert_eq!(browser.sees(&site.sessions, "user"), Some("ada".into()));
        // Without the renewal what was changed can be saved.
        session.revert().unwrap();
        session.insert("user", "grace").unwrap();
        browser.receive(&request.commit().unwrap());
        assert_eq!(browser.sees(&site.sessions, "user"), Some("grace".into()));
        assert_eq!(site.sessions.counts().renewed, 0);
    }
}
