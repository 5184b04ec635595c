//! The fuzz targets of `fuzz/`, a workspace of its own, under the toolchain that runs us.
//
// Fuzzing guided by coverage needs nightly Rust only for sanitizers. These watch unsafe code, of which
// nothing has to do with input; so the targets run without one, on any Rust.

use std::fs;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::metadata::Workspace;
use crate::report::{Gap, Section};
use crate::shell::Cmd;

/// The folder of the targets, from the root.
const FOLDER: &str = "fuzz";

/// Seconds after which one input counts as a hang; a slow machine needs a hundredth.
const HANG_SECONDS: u32 = 20;

/// Replays the seeds, then runs the targets (all, or those named), each for `seconds`.
///
/// # Errors
///
/// A seed or an input that fails its target, after all targets had their time; a target that is not
/// in the manifest.
pub(crate) fn run(workspace: &Workspace, seconds: u32, named: &[String]) -> Result<Vec<Gap>> {
    let targets = chosen(targets(&manifest().read()?)?, named)?;
    let mut failed = Vec::new();
    if replay().is_err() {
        failed.push("the replay of the seeds".to_owned());
    }
    let mut gaps = Vec::new();
    match find(workspace) {
        None => gaps.push(Gap::say(
            "fuzz: only the seeds were replayed, because cargo-fuzz is not there; to look for new \
             inputs: cargo install cargo-fuzz --locked (stable Rust and a C++ compiler will do)",
        )),
        Some(tool) => {
            failed.extend(targets.into_iter().filter(|name| fuzz(&tool, name, seconds).is_err()));
        }
    }
    match failed.is_empty() {
        true => Ok(gaps),
        false => Err(Error::failed(format!("fuzz: failed: {}", failed.join(", ")))),
    }
}

fn replay() -> Result<()> {
    let _section = Section::open("fuzz: the seeds");
    Cmd::cargo().args(["test", "--locked", "--lib", "--manifest-path"]).arg(path()).run()
}

/// What finds new inputs goes to `fuzz/corpus`, what fails to `fuzz/artifacts`; git keeps neither.
fn fuzz(tool: &str, target: &str, seconds: u32) -> Result<()> {
    let _section = Section::open(format!("fuzz: {target}"));
    let corpus = format!("{FOLDER}/corpus/{target}");
    fs::create_dir_all(&corpus)
        .map_err(|error| Error::failed(format!("cannot make {corpus}: {error}")))?;
    Cmd::new(tool)
        .args(["run", "--sanitizer", "none", "--fuzz-dir", FOLDER, target])
        .args([corpus, format!("{FOLDER}/corpus-seeds/{target}"), "--".to_owned()])
        .args([format!("-max_total_time={seconds}"), format!("-timeout={HANG_SECONDS}")])
        // The figures at the end instead of a line for each input.
        .args(["-verbosity=0", "-print_final_stats=1"])
        .run()
}

/// Our own copy in `target/tools`, else the one on the path.
fn find(workspace: &Workspace) -> Option<String> {
    let own = workspace.target.join("tools/bin/cargo-fuzz").display().to_string();
    let works = |tool: &String| Cmd::new(tool).arg("--version").succeeds();
    [own, "cargo-fuzz".to_owned()].into_iter().find(works)
}

fn path() -> String {
    format!("{FOLDER}/Cargo.toml")
}

fn manifest() -> Cmd {
    let metadata = Cmd::cargo().args(["metadata", "--format-version", "1", "--no-deps"]);
    metadata.args(["--locked", "--manifest-path"]).arg(path())
}

/// The programs of the fuzz manifest.
fn targets(metadata: &str) -> Result<Vec<String>> {
    let value: Value = serde_json::from_str(metadata)
        .map_err(|error| Error::failed(format!("cargo metadata is not JSON: {error}")))?;
    let targets = value["packages"][0]["targets"].as_array().into_iter().flatten();
    let programs = targets.filter(|target| target["kind"][0] == "bin");
    let names = programs.filter_map(|target| target["name"].as_str());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// Those of `targets` that were named; all if none was.
fn chosen(targets: Vec<String>, named: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = named.iter().find(|name| !targets.contains(name)) {
        let known = targets.join(", ");
        return Err(Error::usage(format!("no fuzz target `{unknown}`; there are: {known}")));
    }
    Ok(if named.is_empty() { targets } else { named.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn targets_are_the_programs_of_the_manifest() {
        let metadata = r#"{"packages": [{"targets": [
            {"kind": ["lib"], "name": "x"}, {"kind": ["bin"], "name": "key"},
            {"kind": ["bin"], "name": "envelope"}]}]}"#;
        assert_eq!(targets(metadata).unwrap(), ["envelope", "key"]);
        assert!(targets("no").unwrap_err().to_string().starts_with("cargo metadata is not JSON"));
    }

    #[test]
    fn no_name_means_all_and_an_unknown_one_lists_them() {
        let all = names(&["envelope", "key"]);
        assert_eq!(chosen(all.clone(), &[]).unwrap(), all);
        assert_eq!(chosen(all.clone(), &names(&["key"])).unwrap(), ["key"]);
        let error = chosen(all, &names(&["kye"])).unwrap_err();
        assert_eq!(error.to_string(), "no fuzz target `kye`; there are: envelope, key");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn no_member_of_the_workspace_is_a_fuzz_target() {
        // So that no gate but `fuzz` compiles them.
        let workspace = Workspace::load().unwrap();
        assert!(workspace.packages.iter().all(|package| package.name != "beaker-fuzz"));
        let uses = |name: &str| name == "libfuzzer-sys" || name == "arbitrary";
        let dependencies = workspace.packages.iter().flat_map(|package| &package.dependencies);
        assert_eq!(dependencies.filter(|name| uses(name)).count(), 0);
    }
}
