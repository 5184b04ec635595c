//! Signatures are compared in constant time. Whether they are is measured by the bench
//! `signature_timing`; that nobody compares one by `==` is seen here.

use std::fs;
use std::path::{Path, PathBuf};

/// Whether `line` compares what an attacker could find out bit by bit.
fn compares_a_secret(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let compares = code.contains("==") || code.contains("!=") || code.contains("assert_");
    let words = ["mac", "signature", "secret", "unmasked", "digest"];
    compares
        && words
            .iter()
            .any(|word| code.to_lowercase().split(|c: char| !c.is_alphabetic()).any(|w| w == *word))
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// 4, F53
#[test]
fn no_signature_or_secret_is_compared_by_an_operator() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 40, "{} files", found.len());
    for path in found.iter().filter(|path| !path.ends_with("tests.rs")) {
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            assert!(!compares_a_secret(line), "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

#[test]
fn such_a_comparison_would_be_seen() {
    assert!(compares_a_secret("if mac == expected {"));
    assert!(compares_a_secret("(signature != other).then_some(1)"));
    assert!(!compares_a_secret("key.verify_slice(&signature).ok()?;"));
    assert!(!compares_a_secret("let size = secret.len(); // == 32"));
}
