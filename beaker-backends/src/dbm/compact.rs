//! A file without the space that rows have left in it.
//
// GNU dbm uses again what rows leave, but never joins the pieces. Where values of many lengths are written over
// one another the pieces become too small for the next one, and the file grows at each write, whatever is in it.
//
// A look at how much is free takes all buckets, so it is taken when the file has become twice as long, and by
// each sweep. If more than half is free, all that can be found in the file is copied into a new one. So a file
// is less than four times as long as what was in it, or than a megabyte; and a copy, which takes as long as
// writing what is in the file, comes after at least as much was written.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use gdbm_native::{BlockSize, Gdbm, OpenOptions};
use rustix::process::{Resource, getrlimit};

use super::plan::char_sign;
use crate::place;

/// A shorter file is left as it is.
const FLOOR_BYTES: u64 = 1 << 20;

/// Whether a write that made the file longer has to look at it.
pub(super) fn is_due(before: u64, after: u64) -> bool {
    may_be(after) && after.checked_ilog2() > before.checked_ilog2()
}

/// Whether a file of this length may be worth a look.
pub(super) fn may_be(length: u64) -> bool {
    length >= FLOOR_BYTES
}

/// Whether more than half of `file`, which has `length` bytes, is free.
pub(super) fn is_worth_it(file: &Gdbm, length: u64) -> gdbm_native::Result<bool> {
    Ok(may_be(length) && file.verify()?.free_bytes > length / 2)
}

/// Whether a new file in the place of the one at `path` may be written at all, and would be the same to
/// everybody: it has no other name.
pub(super) fn can_be_replaced(path: &Path) -> io::Result<bool> {
    let old = fs::metadata(path)?;
    // The system kills who writes beyond this limit.
    let fits = getrlimit(Resource::Fsize).current.is_none_or(|limit| old.len() <= limit);
    Ok(fits && old.nlink() == 1)
}

/// Writes a new file at `draft` with all that is found in `file`, of the same kind, and for the same users as
/// the one at `path`; syncs it.
pub(super) fn copy(
    file: &Gdbm,
    path: &Path,
    draft: &Path,
    options: &mut OpenOptions,
) -> gdbm_native::Result<()> {
    make_alike(path, draft)?;
    let mut new = options
        .create(true)
        .char_sign(char_sign(file, &[0x80])?)
        .layout(file.layout())
        .endian(file.endian())
        .numsync(file.is_numsync())
        .block_size(BlockSize::Exactly(file.block_size()))
        .open(draft)?;
    for key in file.keys::<Vec<u8>>() {
        let key = key?;
        // A damaged bucket may lead to rows that no look-up finds. Their keys may have been written again or
        // removed since, so they stay behind.
        if let Some(value) = file.get::<_, Vec<u8>>(&key)? {
            new.insert(&key, &value)?;
        }
    }
    new.close()
}

/// An empty file at `draft` of the same owner, group and mode as that at `path`.
fn make_alike(path: &Path, draft: &Path) -> io::Result<()> {
    let (old, new) = (fs::metadata(path)?, place::new_file(draft)?);
    let made = new.metadata()?;
    if (old.uid(), old.gid()) != (made.uid(), made.gid()) {
        chown(draft, Some(old.uid()), Some(old.gid()))?;
    }
    new.set_permissions(old.permissions())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use beaker_namespace::Durability;

    use super::super::file::File;
    use super::super::images::Images;
    use super::super::tests::{changes, driver, get, journal, open, others, put, quick_dir, soon};
    use super::*;

    const KEYS: u8 = 40;

    /// More than half of a file with `KEYS` of them is not free.
    const LONG_BYTES: usize = 50_000;

    fn length(dir: &Path) -> u64 {
        fs::metadata(dir.join("x.dbm")).expect("the file").len()
    }

    /// A file of more than [`FLOOR_BYTES`] of which little is in use: each of the keys has itself as value.
    fn mostly_free(dir: &Path) -> File {
        let file = open(dir);
        let long = vec![b'x'; LONG_BYTES];
        for key in 0..KEYS {
            put(&file, &[(&[key], &long)]).expect("it is put");
        }
        for key in 0..KEYS {
            put(&file, &[(&[key], &[key])]).expect("it is put");
        }
        assert!(length(dir) > FLOOR_BYTES);
        file
    }

    fn check(file: &File) {
        for key in 0..KEYS {
            assert_eq!(get(file, &[key]).as_deref(), Some(&[key][..]), "{key}");
        }
    }

    #[test]
    fn values_that_become_longer_and_shorter_do_not_make_the_file_grow_without_bound() {
        const BATCH: usize = 40;
        const LONGEST: usize = 4_000;
        let dir = quick_dir();
        let file = open(dir.path());
        let (mut lengths, mut random) = (Vec::new(), 1_u64);
        for _ in 0..150 {
            let mut rows = Vec::with_capacity(BATCH);
            for _ in 0..BATCH {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                rows.push((
                    [(random >> 33) as u8 % 100],
                    vec![b'x'; (random >> 40) as usize % LONGEST],
                ));
            }
            let rows: Vec<_> = rows.iter().map(|(key, value)| (&key[..], &value[..])).collect();
            put(&file, &rows).unwrap();
            lengths.push(length(dir.path()));
        }
        let copies = lengths.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(copies > 1, "it grew to {:?} only", lengths.last());
        let longest = lengths.into_iter().max().unwrap();
        assert!(longest < FLOOR_BYTES, "{longest}");
    }

    #[test]
    fn a_file_that_is_in_use_is_not_copied_though_it_grows() {
        let dir = quick_dir();
        let file = open(dir.path());
        let inode = |dir: &Path| fs::metadata(dir.join("x.dbm")).unwrap().ino();
        put(&file, &[(b"first", b"value")]).unwrap();
        let before = inode(dir.path());
        for key in 0..KEYS * 2 {
            put(&file, &[(&[key], &vec![key; LONG_BYTES])]).unwrap();
        }
        file.compact(soon()).unwrap();
        assert!(length(dir.path()) > 2 * FLOOR_BYTES);
        assert_eq!(inode(dir.path()), before);
    }

    #[test]
    fn a_copy_has_the_rows_of_all_programs_and_the_mode_of_the_file() {
        let dir = quick_dir();
        let path = dir.path().join("x.dbm");
        let file = mostly_free(dir.path());
        let mut gnu = driver(dir.path());
        gnu.insert(&[0xff, 0x80][..], "somebody else's").unwrap();
        gnu.close().unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let before = length(dir.path());
        file.compact(soon()).unwrap();
        assert!(length(dir.path()) * 20 < before, "{} of {before}", length(dir.path()));
        check(&file);
        let gnu = driver(dir.path());
        let found: Option<Vec<u8>> = gnu.get(&[0xff, 0x80][..]).unwrap();
        assert_eq!(found.as_deref(), Some(&b"somebody else's"[..]));
        assert_eq!(gnu.verify().unwrap().records, usize::from(KEYS) + 1);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(others(dir.path()), [""; 0]);
    }

    #[test]
    fn a_file_stays_that_another_program_has_open_or_that_has_another_name() {
        let dir = quick_dir();
        let file = mostly_free(dir.path());
        let before = length(dir.path());
        let gnu = driver(dir.path());
        file.compact(soon()).unwrap();
        drop(gnu);
        assert_eq!(length(dir.path()), before);
        fs::hard_link(dir.path().join("x.dbm"), dir.path().join("another")).unwrap();
        file.compact(soon()).unwrap();
        assert_eq!(length(dir.path()), before);
        assert_eq!(others(dir.path()), ["another"]);
        fs::remove_file(dir.path().join("another")).unwrap();
        file.compact(soon()).unwrap();
        assert!(length(dir.path()) < before, "the control");
    }

    #[test]
    fn a_row_that_no_look_up_finds_does_not_come_back() {
        let dir = quick_dir();
        let path = dir.path().join("x.dbm");
        let file = mostly_free(dir.path());
        // The slot of the row in its bucket: the first four bytes of its key, its place, the two lengths.
        let bytes = fs::read(&path).unwrap();
        let row = b"beaker:\x07";
        let slot = |at: usize| {
            let length = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let place = u64::from_le_bytes(bytes[at + 4..at + 12].try_into().unwrap());
            let is_row = |place: usize| bytes.get(place..place + 8) == Some(&row[..]);
            bytes[at..].starts_with(b"beak")
                && [length(at + 12), length(at + 16)] == [8, 1]
                && usize::try_from(place).is_ok_and(is_row)
        };
        let at = (4..bytes.len() - 24).find(|&at| slot(at)).expect("its slot");
        let mut damaged = bytes.clone();
        damaged[at - 1] ^= 0x40;
        fs::write(&path, damaged).unwrap();
        assert_eq!(get(&file, &[7]), None);
        file.compact(soon()).unwrap();
        assert!(length(dir.path()) < FLOOR_BYTES);
        assert_eq!(get(&file, &[7]), None);
        assert_eq!(driver(dir.path()).verify().unwrap().records, usize::from(KEYS) - 1);
    }

    #[test]
    fn a_copy_cut_short_anywhere_loses_no_row_and_is_made_by_the_next_writer() {
        let dir = quick_dir();
        let [path, draft] = ["x.dbm", "x.dbm.locks/draft"].map(|name| dir.path().join(name));
        let file = mostly_free(dir.path());
        let before = fs::read(&path).unwrap();
        file.compact(soon()).unwrap();
        let copy = fs::read(&path).unwrap();
        let pending = changes(&[("pending", Some(b"value"))]);
        for end in (0..=copy.len()).step_by(copy.len() / 4) {
            // The one after it may be killed too, in the middle of a write.
            for is_pending in [false, true] {
                fs::write(&path, &before).unwrap();
                fs::write(&draft, &copy[..end]).unwrap();
                if is_pending {
                    let none = Images::default();
                    journal(dir.path()).write(&none, &pending, Durability::None).unwrap();
                }
                check(&file);
                put(&file, &[(b"other", b"value")]).unwrap();
                assert_eq!(get(&file, b"pending").is_some(), is_pending);
                assert_eq!(get(&file, b"other").as_deref(), Some(&b"value"[..]));
                check(&file);
                assert!(length(dir.path()) < FLOOR_BYTES, "cut at {end}");
                assert_eq!((others(dir.path()), draft.exists()), (Vec::new(), false));
            }
        }
    }
}
