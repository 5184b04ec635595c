//! A store that fails keeps no command from running.

use std::fs;
use std::process::Command;

use crate::support::{Bench, code, damage, finish, start, text};

#[test]
fn f33_a_store_that_cannot_be_made_is_told_and_the_command_runs() {
    let bench = Bench::new();
    fs::write(bench.path("file"), "").unwrap();
    let below_a_file = format!("file:{}/store", bench.path("file").display());
    for url in [below_a_file.as_str(), "file:/proc/no-such-directory"] {
        let script = "echo out; echo err >&2; exit 5";
        let output = bench.run(&["--store", url], script).output().unwrap();
        assert_eq!((code(&output), text(output.stdout)), (5, "out\n".to_owned()));
        let stderr = text(output.stderr);
        let (note, rest) = stderr.split_once('\n').unwrap();
        assert!(note.starts_with("beaker: running without the store: cannot "), "{note}");
        assert_eq!(rest, "err\n");
    }
}

#[test]
fn without_a_home_the_command_runs_all_the_same() {
    let bench = Bench::new();
    let mut command = bench.run(&[], "echo out");
    command.env_remove("BEAKER_URL").env_remove("XDG_CACHE_HOME").env_remove("HOME");
    let output = command.output().unwrap();
    assert_eq!(text(output.stdout), "out\n");
    assert!(text(output.stderr).contains("set BEAKER_URL or HOME"));
}

#[test]
fn without_the_store_a_timeout_still_holds() {
    let bench = Bench::new();
    let options = ["--store", "file:/proc/none", "--timeout", "50ms"];
    let output = finish(start(&mut bench.run(&options, "echo out; sleep 1000")));
    assert_eq!((code(&output), text(output.stdout)), (124, "out\n".to_owned()));
}

/// A file size limit of zero stands for a full disk: no byte can be written to a file.
#[test]
fn f31_a_full_disk_is_told_and_the_command_runs() {
    let bench = Bench::new();
    bench.ok(&["run", "--", "echo", "kept before"]);
    let limited = |command: &str| {
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("trap '' XFSZ; ulimit -f 0; exec \"$BEAKER\" run -- {command}"));
        shell.env("BEAKER", env!("CARGO_BIN_EXE_beaker"));
        shell.env("BEAKER_URL", format!("file:{}", bench.store().display()));
        shell.output().unwrap()
    };
    let output = limited("sh -c 'echo out; exit 6'");
    assert_eq!((code(&output), text(output.stdout)), (6, "out\n".to_owned()));
    assert!(text(output.stderr).starts_with("beaker: the result was not kept: cannot "));
    assert_eq!(text(limited("echo 'kept before'").stdout), "kept before\n");
    assert_eq!(bench.ok(&["ls", "--namespace", "run", "--json"]).lines().count(), 1);
}

#[test]
fn f34_f35_a_damaged_result_is_made_anew() {
    let bench = Bench::new();
    let run = || text(bench.run(&[], "echo >> count; wc -l < count").output().unwrap().stdout);
    assert_eq!(run().trim(), "1");
    let files = bench.entry_files();
    assert_eq!(files.len(), 1);
    damage(&files[0]);
    assert_eq!(run().trim(), "2");
    assert_eq!(run().trim(), "2");
    fs::write(&files[0], "").unwrap();
    assert_eq!(run().trim(), "3");
    assert_eq!(run().trim(), "3");
}

#[test]
fn what_another_program_wrote_under_the_key_is_replaced() {
    let bench = Bench::new();
    bench.ok(&["set", "--namespace", "run", "(\"run\", (\"echo\", \"x\"))", "not a recording"]);
    assert_eq!(bench.ok(&["run", "--", "echo", "x"]), "x\n");
    let bytes = bench.ok(&["get", "--namespace", "run", "(\"run\", (\"echo\", \"x\"))"]);
    assert!(bytes.starts_with("bkrun") && bytes.ends_with("x\n"), "{bytes:?}");
}

#[test]
fn a_store_of_an_unknown_kind_is_a_usage_error() {
    let bench = Bench::new();
    for (url, expected) in [
        ("postgres:/x", "`postgres:` is not built yet"),
        ("flie:/x", "there is no store `flie:`"),
        ("nonsense", "there is no scheme"),
    ] {
        let output = bench.run(&["--store", url], "echo out").output().unwrap();
        assert_eq!((code(&output), output.stdout), (2, vec![]));
        let stderr = text(output.stderr);
        assert!(stderr.starts_with("beaker: ") && stderr.contains(expected), "{stderr}");
        assert_eq!(stderr.lines().count(), 1);
    }
}

#[test]
fn other_commands_say_by_their_exit_code_what_failed() {
    let bench = Bench::new();
    fs::write(bench.path("file"), "").unwrap();
    let below_a_file = format!("file:{}/store", bench.path("file").display());
    let output = bench.beaker(["ls", "--store", &below_a_file]).output().unwrap();
    assert_eq!(code(&output), 78);
    let stderr = text(output.stderr);
    assert!(stderr.contains("a part of it is not a directory"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}
