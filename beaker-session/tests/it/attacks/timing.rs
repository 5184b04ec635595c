//! Signatures are compared in constant time. Whether they are is measured by the bench
//! `signature_timing`; that nobody compares one by `==` is seen here.

use std::fs;
use std::path::{Path, PathBuf};

/// Whether `code`, a statement or a part of one, compares what an attacker could find out bit by bit.
fn compares_a_secret(code: &str) -> bool {
    let operators = ["==", "!=", "assert_", ".eq(", ".ne(", ".cmp(", "starts_with(", "ends_with("];
    let compares = operators.iter().any(|operator| code.contains(operator));
    let words = [
        "mac",
        "macs",
        "hmac",
        "signature",
        "signatures",
        "signed",
        "secret",
        "secrets",
        "masked",
        "unmasked",
        "csrf",
        "digest",
        "hash",
        "tag",
        "token",
        "tokens",
        "ciphertext",
        "password",
    ];
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
        for statement in statements(code) {
            assert!(!compares_a_secret(&statement), "{}: {statement}", path.display());
        }
    }
}

/// The parts of `code` between semicolons and braces, without comments: a comparison may go over lines.
fn statements(code: &str) -> Vec<String> {
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    let code = lines.collect::<Vec<_>>().join(" ");
    code.split([';', '{', '}']).map(str::to_owned).collect()
}

#[test]
fn such_a_comparison_would_be_seen() {
    assert!(compares_a_secret("if mac == expected {"));
    assert!(compares_a_secret("(signature != other).then_some(1)"));
    assert!(compares_a_secret("one.hmac.eq(&other.hmac)"));
    assert!(compares_a_secret("tokens[0].starts_with(&sent)"));
    assert!(!compares_a_secret("key.verify_slice(&signature).ok()?;"));
    let seen = |code| statements(code).iter().any(|statement| compares_a_secret(statement));
    assert!(seen("if self.hash\n    == other.hash\n{"));
    assert!(seen("assert_ne!(\n    tag,\n    other,\n);"));
    assert!(!seen("let size = secret.len(); // == 32\nif size == 32 {"));
}
