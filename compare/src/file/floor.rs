//! What the file system asks for by itself: one file per entry, without locks, checks or a format.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{FLOOR, Store, timed};
use crate::args::Args;

pub(super) fn store(dir: &Path, entries: usize, args: &Args) -> Result<Store, Box<dyn Error>> {
    let reads = Floor::new(&dir.join("floor"))?;
    let writes = reads.clone();
    timed(
        FLOOR,
        entries,
        args,
        move |key| Ok(!reads.read(key)?.is_empty()),
        move |key, value| Ok(writes.write(key, value.as_bytes())?),
    )
}

/// One file per entry, in 256 directories.
#[derive(Debug, Clone)]
pub(crate) struct Floor(PathBuf);

impl Floor {
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        for shard in 0..256 {
            fs::create_dir_all(root.join(format!("{shard:02x}")))?;
        }
        Ok(Self(root.to_owned()))
    }

    pub(crate) fn read(&self, key: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(key))
    }

    pub(crate) fn write(&self, key: &str, value: &[u8]) -> io::Result<()> {
        let path = self.path(key);
        let temporary = path.with_extension("tmp");
        fs::write(&temporary, value)?;
        fs::rename(temporary, path)
    }

    /// By two of the digits, which are as good as random.
    fn path(&self, key: &str) -> PathBuf {
        self.0.join(&key[5..7]).join(key)
    }
}
