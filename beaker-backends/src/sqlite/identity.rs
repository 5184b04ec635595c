//! Which file the database is, and whether its path leads there yet: rule 9 of store.rs.
//
// 1. A file that was removed, or that another one was renamed over, has no name any more, which is told by a
//    handle of it. To ask that takes a third of a look along the path, so it is asked before each change.
// 2. A file that was moved, or whose directory was, has its name yet. So the path is looked along too, but not
//    more often than `BETWEEN_LOOKS`: a change that comes sooner after a move is in the moved file, as those
//    before the move are. A file with more names than one, or without a handle, is looked for each time; and
//    once more when it has one again, which may be the other.
// 3. To close a descriptor of the file frees all locks that this process has on it. It does not if the descriptor
//    only names the file (`O_PATH`), as this one does.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use beaker_sync::NetworkPolicy;
use parking_lot::Mutex;

/// How late it may be noticed that the file was moved.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// The file that is open, if one is, and where it was.
#[derive(Debug)]
pub(super) struct Identity {
    path: PathBuf,
    network: NetworkPolicy,
    known: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    id: (u64, u64),
    handle: Option<File>,
    /// When the path led to it last, if it had no other name then.
    looked: Option<Instant>,
}

impl Identity {
    pub(super) fn new(path: &Path, network: NetworkPolicy) -> Self {
        Self { path: path.to_owned(), network, known: Mutex::default() }
    }

    /// The file that is there, which the caller is about to open; see [`set`](Self::set).
    pub(super) fn find(&self) -> io::Result<Found> {
        // A server may keep a removed file under another name as long as it is open.
        let handle = match self.network {
            NetworkPolicy::Refuse => handle(&self.path),
            _ => None,
        };
        let metadata = match &handle {
            Some(handle) => handle.metadata(),
            None => self.path.metadata(),
        }?;
        Ok(Found(Known { id: id(&metadata), handle, looked: looked(&metadata) }))
    }

    /// The file that was found is the one that is open.
    pub(super) fn set(&self, Found(known): Found) {
        *self.known.lock() = Some(known);
    }

    /// None is open any more.
    pub(super) fn forget(&self) {
        *self.known.lock() = None;
    }

    /// Whether the file that is open is where it was, as far as rules 1 and 2 go.
    pub(super) fn is_here(&self) -> bool {
        let mut known = self.known.lock();
        let Some(known) = known.as_mut() else { return false };
        known.has_its_name() || self.look(known)
    }

    /// Whether the path leads to the file that is open.
    pub(super) fn is_sure_to_be_here(&self) -> bool {
        self.known.lock().as_mut().is_some_and(|known| self.look(known))
    }

    fn look(&self, known: &mut Known) -> bool {
        let there = self.path.metadata().ok().filter(|there| id(there) == known.id);
        known.looked = there.as_ref().and_then(looked);
        there.is_some()
    }
}

impl Known {
    fn has_its_name(&self) -> bool {
        self.looked.is_some_and(|looked| looked.elapsed() < BETWEEN_LOOKS)
            && self.handle.as_ref().is_some_and(has_one_name)
    }
}

/// Not by the call of the standard library, which asks for more, and takes longer.
fn has_one_name(handle: &File) -> bool {
    rustix::fs::fstat(handle).is_ok_and(|it| it.st_nlink == 1)
}

/// A file that may be opened.
#[derive(Debug)]
pub(super) struct Found(Known);

/// Now, if `file`, to which the path leads, has no other name.
fn looked(file: &Metadata) -> Option<Instant> {
    (file.nlink() == 1).then(Instant::now)
}

/// Device and inode.
fn id(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// What names the file at `path`, and does not open it.
#[cfg(target_os = "linux")]
fn handle(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    // A link is followed, as SQLite does.
    let only_names = OFlags::PATH.bits() as i32;
    File::options().read(true).custom_flags(only_names).open(path).ok()
}

#[cfg(not(target_os = "linux"))]
fn handle(_path: &Path) -> Option<File> {
    None
}

#[cfg(test)]
impl Identity {
    /// It is as if the path had been looked along just now, and had led to the file.
    pub(super) fn pretend_to_have_looked(&self) {
        self.known.lock().iter_mut().for_each(|known| known.looked = Some(Instant::now()));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;

    /// A file that is open, in a directory of its own.
    fn opened() -> (tempfile::TempDir, PathBuf, Identity) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        fs::write(&path, "").unwrap();
        let identity = Identity::new(&path, NetworkPolicy::Refuse);
        assert!(!identity.is_here(), "it is not known yet");
        identity.set(identity.find().unwrap());
        assert!(identity.is_here() && identity.is_sure_to_be_here());
        (dir, path, identity)
    }

    #[test]
    fn a_file_that_was_removed_or_replaced_is_missed_at_once() {
        let ways: [fn(&Path); 2] = [
            |path| fs::remove_file(path).unwrap(),
            |path| {
                fs::write(path.with_extension("new"), "").unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            },
        ];
        for (number, way) in ways.into_iter().enumerate() {
            let (_dir, path, identity) = opened();
            way(&path);
            assert!(!identity.is_here(), "way {number}");
            assert!(!identity.is_sure_to_be_here(), "way {number}");
        }
    }

    #[test]
    fn a_file_with_two_names_is_looked_for_each_time() {
        let (_dir, path, identity) = opened();
        fs::hard_link(&path, path.with_extension("copy")).unwrap();
        assert!(identity.is_here());
        fs::rename(&path, path.with_extension("away")).unwrap();
        assert!(!identity.is_here());
    }

    #[test]
    fn a_file_whose_other_name_stays_is_missed_when_its_own_goes() {
        let (_dir, path, identity) = opened();
        fs::hard_link(&path, path.with_extension("copy")).unwrap();
        assert!(identity.is_here());
        fs::remove_file(&path).unwrap();
        assert!(!identity.is_here());
        // So also if it had both when it was opened.
        let copy = path.with_extension("copy");
        fs::hard_link(&copy, &path).unwrap();
        identity.set(identity.find().unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!identity.is_here());
    }

    #[test]
    fn behind_a_link_it_is_the_file_that_is_looked_at() {
        let (_dir, path, identity) = opened();
        let there = path.with_extension("there");
        fs::rename(&path, &there).unwrap();
        std::os::unix::fs::symlink(&there, &path).unwrap();
        identity.set(identity.find().unwrap());
        assert!(identity.is_here() && identity.is_sure_to_be_here());
        fs::remove_file(&there).unwrap();
        fs::write(&there, "").unwrap();
        assert!(!identity.is_here());
    }

    #[test]
    fn a_file_that_was_moved_is_missed_when_it_is_looked_for() {
        let (_dir, path, identity) = opened();
        fs::rename(&path, path.with_extension("away")).unwrap();
        assert!(!identity.is_sure_to_be_here());
        let before = Instant::now().checked_sub(BETWEEN_LOOKS).unwrap();
        identity.known.lock().as_mut().unwrap().looked = Some(before);
        assert!(!identity.is_here());
    }

    #[test]
    fn where_a_server_may_keep_what_is_removed_it_is_looked_for_each_time() {
        let (_dir, path, _) = opened();
        let identity = Identity::new(&path, NetworkPolicy::Allow);
        identity.set(identity.find().unwrap());
        assert!(identity.is_here());
        fs::rename(&path, path.with_extension("away")).unwrap();
        assert!(!identity.is_here());
    }

    /// How many locks processes have on the file at `path`.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn locks(path: &Path) -> usize {
        let (device, inode) = id(&path.metadata().unwrap());
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let file = format!(" {major:02x}:{minor:02x}:{inode} ");
        let all = fs::read_to_string("/proc/locks").unwrap();
        all.lines().filter(|lock| lock.contains("POSIX") && lock.contains(&file)).count()
    }

    // Rule 3.
    #[cfg(target_os = "linux")]
    #[test]
    fn whoever_forgets_a_file_keeps_his_locks_on_it() {
        let (_dir, path, identity) = opened();
        let sqlite_s = File::options().read(true).write(true).open(&path).unwrap();
        let shared = rustix::fs::FlockOperation::NonBlockingLockShared;
        rustix::fs::fcntl_lock(&sqlite_s, shared).unwrap();
        identity.set(identity.find().unwrap());
        drop(identity);
        assert_eq!(locks(&path), 1);
        drop(File::open(&path).unwrap());
        assert_eq!(locks(&path), 0, "the control");
    }
}
