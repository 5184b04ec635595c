//! `cargo xtask storm`: the tests that kill processes, run for long, and one table of what they saw.
//!
//! A storm test has `storm` in its name, runs for BEAKER_STORM_SECS seconds a row, and prints lines
//!
//! ```text
//! STORM|F1 kill -9 of creators|file|overlaps=0 creations=4777 kills=369|ok
//! ```
//!
//! row, store, measured values, and `ok` or what is wrong. The line may stand anywhere in the
//! output, behind the test's name too.

use std::collections::BTreeSet;

use crate::beside::{self, Ended};
use crate::built::{self, Build, Program};
use crate::error::{Error, Result};
use crate::metadata::{Package, Workspace};
use crate::report::{self, Gap, Section};
use crate::shell::Cmd;

/// The crates whose storm tests print rows, from the lowest floor up.
const CRATES: [&str; 6] = [
    "beaker-sync",
    "beaker-namespace",
    "beaker-container",
    "beaker-backends",
    "beaker-session",
    "beaker-cli",
];

/// The crate whose rows go over many stores.
const MANY_STORES: &str = "beaker-backends";

/// What the name of a storm test has in it.
pub(crate) const FILTER: &str = "storm";

/// The modules whose storms do a number of trials, each on a copy of a store. Their numbers are
/// counts and not times, so they run beside each other.
const COUNTED: [&str; 2] = ["faults::", "power::"];

const MARK: &str = "STORM|";

const HEADER: [&str; 5] = ["crate", "row", "store", "measured", "verdict"];

/// From so many seconds a row the tests judge the numbers that are times, and not only count. Then one
/// program runs at a time.
const TIMES_COUNT: u32 = 30;

/// Runs the storm tests, `seconds` each, and prints the table.
///
/// # Errors
///
/// Fails if a test fails, a row is not `ok`, or no row was printed at all.
pub(crate) fn run(workspace: &Workspace, seconds: u32, build: Build) -> Result<Vec<Gap>> {
    let programs = built::programs(workspace, cargo(workspace, build))?;
    let _section = Section::open(format!("storm: {seconds} s a row"));
    let (names, calls) = all_calls(workspace, &programs, seconds)?;
    let ended = match seconds < TIMES_COUNT {
        true => beside::each(&calls, &workspace.target.join("storm-logs"))?,
        false => calls.iter().map(one).collect(),
    };
    let mut rows = Vec::new();
    let (mut skipped, mut failed) = (BTreeSet::new(), Vec::new());
    for (name, ended) in names.iter().zip(ended) {
        rows.extend(ended.said.lines().filter_map(|line| row(name, line)));
        skipped.extend(ended.said.lines().filter_map(report::skipped).map(str::to_owned));
        if let Err(error) = ended.result {
            println!("{error}");
            failed.push(*name);
        }
    }
    // What ran side by side came out mixed.
    rows.sort_by_key(|row: &Vec<String>| (rank(&row[0]), row[1].clone()));
    let without = CRATES
        .iter()
        .filter(|name| !rows.iter().any(|row| row[0] == **name) && !failed.contains(*name));
    let mut gaps: Vec<Gap> =
        without.map(|name| Gap::say(format!("storm: {name} printed no row"))).collect();
    gaps.extend(report::gaps_of(&skipped));
    println!("\n{}", report::table(&HEADER, &rows));
    verdict(&rows, &failed).map(|()| gaps)
}

/// Runs a call by itself, and shows what it says as it does.
fn one(call: &Cmd) -> Ended {
    let mut said = String::new();
    let result = call.stream(|line| {
        said.push_str(line);
        said.push('\n');
    });
    Ended { said, result }
}

/// The calls that run the storm tests of all crates, and of which crate each is.
fn all_calls<'a>(
    workspace: &'a Workspace,
    programs: &[Program],
    seconds: u32,
) -> Result<(Vec<&'a str>, Vec<Cmd>)> {
    let (mut names, mut all) = (Vec::new(), Vec::new());
    for package in in_order(workspace) {
        let name = package.name.as_str();
        for (program, tests) in stormy(programs, package)? {
            for call in calls(program, &tests) {
                names.push(name);
                all.push(call.env("BEAKER_STORM_SECS", share(name, seconds).to_string()));
            }
        }
    }
    Ok((names, all))
}

/// Where a crate stands in the table.
fn rank(name: &str) -> usize {
    CRATES.iter().position(|known| *known == name).unwrap_or(CRATES.len())
}

/// The arguments of a test program that leave the storms to this gate.
pub(crate) fn skipped() -> [String; 2] {
    ["--skip", FILTER].map(str::to_owned)
}

/// Every crate, since `ci` leaves to this gate what has `storm` in its name wherever it is; those
/// with rows come first.
fn in_order(workspace: &Workspace) -> impl Iterator<Item = &Package> {
    let first = CRATES.iter().filter_map(|name| workspace.package(name));
    let others = workspace.packages.iter();
    first.chain(others.filter(|package| !CRATES.contains(&package.name.as_str())))
}

/// The programs of `package` that have storm tests, and the names of these.
fn stormy<'a>(
    programs: &'a [Program],
    package: &Package,
) -> Result<Vec<(&'a Program, Vec<String>)>> {
    let mut stormy = Vec::new();
    for program in programs.iter().filter(|program| program.tests(&package.manifest)) {
        let tests = listed(&program.call().args([FILTER, "--list"]).read()?);
        if !tests.is_empty() {
            stormy.push((program, tests));
        }
    }
    Ok(stormy)
}

/// The tests in the output of a test program that was asked for a list.
fn listed(told: &str) -> Vec<String> {
    told.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

fn cargo(workspace: &Workspace, build: Build) -> Cmd {
    match build {
        Build::Shared => built::all_tests(),
        Build::Release => built::all_tests().release_apart(&workspace.target, "storm"),
    }
}

/// The calls that run `tests`: those whose numbers are times, then the others.
fn calls(program: &Program, tests: &[String]) -> Vec<Cmd> {
    let is_counted = |test: &&String| COUNTED.iter().any(|module| test.starts_with(module));
    let (counted, timed): (Vec<_>, Vec<_>) = tests.iter().partition(is_counted);
    let call = |tests: Vec<&String>| (!tests.is_empty()).then(|| exactly(program, &tests));
    let timed = call(timed).map(|cmd| cmd.arg("--test-threads=1"));
    timed.into_iter().chain(call(counted)).collect()
}

fn exactly(program: &Program, tests: &[&String]) -> Cmd {
    program.call().args(tests.iter().copied()).args(["--exact", "--nocapture"])
}

/// The seconds for each store of a row: where a row goes over many stores, each has a half, which
/// for `ci` is what `cargo test` gives it.
fn share(name: &str, seconds: u32) -> f64 {
    let seconds = f64::from(seconds);
    if name == MANY_STORES { seconds / 2.0 } else { seconds }
}

/// The cells of a line that carries the mark; `None` for any other line.
fn row(name: &str, line: &str) -> Option<Vec<String>> {
    let (_, cells) = line.split_once(MARK)?;
    let mut row = vec![name.to_owned()];
    row.extend(cells.split('|').map(|cell| cell.trim().to_owned()));
    Some(row)
}

/// A row with cells missing or a verdict other than `ok` fails the storm.
fn verdict(rows: &[Vec<String>], failed: &[&str]) -> Result<()> {
    let bad = rows.iter().filter(|row| row.len() != HEADER.len() || row[HEADER.len() - 1] != "ok");
    match (failed, bad.count()) {
        ([], _) if rows.is_empty() => Err(Error::failed("no storm test printed a row")),
        ([], 0) => Ok(()),
        ([], bad) => Err(Error::failed(format!("{bad} of {} rows are not ok", rows.len()))),
        (failed, _) => Err(Error::failed(format!("storm tests failed in {}", failed.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "test locks::storm ... STORM|F3|file|overlaps=0 control=1624|ok";

    #[test]
    fn crates_with_rows_come_first_and_no_crate_is_left_out() {
        let workspace = Workspace::load().unwrap();
        let names: Vec<&str> = in_order(&workspace).map(|package| package.name.as_str()).collect();
        assert_eq!(names[..CRATES.len()], CRATES);
        assert_eq!(names.len(), workspace.packages.len());
    }

    #[test]
    fn a_row_is_found_behind_the_name_of_its_test() {
        let row = row("beaker-sync", LINE).unwrap();
        assert_eq!(row, ["beaker-sync", "F3", "file", "overlaps=0 control=1624", "ok"]);
    }

    #[test]
    fn other_lines_are_not_rows() {
        assert_eq!(row("beaker-sync", "test locks::storm ... ok"), None);
    }

    #[test]
    fn a_row_that_is_not_ok_fails_the_storm() {
        let good = row("a", LINE).unwrap();
        assert_eq!(verdict(std::slice::from_ref(&good), &[]), Ok(()));
        let bad = row("a", "STORM|F1|file|overlaps=1|FAILED").unwrap();
        assert!(verdict(&[good.clone(), bad], &[]).is_err());
        let cut = row("a", "STORM|F1|file").unwrap();
        assert!(verdict(&[good, cut], &[]).is_err());
    }

    #[test]
    fn storms_that_count_run_beside_each_other_and_the_others_one_at_a_time() {
        let program = Program::at("/t/storm-1");
        let tests =
            listed("kills::f24_storm: test\npower::f38_storm: test\n\n2 tests, 0 benchmarks\n");
        let shown: Vec<String> = calls(&program, &tests).iter().map(Cmd::to_string).collect();
        assert_eq!(
            shown,
            [
                "storm-1 kills::f24_storm --exact --nocapture --test-threads=1",
                "storm-1 power::f38_storm --exact --nocapture",
            ]
        );
        assert_eq!(calls(&program, &tests[1..]).len(), 1);
    }

    #[test]
    fn a_storm_without_rows_is_not_a_pass() {
        assert!(verdict(&[], &[]).is_err());
    }

    #[test]
    fn a_row_over_many_stores_gives_each_a_part_of_the_time() {
        assert_eq!([3, 30].map(|seconds| share(MANY_STORES, seconds)), [1.5, 15.0]);
        assert_eq!(share("beaker-sync", 3), 3.0);
    }

    #[test]
    fn a_failed_crate_is_named() {
        let error = verdict(&[row("a", LINE).unwrap()], &["beaker-cli"]).unwrap_err();
        assert_eq!(error.to_string(), "storm tests failed in beaker-cli");
    }
}
