use std::path::Path;

/// The processes that hold the lock file at `path`, as far as the operating system tells.
///
/// For people, not for decisions: the answer is old when it arrives, and may lack one when other
/// locks come and go meanwhile. It is empty if nobody holds the file, and also where nobody can say:
/// on other systems than Linux, for holders in other containers, and on file systems that number
/// their devices in two ways (btrfs, overlayfs).
///
/// # Examples
///
/// ```
/// use beaker_sync::{CreationLock, holders, lock_path};
/// # let dir = tempfile::tempdir()?;
/// let lock = CreationLock::at(lock_path(dir.path(), "thing"));
/// let _guard = lock.lock()?;
/// for process in holders(lock.path()) {
///     println!("held by process {process}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(target_os = "linux")]
pub fn holders(path: impl AsRef<Path>) -> Vec<u32> {
    use std::os::unix::fs::MetadataExt;

    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Vec::new() };
    let Ok(table) = std::fs::read_to_string("/proc/locks") else { return Vec::new() };
    let device = metadata.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{}", metadata.ino());
    let mut found: Vec<u32> = table.lines().filter_map(|line| holder(line, &file)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The processes that hold the lock file at `path`: unknown on this system, so always empty.
#[cfg(not(target_os = "linux"))]
pub fn holders(path: impl AsRef<Path>) -> Vec<u32> {
    let _ = path;
    Vec::new()
}

/// The process of a line of `/proc/locks`, if the line says that it holds a flock on `file`.
///
/// `12: FLOCK  ADVISORY  WRITE 4711 08:01:131076 0 EOF`; a waiter's has an arrow after the number.
fn holder(line: &str, file: &str) -> Option<u32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    if words.next()? != "FLOCK" {
        return None;
    }
    let process = words.nth(2)?;
    (words.next()? == file).then(|| process.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_holder_and_a_waiter_s_does_not() {
        let file = "08:01:131076";
        let of = |line| holder(line, file);
        assert_eq!(of("12: FLOCK  ADVISORY  WRITE 4711 08:01:131076 0 EOF"), Some(4711));
        assert_eq!(of("12: -> FLOCK  ADVISORY  WRITE 4712 08:01:131076 0 EOF"), None);
        assert_eq!(of("12: FLOCK  ADVISORY  WRITE 4711 08:01:1310 0 EOF"), None);
        assert_eq!(of("3: POSIX  ADVISORY  WRITE 9 08:01:131076 0 EOF"), None);
        assert_eq!(of("12: FLOCK  ADVISORY  WRITE -1 08:01:131076 0 EOF"), None);
        assert_eq!(of("12: FLOCK"), None);
    }
}
