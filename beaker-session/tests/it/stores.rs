//! Every namespace that can keep sessions keeps them as the contract says.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{
    Clock, ConditionalSet, FileConfig, FileNamespace, Lookup, ManualClock, MemoryConfig,
    MemoryNamespace, Namespace, NamespaceId, NullNamespace, Scan, Stores, SystemClock, Timestamp,
    forward_namespace,
};
use beaker_session::{
    AccessPolicy, Created, Deleted, ErrorKind, Loaded, NamespaceStore, Origin, Record, Renamed,
    Renaming, SessionId, SessionStore, Sessions, Updated, testkit,
};

use crate::browser::Browser;
use crate::site::{Beside, SetIf, SetsBy, blinded, damage_all, flip_all};

fn opened(url: &str, clock: Arc<dyn Clock>) -> Arc<dyn Namespace> {
    beaker_backends::install();
    let stores = Stores::new().with_clock(clock);
    stores.open(&url.parse().unwrap(), "sessions").unwrap()
}

fn keeps_sessions(store: &str, url: &str) {
    testkit::conformance(store, |clock| NamespaceStore::new(opened(url, clock)));
}

#[test]
fn memory_keeps_sessions() {
    testkit::conformance("memory", |clock| {
        NamespaceStore::new(MemoryNamespace::anonymous(MemoryConfig::new().clock(clock)).unwrap())
    });
}

#[test]
fn a_load_from_memory_counts_once_whether_there_is_a_session_or_not() {
    let namespace = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let store = NamespaceStore::new(Arc::clone(&namespace) as Arc<dyn Namespace>).unwrap();
    let [there, absent, gone] = [1, 2, 3].map(|id| SessionId::from_bytes([id; 16]).hashed());
    let record = Arc::new(Record::new(namespace.clock().now()));
    for key in [&there, &gone] {
        assert!(matches!(store.create(key, &record), Ok(Created::Created(_))));
    }
    assert_eq!(store.delete(&gone).unwrap(), Deleted::Deleted);
    let counted = |key, found: bool| {
        let before = namespace.stats();
        assert_eq!(matches!(store.load(key).unwrap(), Loaded::Present(_)), found);
        let after = namespace.stats();
        (after.hits - before.hits, after.misses - before.misses)
    };
    assert_eq!(counted(&there, true), (1, 0));
    assert_eq!(counted(&absent, false), (0, 1));
    assert_eq!(counted(&gone, false), (0, 1));
}

#[test]
fn files_keep_sessions() {
    let dir = tempfile::tempdir().unwrap();
    testkit::conformance("file", |clock| {
        let files = FileNamespace::open("sessions", FileConfig::new(dir.path()).clock(clock));
        NamespaceStore::new(Arc::new(files.unwrap()))
    });
}

#[test]
fn sqlite_keeps_sessions() {
    let dir = tempfile::tempdir().unwrap();
    keeps_sessions("sqlite", &format!("sqlite://{}/s.db", dir.path().display()));
}

#[test]
fn redb_keeps_sessions() {
    let dir = tempfile::tempdir().unwrap();
    keeps_sessions("redb", &format!("redb://{}/s.redb?durable=false", dir.path().display()));
}

#[test]
fn sled_keeps_sessions() {
    let dir = tempfile::tempdir().unwrap();
    keeps_sessions("sled", &format!("sled://{}/s.sled", dir.path().display()));
}

#[test]
fn dbm_keeps_sessions() {
    let dir = tempfile::tempdir().unwrap();
    keeps_sessions("dbm", &format!("dbm://{}/s.dbm", dir.path().display()));
}

#[test]
fn proxies_keep_sessions() {
    use beaker_backends::proxy::{Compressed, Encrypted, KeyRing, Metered, Prefixed, Tiered};
    let memory = |clock| MemoryNamespace::anonymous(MemoryConfig::new().clock(clock)).unwrap();
    testkit::conformance("encrypted, prefixed and metered memory", |clock| {
        let encrypted = Encrypted::new(memory(clock), KeyRing::new(1, &[7; 32]).unwrap());
        NamespaceStore::new(Arc::new(Metered::new(Prefixed::new(encrypted, "web"))))
    });
    testkit::conformance("compressed and encrypted memory", |clock| {
        let encrypted = Encrypted::new(memory(clock), KeyRing::new(1, &[7; 32]).unwrap());
        NamespaceStore::new(Arc::new(Compressed::new(encrypted).min_bytes(0)))
    });
    let dir = tempfile::tempdir().unwrap();
    testkit::conformance("compressed files", |clock| {
        let config = FileConfig::new(dir.path().join("compressed")).clock(clock);
        let files = FileNamespace::open("sessions", config).unwrap();
        NamespaceStore::new(Arc::new(Compressed::new(files).min_bytes(0)))
    });
    testkit::conformance("files with memory in front", |clock| {
        let files = FileNamespace::open("sessions", FileConfig::new(dir.path()).clock(clock));
        let above = MemoryConfig::new().max_entries(100);
        NamespaceStore::new(Arc::new(Tiered::open(files.unwrap(), above).unwrap()))
    });
}

#[test]
fn a_conflict_brings_what_is_there_and_none_a_session_that_has_ended() {
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let now = memory.clock().now();
    let store = NamespaceStore::new(memory).unwrap();
    let key = SessionId::from_bytes([9; 16]).hashed();
    let record = |number: u8| {
        let data = [("number".to_owned(), number.into())].into();
        Arc::new(Record::new(now).with_data(data))
    };
    let Created::Created(first) = store.create(&key, &record(1)).unwrap() else { panic!("exists") };
    let _second = store.update(&key, first, &record(2)).unwrap();
    let Loaded::Present(there) = store.load(&key).unwrap() else { panic!("it is there") };
    assert_eq!(there.record.get("number"), Some(&2.into()));
    let late = store.update(&key, first, &record(3)).unwrap();
    assert_eq!(late, Updated::Conflict(Some(there)));
    assert_eq!(store.delete(&key).unwrap(), Deleted::Deleted);
    assert_eq!(store.update(&key, first, &record(4)).unwrap(), Updated::Absent);
}

#[test]
fn a_store_that_keeps_nothing_is_refused_and_says_why() {
    let null = Arc::new(NullNamespace::new("sessions"));
    let error = NamespaceStore::new(null).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("`Retains`"), "{error}");
}

// The control of what the suite says.
#[test]
fn the_suite_finds_out_a_store_that_sets_without_looking() {
    let upserting = testkit::run("upserting", |clock| {
        let memory = MemoryNamespace::anonymous(MemoryConfig::new().clock(clock)).unwrap();
        NamespaceStore::new(Arc::new(blinded(memory)))
    });
    let found: Vec<&str> = upserting.failed.iter().map(|(case, _)| *case).collect();
    let expected = [
        "a_create_never_replaces",
        "an_update_of_an_old_version_changes_nothing",
        "an_update_never_inserts",
        "an_update_after_a_delete_stores_nothing",
        "a_key_can_be_used_again_after_a_delete",
        "the_old_key_of_a_rename_has_no_data_and_cannot_be_written",
        "a_rename_of_an_old_version_changes_nothing",
        "a_rename_of_an_absent_session_stores_nothing",
        "a_rename_onto_a_taken_key_changes_nothing",
        "of_creates_at_the_same_time_one_wins",
    ];
    assert!(expected.iter().all(|case| found.contains(case)), "{found:?}");
}

/// Says what is damaged, and lets nothing be set over it, against what a namespace is to do.
fn stubborn<N: Namespace>(inner: N) -> SetsBy<N> {
    let set_if: SetIf<N> = |inner, key, entry, condition| match inner.look_up(key)? {
        Lookup::Corrupt(_) => Ok(ConditionalSet::Conflict),
        _ => inner.set_if(key, entry, condition),
    };
    SetsBy { inner, set_if }
}

#[test]
fn a_logout_ends_what_is_damaged_where_nothing_can_be_set_over_it_too() {
    use beaker_backends::proxy::{Encrypted, KeyRing};

    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let inner = Encrypted::new(Arc::clone(&memory), KeyRing::new(1, &[7; 32]).unwrap());
    let sessions = Sessions::builder().with_namespace(Arc::new(stubborn(inner))).build().unwrap();
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
    flip_all(&memory);
    browser.visit(&sessions, |session| session.delete()).unwrap();
    assert!(browser.is_empty());
    assert_eq!(memory.stats().entries, Some(0));
}

#[test]
fn a_rescue_of_what_was_damaged_otherwise_meanwhile_is_a_conflict_and_stores_nothing() {
    use beaker_backends::proxy::{Encrypted, KeyRing};

    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let encrypted = || Encrypted::new(Arc::clone(&memory), KeyRing::new(1, &[7; 32]).unwrap());
    let [from, to] = [1, 2].map(|id| SessionId::from_bytes([id; 16]).plain());
    let record = Arc::new(Record::new(SystemClock.now()));
    let sound = NamespaceStore::new(Arc::new(encrypted())).unwrap();
    let _created = sound.create(&from, &record).unwrap();
    flip_all(&memory);
    let other = Arc::clone(&memory);
    let write = move || damage_all(&other, |bytes| bytes[0] ^= 1);
    let store = NamespaceStore::new(Arc::new(Beside::new(encrypted(), 2, write))).unwrap();
    let (from, to, record, expected) = (&from, &to, &record, None);
    let renaming = Renaming { from, expected, to, record, grace: Duration::from_secs(60) };
    assert_eq!(store.rename(&renaming).unwrap(), Renamed::Conflict);
    assert_eq!(sound.load(from).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(matches!(sound.load(to).unwrap(), Loaded::Absent));
}

#[test]
fn a_compressed_session_is_small_and_one_that_is_damaged_ends_by_a_logout() {
    use beaker_backends::proxy::Compressed;

    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let compressed = Arc::new(Compressed::new(Arc::clone(&memory)));
    let sessions = Sessions::builder().with_namespace(compressed).build().unwrap();
    let mut browser = Browser::new();
    let long = "basket ".repeat(1_000);
    browser.visit(&sessions, |session| session.insert("items", &long)).unwrap();
    assert_eq!(browser.sees(&sessions, "items"), Some(long.into()));
    let [listed] = &memory.scan(&Scan::new()).unwrap().entries[..] else { panic!("one record") };
    let stored = memory.get(&listed.key).unwrap().unwrap().payload().len_bytes().unwrap();
    assert!(stored < 500, "{stored} bytes");

    let mut other = Browser::new();
    other.visit(&sessions, |session| session.insert("user", "grace")).unwrap();
    damage_all(&memory, |bytes| bytes.truncate(bytes.len() / 2));
    let session = browser.begin(&sessions).load().unwrap();
    assert_eq!((session.origin(), session.is_empty()), (Origin::Corrupt, true));
    for mut browser in [browser, other] {
        let stolen = browser.clone();
        browser.visit(&sessions, |session| session.delete()).unwrap();
        assert!(browser.is_empty());
        let session = stolen.begin(&sessions).load().unwrap();
        assert_eq!(session.origin(), Origin::Unknown, "it is not damaged any more, it has ended");
    }
    assert_eq!(sessions.counts().corrupt, 3);
}

/// Another process over the same files, as far as memory in front of them goes.
#[derive(Debug)]
struct Node {
    files: Arc<FileNamespace>,
    id: NamespaceId,
}

impl Namespace for Node {
    forward_namespace!(
        self => self.files;
        scope, capabilities, latency, clock, stats, get, set, set_if, remove, clear, claim, fulfil,
    );

    fn id(&self) -> &NamespaceId {
        &self.id
    }
}

/// Table row 32: with memory in front of a shared store a peer serves a session on one node after
/// the logout on another, for as long as it is used there. Here that has a bound, and meanwhile
/// nothing can be written.
#[test]
fn memory_in_front_of_a_shared_store_ends_a_session_within_its_bound_and_never_brings_it_back() {
    use beaker_backends::proxy::Tiered;
    const BOUND: Duration = Duration::from_millis(500);

    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
    let config = FileConfig::new(dir.path()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let files = Arc::new(FileNamespace::open("sessions", config).unwrap());
    let node = |name: &str| {
        let id = NamespaceId::new(name, "sessions");
        let memory = MemoryConfig::new().max_entries(1_000);
        let tiered = Tiered::open(Node { files: Arc::clone(&files), id }, memory).unwrap();
        let sessions = Sessions::builder().with_namespace(Arc::new(tiered.max_age(BOUND)));
        sessions.with_access(AccessPolicy::Never).build().unwrap()
    };
    let (one, other) = (node("one"), node("other"));
    let mut browser = Browser::new();
    browser.visit(&one, |session| session.insert("user", "ada")).unwrap();
    assert_eq!(browser.sees(&other, "user"), Some("ada".into()), "it is in its memory now");
    let stolen = browser.clone();
    browser.visit(&one, |session| session.delete()).unwrap();
    assert_eq!(stolen.sees(&one, "user"), None, "at once where the logout was");

    // The other node may still show it, and cannot write it.
    let stale = stolen.sees(&other, "user");
    assert!(stale.is_none() || stale == Some("ada".into()));
    let request = stolen.begin(&other);
    let session = request.load().unwrap();
    if session.insert("user", "eve").is_ok() {
        let saved = session.save();
        assert!(saved.is_err() || session.is_new(), "it is no session or a new one");
    }
    let _ = request.commit();
    clock.advance(BOUND);
    for sessions in [&one, &other] {
        assert_eq!(stolen.sees(sessions, "user"), None, "after the bound nowhere");
    }
}
