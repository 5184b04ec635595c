//! What the file system asks for by itself: one file per entry, without locks, checks or a format.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use super::{FLOOR, Store, timed};
use crate::args::Args;

pub(super) fn store(dir: &Path, entries: usize, args: &Args) -> Result<Store, Box<dyn Error>> {
    let root = dir.join("floor");
    for shard in 0..256 {
        fs::create_dir_all(root.join(format!("{shard:02x}")))?;
    }
    let (reads, writes) = (root.clone(), root);
    timed(
        FLOOR,
        entries,
        args,
        move |key| Ok(!fs::read(path(&reads, key))?.is_empty()),
        move |key, value| {
            let path = path(&writes, key);
            let temporary = path.with_extension("tmp");
            fs::write(&temporary, value)?;
            Ok(fs::rename(temporary, path)?)
        },
    )
}

/// By two of the digits, which are as good as random.
fn path(root: &Path, key: &str) -> PathBuf {
    root.join(&key[5..7]).join(key)
}
