//! Rules for the manifests and for what a crate must have.

use crate::tree;

/// The most lines a README may have: it is a first page, not a manual.
const README_LINES: usize = 100;

fn inherits_lints(manifest: &str) -> bool {
    let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
    lines.contains(&"lints.workspace = true")
        || lines.windows(2).any(|pair| pair == ["[lints]", "workspace = true"])
}

/// The features without a comment line above them. `default` needs none: it only chooses.
fn bare_features(manifest: &str) -> Vec<String> {
    let mut bare = Vec::new();
    let mut in_features = false;
    let mut commented = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            in_features = line == "[features]";
        } else if let Some((name, _)) = line.split_once('=').filter(|_| in_features) {
            let name = name.trim();
            if !line.starts_with('#') && !commented && name != "default" {
                bare.push(name.to_owned());
            }
        }
        commented = line.starts_with('#');
    }
    bare
}

#[test]
fn every_member_inherits_the_lints() {
    let lacks = |member: &String| {
        let manifest = tree::read(&format!("{member}/Cargo.toml"));
        !manifest.is_some_and(|manifest| inherits_lints(&manifest))
    };
    let lacking: Vec<String> = tree::members().into_iter().filter(lacks).collect();
    tree::none("members without `[lints] workspace = true`", &lacking);
}

#[test]
fn a_manifest_without_inherited_lints_is_found() {
    assert!(inherits_lints("[package]\n\n[lints]\nworkspace = true\n"));
    assert!(inherits_lints("lints.workspace = true\n"));
    assert!(!inherits_lints("[lints.rust]\nworkspace = true\n"));
}

#[test]
fn every_feature_has_a_comment() {
    let mut bare = Vec::new();
    for file in tree::files_ending("Cargo.toml") {
        bare.extend(bare_features(&file.text).iter().map(|name| format!("{}: {name}", file.path)));
    }
    tree::none("features without a comment line above", &bare);
}

#[test]
fn a_feature_without_a_comment_is_found() {
    let manifest = "[features]\ndefault = [\"a\"]\n# Why.\na = []\nb = []\n[lib]\nname = \"x\"\n";
    assert_eq!(bare_features(manifest), ["b"]);
}

#[test]
fn every_crate_has_a_short_readme() {
    let mut wrong = Vec::new();
    for member in tree::members() {
        match tree::read(&format!("{member}/README.md")).map(|text| text.lines().count()) {
            None => wrong.push(format!("{member}: none")),
            Some(lines) if lines > README_LINES => wrong.push(format!("{member}: {lines} lines")),
            Some(_) => {}
        }
    }
    tree::none("READMEs missing or above 100 lines", &wrong);
}

/// The files of what ships that allow unsafe code, which is what each of them is about. `cargo xtask miri` runs the
/// lock; what it cannot run, the call of the C library and the page that forks wipe, is not compiled for it.
const UNSAFE: [&str; 4] = [
    "beaker-namespace/src/second.rs",
    "beaker-sync/src/biased/guard.rs",
    "beaker-sync/src/biased/lock.rs",
    "beaker-sync/src/process_id.rs",
];

/// Loom's cell has no safe face.
const UNSAFE_MODELS: &str = "beaker-sync/src/biased/models.rs";

#[test]
fn unsafe_code_is_in_the_modules_that_are_about_it() {
    let mut found = Vec::new();
    for file in tree::files_ending("rs") {
        let allows = |line: &str| {
            let line = line.trim().trim_start_matches("#!").trim_start_matches('#');
            line.starts_with("[allow(unsafe_code") || line.starts_with("[expect(unsafe_code")
        };
        let ships = file.path.contains("/src/") && file.path != UNSAFE_MODELS;
        if ships && file.text.lines().any(allows) {
            found.push(file.path);
        }
    }
    found.sort();
    assert_eq!(found, UNSAFE);
}

#[test]
fn every_other_crate_forbids_unsafe_code() {
    let mut roots = 0;
    let mut wrong = Vec::new();
    for member in tree::members() {
        for file in ["src/lib.rs", "src/main.rs"] {
            let path = format!("{member}/{file}");
            let Some(text) = tree::read(&path) else { continue };
            roots += 1;
            let how = if UNSAFE.iter().any(|file| file.starts_with(&format!("{member}/"))) {
                "deny"
            } else {
                "forbid"
            };
            if !text.lines().any(|line| line.trim() == format!("#![{how}(unsafe_code)]")) {
                wrong.push(path);
            }
        }
    }
    assert!(roots >= tree::members().len(), "a crate has no root file");
    tree::none("crate roots without #![forbid(unsafe_code)]", &wrong);
}

#[test]
fn the_changelog_has_a_heading_for_the_version() {
    let manifest = tree::read("Cargo.toml").expect("the root has a manifest");
    let (_, package) = manifest.split_once("[workspace.package]").expect("it is there");
    let version = package.lines().find_map(|line| line.strip_prefix("version = "));
    let version = version.expect("the workspace has a version").trim_matches('"');
    let changelog = tree::read("CHANGELOG.md").expect("there is a changelog");
    let heading = format!("## [{version}]");
    assert!(changelog.lines().any(|line| line.starts_with(&heading)), "no line `{heading}`");
}

/// The banned specifications that cargo-deny would read as one exact version: after an `@` it
/// ignores the operator, so that a floor written so bans nothing.
fn floors_without_effect(policy: &str) -> Vec<String> {
    let specs = policy.lines().filter_map(|line| line.split_once("crate = \""));
    let specs = specs.filter_map(|(_, rest)| rest.split('"').next());
    specs.filter(|spec| spec.contains("@<")).map(str::to_owned).collect()
}

#[test]
fn every_version_floor_has_an_effect() {
    let policy = tree::read("deny.toml").expect("there is a dependency policy");
    tree::none("write name:<version in deny.toml", &floors_without_effect(&policy));
}

#[test]
fn a_floor_without_effect_is_found() {
    let policy = "deny = [\n    { crate = \"a:<1.0\" },\n    { crate = \"b@<1.0\" },\n]\n";
    assert_eq!(floors_without_effect(policy), ["b@<1.0"]);
}
