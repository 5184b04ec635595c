//! Marks in the file store: damaged files, killed processes, and processes that mark at the same time.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod children;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{
    Durability, Entry, ErrorKind, FileConfig, FileNamespace, Key, ManualClock, Mark, Namespace,
    Payload, Timestamp,
};
use children::{Role, given_role, listen, say};

/// The marks that each of two processes makes.
const RACE: i64 = 200;

#[test]
fn child() {
    let Some((role, dir)) = given_role() else { return };
    let store = FileNamespace::open("n", FileConfig::new(&dir)).unwrap();
    say("ready");
    match role.as_str() {
        "marker" => {
            for step in 0.. {
                store.mark("name", Mark::hard(at(step))).unwrap();
                say(&step.to_string());
            }
        }
        "racer" => {
            let id: i64 = listen().parse().unwrap();
            for step in 0..RACE {
                let mark = Mark::hard(at(2 * step + id));
                let holds = store.mark("name", mark).unwrap();
                assert_eq!(holds.merge(mark), holds, "its own mark is lost");
            }
            say("done");
            listen();
            let mark = if id == 0 { Mark::hard(at(1)) } else { Mark::soft(at(2)) };
            for step in 0..RACE {
                store.mark(&step.to_string(), mark).unwrap();
            }
            say("done");
        }
        other => panic!("there is no role {other}"),
    }
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn found(store: &FileNamespace, name: &str) -> Mark {
    store.marks(&mut [name].into_iter()).unwrap()
}

/// A store in `dir` whose clock shows 1,000.
fn open(dir: &Path) -> FileNamespace {
    let config = FileConfig::new(dir).clock(Arc::new(ManualClock::new(at(1_000))));
    FileNamespace::open("n", config).unwrap()
}

/// The directory of marks of the only namespace in `dir`.
fn marks_dir(dir: &Path) -> PathBuf {
    fs::read_dir(dir).unwrap().next().unwrap().unwrap().path().join("marks")
}

fn mark_files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(marks_dir(dir)).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A store with one mark, hard at 7, and its file.
fn marked(dir: &Path) -> (FileNamespace, PathBuf) {
    let store = open(dir);
    store.mark("name", Mark::hard(at(7))).unwrap();
    let files = mark_files(dir);
    assert_eq!(files.len(), 1);
    (store, files[0].clone())
}

// F34, F35: what is damaged counts as a hard mark of now, and heals.

#[test]
fn f34_a_mark_cut_off_at_any_length_is_never_no_mark() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = marked(dir.path());
    let whole = fs::read(&file).unwrap();
    for length in 0..whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        assert_eq!(found(&store, "name"), Mark::hard(at(1_000)), "{length} bytes");
        assert_ne!(fs::read(&file).unwrap(), whole[..length], "{length} bytes are still there");
    }
    assert_eq!(store.stats().corrupt, whole.len() as u64);
    fs::write(&file, &whole).unwrap();
    assert_eq!(found(&store, "name"), Mark::hard(at(7)), "the control");
}

#[test]
fn f35_a_mark_with_a_flipped_bit_is_never_no_mark_nor_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = marked(dir.path());
    let whole = fs::read(&file).unwrap();
    for bit in 0..8 * whole.len() {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, bytes).unwrap();
        assert_eq!(found(&store, "name"), Mark::hard(at(1_000)), "bit {bit}");
    }
    assert_eq!(store.stats().corrupt, 8 * whole.len() as u64);
}

#[test]
fn f35_a_mark_of_another_name_or_namespace_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = marked(dir.path());
    let others = fs::read(&file).unwrap();
    store.mark("other", Mark::soft(at(8))).unwrap();
    let other = mark_files(dir.path()).into_iter().find(|path| *path != file).unwrap();
    fs::write(other, &others).unwrap();
    assert_eq!(found(&store, "other"), Mark::hard(at(1_000)));

    let dir = tempfile::tempdir().unwrap();
    let neighbour = FileNamespace::open("m", FileConfig::new(dir.path())).unwrap();
    neighbour.mark("name", Mark::soft(at(8))).unwrap();
    fs::write(&mark_files(dir.path())[0], others).unwrap();
    assert!(found(&neighbour, "name").gone_until().is_some());
}

#[test]
fn a_healed_mark_spares_what_is_made_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at(1_000)));
    let config = FileConfig::new(dir.path()).clock(Arc::clone(&clock) as _);
    let store = FileNamespace::open("n", config).unwrap();
    store.mark("name", Mark::hard(at(7))).unwrap();
    fs::write(&mark_files(dir.path())[0], "garbage").unwrap();
    assert_eq!(found(&store, "name"), Mark::hard(at(1_000)));
    clock.advance(Duration::from_secs(1));
    assert_eq!(found(&store, "name"), Mark::hard(at(1_000)), "it moves no further");
    assert_eq!(store.stats().corrupt, 1);
}

#[test]
fn marking_over_damage_keeps_what_the_damage_means() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = marked(dir.path());
    fs::write(&file, "garbage").unwrap();
    let holds = store.mark("name", Mark::soft(at(3))).unwrap();
    assert_eq!(holds, Mark::hard(at(1_000)).merge(Mark::soft(at(3))));
    assert_eq!(found(&store, "name"), holds);
}

#[test]
fn what_is_no_plain_file_is_damage_too() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = marked(dir.path());
    fs::remove_file(&file).unwrap();
    symlink("nowhere", &file).unwrap();
    assert_eq!(found(&store, "name"), Mark::hard(at(1_000)));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(found(&store, "name"), Mark::hard(at(1_000)), "a directory, which cannot heal");
    assert!(file.is_dir());
    assert!(store.mark("name", Mark::hard(at(9))).is_err());
    fs::remove_dir(&file).unwrap();
    assert_eq!(found(&store, "name"), Mark::default(), "the control");
}

#[test]
fn marks_that_cannot_be_looked_for_are_an_error_not_absent() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = marked(dir.path());
    let marks = marks_dir(dir.path());
    fs::rename(&marks, dir.path().join("aside")).unwrap();
    fs::write(&marks, "").unwrap();
    let error = store.marks(&mut ["name"].into_iter()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(!error.to_string().contains("name"), "{error}");
}

// What becomes of them.

#[test]
fn a_mark_is_there_when_all_are_gone_and_the_store_is_opened_again() {
    for durability in [Durability::None, Durability::Durable] {
        let dir = tempfile::tempdir().unwrap();
        let config = || FileConfig::new(dir.path()).durability(durability);
        let store = FileNamespace::open("n", config()).unwrap();
        for _ in 0..2 {
            assert_eq!(store.mark("name", Mark::hard(at(7))).unwrap(), Mark::hard(at(7)));
        }
        drop(store);
        let store = FileNamespace::open("n", config()).unwrap();
        assert_eq!(found(&store, "name"), Mark::hard(at(7)));
    }
}

#[test]
fn a_name_reaches_the_disk_only_as_its_hash() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.mark("secret", Mark::hard(at(7))).unwrap();
    let file = &mark_files(dir.path())[0];
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    let content = fs::read(file).unwrap();
    assert_eq!(content.len(), Mark::ENCODED_BYTES);
    assert!(!content.windows(6).any(|part| part == b"secret"));
}

#[test]
fn an_empty_mark_writes_nothing_and_an_older_one_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(store.mark("name", Mark::default()).unwrap(), Mark::default());
    assert!(!marks_dir(dir.path()).exists());
    store.mark("name", Mark::hard(at(7))).unwrap();
    let file = &mark_files(dir.path())[0];
    let modified = || fs::metadata(file).unwrap().modified().unwrap();
    let before = modified();
    store.mark("name", Mark::hard(at(6))).unwrap();
    assert_eq!(modified(), before);
    store.mark("name", Mark::hard(at(8))).unwrap();
    assert_ne!(modified(), before, "the control");
}

#[test]
fn a_directory_that_somebody_removed_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = marked(dir.path());
    fs::remove_dir_all(marks_dir(dir.path()).parent().unwrap()).unwrap();
    assert_eq!(found(&store, "name"), Mark::default());
    store.mark("name", Mark::hard(at(8))).unwrap();
    assert_eq!(found(&store, "name"), Mark::hard(at(8)));
    store.set(&Key::new("k"), Entry::new(Payload::raw("v"), at(1_000))).unwrap();
    drop(store);
    assert_eq!(found(&open(dir.path()), "name"), Mark::hard(at(8)));
}

#[test]
fn f36_a_sweep_removes_the_files_of_killed_markers_and_no_marks() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = marked(dir.path());
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let left = file.with_file_name(format!(".tmp-{}-0-0", ended.id()));
    fs::write(&left, "half").unwrap();
    let swept = store.sweep().unwrap();
    assert_eq!((swept.leftovers, left.exists(), file.exists()), (1, false, true));
    assert_eq!(found(&store, "name"), Mark::hard(at(7)));
}

// Processes.

#[test]
fn a_mark_of_a_process_is_seen_at_once_and_outlives_its_kill() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for round in 0..5 {
        let mut marker = Role::start("marker", dir.path());
        assert_eq!(marker.hear().as_deref(), Some("ready"));
        let mut last = 0;
        for _ in 0..20 * (round + 1) {
            last = marker.hear().unwrap().parse().unwrap();
            let seen = found(&store, "name").gone_until();
            assert!(seen >= Some(at(last)), "{seen:?} after {last}");
        }
        drop(marker); // kill -9
        assert!(found(&store, "name").gone_until() >= Some(at(last)));
        // Its lock is free.
        store.mark("name", Mark::soft(at(round))).unwrap();
    }
    assert_eq!(store.stats().corrupt, 0);
}

#[test]
fn of_two_processes_that_mark_one_name_neither_loses_a_mark() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut racers = [0, 1].map(|_| Role::start("racer", dir.path()));
    for racer in &mut racers {
        assert_eq!(racer.hear().as_deref(), Some("ready"));
    }
    for (id, racer) in racers.iter_mut().enumerate() {
        racer.tell(&id.to_string());
    }
    for racer in &mut racers {
        assert_eq!(racer.hear().as_deref(), Some("done"));
    }
    assert_eq!(found(&store, "name"), Mark::hard(at(2 * (RACE - 1) + 1)));

    // One of them makes hard marks of many names, and the other soft ones.
    for racer in &mut racers {
        racer.tell("go");
    }
    for racer in &mut racers {
        assert_eq!(racer.hear().as_deref(), Some("done"));
    }
    for step in 0..RACE {
        let holds = Mark::hard(at(1)).merge(Mark::soft(at(2)));
        assert_eq!(found(&store, &step.to_string()), holds, "name {step}");
    }
    assert_eq!(store.stats().corrupt, 0);
}
