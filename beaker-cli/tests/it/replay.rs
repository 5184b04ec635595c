//! A replay is what the command did: bytes, order within each stream, exit code.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::process::Stdio;

use crate::support::{Bench, code, finish, read_line, start, text};

#[test]
fn a_replay_has_the_same_bytes_and_exit_code() {
    let bench = Bench::new();
    let script = r"echo >> count; printf '\000\377out\n\n'; printf 'err\377' >&2; exit 41";
    let first = bench.run(&[], script).output().unwrap();
    assert_eq!(first.stdout, b"\0\xffout\n\n");
    assert_eq!(first.stderr, b"err\xff");
    assert_eq!(code(&first), 41);
    assert_eq!(bench.run(&[], script).output().unwrap(), first);
    assert_eq!(bench.count(), 1);
}

#[test]
fn a_large_output_is_replayed_whole() {
    let bench = Bench::new();
    let script = "echo >> count; head -c 3000000 /dev/zero; echo end; head -c 200000 /dev/zero >&2";
    let first = finish(start(&mut bench.run(&[], script)));
    assert_eq!((first.stdout.len(), first.stderr.len()), (3_000_004, 200_000));
    assert_eq!(finish(start(&mut bench.run(&[], script))), first);
    assert_eq!(bench.count(), 1);
}

#[test]
fn no_output_at_all_is_replayed_too() {
    let bench = Bench::new();
    for _ in 0..2 {
        let output = bench.run(&[], "echo >> count").output().unwrap();
        assert_eq!((code(&output), output.stdout, output.stderr), (0, vec![], vec![]));
    }
    assert_eq!(bench.count(), 1);
}

#[test]
fn the_first_run_is_passed_on_while_it_runs() {
    let bench = Bench::new();
    let gate = bench.gate("gate");
    let script = "echo first; echo warning >&2; read line < gate; echo second";
    let mut beaker = start(&mut bench.run(&[], script));
    assert_eq!(read_line(beaker.stdout.as_mut().unwrap()), "first");
    assert_eq!(read_line(beaker.stderr.as_mut().unwrap()), "warning");
    gate.open();
    assert_eq!(finish(beaker).stdout, b"second\n");
    assert_eq!(bench.run(&[], script).output().unwrap().stdout, b"first\nsecond\n");
}

#[test]
fn standard_input_is_passed_to_the_command_and_is_no_part_of_the_key() {
    let bench = Bench::new();
    fs::write(bench.path("one"), "one").unwrap();
    fs::write(bench.path("two"), "two").unwrap();
    let output = |file: &str| {
        let stdin = fs::File::open(bench.path(file)).unwrap();
        text(bench.run(&[], "cat").stdin(stdin).output().unwrap().stdout)
    };
    assert_eq!(output("one"), "one");
    assert_eq!(output("two"), "one");
}

#[test]
fn arguments_that_are_not_utf_8_are_passed_on() {
    let bench = Bench::new();
    let words = |byte: u8| {
        let plain = ["run", "--", "printf", "%s"].map(OsString::from);
        plain.into_iter().chain([OsString::from_vec(vec![byte])])
    };
    for byte in [0xfe, 0xff, 0xfe] {
        assert_eq!(bench.beaker(words(byte)).output().unwrap().stdout, [byte]);
    }
    assert_eq!(bench.ok(&["ls", "--namespace", "run", "--json"]).lines().count(), 2);
}

#[test]
fn the_double_dash_is_optional() {
    let bench = Bench::new();
    assert_eq!(bench.ok(&["run", "echo", "--ttl", "x"]), "--ttl x\n");
}

#[test]
fn the_reader_of_the_output_may_go_away() {
    let bench = Bench::new();
    let script = "echo >> count; while echo line; do :; done";
    let mut beaker = start(&mut bench.run(&[], script));
    drop(beaker.stdout.take());
    let output = finish(beaker);
    assert!(code(&output) != 0, "{output:?}");
    assert!(bench.entry_files().is_empty(), "half an output was kept");
}

#[test]
fn a_replay_to_a_closed_pipe_ends_like_sigpipe() {
    let bench = Bench::new();
    bench.run(&[], "head -c 1000000 /dev/zero").stdout(Stdio::null()).status().unwrap();
    let mut beaker = start(&mut bench.run(&[], "head -c 1000000 /dev/zero"));
    drop(beaker.stdout.take());
    let output = finish(beaker);
    assert_eq!((code(&output), text(output.stderr)), (141, String::new()));
}

#[test]
fn a_command_that_is_not_there_is_127_and_not_kept() {
    let bench = Bench::new();
    for _ in 0..2 {
        let output = bench.beaker(["run", "--", "no-such-command"]).output().unwrap();
        assert_eq!(code(&output), 127);
        assert_eq!(
            text(output.stderr),
            "beaker: cannot run no-such-command: not found; check its name and PATH\n"
        );
    }
    assert!(bench.entry_files().is_empty());
}

#[test]
fn a_file_that_cannot_be_executed_is_126_and_not_kept() {
    let bench = Bench::new();
    fs::write(bench.path("plain"), "text").unwrap();
    let output = bench.beaker(["run", "--", "./plain"]).output().unwrap();
    assert_eq!(code(&output), 126);
    assert!(text(output.stderr).starts_with("beaker: cannot run ./plain: Permission denied"));
    assert!(bench.entry_files().is_empty());
}
