//! Records that are whole, and that cannot be read here: longer than the store reads since its limit was lowered,
//! written with a key that is not known here, or in a form that is not.

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use beaker_backends::proxy::{Encrypted, KeyRing};
use beaker_namespace::{
    Clock, Condition, ConditionalSet, Entry, Key, ManualClock, MemoryConfig, MemoryNamespace,
    Namespace, Payload, Scan, StoreUrl, Stores, SystemClock, Timestamp, forward_namespace,
};
use beaker_session::{
    AccessPolicy, CorruptPolicy, Created, Data, Deleted, DeletedIf, ErrorKind, Loaded,
    NamespaceStore, Origin, Record, RecordKey, Renamed, Renaming, Rescued, Session, SessionId,
    SessionStore, Sessions, Touched, Updated, Version,
};

use crate::browser::Browser;
use crate::site::{HOUR, TooLong};

/// Stores with a limit. Those of beaker-backends are all held to what they do beyond it.
const ON_DISK: [&str; 3] = ["file", "sqlite", "redb"];

/// The limit once it was lowered.
const LIMIT: usize = 10_000;

/// Values of which sessions are longer than that: by next to nothing, and by far.
const LONG: [usize; 2] = [LIMIT, 300_000];

/// Sessions in the store of `scheme` below `dir`, of which values up to `limit` bytes are read.
fn with_limit(scheme: &str, dir: &Path, limit: usize, policy: CorruptPolicy) -> Sessions {
    at_time(Arc::new(SystemClock), scheme, dir, limit, policy)
}

fn at_time(
    clock: Arc<dyn Clock>,
    scheme: &str,
    dir: &Path,
    limit: usize,
    policy: CorruptPolicy,
) -> Sessions {
    beaker_backends::install();
    let url = StoreUrl::new(scheme).with_path(dir.join("store")).with_option("durable", false);
    let url = url.with_option("max_value_bytes", limit);
    let namespace = Stores::new().with_clock(Arc::clone(&clock)).open(&url, "sessions").unwrap();
    let builder = Sessions::builder().with_namespace(namespace).with_clock(clock);
    let builder = builder.with_max_bytes(1 << 20).with_idle(Some(HOUR));
    builder.with_corrupt(policy).build().unwrap()
}

/// A store on a disk whose limit was lowered since its only visitor was there.
struct Lowered {
    store: &'static str,
    long: usize,
    dir: tempfile::TempDir,
    browser: Browser,
}

impl Lowered {
    fn everywhere() -> impl Iterator<Item = Self> {
        let each = ON_DISK.into_iter().flat_map(|store| LONG.map(|long| (store, long)));
        each.map(|(store, long)| {
            let (dir, mut browser) = (tempfile::tempdir().unwrap(), Browser::new());
            let before = with_limit(store, dir.path(), 1 << 20, CorruptPolicy::Fresh);
            let login = browser.visit(&before, |session| {
                session.set_subject("ada", None)?;
                session.insert("basket", "x".repeat(long))
            });
            login.unwrap();
            Self { store, long, dir, browser }
        })
    }

    /// The sessions with the lower limit, as long as `work` has them.
    fn under<T>(&self, policy: CorruptPolicy, work: impl FnOnce(&Sessions) -> T) -> T {
        work(&with_limit(self.store, self.dir.path(), LIMIT, policy))
    }

    /// How long what the visitor has is where the limit is as it was.
    fn basket(&self) -> Option<usize> {
        let wide = with_limit(self.store, self.dir.path(), 1 << 20, CorruptPolicy::Fail);
        let basket = self.browser.begin(&wide).load().unwrap().get::<String>("basket").unwrap();
        basket.map(|basket| basket.len())
    }
}

fn rescue() -> CorruptPolicy {
    CorruptPolicy::custom(|_, error| {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        Rescued::Values(Data::from([("user".to_owned(), "copy".into())]))
    })
}

/// It is no outage: nobody could log out, nor get another session, until the limit is raised.
#[test]
fn a_session_beyond_a_limit_that_was_lowered_is_for_the_policy_to_decide() {
    for lowered in Lowered::everywhere() {
        let store = lowered.store;
        lowered.under(CorruptPolicy::Fail, |sessions| {
            let error = lowered.browser.begin(sessions).load().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{store}");
            assert!(error.to_string().contains("longer than the store may read"), "{error}");
            let below = error.source().expect("the store says what to do").to_string();
            assert!(below.contains("max_value_bytes"), "{store}: {below}");
            assert_eq!((sessions.counts().corrupt, sessions.counts().outages), (1, 0), "{store}");
        });
        lowered.under(CorruptPolicy::Fresh, |sessions| {
            let mut fresh = lowered.browser.clone();
            let new = |session: &Session| session.insert("user", "eve").map(|()| session.origin());
            assert_eq!(fresh.visit(sessions, new).unwrap(), Origin::Corrupt, "{store}");
            assert_ne!(fresh.header(), lowered.browser.header(), "{store}");
            assert_eq!(fresh.sees(sessions, "user"), Some("eve".into()), "{store}");
        });
        assert_eq!(lowered.basket(), Some(lowered.long), "{store}: nobody has touched it");
    }
}

#[test]
fn a_logout_ends_a_session_beyond_a_limit_that_was_lowered_under_each_policy() {
    let asked = || CorruptPolicy::custom(|_, _| panic!("it is asked"));
    let policies = [|| CorruptPolicy::Fresh, || CorruptPolicy::Fail, asked];
    for (lowered, policy) in Lowered::everywhere().zip(policies.into_iter().cycle()) {
        let store = lowered.store;
        lowered.under(policy(), |sessions| {
            let mut browser = lowered.browser.clone();
            let request = browser.begin(sessions);
            request.delete().unwrap_or_else(|error| panic!("{store}: {error}"));
            browser.receive(&request.commit().unwrap());
            assert!(browser.is_empty(), "{store}");
            assert_eq!((sessions.counts().ended, sessions.counts().corrupt), (1, 1), "{store}");
            let origin = lowered.browser.begin(sessions).load().unwrap().origin();
            assert_eq!(origin, Origin::Unknown, "{store}");
        });
        assert_eq!(lowered.basket(), None, "{store}: not for whoever may read it either");
    }
}

#[test]
fn what_is_rescued_of_a_session_beyond_the_limit_takes_its_place_and_a_logout_finds_it() {
    for lowered in Lowered::everywhere() {
        let store = lowered.store;
        lowered.under(rescue(), |sessions| {
            let mut rescued = lowered.browser.clone();
            rescued.visit(sessions, |session| session.insert("more", 1)).unwrap();
            assert_eq!(rescued.sees(sessions, "user"), Some("copy".into()), "{store}");
            let old = lowered.browser.begin(sessions);
            assert_eq!(old.load().unwrap().origin(), Origin::Renewed, "{store}");
            old.delete().unwrap();
            old.commit().unwrap();
            assert_eq!(rescued.sees(sessions, "user"), None, "{store}");
            assert_eq!(sessions.counts().corrupt, 1, "{store}: it is asked once");
        });
    }
}

/// It has been over for long: nobody is to have it again by a policy.
#[test]
fn a_session_beyond_the_limit_that_has_expired_is_gone_and_no_policy_is_asked() {
    for (store, long) in ON_DISK.into_iter().flat_map(|store| LONG.map(|long| (store, long))) {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::default()));
        let at = |limit, policy| at_time(clock.clone(), store, dir.path(), limit, policy);
        let mut browser = Browser::new();
        let login = |session: &Session| session.insert("basket", "x".repeat(long));
        browser.visit(&at(1 << 20, CorruptPolicy::Fail), login).unwrap();
        let asked = CorruptPolicy::custom(|_, _| panic!("it is asked"));
        let sessions = at(LIMIT, asked);
        clock.advance(2 * HOUR);
        let session = browser.begin(&sessions).load().unwrap();
        assert_eq!((session.origin(), session.is_empty()), (Origin::Unknown, true), "{store}");
        assert_eq!(sessions.counts().corrupt, 0, "{store} {long}");
    }
}

/// Whose it is cannot be seen, so it may be the user's.
#[test]
fn a_revocation_ends_a_session_beyond_the_limit_and_a_list_does_not_show_it() {
    for lowered in Lowered::everywhere() {
        let store = lowered.store;
        lowered.under(CorruptPolicy::Fresh, |sessions| {
            assert_eq!(sessions.devices("ada").unwrap().len(), 0, "{store}");
            assert_eq!(sessions.revoke_all("ada").unwrap(), 1, "{store}");
        });
        assert_eq!(lowered.basket(), None, "{store}");
    }
}

/// A session that one process can read, and another cannot any more once the first has written it.
struct Half {
    memory: Arc<MemoryNamespace>,
    /// Why not: it has not got the new key, or may read no more than is there now.
    is_too_long: bool,
    browser: Browser,
    whole: Sessions,
}

impl Half {
    fn each() -> [Self; 2] {
        [false, true].map(|is_too_long| {
            let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
            let both = KeyRing::new(2, &[8; 32]).unwrap().with_old(1, &[7; 32]).unwrap();
            let whole = Arc::new(Encrypted::new(Arc::clone(&memory), both));
            let whole = Sessions::builder().with_namespace(whole).build().unwrap();
            let mut half = Self { memory, is_too_long, browser: Browser::new(), whole };
            let mut browser = Browser::new();
            let login = |session: &Session| session.insert("user", "ada");
            browser.visit(&half.sessions(AccessPolicy::Never), login).unwrap();
            half.browser = browser;
            half
        })
    }

    fn namespace(&self) -> Arc<dyn Namespace> {
        let keys = KeyRing::new(1, &[7; 32]).unwrap();
        let encrypted = Encrypted::new(Arc::clone(&self.memory), keys);
        if self.is_too_long { Arc::new(TooLong(encrypted)) } else { Arc::new(encrypted) }
    }

    /// Those of the process that will not be able to read it.
    fn sessions(&self, access: AccessPolicy) -> Sessions {
        let builder = Sessions::builder().with_namespace(self.namespace());
        builder.with_access(access).build().unwrap()
    }

    fn write_elsewhere(&self) {
        self.browser.clone().visit(&self.whole, |session| session.insert("newer", 1)).unwrap();
    }

    fn is_as_it_was_written(&self) -> bool {
        let values = ["user", "newer", "late"].map(|key| self.browser.sees(&self.whole, key));
        values == [Some("ada".into()), Some(1.into()), None]
    }
}

/// A user who is told that his session has ended logs in again, though it goes on elsewhere.
#[test]
fn a_save_over_what_cannot_be_read_here_says_so_and_not_that_the_session_has_ended() {
    for half in Half::each() {
        let here = half.sessions(AccessPolicy::Never);
        let request = half.browser.begin(&here);
        let session = request.load().unwrap();
        half.write_elsewhere();
        session.insert("late", 1).unwrap();
        assert_eq!(session.save().unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(session.get::<i64>("late").unwrap(), Some(1), "it can be tried again");
        assert_eq!(request.commit().unwrap_err().kind(), ErrorKind::Corrupt);
        let counts = here.counts();
        assert_eq!((counts.corrupt, counts.refused, counts.outages), (2, 0, 0));
        assert!(half.is_as_it_was_written());
        assert_eq!(half.browser.begin(&here).load().unwrap().origin(), Origin::Corrupt);
    }
}

#[test]
fn a_renewal_of_what_cannot_be_read_here_any_more_leaves_nothing_and_says_so() {
    for half in Half::each() {
        let here = half.sessions(AccessPolicy::Never);
        let request = half.browser.begin(&here);
        request.load().unwrap().renew().unwrap();
        half.write_elsewhere();
        assert_eq!(request.commit().unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(half.is_as_it_was_written());
        let left = half.memory.scan(&Scan::new()).unwrap().entries;
        assert_eq!(left.len(), 1, "no second one that nobody knows");
    }
}

#[test]
fn a_use_of_what_cannot_be_read_here_any_more_is_not_noted_and_ends_nothing() {
    for half in Half::each() {
        let here = half.sessions(AccessPolicy::EveryRequest);
        let request = half.browser.begin(&here);
        let session = request.load().unwrap();
        half.write_elsewhere();
        session.save().unwrap();
        session.insert("late", 1).expect("it has not ended");
        session.revert().unwrap();
        assert_eq!(request.commit().unwrap().set_cookies().len(), 0);
        let counts = here.counts();
        assert_eq!((counts.touched, counts.corrupt, counts.outages), (0, 2, 0));
        assert!(half.is_as_it_was_written());
    }
}

#[test]
fn a_store_takes_what_it_cannot_read_for_no_absent_session() {
    for half in Half::each() {
        let key = half.browser.begin(&half.whole).load().unwrap().key().unwrap();
        let store = NamespaceStore::new(half.namespace()).unwrap();
        let Loaded::Present(stored) = store.load(&key).unwrap() else { panic!("it is there") };
        half.write_elsewhere();
        let updated = store.update(&key, stored.version, &stored.record);
        assert_eq!(updated.unwrap_err().kind(), ErrorKind::Corrupt);
        let touched = store.touch(&key, SystemClock.now());
        assert_eq!(touched.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(store.delete_if(&key, stored.version).unwrap(), DeletedIf::Conflict);
        assert!(half.is_as_it_was_written());
    }
}

/// A store in memory, what it lies in, and the id and key of the only record there, which is `bytes`.
fn holding(bytes: &[u8]) -> (NamespaceStore, Arc<MemoryNamespace>, SessionId, Key) {
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let key = Key::new(&[7; 16][..]);
    memory.set(&key, Entry::new(Payload::raw(bytes.to_vec()), SystemClock.now())).unwrap();
    let store = NamespaceStore::new(Arc::clone(&memory) as Arc<dyn Namespace>).unwrap();
    (store, memory, SessionId::from_bytes([7; 16]), key)
}

/// Marks of renewals that do not say where to in a way that is known here.
const STRANGE_MARKS: [&[u8]; 3] = [b"\x01AAAAAAAA", b"\x01\xff", b"\x01no key"];

#[test]
fn a_mark_of_a_renewal_to_nobody_knows_where_is_a_mark_and_no_damage() {
    let whole = [&b"\x01"[..], &[b'A'; 32]].concat();
    for bytes in STRANGE_MARKS.into_iter().chain([&whole[..]]) {
        let (store, memory, id, key) = holding(bytes);
        let generation = || memory.get(&key).unwrap().unwrap().generation();
        let (before, from, to) = (generation(), id.plain(), SessionId::from_bytes([8; 16]).plain());
        let record = &Arc::new(Record::new(SystemClock.now()));
        assert!(matches!(store.load(&from), Ok(Loaded::Renewed)), "{bytes:?}");
        let grace = Duration::from_secs(60);
        let renaming = Renaming { from: &from, expected: None, to: &to, record, grace };
        assert_eq!(store.rename(&renaming).unwrap(), Renamed::Absent, "{bytes:?}");
        assert!(matches!(store.load(&to), Ok(Loaded::Absent)), "{bytes:?}");
        assert_eq!(store.update(&from, Version(1), record).unwrap(), Updated::Absent);
        assert_eq!(store.touch(&from, Timestamp::default()).unwrap(), Touched::Absent);
        assert_eq!(store.create(&from, record).unwrap(), Created::Exists);
        assert_eq!(store.delete(&from).unwrap(), Deleted::Absent, "nothing is where it leads");
        assert_eq!(generation(), before, "{bytes:?}");
    }
}

/// Whoever has an old id has no right to anything, also where a policy would rescue what is damaged.
#[test]
fn a_mark_of_a_renewal_to_nobody_knows_where_gives_no_data_and_no_policy_is_asked() {
    for bytes in STRANGE_MARKS {
        let asked = CorruptPolicy::custom(|_, _| panic!("it is asked"));
        let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
        let builder = Sessions::builder().with_namespace(Arc::clone(&memory) as Arc<dyn Namespace>);
        let sessions = builder.with_corrupt(asked).build().unwrap();
        let mut browser = Browser::new();
        browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
        let [listed] = &memory.scan(&Scan::new()).unwrap().entries[..] else { panic!("one") };
        let entry = memory.get(&listed.key).unwrap().unwrap();
        memory.set(&listed.key, entry.with_payload(Payload::raw(bytes))).unwrap();
        let session = browser.begin(&sessions).load().unwrap();
        assert_eq!((session.origin(), session.is_empty()), (Origin::Renewed, true), "{bytes:?}");
        assert_eq!(session.insert("user", "eve").unwrap_err().kind(), ErrorKind::Ended);
        assert_eq!(sessions.counts().corrupt, 0);
    }
}

/// It may be somebody's whose program is newer. Damage of the store's is nobody's, and no obstacle.
#[test]
fn a_record_that_is_whole_and_cannot_be_read_is_no_place_for_a_new_one() {
    let (store, memory, id, key) = holding(b"no record");
    let record = Arc::new(Record::new(SystemClock.now()));
    let before = memory.get(&key).unwrap().unwrap().generation();
    assert_eq!(store.create(&id.plain(), &record).unwrap(), Created::Exists);
    assert_eq!(memory.get(&key).unwrap().unwrap().generation(), before);
    assert_eq!(store.load(&id.plain()).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// A namespace in which others make what is there too long, and short again before anybody looks, for some sets.
#[derive(Debug)]
struct Fickle {
    inner: Arc<MemoryNamespace>,
    sets: AtomicUsize,
}

impl Namespace for Fickle {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, latency, clock, get, look_up, set, remove, clear, claim, fulfil, stats,
    );

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, beaker_namespace::Error> {
        let Some(there) = self.inner.get(key)? else {
            return self.inner.set_if(key, entry, condition);
        };
        let one_less = |sets: usize| sets.checked_sub(1);
        if self.sets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
            return self.inner.set_if(key, entry, condition);
        }
        self.inner.set(key, there)?;
        let kind = beaker_namespace::ErrorKind::TooLarge;
        Err(beaker_namespace::Error::new(kind, "write an entry"))
    }
}

/// A namespace of which `sets` go wrong, a store on it, and the key and version of its session.
fn fickle(sets: usize) -> (Arc<Fickle>, NamespaceStore, RecordKey, Version) {
    let inner = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let namespace = Arc::new(Fickle { inner, sets: AtomicUsize::new(sets) });
    let store = NamespaceStore::new(Arc::clone(&namespace) as Arc<dyn Namespace>).unwrap();
    let key = SessionId::from_bytes([7; 16]).plain();
    let created = store.create(&key, &Arc::new(Record::new(SystemClock.now()))).unwrap();
    let Created::Created(version) = created else { panic!("it is the first") };
    (namespace, store, key, version)
}

#[test]
fn what_was_too_long_for_a_moment_is_looked_at_again_by_who_sets_a_mark_or_a_time() {
    for sets in [1, 2] {
        let (namespace, store, key, _) = fickle(sets);
        assert_eq!(store.delete(&key).unwrap(), Deleted::Deleted, "{sets}");
        assert!(matches!(store.load(&key), Ok(Loaded::Absent)), "{sets}");
        assert_eq!(namespace.sets.load(Ordering::Relaxed), 0, "the control");

        let (_, store, key, _) = fickle(sets);
        assert_eq!(store.touch(&key, SystemClock.now()).unwrap(), Touched::Superseded, "{sets}");

        let (_, store, key, version) = fickle(sets);
        assert_eq!(store.delete_if(&key, version).unwrap(), DeletedIf::Conflict, "{sets}");

        let (namespace, store, from, version) = fickle(sets);
        let (to, record) = (SessionId::from_bytes([8; 16]).plain(), Record::new(SystemClock.now()));
        let grace = Duration::from_secs(60);
        let (expected, record) = (Some(version), &Arc::new(record));
        let renaming = Renaming { from: &from, expected, to: &to, record, grace };
        assert_eq!(store.rename(&renaming).unwrap(), Renamed::Conflict, "{sets}");
        assert!(matches!(store.load(&from), Ok(Loaded::Present(_))), "{sets}");
        assert_eq!(namespace.inner.scan(&Scan::new()).unwrap().entries.len(), 1, "{sets}");
    }
}

/// It is tried some times and not for ever. Of a use nothing but the note is lost.
#[test]
fn a_use_that_the_store_has_no_room_to_note_is_no_error_of_the_request() {
    let inner = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let namespace = Arc::new(Fickle { inner, sets: AtomicUsize::new(0) });
    let builder = Sessions::builder().with_namespace(Arc::clone(&namespace) as Arc<dyn Namespace>);
    let sessions = builder.with_access(AccessPolicy::EveryRequest).build().unwrap();
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
    namespace.sets.store(usize::MAX, Ordering::Relaxed);
    let request = browser.begin(&sessions);
    assert_eq!(request.load().unwrap().get::<String>("user").unwrap(), Some("ada".into()));
    assert_eq!(request.commit().unwrap().set_cookies().len(), 0);
    assert_eq!(sessions.counts().touched, 0);
    assert_eq!(usize::MAX - namespace.sets.load(Ordering::Relaxed), 8, "tries");
    let request = browser.begin(&sessions);
    request.load().unwrap().insert("late", 1).unwrap();
    assert_eq!(request.commit().unwrap_err().kind(), ErrorKind::TooLarge, "what is lost is told");
}
