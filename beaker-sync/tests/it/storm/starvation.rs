//! Readers of four processes that overlap without a gap, and a writer that wants to come in.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use beaker_sync::{FileSynchronizerOptions, Preference, Synchronizer, list};

use crate::child::{self, Role, report, storm_time};

const READERS: usize = 4;

/// How long each reads, again and again. Between two reads it is outside for microseconds, so that
/// all four are hardly ever outside together.
const READING: Duration = Duration::from_millis(3);

fn open(dir: &Path, preference: Preference) -> Synchronizer {
    FileSynchronizerOptions::new().preference(preference).open("x", dir).unwrap()
}

/// Not a test by itself: what a child does.
#[test]
fn child() {
    let Some((role, dir)) = child::given_role() else { return };
    let preference = if role == "prefer" { Preference::Writers } else { Preference::Nobody };
    let lock = open(&dir, preference);
    for round in 0.. {
        let _reading = lock.read().unwrap();
        if round == 0 {
            child::say("reading");
        }
        // sleep: reading takes time, in which the others come and go
        thread::sleep(READING);
    }
}

/// Four that read until they are dropped.
fn readers(role: &str, dir: &Path) -> Vec<Role> {
    let start = |_| Role::start("storm::starvation::child", role, dir);
    let mut readers: Vec<_> = (0..READERS).map(start).collect();
    readers.iter_mut().for_each(|reader| drop(reader.hear()));
    readers
}

#[test]
fn d7_overlapping_readers_of_other_processes_do_not_keep_a_writer_waiting_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let lock = open(dir.path(), Preference::Writers);
    let readers = readers("prefer", dir.path());
    let (began, mut longest, mut writes) = (Instant::now(), Duration::ZERO, 0);
    while began.elapsed() < storm_time() / 4 {
        let asked = Instant::now();
        let writing = lock.try_write_for(Duration::from_secs(10)).unwrap();
        assert!(writing.is_some(), "starved, after {writes} writes");
        longest = longest.max(asked.elapsed());
        writes += 1;
    }
    drop(readers);
    let left = list(dir.path()).unwrap().len();
    let measured = format!("writes={writes} longest_ms={} files={left}", longest.as_millis());
    report("D7 readers overlap", "synchronizer", &measured, left == 1);
    assert_eq!(left, 1, "the lock file alone");
}

/// The same readers, where nobody is preferred.
#[test]
fn d7_control_without_a_gate_overlapping_readers_starve_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let lock = open(dir.path(), Preference::Nobody);
    let readers = readers("do not prefer", dir.path());
    let starved = lock.try_write_for(storm_time() / 4).unwrap().is_none();
    drop(readers);
    let measured = format!("starved={starved} for_ms={}", (storm_time() / 4).as_millis());
    report("D7 control, no gate", "flock", &measured, starved);
    assert!(starved, "the storm would not notice that a writer starves");
}
