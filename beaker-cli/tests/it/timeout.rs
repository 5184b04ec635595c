//! `--timeout`: the command and all of its group, and nothing is kept.

use crate::support::{Bench, code, eventually, finish, is_running, kill, start, text};

#[test]
fn a_command_out_of_time_is_124_and_not_kept() {
    let bench = Bench::new();
    for _ in 0..2 {
        let script = "echo >> count; echo early; sleep 1000";
        let output = finish(start(&mut bench.run(&["--timeout", "100ms"], script)));
        assert_eq!((code(&output), text(output.stdout)), (124, "early\n".to_owned()));
        assert_eq!(
            text(output.stderr),
            "beaker: the command ran longer than 100ms and was killed; raise --timeout\n"
        );
    }
    assert_eq!(bench.count(), 2);
    assert!(bench.entry_files().is_empty());
}

#[test]
fn what_the_command_started_is_killed_too_even_if_it_will_not_end() {
    let bench = Bench::new();
    let started = bench.gate("started");
    let script = "sh -c 'trap \"\" TERM; echo $$ > started; while :; do sleep 1; done' & wait";
    let beaker = start(&mut bench.run(&["--timeout", "200ms"], script));
    let grandchild: u32 = started.wait().parse().unwrap();
    assert!(is_running(grandchild));
    assert_eq!(code(&finish(beaker)), 124);
    eventually("the grandchild is gone", || !is_running(grandchild));
}

#[test]
fn a_command_within_its_time_is_kept() {
    let bench = Bench::new();
    for _ in 0..2 {
        let output =
            bench.run(&["--timeout", "1h"], "echo >> count; echo in time; exit 2").output();
        let output = output.unwrap();
        assert_eq!((code(&output), text(output.stdout)), (2, "in time\n".to_owned()));
    }
    assert_eq!(bench.count(), 1);
}

#[test]
fn a_signal_reaches_the_command_in_its_own_group() {
    let bench = Bench::new();
    let started = bench.gate("started");
    let script = "sleep 1000 & echo $! > started; wait";
    let beaker = start(&mut bench.run(&["--timeout", "1h"], script));
    let grandchild: u32 = started.wait().parse().unwrap();
    kill(beaker.id(), "TERM");
    assert_eq!(code(&finish(beaker)), 143);
    eventually("the whole group is gone", || !is_running(grandchild));
}

#[test]
fn a_command_that_ends_with_124_by_itself_is_kept() {
    let bench = Bench::new();
    for _ in 0..2 {
        let output = bench.run(&["--timeout", "1h"], "echo >> count; exit 124").output().unwrap();
        assert_eq!((code(&output), text(output.stderr)), (124, String::new()));
    }
    assert_eq!(bench.count(), 1);
}
