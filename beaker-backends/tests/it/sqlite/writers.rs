//! Who writes, and who is kept from it.

use std::path::Path;
use std::time::{Duration, Instant};

use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace};
use beaker_namespace::{ErrorKind, Key, Namespace, Payload};
use rustix::process::Signal;

use super::children::{Role, listen, say};
use super::{entry, integrity, open, put, value};

#[test]
fn f9_behind_a_stopped_writer_writes_time_out_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let limit = Duration::from_millis(300);
    let config = SqliteConfig::new(&path).lock_timeout(limit);
    let store = SqliteNamespace::open("n", config.clone()).unwrap();
    put(&store, "k", "v");
    let mut child = Role::start("hold", &path);
    assert_eq!(child.hear().as_deref(), Some("held"));
    child.signal(Signal::STOP);
    let began = Instant::now();
    let error = store.set(&Key::new("k"), entry(&store, "new")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("writer.lock"), "{error}");
    assert!(began.elapsed() >= limit && began.elapsed() < 20 * limit, "{:?}", began.elapsed());
    assert_eq!(value(&store, "k").as_deref(), Some(&b"v"[..]));
    drop(SqliteNamespace::open("another", config).expect("opening waits for nobody"));
    child.signal(Signal::CONT);
    child.tell("let go");
    assert_eq!(child.hear().as_deref(), Some("free"));
    put(&store, "k", "new");
    assert_eq!(value(&store, "k").as_deref(), Some(&b"new"[..]));
}

pub(super) fn holding_the_lock(path: &Path) {
    // As whoever writes has, and others see.
    let _open = open(path);
    let locks = path.with_extension("db.locks");
    let file = std::fs::File::open(locks.join("writer.lock")).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    say("held");
    assert_eq!(listen(), "let go");
    drop(file);
    say("free");
    listen();
}

#[test]
fn f9_a_process_that_is_killed_while_it_is_next_in_line_keeps_nobody_waiting() {
    use rustix::fs::{FlockOperation, flock};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    put(&store, "k", "v");
    let lock =
        |name: &str| std::fs::File::open(path.with_extension("db.locks").join(name)).unwrap();
    let writer = lock("writer.lock");
    flock(&writer, FlockOperation::LockExclusive).unwrap();
    let mut child = Role::start("wait in line", &path);
    assert_eq!(child.hear().as_deref(), Some("waits"));
    let next = lock("next.lock");
    while flock(&next, FlockOperation::NonBlockingLockExclusive).is_ok() {
        flock(&next, FlockOperation::Unlock).unwrap();
        std::thread::yield_now();
    }
    drop(child);
    drop(writer);
    let began = Instant::now();
    put(&store, "k", "new");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(value(&store, "k").as_deref(), Some(&b"new"[..]));
}

pub(super) fn waiting_in_line(path: &Path) {
    let store = open(path);
    say("waits");
    put(&store, "k", "from the other");
    say("written");
}

#[test]
fn another_program_that_has_the_database_locked_is_a_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let config = SqliteConfig::new(&path).lock_timeout(Duration::from_millis(100));
    let store = SqliteNamespace::open("n", config).unwrap();
    put(&store, "k", "v");
    let tool = super::raw(&path);
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.remove(&Key::new("k")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(value(&store, "k").as_deref(), Some(&b"v"[..]));
    tool.execute_batch("ROLLBACK").unwrap();
    assert!(store.remove(&Key::new("k")).unwrap());
}

/// The value of a round: its number, and as many bytes as follow from that.
fn sealed(round: u32) -> Vec<u8> {
    let mut value = round.to_le_bytes().to_vec();
    value.resize(4 + (round as usize * 7_919) % 5_000, round as u8);
    value
}

#[test]
fn f24_a_kill_at_any_moment_leaves_whole_values_and_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    for kill in 0..30_u64 {
        let mut child = Role::start("write", &path);
        assert_eq!(child.hear().as_deref(), Some("writing"));
        // A different number of acknowledged writes each time, then a kill wherever it is.
        let mut acknowledged = 0;
        for _ in 0..1 + kill * 3 {
            acknowledged = child.hear().unwrap().parse::<u32>().unwrap();
        }
        drop(child);
        for key in 0..8_u32 {
            let Some(found) = store.get(&Key::new(&key)).unwrap() else { continue };
            let Payload::Bytes { bytes, .. } = found.payload() else { panic!("bytes") };
            let round = u32::from_le_bytes(bytes[..4].try_into().unwrap());
            assert_eq!(bytes[..], sealed(round), "kill {kill}, key {key}");
            if key == acknowledged % 8 {
                assert!(round >= acknowledged, "an acknowledged write was lost");
            }
        }
        put(&store, "mine", kill.to_string());
        store.clear().unwrap();
    }
    assert_eq!(integrity(&path), "ok");
    assert_eq!(store.stats().corrupt, 0);
}

pub(super) fn writing_without_end(path: &Path) {
    let store = open(path);
    say("writing");
    for round in 0.. {
        store.set(&Key::new(&(round % 8)), entry(&store, sealed(round))).unwrap();
        say(&round.to_string());
    }
}
