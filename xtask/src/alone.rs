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

/// Which tests are run with each feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Those with the feature in their path, in the crate or in `tests/it`: that it conforms is one.
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
        let mut run = 0;
        tests(feature, part).stream(|line| run += passed(line))?;
        if run == 0 {
            return Err(Error::failed(format!("no test of {CRATE} has `{feature}` in its path")));
        }
    }
    Ok(Vec::new())
}

fn tests(feature: &str, part: Part) -> Cmd {
    let cargo = Cmd::cargo().args(["test", "--package", CRATE, "--locked"]);
    let cargo = cargo.args(["--no-default-features", "--features", feature]);
    match part {
        Part::Named => cargo.args(["--package", HOST, "--lib", "--test", "it", "--", feature]),
        Part::Whole => cargo,
    }
}

/// How many tests passed, from a line such as `test result: ok. 5 passed; 0 failed; ...`.
fn passed(line: &str) -> usize {
    let Some((_, counts)) = line.split_once("test result: ok. ") else { return 0 };
    let count = counts.split(' ').next();
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_runs_what_has_the_feature_in_its_path() {
        let shown = |part| tests("redb", part).to_string();
        assert!(
            shown(Part::Named)
                .ends_with("--features redb --package xtask-host --lib --test it -- redb")
        );
        assert!(shown(Part::Whole).ends_with("--no-default-features --features redb"));
    }

    #[test]
    fn passed_tests_are_counted() {
        assert_eq!(passed("test result: ok. 12 passed; 0 failed; 1 ignored"), 12);
        assert_eq!(passed("test result: FAILED. 12 passed; 1 failed"), 0);
        assert_eq!(passed("test redb::redb_is_a_store ... ok"), 0);
    }
}
