//! What Python's Beaker wrote, read as data.

mod cache;
mod fuzz;
mod import;
mod pickles;
mod vectors;

use std::fs;
use std::path::{Path, PathBuf};

use beaker_namespace::compat::{EncodedPathOptions, encoded_path_in};
use serde_json::Value as Json;

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// The pickles of CPython; the file says which.
fn pickles() -> Json {
    serde_json::from_str(include_str!("../vectors/pickles.json")).expect("the pickles are JSON")
}

fn pickle(of: &Json) -> Vec<u8> {
    unhex(of.as_str().expect("a text"))
}

/// Writes the file of a namespace where Beaker has it.
fn write_file(data_dir: &Path, namespace: &str, bytes: &[u8]) -> PathBuf {
    let options = EncodedPathOptions::new().extension(".cache");
    let root = data_dir.join("container_file");
    let path = encoded_path_in(&root, &[namespace], &options).expect("a path");
    fs::write(&path, bytes).expect("a file");
    path
}
