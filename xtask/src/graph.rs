//! What each crate pulls in: the table in `docs/design.md`, held against what cargo resolves.

use std::collections::BTreeSet;
use std::fs;

use crate::error::{Error, Result};
use crate::metadata::{Package, Workspace};
use crate::shell::Cmd;

/// Where the table is.
const TABLE: &str = "docs/design.md";

/// The platform whose packages are counted, so that the numbers are the same on every machine.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// How many packages the library may pull in with its default features.
const MAX_PACKAGES: usize = 60;

/// The crate that a user adds.
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

/// Compares what the published crates pull in with what is documented.
///
/// # Errors
///
/// Fails if a number is another one, and names the line; if the library has outgrown its limit; if
/// a crate without a runtime has one.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut wrong = Vec::new();
    let table = read(TABLE)?;
    for package in workspace.packages.iter().filter(|package| package.published) {
        let graph = Graph::of(package)?;
        println!("{}", graph.row());
        wrong.extend(differs(&table, &graph));
        let readme = format!("{}/README.md", package.name);
        wrong.extend(unsaid(&readme, &read(&readme)?, &graph));
        wrong.extend(too_much(&graph));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::failed(wrong.join("\n"))) }
}

/// What one crate pulls in, itself counted.
#[derive(Debug)]
struct Graph {
    name: String,
    /// With the default features.
    packages: BTreeSet<String>,
    /// How many without features.
    bare: usize,
    /// The features that add something to the default ones, and how much.
    features: Vec<(String, usize)>,
}

impl Graph {
    fn of(package: &Package) -> Result<Self> {
        let packages = tree(package, &[])?;
        let bare = match package.has_default {
            true => tree(package, &["--no-default-features"])?.len(),
            false => packages.len(),
        };
        let mut features = Vec::new();
        for feature in &package.features {
            let more = tree(package, &["--features", feature])?.difference(&packages).count();
            features.extend((more > 0).then(|| (feature.clone(), more)));
        }
        Ok(Self { name: package.name.clone(), packages, bare, features })
    }

    /// Its row in the table.
    fn row(&self) -> String {
        let more: Vec<_> = self.features.iter().map(|(name, n)| format!(" `{name}` {n}")).collect();
        let (name, packages) = (&self.name, self.packages.len());
        format!("| {name} | {packages} | {} |{} |", self.bare, more.join(","))
    }
}

/// The distinct packages, with their versions, that a selection of features resolves to.
fn tree(package: &Package, selection: &[&str]) -> Result<BTreeSet<String>> {
    let tree = Cmd::cargo().args(["tree", "--package", &package.name, "--edges", "normal"]);
    let tree = tree.args(["--target", TARGET, "--locked", "--prefix", "none"]);
    Ok(packages(&tree.args(selection.iter().copied()).read()?))
}

/// The distinct packages in the output of `cargo tree --prefix none`.
fn packages(tree: &str) -> BTreeSet<String> {
    let named = tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    });
    named.collect()
}

/// What is wrong with the row of `graph` in the table, and with which line.
fn differs(table: &str, graph: &Graph) -> Option<String> {
    let wanted = graph.row();
    let begins = format!("| {} | ", graph.name);
    let numbered = |line: &&str| line.starts_with(&begins) && line.matches('|').count() == 5;
    let Some((at, line)) = table.lines().enumerate().find(|(_, line)| numbered(line)) else {
        return Some(format!("{TABLE}: there is no row of {}; it is\n{wanted}", graph.name));
    };
    let line = line.trim_end();
    (line != wanted).then(|| format!("{TABLE}:{}: it says\n{line}\nand should\n{wanted}", at + 1))
}

/// What a README has to say and does not: how many packages its crate pulls in.
fn unsaid(path: &str, readme: &str, graph: &Graph) -> Option<String> {
    let wanted = format!("{} packages", graph.packages.len());
    let says = |line: &str| line.starts_with(&wanted);
    if readme.lines().any(says) {
        return None;
    }
    let line = readme.lines().position(|line| line.contains(" packages with its default features"));
    let at = line.map_or(String::new(), |line| format!(":{}", line + 1));
    Some(format!("{path}{at}: no line begins with \"{wanted}\""))
}

fn too_much(graph: &Graph) -> Option<String> {
    let (name, count) = (&graph.name, graph.packages.len());
    if name == FACE && count > MAX_PACKAGES {
        return Some(format!("{name} pulls in {count} packages, above {MAX_PACKAGES}"));
    }
    let found = of_a_runtime(&graph.packages).filter(|_| WITHOUT_RUNTIME.contains(&&**name))?;
    Some(format!("{name} pulls in {found} by default"))
}

/// The first package of tokio.
fn of_a_runtime(packages: &BTreeSet<String>) -> Option<&str> {
    let names = packages.iter().filter_map(|package| package.split_whitespace().next());
    names.into_iter().find(|name| *name == "tokio" || name.starts_with("tokio-"))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Error::failed(format!("cannot read {path}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(name: &str, packages: usize) -> Graph {
        Graph {
            name: name.to_owned(),
            packages: (0..packages).map(|n| format!("p{n} v1.0.0")).collect(),
            bare: packages - 1,
            features: vec![("dbm".to_owned(), 5), ("redb".to_owned(), 1)],
        }
    }

    #[test]
    fn a_package_counts_once_and_each_version_of_it() {
        let tree = "a v0.1.0 (/src/a)\nb v1.0.0\nc v2.0.0\nb v1.0.0 (*)\nc v3.0.0\n\n";
        let names: Vec<_> = packages(tree).into_iter().collect();
        assert_eq!(names, ["a v0.1.0", "b v1.0.0", "c v2.0.0", "c v3.0.0"]);
    }

    #[test]
    fn a_row_that_differs_is_named_with_what_it_should_be() {
        let graph = graph("a", 3);
        let other = "| a | its purpose |\n| ab | 3 | 2 | |\n";
        let right = format!("{other}| a | 3 | 2 | `dbm` 5, `redb` 1 |\n");
        assert_eq!(differs(&right, &graph), None);
        let wrong = right.replace("| 3 | 2 | `", "| 4 | 2 | `");
        assert_eq!(
            differs(&wrong, &graph).unwrap(),
            "docs/design.md:3: it says\n| a | 4 | 2 | `dbm` 5, `redb` 1 |\nand should\n\
             | a | 3 | 2 | `dbm` 5, `redb` 1 |"
        );
        let of_a_feature = right.replace("`redb` 1", "`redb` 2");
        assert!(differs(&of_a_feature, &graph).unwrap().contains(":3:"));
        let error = differs(other, &graph).unwrap();
        assert!(error.contains("there is no row of a; it is\n| a | 3 | 2 | "), "{error}");
    }

    #[test]
    fn a_readme_that_says_another_number_is_named_with_its_line() {
        let text = "# a\n\n13 packages with its default features: itself.\n";
        assert_eq!(unsaid("a/README.md", text, &graph("a", 13)), None);
        let error = unsaid("a/README.md", text, &graph("a", 3)).unwrap();
        assert_eq!(error, "a/README.md:3: no line begins with \"3 packages\"");
        let error = unsaid("a/README.md", "# a\n", &graph("a", 3)).unwrap();
        assert_eq!(error, "a/README.md: no line begins with \"3 packages\"");
    }

    #[test]
    fn the_library_has_a_limit_and_no_runtime() {
        assert_eq!(too_much(&graph(FACE, MAX_PACKAGES)), None);
        let error = too_much(&graph(FACE, MAX_PACKAGES + 1)).unwrap();
        assert_eq!(error, "beaker-cache pulls in 61 packages, above 60");
        assert_eq!(too_much(&graph("beaker-session", MAX_PACKAGES + 1)), None);
        let mut async_one = graph("beaker-sync", 3);
        async_one.packages.insert("tokio-util v0.7.0".to_owned());
        let error = too_much(&async_one).unwrap();
        assert_eq!(error, "beaker-sync pulls in tokio-util by default");
    }

    #[test]
    fn the_crates_with_limits_are_there_and_published() {
        let workspace = Workspace::load().unwrap();
        let published = |name| workspace.package(name).is_some_and(|found| found.published);
        assert!(WITHOUT_RUNTIME.into_iter().chain([FACE]).all(published));
        assert!(!published("xtask"));
    }
}
