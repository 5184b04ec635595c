//! `--stale`: the old result at once, and one new run in the background.

use crate::support::{Bench, code, eventually, text};

/// Expired from the beginning, and good to be served for an hour.
const STALE: [&str; 4] = ["--ttl", "0s", "--stale", "1h"];

const VERSIONS: &str = "echo >> count; n=$(wc -l < count | tr -d ' '); \
                        if [ $n -gt 1 ]; then echo > started; read line < gate; fi; echo v$n";

fn run(bench: &Bench) -> String {
    let output = bench.run(&STALE, VERSIONS).output().unwrap();
    assert_eq!((code(&output), text(output.stderr)), (0, String::new()));
    text(output.stdout)
}

fn made(bench: &Bench) -> String {
    let listing = bench.ok(&["ls", "--namespace", "run", "--json"]);
    listing.split("\"made\":").nth(1).unwrap_or_default().split(',').next().unwrap().to_owned()
}

#[test]
fn f18_a_stale_result_is_served_while_one_run_makes_it_anew() {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    assert_eq!(run(&bench), "v1\n");
    let first = made(&bench);
    // The refresh cannot go on before the gate opens, so this answer did not wait for it.
    assert_eq!(run(&bench), "v1\n");
    started.wait();
    for _ in 0..5 {
        assert_eq!(run(&bench), "v1\n");
    }
    assert_eq!(bench.count(), 2, "one refresh runs");
    gate.open();
    eventually("the new result is there", || made(&bench) != first);
    assert_eq!(run(&bench), "v2\n");
    started.wait();
    gate.open();
    bench.wait_until_quiet();
}

#[test]
fn many_that_come_at_once_start_one_refresh() {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    assert_eq!(run(&bench), "v1\n");
    let mut callers: Vec<_> =
        (0..16).map(|_| crate::support::start(&mut bench.run(&STALE, VERSIONS))).collect();
    started.wait();
    for caller in callers.drain(..) {
        assert_eq!(text(crate::support::finish(caller).stdout), "v1\n");
    }
    assert_eq!(bench.count(), 2);
    let first = made(&bench);
    gate.open();
    bench.wait_until_quiet();
    assert_ne!(made(&bench), first);
    assert_eq!(bench.count(), 2, "those that lost the race found the new result");
}

#[test]
fn without_stale_an_expired_result_is_not_served() {
    let bench = Bench::new();
    let run = |options: &[&str]| bench.run(options, "echo >> count; wc -l < count").output();
    assert_eq!(text(run(&STALE).unwrap().stdout).trim(), "1");
    assert_eq!(text(run(&["--ttl", "0s"]).unwrap().stdout).trim(), "2");
}

#[test]
fn a_result_that_is_staler_than_asked_for_is_not_served() {
    let bench = Bench::new();
    let run = |options: &[&str]| bench.run(options, "echo >> count; wc -l < count").output();
    assert_eq!(text(run(&STALE).unwrap().stdout).trim(), "1");
    assert_eq!(text(run(&["--ttl", "0s", "--stale", "0s"]).unwrap().stdout).trim(), "2");
}
