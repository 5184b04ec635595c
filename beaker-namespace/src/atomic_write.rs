// Rules of an atomic write:
// 1. The temporary file lies in the directory of its target, because a rename does not cross
//    file systems.
// 2. Its name is its own (process, counter, random number) and it is made with `create_new`:
//    two writers never share one, and a link planted under the name is refused.
// 3. Its name begins with TEMPORARY_PREFIX, so that what a kill leaves can be told and removed.
// 4. Whoever drops the value before the commit has succeeded removes the file.

use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the name of every unfinished file begins with.
pub(crate) const TEMPORARY_PREFIX: &str = ".tmp-";

/// How many names are tried when one is taken, which takes a wrapped counter and equal randomness.
const ATTEMPTS: usize = 4;

/// A file that gets its name only when it is complete.
#[derive(Debug)]
#[must_use = "dropping the write removes what was written"]
pub(crate) struct AtomicWrite {
    file: File,
    temporary: Temporary,
    target: PathBuf,
}

impl AtomicWrite {
    /// Opens a temporary file beside `target`, which need not exist; its directory must.
    pub(crate) fn new(target: &Path) -> io::Result<Self> {
        let directory = parent(target);
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..ATTEMPTS {
            let path = directory.join(temporary_name());
            match create_private(&path) {
                Ok(file) => {
                    let temporary = Temporary { path: Some(path) };
                    return Ok(Self { file, temporary, target: target.to_owned() });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Appends `bytes`.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Gives the file its name, replacing what has it now.
    ///
    /// The file survives the end of the process; after a power cut it may be empty.
    pub(crate) fn commit(self) -> io::Result<()> {
        self.temporary.rename_to(&self.target)
    }

    /// As [`commit`](Self::commit), with the file synced before and its directory after.
    ///
    /// If only the directory's sync fails the new content is in place already.
    pub(crate) fn commit_synced(self) -> io::Result<()> {
        self.file.sync_all()?;
        self.temporary.rename_to(&self.target)?;
        sync_directory(parent(&self.target))
    }
}

impl Write for AtomicWrite {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The name of an unfinished file; dropping it removes the file.
#[derive(Debug)]
struct Temporary {
    /// `None` once the file has its final name.
    path: Option<PathBuf>,
}

impl Temporary {
    fn rename_to(mut self, target: &Path) -> io::Result<()> {
        if let Some(path) = &self.path {
            fs::rename(path, target)?;
            self.path = None;
        }
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What cannot be removed is left to the janitor, who knows it by its name.
            let _ = fs::remove_file(path);
        }
    }
}

/// Returns whether `name` is that of an unfinished file.
///
/// It may belong to a writer that is still at work; its age tells.
pub(crate) fn is_temporary_name(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY_PREFIX.as_bytes())
}

fn temporary_name() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    // Every `RandomState` has keys of its own, seeded from the system's randomness.
    let random = RandomState::new().build_hasher().finish();
    format!("{TEMPORARY_PREFIX}{}-{count}-{random:016x}", std::process::id())
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Returns the directory of `path`; a bare file name lies in the current one.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere a directory cannot be opened as a file, and a rename is as durable as it gets.
#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .expect("the directory is readable")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn readers_see_the_old_content_until_the_commit() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("value");
        fs::write(&target, "old").unwrap();

        let mut write = AtomicWrite::new(&target).unwrap();
        write.write_all(b"ne").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        write.write_all(b"w").unwrap();
        write.commit().unwrap();

        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["value"]);
    }

    #[test]
    fn a_synced_commit_writes_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("value");
        let mut write = AtomicWrite::new(&target).unwrap();
        write.write_all(b"new").unwrap();
        write.commit_synced().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["value"]);
    }

    // Beaker writes to one fixed temporary name (its defect D17).
    #[test]
    fn two_writers_of_one_target_do_not_share_a_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("value");
        let mut first = AtomicWrite::new(&target).unwrap();
        let mut second = AtomicWrite::new(&target).unwrap();
        first.write_all(b"first, which is longer").unwrap();
        second.write_all(b"second").unwrap();
        assert_eq!(names(directory.path()).len(), 2);

        first.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"first, which is longer");
        second.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"second");
        assert_eq!(names(directory.path()), ["value"]);
    }

    #[test]
    fn a_dropped_write_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut write = AtomicWrite::new(&directory.path().join("value")).unwrap();
        write.write_all(b"half").unwrap();
        assert!(names(directory.path()).iter().all(|name| is_temporary_name(OsStr::new(name))));
        drop(write);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_failed_commit_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("occupied");
        fs::create_dir(&target).unwrap();
        let mut write = AtomicWrite::new(&target).unwrap();
        write.write_all(b"new").unwrap();
        // A file cannot take the name of a directory.
        let error = write.commit_synced().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        assert_eq!(names(directory.path()), ["occupied"]);
    }

    #[test]
    fn an_unfinished_file_is_known_by_its_name() {
        assert!(is_temporary_name(OsStr::new(&temporary_name())));
        assert!(!is_temporary_name(OsStr::new("a.tmp-1-2-3")));
        assert_ne!(temporary_name(), temporary_name());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("value");
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o666)).unwrap();
        AtomicWrite::new(&target).unwrap().commit().unwrap();
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
