use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};

use crate::envelope;
use crate::{Damage, Entry, Error, ErrorKind, Fingerprint, Key, Timestamp};

/// Bytes of an entry's file beyond its value: the envelope, the longest key, and tags.
const AROUND_VALUE_BYTES: u64 =
    (envelope::OVERHEAD_BYTES + Key::MAX_BYTES + envelope::MAX_LABEL_BYTES) as u64;

/// Which file it is, as long as somebody has it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that `path` leads to now.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|metadata| Self::of(&metadata))
    }

    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// A file that was found in an entry's place.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) content: Content,
    id: FileId,
    /// Open, so that no new file gets the same inode while this one is compared with others.
    _pin: Option<File>,
}

/// What is in an entry's file.
#[derive(Debug)]
pub(super) enum Content {
    /// An entry, whole and of this namespace; not necessarily of the key that was asked for.
    Entry(Key, Entry),
    /// Something that cannot be read back.
    Corrupt(Damage),
    /// Something longer than any entry that may be read.
    TooLong(TooLong),
}

/// A file of which only the first bytes were read.
#[derive(Debug)]
pub(super) struct TooLong {
    pub(super) bytes: u64,
    /// When it dies, as it says itself. If that is wrong it is damaged, and nobody's loss either.
    dies: Timestamp,
}

impl TooLong {
    pub(super) fn is_dead(&self, now: Timestamp) -> bool {
        !self.dies.is_never() && now >= self.dies
    }
}

impl Record {
    /// Reads the file at `path`; `None` if there is none.
    ///
    /// Takes no lock: a file in an entry's place is complete from the moment it is there, and is
    /// never written to again.
    pub(super) fn read(
        path: &Path,
        namespace: &str,
        max_value: u64,
    ) -> Result<Option<Self>, Error> {
        let fail = |error| Error::io("read an entry", path, error);
        let file = match open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if is_link(&error) => return Self::link(path).map_err(fail),
            Err(error) => return Err(fail(error)),
        };
        let metadata = file.metadata().map_err(fail)?;
        let content = read_content(&file, &metadata, path, namespace, max_value)?;
        Ok(Some(Self { content, id: FileId::of(&metadata), _pin: Some(file) }))
    }

    /// A symbolic link, which the store never makes and does not follow.
    fn link(path: &Path) -> io::Result<Option<Self>> {
        match FileId::at(path) {
            Ok(id) => {
                let content = Content::Corrupt(unread("it is a symbolic link", id));
                Ok(Some(Self { content, id, _pin: None }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether `path` still leads to the file that was read.
    pub(super) fn is_still_at(&self, path: &Path) -> bool {
        FileId::at(path).is_ok_and(|id| id == self.id)
    }
}

fn read_content(
    mut file: &File,
    metadata: &Metadata,
    path: &Path,
    namespace: &str,
    max_value: u64,
) -> Result<Content, Error> {
    if !metadata.is_file() {
        return Ok(Content::Corrupt(unread("it is not a plain file", FileId::of(metadata))));
    }
    let length = metadata.len();
    // Before anything is allocated.
    let is_too_long =
        length > max_value.saturating_add(AROUND_VALUE_BYTES) || usize::try_from(length).is_err();
    let mut bytes = vec![0; if is_too_long { envelope::OVERHEAD_BYTES } else { length as usize }];
    match file.read_exact(&mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let reason = "it was cut off while it was read";
            return Ok(Content::Corrupt(unread(reason, FileId::of(metadata))));
        }
        Err(error) => return Err(Error::io("read an entry", path, error)),
    }
    if is_too_long {
        let dies = envelope::says_it_dies(&bytes).unwrap_or(Timestamp::NEVER);
        return Ok(Content::TooLong(TooLong { bytes: length, dies }));
    }
    let bytes = Bytes::from(bytes);
    Ok(match envelope::decode_any(namespace, &bytes) {
        Ok((key, entry)) => Content::Entry(key, entry),
        Err(error) => {
            let damage = match error.kind() {
                ErrorKind::Config => Damage::new("its version is not one of this store"),
                _ => Damage::new(error.to_string()),
            };
            Content::Corrupt(damage.with_fingerprint(Fingerprint::of(&bytes)))
        }
    })
}

/// Damage of what has no bytes to be known by, or was not read: known by where it is on the disk.
fn unread(reason: &'static str, id: FileId) -> Damage {
    let place = [id.device.to_le_bytes(), id.inode.to_le_bytes()];
    Damage::new(reason).with_fingerprint(Fingerprint::of(place.as_flattened()))
}

/// Whether opening failed because a symbolic link is there.
pub(super) fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Opens for reading. Links are not followed and nothing is waited for.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
    Ok(File::from(file))
}
