//! `cargo xtask alone`: the tests of the stores and proxies, with one feature at a time.
//!
//! The other gates build these tests with every feature; what works only beside another feature is
//! found here.

use crate::error::{Error, Result};
use crate::gates::HOST;
use crate::metadata::Workspace;
use crate::report::{Gap, Section};
use crate::shell::Cmd;

/// The crate whose every feature is a store, a proxy or a reader with tests of its own.
const CRATE: &str = "beaker-backends";

/// What is run with every feature, since it differs by feature without having one in its path: quick
/// faults over the table of the stores that are there, and what several stores are made of.
const SHARED: [&str; 5] =
    ["faults::disk::f33", "faults::handles::f40", "faults::versions", "batch::", "place::"];

/// Which tests are run with each feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Those with the feature in their path, in the crate or in `tests/it` (that it conforms is one), and
    /// those of [`SHARED`].
    Named,
    /// All, with the storms and the doc tests.
    Whole,
}

/// Runs the tests with each feature alone.
///
/// # Errors
///
/// Fails if a test fails, or if a feature has no test.
pub(crate) fn run(workspace: &Workspace, part: Part) -> Result<Vec<Gap>> {
    let package = workspace.package(CRATE);
    let package = package.ok_or_else(|| Error::failed(format!("there is no {CRATE}")))?;
    for feature in &package.features {
        let _section = Section::open(format!("{CRATE}: tests with `{feature}` alone"));
        let mut named = 0;
        tests(feature, part).stream(|line| named += usize::from(is_pass_of(feature, line)))?;
        if named == 0 {
            return Err(Error::failed(format!("no test of {CRATE} has `{feature}` in its path")));
        }
    }
    Ok(Vec::new())
}

fn tests(feature: &str, part: Part) -> Cmd {
    let cargo = Cmd::cargo().args(["test", "--package", CRATE, "--locked"]);
    let cargo = cargo.args(["--no-default-features", "--features", feature]);
    match part {
        Part::Named => {
            let cargo = cargo.args(["--package", HOST, "--lib", "--test", "it", "--", feature]);
            cargo.args(SHARED)
        }
        Part::Whole => cargo,
    }
}

/// Whether `line`, such as `test redb::redb_is_a_store ... ok`, tells that a test of `feature` passed.
fn is_pass_of(feature: &str, line: &str) -> bool {
    let test = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... ok"));
    test.is_some_and(|test| test.contains(feature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_runs_what_has_the_feature_in_its_path() {
        let shown = |part| tests("redb", part).to_string();
        let named =
            "--features redb --package xtask-host --lib --test it -- redb faults::disk::f33";
        assert!(shown(Part::Named).contains(named), "{}", shown(Part::Named));
        assert!(shown(Part::Whole).ends_with("--no-default-features --features redb"));
    }

    #[test]
    fn only_passed_tests_of_the_feature_are_counted() {
        assert!(is_pass_of("redb", "test redb::redb_is_a_store ... ok"));
        assert!(!is_pass_of("redb", "test redb::redb_is_a_store ... FAILED"));
        assert!(!is_pass_of("redb", "test redb::redb_is_a_store ... ignored"));
        assert!(!is_pass_of("redb", "test place::a_directory_is_made ... ok"));
        assert!(!is_pass_of("redb", "test result: ok. 12 passed; 0 failed; 1 ignored"));
    }
}
