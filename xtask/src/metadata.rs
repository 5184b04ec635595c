//! The members of the workspace, read from `cargo metadata` so that nothing is listed twice.

use std::path::PathBuf;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::shell::Cmd;

/// The workspace as its manifests state it.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// The members, by name.
    pub(crate) packages: Vec<Package>,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Its `Cargo.toml`.
    pub(crate) manifest: PathBuf,
    /// The oldest Rust it states, if it states one.
    pub(crate) rust_version: Option<String>,
    /// Whether it is for others: `publish` is not `false`.
    pub(crate) published: bool,
    /// Whether some of its features are on by default.
    pub(crate) has_default: bool,
    /// Its features by name, `default` left out.
    pub(crate) features: Vec<String>,
    /// The packages it names as dependencies, of any kind and platform.
    pub(crate) dependencies: Vec<String>,
    targets: Vec<Target>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    kind: String,
    name: String,
}

impl Workspace {
    /// Reads the workspace that this program was built in.
    ///
    /// # Errors
    ///
    /// Fails if cargo cannot read a manifest.
    pub(crate) fn load() -> Result<Self> {
        parse(&metadata(&["--no-deps"])?)
    }

    /// The member of that name, if there is one.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The members and everything they depend on, on any platform.
    ///
    /// # Errors
    ///
    /// Fails if cargo cannot resolve or fetch a dependency.
    pub(crate) fn with_dependencies() -> Result<Self> {
        parse(&metadata(&[])?)
    }
}

impl Package {
    /// The names of its targets of one kind: `bench`, `bin`, `lib`, `test`.
    pub(crate) fn targets(&self, kind: &str) -> impl Iterator<Item = &str> {
        let of_kind = self.targets.iter().filter(move |target| target.kind == kind);
        of_kind.map(|target| target.name.as_str())
    }
}

fn metadata(extra: &[&str]) -> Result<String> {
    let cmd = Cmd::cargo().args(["metadata", "--format-version", "1", "--locked"]);
    cmd.args(extra.iter().copied()).read()
}

fn parse(json: &str) -> Result<Workspace> {
    let value: Value = serde_json::from_str(json)
        .map_err(|error| Error::failed(format!("cargo metadata is not JSON: {error}")))?;
    let mut packages: Vec<Package> = list(&value, "packages").iter().map(package).collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Workspace {
        root: text(&value, "workspace_root").into(),
        target: text(&value, "target_directory").into(),
        packages,
    })
}

fn package(value: &Value) -> Package {
    let features = value["features"].as_object();
    let mut features: Vec<String> = features.into_iter().flat_map(|f| f.keys().cloned()).collect();
    let has_default = value["features"]["default"].as_array().is_some_and(|on| !on.is_empty());
    features.retain(|name| name != "default");
    features.sort();
    Package {
        name: text(value, "name"),
        version: text(value, "version"),
        manifest: text(value, "manifest_path").into(),
        rust_version: value["rust_version"].as_str().map(str::to_owned),
        // A list of registries, `null` for all of them.
        published: value["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
        has_default,
        features,
        dependencies: list(value, "dependencies").iter().map(|d| text(d, "name")).collect(),
        targets: list(value, "targets").iter().map(target).collect(),
    }
}

fn target(value: &Value) -> Target {
    let kind = value["kind"][0].as_str().unwrap_or_default().to_owned();
    Target { kind, name: text(value, "name") }
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"{
        "workspace_root": "/src", "target_directory": "/src/target",
        "packages": [
            {"name": "b", "version": "0.2.0", "rust_version": "1.95", "publish": null,
             "features": {"default": ["json"], "json": ["text"], "fast": ["dep:x"], "suite": [],
                          "text": []},
             "dependencies": [{"name": "loom", "target": "cfg(x)"},
                              {"name": "b", "kind": "dev", "features": ["suite"]}],
             "targets": [{"kind": ["lib"], "name": "b"}, {"kind": ["test"], "name": "loom"},
                         {"kind": ["bench"], "name": "hit"}]},
            {"name": "a", "version": "0.1.0", "rust_version": null, "publish": [],
             "features": {"default": []}, "targets": []}
        ]}"#;

    #[test]
    fn members_come_by_name_with_features_but_without_default() {
        let workspace = parse(TWO).unwrap();
        let names: Vec<&str> = workspace.packages.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(workspace.packages[1].features, ["fast", "json", "suite", "text"]);
        assert_eq!(workspace.packages[1].rust_version.as_deref(), Some("1.95"));
        assert_eq!(workspace.packages[1].dependencies, ["loom", "b"]);
        assert_eq!(workspace.packages[0].rust_version, None);
        let flags =
            |at: usize| (workspace.packages[at].published, workspace.packages[at].has_default);
        assert_eq!((flags(0), flags(1)), ((false, false), (true, true)));
        assert_eq!(workspace.root, PathBuf::from("/src"));
    }

    #[test]
    fn targets_are_chosen_by_kind() {
        let workspace = parse(TWO).unwrap();
        let b = &workspace.packages[1];
        assert_eq!(b.targets("bench").collect::<Vec<_>>(), ["hit"]);
        assert_eq!(b.targets("test").collect::<Vec<_>>(), ["loom"]);
        assert_eq!(b.targets("bin").count(), 0);
    }

    #[test]
    fn text_that_is_not_json_is_an_error() {
        let error = parse("warning: no").unwrap_err();
        assert!(error.to_string().starts_with("cargo metadata is not JSON"), "{error}");
    }

    #[test]
    fn this_workspace_has_this_crate() {
        let workspace = Workspace::load().unwrap();
        assert!(workspace.packages.iter().any(|package| package.name == "xtask"));
        assert!(workspace.root.join("Cargo.toml").is_file());
    }
}
