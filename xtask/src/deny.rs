//! The dependency policy of `deny.toml`, and what each crate pulls in.

use std::path::Path;

use crate::error::{Error, Result};
use crate::graph;
use crate::metadata::Workspace;
use crate::report::Gap;
use crate::shell::{Background, Cmd};

/// The cargo-deny that is installed when none is there.
const VERSION: &str = "0.20.2";

/// Checks what the crates pull in, then licences, bans, version floors and sources, then advisories
/// where they can be had.
///
/// # Errors
///
/// Fails on a breach of the policy, or if cargo-deny can neither be found nor installed.
pub(crate) fn run(workspace: &Workspace, tool: Result<Tool>) -> Result<Vec<Gap>> {
    graph::check(workspace)?;
    let tool = tool?.path()?;
    check(&tool, &["bans", "licenses", "sources"]).run()?;
    advisories(&tool)
}

/// The database is a git repository on another host; without it the floors in `deny.toml` hold.
fn advisories(tool: &str) -> Result<Vec<Gap>> {
    println!("fetching the advisory database");
    // A host that answers nothing must not hold the run: git gives up after half a minute.
    let fetch = Cmd::new(tool)
        .args(["fetch", "db"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_HTTP_LOW_SPEED_LIMIT", "1000")
        .env("GIT_HTTP_LOW_SPEED_TIME", "30");
    if let Err(error) = fetch.read() {
        let reason = error.to_string();
        return Ok(vec![Gap::say(format!(
            "deny: advisories and yanked versions, because the advisory database is out of reach: {}",
            last_line(&reason)
        ))]);
    }
    check(tool, &["--disable-fetch", "advisories"]).run().map(|()| Vec::new())
}

fn check(tool: &str, checks: &[&str]) -> Cmd {
    Cmd::new(tool).args(["--locked", "check", "--hide-inclusion-graph"]).args(checks.to_vec())
}

/// Where cargo-deny is, once it is built.
#[derive(Debug)]
pub(crate) struct Tool {
    path: String,
    install: Option<Background>,
}

impl Tool {
    /// Our own copy in `target/tools`, else the one on the path, else one that is installed while
    /// other gates run.
    ///
    /// # Errors
    ///
    /// Fails if the installation cannot begin.
    pub(crate) fn find_or_begin(workspace: &Workspace) -> Result<Self> {
        let tools = workspace.target.join("tools");
        let own = tools.join("bin").join("cargo-deny").display().to_string();
        if let Some(found) = [own.as_str(), "cargo-deny"].into_iter().find(|tool| works(tool)) {
            return Ok(Self { path: found.to_owned(), install: None });
        }
        println!(
            "cargo-deny is not installed (cargo install cargo-deny --locked);\n\
             installing {VERSION} into {}: one to two minutes on two cores, once",
            tools.display()
        );
        Ok(Self { path: own, install: Some(begin_install(&tools)?) })
    }

    fn path(self) -> Result<String> {
        self.install.map_or(Ok(()), Background::end)?;
        Ok(self.path)
    }
}

fn begin_install(tools: &Path) -> Result<Background> {
    std::fs::create_dir_all(tools)
        .map_err(|error| Error::failed(format!("cannot make {}: {error}", tools.display())))?;
    let install = Cmd::cargo().args(["install", "cargo-deny", "--version", VERSION, "--locked"]);
    install
        .args(["--debug", "--root"])
        .arg(tools.display().to_string())
        // Unoptimized and without what a debugger reads: it takes less than half the time to build
        // and a second to run.
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .begin(tools.join("install.log"))
}

fn works(tool: &str) -> bool {
    Cmd::new(tool).arg("--version").succeeds()
}

fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_line_that_says_something() {
        assert_eq!(last_line("cloning\n  fatal: no host\n\n"), "fatal: no host");
        assert_eq!(last_line(""), "");
    }
}
