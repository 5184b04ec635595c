//! `cargo xtask crates`: each crate on its own, with its default features.
//!
//! The other gates build the workspace at once, where a crate may find a feature of a dependency
//! that only another crate asks for.

use crate::error::Result;
use crate::gates::HOST;
use crate::metadata::{Package, Workspace};
use crate::report::{Gap, Section};
use crate::shell::Cmd;

/// All tests of every crate, the storms and doc tests too.
pub(crate) fn whole(workspace: &Workspace) -> Result<Vec<Gap>> {
    each(workspace, test)
}

/// What `ci` does: all of every crate compiles, its tests and benchmarks too. They run in the gate
/// `test`, with every feature.
pub(crate) fn short(workspace: &Workspace) -> Result<Vec<Gap>> {
    each(workspace, check)
}

fn each(workspace: &Workspace, call: impl Fn(&Package) -> Cmd) -> Result<Vec<Gap>> {
    for package in &workspace.packages {
        let _section = Section::open(format!("{} alone", package.name));
        call(package).run()?;
    }
    Ok(Vec::new())
}

fn check(package: &Package) -> Cmd {
    let check = Cmd::cargo().args(["check", "--package", &package.name, "--package", HOST]);
    check.args(["--all-targets", "--locked"])
}

fn test(package: &Package) -> Cmd {
    Cmd::cargo().args(["test", "--package", &package.name, "--locked"])
}
