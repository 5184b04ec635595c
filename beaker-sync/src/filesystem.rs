use std::{io, path::Path};

use crate::{Error, ErrorKind};

/// What to do when a lock file would lie on a file system that is not known to be local.
///
/// Over a network, `flock` is emulated, and a lost lease drops a lock without a word: two holders
/// at once are then possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum NetworkPolicy {
    /// Fail with [`ErrorKind::NetworkFilesystem`].
    #[default]
    Refuse,
    /// Lock there nevertheless.
    Allow,
}

/// How far a file system reaches, as far as its type tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FilesystemClass {
    /// One machine's own: file locks work.
    Local,
    /// Shared by several machines: file locks may be emulated, local to one machine, or lost.
    Network,
    /// A program in user space serves it (FUSE); whether it is remote cannot be seen.
    UserSpace,
    /// A type that is not in the list.
    Unknown,
}

/// The file system that a file lies on.
///
/// # Examples
///
/// ```
/// use beaker_sync::{Filesystem, FilesystemClass};
///
/// let nfs = Filesystem::from_magic(0x6969);
/// assert_eq!(nfs.class(), FilesystemClass::Network);
/// assert_eq!(nfs.name(), "nfs");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Filesystem {
    magic: u32,
}

impl Filesystem {
    /// The file system of an existing file or directory.
    ///
    /// Where the operating system has no type numbers (anything but Linux), it is
    /// [`FilesystemClass::Local`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] or [`ErrorKind::Io`] if `path` cannot be examined.
    pub fn of(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::find(path).map_err(|e| Error::io("cannot tell the file system of", path, e))
    }

    /// The file system with the type number `magic` (`f_type` of statfs; only the low 32 bits count).
    pub const fn from_magic(magic: u32) -> Self {
        Self { magic }
    }

    /// The type number.
    pub const fn magic(self) -> u32 {
        self.magic
    }

    /// The type's usual name, or `"unknown"`.
    pub fn name(self) -> &'static str {
        self.known().map_or("unknown", |&(_, name, _)| name)
    }

    /// How far it reaches.
    pub fn class(self) -> FilesystemClass {
        self.known().map_or(FilesystemClass::Unknown, |&(_, _, class)| class)
    }

    /// Whether `policy` lets a lock file lie here.
    pub fn permitted_by(self, policy: NetworkPolicy) -> bool {
        policy == NetworkPolicy::Allow || self.class() == FilesystemClass::Local
    }

    #[cfg(target_os = "linux")]
    fn find(path: &Path) -> io::Result<Self> {
        let status = rustix::io::retry_on_intr(|| rustix::fs::statfs(path))?;
        // The kernel's word is wider on some machines; the numbers themselves have 32 bits.
        Ok(Self::from_magic(status.f_type as u32))
    }

    #[cfg(not(target_os = "linux"))]
    fn find(path: &Path) -> io::Result<Self> {
        path.metadata().map(|_| Self::from_magic(EXT))
    }

    fn known(self) -> Option<&'static (u32, &'static str, FilesystemClass)> {
        KNOWN.iter().find(|(magic, ..)| *magic == self.magic)
    }
}

/// Fails if `policy` does not let a lock file lie in `dir`. An absent directory is not an error here.
pub(crate) fn check(dir: &Path, policy: NetworkPolicy) -> Result<(), Error> {
    if policy == NetworkPolicy::Allow {
        return Ok(());
    }
    match Filesystem::find(dir) {
        Ok(filesystem) if filesystem.permitted_by(policy) => Ok(()),
        Ok(_) => Err(Error::at(ErrorKind::NetworkFilesystem, "will not lock in", dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("cannot tell the file system of", dir, error)),
    }
}

const EXT: u32 = 0xEF53;

/// The numbers of `linux/magic.h` and statfs(2), the commonest first.
const KNOWN: &[(u32, &str, FilesystemClass)] = &[
    (EXT, "ext2/ext3/ext4", FilesystemClass::Local),
    (0x794C_7630, "overlayfs", FilesystemClass::Local),
    (0x0102_1994, "tmpfs", FilesystemClass::Local),
    (0x5846_5342, "xfs", FilesystemClass::Local),
    (0x9123_683E, "btrfs", FilesystemClass::Local),
    (0x2FC1_2FC1, "zfs", FilesystemClass::Local),
    (0xF2F5_2010, "f2fs", FilesystemClass::Local),
    (0xCA45_1A4E, "bcachefs", FilesystemClass::Local),
    (0x8584_58F6, "ramfs", FilesystemClass::Local),
    (0x9584_58F6, "hugetlbfs", FilesystemClass::Local),
    (0x3153_464A, "jfs", FilesystemClass::Local),
    (0x5265_4973, "reiserfs", FilesystemClass::Local),
    (0x0000_3434, "nilfs2", FilesystemClass::Local),
    (0x0000_F15F, "ecryptfs", FilesystemClass::Local),
    (0x2405_1905, "ubifs", FilesystemClass::Local),
    (0x0000_482B, "hfsplus", FilesystemClass::Local),
    (0x0000_4D44, "msdos/vfat", FilesystemClass::Local),
    (0x2011_BAB0, "exfat", FilesystemClass::Local),
    (0x5346_544E, "ntfs", FilesystemClass::Local),
    (0x7366_746E, "ntfs3", FilesystemClass::Local),
    (0x6969, "nfs", FilesystemClass::Network),
    (0xFF53_4D42, "cifs", FilesystemClass::Network),
    (0xFE53_4D42, "smb2", FilesystemClass::Network),
    (0x517B, "smbfs", FilesystemClass::Network),
    (0x5346_414F, "afs", FilesystemClass::Network),
    (0x6B41_4653, "kafs", FilesystemClass::Network),
    (0x7375_7245, "coda", FilesystemClass::Network),
    (0x00C3_6400, "ceph", FilesystemClass::Network),
    (0x0102_1997, "9p", FilesystemClass::Network),
    (0x564C, "ncpfs", FilesystemClass::Network),
    (0x0116_1970, "gfs2", FilesystemClass::Network),
    (0x7461_636F, "ocfs2", FilesystemClass::Network),
    (0x0BD0_0BD0, "lustre", FilesystemClass::Network),
    (0x4750_4653, "gpfs", FilesystemClass::Network),
    (0xAAD7_AAEA, "panfs", FilesystemClass::Network),
    (0x786F_4256, "vboxsf", FilesystemClass::Network),
    (0xBACB_ACBC, "vmhgfs", FilesystemClass::Network),
    (0x6573_5546, "fuse", FilesystemClass::UserSpace),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f8_every_network_type_is_recognised_and_refused_unless_allowed() {
        let network = [
            (0x6969, "nfs"),
            (0xFF53_4D42, "cifs"),
            (0xFE53_4D42, "smb2"),
            (0x517B, "smbfs"),
            (0x5346_414F, "afs"),
            (0x6B41_4653, "kafs"),
            (0x7375_7245, "coda"),
            (0x00C3_6400, "ceph"),
            (0x0102_1997, "9p"),
            (0x564C, "ncpfs"),
            (0x0116_1970, "gfs2"),
            (0x7461_636F, "ocfs2"),
            (0x0BD0_0BD0, "lustre"),
            (0x4750_4653, "gpfs"),
        ];
        for (magic, name) in network {
            let filesystem = Filesystem::from_magic(magic);
            assert_eq!(filesystem.name(), name);
            assert_eq!(filesystem.class(), FilesystemClass::Network, "{name}");
            assert!(!filesystem.permitted_by(NetworkPolicy::Refuse), "{name}");
            assert!(filesystem.permitted_by(NetworkPolicy::Allow), "{name}");
        }
    }

    #[test]
    fn f8_fuse_and_unknown_types_are_refused_unless_allowed() {
        let fuse = Filesystem::from_magic(0x6573_5546);
        assert_eq!(fuse.class(), FilesystemClass::UserSpace);
        assert!(!fuse.permitted_by(NetworkPolicy::Refuse));
        let unknown = Filesystem::from_magic(0x1234_5678);
        assert_eq!((unknown.class(), unknown.name()), (FilesystemClass::Unknown, "unknown"));
        assert!(!unknown.permitted_by(NetworkPolicy::Refuse));
        assert!(unknown.permitted_by(NetworkPolicy::Allow));
    }

    #[test]
    fn f8_local_types_are_permitted() {
        for magic in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            let filesystem = Filesystem::from_magic(magic);
            assert!(filesystem.permitted_by(NetworkPolicy::Refuse), "{}", filesystem.name());
        }
    }

    #[test]
    fn no_number_is_listed_twice() {
        for (at, (magic, name, _)) in KNOWN.iter().enumerate() {
            assert!(!KNOWN[..at].iter().any(|(other, ..)| other == magic), "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn proc_is_told_from_what_is_known() {
        assert_eq!(Filesystem::of("/proc").unwrap().magic(), 0x9FA0);
    }
}
