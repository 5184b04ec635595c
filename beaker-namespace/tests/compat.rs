//! Names and files as Beaker 1.14.1 makes them, against vectors recorded from it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Barrier;
use std::{fs, thread};

use beaker_namespace::compat::{
    EncodedPathOptions, FileNames, LockBackend, UnsafePath, access_lock_path,
    creation_lock_identifier, creation_lock_path, encoded_path, encoded_path_in, lock_path,
    safe_write, safe_write_synced, sha1_hex, storage_key, verify_directory,
};
use proptest::prelude::*;
use serde_json::Value;

/// The vectors of one kind in the file; nothing is left out.
fn vectors(kind: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("vectors/encoded_path.json"))
        .expect("the vectors are JSON");
    let all = file["vectors"].as_array().expect("a list of vectors");
    all.iter().filter(|vector| vector["kind"] == kind).cloned().collect()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is a text in {value}"))
}

fn options(input: &Value) -> EncodedPathOptions {
    let digest = input["digest_filenames"].as_bool().expect("a bool");
    let depth = input["depth"].as_u64().expect("a number");
    EncodedPathOptions::new()
        .extension(text(input, "extension"))
        .depth(usize::try_from(depth).expect("a small number"))
        .file_names(if digest { FileNames::Digest } else { FileNames::Plain })
}

fn identifiers(input: &Value) -> Vec<&str> {
    let list = input["identifiers"].as_array().expect("a list");
    list.iter().map(|identifier| identifier.as_str().expect("a text")).collect()
}

fn plain() -> EncodedPathOptions {
    EncodedPathOptions::new().file_names(FileNames::Plain)
}

/// Whether every part of `path` is an ordinary name.
fn stays_below_the_root(path: &Path) -> bool {
    path.components().next().is_some()
        && path.components().all(|part| matches!(part, Component::Normal(_)))
}

// UTIL-1, UTIL-3.
#[test]
fn encoded_paths_are_those_of_beaker() {
    let vectors = vectors("encoded_path");
    for vector in &vectors {
        let path = encoded_path(&identifiers(&vector["input"]), &options(&vector["input"]));
        let path = path.unwrap_or_else(|error| panic!("{}: {error}", vector["id"]));
        // As text: comparing paths would forgive doubled separators.
        assert_eq!(path.to_str(), vector["expect"]["ok"].as_str(), "{}", vector["id"]);
        assert!(stays_below_the_root(&path), "{}", vector["id"]);
    }
    assert_eq!(vectors.len(), 115);
}

// NS-17, SYN-17.
#[test]
fn ns_17_and_wire_1_lock_paths_are_those_of_beaker() {
    let vectors = vectors("lock_path");
    for vector in &vectors {
        let (id, input, expect) = (&vector["id"], &vector["input"], &vector["expect"]);
        let (namespace, key) = (text(input, "namespace"), text(input, "key"));
        let backend = match text(input, "backend") {
            "file" => LockBackend::File,
            "dbm" => LockBackend::Dbm,
            other => panic!("{id}: unknown backend {other}"),
        };
        let identifier = creation_lock_identifier(backend, namespace, key);
        assert_eq!(identifier, text(expect, "creation_lock_identifier"), "{id}");
        let access = access_lock_path(backend, namespace);
        assert_eq!(access.to_str(), expect["access_lock"].as_str(), "{id}");
        let creation = creation_lock_path(backend, namespace, key);
        assert_eq!(creation.to_str(), expect["creation_lock"].as_str(), "{id}");
        assert_eq!(creation, Path::new(backend.lock_folder()).join(lock_path(&identifier)), "{id}");
    }
    assert_eq!(vectors.len(), 16);
}

#[test]
fn no_vector_is_left_out() {
    let file: Value = serde_json::from_str(include_str!("vectors/encoded_path.json")).unwrap();
    let mut kinds = BTreeMap::new();
    for vector in file["vectors"].as_array().unwrap() {
        *kinds.entry(vector["kind"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(kinds, BTreeMap::from([("encoded_path", 115), ("lock_path", 16)]));
}

// SYN-17: a lock file is an encoded path, always digested, three levels, extension .lock.
#[test]
fn a_lock_path_is_a_digested_encoded_path() {
    let options = EncodedPathOptions::new().extension(".lock");
    for identifier in ["", "a", "x/b", "..", "ключ"] {
        assert_eq!(Ok(lock_path(identifier)), encoded_path(&[identifier], &options));
    }
}

// D20: documented, not mended, because two programs must find the same file.
#[test]
fn the_documented_collisions_are_real() {
    let path = |identifiers: &[&str]| encoded_path(identifiers, &plain()).unwrap();
    assert_eq!(path(&["x/b"]), path(&["b"]));
    assert_eq!(path(&["a.b"]), path(&["ab"]));
    for empty in ["", ".", "..", "x/"] {
        assert_eq!(path(&[empty]), Path::new(".enc"));
    }
    assert_eq!(path(&["a_b", "c"]), path(&["a", "b_c"]));
    let digested = |identifiers: &[&str]| encoded_path(identifiers, &EncodedPathOptions::new());
    assert_eq!(digested(&["a_b", "c"]), digested(&["a", "b_c"]));
    assert_ne!(digested(&["x/b"]), digested(&["b"]));
}

#[test]
fn an_extension_that_leaves_the_root_is_refused() {
    for extension in ["/../../x", "/x", "/.", "/"] {
        let options = plain().extension(extension);
        assert_eq!(encoded_path(&["a"], &options), Err(UnsafePath), "{extension}");
    }
    // Behind an empty name these would be the root, its parent or no file.
    for extension in ["", ".", ".."] {
        let options = plain().extension(extension);
        assert_eq!(encoded_path(&[""], &options), Err(UnsafePath), "{extension:?}");
        assert_eq!(encoded_path(&[".."], &options), Err(UnsafePath), "{extension:?}");
    }
    let error = encoded_path_in(Path::new("/"), &[""], &plain().extension("..")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

proptest! {
    #[test]
    fn no_identifier_leaves_the_root(
        identifiers in prop::collection::vec("[./\\\\a\u{e9}\u{0}_:]{0,6}", 0..4), depth in 0..6_usize,
    ) {
        let identifiers: Vec<&str> = identifiers.iter().map(String::as_str).collect();
        for names in [FileNames::Plain, FileNames::Digest] {
            let options = EncodedPathOptions::new().depth(depth).file_names(names);
            if let Ok(path) = encoded_path(&identifiers, &options) {
                prop_assert!(stays_below_the_root(&path));
                prop_assert!(path.components().count() <= depth.max(1));
            } else {
                prop_assert!(cfg!(windows), "refused without need");
            }
        }
    }
}

// UTIL-2.
#[test]
fn the_directories_are_made_and_the_file_is_not() {
    let root = tempfile::tempdir().unwrap();
    let path = encoded_path_in(root.path(), &["papa"], &plain()).unwrap();
    assert_eq!(path, root.path().join("p/pa/papa.enc"));
    assert!(root.path().join("p/pa").is_dir());
    assert!(!path.exists());
    // Once more, with everything there.
    assert_eq!(encoded_path_in(root.path(), &["papa"], &plain()).unwrap(), path);
}

// UTIL-4.
#[test]
fn a_directory_that_all_make_at_once_is_no_error() {
    let root = tempfile::tempdir().unwrap();
    let start = Barrier::new(8);
    for round in 0..50 {
        let deep: PathBuf =
            [root.path().to_path_buf(), format!("{round}/a/b/c").into()].iter().collect();
        let made: Vec<bool> = thread::scope(|scope| {
            let make = || {
                start.wait();
                verify_directory(&deep).is_ok()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(made, [true; 8]);
        assert!(deep.is_dir());
    }
}

// UTIL-4.
#[test]
fn a_file_in_the_way_of_a_directory_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(verify_directory(&file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    let below = verify_directory(&file.join("below")).unwrap_err();
    assert_eq!(below.kind(), io::ErrorKind::NotADirectory);
}

// UTIL-5.
#[test]
fn safe_write_replaces_the_file_and_leaves_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("value");
    safe_write(&path, b"a longer content").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"a longer content");
    safe_write_synced(&path, b"short").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"short");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

// D17: Beaker leaves its temporary file behind.
#[test]
fn a_failed_safe_write_leaves_no_file() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("occupied");
    fs::create_dir(&directory).unwrap();
    let error = safe_write(&directory, b"new").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    let error = safe_write(&root.path().join("absent/value"), b"new");
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

/// Four writers replace one file by `write` while it is read; returns whether a reader ever saw
/// anything but one whole content.
fn readers_see_a_mixture(write: impl Fn(&Path, &[u8]) + Sync) -> bool {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("value");
    let content = |writer: u8| vec![writer; 100_000 + usize::from(writer)];
    write(&path, &content(0));
    thread::scope(|scope| {
        let write_often = |writer: u8| {
            for _ in 0..100 {
                write(&path, &content(writer));
            }
        };
        let writers: Vec<_> =
            (1..5).map(|writer| scope.spawn(move || write_often(writer))).collect();
        let mut mixture = false;
        while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
            let read = fs::read(&path).expect("the file is always there");
            mixture |= read.first().is_none_or(|&writer| read != content(writer));
        }
        mixture
    })
}

// UTIL-5, D17.
#[test]
fn readers_see_the_old_or_the_new_content_while_many_write() {
    assert!(!readers_see_a_mixture(|path, bytes| {
        safe_write(path, bytes).expect("the write succeeds");
    }));
    // The control: plain writes are seen half done, if not in the first round then in a later one.
    let plain_write = |path: &Path, bytes: &[u8]| fs::write(path, bytes).expect("a write");
    assert!((0..100).any(|_| readers_see_a_mixture(plain_write)));
}

#[test]
fn digests_and_storage_keys_are_known_values() {
    assert_eq!(sha1_hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_eq!(sha1_hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(
        storage_key("a\u{7f}\u{80}\u{ff}\u{100}\u{ffff}\u{10000}"),
        "a\u{7f}\\x80\\xff\\u0100\\uffff\\U00010000"
    );
}
