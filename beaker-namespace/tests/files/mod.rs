//! What the tests of the file store share.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs;
use std::path::{Path, PathBuf};

use beaker_namespace::{Entry, FileConfig, FileNamespace, Key, Namespace, Payload, Timestamp};

pub(crate) fn entry(value: impl Into<Vec<u8>>) -> Entry {
    Entry::new(Payload::raw(value.into()), Timestamp::from_micros(1))
}

pub(crate) fn bytes(entry: &Entry) -> Vec<u8> {
    let Payload::Bytes { bytes, .. } = entry.payload() else { panic!("a file holds bytes") };
    bytes.to_vec()
}

pub(crate) fn open(dir: &Path) -> FileNamespace {
    FileNamespace::open("n", FileConfig::new(dir)).expect("it opens")
}

pub(crate) fn value(store: &FileNamespace, key: &Key) -> Option<Vec<u8>> {
    store.get(key).expect("get").as_ref().map(bytes)
}

/// All files below `dir`, in order.
pub(crate) fn all_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.path().is_dir() { &mut dirs } else { &mut found }.push(entry.path());
        }
    }
    found.sort();
    found
}

/// All directories below `dir`, in order.
pub(crate) fn all_dirs(dir: &Path) -> Vec<PathBuf> {
    let below = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<_> = below.filter(|path| path.is_dir()).collect();
    let deeper: Vec<_> = found.iter().flat_map(|dir| all_dirs(dir)).collect();
    found.extend(deeper);
    found.sort();
    found
}

/// The files of entries below `dir`, finished or not.
pub(crate) fn entry_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = all_files(dir);
    files.retain(|file| file.components().any(|part| part.as_os_str() == "entries"));
    files
}

pub(crate) fn only_entry_file(dir: &Path) -> PathBuf {
    let files = entry_files(dir);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}
