//! Who has a file that only one process may have.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use beaker_namespace::{Error, ErrorKind};

use crate::place;

/// The note, with the number of the process that opened the file last. (Earlier versions had it beside the file,
/// where another store may be; what they left there nobody reads or removes.)
fn note(path: &Path) -> PathBuf {
    place::locks_of(path).join("owner")
}

/// Notes that this process has the file. It helps another's error message, no more, so it may fail.
pub(crate) fn sign(path: &Path) {
    let number = std::process::id().to_string();
    let _unimportant = place::make_directory(&place::locks_of(path))
        .and_then(|()| place::new_file(&note(path)))
        .and_then(|mut note| note.write_all(number.as_bytes()));
}

/// The process that opened the file last, if it is known.
pub(crate) fn holder(path: &Path) -> Option<u32> {
    fs::read_to_string(note(path)).ok()?.trim().parse().ok()
}

/// The error of a process that may not have the file, with the one that has it.
#[cold]
pub(crate) fn held(path: &Path, ways_out: &str) -> Error {
    let holder = holder(path);
    let holder = match holder {
        Some(number) => format!("process {number}"),
        None => "another process".to_owned(),
    };
    Error::new(ErrorKind::Config, "open the store").with_detail(format!(
        "{} is open in {holder}, and one process may have it; {ways_out}",
        path.display()
    ))
}
