//! The test programs of the workspace, built once with every feature and found where cargo put them.
//!
//! Running them without cargo spares a build for each crate: cargo chooses the features of what we
//! depend on anew for each set of crates that it is asked to build.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::metadata::Workspace;
use crate::shell::Cmd;

/// What the test programs are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// What `cargo xtask test` built, as far as it goes: little is built once more.
    Shared,
    /// Optimized and built apart: more happens in each second.
    Release,
}

/// One test program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Program {
    /// The `Cargo.toml` of the package it tests.
    manifest: PathBuf,
    /// Its target: `storm`, or the package's name for the tests inside it.
    target: String,
    path: String,
}

impl Program {
    #[cfg(test)]
    pub(crate) fn at(path: &str) -> Self {
        Self { manifest: "Cargo.toml".into(), target: String::new(), path: path.to_owned() }
    }

    /// Calls it as cargo would: in the folder of its package.
    pub(crate) fn call(&self) -> Cmd {
        let cmd = Cmd::new(self.path.as_str());
        self.manifest.parent().into_iter().fold(cmd, Cmd::within)
    }

    /// As [`call`](Self::call), for tests that ask cargo's variable where their package is.
    pub(crate) fn call_as_cargo(&self) -> Cmd {
        let folder = self.manifest.parent().unwrap_or(Path::new("."));
        self.call().env("CARGO_MANIFEST_DIR", folder.display().to_string())
    }

    /// Whether it tests the package with this `Cargo.toml`.
    pub(crate) fn tests(&self, manifest: &Path) -> bool {
        self.manifest == manifest
    }
}

/// The call that builds what `cargo xtask test` builds.
pub(crate) fn all_tests() -> Cmd {
    Cmd::cargo().args(["test", "--workspace", "--all-features", "--locked"])
}

/// Builds with `cargo`, a call of `cargo test`, and returns the programs it would run.
///
/// # Errors
///
/// Fails if the build fails or there is no test program of a package.
pub(crate) fn programs(workspace: &Workspace, cargo: Cmd) -> Result<Vec<Program>> {
    let build = cargo.args(["--tests", "--no-run"]);
    build.run()?;
    // Nothing is left to build, so this only tells.
    let told = build.args(["--message-format", "json"]).read()?;
    let mut programs: Vec<Program> = told.lines().filter_map(program).collect();
    programs.sort();
    for package in &workspace.packages {
        if !programs.iter().any(|program| program.tests(&package.manifest)) {
            return Err(Error::failed(format!("cargo built no test program of {}", package.name)));
        }
    }
    Ok(programs)
}

/// The test program that a line of cargo's messages tells of, if it does.
fn program(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    Some(Program {
        manifest: message["manifest_path"].as_str()?.into(),
        target: message["target"]["name"].as_str()?.to_owned(),
        path: message["executable"].as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = r#"{"reason": "compiler-artifact", "manifest_path": "/src/a/Cargo.toml",
        "target": {"name": "storm"}, "profile": {"test": true}, "executable": "/t/storm-1"}"#;

    #[test]
    fn a_program_is_known_by_its_package_and_runs_there() {
        let program = program(TEST).unwrap();
        assert!(program.tests(Path::new("/src/a/Cargo.toml")));
        assert!(!program.tests(Path::new("/src/b/Cargo.toml")));
        assert_eq!(program.call().to_string(), "storm-1");
        assert_eq!(program.target, "storm");
    }

    #[test]
    fn what_is_no_test_is_no_program() {
        assert_eq!(program(&TEST.replace("true", "false")), None);
        assert_eq!(program(&TEST.replace("compiler-artifact", "build-finished")), None);
        assert_eq!(program(&TEST.replace("\"/t/storm-1\"", "null")), None);
        assert_eq!(program("test a ... ok"), None);
    }
}
