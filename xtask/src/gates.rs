//! The gates that are plain cargo calls.

use crate::beside;
use crate::built;
use crate::error::Result;
use crate::metadata::{Package, Workspace};
use crate::report::{Gap, Section};
use crate::shell::Cmd;
use crate::storm;

/// A crate that is selected beside one that is built alone, so that procedural macros are those that
/// `test` and `lint` built: see its README.
pub(crate) const HOST: &str = "xtask-host";

/// The formatting of every file.
pub(crate) fn fmt() -> Result<Vec<Gap>> {
    Cmd::cargo().args(["fmt", "--all", "--check"]).run().map(|()| Vec::new())
}

/// Clippy on all targets with every feature.
pub(crate) fn lint() -> Result<Vec<Gap>> {
    let clippy = Cmd::cargo().args(["clippy", "--workspace", "--all-targets", "--all-features"]);
    clippy.args(["--locked", "--", "-D", "warnings"]).run().map(|()| Vec::new())
}

/// The documentation of our crates; a broken link is an error.
pub(crate) fn doc(workspace: &Workspace) -> Result<Vec<Gap>> {
    let doc = Cmd::cargo().args(["doc", "--workspace", "--all-features", "--no-deps", "--locked"]);
    // No crate has an example. To ask for them makes cargo choose the features of what we depend on as
    // `lint` has them, so that nothing of that is checked once more.
    let doc = doc.args(["--lib", "--bins", "--examples"]);
    doc.env("RUSTDOCFLAGS", "-D warnings").run()?;
    println!("{}", workspace.target.join("doc").display());
    Ok(Vec::new())
}

/// All tests with every feature, doc tests too: the storms after the others and one program at a time,
/// since their numbers are times. With arguments for the programs, behind `--`, those that they choose;
/// with others, what `cargo test` makes of it.
///
/// Needs nothing on the machine but Rust.
pub(crate) fn test(workspace: &Workspace, extra: &[String]) -> Result<Vec<Gap>> {
    let _section = Section::open(format!("tests of {} crates", workspace.packages.len()));
    match extra {
        [] => {
            let gaps = beside::tests(workspace, &storm::skipped())?;
            built::all_tests().args(["--tests", "--", storm::FILTER]).run().map(|()| gaps)
        }
        [dashes, chosen @ ..] if dashes == "--" => beside::tests(workspace, chosen),
        _ => built::all_tests().args(extra).run().map(|()| Vec::new()),
    }
}

/// What [`test()`] runs but for the storms, which are a gate of their own.
pub(crate) fn test_without_storms(workspace: &Workspace) -> Result<Vec<Gap>> {
    let _section = Section::open(format!("tests of {} crates", workspace.packages.len()));
    beside::tests(workspace, &storm::skipped())
}

/// Each crate with no feature and with each feature alone, as a dependent sees it: without
/// its tests, which would bring the features of its dev-dependencies.
pub(crate) fn features(workspace: &Workspace) -> Result<Vec<Gap>> {
    for package in &workspace.packages {
        let _section =
            Section::open(format!("{}: {} features", package.name, package.features.len()));
        for selection in selections(package) {
            let clippy = Cmd::cargo().args(["clippy", "--package", &package.name]);
            let clippy = clippy.args(["--package", HOST, "--locked"]).args(selection);
            clippy.args(["--", "-D", "warnings"]).run()?;
        }
    }
    Ok(Vec::new())
}

/// The feature arguments to try: none, then each alone.
fn selections(package: &Package) -> Vec<Vec<&str>> {
    let none = vec!["--no-default-features"];
    let each = package
        .features
        .iter()
        .map(|feature| vec!["--no-default-features", "--features", feature.as_str()]);
    std::iter::once(none).chain(each).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_crate_beside_has_every_feature_of_what_it_names() {
        let packages = |selection: &[&str]| -> BTreeSet<String> {
            let tree =
                Cmd::cargo().args(["tree", "--locked", "--prefix", "none", "--format", "{p} {f}"]);
            let tree = tree.args(selection.iter().copied()).read().unwrap();
            tree.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
        };
        let beside = packages(&["--package", HOST, "--edges", "build"]);
        let all = packages(&["--workspace", "--all-features", "--edges", "all"]);
        let named = ["proc-macro2 ", "quote ", "syn "];
        let named = beside.iter().filter(|line| named.iter().any(|name| line.starts_with(name)));
        assert_eq!(named.clone().count(), 3, "{beside:?}");
        let lacking: Vec<_> = named.filter(|line| !all.contains(*line)).collect();
        assert!(lacking.is_empty(), "other features than in the workspace: {lacking:?}");
    }

    #[test]
    fn features_are_tried_one_by_one_and_none_at_all() {
        let mut package = Workspace::load().unwrap().packages.remove(0);
        package.features = vec!["json".into(), "toml".into()];
        assert_eq!(
            selections(&package),
            [
                vec!["--no-default-features"],
                vec!["--no-default-features", "--features", "json"],
                vec!["--no-default-features", "--features", "toml"],
            ]
        );
    }
}
