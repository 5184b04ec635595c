//! Stores of Python.

use std::path::Path;

use super::{LENGTHS, Operation, SMALL, Store};
use crate::args::Args;
use crate::python::Python;

/// What is installed, and the stores; or why there are none.
pub(super) fn stores(
    dir: &Path,
    entries: usize,
    args: &Args,
) -> Result<(String, Vec<Store>), String> {
    let all = [
        ("diskcache", entries),
        ("beaker-file", entries),
        ("beaker-file-small", SMALL.min(entries)),
    ];
    let python = Python::start(&dir.join("python"), LENGTHS, &all)?;
    let store = |name: &'static str, gets, sets| {
        let python = python.clone();
        let run = move |operation, count| {
            let operation = match operation {
                Operation::Gets => "gets",
                Operation::Sets => "sets",
            };
            python.ask(name, operation, count)
        };
        Store { name: name.to_owned(), gets, sets, run: Box::new(run) }
    };
    // Each operation of Beaker's reads or writes all 50,000 entries, so there are few.
    let few = args.size(8, 3);
    let stores = vec![
        store("diskcache", args.size(5_000, 200), args.size(1_000, 50)),
        store("beaker-file", few, few),
        store("beaker-file-small", args.size(1_000, 50), args.size(300, 20)),
    ];
    Ok((format!("{}; beaker-file-small has {SMALL} entries", python.installed()), stores))
}
