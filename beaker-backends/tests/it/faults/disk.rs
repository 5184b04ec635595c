//! F31, F33: disks and directories that refuse: full, read-only, forbidden, in use, removed.

use std::fs;
use std::path::Path;

use beaker_namespace::{Error, ErrorKind, Key, Namespace, Scan, StoreUrl, Wait};

use super::support::children::{possible, say, words_of};
use super::support::report::report;
use super::support::stores::{CONTROL, Store, any, on_every};
use super::support::values::{entry, value};

fn key(number: u32) -> Key {
    Key::new(&number)
}

// F31: the disk is full.

fn fill(open: &dyn Namespace) -> (u32, Error) {
    for number in 0..100_000 {
        if let Err(error) = open.set(&key(number), entry(vec![number as u8; 4_000])) {
            return (number, error);
        }
    }
    panic!("the disk never became full")
}

fn is_full(error: &Error, dir: &Path) -> bool {
    error.kind() == ErrorKind::Full && error.to_string().contains(&dir.display().to_string())
}

/// What a child does. The ballast is what somebody else removes to make room.
pub(super) fn on_a_full_disk(store: &Store, dir: &Path) {
    let ballast = dir.join("ballast");
    fs::write(&ballast, vec![1; store.disk_kib as usize * 256]).expect("there is space");
    let open = store.open(dir).expect("there is space");
    let (stored, error) = fill(&*open);
    let mut unclear = u32::from(!is_full(&error, dir));
    if unclear > 0 {
        say(&format!("{:?}: {error}", error.kind()));
    }
    let intact =
        |number: u32| value(&*open, &key(number)).ok().flatten() == Some(vec![number as u8; 4_000]);
    let (read, corrupt) = read_all(&*open, stored);

    // A replacement that finds no space leaves the old value.
    let replaced = open.set(&key(0), entry(vec![9; 400_000]));
    unclear += u32::from(!replaced.is_err_and(|error| is_full(&error, dir)));
    let torn = u32::from(!intact(0));

    // Somebody makes room.
    fs::remove_file(&ballast).expect("it is there");
    let mut refused = 0;
    while refused < 5 && open.set(&key(0), entry("again")).is_err() {
        refused += 1;
    }
    let again = value(&*open, &key(0)).ok().flatten() == Some(b"again".to_vec());

    // What a program can do by itself.
    let (more, _) = fill(&*open);
    let removed = outcome(open.remove(&key(1)));
    let cleared = outcome(open.clear());
    let after = outcome(open.set(&key(0), entry("at last")));
    say(&format!(
        "stored={stored} read={read} torn={torn} unclear={unclear} refused_after_room={refused} \
         again={again} corrupt={corrupt} more={more} remove={removed} clear={cleared} \
         then_set={after}"
    ));
}

fn outcome<T>(outcome: Result<T, Error>) -> String {
    outcome.map_or_else(|error| format!("{:?}", error.kind()), |_| "ok".to_owned())
}

/// How many of the entries are as they were written, and how many are wrong. Gives up on a store that
/// cannot be read at all, which may take long to say so.
fn read_all(open: &dyn Namespace, stored: u32) -> (u32, u32) {
    let (mut read, mut wrong, mut failed) = (0, 0, 0);
    for number in 0..stored {
        match value(open, &key(number)) {
            Ok(Some(found)) if found == vec![number as u8; 4_000] => read += 1,
            Ok(Some(_)) => wrong += 1,
            _ => failed += 1,
        }
        if failed > 5 {
            break;
        }
    }
    (read, wrong + open.stats().corrupt as u32)
}

/// The number behind `name=` in a line that a child said.
fn number(line: &str, name: &str) -> u32 {
    let word = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    word.expect("the child says it").parse().expect("a number")
}

fn check_full_disk(store: &Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let mount = format!("mount -t tmpfs -o size={}k none {}", store.disk_kib, dir.path().display());
    let words = words_of(&["unshare", "-m"], &mount, "full", store, dir.path());
    let line = &words[words.len() - 2];
    let read = number(line, "read") == number(line, "stored") && number(line, "torn") == 0;
    let holds = (read || !store.reads_when_full)
        && number(line, "unclear") + number(line, "corrupt") == 0
        && number(line, "refused_after_room") <= 1
        && line.contains("again=true")
        && (line.ends_with("then_set=ok") || !store.makes_room);
    let is_control = store.name == CONTROL.name;
    report("F31 a full disk", store.name, line, holds != is_control);
    assert_eq!(holds, !is_control, "{}: {words:?}", store.name);
    assert!(!is_control || number(line, "torn") > 0, "the check has no teeth: {line}");
}

#[test]
fn f31_storm_on_a_full_disk_writes_fail_as_full_reads_go_on_and_space_heals() {
    if possible("F31 on a file system of its own", &["unshare", "-m", "true"]) {
        on_every(any, check_full_disk);
        check_full_disk(&CONTROL);
    }
}

// F33: the directory is read-only, forbidden, in use for something else, or gone.

fn is_denied<T>(outcome: Result<T, Error>, dir: &Path) -> bool {
    match outcome {
        Ok(_) => false,
        Err(error) => {
            let named = error.to_string().contains(&dir.display().to_string());
            if error.kind() != ErrorKind::Denied || !named {
                say(&format!("{:?}: {error}", error.kind()));
            }
            error.kind() == ErrorKind::Denied && named
        }
    }
}

/// What a child does: it counts what is denied.
pub(super) fn on_a_read_only_disk(store: &Store, dir: &Path) {
    let key = Key::new("k");
    let open = match store.open(dir) {
        Ok(open) => open,
        Err(error) => {
            let denied = is_denied(Err::<(), _>(error), dir);
            return say(&format!("opened=0 read=0 denied={}", if denied { 4 } else { 0 }));
        }
    };
    let read = matches!(value(&*open, &key), Ok(Some(found)) if found == b"v");
    let denied = [
        is_denied(open.set(&key, entry("new")), dir),
        is_denied(
            open.claim(&key, Wait::Never).and_then(|claim| {
                let claim = claim.expect("nobody has it");
                open.fulfil(&key, entry("new"), claim)
            }),
            dir,
        ),
        is_denied(open.remove(&key), dir),
        is_denied(open.clear(), dir),
    ];
    let denied = denied.iter().filter(|denied| **denied).count();
    let read = u32::from(read && open.scan(&Scan::new()).is_ok());
    say(&format!("opened=1 read={read} denied={denied}"));
}

#[test]
fn f33_on_a_read_only_disk_values_are_read_or_opening_is_denied() {
    if !possible("F33 read-only", &["unshare", "-m", "true"]) {
        return;
    }
    on_every(any, |store| {
        let dir = tempfile::tempdir().expect("a directory");
        store.open(dir.path()).unwrap().set(&Key::new("k"), entry("v")).unwrap();
        let path = dir.path().display();
        let mount = format!("mount --bind {path} {path} && mount -o remount,ro,bind {path}");
        let words = words_of(&["unshare", "-m"], &mount, "read-only", store, dir.path());
        let line = &words[words.len() - 2];
        let holds = number(line, "denied") == 4 && number(line, "opened") == number(line, "read");
        report("F33 a read-only disk", store.name, line, holds);
        assert!(holds, "{words:?}");
        let again = store.open(dir.path()).unwrap();
        assert_eq!(value(&*again, &Key::new("k")).unwrap(), Some(b"v".to_vec()));
        drop(again);
        // The control: the same child where it may write.
        let words = words_of(&[], ":", "read-only", store, dir.path());
        assert_eq!(number(&words[words.len() - 2], "denied"), 0, "{words:?}");
    });
}

/// What a child does that is nobody: it counts what is denied.
pub(super) fn without_permission(store: &Store, dir: &Path) {
    let denied = ["closed", "shut/below"]
        .map(|place| is_denied(store.open(&dir.join(place)).map(drop), &dir.join(place)));
    say(&format!("denied={}", denied.iter().filter(|denied| **denied).count()));
}

#[test]
fn f33_without_permission_opening_is_denied() {
    const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    if !possible("F33 without permission", &[&NOBODY[..], &["true"]].concat()) {
        return;
    }
    on_every(any, |store| {
        let dir = tempfile::tempdir().expect("a directory");
        let mode = |path: &Path, mode| {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for (below, bits) in [("", 0o755), ("closed", 0o555), ("shut", 0o700)] {
            fs::create_dir_all(dir.path().join(below)).unwrap();
            mode(&dir.path().join(below), bits);
        }
        // Nobody must be able to run this binary, wherever it was built. Copied by another process: while this
        // one writes a file, a child that another test starts would have it open too, and nobody could run it.
        let copy = dir.path().join("binary");
        let copied = std::process::Command::new("cp")
            .arg(std::env::current_exe().unwrap())
            .arg(&copy)
            .status();
        assert!(copied.unwrap().success());
        mode(&copy, 0o755);
        let script = format!("cd / && shift && set -- {} \"$@\"", copy.display());
        let words = words_of(&NOBODY, &script, "stranger", store, dir.path());
        assert_eq!(number(&words[words.len() - 2], "denied"), 2, "{}: {words:?}", store.name);
        // The control: the same child, as somebody who may do anything.
        let words = words_of(&[], &script, "stranger", store, dir.path());
        assert_eq!(number(&words[words.len() - 2], "denied"), 0, "{}: {words:?}", store.name);
    });
}

#[test]
fn f33_a_missing_directory_is_made_and_a_file_in_the_way_is_named() {
    on_every(any, |store| {
        let dir = tempfile::tempdir().unwrap();
        let open = store.open(&dir.path().join("made/for it")).unwrap();
        open.set(&Key::new("k"), entry("v")).unwrap();
        assert_eq!(value(&*open, &Key::new("k")).unwrap(), Some(b"v".to_vec()));

        fs::write(dir.path().join("file"), "").unwrap();
        let error = store.open(&dir.path().join("file")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{}: {error}", store.name);
        assert!(error.to_string().contains("file"), "{}: {error}", store.name);
    });
}

#[test]
fn f33_something_else_in_the_store_s_place_is_named_and_left() {
    on_every(any, |store| {
        let dir = tempfile::tempdir().unwrap();
        let place = store.path(dir.path());
        let kinds = [ErrorKind::Config, ErrorKind::Denied, ErrorKind::Corrupt];
        let check = |error: Error| {
            assert!(kinds.contains(&error.kind()), "{}: {:?}: {error}", store.name, error.kind());
            let named = error.to_string().contains(&place.display().to_string());
            assert!(named, "{}: {error}", store.name);
        };
        fs::create_dir(&place).unwrap();
        fs::write(place.join("README"), "not ours").unwrap();
        store.open(dir.path()).map(drop).err().into_iter().for_each(check);
        assert_eq!(fs::read(place.join("README")).unwrap(), b"not ours", "{}", store.name);

        fs::remove_dir_all(&place).unwrap();
        let letter = "Dear sir, this is a letter. ".repeat(1_000);
        fs::write(&place, &letter).unwrap();
        check(store.open(dir.path()).expect_err("it is a letter"));
        assert_eq!(fs::read_to_string(&place).unwrap(), letter, "{}", store.name);
    });
}

/// Removes the directory of a store that is open, writes, and closes it: whether what was acknowledged is
/// there, to this handle and to whoever opens the store next, and a refusal says what is wrong.
fn loses_nothing_with_its_directory(store: &Store, url: impl Fn(&Path) -> StoreUrl) -> bool {
    let room = tempfile::tempdir().unwrap();
    let dir = room.path().join("dir");
    let (old, new) = (Key::new("old"), Key::new("new"));
    let open = store.open_url(&url(&dir)).unwrap();
    open.set(&old, entry("v")).unwrap();
    // What is read is what was there, or nothing, before it is noticed and after.
    let reads_right = |open: &dyn Namespace| {
        value(open, &old).is_ok_and(|found| found.is_none_or(|found| found == b"v"))
    };
    let read = reads_right(&*open);
    fs::remove_dir_all(&dir).unwrap();
    let read = read && reads_right(&*open);
    let set = open.set(&new, entry("v"));
    let read = read && reads_right(&*open);
    let is_there = |open: &dyn Namespace| {
        value(open, &new).is_ok_and(|found| found == set.is_ok().then(|| b"v".to_vec()))
    };
    let here = is_there(&*open);
    drop(open);
    let next = is_there(&*store.open_url(&url(&dir)).unwrap());
    let kind = set.as_ref().err().map(Error::kind);
    let clear = kind.is_none_or(|kind| kind == ErrorKind::Unavailable);
    let line = format!("set={} read={read} here={here} next={next}", outcome(set));
    let holds = read && here && next && clear;
    let is_control = store.name == CONTROL.name;
    report("F33 removed while in use", store.name, &line, holds != is_control);
    holds
}

#[test]
fn f33_what_is_acknowledged_is_not_lost_with_a_directory_that_somebody_removed() {
    on_every(any, |store| {
        assert!(loses_nothing_with_its_directory(store, |dir| store.url(dir)), "{}", store.name);
    });
    let lazy = |dir: &Path| CONTROL.url(dir).with_option("lazy", true);
    assert!(!loses_nothing_with_its_directory(&CONTROL, lazy), "the check has no teeth");
}

#[test]
fn f33_every_call_goes_on_after_its_directory_was_removed() {
    on_every(any, |store| {
        let room = tempfile::tempdir().unwrap();
        let dir = room.path().join("dir");
        let open = store.open(&dir).unwrap();
        let key = Key::new("k");
        let calls: [&dyn Fn() -> Result<(), Error>; 6] = [
            &|| open.set(&key, entry("v")),
            &|| open.claim(&key, Wait::Never).map(drop),
            &|| open.remove(&key).map(drop),
            &|| open.scan(&Scan::new()).map(drop),
            &|| open.sweep().map(drop),
            &|| open.clear(),
        ];
        for (number, call) in calls.iter().enumerate() {
            open.set(&key, entry("v")).unwrap();
            fs::remove_dir_all(&dir).unwrap();
            // At the first or the second call: one may be the first to notice.
            let outcome = call().or_else(|_| call());
            assert!(outcome.is_ok(), "{}: call {number}: {outcome:?}", store.name);
            assert!(open.set(&key, entry("new")).is_ok(), "{}: after call {number}", store.name);
            assert_eq!(value(&*open, &key).unwrap(), Some(b"new".to_vec()), "{}", store.name);
        }
    });
}
