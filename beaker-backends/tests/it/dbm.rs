use std::time::Duration;

use beaker_backends::dbm::{DbmConfig, DbmNamespace};
use beaker_namespace::{Entry, ErrorKind, Key, Namespace, Payload, testkit};

fn entry(namespace: &DbmNamespace, value: &str) -> Entry {
    Entry::new(Payload::raw(value.to_owned()), namespace.clock().now())
}

/// A directory in memory if there is one: syncs cost nothing there, and the suite is not about them.
fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

#[test]
fn dbm_is_a_store() {
    let dir = quick_dir();
    let path = dir.path().join("cache.dbm");
    testkit::conformance("dbm", |name, clock| {
        DbmNamespace::open(name, DbmConfig::new(&path).clock(clock))
    });
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let dir = quick_dir();
    let path = dir.path().join("cache.dbm");
    for value in ["first", "second"] {
        let namespace = DbmNamespace::open("n", DbmConfig::new(&path)).unwrap();
        namespace.set(&Key::new(value), entry(&namespace, value)).unwrap();
    }
    let namespace = DbmNamespace::open("n", DbmConfig::new(&path)).unwrap();
    assert!(namespace.get(&Key::new("first")).unwrap().is_some());
    assert!(namespace.get(&Key::new("second")).unwrap().is_some());
}

#[test]
fn a_time_out_may_be_longer_than_any_moment_is_away() {
    let dir = quick_dir();
    let config = DbmConfig::new(dir.path().join("cache.dbm")).lock_timeout(Duration::MAX);
    let namespace = DbmNamespace::open("n", config).unwrap();
    for value in ["first", "second"] {
        namespace.set(&Key::new("k"), entry(&namespace, value)).unwrap();
        assert!(namespace.get(&Key::new("k")).unwrap().is_some());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "the file and its locks");
}

#[test]
fn a_file_of_another_program_is_left_alone() {
    let dir = quick_dir();
    let path = dir.path().join("notes.txt");
    let text = "not a database at all. ".repeat(1_000);
    std::fs::write(&path, &text).unwrap();
    let error = DbmNamespace::open("n", DbmConfig::new(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

mod real;
