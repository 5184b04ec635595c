//! Where a store keeps its file.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use beaker_namespace::{Error, ErrorKind, StoreUrl};
use beaker_sync::{Filesystem, NetworkPolicy};

/// The one path of the file or directory of a store that may not be there yet: whoever opens it
/// through a link or by `..` gets the same. The directory around it is made for this user alone if
/// it is absent.
///
/// # Errors
///
/// [`ErrorKind::Config`] if it is on a network file system and `policy` does not allow that; what
/// the operating system says.
pub(crate) fn canonical(path: &Path, policy: NetworkPolicy) -> Result<PathBuf, Error> {
    let fail = |error| Error::io("open the store", path, error);
    let place = match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Ok(target) = fs::read_link(path) {
                // A link to what is to be made. One that leads to itself is another error.
                return canonical(&directory_of(path).map_err(fail)?.join(target), policy);
            }
            let name = path.file_name().ok_or_else(|| {
                Error::new(ErrorKind::Config, "open the store")
                    .with_detail(format!("{} does not end with a file name", path.display()))
            })?;
            directory_of(path).map_err(fail)?.join(name)
        }
        found => found.map_err(fail)?,
    };
    check_filesystem(place.parent().unwrap_or(&place), policy)?;
    Ok(place)
}

#[cfg(any(feature = "sqlite", feature = "redb", feature = "dbm"))]
/// As [`canonical`], of a store that is a file.
///
/// # Errors
///
/// As [`canonical`], and [`ErrorKind::Config`] if something else is in its place: a directory, or what a
/// look into may wait for, such as a pipe.
pub(crate) fn canonical_file(path: &Path, policy: NetworkPolicy) -> Result<PathBuf, Error> {
    let place = canonical(path, policy)?;
    let what = match fs::metadata(&place) {
        Ok(there) if there.is_dir() => "is a directory; name a file in it",
        Ok(there) if !there.is_file() => "is no plain file; name another one",
        // What cannot be looked at is for whoever opens it to say.
        Ok(_) | Err(_) => return Ok(place),
    };
    let detail = format!("{} {what}", place.display());
    Err(Error::new(ErrorKind::Config, "open the store").with_detail(detail))
}

fn directory_of(path: &Path) -> io::Result<PathBuf> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    make_directory(dir)?;
    fs::canonicalize(dir)
}

/// Makes the directory `dir` for this user alone, with those around it, if it is absent.
///
/// # Errors
///
/// What the operating system says.
pub(crate) fn make_directory(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Makes an empty file for this user alone at `path`, if nothing is there. What makes the file by itself would
/// ask the umask who may read it.
///
/// # Errors
///
/// What the operating system says.
#[cfg(feature = "sled")]
pub(crate) fn make_file(path: &Path) -> io::Result<()> {
    match create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// A new file for this user alone, in the place of what an earlier writer may have left at `path`. A link
/// there is replaced, and not followed.
///
/// # Errors
///
/// What the operating system says.
#[cfg(any(feature = "redb", feature = "sled", feature = "dbm"))]
pub(crate) fn new_file(path: &Path) -> io::Result<fs::File> {
    match create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create_new(path)
        }
        made => made,
    }
}

#[cfg(any(feature = "redb", feature = "sled", feature = "dbm"))]
fn create_new(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn check_filesystem(dir: &Path, policy: NetworkPolicy) -> Result<(), Error> {
    let filesystem = Filesystem::of(dir).map_err(|error| Error::lock("open the store", error))?;
    if filesystem.permitted_by(policy) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "open the store").with_detail(format!(
        "{} is on `{}`, which may lose locks; use a local directory or allow it (`network=allow`)",
        dir.display(),
        filesystem.name()
    )))
}

/// `path` with `suffix` behind its last part: the place of what belongs to the store's file.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut text = OsString::from(path);
    text.push(suffix);
    text.into()
}

/// The path in `url`, for a store that needs one.
///
/// # Errors
///
/// [`ErrorKind::Config`] with `example` if there is none.
pub(crate) fn path_of<'a>(url: &'a StoreUrl, example: &str) -> Result<&'a Path, Error> {
    if url.path().as_os_str().is_empty() {
        return Err(Error::new(ErrorKind::Config, "open the store")
            .with_detail(format!("a {} store needs a path, as in `{example}`", url.scheme())));
    }
    Ok(url.path())
}

/// Two handles of one file in this process want different things.
#[cfg(any(feature = "redb", feature = "sled", feature = "dbm"))]
#[cold]
pub(crate) fn contradiction(path: &Path) -> Error {
    Error::new(ErrorKind::Config, "open the store").with_detail(format!(
        "this process has {} open with other settings; use the same ones everywhere",
        path.display()
    ))
}

/// Fails in a process forked from the one that opened the store, whose locks and caches are not its
/// own.
///
/// # Errors
///
/// [`ErrorKind::Config`].
#[cfg(any(feature = "redb", feature = "sled", feature = "dbm"))]
pub(crate) fn check_process(opened_by: u32) -> Result<(), Error> {
    if beaker_sync::process_id() == opened_by {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "use the store")
        .with_detail("it was opened before this process was forked; open it again in this process"))
}

/// The directory beside the file at `path` for locks, and for what else the store needs there: no name in it is
/// another store's.
#[cfg(any(feature = "redb", feature = "sled", feature = "dbm"))]
pub(crate) fn locks_of(path: &Path) -> PathBuf {
    beside(path, ".locks")
}

/// Gives the damaged file at `path` another name beside it, and says which.
///
/// # Errors
///
/// What the operating system says.
#[cfg(any(feature = "redb", feature = "sled", feature = "dbm"))]
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = name_aside(path);
    fs::rename(path, &aside).map(|()| aside)
}

/// A name for what is damaged at `path`, which nothing has yet.
#[cfg(any(feature = "sqlite", feature = "redb", feature = "sled", feature = "dbm"))]
pub(crate) fn name_aside(path: &Path) -> PathBuf {
    let number = beaker_namespace::new_generation();
    beside(path, &format!(".damaged-{number:016x}"))
}

/// The device and the inode of the file at `path`.
///
/// # Errors
///
/// What the operating system says.
#[cfg(any(feature = "redb", feature = "sled", feature = "dbm"))]
pub(crate) fn id_of(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|metadata| id(&metadata))
}

/// The device and the inode in `metadata`.
#[cfg(any(feature = "redb", feature = "sled", feature = "dbm"))]
pub(crate) fn id(metadata: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Gives the file at `from` the name `to`, unless something has that. On a file system that can neither rename so nor
/// give a file a second name, what gets it at the same moment is replaced.
///
/// # Errors
///
/// `AlreadyExists` if something has it, and what else the operating system says.
#[cfg(any(feature = "redb", feature = "dbm"))]
pub(crate) fn name(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Not on this file system.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            renamed => return renamed.map_err(io::Error::from),
        }
    }
    match fs::hard_link(from, to) {
        Ok(()) => {
            // If it stays, it is replaced as a killed writer's.
            let _other_name = fs::remove_file(from);
            Ok(())
        }
        Err(error) if is_unknown(&error) => name_if_free(from, to),
        Err(error) => Err(error),
    }
}

/// Whether `error` is what a file system says that has no second names, as FAT has none.
#[cfg(any(feature = "redb", feature = "dbm"))]
fn is_unknown(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let unknown = [Errno::PERM, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS];
    Errno::from_io_error(error).is_some_and(|error| unknown.contains(&error))
}

/// As [`name`], but for what gets the name between two steps.
#[cfg(any(feature = "redb", feature = "dbm"))]
fn name_if_free(from: &Path, to: &Path) -> io::Result<()> {
    match fs::symlink_metadata(to) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
        Err(error) => Err(error),
    }
}

/// Makes the name of `path` survive a power cut.
///
/// # Errors
///
/// What the operating system says.
#[cfg(any(feature = "redb", feature = "dbm"))]
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_dots_lead_to_one_place() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap().join("a");
        let place = |path: &Path| canonical(path, NetworkPolicy::Allow).unwrap();
        assert_eq!(place(&dir.path().join("a/db")), real.join("db"), "the directory is made");
        assert_eq!(place(&dir.path().join("a/../a/./db")), real.join("db"));
        fs::write(real.join("db"), "").unwrap();
        std::os::unix::fs::symlink(real.join("db"), dir.path().join("link")).unwrap();
        assert_eq!(place(&dir.path().join("link")), real.join("db"));
        fs::remove_file(real.join("db")).unwrap();
        std::os::unix::fs::symlink("link", dir.path().join("chain")).unwrap();
        assert_eq!(place(&dir.path().join("chain")), real.join("db"), "it is to be made");
        std::os::unix::fs::symlink("itself", dir.path().join("itself")).unwrap();
        let error = canonical(&dir.path().join("itself"), NetworkPolicy::Allow).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }

    #[cfg(any(feature = "sqlite", feature = "redb", feature = "dbm"))]
    #[test]
    fn a_directory_in_the_place_of_a_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = canonical_file(dir.path(), NetworkPolicy::Allow).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().ends_with("is a directory; name a file in it"), "{error}");
    }

    #[cfg(any(feature = "sqlite", feature = "redb", feature = "dbm"))]
    #[test]
    fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, link) = (dir.path().join("pipe"), dir.path().join("link"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        for path in [pipe, link] {
            let error = canonical_file(&path, NetworkPolicy::Allow).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().ends_with("is no plain file; name another one"), "{error}");
        }
    }

    #[cfg(any(feature = "redb", feature = "sled", feature = "dbm"))]
    #[test]
    fn a_new_file_is_the_users_alone_and_takes_the_place_of_a_link() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("draft"), dir.path().join("other"));
        fs::write(&other, "another's").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        for _ in 0..2 {
            new_file(&path).unwrap();
            let found = fs::symlink_metadata(&path).unwrap();
            assert!(found.is_file());
            assert_eq!(found.permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_to_string(other).unwrap(), "another's");
    }

    #[cfg(any(feature = "redb", feature = "dbm"))]
    #[test]
    fn where_files_have_one_name_only_a_name_is_given_if_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let [draft, name] = ["draft", "name"].map(|name| dir.path().join(name));
        for errno in [rustix::io::Errno::PERM, rustix::io::Errno::NOTSUP] {
            assert!(is_unknown(&errno.into()), "{errno}");
        }
        let taken = |by: &str| {
            fs::write(&draft, by).unwrap();
            name_if_free(&draft, &name).map_err(|error| error.kind())
        };
        assert!(!is_unknown(&rustix::io::Errno::EXIST.into()));
        assert_eq!(taken("first"), Ok(()));
        assert!(!draft.exists());
        assert_eq!(taken("second"), Err(io::ErrorKind::AlreadyExists));
        assert_eq!(fs::read_to_string(&name).unwrap(), "first");
    }

    #[test]
    fn a_directory_made_for_a_store_is_the_users_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        canonical(&dir.path().join("made/db"), NetworkPolicy::Allow).unwrap();
        let mode = fs::metadata(dir.path().join("made")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
