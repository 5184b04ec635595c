//! Which way of locking the processes that share a store go by.
//
// Two programs that lock in different ways do not exclude each other, and neither would notice. So the
// directory of a store's locks has a file `protocol` that says how they lock, which is looked at before
// the first lock is taken. One that says more than this program knows refuses it. What says nothing, as
// after a power cut, is written anew, and a number of which this program knows all is raised to its own.
//
// The number stands there three times, and is what two of them say: so a flipped bit neither refuses a store
// for ever nor lets in who is to stay out. Programs of before wrote one line, and read as much as LINE_BYTES; to
// them the rest of the first line is white space. They knew numbers up to LAST_ALONE, so a higher one that stands
// alone is a flipped bit.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use beaker_namespace::{Error, ErrorKind};

use crate::place;

const OPERATION: &str = "open the store";

const FILE: &str = "protocol";

/// What stands before the number.
const TITLE: &str = "beaker locks ";

const LINES: usize = 3;

const LINE_BYTES: usize = 64;

const TEXT_BYTES: u64 = (LINES * LINE_BYTES) as u64;

/// The highest number of those programs that wrote one line.
const LAST_ALONE: u32 = 2;

/// The way of a kind of store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    /// Counts changes of which files are locked, in which order, and what they mean; and of what who dies
    /// with a lock held leaves to the next one.
    pub(crate) number: u32,
    /// The first number from which on this program knows all that is locked and left.
    pub(crate) since: u32,
}

impl Protocol {
    /// The way before there was another.
    #[cfg(feature = "redb")]
    pub(crate) const FIRST: Self = Self { number: 1, since: 1 };

    /// Refuses a store whose locks, in `locks`, are taken in another way; notes ours if nothing is noted,
    /// or less.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if another version noted another way; what the operating system says.
    pub(crate) fn admit(self, locks: &Path) -> Result<(), Error> {
        let path = locks.join(FILE);
        let Self { number, since } = self;
        match noted(&path).map_err(|error| Error::io(OPERATION, &path, error))? {
            Some(noted) if noted == number => Ok(()),
            Some(noted) if noted > number || noted < since => {
                Err(Error::new(ErrorKind::Config, OPERATION).with_detail(format!(
                    "{}: another version locks this store in another way (protocol {noted}, this \
                     program knows {number}); use one version everywhere, or remove that file while \
                     nobody has the store open",
                    path.display()
                )))
            }
            _ => note(locks, &path, number).map_err(|error| Error::io(OPERATION, &path, error)),
        }
    }
}

/// The number that is noted, if one is.
fn noted(path: &Path) -> io::Result<Option<u32>> {
    let mut text = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(TEXT_BYTES).read_to_end(&mut text)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(|_| number_in(&text)),
    }
}

/// What two lines of `text` say, or the only one.
fn number_in(text: &[u8]) -> Option<u32> {
    let mut lines = text.chunks(LINE_BYTES).map(number_of);
    match [lines.next()?, lines.next().flatten(), lines.next().flatten()] {
        [Some(alone), None, None] => (1..=LAST_ALONE).contains(&alone).then_some(alone),
        [one, other, _] if one == other => one,
        [one, other, third] if third == one || third == other => third,
        _ => None,
    }
}

fn number_of(line: &[u8]) -> Option<u32> {
    let number = std::str::from_utf8(line).ok()?.strip_prefix(TITLE)?;
    number.trim_end().parse().ok()
}

/// A flipped bit makes a digit of a space, but none of what fills the line here.
fn text_of(number: u32) -> String {
    let said = format!("{TITLE}{number}");
    format!("{said:\n<LINE_BYTES$}").repeat(LINES)
}

/// Everybody who writes it writes as much, at the same place: so nobody finds half of it, and more than
/// one may do it at a time.
fn note(locks: &Path, path: &Path, number: u32) -> io::Result<()> {
    place::make_directory(locks)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let text = text_of(number);
    let mut file = options.custom_flags(no_link).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Protocol = Protocol { number: 3, since: 2 };

    /// What programs of before three lines find in `text`.
    fn found_by_earlier_ones(text: &[u8]) -> Option<u32> {
        let mut begin = String::new();
        text.take(64).read_to_string(&mut begin).ok()?;
        begin.strip_prefix(TITLE).and_then(|number| number.trim_end().parse().ok())
    }

    fn flipped(text: &str) -> impl Iterator<Item = Vec<u8>> + '_ {
        (0..8 * text.len()).map(|bit| {
            let mut flipped = text.as_bytes().to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        })
    }

    #[test]
    fn f41_another_way_of_locking_is_refused_and_left_noted() {
        let dir = tempfile::tempdir().unwrap();
        let locks = dir.path().join("locks");
        OURS.admit(&locks).unwrap();
        OURS.admit(&locks).expect("the control: it is what was noted");
        let path = locks.join("protocol");
        assert_eq!(fs::read_to_string(&path).unwrap(), text_of(3));
        for other in ["beaker locks 1\n".to_owned(), text_of(1), text_of(4), text_of(u32::MAX)] {
            fs::write(&path, &other).unwrap();
            let error = OURS.admit(&locks).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{other}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            assert!(error.to_string().contains("or remove that file"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
        fs::remove_file(path).unwrap();
        OURS.admit(&locks).expect("what the error says helps");
    }

    #[test]
    fn what_says_nothing_or_less_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("protocol");
        let less = text_of(2);
        for spoilt in [b"", &b"beaker l"[..], b"beaker locks ?", &[0xff; 200], less.as_bytes()] {
            fs::write(&path, spoilt).unwrap();
            OURS.admit(dir.path()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text_of(3));
        }
    }

    #[test]
    fn f35_f41_no_flipped_bit_refuses_a_store_or_lets_in_who_is_to_stay_out() {
        for number in [3, 4] {
            let text = text_of(number);
            let found = flipped(&text).map(|flipped| number_in(&flipped));
            assert!(found.eq(vec![Some(number); 8 * 3 * 64]), "{number}");
        }
    }

    #[test]
    fn f35_f39_a_flipped_bit_in_the_one_line_of_an_earlier_program_refuses_nothing() {
        for number in 1..=2 {
            let alone = format!("{TITLE}{number}\n");
            let found = flipped(&alone).map(|text| number_in(&text));
            assert!(found.flatten().all(|found| found == number), "it is read, or written anew");
            let mut earlier = flipped(&alone).filter_map(|text| found_by_earlier_ones(&text));
            assert!(earlier.any(|found| found > 2), "the control: a bit makes it a newer one's");
        }
    }

    #[test]
    fn f41_programs_of_before_three_lines_find_the_number_in_them() {
        for number in [1, 2, 3, u32::MAX] {
            assert_eq!(found_by_earlier_ones(text_of(number).as_bytes()), Some(number));
        }
        for number in [1, 2] {
            let alone = format!("{TITLE}{number}\n");
            assert_eq!(number_in(alone.as_bytes()), Some(number), "and their number is found");
        }
    }
}
