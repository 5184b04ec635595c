//! Files of stores, copied and counted, and chance that repeats itself.

use std::fs;
use std::path::{Path, PathBuf};

/// All files below `dir`, in order.
pub(crate) fn all_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => dirs.push(entry.path()),
                _ => found.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}

/// The lock files below `dir` whose names are hashes, as those of claims are. The file store keeps
/// its sixteen for writers apart.
pub(crate) fn claim_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = all_files(dir);
    files.retain(|file| !file.iter().any(|part| part == "writers"));
    files.retain(|file| {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let hash = name.len() >= 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        hash && file.extension().is_some_and(|extension| extension == "lock")
    });
    files
}

/// The bytes in all files below `dir`.
pub(crate) fn bytes_in(dir: &Path) -> u64 {
    all_files(dir).iter().filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
}

/// Copies all below `from` into `to`, which is made.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("it is there").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// A row of numbers that is the same for the same seed.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A number below `limit`, which is not zero.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (self.next() << 31 | self.next()) % limit
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}
