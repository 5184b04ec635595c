//! Locks under fire: deletion, cleaners and kills. Short by default; `BEAKER_STORM_SECS` makes it long.

#[cfg(target_os = "linux")]
mod signals;
mod starvation;
mod takeover;

use std::{
    collections::HashSet,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use beaker_sync::{CreationLock, Synchronizer, clean, list, lock_path};

use crate::child::{self, Role, append, report, storm_time, times_count};

const PATHS: usize = 4;
const WORKERS: usize = 8;

/// How many were inside together, and how often somebody was inside.
#[derive(Debug, Default)]
struct Witness {
    inside: [AtomicUsize; PATHS],
    overlaps: AtomicUsize,
    entries: AtomicUsize,
}

impl Witness {
    /// Stays inside path `at` long enough for another to be seen there.
    fn visit(&self, at: usize) {
        if self.inside[at].fetch_add(1, Ordering::SeqCst) > 0 {
            self.overlaps.fetch_add(1, Ordering::SeqCst);
        }
        self.entries.fetch_add(1, Ordering::SeqCst);
        for _ in 0..20 {
            thread::yield_now();
        }
        self.inside[at].fetch_sub(1, Ordering::SeqCst);
    }

    /// Reports and asserts that nobody met another, and that no file was left.
    fn verdict(self, lock: &str, left: usize) {
        let (overlaps, entries) = (self.overlaps.into_inner(), self.entries.into_inner());
        let holds = overlaps == 0 && entries > 0 && left == 0;
        let measured = format!("overlaps={overlaps} entries={entries} files_left={left}");
        report("F3 lock files deleted", lock, &measured, holds);
        assert!(holds, "{measured}");
    }
}

/// Runs `lock_and(path, visit)` in eight threads over four paths, and `disturb` in another.
fn storm(
    dir: &Path,
    lock_and: impl Fn(&Path, &dyn Fn()) + Sync,
    disturb: impl Fn() + Sync,
) -> Witness {
    let witness = Witness::default();
    let over = AtomicBool::new(false);
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                disturb();
                thread::yield_now();
            }
        });
        let work = |worker: usize| {
            let mut round = worker;
            while began.elapsed() < storm_time() {
                let at = round % PATHS;
                lock_and(&lock_path(dir, &at.to_string()), &|| witness.visit(at));
                round += 1 + worker % 3;
            }
        };
        let workers: Vec<_> =
            (0..WORKERS).map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        over.store(true, Ordering::SeqCst);
    });
    witness
}

#[test]
fn f3_no_two_hold_a_lock_whose_file_is_deleted_by_holders_and_a_cleaner() {
    let dir = tempfile::tempdir().unwrap();
    let witness = storm(
        dir.path(),
        |path, visit| {
            let _guard = CreationLock::at(path).lock().unwrap();
            visit();
        },
        || assert!(clean(dir.path()).unwrap().failed.is_empty()),
    );
    let left = clean(dir.path()).unwrap().removed;
    witness.verdict("creation", left);
}

#[test]
fn f3_no_two_write_while_handles_come_and_go_and_a_cleaner_deletes() {
    let dir = tempfile::tempdir().unwrap();
    // Threads of one process meet in one registry; a second directory with the same lock by another
    // name cannot be made, so processes are left to the storm of kills below.
    let witness = storm(
        dir.path(),
        |path, visit| {
            let lock = Synchronizer::file(path.to_str().unwrap(), dir.path()).unwrap();
            let _writing = lock.write().unwrap();
            visit();
        },
        || assert!(clean(dir.path()).unwrap().failed.is_empty()),
    );
    witness.verdict("synchronizer", list(dir.path()).unwrap().len());
}

/// The same storm without the look whether the locked file is still under the path.
#[test]
#[expect(clippy::disallowed_methods, reason = "the control is the lock that this crate is not")]
fn f3_control_removal_without_the_look_lets_two_in() {
    let dir = tempfile::tempdir().unwrap();
    let witness = storm(
        dir.path(),
        |path, visit| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = File::create(path).unwrap();
            file.lock().unwrap();
            visit();
            let _ = fs::remove_file(path);
        },
        || {},
    );
    let (overlaps, entries) = (witness.overlaps.into_inner(), witness.entries.into_inner());
    let measured = format!("overlaps={overlaps} entries={entries}");
    let caught = overlaps >= if times_count() { 100 } else { 1 };
    report("F3 control, no look at the inode", "flock", &measured, caught);
    assert!(caught, "the storm would not notice two holders: {measured}");
}

/// Not a test by itself: a child that locks until it is killed, and logs when it is inside.
#[test]
fn child() {
    let Some((_, dir)) = child::given_role() else { return };
    let log = dir.join("log");
    let locks = dir.join("locks");
    let id = std::process::id();
    for round in id as usize.. {
        let name = (round % PATHS).to_string();
        // Odd names are locked by creation locks; even ones by synchronizers, two of three to read.
        if round % 2 == 1 {
            let _guard = CreationLock::at(lock_path(&locks, &name)).lock().unwrap();
            log_visit(&log, "W", &name, id);
        } else {
            let lock = Synchronizer::file(&name, &locks).unwrap();
            if round % 3 == 0 {
                let _guard = lock.write().unwrap();
                log_visit(&log, "W", &name, id);
            } else {
                let _guard = lock.read().unwrap();
                log_visit(&log, "R", &name, id);
            }
        }
    }
}

fn log_visit(log: &Path, access: &str, name: &str, id: u32) {
    append(log, &format!("{access} {name} {id}"));
    // sleep: a creation takes time, in which a kill may fall
    thread::sleep(Duration::from_millis(1));
    append(log, &format!("E {name} {id}"));
}

#[test]
fn f1_f4_kills_let_no_two_in_leave_nobody_stuck_and_no_file_behind() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let locks: PathBuf = dir.path().join("locks");
    let start = || Role::start("storm::child", "lock", dir.path());
    let mut workers: Vec<_> = (0..WORKERS).map(|_| start()).collect();
    let began = Instant::now();
    let mut kills = 0;
    while began.elapsed() < storm_time() * 2 {
        // sleep: the time between two kills
        thread::sleep(Duration::from_millis(50));
        let victim = workers.swap_remove(kills % workers.len());
        kill_and_log(victim, &log);
        workers.push(start());
        clean(&locks).unwrap();
        kills += 1;
    }
    workers.into_iter().for_each(|worker| kill_and_log(worker, &log));
    let visits = check_log(&fs::read_to_string(&log).unwrap());
    let left = clean(&locks).unwrap();
    let after = list(&locks).unwrap().len();
    let holds = visits > kills && left.in_use == 0 && left.failed.is_empty() && after == 0;
    let measured = format!(
        "overlaps=0 visits={visits} kills={kills} files_cleaned={} files_left={after}",
        left.removed
    );
    report("F1 F4 holders killed", "creation and synchronizer", &measured, holds);
    assert!(holds, "{measured}");
}

fn kill_and_log(victim: Role, log: &Path) {
    append(log, &format!("K - {}", victim.id()));
    victim.kill();
}

/// Checks that nobody writes beside another who lives; returns the number of visits.
///
/// The log is in order: a visit's lines are written under its lock, and a kill's before the kill.
fn check_log(log: &str) -> usize {
    let mut inside: Vec<(&str, &str, &str)> = Vec::new();
    let mut killed: HashSet<&str> = HashSet::new();
    let mut visits = 0;
    for line in log.lines() {
        let [event, name, id] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("torn line {line:?}");
        };
        match event {
            "K" => {
                killed.insert(id);
                inside.retain(|(_, _, holder)| *holder != id);
            }
            // Between the line that announces the kill and the kill.
            _ if killed.contains(id) => {}
            "E" => inside.retain(|(_, held, holder)| (*held, *holder) != (name, id)),
            access => {
                visits += 1;
                let excluded = |other: &&(&str, &str, &str)| {
                    other.1 == name && (access == "W" || other.0 == "W")
                };
                let other = inside.iter().find(excluded);
                assert!(other.is_none(), "{id} and {other:?} hold {name} together");
                inside.push((access, name, id));
            }
        }
    }
    visits
}

#[test]
#[should_panic(expected = "hold 1 together")]
fn f1_control_the_check_of_the_log_notices_two_writers() {
    check_log("W 1 10\nW 1 11\nE 1 10\nE 1 11\n");
}

#[test]
#[should_panic(expected = "hold 1 together")]
fn f1_control_the_check_of_the_log_notices_a_writer_beside_a_reader() {
    check_log("R 1 10\nR 1 11\nE 1 10\nW 1 12\n");
}
