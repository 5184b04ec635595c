//! The gates that are plain cargo calls.

use crate::built;
use crate::error::Result;
use crate::metadata::{Package, Workspace};
use crate::report::{Gap, Section};
use crate::shell::Cmd;

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
    doc.env("RUSTDOCFLAGS", "-D warnings").run()?;
    println!("{}", workspace.target.join("doc").display());
    Ok(Vec::new())
}

/// All tests with every feature, doc tests too; `extra` goes to `cargo test`.
///
/// Needs nothing on the machine but Rust.
pub(crate) fn test(workspace: &Workspace, extra: &[String]) -> Result<Vec<Gap>> {
    let _section = Section::open(format!("tests of {} crates", workspace.packages.len()));
    built::all_tests().args(extra).run().map(|()| Vec::new())
}

/// Each crate with no feature and with each feature alone, as a dependent sees it: without
/// its tests, which would bring the features of its dev-dependencies.
pub(crate) fn features(workspace: &Workspace) -> Result<Vec<Gap>> {
    for package in &workspace.packages {
        let _section =
            Section::open(format!("{}: {} features", package.name, package.features.len()));
        for selection in selections(package) {
            let clippy = Cmd::cargo().args(["clippy", "--package", &package.name, "--locked"]);
            clippy.args(selection).args(["--", "-D", "warnings"]).run()?;
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
    use super::*;

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
