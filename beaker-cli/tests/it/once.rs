//! Among the processes of a host, one runs the command.

use std::process::Child;

use crate::support::{Bench, code, eventually, finish, is_running, start, text};

/// Says that it runs, with its process number, and waits to be let on.
const GATED: &str = "echo >> count; echo $$ > started; read line < gate; echo result";

fn together(bench: &Bench, count: usize, options: &[&str], script: &str) -> Vec<Child> {
    (0..count).map(|_| start(&mut bench.run(options, script))).collect()
}

fn assert_started_together_run_once(count: usize) {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    let beakers = together(&bench, count, &[], GATED);
    started.wait();
    bench.wait_for_waiters(count - 1);
    gate.open();
    for beaker in beakers {
        let output = finish(beaker);
        assert_eq!((code(&output), text(output.stdout)), (0, "result\n".to_owned()));
        assert_eq!(text(output.stderr), "");
    }
    assert_eq!(bench.count(), 1);
}

#[test]
fn eight_started_together_run_once() {
    assert_started_together_run_once(8);
}

#[test]
fn sixteen_started_together_run_once() {
    assert_started_together_run_once(16);
}

/// The control: without a store to share, as many run as are started.
#[test]
fn eight_without_a_store_run_eight_times() {
    let bench = Bench::new();
    let script = "echo >> count; echo result";
    for beaker in together(&bench, 8, &["--store", "null:"], script) {
        assert_eq!(text(finish(beaker).stdout), "result\n");
    }
    assert_eq!(bench.count(), 8);
}

#[test]
fn f2_a_waiter_takes_over_from_a_killed_runner() {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    let mut killed = start(&mut bench.run(&[], GATED));
    let first: u32 = started.wait().parse().unwrap();
    let waiters = together(&bench, 3, &[], GATED);
    bench.wait_for_waiters(3);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let second: u32 = started.wait().parse().unwrap();
    assert_ne!(first, second);
    eventually("the killed runner's command is gone", || !is_running(first));
    gate.open();
    for waiter in waiters {
        assert_eq!(text(finish(waiter).stdout), "result\n");
    }
    assert_eq!(bench.count(), 2, "exactly one more run");
}

#[test]
fn the_command_ends_with_a_killed_runner() {
    let bench = Bench::new();
    let (started, _gate) = (bench.gate("started"), bench.gate("gate"));
    let mut beaker = start(&mut bench.run(&[], GATED));
    let command: u32 = started.wait().parse().unwrap();
    assert!(is_running(command));
    beaker.kill().unwrap();
    beaker.wait().unwrap();
    eventually("the command is gone", || !is_running(command));
}

#[test]
fn who_waits_for_too_long_ends_with_75() {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    let runner = start(&mut bench.run(&[], GATED));
    started.wait();
    let waiter = finish(start(&mut bench.run(&["--wait", "20ms"], GATED)));
    assert_eq!(code(&waiter), 75);
    assert_eq!(
        text(waiter.stderr),
        "beaker: another process is running this command for longer than --wait; wait longer\n"
    );
    gate.open();
    assert_eq!(text(finish(runner).stdout), "result\n");
}

#[test]
fn a_discarded_failure_is_not_shared() {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    let script = format!("{GATED}; exit 3");
    let beakers = together(&bench, 3, &["--discard-failures"], &script);
    for waiting in [2, 1, 0] {
        started.wait();
        bench.wait_for_waiters(waiting);
        gate.open();
    }
    for beaker in beakers {
        let output = finish(beaker);
        assert_eq!((code(&output), text(output.stdout)), (3, "result\n".to_owned()));
    }
    assert_eq!(bench.count(), 3, "each runs it, one at a time");
}

#[test]
fn what_is_removed_during_a_run_stays_removed() {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    let runner = start(&mut bench.run(&[], GATED));
    started.wait();
    bench.ok(&["clear", "--namespace", "run"]);
    gate.open();
    assert_eq!(text(finish(runner).stdout), "result\n");
    assert_eq!(bench.ok(&["ls", "--namespace", "run"]), "");
}

#[test]
fn different_commands_run_side_by_side() {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    let runner = start(&mut bench.run(&[], GATED));
    started.wait();
    assert_eq!(bench.ok(&["run", "--", "echo", "other"]), "other\n");
    gate.open();
    assert_eq!(text(finish(runner).stdout), "result\n");
}

#[test]
fn warm_returns_at_once_and_runs_in_the_background() {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    let output = bench.run(&["--warm"], GATED).output().unwrap();
    assert_eq!((code(&output), output.stdout, output.stderr), (0, vec![], vec![]));
    started.wait();
    let waiter = start(&mut bench.run(&[], GATED));
    bench.wait_for_waiters(1);
    gate.open();
    assert_eq!(text(finish(waiter).stdout), "result\n");
    bench.wait_until_quiet();
    assert_eq!(bench.count(), 1);
}

#[test]
fn warm_runs_nothing_if_the_result_is_there() {
    let bench = Bench::new();
    let script = "echo >> count; echo result";
    assert_eq!(text(bench.run(&[], script).output().unwrap().stdout), "result\n");
    assert!(bench.run(&["--warm"], script).status().unwrap().success());
    bench.wait_until_quiet();
    assert_eq!(bench.count(), 1);
    assert!(bench.run(&["--warm", "--force"], script).status().unwrap().success());
    bench.wait_until_quiet();
    assert_eq!(bench.count(), 2);
}
