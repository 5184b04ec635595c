use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::layout::Layout;
use super::record::Content;
use super::store::Store;
use super::trash::Trash;
use crate::atomic_write::{TEMPORARY_PREFIX, is_temporary_name};
use crate::{Error, Swept, Timestamp, new_generation};

/// One in this many writes looks through a part of the namespace. Which one it is, chance says for each
/// process, so that processes that write but once look too.
const WRITES_PER_LOOK: u64 = 64;

/// The most entries that such a look reads.
const ENTRIES_PER_LOOK: usize = 64;

/// The most directories that such a look lists, where they hold few entries.
const LEAVES_PER_LOOK: u8 = 16;

/// A temporary file of a living process is left behind if it is older than this.
const TEMPORARY_MAX_AGE: Duration = Duration::from_secs(3600);

impl Store {
    /// Drops everything that is dead, damaged or left behind.
    pub(super) fn sweep(&self, now: Timestamp) -> Result<Swept, Error> {
        self.check_format("sweep the namespace")?;
        let mut swept = self.sweep_root()?;
        let claims = beaker_sync::clean(self.layout().claims())
            .map_err(|error| Error::lock("sweep the claims", error))?;
        swept.leftovers += claims.removed as u64;
        // These nobody left behind: they are kept for the next writer, who makes the one he needs anew.
        let _kept = beaker_sync::clean(self.layout().writers())
            .map_err(|error| Error::lock("sweep the writers' locks", error))?;
        for index in 0..=u8::MAX {
            for name in list(&self.layout().leaf(index))? {
                self.sweep_one(index, name, now, &mut swept)?;
            }
        }
        Ok(swept)
    }

    /// Looks through a random part of the namespace now and then, for entries that nobody asks for.
    pub(super) fn sweep_a_little(&self, now: Timestamp) {
        let written = self.counts.sets.get().wrapping_add(self.first_look);
        if !written.is_multiple_of(WRITES_PER_LOOK) {
            return;
        }
        self.empty_trash_a_little();
        let random = new_generation();
        let (mut left, mut swept) = (ENTRIES_PER_LOOK, Swept::default());
        for step in 0..LEAVES_PER_LOOK {
            let leaf = (random as u8).wrapping_add(step);
            let Ok(names) = list(&self.layout().leaf(leaf)) else { continue };
            let from = (random >> 8) as usize % names.len().saturating_sub(left).max(1);
            for name in names.into_iter().skip(from).take(left) {
                left -= 1;
                // Whoever writes does not care about other entries' faults.
                let _ = self.sweep_one(leaf, name, now, &mut swept);
            }
        }
    }

    /// Deletes a part of what a killed process had cleared.
    fn empty_trash_a_little(&self) {
        let names = list(self.layout().root()).unwrap_or_default();
        let Some(name) = names.into_iter().find(|name| Layout::is_trash(name)) else { return };
        let _left = Trash::new(self.layout().root().join(name)).delete_a_little();
    }

    fn sweep_one(
        &self,
        leaf: u8,
        name: OsString,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<(), Error> {
        let Some(place) = self.layout().place_named(&name) else {
            let path = self.layout().leaf(leaf).join(name);
            swept.leftovers += u64::from(remove_leftover(&path));
            return Ok(());
        };
        let Ok(Some(record)) = self.read(&place, None) else { return Ok(()) };
        match &record.content {
            Content::Entry(_, entry) if entry.is_dead(now) => {
                swept.expired += u64::from(self.drop_dead(&place, &record));
            }
            Content::TooLong(found) if found.is_dead(now) => {
                swept.expired += u64::from(self.drop_dead(&place, &record));
            }
            Content::Corrupt(_) => {
                swept.corrupt += u64::from(self.drop_corrupt(&place, &record));
            }
            Content::Entry(..) | Content::TooLong(_) => {}
        }
        Ok(())
    }

    /// What killed processes left beside the entries and among the marks.
    fn sweep_root(&self) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        for name in list(self.layout().root())? {
            let path = self.layout().root().join(&name);
            let removed = if Layout::is_trash(&name) {
                fs::remove_dir_all(&path).is_ok()
            } else {
                remove_leftover(&path)
            };
            swept.leftovers += u64::from(removed);
        }
        for name in list(self.layout().marks())? {
            swept.leftovers += u64::from(remove_leftover(&self.layout().marks().join(name)));
        }
        Ok(swept)
    }
}

/// The names in a directory, in no order; an absent one has none.
pub(super) fn list(path: &Path) -> Result<Vec<OsString>, Error> {
    let listed = fs::read_dir(path).and_then(|entries| {
        entries.map(|entry| entry.map(|entry: DirEntry| entry.file_name())).collect()
    });
    match listed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|error| Error::io("list entries", path, error)),
    }
}

/// Removes a temporary file whose writer is dead or has given up. A writer that is still at work
/// after all finds its file gone, and writes it again.
fn remove_leftover(path: &Path) -> bool {
    let Some(name) = path.file_name().filter(|name| is_temporary_name(name)) else { return false };
    let is_old = || {
        let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
        modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > TEMPORARY_MAX_AGE))
    };
    (writer_is_dead(name.as_encoded_bytes()) || is_old()) && fs::remove_file(path).is_ok()
}

/// Whether the process in the name of a temporary file (prefix, process, `-`, …) is known to be gone.
#[cfg(target_os = "linux")]
fn writer_is_dead(name: &[u8]) -> bool {
    let process = name.strip_prefix(TEMPORARY_PREFIX.as_bytes()).and_then(|rest| {
        let end = rest.iter().position(|&byte| byte == b'-')?;
        std::str::from_utf8(&rest[..end]).ok()?.parse::<u32>().ok()
    });
    let proc = Path::new("/proc");
    process.is_some_and(|id| proc.join("self").exists() && !proc.join(id.to_string()).exists())
}

/// Elsewhere only the age tells.
#[cfg(not(target_os = "linux"))]
fn writer_is_dead(_name: &[u8]) -> bool {
    let _unused = TEMPORARY_PREFIX;
    false
}
