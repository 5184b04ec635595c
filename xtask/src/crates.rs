//! `cargo xtask crates`: each crate on its own, with its default features.
//!
//! The other gates build the workspace at once, where a crate may find a feature of a dependency
//! that only another crate asks for.

use crate::error::Result;
use crate::metadata::{Package, Workspace};
use crate::report::{Gap, Section};
use crate::shell::Cmd;
use crate::storm;

/// All tests of every crate, the storms and doc tests too.
pub(crate) fn whole(workspace: &Workspace) -> Result<Vec<Gap>> {
    each(workspace, test)
}

/// What `ci` does: it runs the tests, but for the storms, of those crates that are another program than the
/// one that `cargo xtask test` has run, and compiles the others.
pub(crate) fn short(workspace: &Workspace) -> Result<Vec<Gap>> {
    each(workspace, |package| match package.off_in_tests().is_empty() {
        true => check(package),
        false => test(package).args(storm::skipped()),
    })
}

fn each(workspace: &Workspace, call: impl Fn(&Package) -> Cmd) -> Result<Vec<Gap>> {
    for package in &workspace.packages {
        let _section = Section::open(format!("{} alone", package.name));
        call(package).run()?;
    }
    Ok(Vec::new())
}

/// The benchmarks are compiled here too.
fn check(package: &Package) -> Cmd {
    Cmd::cargo().args(["check", "--package", &package.name, "--all-targets", "--locked"])
}

fn test(package: &Package) -> Cmd {
    Cmd::cargo().args(["test", "--package", &package.name, "--locked"])
}
