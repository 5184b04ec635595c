//! The cache directories recorded from Beaker 1.14.1. No vector is left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use beaker_backends::compat::{BeakerCache, BeakerRecord, Value};
use beaker_namespace::Timestamp;
use beaker_namespace::base64::{STANDARD, b64decode};
use beaker_namespace::compat::{FileNames, storage_key};
use serde_json::Value as Json;

use super::unhex;

fn vectors() -> Vec<Json> {
    let file: Json = serde_json::from_str(include_str!("../../vectors/cache_file.json"))
        .expect("the vectors are JSON");
    file["vectors"].as_array().expect("a list").clone()
}

/// The directory that Beaker left, with its lock files.
fn restore(vector: &Json, root: &Path) {
    let write = |path: &Json, bytes: Vec<u8>| {
        let path = root.join(path.as_str().expect("a path"));
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    };
    for file in vector["expect"]["files"].as_array().expect("a list") {
        let bytes = b64decode(file["data_b64"].as_str().expect("a text"), &STANDARD);
        write(&file["path"], bytes.expect("base64"));
    }
    for lock in vector["expect"]["lock_files"].as_array().expect("a list") {
        write(lock, Vec::new());
    }
}

fn cache(vector: &Json, root: &Path) -> BeakerCache {
    let cache = match vector["kind"].as_str() {
        Some("cache_file") => BeakerCache::file(root),
        Some("cache_dbm") => BeakerCache::dbm(root),
        other => panic!("unknown kind {other:?}"),
    };
    match vector["input"]["digest_filenames"].as_bool() {
        Some(true) => cache.file_names(FileNames::Digest),
        _ => cache.file_names(FileNames::Plain),
    }
}

fn read(vector: &Json, root: &Path) -> Vec<BeakerRecord> {
    let namespace = vector["input"]["namespace"].as_str().expect("a text");
    let records = cache(vector, root).read(namespace);
    records.unwrap_or_else(|error| panic!("{}: {error}", vector["id"])).collect()
}

/// The value that the vector's typed notation means.
fn value(typed: &Json) -> Value {
    let v = &typed["v"];
    let items = || v.as_array().expect("a list").iter().map(value).collect();
    match typed["py"].as_str().expect("a type") {
        "none" => Value::None,
        "bool" => Value::Bool(v.as_bool().expect("a bool")),
        "int" => Value::Int(v.as_i64().expect("a number")),
        "bigint" => Value::BigInt(v.as_str().expect("digits").to_owned()),
        "float" => Value::Float(v.as_f64().expect("a number")),
        "str" => Value::Str(v.as_str().expect("a text").to_owned()),
        "bytes" => Value::Bytes(unhex(typed["hex"].as_str().expect("digits"))),
        "list" => Value::List(items()),
        "tuple" => Value::Tuple(items()),
        "dict" => {
            let pairs = v.as_object().expect("pairs").iter();
            Value::Dict(pairs.map(|(key, v)| (Value::Str(key.clone()), value(v))).collect())
        }
        other => panic!("unknown type {other}"),
    }
}

/// Sorts the pairs of dictionaries, since the vectors' JSON has lost their order.
fn sorted(value: Value) -> Value {
    let key = |pair: &(Value, Value)| pair.0.as_str().unwrap_or_default().to_owned();
    match value {
        Value::Dict(pairs) => {
            let mut pairs: Vec<_> = pairs.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            pairs.sort_by_key(key);
            Value::Dict(pairs)
        }
        Value::List(items) => Value::List(items.into_iter().map(sorted).collect()),
        Value::Tuple(items) => Value::Tuple(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// Everything below `root`: path, content, time of change.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::metadata(&path).expect("it is there");
        let content = if metadata.is_dir() {
            let list = fs::read_dir(&path).expect("a list");
            open.extend(list.map(|entry| entry.expect("an entry").path()));
            Vec::new()
        } else {
            fs::read(&path).expect("a file")
        };
        found.insert(path, (content, metadata.modified().expect("a time")));
    }
    found
}

// NS-12, NS-13, NS-18, NS-19, CON-2, WIRE-2, WIRE-4.
#[test]
fn every_directory_that_beaker_left_is_read_to_the_last_value() {
    let vectors = vectors();
    let mut counts = BTreeMap::new();
    for vector in &vectors {
        let root = tempfile::tempdir().unwrap();
        restore(vector, root.path());
        let records = read(vector, root.path());
        let entries = vector["input"]["entries"].as_array().unwrap();
        let stored = vector["expect"]["stored"].as_array().unwrap();
        assert_eq!(records.len(), stored.len(), "{}", vector["id"]);
        for ((record, entry), stored) in records.iter().zip(entries).zip(stored) {
            check(record, entry, stored);
        }
        let count: &mut (usize, usize) =
            counts.entry(vector["kind"].as_str().unwrap()).or_default();
        *count = (count.0 + 1, count.1 + records.len());
    }
    assert_eq!(vectors.len(), 14);
    assert_eq!(counts, BTreeMap::from([("cache_dbm", (5, 13)), ("cache_file", (9, 27))]));
}

fn check(record: &BeakerRecord, entry: &Json, stored: &Json) {
    assert_eq!(record.key(), entry["key"].as_str().expect("it is there"));
    assert_eq!(
        record.storage_key(),
        unhex(stored["storage_key_hex"].as_str().expect("it is there"))
    );
    assert_eq!(record.storage_key(), storage_key(&record.key()).as_bytes());
    let found = record.entry().expect("it is there");
    assert_eq!(sorted(found.value().clone()), sorted(value(&entry["value"])));
    let [at, expire] = [&stored["tuple"][0]["v"], &stored["tuple"][1]["v"]];
    assert_eq!(found.stored_at(), Timestamp::from_secs_f64(at.as_f64().expect("it is there")));
    assert_eq!(found.time_to_live(), expire.as_u64().map(Duration::from_secs));
}

#[test]
fn reading_changes_nothing_in_the_directory() {
    for vector in vectors() {
        let root = tempfile::tempdir().unwrap();
        restore(&vector, root.path());
        let before = snapshot(root.path());
        assert!(!read(&vector, root.path()).is_empty());
        assert_eq!(snapshot(root.path()), before, "{}", vector["id"]);
    }
}

#[test]
fn a_directory_without_lock_files_is_read_and_gets_none() {
    for vector in vectors() {
        let root = tempfile::tempdir().unwrap();
        restore(&vector, root.path());
        let with_lock = read(&vector, root.path()).len();
        for lock in vector["expect"]["lock_files"].as_array().unwrap() {
            let folder = Path::new(lock.as_str().unwrap()).iter().next().unwrap();
            fs::remove_dir_all(root.path().join(folder)).unwrap();
        }
        let before = snapshot(root.path());
        assert_eq!(read(&vector, root.path()).len(), with_lock);
        assert_eq!(snapshot(root.path()), before, "{}", vector["id"]);
    }
}

#[test]
fn the_lock_is_the_file_that_beaker_locked() {
    for vector in vectors() {
        let root = tempfile::tempdir().unwrap();
        restore(&vector, root.path());
        let lock = vector["expect"]["lock_files"][0].as_str().unwrap();
        let holder = beaker_sync::CreationLock::at(root.path().join(lock)).lock().unwrap();
        let namespace = vector["input"]["namespace"].as_str().unwrap();
        let held = cache(&vector, root.path()).lock_timeout(Duration::ZERO).read(namespace);
        let error = held.expect_err("somebody holds the lock");
        assert_eq!(error.kind(), beaker_namespace::ErrorKind::Timeout, "{}", vector["id"]);
        drop(holder);
        // The control: it was the lock that kept us out.
        assert!(!read(&vector, root.path()).is_empty());
    }
}
