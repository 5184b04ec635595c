//! The dependency policy of `deny.toml`, and the size of the default graph.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{Error, Result};
use crate::metadata::Workspace;
use crate::report::Gap;
use crate::shell::{Background, Cmd};

/// The cargo-deny that is installed when none is there.
const VERSION: &str = "0.20.2";

/// How many packages the library may pull in with its default features.
const MAX_PACKAGES: usize = 60;

/// The crate whose graph is counted: what a user adds.
const FACE: &str = "beaker-cache";

/// The crates whose default features bring no runtime, from the lowest floor up.
const WITHOUT_RUNTIME: [&str; 7] = [
    "beaker-sync",
    "beaker-syncdict",
    "beaker-namespace",
    "beaker-container",
    "beaker-backends",
    "beaker-cache",
    "beaker-cli",
];

/// Checks licences, bans, version floors and sources, then advisories where they can be had.
///
/// # Errors
///
/// Fails on a breach of the policy, or if cargo-deny can neither be found nor installed.
pub(crate) fn run(tool: Result<Tool>) -> Result<Vec<Gap>> {
    graph_size()?;
    no_runtime()?;
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

fn graph_size() -> Result<()> {
    let tree = Cmd::cargo().args(["tree", "--package", FACE, "--edges", "normal", "--locked"]);
    let count = packages(&tree.args(["--prefix", "none"]).read()?);
    println!("{FACE} with its default features: {count} packages, at most {MAX_PACKAGES}");
    if count > MAX_PACKAGES {
        return Err(Error::failed(format!(
            "{FACE} pulls in {count} packages, above {MAX_PACKAGES}"
        )));
    }
    Ok(())
}

/// No crate below the sessions has anything of tokio unless a feature asks for it.
fn no_runtime() -> Result<()> {
    for crate_name in WITHOUT_RUNTIME {
        let tree = Cmd::cargo().args(["tree", "--package", crate_name, "--edges", "normal"]);
        let tree = tree.args(["--locked", "--prefix", "none"]).read()?;
        if let Some(found) = of_a_runtime(&tree) {
            return Err(Error::failed(format!("{crate_name} pulls in {found} by default")));
        }
    }
    println!("nothing of tokio in the default graphs of {} crates", WITHOUT_RUNTIME.len());
    Ok(())
}

/// The first package of tokio in the output of `cargo tree --prefix none`.
fn of_a_runtime(tree: &str) -> Option<&str> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.into_iter().find(|name| *name == "tokio" || name.starts_with("tokio-"))
}

/// The distinct packages in the output of `cargo tree --prefix none`.
fn packages(tree: &str) -> usize {
    let named = tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.next()?))
    });
    named.collect::<BTreeSet<_>>().len()
}

fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_counts_once_and_each_version_of_it() {
        let tree = "a v0.1.0 (/src/a)\nb v1.0.0\nc v2.0.0\nb v1.0.0 (*)\nc v3.0.0\n\n";
        assert_eq!(packages(tree), 4);
    }

    #[test]
    fn a_package_of_tokio_is_found() {
        let tree = "beaker-container v0.1.0 (/src/tokio)\nfastrand v2.0.0\n";
        assert_eq!(of_a_runtime(tree), None);
        assert_eq!(of_a_runtime(&format!("{tree}tokio-util v0.7.0\n")), Some("tokio-util"));
    }

    #[test]
    fn the_crates_without_a_runtime_are_there() {
        let workspace = Workspace::load().unwrap();
        assert!(WITHOUT_RUNTIME.iter().all(|name| workspace.package(name).is_some()));
    }

    #[test]
    fn the_reason_is_the_last_line_that_says_something() {
        assert_eq!(last_line("cloning\n  fatal: no host\n\n"), "fatal: no host");
        assert_eq!(last_line(""), "");
    }
}
