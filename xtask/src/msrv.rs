//! The stated Rust version (MSRV) is the same everywhere, is not below a dependency's, and builds.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::metadata::{Package, Workspace};
use crate::report::Gap;
use crate::shell::Cmd;

/// Checks the manifests, then builds with the stated Rust wherever it can be found; but not where
/// every other gate does that anyway.
///
/// # Errors
///
/// Fails if a manifest disagrees, a dependency asks for more, or the build fails.
pub(crate) fn run(workspace: &Workspace) -> Result<Vec<Gap>> {
    let stated = stated(&workspace.packages)?;
    let everything = Workspace::with_dependencies()?;
    let checked = dependencies(&everything.packages, &stated)?;
    println!("rust-version {stated} in every member; {checked} packages ask for no more");
    let active = active()?;
    if same_minor(&active, &stated) {
        println!(
            "the Rust that runs every gate is {active}, the stated one: `lint` builds all with it"
        );
        return Ok(Vec::new());
    }
    let Some(toolchain) = installed(&stated) else {
        return Ok(vec![Gap::say(format!(
            "msrv: nothing was built with Rust {stated}; the gates ran on {active}, with clippy's \
             incompatible_msrv lint; to check: rustup toolchain install {stated}"
        ))]);
    };
    // A directory of its own: two compilers in one would rebuild everything at each turn.
    let apart = workspace.target.join("msrv").display().to_string();
    check(Cmd::cargo_of(&toolchain)).arg("--target-dir").arg(apart).run().map(|()| Vec::new())
}

/// The one Rust version that all members state.
fn stated(members: &[Package]) -> Result<String> {
    let mut stated: Option<&str> = None;
    for member in members {
        let name = &member.name;
        let Some(version) = &member.rust_version else {
            return Err(Error::failed(format!("{name} states no rust-version")));
        };
        if stated.is_some_and(|other| other != version) {
            return Err(Error::failed(format!(
                "{name} states rust-version {version}, others do not"
            )));
        }
        stated = Some(version);
    }
    stated.map(str::to_owned).ok_or_else(|| Error::failed("the workspace has no members"))
}

/// How many packages were compared; a package that asks for a newer Rust is an error.
fn dependencies(packages: &[Package], stated: &str) -> Result<usize> {
    let asking =
        packages.iter().filter_map(|package| Some((package, package.rust_version.as_ref()?)));
    for (package, asked) in asking.clone() {
        if compare(asked, stated) == Ordering::Greater {
            let (name, version) = (&package.name, &package.version);
            return Err(Error::failed(format!(
                "{name} {version} needs Rust {asked}, above {stated}"
            )));
        }
    }
    Ok(asking.count())
}

fn check(cargo: Cmd) -> Cmd {
    cargo.args(["check", "--workspace", "--all-targets", "--all-features", "--locked"])
}

fn active() -> Result<String> {
    let said = Cmd::new("rustc").arg("--version").read()?;
    let version = said.split_whitespace().nth(1).map(str::to_owned);
    version.ok_or_else(|| Error::failed(format!("rustc says no version: {said}")))
}

/// The rustup toolchain of that version, if there is one; nothing is downloaded.
fn installed(stated: &str) -> Option<String> {
    let listed = Cmd::new("rustup").args(["toolchain", "list"]).read().ok()?;
    matching(&listed, stated)
}

fn matching(listed: &str, stated: &str) -> Option<String> {
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    let mut of_version = names.filter(|name| {
        let version = name.split('-').next().unwrap_or_default();
        version.starts_with(|c: char| c.is_ascii_digit()) && same_minor(version, stated)
    });
    of_version.next().map(str::to_owned)
}

fn same_minor(a: &str, b: &str) -> bool {
    numbers(a)[..2] == numbers(b)[..2]
}

fn compare(a: &str, b: &str) -> Ordering {
    numbers(a).cmp(&numbers(b))
}

/// `1.95` is 1.95.0; what follows a dash (`-nightly`) does not count.
fn numbers(version: &str) -> [u32; 3] {
    let release = version.split('-').next().unwrap_or_default();
    let mut parts = release.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(versions: &[Option<&str>]) -> Vec<Package> {
        let mut package = Workspace::load().unwrap().packages.remove(0);
        let with = |version: &Option<&str>| {
            package.rust_version = version.map(str::to_owned);
            package.clone()
        };
        versions.iter().map(with).collect()
    }

    #[test]
    fn members_must_state_one_version() {
        assert_eq!(stated(&packages(&[Some("1.95"), Some("1.95")])).unwrap(), "1.95");
        assert!(stated(&packages(&[Some("1.95"), Some("1.90")])).is_err());
        assert!(stated(&packages(&[Some("1.95"), None])).is_err());
    }

    #[test]
    fn a_dependency_that_asks_for_more_is_refused() {
        assert_eq!(
            dependencies(&packages(&[Some("1.95.0"), None, Some("1.8")]), "1.95").unwrap(),
            2
        );
        assert!(dependencies(&packages(&[Some("1.96")]), "1.95").is_err());
        assert!(dependencies(&packages(&[Some("1.95.1")]), "1.95").is_err());
    }

    #[test]
    fn a_toolchain_is_found_by_its_version_not_by_channel() {
        let listed = "stable-x86_64 (active)\nnightly-x86_64\n1.95.0-x86_64-linux\n";
        assert_eq!(matching(listed, "1.95").as_deref(), Some("1.95.0-x86_64-linux"));
        assert_eq!(matching(listed, "1.94"), None);
    }

    #[test]
    fn a_nightly_of_the_same_minor_counts_as_that_minor() {
        assert!(same_minor("1.95.0-nightly", "1.95"));
        assert!(!same_minor("1.9.5", "1.95"));
    }
}
