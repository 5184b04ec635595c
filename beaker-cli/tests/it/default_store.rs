//! The store of who names none: an SQLite database.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::{Bench, code, finish, start, text};

/// `beaker` without a word about a store.
fn beaker(bench: &Bench, args: &[&str]) -> Command {
    let mut command = bench.beaker(args);
    command.env_remove("BEAKER_URL").env("XDG_CACHE_HOME", bench.path("cache"));
    command
}

fn database(bench: &Bench) -> PathBuf {
    bench.path("cache/beaker/beaker.sqlite")
}

fn ok(bench: &Bench, args: &[&str]) -> String {
    let output = beaker(bench, args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    text(output.stdout)
}

#[test]
fn it_is_a_database_that_only_the_user_may_read() {
    let bench = Bench::new();
    ok(&bench, &["set", "key", "value"]);
    assert_eq!(ok(&bench, &["get", "key"]), "value");
    let mode = fs::metadata(database(&bench)).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
    assert!(fs::read(database(&bench)).unwrap().starts_with(b"SQLite format 3\0"));
}

#[test]
fn eight_started_together_run_once_and_each_replays() {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    let script = "echo >> count; echo here > started; read line < gate; echo result; exit 3";
    let run = || beaker(&bench, &["run", "--", "sh", "-c", script]);
    let first = start(&mut run());
    started.wait();
    let others: Vec<_> = (0..7).map(|_| start(&mut run())).collect();
    gate.open();
    for beaker in std::iter::once(first).chain(others) {
        let output = finish(beaker);
        assert_eq!((code(&output), text(output.stdout)), (3, "result\n".to_owned()));
    }
    assert_eq!(bench.count(), 1);
}

#[test]
fn every_command_works_on_it() {
    let bench = Bench::new();
    ok(&bench, &["set", "--ttl", "1h", "greeting", "hello"]);
    assert!(ok(&bench, &["ls"]).contains("greeting"));
    assert!(ok(&bench, &["why", "greeting"]).contains("fresh"));
    assert!(ok(&bench, &["stats"]).contains("default"));
    assert_eq!(ok(&bench, &["locks"]), "");
    assert_eq!(ok(&bench, &["locks", "clean"]), "removed 0 left over, 0 in use\n");
    assert!(ok(&bench, &["gc"]).contains("dropped 0 expired"));
    ok(&bench, &["del", "greeting"]);
    assert_eq!(code(&beaker(&bench, &["get", "greeting"]).output().unwrap()), 1);
    ok(&bench, &["clear"]);
}

#[test]
fn output_beyond_the_stores_own_limit_is_kept() {
    let bench = Bench::new();
    // 70 MiB, where a store by itself takes 64.
    let script = "echo >> count; head -c 73400320 /dev/zero";
    let args = ["run", "--max-output", "100MiB", "--", "sh", "-c", script];
    for _ in 0..2 {
        let output = beaker(&bench, &args).output().unwrap();
        assert_eq!((output.stdout.len(), text(output.stderr)), (73_400_320, String::new()));
    }
    assert_eq!(bench.count(), 1);
}

#[test]
fn who_writes_leaves_no_log_for_the_next_process_to_read() {
    let bench = Bench::new();
    let log = bench.path("cache/beaker/beaker.sqlite-wal");
    ok(&bench, &["run", "--", "echo", "hello"]);
    assert!(!log.exists(), "a run that keeps its result closes the database");
    ok(&bench, &["run", "--", "echo", "hello"]);
    assert_eq!(fs::metadata(&log).map_or(0, |log| log.len()), 0, "a replay writes nothing");
}

#[test]
fn what_is_fresh_is_read_without_opening_the_database() {
    let bench = Bench::new();
    ok(&bench, &["run", "--", "echo", "hello"]);
    ok(&bench, &["set", "key", "value"]);
    // Whoever opens the database makes this directory.
    let locks = bench.path("cache/beaker/beaker.sqlite.locks");
    fs::remove_dir_all(&locks).unwrap();
    // What was written within the last tick of the kernel's clock is asked of the store.
    let written = fs::metadata(database(&bench)).unwrap().modified().unwrap();
    while written.elapsed().is_ok_and(|ago| ago < Duration::from_millis(100)) {
        thread::yield_now();
    }
    assert_eq!(ok(&bench, &["run", "--", "echo", "hello"]), "hello\n");
    assert_eq!(ok(&bench, &["get", "key"]), "value");
    assert!(!locks.exists());
    assert_eq!(code(&beaker(&bench, &["get", "absent"]).output().unwrap()), 1);
    assert!(locks.exists(), "the control");
}

#[test]
fn a_mark_on_its_tag_ends_a_value() {
    let bench = Bench::new();
    ok(&bench, &["set", "--tag", "t", "key", "value"]);
    assert_eq!(ok(&bench, &["get", "key"]), "value");
    ok(&bench, &["invalidate", "--tag", "t"]);
    assert_eq!(code(&beaker(&bench, &["get", "key"]).output().unwrap()), 1);
}

#[test]
fn a_damaged_database_is_told_and_the_command_runs_all_the_same() {
    let bench = Bench::new();
    ok(&bench, &["run", "--", "echo", "hello"]);
    fs::write(database(&bench), "no database".repeat(1_000)).unwrap();
    let output = beaker(&bench, &["run", "--", "echo", "hello"]).output().unwrap();
    assert_eq!((code(&output), text(output.stdout)), (0, "hello\n".to_owned()));
    let told = text(output.stderr);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("beaker.sqlite"), "{told}");
}

#[cfg(not(feature = "redb"))]
#[test]
fn a_store_that_was_left_out_of_the_build_names_the_feature() {
    let bench = Bench::new();
    let output = bench.beaker(["get", "--store", "redb:/x", "key"]).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(text(output.stderr).contains("cargo install beaker-cli --features redb"));
}
