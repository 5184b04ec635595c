//! The examples of the README run.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::support::{Bench, finish, start, text};

#[test]
fn the_examples_of_the_readme_run() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```sh\n").unwrap();
    let (script, _) = rest.split_once("```").unwrap();
    let bench = Bench::new();
    let programs = Path::new(env!("CARGO_BIN_EXE_beaker")).parent().unwrap();
    let path = env::var_os("PATH").unwrap();
    let path = env::join_paths([programs.into()].into_iter().chain(env::split_paths(&path)));
    let mut shell = Command::new("sh");
    shell.args(["-eux", "-c", script]).current_dir(bench.path("")).env("PATH", path.unwrap());
    shell.env_remove("BEAKER_URL").env("XDG_CACHE_HOME", bench.store());
    let output = finish(start(&mut shell));
    assert!(output.status.success(), "{output:?}");
    let stdout = text(output.stdout);
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[0], lines[1], "the second is a replay: {stdout}");
    assert!(stdout.contains("\nhello") && stdout.contains("fresh: until"), "{stdout}");
}
