//! Calls on a file namespace in any order, while its files are damaged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use beaker_namespace::{FileConfig, FileNamespace};

use crate::harness::{Damage, Harness, Op, Promises, clock};

/// More calls than this find nothing new.
const MAX_OPS: usize = 80;

/// The longest value that the store takes; the fuzzer's are up to 1028 bytes.
const MAX_VALUE_BYTES: u64 = 800;

/// A step: a call, or something behind the store's back.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Step {
    Call(Op),
    /// The namespace is closed and opened anew.
    Reopen,
    /// Something happens to the file, or the folder, of this number.
    Damage(u8, Kind),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Kind {
    RemoveFile,
    RemoveFolder,
    Truncate(u16),
    Flip(u16, u8),
    Overwrite(u8),
    Append(u8),
    /// Two entries' files change places; once, since twice would undo it.
    Swap(u8),
    /// A folder in the place of a file.
    Obstruct,
    Link,
}

/// Makes the calls in a folder of its own and checks each.
pub fn run(data: &[u8]) {
    let Ok(steps) = Vec::<Step>::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let dir = folder().expect("a temporary folder can be made");
    let clock = clock();
    let config = FileConfig::new(dir.path()).max_value_bytes(MAX_VALUE_BYTES);
    let config = config.clock(Arc::clone(&clock) as _);
    let namespace = FileNamespace::open("fuzz", config.clone()).expect("an empty folder is opened");
    let promises = Promises {
        max_bytes: MAX_VALUE_BYTES as usize,
        max_weight: u64::MAX,
        evicts: false,
        exclusive_claims: true,
        refusal_removes: false,
        tags_void_claims: false,
    };
    let mut harness = Harness::new(Arc::new(namespace), clock, promises, None);
    let mut swapped = false;
    for step in steps.into_iter().take(MAX_OPS) {
        match step {
            Step::Call(op) => harness.apply(op),
            Step::Damage(_, Kind::Swap(_)) if std::mem::replace(&mut swapped, true) => {}
            Step::Damage(number, kind) => damage(&mut harness, dir.path(), number, kind),
            Step::Reopen => match reopen(&mut harness, config.clone()) {
                Some(namespace) => harness.namespace = Arc::new(namespace),
                None => return,
            },
        }
    }
}

/// A folder in memory, where there is such a place.
fn folder() -> io::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

fn reopen(harness: &mut Harness, config: FileConfig) -> Option<FileNamespace> {
    // While the old handle is held, both share one store; so it is let go first.
    harness.namespace = Arc::new(beaker_namespace::NullNamespace::new("none"));
    match FileNamespace::open("fuzz", config) {
        Ok(namespace) => Some(namespace),
        Err(error) => {
            assert!(harness.damage() > Damage::Lost, "{error}");
            None
        }
    }
}

/// Does `kind` to one file, or folder, of the namespace.
///
/// Contents are changed in the entries' files only: a lock file holds no data, and whoever writes to
/// one breaks the rules that processes have agreed on.
fn damage(harness: &mut Harness, dir: &Path, number: u8, kind: Kind) {
    let mut paths = Vec::new();
    collect(dir, &mut paths);
    paths.sort();
    let is_entry = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "entries");
    paths.retain(|path| match kind {
        Kind::RemoveFile => !path.is_dir(),
        Kind::RemoveFolder => path.is_dir(),
        _ => !path.is_dir() && is_entry(path),
    });
    let Some(path) = paths.get(usize::from(number) % paths.len().max(1)) else { return };
    let other = match kind {
        Kind::Swap(other) => paths.get(usize::from(other) % paths.len()),
        _ => None,
    };
    let done = kind.apply(path, other.unwrap_or(path));
    done.expect("a temporary folder can be written to");
    harness.damaged(kind.damage());
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&path, paths);
        }
        paths.push(path);
    }
}

impl Kind {
    fn apply(self, path: &Path, other: &Path) -> io::Result<()> {
        match self {
            Self::RemoveFile => fs::remove_file(path),
            Self::RemoveFolder => fs::remove_dir_all(path),
            Self::Swap(_) => {
                let aside = path.with_extension("aside");
                fs::rename(path, &aside)?;
                if other != path {
                    fs::rename(other, path)?;
                }
                fs::rename(aside, other)
            }
            Self::Obstruct => fs::remove_file(path).and_then(|()| fs::create_dir(path)),
            Self::Link => {
                fs::remove_file(path)?;
                std::os::unix::fs::symlink("/dev/zero", path)
            }
            Self::Truncate(_) | Self::Flip(..) | Self::Overwrite(_) | Self::Append(_) => {
                if !fs::symlink_metadata(path)?.is_file() {
                    return Ok(());
                }
                let mut bytes = fs::read(path)?;
                self.change(&mut bytes);
                fs::write(path, bytes)
            }
        }
    }

    fn change(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Truncate(length) => bytes.truncate(usize::from(length) % bytes.len().max(1)),
            Self::Flip(at, bit) if !bytes.is_empty() => {
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= 1 << (bit % 8);
            }
            Self::Overwrite(byte) => bytes.fill(byte),
            Self::Append(count) => bytes.resize(bytes.len() + usize::from(count), b'x'),
            _ => {}
        }
    }

    /// What calls may do from then on.
    fn damage(self) -> Damage {
        match self {
            Self::Flip(..) => Damage::Renumbered,
            Self::Obstruct => Damage::Obstructed,
            _ => Damage::Lost,
        }
    }
}
