//! What takes long or needs a tool of its own: models, Miri, benchmarks, comparison.

use crate::error::{Error, Result};
use crate::metadata::{Package, Workspace};
use crate::report::{Gap, Section};
use crate::shell::Cmd;

/// The crates whose unit tests stay in memory, so that Miri can run them.
const IN_MEMORY: [&str; 1] = ["beaker-syncdict"];

/// The loom models (`tests/loom.rs`) of every crate that depends on loom.
///
/// They are built apart, since the cfg changes every crate.
pub(crate) fn loom(workspace: &Workspace, preemptions: u32) -> Result<Vec<Gap>> {
    let uses_loom = |package: &&Package| package.dependencies.iter().any(|name| name == "loom");
    let packages: Vec<&Package> = workspace.packages.iter().filter(uses_loom).collect();
    if packages.is_empty() {
        return Err(Error::failed("no crate depends on loom"));
    }
    for package in &packages {
        if !package.targets("test").any(|name| name == "loom") {
            let name = &package.name;
            return Err(Error::failed(format!("{name} depends on loom but has no tests/loom.rs")));
        }
    }
    let mut test = Cmd::cargo().args(["test", "--locked", "--test", "loom"]);
    for package in packages {
        test = test.args(["--package", &package.name]);
    }
    test.release_apart(&workspace.target, "loom")
        // Nothing else compiles the code of this cfg, so its warnings are denied here.
        .env("RUSTFLAGS", "--cfg beaker_loom -D warnings")
        .env("LOOM_MAX_PREEMPTIONS", preemptions.to_string())
        .run()
        .map(|()| Vec::new())
}

/// The unit tests that stay in memory, under Miri.
///
/// No crate of ours has unsafe code (each forbids it), so this watches what we depend on.
pub(crate) fn miri(_workspace: &Workspace) -> Result<Vec<Gap>> {
    println!("no crate here has unsafe code: each has #![forbid(unsafe_code)]");
    if !Cmd::cargo_of("nightly").args(["miri", "--version"]).succeeds() {
        return Ok(vec![Gap::say(
            "miri: nothing was run, because nightly Rust with Miri is not there; \
             to run it: rustup toolchain install nightly --component miri",
        )]);
    }
    let mut test = Cmd::cargo_of("nightly").args(["miri", "test", "--locked", "--lib"]);
    for package in IN_MEMORY {
        test = test.args(["--package", package]);
    }
    test.env("MIRIFLAGS", "-Zmiri-disable-isolation").run().map(|()| Vec::new())
}

/// Whether `name` was asked for; nothing named means all.
fn wanted(name: &str, named: &[String]) -> bool {
    named.is_empty() || named.iter().any(|wanted| wanted == name)
}

/// The criterion benchmarks of every crate that has some, or of those named.
pub(crate) fn bench(workspace: &Workspace, named: &[String], args: &[String]) -> Result<Vec<Gap>> {
    for name in named {
        if !workspace.packages.iter().any(|package| package.name == *name) {
            return Err(Error::usage(format!("no crate is called `{name}`")));
        }
    }
    let mut run = 0;
    for package in workspace.packages.iter().filter(|package| wanted(&package.name, named)) {
        for bench in package.targets("bench") {
            let _section = Section::open(format!("{}: {bench}", package.name));
            let cargo = Cmd::cargo().args(["bench", "--locked", "--package", &package.name]);
            cargo.args(["--bench", bench, "--"]).args(args).run()?;
            run += 1;
        }
    }
    if run == 0 {
        return Err(Error::failed("there are no benchmarks in the crates named"));
    }
    Ok(Vec::new())
}

/// The comparison crate, which is a workspace of its own so that nobody else compiles the peers.
pub(crate) fn compare(workspace: &Workspace, args: &[String]) -> Result<Vec<Gap>> {
    let manifest = workspace.root.join("compare/Cargo.toml");
    if !manifest.is_file() {
        return Err(Error::failed(format!("{} is not there", manifest.display())));
    }
    let cargo = Cmd::cargo().args(["run", "--release", "--locked", "--manifest-path"]);
    cargo.arg(manifest.display().to_string()).arg("--").args(args).run().map(|()| Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_all() {
        assert!(wanted("envelope", &[]));
        assert!(wanted("envelope", &["envelope".to_owned()]));
        assert!(!wanted("envelope", &["key".to_owned()]));
    }

    #[test]
    fn a_bench_of_an_unknown_crate_is_a_usage_error() {
        let workspace = Workspace::load().unwrap();
        let error = bench(&workspace, &["beaker-nothing".to_owned()], &[]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
