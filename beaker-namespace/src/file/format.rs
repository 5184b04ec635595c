// The file `format` of a namespace's directory says who may open it:
//
//   beaker file store
//   format 1
//   locks 1
//   name <the namespace's name, to the end of the file>
//
// `format` counts changes of the entries' files and their places; `locks` counts changes of how
// processes exclude each other (which files they lock, in which order, what a mark means). Two
// processes with different protocols would not exclude each other, so a newer or foreign file is
// refused before anything is touched.
//
// A version that writes another envelope raises `format` before it writes the first one, by a new file. So
// an envelope of a newer version below an older `format` is no newer envelope but a flipped bit.
//
// Another process may raise it while this one has the directory open. So every change looks first, and so does
// a read that finds something damaged.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use parking_lot::Mutex;

use crate::atomic_write::AtomicWrite;
use crate::{Error, ErrorKind};

const TITLE: &str = "beaker file store";
const FORMAT: u32 = 1;
const LOCKS: u32 = 1;

/// No name is longer than this; a longer file is foreign.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// Writes the file if it is absent, and checks that it admits this program and this name.
pub(super) fn admit(path: &Path, name: &str) -> Result<(), Error> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write(path, name).map_err(|error| Error::io("open the file store", path, error))?;
            read(path).map_err(|error| Error::io("open the file store", path, error))?
        }
        Err(error) => return Err(Error::io("open the file store", path, error)),
    };
    check(&text, name).map_err(|reason| refusal("open the file store", path, &reason))
}

#[cold]
fn refusal(operation: &'static str, path: &Path, reason: &str) -> Error {
    Error::new(ErrorKind::Config, operation).with_detail(format!("{}: {reason}", path.display()))
}

/// The file of a directory that is open.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The one that admitted this program last.
    admitted: Mutex<Option<Stamp>>,
}

/// What changes with a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Watch {
    /// Fails if the file at `path` no longer admits this program and this name. One that is absent does: the
    /// directory was removed. Writes nothing.
    pub(super) fn check(
        &self,
        operation: &'static str,
        path: &Path,
        name: &str,
    ) -> Result<(), Error> {
        let stamp = match fs::metadata(path) {
            Ok(metadata) => Stamp::of(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io(operation, path, error)),
        };
        if *self.admitted.lock() == Some(stamp) {
            return Ok(());
        }
        match read(path) {
            Ok(text) => {
                check(&text, name).map_err(|reason| refusal(operation, path, &reason))?;
                *self.admitted.lock() = Some(stamp);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io(operation, path, error)),
        }
    }
}

/// It is synced whatever is configured, once in the namespace's life: with its bytes lost in a power cut
/// it would be a foreign file, and the namespace would never open again.
fn write(path: &Path, name: &str) -> io::Result<()> {
    let mut file = AtomicWrite::new(path)?;
    file.write_all(format!("{TITLE}\nformat {FORMAT}\nlocks {LOCKS}\nname {name}").as_bytes())?;
    file.commit_synced()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > FILE_MAX_BYTES {
        return Ok(Vec::new());
    }
    fs::read(path)
}

fn check(text: &[u8], name: &str) -> Result<(), String> {
    let Some((format, locks, found)) = parse(text) else {
        return Err("not written by this store; use another directory, or remove the file's \
                    directory if nobody needs it"
            .into());
    };
    if format > FORMAT || locks > LOCKS {
        return Err(format!(
            "a newer version wrote it (format {format}, locks {locks}); update this program or \
             use another directory"
        ));
    }
    if format < FORMAT || locks < LOCKS {
        return Err(format!(
            "an older version wrote it (format {format}, locks {locks}); remove its directory"
        ));
    }
    if found != name.as_bytes() {
        return Err("it belongs to another namespace; use another name or directory".into());
    }
    Ok(())
}

/// The two numbers and the name.
fn parse(text: &[u8]) -> Option<(u32, u32, &[u8])> {
    let rest = text.strip_prefix(TITLE.as_bytes())?.strip_prefix(b"\n")?;
    let (format, rest) = number(rest, b"format ")?;
    let (locks, rest) = number(rest, b"locks ")?;
    Some((format, locks, rest.strip_prefix(b"name ")?))
}

fn number<'a>(text: &'a [u8], label: &[u8]) -> Option<(u32, &'a [u8])> {
    let text = text.strip_prefix(label)?;
    let end = text.iter().position(|&byte| byte == b'\n')?;
    let number = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((number, &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_admits_the_same_name_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("format");
        for name in ["", "plain", "two\nlines\nname x", "ü/../"] {
            let _ = fs::remove_file(&path);
            admit(&path, name).unwrap();
            admit(&path, name).unwrap();
            assert_eq!(admit(&path, "another").unwrap_err().kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn f39_f41_a_newer_or_foreign_file_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("format");
        for (text, expected) in [
            ("beaker file store\nformat 2\nlocks 1\nname n", "a newer version wrote it (format 2,"),
            ("beaker file store\nformat 1\nlocks 2\nname n", "locks 2); update this program"),
            ("beaker file store\nformat 0\nlocks 1\nname n", "an older version wrote it"),
            ("beaker file store\nformat 1", "not written by this store"),
            ("beaker file store\nformat x\nlocks 1\nname n", "not written by this store"),
            ("", "not written by this store"),
        ] {
            fs::write(&path, text).unwrap();
            let error = admit(&path, "n").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
