//! The file store on disks and in directories that refuse: full, limited, read-only, forbidden.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod children;
mod files;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use beaker_namespace::{
    Error, ErrorKind, FileConfig, FileNamespace, Fulfilled, Key, Namespace, Scan, Wait,
};
use children::{Role, given_role, say};
use files::{entry, entry_files, open, value};

/// What plays the roles of this binary's children.
#[test]
fn child() {
    let Some((role, dir)) = given_role() else { return };
    match role.as_str() {
        "full" => on_a_full_disk(&dir),
        "limited" => within_a_file_size_limit(&dir),
        "read-only" => on_a_read_only_disk(&dir),
        "stranger" => without_permission(&dir),
        "few-files" => with_few_descriptors(&dir),
        other => panic!("there is no role {other}"),
    }
    say("done");
}

/// The words of a child in `role`, whose shell first does `script`.
fn words_of(wrapper: &[&str], script: &str, role: &str, dir: &Path) -> Vec<String> {
    let mut child = Role::start_in_shell(wrapper, &format!("{script}; exec \"$@\""), role, dir);
    let words = std::iter::from_fn(|| child.hear()).collect();
    assert!(child.finish().success(), "the child failed: {words:?}");
    words
}

/// Whether `command` can be run here; says loudly if not.
fn possible(row: &str, command: &[&str]) -> bool {
    let works = Command::new(command[0])
        .args(&command[1..])
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        // Not by a macro: the harness would keep that to itself.
        let command = command.join(" ");
        let line = format!("\nSKIPPED {row}: `{command}` does not work here (it needs root)\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
    works
}

// F31: the disk is full.

fn fill(store: &FileNamespace, limit: u32) -> (u32, Error) {
    for number in 0..limit {
        if let Err(error) = store.set(&Key::new(&number), entry(vec![number as u8; 4_000])) {
            return (number, error);
        }
    }
    panic!("the disk never became full")
}

fn check_full(error: &Error, dir: &Path) {
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(error.to_string().contains(&dir.display().to_string()), "{error}");
}

fn on_a_full_disk(dir: &Path) {
    let store = open(dir);
    let made_anew = Key::new("made anew");
    store.set(&made_anew, entry(vec![1; 4_000])).expect("there is space");
    let claim = store.claim(&made_anew, Wait::Never).expect("claim").expect("it is free");
    let (stored, error) = fill(&store, 10_000);
    check_full(&error, dir);
    let intact =
        |number: &u32| value(&store, &Key::new(number)) == Some(vec![*number as u8; 4_000]);
    assert_eq!((0..stored).filter(intact).count() as u32, stored, "reads go on");
    assert_eq!(entry_files(dir).len() as u32, stored + 1, "no temporary file stays");

    // A replacement that finds no space leaves the old value.
    let error = store.set(&Key::new(&0), entry(vec![9; 40_000])).expect_err("there is no space");
    check_full(&error, dir);
    assert!(intact(&0));

    // A full disk does not keep anybody from making room, though the mark on the running creation
    // needs some itself; then a write works at once.
    assert!(store.remove(&made_anew).expect("remove"));
    assert!(store.remove(&Key::new(&0)).expect("remove"));
    let fulfilled = store.fulfil(&made_anew, entry("older"), claim).expect("there is space");
    assert_eq!(fulfilled, Fulfilled::Superseded);
    store.set(&Key::new(&0), entry("again")).expect("there is space again");
    assert_eq!(value(&store, &Key::new(&0)), Some(b"again".to_vec()));
    fill(&store, 10_000);
    store.clear().expect("clear");
    store.set(&Key::new(&0), entry("again")).expect("there is space again");
    assert_eq!(store.stats().corrupt, 0);
    say(&format!("stored {stored}"));
}

#[test]
fn f31_on_a_full_disk_writes_fail_as_full_reads_go_on_and_space_heals() {
    let dir = tempfile::tempdir().unwrap();
    if !possible("F31 on a file system of its own", &["unshare", "-m", "true"]) {
        return;
    }
    let mount = format!("mount -t tmpfs -o size=1m none {}", dir.path().display());
    let words = words_of(&["unshare", "-m"], &mount, "full", dir.path());
    assert_eq!(words.last().map(String::as_str), Some("done"), "{words:?}");
}

fn within_a_file_size_limit(dir: &Path) {
    let store = open(dir);
    store.set(&Key::new("k"), entry("small")).expect("a small value");
    let error = store.set(&Key::new("k"), entry(vec![7; 200_000])).expect_err("it is too long");
    check_full(&error, dir);
    assert_eq!(value(&store, &Key::new("k")), Some(b"small".to_vec()));
    assert_eq!(entry_files(dir).len(), 1, "no temporary file stays");
    store.set(&Key::new("k"), entry("new")).expect("a small value");
}

#[test]
fn f31_a_limit_on_file_sizes_is_full_too() {
    let dir = tempfile::tempdir().unwrap();
    let words = words_of(&[], "trap '' XFSZ; ulimit -f 64", "limited", dir.path());
    assert_eq!(words, ["done"]);
}

// F33: the directory is read-only, forbidden, in use for something else, or descriptors run out.

fn check_denied<T>(outcome: Result<T, Error>, dir: &Path) {
    let error = outcome.err().expect("it was not denied");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains(&dir.display().to_string()), "{error}");
}

fn on_a_read_only_disk(dir: &Path) {
    let store = open(dir);
    let key = Key::new("k");
    assert_eq!(value(&store, &key), Some(b"v".to_vec()));
    check_denied(store.set(&key, entry("new")), dir);
    check_denied(store.remove(&key), dir);
    check_denied(store.claim(&key, Wait::Never), dir);
    check_denied(store.clear(), dir);
    check_denied(FileNamespace::open("another", FileConfig::new(dir)), dir);
    assert_eq!(value(&store, &key), Some(b"v".to_vec()));
    assert_eq!(store.scan(&Scan::new()).expect("scan").entries.len(), 1);
}

#[test]
fn f33_a_read_only_store_can_be_read_and_writes_are_denied() {
    let dir = tempfile::tempdir().unwrap();
    if !possible("F33 read-only", &["unshare", "-m", "true"]) {
        return;
    }
    open(dir.path()).set(&Key::new("k"), entry("v")).unwrap();
    let path = dir.path().display();
    let script = format!("mount --bind {path} {path} && mount -o remount,ro,bind {path}");
    assert_eq!(words_of(&["unshare", "-m"], &script, "read-only", dir.path()), ["done"]);
}

fn without_permission(dir: &Path) {
    check_denied(FileNamespace::open("n", FileConfig::new(dir.join("closed"))), dir);
    check_denied(FileNamespace::open("n", FileConfig::new(dir.join("shut/below"))), dir);
}

#[test]
fn ns_14_and_f33_without_permission_opening_is_denied() {
    let wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    if !possible("F33 without permission", &[&wrapper[..], &["true"]].concat()) {
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| {
        fs::create_dir_all(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(dir.path(), 0o755);
    mode(&dir.path().join("closed"), 0o555);
    mode(&dir.path().join("shut"), 0o700);
    // The other user must be able to run this binary, wherever it was built. Copied by another process: while
    // this one writes a file, a child that another test starts would have it open too, and nobody could run it.
    let copy = dir.path().join("binary");
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&copy).status();
    assert!(copied.unwrap().success());
    mode_of_file(&copy);
    let script = format!("cd / && shift && set -- {} \"$@\"", copy.display());
    assert_eq!(words_of(&wrapper, &script, "stranger", dir.path()), ["done"]);
}

fn mode_of_file(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn f33_a_file_in_the_way_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = FileNamespace::open("n", FileConfig::new(&path)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("file"), "{error}");
    }
}

fn with_few_descriptors(dir: &Path) {
    let store = open(dir);
    let key = Key::new("k");
    store.set(&key, entry("v")).expect("there are some");
    let mut held = Vec::new();
    while let Ok(file) = fs::File::open("/dev/null") {
        held.push(file);
    }
    for outcome in [store.set(&key, entry("new")), store.get(&key).map(drop), store.clear()] {
        let error = outcome.expect_err("there are none");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    drop(held);
    assert_eq!(value(&store, &key), Some(b"v".to_vec()));
    store.set(&key, entry("new")).expect("there are some again");
}

#[test]
fn f33_without_descriptors_calls_fail_and_work_again_later() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(words_of(&[], "ulimit -n 24", "few-files", dir.path()), ["done"]);
}
