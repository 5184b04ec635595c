//! Rules for the Markdown: a link inside the project leads somewhere, and a test that is named as proof is there.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use crate::tree;

/// The targets of inline links and of link definitions, outside code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in prose(text) {
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            let end = rest.find([')', ' ']).unwrap_or(rest.len());
            links.push(rest[..end].to_owned());
        }
        if let Some((_, target)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
            links.push(target.split_whitespace().next().unwrap_or_default().to_owned());
        }
    }
    links
}

/// The lines outside fenced code, with code spans blanked.
fn prose(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let spans = line.split('`').enumerate();
            // A link's text may be code: the span goes, the brackets around it stay.
            lines.push(spans.map(|(at, part)| if at % 2 == 0 { part } else { "" }).collect());
        }
    }
    lines
}

/// The anchors of the headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Whether a link leaves the project or is rustdoc's to check.
fn is_foreign(link: &str) -> bool {
    link.contains("://") || link.starts_with("mailto:") || link.contains("::")
}

/// What is wrong with a link in the file `from`, if anything.
fn broken(from: &str, link: &str) -> Option<String> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(p, a)| (p, Some(a)));
    let target = if path.is_empty() { PathBuf::from(from) } else { beside(from, path) };
    if !tree::root().join(&target).exists() {
        return Some(format!("{from}: {link}"));
    }
    let text = tree::read(&target.display().to_string()).unwrap_or_default();
    let missing = anchor.is_some_and(|anchor| !anchors(&text).iter().any(|known| known == anchor));
    missing.then(|| format!("{from}: {link} (no such heading)"))
}

/// `path` as seen from the folder of `from`; a leading slash is the root of the project.
fn beside(from: &str, path: &str) -> PathBuf {
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    let joined = match path.strip_prefix('/') {
        Some(path) => PathBuf::from(path),
        None => folder.join(path),
    };
    let mut target = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::ParentDir => drop(target.pop()),
            Component::Normal(name) => target.push(name),
            _ => {}
        }
    }
    target
}

#[test]
fn no_link_inside_the_project_is_broken() {
    let mut findings = Vec::new();
    for file in tree::files_ending(".md") {
        let links = links(&file.text);
        let inside = links.iter().filter(|link| !is_foreign(link));
        findings.extend(inside.filter_map(|link| broken(&file.path, link)));
    }
    tree::none("broken links", &findings);
}

/// The code spans that are names of tests: claims are long, and have words.
fn tests_named(text: &str) -> Vec<&str> {
    let spans = text.split('`').skip(1).step_by(2);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    spans.filter(|name| name.len() >= 12 && name.contains('_') && name.chars().all(plain)).collect()
}

/// What follows each `fn` of a source.
fn functions(source: &str) -> impl Iterator<Item = &str> {
    let named = source.match_indices("fn ").map(|(at, it)| &source[at + it.len()..]);
    named.map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[test]
fn every_test_that_is_named_as_proof_is_there() {
    let sources = tree::files_ending(".rs");
    let known: HashSet<&str> = sources.iter().flat_map(|file| functions(&file.text)).collect();
    let proofs = tree::read("docs/behaviour.md").expect("it lists the proofs");
    // The one span of that form that is no name: what an example of rustdoc is marked with.
    let is_test = |name: &&str| *name != "compile_fail";
    let named: Vec<&str> = tests_named(&proofs).into_iter().filter(is_test).collect();
    assert!(named.len() > 300, "only {} names of tests were found", named.len());
    let lost = named.into_iter().filter(|name| !known.contains(name));
    tree::none("tests that are nowhere", &lost.map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn names_of_tests_are_told_from_other_code() {
    let text =
        "`ns/items` `ns_1_values_are_set`, `a_type`, `NS_11_IN_CAPITALS` and `no_call(here)`";
    assert_eq!(tests_named(text), ["ns_1_values_are_set"]);
    assert_eq!(functions("pub fn one(x) {}\nfn two<T>()").collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn links_are_found_in_prose_and_not_in_code() {
    let text = "[a](x.md) and [`b`](y.md#top \"t\")\n```\n[c](z.md)\n```\n`[d](w.md)`\n[e]: v.md\n";
    assert_eq!(links(text), ["x.md", "y.md#top", "v.md"]);
}

#[test]
fn a_broken_link_is_found() {
    assert_eq!(broken("xtask/README.md", "../Cargo.toml"), None);
    assert_eq!(broken("xtask/README.md", "src/main.rs"), None);
    assert!(broken("xtask/README.md", "../Cargo.tom").is_some());
    assert!(broken("xtask/README.md", "#no-such-heading").is_some());
    assert_eq!(broken("xtask/README.md", "#xtask"), None);
}

#[test]
fn headings_become_anchors_as_github_makes_them() {
    assert_eq!(anchors("# One get, from A to `B`\ntext\n"), ["one-get-from-a-to-b"]);
}
