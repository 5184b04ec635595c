//! Every namespace that can keep sessions keeps them as the contract says.

use std::sync::Arc;

use beaker_namespace::{
    Clock, Entry, FileConfig, FileNamespace, Key, MemoryConfig, MemoryNamespace, Namespace,
    NullNamespace, Payload, Stores, Timestamp,
};
use beaker_session::{
    Created, Deleted, ErrorKind, Loaded, NamespaceStore, Record, SessionId, SessionStore, Updated,
    testkit,
};

use crate::model::Blind;

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
fn dbm_keeps_sessions() {
    let dir = tempfile::tempdir().unwrap();
    keeps_sessions("dbm", &format!("dbm://{}/s.dbm", dir.path().display()));
}

#[test]
fn a_proxy_keeps_sessions() {
    use beaker_backends::proxy::{Encrypted, KeyRing, Prefixed};
    testkit::conformance("encrypted and prefixed memory", |clock| {
        let memory = MemoryNamespace::anonymous(MemoryConfig::new().clock(clock)).unwrap();
        let encrypted = Encrypted::new(memory, KeyRing::new(1, &[7; 32]).unwrap());
        NamespaceStore::new(Arc::new(Prefixed::new(encrypted, "web")))
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

#[test]
fn a_damaged_mark_of_a_renewal_is_corrupt_and_no_refused_cookie() {
    let memory = Arc::new(MemoryNamespace::anonymous(MemoryConfig::new()).unwrap());
    let store = NamespaceStore::new(memory.clone()).unwrap();
    let key = SessionId::from_bytes([7; 16]).plain();
    let load = |bytes: &[u8]| {
        let entry = Entry::new(Payload::raw(bytes.to_vec()), Timestamp::default());
        memory.set(&Key::new(&[7; 16][..]), entry).unwrap();
        store.load(&key)
    };
    let whole = [&b"\x01"[..], &[b'A'; 32]].concat();
    assert!(matches!(load(&whole), Ok(Loaded::Renewed)));
    assert_eq!(load(&whole[..9]).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(load(b"\x01\xff").unwrap_err().kind(), ErrorKind::Corrupt);
}

// The control of what the suite says.
#[test]
fn the_suite_finds_out_a_store_that_sets_without_looking() {
    let upserting = testkit::run("upserting", |clock| {
        let memory = MemoryNamespace::anonymous(MemoryConfig::new().clock(clock)).unwrap();
        NamespaceStore::new(Arc::new(Blind(memory)))
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
