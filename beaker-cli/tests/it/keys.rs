//! What makes two runs the same, and how long one stays fresh.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::support::{Bench, text};

const COUNTED: &str = "echo >> \"$COUNT\"; wc -l < \"$COUNT\" | tr -d ' '";

/// What a run of `COUNTED` writes: the number of runs so far.
fn output(bench: &Bench, command: &mut Command) -> String {
    let output = command.env("COUNT", bench.path("count")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    text(output.stdout).trim().to_owned()
}

fn run(bench: &Bench, options: &[&str]) -> String {
    output(bench, &mut bench.run(options, COUNTED))
}

#[test]
fn a_scope_has_results_of_its_own() {
    let bench = Bench::new();
    assert_eq!(run(&bench, &[]), "1");
    assert_eq!(run(&bench, &["--scope", "a"]), "2");
    assert_eq!(run(&bench, &["--scope", "b"]), "3");
    assert_eq!(run(&bench, &["--scope", "a"]), "2");
    assert_eq!(run(&bench, &[]), "1");
}

#[test]
fn the_working_directory_counts_with_cwd_only() {
    let bench = Bench::new();
    fs::create_dir(bench.path("sub")).unwrap();
    let sub = |options: &[&str]| {
        output(&bench, bench.run(options, COUNTED).current_dir(bench.path("sub")))
    };
    assert_eq!(sub(&[]), "1");
    assert_eq!(run(&bench, &[]), "1");
    assert_eq!(sub(&["--cwd"]), "2");
    assert_eq!(run(&bench, &["--cwd"]), "3");
    assert_eq!(sub(&["--cwd"]), "2");
}

#[test]
fn a_variable_counts_with_env_only() {
    let bench = Bench::new();
    let with = |options: &[&str], value: Option<&str>| {
        let mut command = bench.run(options, COUNTED);
        match value {
            Some(value) => command.env("CITY", value),
            None => command.env_remove("CITY"),
        };
        output(&bench, &mut command)
    };
    assert_eq!(with(&[], Some("Bonn")), "1");
    assert_eq!(with(&[], Some("Kiel")), "1");
    assert_eq!(with(&["--env", "CITY"], Some("Bonn")), "2");
    assert_eq!(with(&["--env", "CITY"], Some("Kiel")), "3");
    assert_eq!(with(&["--env", "CITY"], Some("")), "4");
    assert_eq!(with(&["--env", "CITY"], None), "5");
    assert_eq!(with(&["--env", "CITY"], Some("Bonn")), "2");
}

#[test]
fn the_value_of_a_variable_is_not_in_the_store() {
    let bench = Bench::new();
    let mut command = bench.run(&["--env", "TOKEN"], "true");
    assert!(command.env("TOKEN", "s3cr3t").status().unwrap().success());
    let listing = bench.ok(&["ls", "--namespace", "run"]);
    assert!(listing.contains("TOKEN") && !listing.contains("s3cr3t"), "{listing}");
    for file in bench.entry_files() {
        let bytes = fs::read(file).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"s3cr3t"));
    }
}

#[test]
fn a_file_counts_by_its_modification_time() {
    let bench = Bench::new();
    let file = File::create(bench.path("input")).unwrap();
    let moment = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_001);
    file.set_modified(moment).unwrap();
    let run = || run(&bench, &["--modtime", "input"]);
    assert_eq!((run(), run()), ("1".to_owned(), "1".to_owned()));
    file.set_modified(moment + Duration::from_nanos(1)).unwrap();
    assert_eq!(run(), "2");
    file.set_modified(moment).unwrap();
    assert_eq!(run(), "1");
    fs::remove_file(bench.path("input")).unwrap();
    assert_eq!((run(), run()), ("3".to_owned(), "3".to_owned()));
}

#[test]
fn a_result_expires_when_the_ttl_it_was_stored_with_ends() {
    let bench = Bench::new();
    assert_eq!(run(&bench, &["--ttl", "0s"]), "1");
    assert_eq!(run(&bench, &["--ttl", "forever"]), "2");
    assert_eq!(run(&bench, &["--ttl", "forever"]), "2");
}

#[test]
fn a_result_expires_when_the_ttl_that_is_asked_for_ends() {
    let bench = Bench::new();
    assert_eq!(run(&bench, &["--ttl", "forever"]), "1");
    assert_eq!(run(&bench, &["--ttl", "0s"]), "2");
}

#[test]
fn force_runs_again_and_replaces() {
    let bench = Bench::new();
    assert_eq!(run(&bench, &[]), "1");
    assert_eq!(run(&bench, &["--force"]), "2");
    assert_eq!(run(&bench, &[]), "2");
}

#[test]
fn a_failure_is_kept_unless_it_is_discarded() {
    let bench = Bench::new();
    let run = |options: &[&str]| {
        let script = format!("{COUNTED}; exit 9");
        let mut command = bench.run(options, &script);
        let output = command.env("COUNT", bench.path("count")).output().unwrap();
        assert_eq!(output.status.code(), Some(9));
        text(output.stdout).trim().to_owned()
    };
    assert_eq!(run(&["--discard-failures"]), "1");
    assert_eq!(run(&["--discard-failures"]), "2");
    assert_eq!(run(&[]), "3");
    assert_eq!(run(&["--discard-failures"]), "3");
}

#[test]
fn output_over_the_limit_is_passed_on_and_not_kept() {
    let bench = Bench::new();
    let run = |limit: &str| {
        let script = "echo >> count; echo 1234; echo 6789 >&2";
        bench.run(&["--max-output", limit], script).output().unwrap()
    };
    let large = run("9");
    assert_eq!(large.stdout, b"1234\n");
    assert_eq!(
        text(large.stderr),
        "6789\nbeaker: the output has more than 9 bytes and was not kept; raise --max-output\n"
    );
    assert!(bench.entry_files().is_empty());
    assert_eq!(run("10").stderr, b"6789\n");
    assert_eq!(run("10").stdout, b"1234\n");
    assert_eq!(bench.count(), 2);
}

#[test]
fn another_namespace_has_results_of_its_own() {
    let bench = Bench::new();
    assert_eq!(run(&bench, &[]), "1");
    assert_eq!(run(&bench, &["--namespace", "other"]), "2");
    assert_eq!(run(&bench, &["--namespace", "run"]), "1");
}

#[test]
fn a_command_line_longer_than_a_key_is_kept_too() {
    let bench = Bench::new();
    let long = "x".repeat(100_000);
    for _ in 0..2 {
        let output = bench.beaker(["run", "--", "echo", &long]).output().unwrap();
        assert_eq!(output.stdout.len(), 100_001);
    }
    let listing = bench.ok(&["ls", "--namespace", "run", "--json"]);
    assert_eq!(listing.lines().count(), 1);
    assert!(listing.contains("sha256") && listing.len() < 1_000, "{listing}");
}

#[test]
fn the_default_store_is_private_and_below_the_cache_directory() {
    let bench = Bench::new();
    let cache = bench.path("cache");
    let mut command = bench.beaker(["set", "key", "value"]);
    command.env_remove("BEAKER_URL").env("XDG_CACHE_HOME", &cache);
    assert!(command.status().unwrap().success());
    let metadata = fs::metadata(cache.join("beaker")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
    assert_eq!(mode & 0o777, 0o700);
    let home = bench.path("home");
    let mut command = bench.beaker(["set", "key", "value"]);
    command.env_remove("BEAKER_URL").env_remove("XDG_CACHE_HOME").env("HOME", &home);
    assert!(command.status().unwrap().success());
    assert!(home.join(".cache/beaker").is_dir());
}

#[test]
fn the_stores_option_wins_over_the_environment() {
    let bench = Bench::new();
    let other = bench.path("other");
    let url = [b"file:", other.as_os_str().as_bytes()].concat();
    bench.ok(&["set", "--store", std::str::from_utf8(&url).unwrap(), "key", "value"]);
    assert!(other.is_dir() && !bench.store().exists());
}
