//! From Beaker's directory into a namespace.

use std::sync::Arc;
use std::time::Duration;

use beaker_backends::compat::{BeakerCache, ImportReport, Value};
use beaker_namespace::{
    Codec, Entry, Error, ErrorKind, FileConfig, FileNamespace, Key, ManualClock, MemoryConfig,
    MemoryNamespace, Namespace, Payload, Timestamp,
};

use super::{pickle, pickles, write_file};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

/// The cache of the fixture: `plain` lives from 1000.5 for a minute, `old` for ever, two are
/// unreadable.
fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("it is there");
    write_file(dir.path(), "n", &pickle(&pickles()["file"]));
    dir
}

fn memory(now: i64) -> Arc<MemoryNamespace> {
    let clock = Arc::new(ManualClock::default());
    clock.set(at(now));
    MemoryNamespace::anonymous(MemoryConfig::new().clock(clock)).expect("it is there")
}

fn as_json(key: &str, value: &Value) -> Result<Option<(Key, Payload)>, Error> {
    Ok(Some((Key::new(key), Codec::Json.encode(value)?)))
}

fn report(imported: u64, expired: u64, present: u64) -> (u64, u64, u64) {
    (imported, expired, present)
}

fn counts(report: ImportReport) -> (u64, u64, u64) {
    assert_eq!(report.unreadable, 2);
    (report.imported, report.expired, report.present)
}

#[test]
fn an_imported_entry_keeps_its_beginning_and_its_end() {
    let dir = directory();
    let to = memory(1_010);
    let done = BeakerCache::file(dir.path()).import("n", &*to, as_json).unwrap();
    assert_eq!(counts(done), report(2, 0, 0));
    let entry = to.get(&Key::new("plain")).unwrap().expect("it was imported");
    assert_eq!(entry.began(), Timestamp::from_micros(1_000_500_000));
    assert_eq!(entry.expires(), Timestamp::from_micros(1_060_500_000));
    let Payload::Bytes { codec, bytes } = entry.payload() else { panic!("no bytes") };
    assert_eq!(Codec::decode::<String>(*codec, bytes).unwrap(), "v");
    assert!(to.get(&Key::new("old")).unwrap().expect("imported").expires().is_never());
}

#[test]
fn an_expired_record_is_not_imported() {
    let dir = directory();
    let to = memory(1_061);
    let done = BeakerCache::file(dir.path()).import("n", &*to, as_json).unwrap();
    assert_eq!(counts(done), report(1, 1, 0));
    assert!(to.get(&Key::new("plain")).unwrap().is_none());
}

#[test]
fn what_is_there_already_stays() {
    let dir = directory();
    let to = memory(1_010);
    to.set(&Key::new("plain"), Entry::new(Payload::raw("newer"), at(1_005))).unwrap();
    let cache = BeakerCache::file(dir.path());
    assert_eq!(counts(cache.import("n", &*to, as_json).unwrap()), report(1, 0, 1));
    assert_eq!(to.get(&Key::new("plain")).unwrap().unwrap().began(), at(1_005));
    assert_eq!(counts(cache.import("n", &*to, as_json).unwrap()), report(0, 0, 2), "once more");
}

#[test]
fn the_caller_declines_or_fails_record_by_record() {
    let dir = directory();
    let to = memory(1_010);
    let done = BeakerCache::file(dir.path())
        .import("n", &*to, |key, _| match key {
            "plain" => Ok(None),
            _ => Err(Error::new(ErrorKind::Codec, "convert")),
        })
        .unwrap();
    assert_eq!((done.declined, done.unreadable, done.imported), (1, 3, 0));
}

#[test]
fn a_file_store_takes_an_import_too() {
    let dir = directory();
    let store = tempfile::tempdir().unwrap();
    let to = FileNamespace::open("n", FileConfig::new(store.path())).unwrap();
    let done = BeakerCache::file(dir.path()).import("n", &to, as_json).unwrap();
    // The system's clock is long past the minute that `plain` had.
    assert_eq!(counts(done), report(1, 1, 0));
    assert!(to.get(&Key::new("old")).unwrap().is_some());
}

#[test]
fn an_import_waits_for_beakers_lock_no_longer_than_it_may() {
    let dir = directory();
    let lock = beaker_sync::lock_path(dir.path().join("container_file_lock"), "n");
    let holder = beaker_sync::CreationLock::at(lock).lock().unwrap();
    let cache = BeakerCache::file(dir.path()).lock_timeout(Duration::from_millis(20));
    let error = cache.import("n", &*memory(1_010), as_json).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("stop the Python program, or wait longer"), "{error}");
    drop(holder);
}
