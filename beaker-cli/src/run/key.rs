//! The key of a run: the command, and whatever else its result depends on.
//
// `("run", (ARG, …), PART, …)` where a PART is one of
//   ("scope", TEXT)
//   ("cwd", PATH)
//   ("env", NAME, some HASH) or ("env", NAME, none), for a variable that is set or is not
//   ("modtime", PATH, some NANOSECONDS) or ("modtime", PATH, none), for a file that is not there
//
// Arguments that are UTF-8 are texts, others are byte strings. A variable's value is hashed, so
// that a listing does not show it. A list of more than seven is nested at its end. A key that is
// too long for a store is replaced by `("run", PROGRAM, "sha256", HASH)`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{self, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use beaker_namespace::{Key, KeyBuilder, ToKey};
use sha2::{Digest, Sha256};

use crate::args::RunArgs;
use crate::exit::{Failure, RUN_FAILED};

/// More arguments than this are hashed: keys are nested to a limited depth.
const MAX_ITEMS: usize = 128;

/// The bytes of a program's name that stay readable in a hashed key.
const PROGRAM_MAX_BYTES: usize = 256;

/// The key under which the result of `args` is kept.
pub(crate) fn key_of(args: &RunArgs) -> Result<Key, Failure> {
    let parts = parts_of(args)?;
    let command: Vec<Item<'_>> = args.command.iter().map(|arg| Item::Word(arg)).collect();
    let mut items = vec![Item::Text("run"), Item::List(&command)];
    items.extend(parts.iter().map(Item::Part));
    let key = Key::new(&List(&items));
    let fits = command.len() <= MAX_ITEMS && items.len() <= MAX_ITEMS;
    Ok(if fits && key.as_bytes().len() <= Key::MAX_BYTES { key } else { hashed(args, &key) })
}

fn hashed(args: &RunArgs, key: &Key) -> Key {
    let program = args.command.first().map_or(&[][..], |program| program.as_bytes());
    let shown = OsStr::from_bytes(&program[..program.len().min(PROGRAM_MAX_BYTES)]);
    Key::new(&("run", Word(shown), "sha256", hex(&Sha256::digest(key.as_bytes()))))
}

/// What a result depends on beside the command.
enum Part {
    Scope(OsString),
    Cwd(PathBuf),
    Env(OsString, Option<String>),
    Modtime(PathBuf, Option<i128>),
}

fn parts_of(args: &RunArgs) -> Result<Vec<Part>, Failure> {
    let mut parts = Vec::new();
    if let Some(scope) = &args.scope {
        parts.push(Part::Scope(scope.clone()));
    }
    if args.cwd {
        let cwd = env::current_dir()
            .map_err(|error| failed(format!("cannot tell the working directory: {error}")))?;
        parts.push(Part::Cwd(cwd));
    }
    for name in &args.env {
        parts.push(Part::Env(name.clone(), env::var_os(name).map(|value| digest(name, &value))));
    }
    for file in &args.modtime {
        parts.push(modtime(file)?);
    }
    Ok(parts)
}

/// The name is hashed too, so that equal values of two variables do not show as equal.
fn digest(name: &OsStr, value: &OsStr) -> String {
    let mut hash = Sha256::new();
    hash.update((name.len() as u64).to_be_bytes());
    hash.update(name.as_bytes());
    hash.update(value.as_bytes());
    hex(&hash.finalize())
}

fn modtime(file: &Path) -> Result<Part, Failure> {
    let fail = |error: io::Error| {
        let fix = "make it readable or leave --modtime out";
        failed(format!("cannot tell when {} was modified: {error}; {fix}", file.display()))
    };
    let path = path::absolute(file).map_err(fail)?;
    match fs::metadata(&path).and_then(|metadata| metadata.modified()) {
        Ok(time) => Ok(Part::Modtime(path, Some(nanoseconds(time)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Part::Modtime(path, None)),
        Err(error) => Err(fail(error)),
    }
}

/// Since 1970; negative before.
fn nanoseconds(time: SystemTime) -> i128 {
    let count = |nanos: u128| i128::try_from(nanos).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => count(after.as_nanos()),
        Err(before) => -count(before.duration().as_nanos()),
    }
}

fn failed(message: String) -> Failure {
    Failure::new(RUN_FAILED, message)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text if it is UTF-8, else a byte string.
struct Word<'a>(&'a OsStr);

impl ToKey for Word<'_> {
    fn write(&self, to: &mut KeyBuilder) {
        match self.0.to_str() {
            Some(text) => text.write(to),
            None => self.0.as_bytes().write(to),
        }
    }
}

impl ToKey for Part {
    fn write(&self, to: &mut KeyBuilder) {
        match self {
            Self::Scope(text) => ("scope", Word(text)).write(to),
            Self::Cwd(path) => ("cwd", Word(path.as_os_str())).write(to),
            Self::Env(name, hash) => ("env", Word(name), hash.as_deref()).write(to),
            Self::Modtime(path, time) => ("modtime", Word(path.as_os_str()), *time).write(to),
        }
    }
}

/// Something in a list.
enum Item<'a> {
    Text(&'a str),
    Word(&'a OsStr),
    Part(&'a Part),
    List(&'a [Item<'a>]),
}

impl ToKey for Item<'_> {
    fn write(&self, to: &mut KeyBuilder) {
        match self {
            Self::Text(text) => text.write(to),
            Self::Word(word) => Word(word).write(to),
            Self::Part(part) => part.write(to),
            Self::List(items) => List(items).write(to),
        }
    }
}

/// A tuple of any length: seven, and the rest as a tuple in the eighth place.
struct List<'a>(&'a [Item<'a>]);

impl ToKey for List<'_> {
    fn write(&self, to: &mut KeyBuilder) {
        match self.0 {
            [] => None::<bool>.write(to),
            [a] => (a,).write(to),
            [a, b] => (a, b).write(to),
            [a, b, c] => (a, b, c).write(to),
            [a, b, c, d] => (a, b, c, d).write(to),
            [a, b, c, d, e] => (a, b, c, d, e).write(to),
            [a, b, c, d, e, f] => (a, b, c, d, e, f).write(to),
            [a, b, c, d, e, f, g] => (a, b, c, d, e, f, g).write(to),
            [a, b, c, d, e, f, g, rest @ ..] => (a, b, c, d, e, f, g, List(rest)).write(to),
        }
    }
}

#[cfg(test)]
mod tests;
