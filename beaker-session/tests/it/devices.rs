//! The sessions of one user: listed, and ended.

use std::sync::Arc;
use std::time::Duration;

use beaker_backends::proxy::{Encrypted, KeyRing};
use beaker_namespace::testkit::Fault;
use beaker_namespace::{
    Clock, ErrorKind as Store, ManualClock, MemoryConfig, MemoryNamespace, Namespace, Payload,
    Scan, Timestamp,
};
use beaker_session::{
    AccessPolicy, Answer, CorruptPolicy, Data, Error, ErrorKind, Loaded, Member, MergePolicy,
    NamespaceStore, Op, Rescued, SessionCore, SessionId, SessionStore, Sessions, Step,
};
use parking_lot::Mutex;

use crate::browser::Browser;
use crate::site::{Beside, HOUR, Site, Unprinted, flip_all};

const MINUTE: Duration = Duration::from_secs(60);

fn log_in(site: &Site) -> Browser {
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.set_subject("ada", None)).unwrap();
    browser
}

fn listed(site: &Site) -> usize {
    site.sessions.store().members("ada").unwrap().len()
}

/// Table row 28
#[test]
fn a_user_s_devices_are_listed_and_ended_one_by_one_or_together() {
    let site = Site::new();
    let login = |label: &'static str| {
        site.clock.advance(HOUR / 60);
        let mut browser = Browser::new();
        browser
            .visit(&site.sessions, |session| {
                session.set_subject("ada", Some(label))?;
                session.insert("user", "ada")
            })
            .unwrap();
        browser
    };
    let labels = || -> Vec<String> {
        let devices = site.sessions.devices("ada").unwrap();
        devices.into_iter().filter_map(|device| device.label).collect()
    };
    let [mut phone, laptop, tablet] = [login("phone"), login("laptop"), login("tablet")];
    assert_eq!(labels(), ["tablet", "laptop", "phone"], "the one used last comes first");

    let key = site.sessions.devices("ada").unwrap()[1].key;
    site.sessions.revoke(&key).unwrap();
    assert_eq!(laptop.sees(&site.sessions, "user"), None);
    assert_eq!(labels(), ["tablet", "phone"]);

    phone.visit(&site.sessions, |session| session.renew()).unwrap();
    assert_eq!(labels().len(), 2, "a renewed session is one device");
    let session = phone.begin(&site.sessions).load().unwrap();
    assert_eq!(site.sessions.revoke_others(&session).unwrap(), 1);
    assert_eq!(tablet.sees(&site.sessions, "user"), None);
    assert_eq!(labels(), ["phone"]);

    assert_eq!(site.sessions.revoke_all("ada").unwrap(), 1);
    assert_eq!(phone.sees(&site.sessions, "user"), None);
    assert_eq!(labels(), [] as [&str; 0]);
    assert_eq!(site.sessions.revoke_all("nobody").unwrap(), 0);
}

#[test]
fn a_session_that_changes_its_subject_leaves_the_other_s_list() {
    let site = Site::new();
    let mut browser = Browser::new();
    for subject in ["ada", "grace"] {
        browser.visit(&site.sessions, |session| session.set_subject(subject, None)).unwrap();
    }
    assert_eq!(site.sessions.devices("ada").unwrap(), []);
    assert_eq!(site.sessions.devices("grace").unwrap().len(), 1);
    // Nor does it end with the other's sessions.
    assert_eq!(site.sessions.revoke_all("ada").unwrap(), 0);
    assert_eq!(site.sessions.devices("grace").unwrap().len(), 1);
    let mut second = Browser::new();
    second.visit(&site.sessions, |session| session.set_subject("ada", None)).unwrap();
    let session = second.begin(&site.sessions).load().unwrap();
    assert_eq!(site.sessions.revoke_others(&session).unwrap(), 0);
    let still = browser.begin(&site.sessions).load().unwrap();
    assert_eq!(still.subject().as_deref(), Some("grace"));
    // The control: back again, it ends with them.
    browser.visit(&site.sessions, |session| session.set_subject("ada", None)).unwrap();
    assert_eq!(site.sessions.revoke_others(&session).unwrap(), 1);
    assert_eq!(browser.begin(&site.sessions).load().unwrap().subject(), None);
}

/// Nobody can say whose it is, and it may be the subject's.
#[test]
fn a_session_whose_record_is_damaged_is_revoked_with_those_of_its_list() {
    let site = Site::new();
    let browsers = [(); 2].map(|()| {
        let mut browser = Browser::new();
        browser.visit(&site.sessions, |session| session.set_subject("ada", None)).unwrap();
        browser
    });
    // The list is read, and then the first of its sessions.
    site.store.arm(2, Fault::Fail(Store::Corrupt));
    assert_eq!(site.sessions.revoke_all("ada").unwrap(), 2);
    for browser in browsers {
        assert_eq!(browser.begin(&site.sessions).load().unwrap().subject(), None);
    }
}

#[test]
fn what_a_revocation_did_not_end_for_an_outage_is_ended_by_calling_again() {
    for nth in 1.. {
        let site = Site::new();
        let mut browser = Browser::new();
        browser.visit(&site.sessions, |session| session.set_subject("ada", None)).unwrap();
        site.store.arm(nth, Fault::Fail(Store::Unavailable));
        let revoked = site.sessions.revoke_all("ada");
        let failed = site.store.injected() == 1;
        site.store.disarm();
        assert_eq!(revoked.is_err(), failed, "at {nth}");
        site.sessions.revoke_all("ada").unwrap();
        assert_eq!(browser.begin(&site.sessions).load().unwrap().subject(), None, "at {nth}");
        if !failed {
            assert!(nth > 4, "{nth}");
            break;
        }
    }
}

#[test]
fn a_device_says_when_it_was_made_and_when_it_was_last_seen() {
    let site = Site::with(|builder| builder.with_access(AccessPolicy::EveryRequest));
    let mut browser = Browser::new();
    let made = site.clock.now();
    browser.visit(&site.sessions, |session| session.set_subject("ada", Some("laptop"))).unwrap();
    site.clock.advance(HOUR / 2);
    let used = site.clock.now();
    browser.visit(&site.sessions, |session| session.get::<i64>("a")).unwrap();
    site.clock.advance(HOUR / 4);
    let device = site.sessions.devices("ada").unwrap().remove(0);
    assert_eq!((device.created, device.last_seen), (made, used));
    assert_eq!(device.label.as_deref(), Some("laptop"));
    // A renewal is no new device.
    let renewed = site.clock.now();
    browser.visit(&site.sessions, |session| session.renew()).unwrap();
    let device = site.sessions.devices("ada").unwrap().remove(0);
    assert_eq!((device.created, device.last_seen), (made, renewed));
}

/// Whether they end by a logout, a renewal, or by themselves.
#[test]
fn a_list_does_not_grow_with_sessions_that_have_ended() {
    type End = fn(&mut Browser, &Site);
    let ends: [(usize, End); 3] = [
        (1_000, |browser, site| browser.visit(&site.sessions, |session| session.delete()).unwrap()),
        (200, |browser, site| {
            browser.visit(&site.sessions, |session| session.renew()).unwrap();
            browser.visit(&site.sessions, |session| session.delete()).unwrap();
        }),
        (200, |_, _| {}),
    ];
    for (logins, end) in ends {
        let site = Site::with(|builder| builder.with_absolute(None));
        let mut phone = log_in(&site);
        for number in 0..logins {
            end(&mut log_in(&site), &site);
            site.clock.advance(6 * MINUTE);
            phone.visit(&site.sessions, |session| session.insert("number", number)).unwrap();
        }
        // Those of the last hour, twice if they were renewed, and those that lived an hour longer.
        assert!(listed(&site) <= 25, "{}", listed(&site));
        assert!(phone.sees(&site.sessions, "number").is_some());
        let _ended = site.sessions.revoke_all("ada").unwrap();
        assert_eq!(phone.sees(&site.sessions, "number"), None, "it was on the list throughout");
    }
}

#[test]
fn an_enrolment_looks_at_few_members_and_at_each_once_an_hour() {
    let site = Site::with(|builder| builder.with_idle(None));
    let _live: Vec<Browser> = (0..50).map(|_| log_in(&site)).collect();
    let operations = || site.operations(|| drop(log_in(&site)));
    let plain = operations();
    site.clock.advance(HOUR);
    let looking: Vec<u64> = (0..13).map(|_| operations()).collect();
    // Four looks, and the list read and written once more.
    assert!(looking.iter().all(|operations| (plain + 1..=plain + 6).contains(operations)));
    assert_eq!(operations(), plain, "all were looked at");
    assert_eq!(listed(&site), 65);
}

/// A session is on the list before it is stored, and is not taken for one that has ended.
#[test]
fn who_is_enrolled_and_not_stored_yet_stays_on_the_list() {
    let site = Site::new();
    let key = SessionId::from_bytes([7; 16]).hashed();
    let until = Timestamp::NEVER;
    site.sessions.store().enroll("ada", &Member { key, until }).unwrap();
    let is_listed = || {
        let members = site.sessions.store().members("ada").unwrap();
        members.iter().any(|member| member.key == key)
    };
    site.clock.advance(HOUR - MINUTE);
    drop(log_in(&site));
    assert!(is_listed());
    site.clock.advance(MINUTE);
    drop(log_in(&site));
    assert!(!is_listed(), "control");
}

/// The store may take its time, and the list may have forgotten it by then.
#[test]
fn who_is_not_stored_soon_is_enrolled_again_before_it_is() {
    let site = Site::new();
    let mut core = SessionCore::new(&site.sessions, []);
    assert!(matches!(core.begin_load(site.clock.now()), Ok(Step::Done)));
    core.session().unwrap().set_subject("ada", None).unwrap();
    let mut step = core.begin_commit(site.clock.now(), false);
    let mut asked = Vec::new();
    let ended = loop {
        let op = match step {
            Ok(Step::Ask(op)) => op,
            ended => break ended,
        };
        let answer = op.run(site.sessions.store(), None);
        asked.push(op);
        // Two answers that come late, and then one in time.
        site.clock.advance(if asked.len() <= 2 { 10 * MINUTE } else { MINUTE / 2 });
        step = core.answer(answer, site.clock.now());
    };
    assert!(matches!(ended, Ok(Step::Done)), "{ended:?}");
    assert!(matches!(
        &asked[..],
        [Op::Enroll { .. }, Op::Enroll { .. }, Op::Enroll { .. }, Op::Create { .. }]
    ));
}

/// Where the last writer wins: by then the first one's list has forgotten the session.
#[test]
fn who_writes_over_another_s_session_puts_it_on_his_list_again() {
    let site =
        Site::with(|builder| builder.with_merge(MergePolicy::LastWriterWins).with_idle(None));
    let mut browser = log_in(&site);
    let slow = browser.begin(&site.sessions);
    let of_ada = slow.load().unwrap();
    let key = of_ada.key().unwrap();
    let is_listed = || {
        let members = site.sessions.store().members("ada").unwrap();
        members.iter().any(|member| member.key == key)
    };
    browser.visit(&site.sessions, |session| session.set_subject("bob", None)).unwrap();
    site.clock.advance(HOUR);
    drop(log_in(&site));
    assert!(!is_listed(), "control");
    of_ada.insert("page", 1).unwrap();
    slow.commit().unwrap();
    let session = browser.begin(&site.sessions).load().unwrap();
    assert_eq!((session.subject().as_deref(), is_listed()), (Some("ada"), true));
}

/// The list was told of the shorter life, and the record is as it was: the process was killed in between.
#[test]
fn a_session_whose_shorter_life_was_not_stored_is_revoked() {
    let site = Site::with(|builder| builder.with_idle(None));
    let browser = log_in(&site);
    let header = browser.header();
    let mut core = SessionCore::new(&site.sessions, [header.as_bytes()]);
    let mut step = core.begin_load(site.clock.now());
    while let Ok(Step::Ask(op)) = step {
        step = core.answer(op.run(site.sessions.store(), None), site.clock.now());
    }
    core.session().unwrap().set_limits(None, Some(HOUR)).unwrap();
    let step = core.begin_commit(site.clock.now(), false);
    let Ok(Step::Ask(op @ Op::Enroll { .. })) = &step else { panic!("{step:?}") };
    assert!(matches!(op.run(site.sessions.store(), None), Answer::Enrolled));
    drop(core);
    site.clock.advance(2 * HOUR);
    assert_eq!(browser.begin(&site.sessions).load().unwrap().subject().as_deref(), Some("ada"));
    assert_eq!(site.sessions.revoke_all("ada").unwrap(), 1);
    assert_eq!(browser.begin(&site.sessions).load().unwrap().subject(), None);
}

/// Where the last writer wins: another request has told the list of a shorter life meanwhile.
#[test]
fn who_writes_the_longer_life_over_a_shorter_one_is_revoked() {
    let site =
        Site::with(|builder| builder.with_merge(MergePolicy::LastWriterWins).with_idle(None));
    let mut browser = log_in(&site);
    let slow = browser.begin(&site.sessions);
    slow.load().unwrap().insert("page", 1).unwrap();
    browser.visit(&site.sessions, |session| session.set_limits(None, Some(HOUR))).unwrap();
    slow.commit().unwrap();
    site.clock.advance(2 * HOUR);
    assert_eq!(browser.sees(&site.sessions, "page"), Some(1.into()));
    assert_eq!(site.sessions.revoke_all("ada").unwrap(), 1);
    assert_eq!(browser.sees(&site.sessions, "page"), None);
}

#[test]
fn a_store_that_is_always_late_is_given_up_and_nothing_is_stored() {
    let site = Site::new();
    let mut core = SessionCore::new(&site.sessions, []);
    assert!(matches!(core.begin_load(site.clock.now()), Ok(Step::Done)));
    core.session().unwrap().set_subject("ada", None).unwrap();
    let mut step = core.begin_commit(site.clock.now(), false);
    for _ in 0..100 {
        let Ok(Step::Ask(op)) = &step else { break };
        assert!(matches!(op, Op::Enroll { .. }));
        site.clock.advance(HOUR);
        step = core.answer(Answer::Enrolled, site.clock.now());
    }
    let failed: Error = step.unwrap_err();
    assert_eq!((failed.kind(), site.entries()), (ErrorKind::Unavailable, 0));
}

/// Sessions in an encrypted store, and the memory that it lies in.
fn encrypted() -> (Sessions, NamespaceStore, Arc<MemoryNamespace>) {
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let keys = KeyRing::new(1, &[7; 32]).unwrap();
    let store: Arc<dyn Namespace> = Arc::new(Encrypted::new(Arc::clone(&memory), keys));
    let sessions = Sessions::builder().with_namespace(Arc::clone(&store)).build().unwrap();
    (sessions, NamespaceStore::new(store).unwrap(), memory)
}

/// Makes everything in `memory` what cannot be decrypted.
fn damage_all(memory: &MemoryNamespace) {
    for listed in memory.scan(&Scan::new()).unwrap().entries {
        let entry = memory.get(&listed.key).unwrap().unwrap();
        memory.set(&listed.key, entry.with_payload(Payload::raw("damaged"))).unwrap();
    }
}

/// Whoever has the key, or the wrong bit's right one, could go on with it.
#[test]
fn a_revoked_session_whose_record_cannot_be_read_here_is_gone_for_all() {
    let (sessions, store, memory) = encrypted();
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.set_subject("ada", None)).unwrap();
    let key = sessions.devices("ada").unwrap()[0].key;
    damage_all(&memory);
    assert_eq!(store.load(&key).unwrap_err().kind(), ErrorKind::Corrupt, "control");
    assert_eq!(sessions.revoke_all("ada").unwrap_err().kind(), ErrorKind::Corrupt, "the list");
    sessions.revoke(&key).unwrap();
    assert!(matches!(store.load(&key).unwrap(), Loaded::Absent));
}

/// Keys are changed, and a process that has the new one already writes just before this one ends what it has seen.
#[test]
fn a_revoked_session_ends_also_when_it_is_written_meanwhile_with_a_key_that_is_not_known_here() {
    let (old, store, memory) = encrypted();
    let keys = KeyRing::new(2, &[8; 32]).unwrap().with_old(1, &[7; 32]).unwrap();
    let namespace = Arc::new(Encrypted::new(Arc::clone(&memory), keys));
    let newer = Sessions::builder().with_namespace(namespace).build().unwrap();
    let mut browser = Browser::new();
    browser.visit(&old, |session| session.set_subject("ada", None)).unwrap();
    let key = store.members("ada").unwrap()[0].key;
    let (mut writing, writer) = (browser.clone(), newer.clone());
    let write = move || writing.visit(&writer, |session| session.insert("more", 1)).unwrap();
    let old = Encrypted::new(Arc::clone(&memory), KeyRing::new(1, &[7; 32]).unwrap());
    let revoker = Sessions::builder().with_namespace(Arc::new(Beside::new(old, 3, write)));
    assert_eq!(revoker.build().unwrap().revoke_all("ada").unwrap(), 1);
    assert!(matches!(store.load(&key).unwrap(), Loaded::Absent | Loaded::Renewed));
    assert_eq!(browser.begin(&newer).load().unwrap().subject(), None);
}

/// Whether a revocation that stands still before its `nth` look or set, while the user's damaged session is rescued,
/// ends what was rescued. `of` makes its view of the store. The rescue's mark is dead when the revocation goes
/// on, so that nothing but the list says where the session went.
fn ends_what_is_rescued_meanwhile<N: Namespace>(
    nth: usize,
    of: impl FnOnce(Encrypted<Arc<MemoryNamespace>>) -> N,
) -> bool {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
    let config = MemoryConfig::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let memory = MemoryNamespace::anonymous(config).unwrap();
    let keys = || KeyRing::new(1, &[7; 32]).unwrap();
    let encrypted = || Encrypted::new(Arc::clone(&memory), keys());
    let copy = |_: &_, _: &_| Rescued::Values(Data::new());
    let builder = Sessions::builder().with_namespace(Arc::new(encrypted()));
    let sessions = builder.with_corrupt(CorruptPolicy::custom(copy)).build().unwrap();
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.set_subject("ada", None)).unwrap();
    let key = sessions.devices("ada").unwrap()[0].key;
    flip_all(&memory);
    sessions.store().enroll("ada", &Member { key, until: Timestamp::NEVER }).unwrap();
    let (rescuer, sent) = (sessions.clone(), Arc::new(Mutex::new(Browser::new())));
    let receiver = Arc::clone(&sent);
    let rescue = move || {
        browser.visit(&rescuer, |session| session.set_subject("ada", None)).unwrap();
        *receiver.lock() = browser;
        clock.advance(2 * MINUTE);
    };
    let revoker = Sessions::builder();
    let revoker = revoker.with_namespace(Arc::new(Beside::new(of(encrypted()), nth, rescue)));
    revoker.build().unwrap().revoke_all("ada").unwrap();
    assert!(!sent.lock().is_empty(), "{nth}: it was rescued before the revocation was done");
    sent.lock().begin(&sessions).load().unwrap().subject().is_none()
}

#[test]
fn a_revocation_that_stands_still_anywhere_ends_what_was_rescued_meanwhile() {
    // It reads the list, loads the session, looks at what it deletes, and sets the mark of that.
    for nth in 1..=4 {
        assert!(ends_what_is_rescued_meanwhile(nth, |it| it), "{nth}");
        // Where damage has no fingerprint, the mark is set over what the rescue left, which is dead.
        assert!(ends_what_is_rescued_meanwhile(nth, Unprinted), "{nth}, without a fingerprint");
    }
}

#[test]
fn a_damaged_list_begins_anew_with_the_next_login() {
    let (sessions, store, memory) = encrypted();
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.set_subject("ada", None)).unwrap();
    damage_all(&memory);
    assert_eq!(store.members("ada").unwrap_err().kind(), ErrorKind::Corrupt);
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.set_subject("ada", None)).unwrap();
    assert_eq!(store.members("ada").unwrap().len(), 1);
    assert_eq!(sessions.revoke_all("ada").unwrap(), 1);
}

#[test]
fn damage_to_an_epoch_ends_what_it_barred_and_all_else_of_that_user() {
    let (_sessions, store, memory) = encrypted();
    assert_eq!((store.epoch("ada").unwrap(), store.raise_epoch("ada").unwrap()), (0, 1));
    damage_all(&memory);
    let healed = store.epoch("ada").unwrap();
    assert!(healed > 1_000_000, "{healed} is above all that were ever counted");
    assert_eq!(store.epoch("ada").unwrap(), healed);
    assert_eq!(store.raise_epoch("ada").unwrap(), healed + 1);
}
