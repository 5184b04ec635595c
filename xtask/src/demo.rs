//! `cargo xtask demo`: the site that a person can click at.

use crate::error::Result;
use crate::metadata::Workspace;
use crate::report::Gap;
use crate::shell::Cmd;

/// The crate of the site.
const PACKAGE: &str = "beaker-demo";

/// Builds the site and serves it until it is stopped; `args` go to it.
///
/// Its state is kept in `demo` in the target directory, unless `args` name another one.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<Vec<Gap>> {
    // Not optimized: that takes minutes to build, and a person does not see the difference.
    let cargo = Cmd::cargo().args(["run", "--quiet", "--locked", "--package", PACKAGE, "--"]);
    let dir = workspace.target.join("demo").display().to_string();
    // The last one counts, so a directory in `args` goes before this one.
    cargo.args(["--dir", &dir]).args(args).become_it().map(|()| Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_of_the_site_is_in_the_workspace() {
        let workspace = Workspace::load().unwrap();
        let package = workspace.package(PACKAGE).expect("a member of that name");
        assert_eq!(package.targets("bin").collect::<Vec<_>>(), [PACKAGE]);
    }
}
