//! The files of the project.

use std::fs;
use std::path::{Path, PathBuf};

/// One text file: its path from the root, and what it says.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root").to_owned()
}

/// Every text file but what is built: no `target`, nothing git keeps for itself.
pub(crate) fn files() -> Vec<File> {
    let root = root();
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 20, "the tree was not found: {} files", files.len());
    files
}

/// The files whose names end in `extension`, dot included.
pub(crate) fn files_ending(extension: &str) -> Vec<File> {
    files().into_iter().filter(|file| file.path.ends_with(extension)).collect()
}

/// The folders of the members, as the root manifest lists them.
pub(crate) fn members() -> Vec<String> {
    let manifest = read("Cargo.toml").expect("the root has a manifest");
    let (_, list) = manifest.split_once("members = [").expect("members are a list");
    let (list, _) = list.split_once(']').expect("the list ends");
    let names = list.lines().map(|line| line.trim().trim_matches([',', '"']));
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}

/// The text of a file, if it is there.
pub(crate) fn read(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

/// Fails with the findings, one a line.
#[track_caller]
pub(crate) fn none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let entries = fs::read_dir(folder).expect("a folder of the tree can be read");
    for entry in entries {
        let entry = entry.expect("an entry of the tree can be read");
        let path = entry.path();
        let kind = entry.file_type().expect("an entry has a type");
        let name = entry.file_name();
        if kind.is_dir() {
            // Libraries' corpora and build trees are not ours to judge.
            if name != "target" && name != ".git" && name != "corpus" {
                collect(root, &path, files);
            }
        } else if kind.is_file()
            // In a worktree it is a file.
            && name != ".git"
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path.strip_prefix(root).expect("it lies below the root");
            files.push(File { path: path.display().to_string(), text });
        }
    }
}

#[test]
fn members_are_read_from_the_root_manifest() {
    let members = members();
    assert!(members.contains(&"xtask".to_owned()), "{members:?}");
    assert!(members.iter().all(|member| root().join(member).join("Cargo.toml").is_file()));
}
